//! Applying a recorded function to a value.

use std::{ops::Range, sync::Arc};

use capnweb_wire::{Form, Hole, Kind, Span, elements, kind, scan_list};

use super::{Budget, Mapping};
use crate::{
    error::{Error, Result},
    evaluate::{Evaluator, Ground},
    hook::{Hook, Settled},
    payload::{Cap, Draft, Payload},
    perform::{Origin, perform},
};

/// Applies `mapping` to the value at `span` of `payload`: to each element of an array, once to
/// anything else, not at all to null and undefined.
pub(crate) fn apply(payload: &Payload, span: Span, mapping: Mapping, origin: &Origin) -> Hook {
    match apply_all(payload, span, &mapping, origin) {
        Ok(result) => Hook::Value(result),
        Err(error) => Hook::Broken(error),
    }
}

fn apply_all(payload: &Payload, span: Span, mapping: &Mapping, origin: &Origin) -> Result<Payload> {
    let view = payload.view();
    let is_cap = view.cap_at(span.start).is_some();
    let kind = if is_cap {
        Kind::Capability
    } else {
        kind(view.text, span)
    };
    if matches!(kind, Kind::Null | Kind::Undefined) {
        return Ok(view.cut(span));
    }
    let limits = origin.limits();
    let program = Program::read(mapping, &limits, origin)?;
    let mut out = Draft::default();
    if kind != Kind::Array {
        program.run(view.cut(span), &mut out)?;
        return Ok(out.take_payload());
    }
    out.text.extend_from_slice(b"[[");
    for element in elements(view.text, span).into_iter().flatten() {
        if out.text.len() > 2 {
            out.text.push(b',');
        }
        program.run(view.cut(element), &mut out)?;
    }
    out.text.extend_from_slice(b"]]");
    Ok(out.take_payload())
}

/// A recorded function, read once for all elements.
struct Program<'a> {
    text: &'a str,
    captures: &'a [Hook],
    holes: Vec<Hole>,
    /// Each instruction, and which holes are its own.
    instructions: Vec<(Span, Range<usize>)>,
    budget: Arc<Budget>,
    /// Whether this is part of another map, whose budget it uses.
    is_nested: bool,
    origin: &'a Origin,
}

impl<'a> Program<'a> {
    fn read(
        mapping: &'a Mapping,
        limits: &crate::session::Limits,
        origin: &'a Origin,
    ) -> Result<Self> {
        let budget = match &mapping.budget {
            Some(budget) => budget.clone(),
            None => Arc::new(Budget::new(limits)),
        };
        let (mut holes, mut items) = (Vec::new(), Vec::new());
        let text = mapping.instructions();
        // A nested map is read again for each element of the one around it.
        budget.spend_bytes(text.len())?;
        scan_list(text, limits.wire(), &mut holes, &mut items)?;
        if items.is_empty() {
            return Err(Error::new("Invalid empty mapper function."));
        }
        let instructions = items
            .into_iter()
            .map(|item| {
                let from = holes.partition_point(|hole: &Hole| hole.span.start < item.start);
                let to = holes.partition_point(|hole: &Hole| hole.span.start < item.end);
                (item, from..to)
            })
            .collect();
        Ok(Self {
            text,
            captures: &mapping.captures,
            holes,
            instructions,
            budget,
            is_nested: mapping.budget.is_some(),
            origin,
        })
    }

    /// Runs all instructions on one input and appends the result to `out`.
    fn run(&self, input: Payload, out: &mut Draft) -> Result<()> {
        self.budget.spend_instructions(self.instructions.len())?;
        if self.is_nested {
            // Cut out of what may be the same value for each element of the map around this one.
            self.budget.spend_bytes(input.weight())?;
        }
        let mut variables = Vec::with_capacity(self.instructions.len());
        variables.push(Hook::Value(input));
        let last = self.instructions.len() - 1;
        let before = out.text_len();
        for (number, (span, holes)) in self.instructions.iter().enumerate() {
            // What is literal in it is copied.
            self.budget.spend_bytes(span.len())?;
            let result = self.step(*span, holes.clone(), &variables)?;
            if number < last {
                if let Hook::Value(payload) = &result {
                    self.budget.spend_bytes(payload.weight())?;
                }
                variables.push(result);
                continue;
            }
            match result.follow() {
                Settled::Yes(Hook::Value(payload)) => out.push_view(payload.view())?,
                // Not only promises: a rejection belongs to the element, not to the map.
                Settled::Yes(Hook::Broken(_)) | Settled::Not(_) => {
                    out.push_cap(Cap::promise(result))?;
                }
                Settled::Yes(stub) => out.push_cap(Cap::stub(stub))?,
            }
        }
        self.budget.spend_bytes(out.text_len() - before)
    }

    fn step(&self, whole: Span, holes: Range<usize>, variables: &[Hook]) -> Result<Hook> {
        let holes = self.holes.get(holes).unwrap_or_default();
        let mut grounds = Vec::with_capacity(holes.len());
        for hole in holes {
            grounds.push(self.ground(hole, variables)?);
        }
        let evaluator = Evaluator {
            text: self.text,
            whole,
            holes,
            grounds,
            origin: self.origin,
            budget: Some(self.budget.clone()),
        };
        Ok(match evaluator.root_request() {
            None => Hook::Value(evaluator.payload()),
            Some(Err(hook)) => hook,
            Some(Ok(prepared)) => {
                perform(prepared.hook, &prepared.path, prepared.request, self.origin)
            }
        })
    }

    fn ground(&self, hole: &Hole, variables: &[Hook]) -> Result<Ground> {
        if !matches!(hole.form, Form::Import | Form::Pipeline | Form::Remap) {
            return Err(Error::new("A mapper function cannot refer to exports."));
        }
        let found = match usize::try_from(hole.id) {
            Ok(variable) => variables.get(variable),
            Err(_) => usize::try_from(hole.id.unsigned_abs() - 1)
                .ok()
                .and_then(|capture| self.captures.get(capture)),
        };
        match found {
            Some(hook) => Ok(Ground::Export {
                hook: hook.clone(),
                is_stub: false,
            }),
            None => Err(Error::new(format!(
                "no such entry on exports table: {}",
                hole.id
            ))),
        }
    }
}
