//! Variables.

use std::sync::Arc;

use super::term::Term;

/// The variables visible to an expression. Cloning is cheap, and adding a variable to a clone does
/// not affect the original.
#[derive(Clone, Default)]
pub(crate) struct Scope(Option<Arc<Variable>>);

struct Variable {
    name: String,
    term: Term,
    outer: Scope,
}

impl Scope {
    /// Returns the scope with one more variable, which hides any of the same name.
    pub(crate) fn with(&self, name: &str, term: Term) -> Self {
        Self(Some(Arc::new(Variable {
            name: name.to_owned(),
            term,
            outer: self.clone(),
        })))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Term> {
        let mut scope = self;
        while let Some(variable) = &scope.0 {
            if variable.name == name {
                return Some(&variable.term);
            }
            scope = &variable.outer;
        }
        None
    }

    /// Returns the visible variables, sorted by name.
    pub(crate) fn variables(&self) -> Vec<(&str, &Term)> {
        let mut found: Vec<(&str, &Term)> = Vec::new();
        let mut scope = self;
        while let Some(variable) = &scope.0 {
            if !found.iter().any(|(name, _)| *name == variable.name) {
                found.push((&variable.name, &variable.term));
            }
            scope = &variable.outer;
        }
        found.sort_by_key(|(name, _)| *name);
        found
    }

    /// Returns a scope with only the visible variables except `name`, so that hidden ones are
    /// dropped.
    pub(crate) fn without(&self, name: &str) -> Self {
        self.variables()
            .into_iter()
            .filter(|(known, _)| *known != name)
            .fold(Self::default(), |scope, (name, term)| {
                scope.with(name, term.clone())
            })
    }
}
