//! A method of an interface: its parameters, its result, and the errors for methods that cannot be
//! called.

use proc_macro2::{Ident, Span};
use syn::{FnArg, Receiver, ReceiverKind, Safety, Signature, TraitItemFn, Type};

use super::{
    kind::Kind,
    params::{Param, params},
    returns::{Returns, returns},
    rpc::MethodOptions,
};
use crate::{
    attributes::Carried,
    errors::Errors,
    names::{is_taken, unreachable_because, wire_name},
};

/// A method without errors.
pub(super) struct Method {
    pub(super) ident: Ident,
    /// The wire name. It has no meaning for a catch-all.
    pub(super) wire: String,
    /// The span of the tokens that determine the wire name.
    pub(super) wire_span: Span,
    pub(super) carried: Carried,
    pub(super) kind: Kind,
    pub(super) is_async: bool,
    pub(super) is_strict: bool,
    /// True if lost calls may be retried.
    pub(super) is_idempotent: bool,
    pub(super) is_canceled_on_release: bool,
    /// True if it has the option `default`.
    pub(super) has_default: bool,
    /// The parameters in the order of the signature, without the receiver.
    pub(super) params: Vec<Param>,
    pub(super) returns: Returns,
    /// The type that describes the result, if it differs from the result's own.
    described_as: Option<Type>,
}

impl Method {
    /// Returns the type that describes the result.
    pub(super) fn described_result(&self) -> &Type {
        self.described_as.as_ref().unwrap_or(&self.returns.value)
    }

    /// Returns the parameters that are arguments, which contexts are not.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().filter(|param| param.is_argument())
    }

    /// Reads a method and removes its `rpc` attributes. Returns `None` if it has errors.
    pub(super) fn read(
        function: &mut TraitItemFn,
        strict: bool,
        errors: &mut Errors,
    ) -> Option<Self> {
        let mut found = Errors::default();
        let options = MethodOptions::read(function, &mut found);
        let params = params(function, &mut found);
        let signature = &function.sig;
        refuse_kinds_of_functions(signature, &mut found);
        refuse_receiver(signature, &mut found);
        let returns = returns(signature, &mut found);
        let (wire, wire_span) = match &options.name {
            Some(name) => (name.value(), name.span()),
            None => (wire_name(&signature.ident), signature.ident.span()),
        };
        let kind = options.kind(signature, params.as_deref(), &mut found);
        if kind != Kind::CatchAll {
            refuse_wire_name(&wire, wire_span, &mut found);
        }
        refuse_name(&signature.ident, &wire, &mut found);
        if !found.is_empty() {
            errors.append(found);
            return None;
        }
        Some(Self {
            ident: signature.ident.clone(),
            wire,
            wire_span,
            carried: Carried::of(&function.attrs),
            kind,
            is_async: signature.asyncness.is_some(),
            is_strict: strict || options.strict.is_some(),
            has_default: options.default.is_some(),
            is_canceled_on_release: options.cancel_on_release.is_some(),
            is_idempotent: options.idempotent.is_some(),
            params: params?,
            returns: returns?,
            described_as: options.described_as,
        })
    }
}

fn refuse_kinds_of_functions(signature: &Signature, errors: &mut Errors) {
    if let Some(token) = &signature.constness {
        errors.at(token, "a method that peers call cannot be `const`");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.at(
            token,
            "a method that peers call cannot be `unsafe`: they choose the arguments",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(
            abi,
            "a method that peers call must be a plain Rust method: remove `extern`",
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(
            variadic,
            "for any number of arguments, make the last parameter `#[rpc(rest)] args: Vec<…>`",
        );
    }
    let lifetimes = signature.generics.lifetimes().next().is_some();
    if lifetimes {
        errors.at(
            &signature.generics,
            "a method that peers call cannot have lifetime parameters: received values are owned",
        );
    } else if !signature.generics.params.is_empty() {
        errors.at(
            &signature.generics,
            "a method that peers call cannot be generic, because calls carry no types; make the \
             trait generic instead, or take a `Value`, which may be anything",
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.at(
            clause,
            "a method that peers call cannot have a `where` clause, because every peer can call \
             it",
        );
    }
}

fn refuse_receiver(signature: &Signature, errors: &mut Errors) {
    let Some(FnArg::Receiver(receiver)) = signature.inputs.first() else {
        errors.at(
            &signature.ident,
            "a method is called on an object: take `&self` first",
        );
        return;
    };
    match &receiver.kind {
        ReceiverKind::Reference(_, None, None) => {}
        ReceiverKind::Reference(_, _, Some(_)) => errors.at(
            receiver,
            "methods take `&self`, because several calls can run at a time; keep mutable state in \
             a `Mutex` or an atomic",
        ),
        ReceiverKind::Reference(_, Some(lifetime), None) => {
            errors.at(lifetime, "methods take `&self`, without a lifetime");
        }
        _ => refuse_owned_receiver(receiver, errors),
    }
}

fn refuse_owned_receiver(receiver: &Receiver, errors: &mut Errors) {
    let message = match &receiver.kind {
        ReceiverKind::Typed(..) => {
            "methods take `&self`; to get the object itself, for instance to return it, take a \
             `Context` as a parameter and call `Context::this`"
        }
        _ => "methods take `&self`: an object can be called again, so a call does not consume it",
    };
    errors.at(receiver, message);
}

/// Rejects wire names that no client can call.
fn refuse_wire_name(wire: &str, span: Span, errors: &mut Errors) {
    if wire.is_empty() {
        errors.at_span(
            span,
            "a method needs a name on the wire: `#[rpc(name = \"…\")]`",
        );
    } else if let Some(reason) = unreachable_because(wire) {
        errors.at_span(
            span,
            format!(
                "`{wire}` cannot be called by clients: {reason}; rename it on the wire with \
                 `#[rpc(name = \"…\")]`"
            ),
        );
    }
}

/// Rejects Rust names of methods that every stub has.
fn refuse_name(ident: &Ident, wire: &str, errors: &mut Errors) {
    if is_taken(ident) {
        errors.at(
            ident,
            format!(
                "every stub or promise has its own `{ident}`, so callers could not reach this \
                 method; rename it in Rust, and keep the name on the wire with `#[rpc(name = \
                 \"{wire}\")]`"
            ),
        );
    }
}
