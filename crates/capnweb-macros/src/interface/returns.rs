//! The result of a method.

use syn::{ReturnType, Signature, Type};

use crate::{
    errors::Errors,
    types::{Flaw, SELF_TYPE, arguments_of, awaited, flaw, last_segment, peeled, spelled},
};

/// The result of a method, parsed.
pub(super) struct Returns {
    /// The type that the client's promise resolves to.
    pub(super) value: Type,
    /// The type that the method returns for it: the same type, or a promise of it.
    pub(super) given: Type,
    /// The error type, if the method names one.
    pub(super) error: Option<Type>,
    /// True for `Promise<T>` instead of `Result<T>`.
    pub(super) is_promise: bool,
}

/// Reads the result. Returns `None` if it has errors.
pub(super) fn returns(signature: &Signature, errors: &mut Errors) -> Option<Returns> {
    let name = &signature.ident;
    let ty = match &signature.output {
        ReturnType::Default => {
            errors.at(
                name,
                "a call can always fail, for instance because the connection is lost: return \
                 `Result<()>`",
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
                "a promise is available at once: make this `fn {name}` instead of `async fn \
                 {name}`, or return `Result<Promise<{}>>` to find the promise in time",
                spelled(&returns.value)
            ),
        );
        return None;
    }
    if let Some((at, flaw)) = flaw(&returns.value) {
        let message = match flaw {
            Flaw::Reference(_) | Flaw::Lifetime => {
                "results are owned: return a type without references, for instance a `String` for \
                 a `&str`"
            }
            Flaw::Impl(Some(stub)) | Flaw::Dyn(Some(stub)) => &format!(
                "a result needs a concrete type, and an object is returned as its stub: return \
                 `{stub}`, made by `{stub}::new(object)`"
            ),
            Flaw::Impl(None) | Flaw::Dyn(None) => {
                "a result needs a concrete type; an object is returned as its stub (`FooStub` for \
                 the interface `Foo`)"
            }
            Flaw::SelfType => SELF_TYPE,
        };
        errors.at(at, message);
        return None;
    }
    Some(returns)
}

/// Reads `Result<T>`, `Result<T, E>`, `Result<Promise<T>>`, `Promise<T>` and `Promise<T, E>`.
fn understood(ty: &Type) -> Option<Returns> {
    let promise = arguments_of(ty, "Promise");
    let is_promise = promise.is_some();
    let arguments = promise.or_else(|| arguments_of(ty, "Result"))?;
    let (value, error) = match arguments[..] {
        [value] => (value, None),
        [value, error] => (value, Some(error.clone())),
        _ => return None,
    };
    Some(Returns {
        value: awaited(value).clone(),
        given: value.clone(),
        error,
        is_promise,
    })
}

fn wrong_return(signature: &Signature, ty: &Type) -> String {
    let name = &signature.ident;
    match peeled(ty) {
        Type::ImplTrait(_) => format!(
            "write `async fn {name}(…) -> Result<…>`: `#[interface]` turns it into a future that \
             is `Send`"
        ),
        Type::Path(_) if last_segment(ty).is_some_and(|it| it.ident == "Result") => {
            "the result of a call is a `Result`: return `Result<()>` for nothing".to_owned()
        }
        Type::Reference(_) => {
            "a call can always fail, and results are owned: return `Result<…>` of a type without \
             references"
                .to_owned()
        }
        ty => format!(
            "a call can always fail, for instance because the connection is lost: return \
             `Result<{}>`",
            spelled(ty)
        ),
    }
}
