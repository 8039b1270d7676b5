//! Plain trees: what is written reads back as it was.

use capnweb_wire::{Expr, Message};
use proptest::prelude::*;

use crate::generate;

proptest! {
    #[test]
    fn messages_survive(message in generate::message()) {
        let text = message.to_string();
        prop_assert_eq!(text.parse::<Message>(), Ok(message.clone()));
    }

    #[test]
    fn strings_survive(text in generate::string()) {
        let expr = Expr::String(text);
        prop_assert_eq!(expr.to_string().parse::<Expr>(), Ok(expr));
    }

    #[test]
    fn rust_strings_survive(text: String) {
        let Expr::String(kept) = Expr::from(text.as_str()) else { unreachable!() };
        prop_assert_eq!(kept.to_str(), text);
    }
}
