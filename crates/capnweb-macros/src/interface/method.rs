//! One method of an interface: what it takes, what it gives, and what it must not be.

use proc_macro2::{Ident, Span};
use quote::quote;
use syn::{
    FnArg, LitStr, Pat, Receiver, ReceiverKind, ReturnType, Safety, Signature, TraitItemFn, Type,
    spanned::Spanned,
};

use crate::{
    attributes::{Carried, take_rpc},
    errors::Errors,
    names::{is_taken, unreachable_because, wire_name},
    options::unknown,
    types::{self, Flaw, arguments_of, awaited, flaw, is_context, is_option, is_string, spelled},
};

/// A call carries no more arguments than the largest tuple that can be written.
const MOST_ARGUMENTS: usize = 12;

/// A method that is right.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    /// Its name on the wire; empty for the catch-all.
    pub(crate) wire: String,
    /// Where the wire name comes from.
    pub(crate) wire_span: Span,
    pub(crate) carried: Carried,
    pub(crate) kind: Kind,
    pub(crate) is_async: bool,
    pub(crate) is_strict: bool,
    pub(crate) is_canceled_on_release: bool,
    /// In the order of the signature, the receiver left out.
    pub(crate) params: Vec<Param>,
    pub(crate) returns: Returns,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Method,
    Property,
    CatchAll,
}

pub(crate) struct Param {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) role: Role,
}

pub(crate) enum Role {
    /// Read from the call.
    Argument {
        /// It and all after it are options: what is none may be left out.
        may_be_left_out: bool,
    },
    /// Not read from the call, but about it.
    Context { by_reference: bool },
}

/// What comes of the call.
pub(crate) struct Returns {
    /// What the promise is of.
    pub(crate) value: Type,
    /// What the method gives for it: that, or a promise of it.
    pub(crate) given: Type,
    /// `Promise<T>` instead of `Result<T>`.
    pub(crate) is_promise: bool,
}

impl Method {
    /// The arguments, without contexts.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Param> {
        self.params
            .iter()
            .filter(|param| matches!(param.role, Role::Argument { .. }))
    }

    /// Reads a method and takes our own attributes out of it. Nothing comes of one that is wrong.
    pub(crate) fn read(
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
            is_canceled_on_release: options.cancel_on_release.is_some(),
            params: params?,
            returns: returns?,
        })
    }
}

/// What `#[rpc(…)]` says of a method.
#[derive(Default)]
struct MethodOptions {
    name: Option<LitStr>,
    get: Option<Span>,
    cancel_on_release: Option<Span>,
    strict: Option<Span>,
    catch_all: Option<Span>,
}

impl MethodOptions {
    fn read(function: &mut TraitItemFn, errors: &mut Errors) -> Self {
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
                } else if meta.path.is_ident("strict") {
                    options.strict = span;
                } else if meta.path.is_ident("catch_all") {
                    options.catch_all = span;
                } else {
                    return Err(unknown(
                        &meta,
                        "a method",
                        "there are `name = \"…\"`, `get`, `cancel_on_release`, `strict` and \
                         `catch_all`",
                    ));
                }
                Ok(())
            });
            errors.take(read);
        }
        options
    }

    /// What the method is, after refusing what does not go together.
    fn kind(&self, signature: &Signature, params: Option<&[Param]>, errors: &mut Errors) -> Kind {
        if let (Some(span), None) = (self.cancel_on_release, &signature.asyncness) {
            errors.at_span(
                span,
                "a method that is not `async` has finished before anybody could drop its promise; \
                 remove `cancel_on_release`, or make the method `async`",
            );
        }
        let mut arguments = params
            .into_iter()
            .flatten()
            .filter(|param| matches!(param.role, Role::Argument { .. }));
        if let Some(span) = self.catch_all {
            let clashing = [self.get, self.strict, self.name.as_ref().map(LitStr::span)];
            for _ in clashing.into_iter().flatten().take(1) {
                errors.at_span(
                    span,
                    "a catch-all answers to every name and takes all arguments: `name`, `get` and \
                     `strict` mean nothing on it",
                );
            }
            let takes = (arguments.next(), arguments.next(), arguments.next());
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

fn refuse_kinds_of_functions(signature: &Signature, errors: &mut Errors) {
    if let Some(token) = &signature.constness {
        errors.at(token, "a method that peers call cannot be `const`");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.at(
            token,
            "a method that peers call cannot be `unsafe`: they call it with whatever they like",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(
            abi,
            "a method that peers call is a plain Rust method: remove `extern`",
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(
            variadic,
            "a method takes a fixed number of arguments; the last ones may be `Option`s, and a \
             `#[rpc(catch_all)]` takes any number",
        );
    }
    let lifetimes = signature.generics.lifetimes().next().is_some();
    if lifetimes {
        errors.at(
            &signature.generics,
            "a method that peers call cannot have lifetime parameters: what arrives is owned",
        );
    } else if !signature.generics.params.is_empty() {
        errors.at(
            &signature.generics,
            "a method that peers call cannot be generic: a call names no types; make the trait \
             generic instead, or take a `Value`, which may be anything",
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.at(
            clause,
            "a method that peers call cannot have a `where` clause: every peer can call it",
        );
    }
}

fn refuse_receiver(signature: &Signature, errors: &mut Errors) {
    let Some(FnArg::Receiver(receiver)) = signature.inputs.first() else {
        errors.at(
            &signature.ident,
            "a method is called on an object: let it take `&self` first",
        );
        return;
    };
    match &receiver.kind {
        ReceiverKind::Reference(_, None, None) => {}
        ReceiverKind::Reference(_, _, Some(_)) => errors.at(
            receiver,
            "methods take `&self`, as several calls can run at a time; what changes goes into a \
             `Mutex` or an atomic",
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
            "methods take `&self`; whoever needs the object itself, to hand it out for instance, \
             takes a `Context` as a parameter and asks `Context::this`"
        }
        _ => "methods take `&self`: an object can be called again, so a call does not consume it",
    };
    errors.at(receiver, message);
}

/// The parameters; nothing if one is wrong.
fn params(function: &mut TraitItemFn, errors: &mut Errors) -> Option<Vec<Param>> {
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
    let arguments = params
        .iter()
        .filter(|param| matches!(param.role, Role::Argument { .. }));
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
    if let Type::Reference(reference) = types::peeled(ty)
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

const SELF_TYPE: &str = "`Self` is the object behind the interface, which stays where it is: name \
                         its stub (`FooStub` for the trait `Foo`)";

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

fn returns(signature: &Signature, errors: &mut Errors) -> Option<Returns> {
    let name = &signature.ident;
    let ty = match &signature.output {
        ReturnType::Default => {
            errors.at(
                name,
                "a call can always fail, if only for want of a connection: return `Result<()>`",
            );
            return None;
        }
        ReturnType::Type(_, ty) => &**ty,
    };
    let returns = match understood(ty) {
        Some(returns) => returns,
        None => {
            errors.at(ty, wrong_return(signature, ty));
            return None;
        }
    };
    if returns.is_promise && signature.asyncness.is_some() {
        errors.at(
            ty,
            format!(
                "a promise is there at once: make this `fn {name}` rather than `async fn {name}`, \
                 or return `Result<Promise<{}>>` to find the promise in time",
                spelled(&returns.value)
            ),
        );
        return None;
    }
    if let Some((at, flaw)) = flaw(&returns.value) {
        let message = match flaw {
            Flaw::Reference(_) | Flaw::Lifetime => {
                "what is sent back is owned: return a type without references, for instance a \
                 `String` for a `&str`"
            }
            Flaw::Impl | Flaw::Dyn => {
                "the type that callers get is written out; an object goes as its stub (`FooStub` \
                 for the interface `Foo`)"
            }
            Flaw::SelfType => SELF_TYPE,
        };
        errors.at(at, message);
        return None;
    }
    Some(returns)
}

/// Reads `Result<T>`, `Result<T, E>`, `Result<Promise<T>>` and `Promise<T>`.
fn understood(ty: &Type) -> Option<Returns> {
    if let Some([value]) = arguments_of(ty, "Promise").as_deref() {
        return Some(Returns {
            value: awaited(value).clone(),
            given: (*value).clone(),
            is_promise: true,
        });
    }
    let arguments = arguments_of(ty, "Result")?;
    let ([value] | [value, _]) = arguments[..] else {
        return None;
    };
    Some(Returns {
        value: awaited(value).clone(),
        given: value.clone(),
        is_promise: false,
    })
}

fn wrong_return(signature: &Signature, ty: &Type) -> String {
    let name = &signature.ident;
    match types::peeled(ty) {
        Type::ImplTrait(_) => format!(
            "write `async fn {name}(…) -> Result<…>`: `#[interface]` makes it a future that is \
             `Send`"
        ),
        Type::Path(_) if types::last_segment(ty).is_some_and(|it| it.ident == "Result") => {
            "say what the call gives: `Result<()>` for nothing".to_owned()
        }
        Type::Reference(_) => {
            "a call can always fail, and what is sent back is owned: return `Result<…>` of a type \
             without references"
                .to_owned()
        }
        ty => format!(
            "a call can always fail, if only for want of a connection: return `Result<{}>`",
            spelled(ty)
        ),
    }
}

/// Refuses wire names that no client could call.
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

/// Refuses Rust names that the stub has itself.
fn refuse_name(ident: &Ident, wire: &str, errors: &mut Errors) {
    if is_taken(ident) {
        errors.at(
            ident,
            format!(
                "every stub or promise has `{ident}` itself, so callers could not reach this \
                 method; rename it here, and keep the name on the wire with `#[rpc(name = \
                 \"{wire}\")]`"
            ),
        );
    }
}
