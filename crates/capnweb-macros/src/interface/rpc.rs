//! The options of `#[rpc(…)]` on a method.

use proc_macro2::Span;
use quote::quote;
use syn::{LitStr, Signature, TraitItemFn, Type, spanned::Spanned};

use super::{
    kind::Kind,
    params::{Param, Role},
};
use crate::{
    attributes::{refuse_conditional, take_rpc},
    errors::Errors,
    options::{described_as, unknown},
    types::is_string,
};

/// The options of a method.
#[derive(Default)]
pub(super) struct MethodOptions {
    pub(super) name: Option<LitStr>,
    get: Option<Span>,
    pub(super) cancel_on_release: Option<Span>,
    /// Set if lost calls may be retried.
    pub(super) idempotent: Option<Span>,
    pub(super) strict: Option<Span>,
    catch_all: Option<Span>,
    /// Set if implementations may omit the method.
    pub(super) default: Option<Span>,
    /// The type that describes the result.
    pub(super) described_as: Option<Type>,
}

impl MethodOptions {
    /// Reads the options and removes their attributes.
    pub(super) fn read(function: &mut TraitItemFn, errors: &mut Errors) -> Self {
        refuse_conditional(&mut function.attrs, errors);
        let mut options = Self::default();
        for attr in take_rpc(&mut function.attrs) {
            let read = attr.parse_nested_meta(|meta| {
                let span = Some(meta.path.span());
                if meta.path.is_ident("name") {
                    options.name = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("get") {
                    options.get = span;
                } else if meta.path.is_ident("cancel_on_release") {
                    options.cancel_on_release = span;
                } else if meta.path.is_ident("idempotent") {
                    options.idempotent = span;
                } else if meta.path.is_ident("strict") {
                    options.strict = span;
                } else if meta.path.is_ident("catch_all") {
                    options.catch_all = span;
                } else if meta.path.is_ident("default") {
                    options.default = span;
                } else if meta.path.is_ident("as") {
                    options.described_as = Some(described_as(&meta)?);
                } else {
                    return Err(unknown(
                        &meta,
                        "a method",
                        "there are `name = \"…\"`, `get`, `cancel_on_release`, `idempotent`, \
                         `strict`, `default`, `catch_all`, and `as = Type` for its result",
                    ));
                }
                Ok(())
            });
            errors.take(read);
        }
        options
    }

    /// Returns the kind of the method, and refuses options that exclude each other.
    pub(super) fn kind(
        &self,
        signature: &Signature,
        params: Option<&[Param]>,
        errors: &mut Errors,
    ) -> Kind {
        if let (Some(span), None) = (self.cancel_on_release, &signature.asyncness) {
            errors.at_span(
                span,
                "a method that is not `async` finishes before its promise can be dropped; remove \
                 `cancel_on_release`, or make the method `async`",
            );
        }
        if (self.catch_all.is_some() || self.get.is_some())
            && let Some(rest) = params
                .into_iter()
                .flatten()
                .find(|param| matches!(param.role, Role::Rest(_)))
        {
            errors.at(
                &rest.ident,
                "`rest` is for methods: a property has no arguments, and a catch-all takes all of \
                 them",
            );
        }
        let mut arguments = params
            .into_iter()
            .flatten()
            .filter(|param| param.is_argument());
        if let Some(span) = self.catch_all {
            if self.name.is_some() || self.get.is_some() || self.strict.is_some() {
                errors.at_span(
                    span,
                    "a catch-all handles every name and takes all arguments, so `name`, `get` and \
                     `strict` have no meaning",
                );
            }
            let takes = (arguments.next(), arguments.next(), arguments.next());
            if let Some(span) = self.idempotent {
                errors.at_span(
                    span,
                    "a catch-all takes the calls of any methods, and they cannot all be known to be \
                     idempotent; name those that are in the trait",
                );
            }
            let is_right = matches!(
                takes,
                (Some(method), Some(_), None) if is_string(&method.ty)
            );
            if params.is_some() && !is_right {
                errors.at(
                    &signature.inputs,
                    "a catch-all takes the method's name and all arguments at once: `(&self, \
                     method: String, args: Vec<Value>)`, or any other type in place of \
                     `Vec<Value>` that an array can be read as, such as `Payload`",
                );
            }
            return Kind::CatchAll;
        }
        if self.get.is_some() {
            if let Some(span) = self.strict {
                errors.at_span(
                    span,
                    "a property is read without arguments: remove `strict`",
                );
            }
            if let Some(argument) = arguments.next() {
                let (ident, ty) = (&argument.ident, &argument.ty);
                errors.at(
                    quote!(#ident: #ty),
                    "a property is read without arguments; remove them, or `get` to make this a \
                     method",
                );
            }
            return Kind::Property;
        }
        Kind::Method
    }
}
