//! What a method gives.

use syn::{ReturnType, Signature, Type};

use crate::{
    errors::Errors,
    types::{Flaw, SELF_TYPE, arguments_of, awaited, flaw, last_segment, peeled, spelled},
};

/// What comes of the call.
pub(super) struct Returns {
    /// What the promise is of.
    pub(super) value: Type,
    /// What the method gives for it: that, or a promise of it.
    pub(super) given: Type,
    /// `Promise<T>` instead of `Result<T>`.
    pub(super) is_promise: bool,
}

/// Reads what the method returns; nothing if that cannot be.
pub(super) fn returns(signature: &Signature, errors: &mut Errors) -> Option<Returns> {
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
    match peeled(ty) {
        Type::ImplTrait(_) => format!(
            "write `async fn {name}(…) -> Result<…>`: `#[interface]` makes it a future that is \
             `Send`"
        ),
        Type::Path(_) if last_segment(ty).is_some_and(|it| it.ident == "Result") => {
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
