//! What a method takes.

use proc_macro2::Ident;
use syn::{FnArg, Pat, TraitItemFn, Type};

use crate::{
    attributes::take_rpc,
    errors::Errors,
    types::{Flaw, SELF_TYPE, flaw, is_context, is_option, peeled},
};

/// A call carries no more arguments than the largest tuple that can be written.
const MOST_ARGUMENTS: usize = 12;

pub(super) struct Param {
    pub(super) ident: Ident,
    pub(super) ty: Type,
    pub(super) role: Role,
}

pub(super) enum Role {
    /// Read from the call.
    Argument {
        /// It and all after it are options: what is none may be left out.
        may_be_left_out: bool,
    },
    /// Not read from the call, but about it.
    Context { by_reference: bool },
}

impl Param {
    pub(super) fn is_argument(&self) -> bool {
        matches!(self.role, Role::Argument { .. })
    }
}

/// The parameters; nothing if one is wrong.
pub(super) fn params(function: &mut TraitItemFn, errors: &mut Errors) -> Option<Vec<Param>> {
    let mut params = Vec::new();
    let mut is_sound = true;
    for input in &mut function.sig.inputs {
        let FnArg::Typed(input) = input else { continue };
        take_rpc(&mut input.attrs).iter().for_each(|attr| {
            errors.at(attr, "`#[rpc(…)]` goes on methods, traits and fields");
        });
        if let Some(attr) = input.attrs.first() {
            errors.at(
                attr,
                "parameters of methods that peers call take no attributes",
            );
            is_sound = false;
        }
        let ident = match &*input.pat {
            Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {
                Some(pat.ident.clone())
            }
            pat => {
                errors.at(
                    pat,
                    "a parameter needs a plain name: errors that callers get name it",
                );
                None
            }
        };
        let role = role(&input.ty, errors);
        match (ident, role) {
            (Some(ident), Some(role)) => params.push(Param {
                ident,
                ty: (*input.ty).clone(),
                role,
            }),
            _ => is_sound = false,
        }
    }
    mark_what_may_be_left_out(&mut params);
    let arguments = params.iter().filter(|param| param.is_argument());
    if let Some(param) = arguments.clone().nth(MOST_ARGUMENTS) {
        errors.at(
            &param.ident,
            format!(
                "a call has at most {MOST_ARGUMENTS} arguments; put some together in a `#[value]` \
                 struct"
            ),
        );
    }
    is_sound.then_some(params)
}

fn role(ty: &Type, errors: &mut Errors) -> Option<Role> {
    if is_context(ty) {
        return Some(Role::Context {
            by_reference: false,
        });
    }
    if let Type::Reference(reference) = peeled(ty)
        && is_context(&reference.elem)
        && reference.lifetime.is_none()
        && reference.mutability.is_none()
    {
        return Some(Role::Context { by_reference: true });
    }
    let Some((at, flaw)) = flaw(ty) else {
        return Some(Role::Argument {
            may_be_left_out: false,
        });
    };
    match flaw {
        Flaw::Reference(Some(owned)) => {
            errors.at(at, format!("what arrives is owned: take `{owned}`"));
        }
        Flaw::Reference(None) => errors.at(
            at,
            "what arrives is owned: take the owned type, `String` for `&str` and `Vec<T>` for \
             `&[T]`",
        ),
        Flaw::Lifetime => errors.at(at, "what arrives is owned: take a type without lifetimes"),
        Flaw::Impl => errors.at(
            at,
            "a call names no types, so the parameter's is written out: `Callback<…>` for a \
             function, `FooStub` for an object with the interface `Foo`",
        ),
        Flaw::Dyn => errors.at(
            at,
            "a trait object cannot arrive from a peer: take `Callback<…>` for a function, \
             `FooStub` for an object with the interface `Foo`",
        ),
        Flaw::SelfType => errors.at(at, SELF_TYPE),
    }
    None
}

/// Trailing options may be left out of a call.
fn mark_what_may_be_left_out(params: &mut [Param]) {
    for param in params.iter_mut().rev() {
        if let Role::Argument { may_be_left_out } = &mut param.role {
            if !is_option(&param.ty) {
                return;
            }
            *may_be_left_out = true;
        }
    }
}
