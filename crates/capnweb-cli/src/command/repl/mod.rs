//! `capnweb repl`.

mod completion;
mod editor;
mod history;

use std::{
    io::{BufRead, IsTerminal},
    sync::{Arc, Mutex, PoisonError},
};

use capnweb::{describe::Description, typescript::Declarations};

use self::{
    completion::Known,
    editor::{Editor, Input},
    history::History,
};
use crate::{
    arguments::Repl,
    command::{self, arguments, check_arguments, explain, log_line, print_result, within},
    connect::{Link, Settings},
    description::{self, PROPERTY},
    evaluate::{Evaluator, Log, Scope},
    expression::{self, Program, Statement},
    failure::{Code, Failure},
    meter::Meter,
    output::{Format, Style, human::Printer, style::Role, write_out},
    stream::output_failure,
};

const HELP: &str = "\
The server evaluates an expression in one round trip: authenticate(\"t\").getName()
`let x = …` keeps a promise: x is awaited only when it is printed, and x.getName() does not wait for it.
  :held         shows the variables, and how many objects each side holds of the other
  :stats        shows calls, round trips, messages and bytes so far, and those of the last expression
  :drop NAME    removes a variable, and releases the objects that only it holds
  :describe     shows the server's interface; :dts shows it as TypeScript
  :help         shows this text
  :quit         ends the session, like Ctrl-D. Ctrl-C stops waiting for an answer
";

pub(crate) async fn run(repl: &Repl, style: Style) -> Result<(), Failure> {
    let settings = repl.connection.settings()?;
    if let Some(url) = settings.endpoint.as_session_url() {
        return Err(
            Failure::usage("a batch ends with its answer, so it cannot keep variables")
                .help(format!("use a session: {url}")),
        );
    }
    let terms = arguments(&repl.values).await?;
    let meter = Meter::install();
    let link = settings.open().await?;
    let known = Arc::new(Mutex::new(Known::default()));
    let is_interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let (mut source, log) = if is_interactive {
        let history = match repl.no_history {
            true => History::none(),
            false => History::open(repl.history.clone()),
        };
        let editor = Editor::start(known.clone(), history)?;
        let log: Log = Arc::new(move |values: &[capnweb::Value]| {
            // Overwrite the prompt, which the next key draws again. Writing fails if nobody reads
            // the output any more.
            let line = format!("\r\u{1b}[K{}", log_line(values, style));
            let _ = write_out(line.as_bytes());
        });
        println!(
            "connected to {}; :help shows help, Ctrl-D quits",
            repl.connection.url
        );
        (Source::Editor(editor), log)
    } else {
        (Source::Lines, command::log_to_stdout(style))
    };
    let mut room = Room {
        evaluator: Evaluator::new(link.main(), log).arguments(terms),
        link,
        scope: Scope::default(),
        settings,
        meter,
        last: None,
        known,
        format: repl.form.format(),
        style,
        is_interactive,
    };
    if is_interactive {
        room.learn().await;
    }
    let result = room.loop_over(&mut source).await;
    let Room {
        link,
        evaluator,
        scope,
        ..
    } = room;
    drop((evaluator, scope));
    link.close().await;
    result
}

/// The source of the input.
enum Source {
    Editor(Editor),
    /// A file or a pipe. The program ends at the first failure.
    Lines,
}

impl Source {
    /// Returns the next input, or `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, Failure> {
        match self {
            Self::Editor(editor) => loop {
                match editor.next().await? {
                    Input::Text(text) => return Ok(Some(text)),
                    Input::Nothing => {}
                    Input::End => return Ok(None),
                }
            },
            Self::Lines => {
                let read = tokio::task::spawn_blocking(|| {
                    let mut text = String::new();
                    let mut input = std::io::stdin().lock();
                    // An incomplete expression continues on the next line.
                    while input.read_line(&mut text)? > 0 {
                        match expression::parse(&text) {
                            Err(problem) if problem.is_incomplete && !text.trim().is_empty() => {}
                            _ => return Ok(Some(text)),
                        }
                    }
                    Ok(Some(text).filter(|text| !text.trim().is_empty()))
                });
                let read: std::io::Result<Option<String>> = read.await.unwrap_or(Ok(None));
                read.map_err(|error| Failure::usage(format!("the standard input: {error}")))
            }
        }
    }
}

/// The state of the prompt.
struct Room {
    settings: Settings,
    link: Link,
    evaluator: Evaluator,
    scope: Scope,
    meter: Meter,
    /// The counts before the last expression.
    last: Option<crate::meter::Counts>,
    known: Arc<Mutex<Known>>,
    format: Format,
    style: Style,
    is_interactive: bool,
}

impl Room {
    async fn loop_over(&mut self, source: &mut Source) -> Result<(), Failure> {
        while let Some(text) = source.next().await? {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if matches!(text, ":quit" | ":q" | ":exit") {
                break;
            }
            let result = match text.strip_prefix(':') {
                Some(command) => self.command(command).await,
                None => self.evaluate(text).await,
            };
            let Err(failure) = result else { continue };
            if !self.is_interactive {
                return Err(failure);
            }
            failure.report(false, self.style);
            if let Some(end) = self.link.session().end_reason() {
                self.reconnect(&end).await?;
            }
        }
        Ok(())
    }

    /// Connects again after the session has ended. The variables are lost.
    async fn reconnect(&mut self, _: &capnweb::Error) -> Result<(), Failure> {
        let link = self.settings.open().await?;
        self.scope = Scope::default();
        self.evaluator = self.evaluator.with_main(link.main());
        std::mem::replace(&mut self.link, link).close().await;
        self.known().set_variables(&[]);
        eprintln!("connected again; the variables are gone");
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the server's description, for completion. Without one, only variables are completed.
    async fn learn(&mut self) {
        let description = self.describe();
        if let Ok(description) = within(Some(std::time::Duration::from_secs(2)), description).await
        {
            self.known().set_description(description);
        }
    }

    async fn describe(&self) -> Result<Description, Failure> {
        let value = self.link.main().get(PROPERTY).fetch().await;
        description::read(&value.map_err(|error| self.link.explain(error))?)
    }

    async fn evaluate(&mut self, source: &str) -> Result<(), Failure> {
        let program = command::parse(source)?;
        check_arguments(&program, source, |name| self.evaluator.has_argument(name))?;
        self.last = Some(self.meter.counts());
        let limit = self.settings.timeout;
        let mut scope = self.scope.clone();
        let work = async {
            let term = self.evaluator.run(&program, &mut scope).await;
            let term = term.map_err(|fault| explain(&self.link, fault, source))?;
            let Some(term) = term else { return Ok(None) };
            let value = term.settle().await;
            value.map(Some).map_err(|error| self.link.explain(error))
        };
        let value = tokio::select! {
            result = within(limit, work) => result,
            _ = tokio::signal::ctrl_c() => {
                Err(Failure::new(Code::Timeout, "stopped waiting for the answer"))
            }
        };
        self.keep(scope, &program);
        match value {
            Ok(Some(value)) => {
                print_result(&self.link, &value, self.format, None, self.style).await
            }
            Ok(None) => Ok(()),
            Err(failure) => Err(self.suggest(failure, &program)),
        }
    }

    fn suggest(&self, failure: Failure, program: &Program) -> Failure {
        let name = description::unknown_name(&failure, program);
        match (name, self.known().description()) {
            (Some(name), Some(description)) => description::suggest(failure, &name, description),
            _ => failure,
        }
    }

    /// Keeps the variables of an expression, even if the expression failed later.
    fn keep(&mut self, scope: Scope, program: &Program) {
        // A variable that was set again releases its previous value.
        self.scope = scope.without("");
        let mut known = self.known();
        for statement in &program.statements {
            if let Statement::Let { name, value } = statement {
                known.set_shape(name, value);
            }
        }
        known.set_variables(&self.names());
    }

    /// Returns the names of the variables.
    fn names(&self) -> Vec<&str> {
        let variables = self.scope.variables();
        variables.iter().map(|(name, _)| *name).collect()
    }

    async fn command(&mut self, command: &str) -> Result<(), Failure> {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let text = match (name, rest.trim()) {
            ("help" | "h" | "?", _) => HELP.to_owned(),
            ("held", _) => self.held(),
            ("stats", _) => {
                let now = self.meter.counts();
                let last = self.last.map(|last| now.since(last)).unwrap_or_default();
                format!("total: {now}\nlast expression: {last}\n")
            }
            ("drop", "") => return Err(Failure::usage("name a variable: `:drop user`")),
            ("drop", name) => {
                if self.scope.get(name).is_none() {
                    return Err(Failure::usage(format!("there is no variable `{name}`")));
                }
                self.scope = self.scope.without(name);
                self.known().set_variables(&self.names());
                return Ok(());
            }
            ("describe", _) => description::print(&self.describe().await?, self.style),
            ("dts", _) => Declarations::new(self.describe().await?).to_string(),
            _ => {
                return Err(Failure::usage(format!("there is no command `:{name}`"))
                    .help(":help lists the commands"));
            }
        };
        write_out(text.as_bytes()).map_err(|error| output_failure(&error, None))
    }

    /// Describes the variables and the session's tables.
    fn held(&self) -> String {
        let mut text = String::new();
        for (name, term) in self.scope.variables() {
            let shown = match term.as_plain() {
                Some(value) => Printer::new(self.style).one_line(&value),
                None => self.style.paint(Role::Reference, "[promise]"),
            };
            text.push_str(&format!("{name} = {shown}\n"));
        }
        let stats = self.link.session().stats();
        text.push_str(&format!(
            "held here: {}, held by the server: {}, including the main objects\n",
            stats.imports, stats.exports
        ));
        text
    }
}
