//! Arrow functions that a server calls.

use std::sync::Arc;

use capnweb::{
    Error, Stub, Value,
    target::{Answer, Call, Target},
};

use super::{Evaluator, Fault, Place, Scope, Term};
use crate::expression::Arrow;

/// Returns a stub of an arrow function. Each call evaluates its body.
pub(super) fn stub(evaluator: &Evaluator, arrow: &Arc<Arrow>, scope: &Scope) -> Stub {
    Stub::new(Function {
        evaluator: evaluator.clone(),
        arrow: arrow.clone(),
        scope: scope.clone(),
    })
}

struct Function {
    evaluator: Evaluator,
    arrow: Arc<Arrow>,
    scope: Scope,
}

impl Target for Function {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        if !call.method().is_empty() {
            return Answer::not_found();
        }
        let args: Vec<Value> = match call.args() {
            Ok(args) => args,
            Err(error) => return Answer::error(error),
        };
        Answer::future(async move {
            let mut args = args.into_iter();
            let scope =
                self.arrow
                    .parameters
                    .iter()
                    .fold(self.scope.clone(), |scope, parameter| {
                        let value = args.next().unwrap_or_default();
                        scope.with(parameter, Term::from(value))
                    });
            let result = self
                .evaluator
                .eval(&self.arrow.body, &scope, Place::Outside);
            result.await.map_err(|fault| match fault {
                Fault::Expression(problem) => Error::type_error(problem.message),
                Fault::Peer(error) => error,
            })
        })
    }
}
