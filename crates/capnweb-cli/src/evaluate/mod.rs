//! Evaluation of expressions: calls are sent at once, and results are awaited only at the end.

mod builtin;
mod callback;
mod scope;
mod term;

use std::{collections::BTreeMap, sync::Arc};

use capnweb::{Error, Promise, Stub, Value};
use futures_util::{FutureExt, future::BoxFuture};

pub(crate) use self::{scope::Scope, term::Term};
use crate::description::PROPERTY;
use crate::expression::{Arrow, Expr, ExprKind, Problem, Program, Statement};

/// A failed evaluation.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The expression is wrong.
    Expression(Problem),
    /// The peer or the session failed.
    Peer(Error),
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Expression(problem)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Peer(error)
    }
}

/// The function that handles `console.log(…)`.
pub(crate) type Log = Arc<dyn Fn(&[Value]) + Send + Sync>;

/// Evaluates expressions against a main object.
#[derive(Clone)]
pub(crate) struct Evaluator {
    main: Stub,
    arguments: Arc<BTreeMap<String, Term>>,
    log: Log,
}

/// The context in which an expression is evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    /// A function that is being recorded, where no values exist yet.
    InMap,
}

impl Evaluator {
    pub(crate) fn new(main: Stub, log: Log) -> Self {
        Self {
            main,
            arguments: Arc::default(),
            log,
        }
    }

    /// Sets the values of `$name`.
    pub(crate) fn arguments(mut self, arguments: BTreeMap<String, Term>) -> Self {
        self.arguments = Arc::new(arguments);
        self
    }

    /// Returns a copy of the evaluator for another main object.
    pub(crate) fn with_main(&self, main: Stub) -> Self {
        Self {
            main,
            ..self.clone()
        }
    }

    /// Returns whether `$name` has a value.
    pub(crate) fn has_argument(&self, name: &str) -> bool {
        self.arguments.contains_key(name)
    }

    /// Evaluates all statements and adds their variables to `scope`. Returns the last result, which
    /// may be a promise, or `None` if the last statement is a `let`.
    pub(crate) async fn run(
        &self,
        program: &Program,
        scope: &mut Scope,
    ) -> Result<Option<Term>, Fault> {
        let mut last = None;
        for statement in &program.statements {
            match statement {
                Statement::Let { name, value } => {
                    let term = self.eval(value, scope, Place::Outside).await?;
                    *scope = scope.with(name, term);
                    last = None;
                }
                Statement::Expr(expr) => {
                    last = Some(self.eval(expr, scope, Place::Outside).await?);
                }
            }
        }
        Ok(last)
    }

    fn eval<'a>(
        &'a self,
        expr: &'a Expr,
        scope: &'a Scope,
        place: Place,
    ) -> BoxFuture<'a, Result<Term, Fault>> {
        self.eval_here(expr, scope, place).boxed()
    }

    async fn eval_here(&self, expr: &Expr, scope: &Scope, place: Place) -> Result<Term, Fault> {
        if let Some(value) = expr.as_literal() {
            return Ok(Term::Value(value));
        }
        match &expr.kind {
            ExprKind::Template { texts, parts } => {
                let mut text = String::new();
                let parts = self.eval_all(parts, scope, place).await?;
                let values = self.settle(Term::Array(parts), expr, place).await?;
                let values = match &values {
                    Value::Array(values) => values.as_slice(),
                    _ => &[],
                };
                for (at, part) in texts.iter().enumerate() {
                    text.push_str(part);
                    if let Some(value) = values.get(at) {
                        text.push_str(&builtin::to_text(value));
                    }
                }
                Ok(Term::Value(Value::String(text)))
            }
            ExprKind::Name(name) => Ok(match scope.get(name) {
                Some(term) => term.clone(),
                None => Term::Remote(self.main.get(name.as_str())),
            }),
            ExprKind::Argument(name) => self.argument(name, expr),
            ExprKind::This => Ok(Term::Remote(Promise::from_stub(self.main.clone()))),
            ExprKind::Member { of, name } => {
                let of = self.eval(of, scope, place).await?;
                member(of, name, expr)
            }
            ExprKind::Index { of, index } => {
                let of = self.eval(of, scope, place).await?;
                let key = self.key(index, scope, place).await?;
                match key {
                    Key::Name(name) => member(of, &name, expr),
                    Key::Index(index) => element(of, index, expr),
                }
            }
            ExprKind::Call { callee, args } => self.call(expr, callee, args, scope, place).await,
            ExprKind::New { name, args } => {
                let args = self.values(args, scope, place).await?;
                Ok(Term::Value(builtin::construct(name, &args, expr.span)?))
            }
            ExprKind::Array(items) => Ok(Term::Array(self.eval_all(items, scope, place).await?)),
            ExprKind::Object(entries) => {
                let mut object = indexmap::IndexMap::new();
                for (key, value) in entries {
                    object.insert(key.clone(), self.eval(value, scope, place).await?);
                }
                Ok(Term::Object(object))
            }
            ExprKind::Arrow(arrow) => Ok(Term::Function(callback::stub(self, arrow, scope))),
            ExprKind::Await(of) => {
                let term = self.eval(of, scope, place).await?;
                let value = self.settle(term, expr, place).await?;
                Ok(Term::from(value))
            }
            // All other kinds of expressions are literals.
            _ => Ok(Term::Value(Value::Undefined)),
        }
    }

    fn argument(&self, name: &str, expr: &Expr) -> Result<Term, Fault> {
        if let Some(term) = self.arguments.get(name) {
            return Ok(term.clone());
        }
        if name == "interface" {
            return Ok(Term::Remote(self.main.get(PROPERTY)));
        }
        let problem = Problem::new(expr.span, format!("there is no `${name}`"));
        Err(Fault::Expression(match name {
            "cb" => problem.help("`$cb` is the callback of `capnweb listen`"),
            _ => problem.help(format!("give it a value with `--arg {name}=…`")),
        }))
    }

    async fn eval_all(
        &self,
        items: &[Expr],
        scope: &Scope,
        place: Place,
    ) -> Result<Vec<Term>, Fault> {
        let mut terms = Vec::with_capacity(items.len());
        for item in items {
            terms.push(self.eval(item, scope, place).await?);
        }
        Ok(terms)
    }

    /// Evaluates expressions and awaits their values.
    async fn values(
        &self,
        items: &[Expr],
        scope: &Scope,
        place: Place,
    ) -> Result<Vec<Value>, Fault> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let term = self.eval(item, scope, place).await?;
            values.push(self.settle(term, item, place).await?);
        }
        Ok(values)
    }

    /// Returns the value of a term, awaiting its promises.
    async fn settle(&self, term: Term, expr: &Expr, place: Place) -> Result<Value, Fault> {
        if place == Place::InMap && term.is_pending() {
            return Err(Fault::Expression(
                Problem::new(
                    expr.span,
                    "the value is needed here, but within `map` it exists only at the server",
                )
                .help("return it, pass it on or call it; the server applies the function"),
            ));
        }
        Ok(term.settle().await?)
    }

    async fn key(&self, index: &Expr, scope: &Scope, place: Place) -> Result<Key, Fault> {
        let term = self.eval(index, scope, place).await?;
        match self.settle(term, index, place).await? {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the guard makes sure that nothing is lost"
            )]
            Value::Number(number) if number >= 0.0 && number.fract() == 0.0 && number < 1e15 => {
                Ok(Key::Index(number as u64))
            }
            Value::String(name) => Ok(Key::Name(name)),
            _ => Err(Fault::Expression(Problem::new(
                index.span,
                "an index is a string or a whole number",
            ))),
        }
    }

    async fn call(
        &self,
        expr: &Expr,
        callee: &Expr,
        args: &[Expr],
        scope: &Scope,
        place: Place,
    ) -> Result<Term, Fault> {
        match &callee.kind {
            ExprKind::Member { of, name } => {
                if let Some(global) = global(of, scope) {
                    let args = self.values(args, scope, place).await?;
                    if (global, name.as_str()) == ("console", "log") {
                        (self.log)(&args);
                        return Ok(Term::Value(Value::Undefined));
                    }
                    let value = builtin::call(global, name, &args, expr.span)?;
                    return Ok(Term::Value(value));
                }
                let of = self.eval(of, scope, place).await?;
                if name == "map" {
                    return self.map(of, args, expr, scope, place).await;
                }
                if let Term::Remote(remote) = of {
                    let args = self.eval_all(args, scope, place).await?;
                    return Ok(Term::Remote(remote.call(name, args)));
                }
                let function = member(of, name, callee)?;
                let args = self.eval_all(args, scope, place).await?;
                invoke(&function, args, callee)
            }
            ExprKind::Name(name) => {
                if let Some(function) = scope.get(name) {
                    let args = self.eval_all(args, scope, place).await?;
                    return invoke(function, args, callee);
                }
                let args = self.eval_all(args, scope, place).await?;
                Ok(Term::Remote(self.main.call(name, args)))
            }
            _ => {
                let function = self.eval(callee, scope, place).await?;
                let args = self.eval_all(args, scope, place).await?;
                invoke(&function, args, callee)
            }
        }
    }

    async fn map(
        &self,
        of: Term,
        args: &[Expr],
        expr: &Expr,
        scope: &Scope,
        place: Place,
    ) -> Result<Term, Fault> {
        let [
            Expr {
                kind: ExprKind::Arrow(arrow),
                ..
            },
        ] = args
        else {
            let span = args.first().map_or(expr.span, |arg| arg.span);
            return Err(Fault::Expression(
                Problem::new(span, "`map` takes an arrow function")
                    .help("for instance: .map(id => getUserName(id))"),
            ));
        };
        if let Some(extra) = arrow.parameters.get(1) {
            return Err(Fault::Expression(
                Problem::new(arrow.body.span, "the function of `map` has one parameter").help(
                    format!("there is no `{extra}`: the server passes elements alone"),
                ),
            ));
        }
        match of {
            Term::Remote(remote) => {
                let mut failed = None;
                let result = remote.map(|element| {
                    let term = self.apply(arrow, Term::Remote(element), scope, Place::InMap);
                    // A recorded function cannot wait.
                    match term.now_or_never() {
                        Some(Ok(term)) => term,
                        Some(Err(fault)) => {
                            failed = Some(fault);
                            Term::Value(Value::Undefined)
                        }
                        None => {
                            failed = Some(Fault::Expression(Problem::new(
                                arrow.body.span,
                                "the function of `map` cannot wait for anything",
                            )));
                            Term::Value(Value::Undefined)
                        }
                    }
                });
                match failed {
                    Some(fault) => Err(fault),
                    None => Ok(Term::Remote(result)),
                }
            }
            Term::Array(items) => {
                let mut results = Vec::with_capacity(items.len());
                for item in items {
                    results.push(self.apply(arrow, item, scope, place).await?);
                }
                Ok(Term::Array(results))
            }
            // This matches a server's behavior: `map` skips null and undefined, and treats a value
            // that is not a list as one element.
            Term::Value(value) if value.is_nullish() => Ok(Term::Value(value)),
            other => self.apply(arrow, other, scope, place).await,
        }
    }

    async fn apply(
        &self,
        arrow: &Arrow,
        argument: Term,
        scope: &Scope,
        place: Place,
    ) -> Result<Term, Fault> {
        let scope = match arrow.parameters.first() {
            Some(name) => scope.with(name, argument),
            None => scope.clone(),
        };
        self.eval(&arrow.body, &scope, place).await
    }
}

enum Key {
    Name(String),
    Index(u64),
}

/// Returns the name of the global that `of` refers to, unless a variable hides it.
fn global<'a>(of: &'a Expr, scope: &Scope) -> Option<&'a str> {
    match &of.kind {
        ExprKind::Name(name)
            if scope.get(name).is_none()
                && (matches!(name.as_str(), "console" | "Date")
                    || builtin::is_typed_array(name)) =>
        {
            Some(name)
        }
        _ => None,
    }
}

fn member(of: Term, name: &str, expr: &Expr) -> Result<Term, Fault> {
    Ok(match of {
        Term::Remote(remote) => Term::Remote(remote.get(name)),
        Term::Object(mut object) => object
            .swap_remove(name)
            .unwrap_or(Term::Value(Value::Undefined)),
        #[expect(clippy::cast_precision_loss, reason = "lengths are small")]
        Term::Array(items) if name == "length" => Term::Value(Value::Number(items.len() as f64)),
        Term::Value(Value::Undefined | Value::Null) => {
            let message = format!("null and undefined have no `{name}`");
            return Err(Fault::Expression(Problem::new(expr.span, message)));
        }
        Term::Value(Value::Error(error)) => Term::from(match name {
            "name" => Value::from(error.name()),
            "message" => Value::from(error.message()),
            other => error.prop(other).unwrap_or_default(),
        }),
        Term::Function(_) | Term::Array(_) | Term::Value(_) => Term::Value(Value::Undefined),
    })
}

fn element(of: Term, index: u64, expr: &Expr) -> Result<Term, Fault> {
    match of {
        Term::Remote(remote) => Ok(Term::Remote(remote.get(index))),
        Term::Array(mut items) => {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            Ok(match index < items.len() {
                true => items.swap_remove(index),
                false => Term::Value(Value::Undefined),
            })
        }
        other => member(other, &index.to_string(), expr),
    }
}

fn invoke(function: &Term, args: Vec<Term>, callee: &Expr) -> Result<Term, Fault> {
    match function {
        Term::Remote(remote) => Ok(Term::Remote(remote.invoke(args))),
        Term::Function(stub) => Ok(Term::Remote(stub.invoke(args))),
        _ => Err(Fault::Expression(Problem::new(
            callee.span,
            "this is not a function",
        ))),
    }
}

#[cfg(test)]
mod tests;
