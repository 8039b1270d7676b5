//! `capnweb describe` and `capnweb dts`.

use capnweb::typescript::Declarations;

use super::{evaluate, log_to_stdout, parse, within};
use crate::{
    arguments::Describe,
    description,
    evaluate::{Evaluator, Scope},
    failure::Failure,
    output::{self, Style},
    stream::output_failure,
};

/// The form in which a description is printed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Text,
    TypeScript,
}

pub(super) async fn run(describe: &Describe, form: Form, style: Style) -> Result<(), Failure> {
    let object = describe.expression.as_deref().unwrap_or("this");
    parse(object)?;
    let settings = describe.connection.settings()?;
    let source = format!("({object}).$interface");
    let program = parse(&source)?;
    let link = settings.open().await?;
    let evaluator = Evaluator::new(link.main(), log_to_stdout(style));
    let mut scope = Scope::default();
    let evaluation = evaluate(&link, &evaluator, &program, &source, &mut scope);
    let result = within(settings.timeout, evaluation).await;
    drop(evaluator);
    link.close().await;
    let value = result?.unwrap_or_default();
    let found = description::read(&value)?;
    let text = match (describe.json, form) {
        (true, _) => found.to_json(),
        (false, Form::Text) => description::print(&found, style),
        (false, Form::TypeScript) => Declarations::new(found).to_string(),
    };
    output::write_out(text.as_bytes()).map_err(|error| output_failure(&error, None))
}
