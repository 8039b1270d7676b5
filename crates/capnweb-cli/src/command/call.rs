//! `capnweb call`.

use std::path::Path;

use capnweb::Value;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::{arguments, check_arguments, evaluate, log_to_stdout, parse, source, within};
use crate::{
    arguments::Call,
    connect::{Link, Settings},
    description,
    evaluate::{Evaluator, Scope},
    expression::Program,
    failure::Failure,
    meter::{Counts, Meter},
    output::{self, Format, Style},
    stream::{self, Content, Interrupted, output_failure},
};

pub(super) async fn run(call: &Call, style: Style) -> Result<(), Failure> {
    let source = source(&call.expression)?;
    let program = parse(&source)?;
    let settings = call.connection.settings()?;
    let arguments = arguments(&call.values).await?;
    check_arguments(&program, &source, |name| arguments.contains_key(name))?;
    let meter = call.stats.then(Meter::install);

    let link = settings.open().await?;
    let evaluator = Evaluator::new(link.main(), log_to_stdout(style)).arguments(arguments);
    let mut scope = Scope::default();
    let evaluation = evaluate(&link, &evaluator, &program, &source, &mut scope);
    let result = match within(settings.timeout, evaluation).await {
        Ok(value) => {
            let value = value.unwrap_or_default();
            let format = call.form.format();
            print_result(&link, &value, format, call.output.as_deref(), style).await
        }
        Err(failure) => Err(suggest(failure, &settings, &program).await),
    };
    drop((evaluator, scope));
    link.close().await;
    if let Some(meter) = meter {
        report(meter.counts(), call.form.json);
    }
    result
}

fn report(counts: Counts, is_json: bool) {
    match is_json {
        true => eprintln!("{{\"stats\":{}}}", counts.to_json()),
        false => eprintln!("{counts}"),
    }
}

/// Adds a suggestion to the failure of a call to a name that does not exist: the nearest name in
/// the server's description.
async fn suggest(failure: Failure, settings: &Settings, program: &Program) -> Failure {
    match description::unknown_name(&failure, program) {
        None => failure,
        Some(name) => match description::ask(settings).await {
            None => failure,
            Some(description) => description::suggest(failure, &name, &description),
        },
    }
}

/// Prints a result, or writes it to a file.
pub(crate) async fn print_result(
    link: &Link,
    value: &Value,
    format: Format,
    to: Option<&Path>,
    style: Style,
) -> Result<(), Failure> {
    let done = match to {
        Some(path) if path != Path::new("-") => save(value, format, path).await,
        _ => print(value, format, style).await,
    };
    done.map_err(|interrupted| match interrupted {
        Interrupted::Peer(error) => link.explain(error),
        Interrupted::Output(error) => output_failure(&error, to),
    })
}

async fn print(value: &Value, format: Format, style: Style) -> Result<(), Interrupted> {
    if let Value::Stream(_) = value {
        match stream::content(value) {
            Some(Content::Chunks(chunks)) => return stream::print(chunks, format, style).await,
            Some(Content::Bytes(bytes)) => {
                let bytes = output::render(&Value::Bytes(bytes), format, style);
                return Ok(output::write_out(&bytes)?);
            }
            None => {}
        }
    }
    Ok(output::write_out(&output::render(value, format, style))?)
}

async fn save(value: &Value, format: Format, path: &Path) -> Result<(), Interrupted> {
    let file = tokio::fs::File::create(path).await?;
    let mut out = BufWriter::new(file);
    match stream::content(value) {
        Some(Content::Chunks(chunks)) => return stream::save(chunks, &mut out).await,
        Some(Content::Bytes(bytes)) => out.write_all(&bytes).await?,
        None => {
            out.write_all(&output::render(value, format, Style::PLAIN))
                .await?
        }
    }
    out.flush().await?;
    Ok(())
}
