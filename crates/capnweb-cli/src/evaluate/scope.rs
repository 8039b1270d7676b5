//! Variables.

use std::sync::Arc;

use super::term::Term;

/// Variables that an expression sees. Clones are cheap, and adding to one leaves the others alone.
#[derive(Clone, Default)]
pub(crate) struct Scope(Option<Arc<Variable>>);

struct Variable {
    name: String,
    term: Term,
    outer: Scope,
}

impl Scope {
    /// Returns the same scope with one more variable, which hides others of its name.
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

    /// Returns the variables that are visible, sorted by name.
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

    /// Returns only the visible variables except `name`, so that nothing hidden is kept alive.
    pub(crate) fn without(&self, name: &str) -> Self {
        self.variables()
            .into_iter()
            .filter(|(known, _)| *known != name)
            .fold(Self::default(), |scope, (name, term)| {
                scope.with(name, term.clone())
            })
    }
}
