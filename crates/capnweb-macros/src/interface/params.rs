//! The parameters of a method.

use proc_macro2::{Ident, Span};
use syn::{Attribute, FnArg, Pat, TraitItemFn, Type, spanned::Spanned};

use crate::{
    attributes::take_rpc,
    errors::Errors,
    options::{described_as, unknown},
    types::{Flaw, SELF_TYPE, arguments_of, flaw, is_context, is_option, peeled},
};

/// The maximum number of arguments, which is the size of the largest supported tuple.
const MOST_ARGUMENTS: usize = 12;

pub(super) struct Param {
    pub(super) ident: Ident,
    pub(super) ty: Type,
    pub(super) role: Role,
    /// The type that describes the parameter, if it differs from the parameter's own.
    pub(super) described_as: Option<Type>,
}

pub(super) enum Role {
    /// An argument of the call.
    Argument {
        /// True if this and all later arguments are options, which callers may omit.
        may_be_left_out: bool,
    },
    /// All further arguments, in a `Vec` of this type.
    Rest(Box<Type>),
    /// The call's context, which is not an argument.
    Context { by_reference: bool },
}

impl Param {
    pub(super) fn is_argument(&self) -> bool {
        matches!(self.role, Role::Argument { .. } | Role::Rest(_))
    }
}

/// Reads the parameters. Returns `None` if one has errors.
pub(super) fn params(function: &mut TraitItemFn, errors: &mut Errors) -> Option<Vec<Param>> {
    let mut params = Vec::new();
    let mut is_sound = true;
    for input in &mut function.sig.inputs {
        let FnArg::Typed(input) = input else { continue };
        let ParamOptions { rest, described_as } = ParamOptions::read(&mut input.attrs, errors);
        if let Some(attr) = input.attrs.first() {
            errors.at(
                attr,
                "parameters of methods that peers call cannot have attributes",
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
                    "a parameter needs a plain name, which errors for callers contain",
                );
                None
            }
        };
        let mut role = role(&input.ty, errors);
        if let (Some(span), Some(Role::Argument { .. })) = (rest, &role) {
            role = rest_role(&input.ty, span, errors);
        }
        match (ident, role) {
            (Some(ident), Some(role)) => params.push(Param {
                ident,
                ty: (*input.ty).clone(),
                role,
                described_as,
            }),
            _ => is_sound = false,
        }
    }
    mark_what_may_be_left_out(&mut params);
    let arguments = params.iter().filter(|param| param.is_argument());
    let mut behind_rest = arguments
        .clone()
        .skip_while(|param| !matches!(param.role, Role::Rest(_)))
        .skip(1);
    if let Some(param) = behind_rest.next() {
        errors.at(
            &param.ident,
            "no arguments are left for this parameter: the previous one takes the rest",
        );
        is_sound = false;
    }
    if let Some(param) = arguments.clone().nth(MOST_ARGUMENTS) {
        errors.at(
            &param.ident,
            format!(
                "a call has at most {MOST_ARGUMENTS} arguments; combine some of them in a \
                 `#[value]` struct"
            ),
        );
    }
    is_sound.then_some(params)
}

/// The options of `#[rpc(…)]` on a parameter.
#[derive(Default)]
struct ParamOptions {
    rest: Option<Span>,
    described_as: Option<Type>,
}

impl ParamOptions {
    /// Reads the options and removes their attributes.
    fn read(attrs: &mut Vec<Attribute>, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for attr in take_rpc(attrs) {
            let read = attr.parse_nested_meta(|meta| {
                if meta.path.is_ident("rest") {
                    options.rest = Some(meta.path.span());
                } else if meta.path.is_ident("as") {
                    options.described_as = Some(described_as(&meta)?);
                } else {
                    return Err(unknown(&meta, "a parameter", "use `rest` or `as = Type`"));
                }
                Ok(())
            });
            errors.take(read);
        }
        options
    }
}

fn rest_role(ty: &Type, span: Span, errors: &mut Errors) -> Option<Role> {
    if let Some([element]) = arguments_of(ty, "Vec").as_deref() {
        return Some(Role::Rest(Box::new((*element).clone())));
    }
    errors.at_span(
        span,
        "the rest of the arguments is a list: make the parameter a `Vec<…>`",
    );
    None
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
            errors.at(at, format!("received values are owned: take `{owned}`"));
        }
        Flaw::Reference(None) => errors.at(
            at,
            "received values are owned: take the owned type, `String` for `&str` and `Vec<T>` for \
             `&[T]`",
        ),
        Flaw::Lifetime => errors.at(
            at,
            "received values are owned: take a type without lifetimes",
        ),
        Flaw::Impl(Some(stub)) => errors.at(
            at,
            format!(
                "a parameter needs a concrete type: take `{stub}`, for which callers can pass the \
                 object itself"
            ),
        ),
        Flaw::Dyn(Some(stub)) => errors.at(
            at,
            format!(
                "peers cannot send a trait object, only its stub: take `{stub}`, for which \
                 callers can pass the object itself"
            ),
        ),
        Flaw::Impl(None) => errors.at(
            at,
            "a parameter needs a concrete type: `Callback<…>` for a function, `FooStub` for an \
             object with the interface `Foo`",
        ),
        Flaw::Dyn(None) => errors.at(
            at,
            "peers cannot send a trait object: take `Callback<…>` for a function, `FooStub` for \
             an object with the interface `Foo`",
        ),
        Flaw::SelfType => errors.at(at, SELF_TYPE),
    }
    None
}

/// Marks trailing options, which callers may omit.
fn mark_what_may_be_left_out(params: &mut [Param]) {
    for param in params.iter_mut().rev() {
        if let Role::Rest(_) = param.role {
            return;
        }
        if let Role::Argument { may_be_left_out } = &mut param.role {
            if !is_option(&param.ty) {
                return;
            }
            *may_be_left_out = true;
        }
    }
}
