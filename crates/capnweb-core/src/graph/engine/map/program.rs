//! Parsed functions.

use std::{ops::Range, sync::Arc};

use capnweb_wire::{Form, Hole, Span, scan_list};

use crate::{
    graph::{
        engine::map::template::Template,
        error::{Error, Result},
        hook::Hook,
        local_object::LocalObject,
        payload::{Cap, Path, Payload},
    },
    limits::Limits,
    util::invariant::Invariant,
};

/// A recorded function that is parsed once for all elements.
pub(crate) struct Program<'a> {
    pub(crate) text: &'a str,
    captures: &'a [Hook],
    holes: Vec<Hole>,
    /// The instructions, of which there is at least one.
    pub(crate) instructions: Vec<Instruction>,
}

/// One instruction.
pub(crate) struct Instruction {
    pub(crate) span: Span,
    /// The range of the instruction's holes.
    holes: Range<usize>,
    pub(crate) plan: Plan,
}

/// The way to evaluate an instruction. All but the last are shortcuts with the same result as the
/// evaluator. A shortcut applies if the things that the instruction refers to are settled and
/// plain.
pub(crate) enum Plan {
    /// The instruction refers to nothing.
    Constant(Payload),
    /// The instruction returns its subject.
    Same {
        subject: Reference,
        /// True if the subject is requested as a promise.
        is_promise: bool,
    },
    /// The instruction reads a property.
    Get { subject: Reference, path: Path },
    /// The instruction calls a method, or the subject itself if the method is empty.
    Call {
        subject: Reference,
        method: Box<str>,
        args: Template,
    },
    /// The instruction is a value that contains promises.
    Value(Template),
    /// The instruction needs the evaluator.
    Any,
}

/// The things that an instruction can refer to.
#[derive(Clone, Copy)]
pub(crate) enum Reference {
    /// The input, or the result of an earlier instruction.
    Variable(usize),
    Capture(usize),
}

impl Reference {
    fn of(id: i64) -> Option<Self> {
        match usize::try_from(id) {
            Ok(variable) => Some(Self::Variable(variable)),
            Err(_) => {
                let capture = usize::try_from(id.unsigned_abs() - 1).ok()?;
                Some(Self::Capture(capture))
            }
        }
    }
}

impl<'a> Program<'a> {
    pub(crate) fn read(text: &'a str, captures: &'a [Hook], limits: &Limits) -> Result<Self> {
        let (mut holes, mut items) = (Vec::new(), Vec::new());
        scan_list(text, limits.wire(), &mut holes, &mut items)?;
        if items.is_empty() {
            return Err(Error::new("Invalid empty mapper function."));
        }
        let instructions = items
            .into_iter()
            .map(|span| {
                let from = holes.partition_point(|hole: &Hole| hole.span.start < span.start);
                let to = holes.partition_point(|hole: &Hole| hole.span.start < span.end);
                let own = holes
                    .get(from..to)
                    .or_bug("instructions span holes of theirs");
                Instruction {
                    span,
                    holes: from..to,
                    plan: Plan::of(text, span, own).unwrap_or(Plan::Any),
                }
            })
            .collect();
        Ok(Self {
            text,
            captures,
            holes,
            instructions,
        })
    }

    pub(crate) fn holes(&self, instruction: &Instruction) -> &[Hole] {
        self.holes
            .get(instruction.holes.clone())
            .or_bug("instructions span holes of theirs")
    }

    /// Returns the hook that `reference` refers to, if there is one.
    pub(crate) fn look_up<'b>(
        &'b self,
        reference: Reference,
        variables: &'b [Hook],
    ) -> Option<&'b Hook> {
        match reference {
            Reference::Variable(variable) => variables.get(variable),
            Reference::Capture(capture) => self.captures.get(capture),
        }
    }

    /// Returns the hook that the ID of a hole refers to.
    pub(crate) fn resolve_id<'b>(&'b self, hole: &Hole, variables: &'b [Hook]) -> Result<&'b Hook> {
        if !matches!(hole.form, Form::Import | Form::Pipeline | Form::Remap) {
            return Err(Error::new("A mapper function cannot refer to exports."));
        }
        Reference::of(hole.id)
            .and_then(|reference| self.look_up(reference, variables))
            .ok_or_else(|| Error::new(format!("no such entry on exports table: {}", hole.id)))
    }
}

impl Plan {
    /// Returns whether values are substituted into the instruction's arguments. Results of such
    /// instructions usually become part of the whole result. So they count towards the budget
    /// during the evaluation of their element, and afterwards only as part of the result.
    pub(crate) fn fills_in(&self) -> bool {
        matches!(self, Self::Call { args, .. } if !args.is_constant())
    }

    /// Returns the shortcut for the instruction at `whole` with these holes, if there is one.
    fn of(text: &str, whole: Span, holes: &[Hole]) -> Option<Self> {
        let Some((root, inner)) = holes.split_first() else {
            return Some(Self::Constant(Payload::from_text(whole.of(text))));
        };
        if root.span != whole {
            return Template::read(text, whole, holes).map(Self::Value);
        }
        if !matches!(root.form, Form::Import | Form::Pipeline) {
            return None;
        }
        let subject = Reference::of(root.id)?;
        let path = match root.path {
            Some(span) => Path::from_json(span.of(text)),
            None => Path::default(),
        };
        Some(match root.args {
            Some(args) => Self::Call {
                subject,
                method: if path.is_empty() { "" } else { path.as_name()? }.into(),
                args: Template::read(text, args, inner)?,
            },
            None if path.is_empty() => Self::Same {
                subject,
                is_promise: root.form == Form::Pipeline || root.path.is_some(),
            },
            None => Self::Get { subject, path },
        })
    }
}

impl Template {
    /// Parses the content at `span` with these holes. Returns `None` if it contains anything but
    /// promises of existing values and their properties.
    fn read(text: &str, span: Span, holes: &[Hole]) -> Option<Self> {
        let mut template = Self::new(span);
        for hole in holes {
            if hole.form != Form::Pipeline || hole.args.is_some() {
                return None;
            }
            let path = match hole.path {
                Some(path) => Path::from_json(path.of(text)),
                None => Path::default(),
            };
            template.push(hole.span, Reference::of(hole.id)?, path);
        }
        Some(template)
    }
}

/// Returns the local object that `hook` refers to, if that is known without asking a peer.
pub(crate) fn object(hook: &Hook) -> Option<&Arc<LocalObject>> {
    let hook = match hook {
        Hook::Value(payload) => match payload.view().root_cap()? {
            Cap::Stub(located) if located.path.is_empty() => &located.hook,
            _ => return None,
        },
        hook => hook,
    };
    match hook {
        Hook::Target(target) => Some(target),
        _ => None,
    }
}
