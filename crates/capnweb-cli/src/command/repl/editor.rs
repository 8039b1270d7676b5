//! The line editor. It runs on its own thread, so that the session continues while the user types.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use rustyline::{
    CompletionType, Config, Context, Helper,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::{History as _, MemHistory},
    validate::{ValidationContext, ValidationResult, Validator},
};
use tokio::sync::oneshot;

use super::{completion::Known, history::History};
use crate::failure::Failure;

const PROMPT: &str = "> ";

/// The user's input.
pub(super) enum Input {
    Text(String),
    /// Ctrl-C: the line is discarded.
    Nothing,
    /// Ctrl-D: the end of the input.
    End,
}

type Read = Result<Input, Failure>;

/// The prompt.
pub(super) struct Editor {
    requests: mpsc::Sender<oneshot::Sender<Read>>,
}

impl Editor {
    pub(super) fn start(known: Arc<Mutex<Known>>, history: History) -> Result<Self, Failure> {
        let failed = |error: ReadlineError| Failure::usage(format!("the terminal: {error}"));
        let config = Config::builder()
            .auto_add_history(false)
            .completion_type(CompletionType::List)
            .build();
        let kept = MemHistory::with_config(&config);
        let mut editor = rustyline::Editor::with_history(config, kept).map_err(failed)?;
        editor.set_helper(Some(Assistant { known }));
        for input in history.read() {
            // An entry that cannot be added is just missing from the history.
            let _ = editor.history_mut().add_owned(input);
        }
        let (requests, incoming) = mpsc::channel::<oneshot::Sender<Read>>();
        std::thread::spawn(move || {
            for request in incoming {
                let read = match editor.readline(PROMPT) {
                    Ok(text) => {
                        if !text.trim().is_empty() && !text.starts_with(' ') {
                            let _ = editor.add_history_entry(text.as_str());
                            history.add(&text);
                        }
                        Ok(Input::Text(text))
                    }
                    Err(ReadlineError::Interrupted) => Ok(Input::Nothing),
                    Err(ReadlineError::Eof) => Ok(Input::End),
                    Err(error) => Err(failed(error)),
                };
                // It fails if the program has ended.
                let _ = request.send(read);
            }
        });
        Ok(Self { requests })
    }

    /// Waits for the next input.
    pub(super) async fn next(&mut self) -> Read {
        let (sender, receiver) = oneshot::channel();
        if self.requests.send(sender).is_err() {
            return Ok(Input::End);
        }
        receiver.await.unwrap_or(Ok(Input::End))
    }
}

/// Completes and validates the input for the editor.
struct Assistant {
    known: Arc<Mutex<Known>>,
}

impl Helper for Assistant {}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.complete(line.get(..pos).unwrap_or(line)))
    }
}

impl Validator for Assistant {
    /// Continues on the next line if the expression is incomplete.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = context.input();
        let is_command = input.trim_start().starts_with([':', '#']) || input.trim().is_empty();
        Ok(match crate::expression::parse(input) {
            Err(problem) if problem.is_incomplete && !is_command => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}
