//! The commands.

mod bench;
mod call;
mod describe;
mod inspect;
mod listen;
mod repl;
mod replay;
mod values;

use std::{
    io::{IsTerminal, Read},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use capnweb::Value;
use clap::CommandFactory;

pub(crate) use self::{call::print_result, values::arguments};
use crate::{
    arguments::{Arguments, Command},
    connect::Link,
    evaluate::{Evaluator, Fault, Log, Scope, Term},
    expression::{Problem, Program},
    failure::Failure,
    output::{Style, human::Printer, write_out},
};

/// Runs a command and reports its failure.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let is_json = match &arguments.command {
        Command::Call(call) => call.form.json,
        Command::Bench(bench) => bench.json,
        Command::Describe(describe) | Command::Dts(describe) => describe.json,
        _ => false,
    };
    match run_command(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let style = Style::of(arguments.color, &std::io::stderr());
            failure.report(is_json, style);
            failure.exit_code()
        }
    }
}

fn run_command(arguments: &Arguments) -> Result<(), Failure> {
    let style = Style::of(arguments.color, &std::io::stdout());
    match &arguments.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let mut command = Arguments::command();
            clap_complete::generate(*shell, &mut command, "capnweb", &mut script);
            return write_out(&script).map_err(|error| crate::stream::output_failure(&error, None));
        }
        Command::Man { out } => return manual(out.as_deref()),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("there is no runtime: {error}")))?;
    let result = runtime.block_on(async {
        match &arguments.command {
            Command::Call(call) => call::run(call, style).await,
            Command::Repl(repl) => repl::run(repl, style).await,
            Command::Listen(listen) => listen::run(listen).await,
            Command::Bench(bench) => bench::run(bench, style).await,
            Command::Describe(describe) => {
                describe::run(describe, describe::Form::Text, style).await
            }
            Command::Dts(describe) => {
                describe::run(describe, describe::Form::TypeScript, style).await
            }
            Command::Inspect(inspect) => inspect::run(inspect).await,
            Command::Replay(replay) => replay::run(replay).await,
            Command::Completions { .. } | Command::Man { .. } => Ok(()),
        }
    });
    // A pending read of standard input cannot be interrupted, so do not wait for it.
    runtime.shutdown_background();
    result
}

fn manual(folder: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let written = clap_mangen::Man::new(Arguments::command()).render(&mut page);
        return written
            .and_then(|()| write_out(&page))
            .map_err(|error| crate::stream::output_failure(&error, None));
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
        .map_err(|error| crate::stream::output_failure(&error, Some(folder)))
}

/// Returns the expression, which is read from standard input if `text` is `-`.
pub(crate) fn source(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    if std::io::stdin().is_terminal() {
        eprintln!("reading the expression from the terminal, up to Ctrl-D");
    }
    let mut source = String::new();
    match std::io::stdin().read_to_string(&mut source) {
        Ok(_) => Ok(source),
        Err(error) => Err(Failure::usage(format!("the standard input: {error}"))),
    }
}

pub(crate) fn parse(source: &str) -> Result<Program, Failure> {
    crate::expression::parse(source).map_err(|problem| Failure::problem(&problem, source))
}

/// Returns the function that prints the values of `console.log(…)`.
pub(crate) fn log_to_stdout(style: Style) -> Log {
    std::sync::Arc::new(move |values: &[Value]| {
        // It fails if nobody reads the output any more.
        let _ = write_out(log_line(values, style).as_bytes());
    })
}

/// Returns the line for `console.log(…)`: strings unchanged, and other values like results.
pub(crate) fn log_line(values: &[Value], style: Style) -> String {
    let parts: Vec<String> = values
        .iter()
        .map(|value| match value {
            Value::String(text) => crate::output::human::harmless(text),
            other => Printer::new(style).print(other),
        })
        .collect();
    format!("{}\n", parts.join(" "))
}

/// Runs a future within the time limit.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match limit {
        None => work.await,
        Some(limit) => match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => Err(Failure::timeout(limit)),
        },
    }
}

/// Evaluates a program and awaits its result. Returns `None` if the last statement is a `let`.
pub(crate) async fn evaluate(
    link: &Link,
    evaluator: &Evaluator,
    program: &Program,
    source: &str,
    scope: &mut Scope,
) -> Result<Option<Value>, Failure> {
    let explain = |fault| explain(link, fault, source);
    match evaluator.run(program, scope).await.map_err(explain)? {
        Some(term) => {
            let value = Term::settle(term).await;
            value.map(Some).map_err(|error| link.explain(error))
        }
        None => Ok(None),
    }
}

pub(crate) fn explain(link: &Link, fault: Fault, source: &str) -> Failure {
    match fault {
        Fault::Expression(problem) => Failure::problem(&problem, source),
        Fault::Peer(error) => link.explain(error),
    }
}

/// Fails if the expression uses a `$name` that has no value, before anything is sent.
pub(crate) fn check_arguments(
    program: &Program,
    source: &str,
    known: impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    let mut missing: Option<Problem> = None;
    program.walk(&mut |expr| {
        if let crate::expression::ExprKind::Argument(name) = &expr.kind
            && name != "interface"
            && !known(name)
            && missing.is_none()
        {
            let problem = Problem::new(expr.span, format!("there is no `${name}`"));
            missing = Some(match name.as_str() {
                "cb" => problem.help("`$cb` is the callback of `capnweb listen`"),
                _ => problem.help(format!("give it a value: --arg {name}=…")),
            });
        }
    });
    match missing {
        Some(problem) => Err(Failure::problem(&problem, source)),
        None => Ok(()),
    }
}
