//! Colored output.

use std::{env, io::IsTerminal};

/// When to color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    Always,
    Never,
}

/// The colors of text, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    is_colored: bool,
}

/// The role of a piece of text, which determines its color.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Number,
    String,
    Special,
    Nothing,
    Reference,
    Faint,
    Error,
    Strong,
}

impl Style {
    pub(crate) const PLAIN: Self = Self { is_colored: false };
    #[cfg(test)]
    pub(crate) const COLORED: Self = Self { is_colored: true };

    /// Returns the style for an output.
    pub(crate) fn of(choice: Choice, output: &impl IsTerminal) -> Self {
        let is_colored = match choice {
            Choice::Always => true,
            Choice::Never => false,
            Choice::Auto => output.is_terminal() && !is_colorless(),
        };
        Self { is_colored }
    }

    pub(crate) fn paint(self, role: Role, text: &str) -> String {
        if !self.is_colored {
            return text.to_owned();
        }
        let code = match role {
            Role::Number => "33",
            Role::String => "32",
            Role::Special => "35",
            Role::Nothing => "90",
            Role::Reference => "36",
            Role::Faint => "2",
            Role::Error => "1;31",
            Role::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Returns whether the environment disables colors.
fn is_colorless() -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("NO_COLOR") || env::var_os("TERM").is_some_and(|term| term == "dumb")
}
