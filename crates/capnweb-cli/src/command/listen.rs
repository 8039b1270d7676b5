//! `capnweb listen`.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use capnweb::{
    Stub, Value,
    stream::Readable,
    target::{Answer, Call, Target},
};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::{arguments, check_arguments, evaluate, log_to_stdout, parse, source};
use crate::{
    arguments::Listen,
    connect::Link,
    evaluate::{Evaluator, Scope, Term},
    failure::Failure,
    output::{self, Format, Style},
    stream::{self, Content, output_failure},
};

/// The name of the callback in expressions.
const CALLBACK: &str = "cb";

pub(super) async fn run(listen: &Listen) -> Result<(), Failure> {
    let source = source(&listen.expression)?;
    let program = parse(&source)?;
    let settings = listen.connection.settings()?;
    if let Some(url) = settings.endpoint.as_session_url() {
        return Err(
            Failure::usage("a batch ends with its answer, so the server cannot call back")
                .help(format!("listen over a session: {url}")),
        );
    }
    let mut arguments = arguments(&listen.values).await?;
    check_arguments(&program, &source, |name| {
        name == CALLBACK || arguments.contains_key(name)
    })?;
    let (ends, mut ended) = mpsc::unbounded_channel();
    let printer = Arc::new(Printer {
        format: if listen.raw {
            Format::Raw
        } else {
            Format::Json
        },
        left: AtomicU64::new(listen.count.unwrap_or(u64::MAX)),
        ends,
    });
    let callback = Stub::new(Callback(printer.clone()));
    arguments.insert(CALLBACK.to_owned(), Term::Function(callback));

    let link = settings.open().await?;
    let evaluator = Evaluator::new(link.main(), log_to_stdout(Style::PLAIN)).arguments(arguments);
    let result = tokio::select! {
        result = subscribe(&link, evaluator, &program, &source, &printer, &mut ended) => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    // By now the subscription's result is dropped, and the server has been told.
    link.close().await;
    result
}

/// Evaluates the expression and waits for the end of the subscription.
async fn subscribe(
    link: &Link,
    evaluator: Evaluator,
    program: &crate::expression::Program,
    source: &str,
    printer: &Printer,
    ended: &mut mpsc::UnboundedReceiver<End>,
) -> Result<(), Failure> {
    let mut scope = Scope::default();
    let evaluation = evaluate(link, &evaluator, program, source, &mut scope);
    let mut subscription = tokio::select! {
        result = evaluation => result?,
        Some(end) = ended.recv() => return finish(end),
    };
    // From here on, the server alone keeps the callback alive.
    drop(evaluator);
    let stream = subscription
        .as_ref()
        .filter(|value| matches!(value, Value::Stream(_)));
    if let Some(Content::Chunks(chunks)) = stream.and_then(stream::content) {
        subscription = None;
        tokio::select! {
            result = read(link, chunks, printer) => result?,
            end = end_of_output(ended) => finish(end)?,
        }
        drop(subscription);
        return Ok(());
    }
    let result = tokio::select! {
        Some(end) = ended.recv() => finish(end),
        error = link.session().closed() => Err(link.explain(error)),
    };
    drop((subscription, scope));
    result
}

/// Waits for an end that does not involve the callback, for streams.
async fn end_of_output(ended: &mut mpsc::UnboundedReceiver<End>) -> End {
    loop {
        match ended.recv().await {
            Some(End::Released) => {}
            Some(end) => return end,
            None => std::future::pending().await,
        }
    }
}

/// Prints the chunks of a stream.
async fn read(link: &Link, mut chunks: Readable<Value>, printer: &Printer) -> Result<(), Failure> {
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| link.explain(error))?;
        printer.print(&chunk);
    }
    Ok(())
}

/// The reason why listening ends.
enum End {
    /// The requested number of calls has arrived.
    Count,
    /// The server has released the callback.
    Released,
    Output(io::Error),
}

fn finish(end: End) -> Result<(), Failure> {
    match end {
        End::Count | End::Released => Ok(()),
        // The reader has seen enough and closed the pipe, as `head` does.
        End::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        End::Output(error) => Err(output_failure(&error, None)),
    }
}

struct Printer {
    format: Format,
    left: AtomicU64,
    ends: mpsc::UnboundedSender<End>,
}

impl Printer {
    fn print(&self, value: &Value) {
        let claim = |left: u64| left.checked_sub(1);
        let Ok(left) = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim)
        else {
            return;
        };
        let mut line = output::render(value, self.format, Style::PLAIN);
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        // The receiver lives as long as the command.
        if let Err(error) = output::write_out(&line) {
            let _ = self.ends.send(End::Output(error));
        } else if left == 1 {
            let _ = self.ends.send(End::Count);
        }
    }
}

/// The callback. It answers a call only once the call is printed, which slows down a server that
/// waits for the answers.
struct Callback(Arc<Printer>);

impl Target for Callback {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        if !call.method().is_empty() {
            return Answer::not_found();
        }
        let mut args: Vec<Value> = match call.args() {
            Ok(args) => args,
            Err(error) => return Answer::error(error),
        };
        let value = match args.len() {
            0 => Value::Undefined,
            1 => args.swap_remove(0),
            _ => Value::Array(args),
        };
        self.0.print(&value);
        Answer::ready(Value::Undefined)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        let _ = self.0.ends.send(End::Released);
    }
}
