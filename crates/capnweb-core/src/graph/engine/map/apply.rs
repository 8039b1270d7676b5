//! Application of a recorded function to a value.

use std::sync::Arc;

use capnweb_wire::{Kind, Span, elements, kind};

use crate::{
    graph::{
        engine::{
            effort,
            evaluate::{Evaluator, ResolvedRef},
            invoke::{Origin, call_method, invoke},
            map::{
                Budget, Mapping,
                program::{Instruction, Plan, Program, object},
            },
        },
        error::{Error, Result},
        hook::{Hook, Settled},
        offload::{Job, LONG_TEXT, is_offloaded, offload},
        payload::{Cap, Draft, Growth, Payload, View, check_depth, is_less_deep},
        promise_state::PromiseState,
    },
    limits::Limits,
    util::search::contains,
};

/// Applies `mapping` to the value at `span` of `payload`: to each element of an array, or once to
/// any other value. Null and undefined are left unchanged.
pub(crate) fn apply(payload: &Payload, span: Span, mapping: Mapping, origin: &Origin) -> Hook {
    if let Origin::Peer(call) = origin
        && call.offloads()
        && takes_long(payload, span, &mapping)
    {
        let result = PromiseState::new();
        let applying = Applying {
            payload: payload.clone(),
            span,
            mapping,
            origin: origin.clone(),
            result: result.clone(),
        };
        offload(call, Box::new(applying));
        return Hook::Promise(result);
    }
    match apply_all(payload, span, &mapping, origin) {
        Ok(result) => Hook::Value(result),
        Err(error) => Hook::Broken(error),
    }
}

/// A function that is applied on another thread.
struct Applying {
    payload: Payload,
    span: Span,
    mapping: Mapping,
    origin: Origin,
    result: Arc<PromiseState>,
}

impl Job for Applying {
    fn run(self: Box<Self>) {
        let applied = apply(&self.payload, self.span, self.mapping, &self.origin);
        self.result.settle(applied);
    }

    fn cancel(self: Box<Self>) {
        self.result.settle(Hook::Broken(Error::session_over()));
    }
}

/// Returns whether applying a function may take long, by a generous estimate from sizes.
fn takes_long(payload: &Payload, span: Span, mapping: &Mapping) -> bool {
    /// The minimum length of an instruction that refers to something, in bytes.
    const INSTRUCTION_LEN: usize = 12;
    let text = mapping.instructions();
    let captured = mapping.captured_len();
    // An inner map can be applied to any value, for each element.
    if payload.is_long()
        || captured > LONG_TEXT
        || text.len() > LONG_TEXT
        || contains(text.as_bytes(), b"remap")
    {
        return true;
    }
    let instructions = text.len() / INSTRUCTION_LEN + 1;
    let takes_long = |elements: usize| {
        let steps = elements.saturating_mul(instructions);
        // Each instruction can copy its element, or a capture.
        let copied = span.len() * instructions + captured.saturating_mul(steps);
        steps.saturating_mul(effort::INSTRUCTION) + copied / 4 > effort::MAX_IN_POLL
    };
    // An element takes at least two bytes.
    takes_long(span.len() / 2 + 1)
        && takes_long(
            elements(payload.view().text, span)
                .into_iter()
                .flatten()
                .count(),
        )
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
    let application = Application::new(mapping, origin)?;
    let mut scratch = MapScratch::default();
    let mut out = Draft::default();
    if kind != Kind::Array {
        application.run(view.cut(span), &mut scratch, &mut out)?;
        return application.finish(out);
    }
    out.text.extend_from_slice(b"[[");
    for element in elements(view.text, span).into_iter().flatten() {
        if out.text.len() > 2 {
            out.text.push(b',');
        }
        application.run(view.cut(element), &mut scratch, &mut out)?;
    }
    out.text.extend_from_slice(b"]]");
    application.finish(out)
}

/// A function that is being applied.
struct Application<'a> {
    program: Program<'a>,
    budget: Arc<Budget>,
    /// True if this is part of another map, whose budget it uses.
    is_nested: bool,
    /// True if it is applied on another thread, so that the session can end meanwhile.
    is_offloaded: bool,
    limits: Arc<Limits>,
    origin: &'a Origin,
}

/// Buffers that are reused for each element.
#[derive(Default)]
struct MapScratch {
    /// The input of the current element, and its results so far.
    variables: Vec<Hook>,
    /// A buffer for content with substituted promises.
    filled: String,
}

impl MapScratch {
    /// Drops a buffer that is too large to keep.
    fn trim(&mut self) {
        const KEEP: usize = 64 * 1024;
        if self.filled.capacity() > KEEP {
            self.filled = String::new();
        }
    }
}

impl<'a> Application<'a> {
    fn new(mapping: &'a Mapping, origin: &'a Origin) -> Result<Self> {
        let limits = origin.limits();
        let budget = match &mapping.budget {
            Some(budget) => budget.clone(),
            None => Arc::new(Budget::new(&limits)),
        };
        // A nested map is parsed again for each element of the outer map.
        budget.spend_bytes(mapping.instructions().len())?;
        Ok(Self {
            program: Program::read(mapping.instructions(), &mapping.captures, &limits)?,
            budget,
            is_nested: mapping.budget.is_some(),
            is_offloaded: is_offloaded(),
            limits,
            origin,
        })
    }

    /// Returns the outcome, unless it is larger than a message may be.
    fn finish(&self, mut out: Draft) -> Result<Payload> {
        let extra = out.size_beside_text();
        Growth::default().check(&out.text, extra, &self.limits)?;
        Ok(out.take_payload())
    }

    /// Runs all instructions on one input and appends the result to `out`.
    fn run(&self, input: Payload, scratch: &mut MapScratch, out: &mut Draft) -> Result<()> {
        if self.is_offloaded
            && let Origin::Peer(call) = self.origin
            && call.is_over()
        {
            return Err(Error::canceled("a map was stopped: its session is over"));
        }
        let instructions = &self.program.instructions;
        self.budget.spend_instructions(instructions.len())?;
        effort::spend(instructions.len().saturating_mul(effort::INSTRUCTION));
        if self.is_nested {
            // The input may be a part of the same value for each element of the outer map.
            self.budget.spend_bytes(input.cost())?;
        }
        let (last, others) = instructions.split_last().ok_or_else(Error::internal)?;
        scratch.variables.push(Hook::Value(input));
        let mut passing = 0;
        for instruction in others {
            let result = self.step(instruction, scratch)?;
            let cost = cost(&result);
            self.budget.spend_bytes(cost)?;
            if instruction.plan.fills_in() {
                passing += cost;
            }
            scratch.variables.push(result);
        }
        let before = out.text_len();
        if let Some(value) = self.value(last, scratch) {
            self.budget.spend_bytes(last.span.len())?;
            out.text.extend_from_slice(value.as_bytes());
            scratch.trim();
        } else {
            match self.step(last, scratch)? {
                Hook::Value(payload) if payload.is_text() => out.push_view(payload.view())?,
                result => push_result(result, out)?,
            }
        }
        scratch.variables.clear();
        self.budget.return_bytes(passing);
        self.budget.spend_bytes(out.text_len() - before)
    }

    /// Returns the text of an instruction that is a value whose promises have all settled to plain
    /// data.
    fn value<'b>(
        &'b self,
        instruction: &Instruction,
        scratch: &'b mut MapScratch,
    ) -> Option<&'b str> {
        let Plan::Value(template) = &instruction.plan else {
            return None;
        };
        let MapScratch { variables, filled } = scratch;
        let look_up = |reference| self.program.look_up(reference, variables);
        let value = template
            .fill(self.program.text, look_up, &self.limits, filled)?
            .ok()?;
        // Content that is substituted later is checked as a whole together with its surroundings.
        // Content that is substituted here is not, so it must stay well below the limit: otherwise
        // a value that is mapped repeatedly would get deeper each time.
        let is_flat = is_less_deep(value, self.limits.max_depth() / 2);
        is_flat.then_some(value)
    }

    fn step(&self, instruction: &Instruction, scratch: &mut MapScratch) -> Result<Hook> {
        // The literal parts of the instruction are copied.
        self.budget.spend_bytes(instruction.span.len())?;
        match self.shortcut(instruction, scratch) {
            Some(result) => Ok(result),
            None => self.evaluate(instruction, &scratch.variables),
        }
    }

    /// Returns the result of an instruction if a shortcut applies.
    fn shortcut(&self, instruction: &Instruction, scratch: &mut MapScratch) -> Option<Hook> {
        let MapScratch { variables, filled } = scratch;
        let look_up = |reference| self.program.look_up(reference, variables);
        match &instruction.plan {
            Plan::Constant(payload) => Some(Hook::Value(payload.clone())),
            Plan::Same {
                subject,
                is_promise,
            } => match look_up(*subject)? {
                // A promise of a peer's stub has to be requested from the peer.
                Hook::Import(_) if *is_promise => None,
                hook => Some(hook.clone()),
            },
            Plan::Get { subject, path } => match look_up(*subject)? {
                Hook::Value(payload) if payload.is_text() => payload.get(path, 0).ok(),
                _ => None,
            },
            Plan::Call {
                subject,
                method,
                args: template,
            } => {
                // The application's own calls are queued.
                if matches!(self.origin, Origin::App) {
                    return None;
                }
                let target = object(look_up(*subject)?)?;
                let filled = template.fill(self.program.text, look_up, &self.limits, filled)?;
                let checked = filled.and_then(|args| {
                    // Constant arguments were checked along with the function.
                    if !template.is_constant() {
                        check_depth(args, 0, self.limits.max_depth())?;
                    }
                    Ok(View::plain(args))
                });
                let result = match checked {
                    Ok(args) => call_method(target, method, args, self.origin),
                    Err(error) => Hook::Broken(error),
                };
                scratch.trim();
                Some(result)
            }
            Plan::Value(_) | Plan::Any => None,
        }
    }

    fn evaluate(&self, instruction: &Instruction, variables: &[Hook]) -> Result<Hook> {
        let holes = self.program.holes(instruction);
        let resolve = |hole| {
            Ok(ResolvedRef::Export {
                hook: self.program.resolve_id(hole, variables)?.clone(),
                is_stub: false,
            })
        };
        let evaluator = Evaluator {
            text: self.program.text,
            whole: instruction.span,
            holes,
            refs: holes.iter().map(resolve).collect::<Result<_>>()?,
            origin: self.origin,
            budget: Some(&self.budget),
        };
        Ok(match evaluator.root_request() {
            None => Hook::Value(evaluator.payload()),
            Some(Err(hook)) => hook,
            Some(Ok(prepared)) => invoke(
                prepared.hook,
                &prepared.path,
                prepared.operation,
                self.origin,
            ),
        })
    }
}

/// Returns the cost of holding a result.
fn cost(result: &Hook) -> usize {
    if let Hook::Value(payload) = result {
        return payload.cost();
    }
    match result.follow() {
        Settled::Yes(Hook::Value(payload)) => payload.cost(),
        _ => 0,
    }
}

/// Appends the result for an element.
fn push_result(result: Hook, out: &mut Draft) -> Result<()> {
    match result.follow() {
        Settled::Yes(Hook::Value(payload)) => out.push_view(payload.view()),
        // This includes rejections, since they belong to the element rather than to the map.
        Settled::Yes(Hook::Broken(_)) | Settled::Not(_) => out.push_cap(Cap::promise(result)),
        Settled::Yes(stub) => out.push_cap(Cap::stub(stub)),
    }
}
