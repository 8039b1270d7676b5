//! Recording of functions: a function runs once, on a placeholder, and its operations are written
//! down.

use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use capnweb_wire::encode::{self, Target, separate};
use serde::Serialize;

use crate::{
    graph::{
        engine::{
            invoke::{Operation, Origin, invoke},
            map::Mapping,
        },
        error::{Error, Result},
        hook::Hook,
        payload::{Cap, Draft, Located, Path, View, encode_error},
    },
    util::{invariant::Invariant, lock::LockExt},
};

/// A stand-in for a value while a function is being recorded.
#[derive(Clone)]
pub(crate) struct Placeholder {
    recorder: Arc<Recorder>,
    /// The index of the value. 0 is the input, and others are results of instructions.
    index: i64,
}

impl Placeholder {
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.recorder, &other.recorder) && self.index == other.index
    }
}

pub(crate) struct Recorder {
    /// The recorder of the enclosing function.
    parent: Option<Arc<Self>>,
    open: AtomicBool,
    tape: Mutex<Tape>,
}

#[derive(Default)]
struct Tape {
    /// The captures of the function, with the IDs that the parent uses for them.
    captures: Vec<(Hook, i64)>,
    /// The instructions, as a bare array without its closing bracket.
    instructions: Vec<u8>,
    count: i64,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Recorder>>> = const { RefCell::new(None) };
}

fn current() -> Option<Arc<Recorder>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Returns whether a function is being recorded on this thread. If so, operations on stubs are
/// recorded instead of sent.
pub(crate) fn is_recording() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// Records an operation on `hook`. Outside a recording, this is an error.
pub(crate) fn record(hook: Hook, path: &Path, operation: Operation) -> Hook {
    let Some(recorder) = current() else {
        return Hook::Broken(escaped());
    };
    recorder
        .instruction(&hook, path, &operation)
        .unwrap_or_else(Hook::Broken)
}

/// Returns the error for a placeholder that is used outside its function.
pub(crate) fn escaped() -> Error {
    Error::type_error(
        "a placeholder was used outside the `map` that it belongs to; the closure of a `map` \
         runs once, to be recorded, and its values exist only at the peer",
    )
}

/// Records `function` and asks `hook` to apply it.
pub(crate) fn record_map<R: Serialize>(
    hook: &Hook,
    path: &Path,
    function: impl FnOnce(Hook) -> R,
) -> Hook {
    match record_function(function) {
        Err(error) => Hook::Broken(error),
        Ok((recorder, instructions)) => recorder.finish(hook, path, instructions),
    }
}

/// Makes a recorder the current one, and restores the previous one on drop.
struct Scope(Arc<Recorder>);

impl Scope {
    fn enter() -> Self {
        let recorder = Arc::new(Recorder {
            parent: current(),
            open: AtomicBool::new(true),
            tape: Mutex::new(Tape {
                instructions: b"[".to_vec(),
                ..Tape::default()
            }),
        });
        CURRENT.set(Some(recorder.clone()));
        Self(recorder)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::Release);
        CURRENT.set(self.0.parent.clone());
    }
}

fn record_function<R: Serialize>(
    function: impl FnOnce(Hook) -> R,
) -> Result<(Arc<Recorder>, Arc<str>)> {
    let scope = Scope::enter();
    let recorder = scope.0.clone();
    let input = Hook::Placeholder(Placeholder {
        recorder: recorder.clone(),
        index: 0,
    });
    let output = function(input);
    let mut draft = Draft::default();
    draft.write_expr(&output)?;
    let written = recorder.content(draft.view())?;
    let mut instructions = recorder.with(|tape| std::mem::take(&mut tape.instructions));
    separate(&mut instructions);
    instructions.extend_from_slice(&written);
    instructions.push(b']');
    drop(scope);
    let instructions = String::from_utf8(instructions).map_err(|_| Error::internal())?;
    Ok((recorder, instructions.into()))
}

impl Recorder {
    fn with<R>(&self, f: impl FnOnce(&mut Tape) -> R) -> R {
        f(&mut self.tape.acquire())
    }

    /// Passes the recorded function on: to the peer, or to the enclosing function.
    fn finish(&self, hook: &Hook, path: &Path, instructions: Arc<str>) -> Hook {
        let captures = self.with(|tape| std::mem::take(&mut tape.captures));
        let Some(parent) = &self.parent else {
            let captures = captures.into_iter().map(|(hook, _)| hook).collect();
            let mapping = Mapping {
                captures,
                instructions,
                budget: None,
            };
            return invoke(hook.clone(), path, Operation::Map(mapping), &Origin::App);
        };
        let subject = match parent.name(hook) {
            Ok(subject) => subject,
            Err(error) => return Hook::Broken(error),
        };
        parent.write(|out| {
            let path = path.as_json();
            let map = encode::Operation::Map {
                target: Target::new(subject, &path),
                instructions: &instructions,
            };
            map.write(out, |out| {
                encode::captures(out, captures.iter().map(|(_, name)| *name))
            });
        })
    }

    /// Returns the ID of `hook` for use in instructions. A hook from outside the function is
    /// captured.
    fn name(self: &Arc<Self>, hook: &Hook) -> Result<i64> {
        if let Hook::Placeholder(placeholder) = hook {
            if Arc::ptr_eq(&placeholder.recorder, self) {
                return Ok(placeholder.index);
            }
            if !placeholder.recorder.open.load(Ordering::Acquire) {
                return Err(escaped());
            }
        }
        let known = self.with(|tape| {
            tape.captures
                .iter()
                .position(|(known, _)| known.is_same(hook))
        });
        let place = match known {
            Some(place) => place,
            None => {
                let name = match &self.parent {
                    Some(parent) => parent.name(hook)?,
                    None if matches!(hook, Hook::Placeholder(_)) => return Err(escaped()),
                    None => 0,
                };
                self.with(|tape| {
                    tape.captures.push((hook.clone(), name));
                    tape.captures.len() - 1
                })
            }
        };
        Ok(-i64::try_from(place).unwrap_or(i64::MAX) - 1)
    }

    /// Writes an instruction, and returns a placeholder for its result.
    fn write(self: &Arc<Self>, write: impl FnOnce(&mut Vec<u8>)) -> Hook {
        let index = self.with(|tape| {
            separate(&mut tape.instructions);
            write(&mut tape.instructions);
            tape.count += 1;
            tape.count
        });
        Hook::Placeholder(Placeholder {
            recorder: self.clone(),
            index,
        })
    }

    fn instruction(
        self: &Arc<Self>,
        hook: &Hook,
        path: &Path,
        operation: &Operation,
    ) -> Result<Hook> {
        let subject = self.name(hook)?;
        let args = match operation {
            Operation::Call(args) => Some(self.content(args.view())?),
            Operation::Get => None,
            Operation::Map(_) => return Err(escaped()),
        };
        Ok(self.write(|out| {
            let path = path.as_json();
            let target = Target::new(subject, &path);
            let operation = match args {
                Some(_) => encode::Operation::Call(target),
                None => encode::Operation::Read(target),
            };
            operation.write(out, |out| out.extend_from_slice(&args.unwrap_or_default()));
        }))
    }

    /// Returns content in the form that it has within an instruction.
    fn content(self: &Arc<Self>, view: View<'_>) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut copied = 0;
        for (span, cap) in view.spans.iter().zip(view.caps) {
            let until = span.start as usize;
            out.extend_from_slice(
                view.text
                    .get(copied..until)
                    .or_bug("holes are in order, within the text")
                    .as_bytes(),
            );
            copied = span.end as usize;
            let (is_stub, located) = match cap {
                Cap::Stub(located) if matches!(located.hook, Hook::Placeholder(_)) => {
                    (false, located)
                }
                Cap::Stub(located) if located.path.is_empty() => (true, located),
                // A promise that has settled to a stub counts as that stub.
                Cap::Promise(located) if located.path.is_empty() && located.hook.is_stub() => {
                    (true, located)
                }
                Cap::Stub(located) | Cap::Promise(located) => (false, located),
                Cap::Bytes(bytes, container) => {
                    capnweb_wire::write_form(&mut out, bytes, *container);
                    continue;
                }
                Cap::Readable(_) | Cap::Writable(_) | Cap::Blob(_) => {
                    return Err(Error::type_error(
                        "a stream can be used only once, so it cannot be used inside a `map`",
                    ));
                }
                Cap::Error(error) => {
                    let redact = |error: &Error| error.clone().without_stack();
                    let encoded = encode_error(&redact, error);
                    out.extend_from_slice(encoded.view().text.as_bytes());
                    continue;
                }
            };
            let Located { hook, path } = located;
            let name = self.name(hook)?;
            if is_stub {
                encode::import(&mut out, name);
            } else {
                encode::pipeline(&mut out, name, &path.as_json());
            }
        }
        out.extend_from_slice(
            view.text
                .get(copied..)
                .or_bug("holes are in order, within the text")
                .as_bytes(),
        );
        Ok(out)
    }
}
