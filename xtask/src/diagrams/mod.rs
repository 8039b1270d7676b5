//! `cargo xtask diagrams`: draws the diagrams of the book, which are defined in `pictures.rs`. With
//! `--terminal`, draws a session of the command line from the output of the programs.

mod pictures;
mod svg;
mod terminal;

use self::svg::Picture;
use crate::tally::Tally;
use crate::{Failure, Result, workspace};

/// The name of a diagram in `docs/images`, and the function that draws it.
type Drawing = (&'static str, fn() -> Picture);

const DRAWINGS: &[Drawing] = &[
    ("call", pictures::call),
    ("crates", pictures::crates),
    ("pipelining", pictures::pipelining),
    ("references", pictures::references),
    ("window", pictures::window),
];

fn path(name: &str) -> String {
    format!("docs/images/{name}.svg")
}

/// Writes the diagrams, or with `--check` fails if one is out of date.
pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    match arguments {
        [] => write()?,
        [flag] if flag == "--check" => check()?,
        [flag] if flag == "--terminal" => terminal::write()?,
        _ => {
            return Err(Failure::new(
                "usage: cargo xtask diagrams [--check | --terminal]",
            ));
        }
    }
    Ok(Tally::default())
}

/// Draws a diagram.
///
/// # Errors
///
/// Returns an error if one of its texts is not legible.
fn drawn((name, draw): &Drawing) -> Result<String> {
    let picture = draw();
    match picture.unreadable_text() {
        None => Ok(picture.finish()),
        Some(text) => Err(Failure::new(format!(
            "the picture `{name}` has no room for its text `{text}`"
        ))),
    }
}

fn write() -> Result {
    for drawing in DRAWINGS {
        let path = workspace::root().join(path(drawing.0));
        std::fs::write(&path, drawn(drawing)?)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}

/// Fails if the picture of the terminal is out of date.
pub(crate) fn check_terminal() -> Result {
    terminal::check()
}

/// Fails if a file in `docs/images` is out of date.
pub(crate) fn check() -> Result {
    for drawing in DRAWINGS {
        let path = path(drawing.0);
        if workspace::read(&path)? != drawn(drawing)? {
            return Err(Failure::new(format!(
                "{path} is not current; run `cargo xtask diagrams`"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn pictures_are_current() {
        super::check().unwrap();
    }
}
