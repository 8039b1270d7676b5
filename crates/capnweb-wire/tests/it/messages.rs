//! Plain trees: written messages are read back unchanged.

use capnweb_wire::{Expr, Limits, Message, scan_frame};
use proptest::prelude::*;

use crate::generate;

proptest! {
    #[test]
    fn messages_round_trip(message in generate::message()) {
        let text = message.to_string();
        prop_assert_eq!(text.parse::<Message>(), Ok(message.clone()));
    }

    /// The scanner's shortcut for usual messages has the same result.
    #[test]
    fn whitespace_does_not_change_a_message(message in generate::message(), cut in any::<usize>()) {
        let text = message.to_string();
        let (mut holes, mut other_holes) = (Vec::new(), Vec::new());
        let spaced = format!(" {text}");
        let frame = scan_frame(&text, &Limits::default(), &mut holes);
        prop_assert_eq!(&frame, &scan_frame(&spaced, &Limits::default(), &mut other_holes));
        prop_assert!(frame.is_ok());
        prop_assert_eq!(&holes, &other_holes);

        // A part of a message is never accepted, whichever way it is read.
        let cut = (0..=cut % text.len()).rev().find(|at| text.is_char_boundary(*at));
        let text = &text[..cut.unwrap_or(0)];
        prop_assert!(scan_frame(text, &Limits::default(), &mut holes).is_err());
    }

    #[test]
    fn javascript_strings_round_trip(text in generate::string()) {
        let expr = Expr::String(text);
        prop_assert_eq!(expr.to_string().parse::<Expr>(), Ok(expr));
    }

    #[test]
    fn rust_strings_round_trip(text: String) {
        let Expr::String(kept) = Expr::from(text.as_str()) else { unreachable!() };
        prop_assert_eq!(kept.to_str(), text);
    }
}
