//! The values of `--arg`.

use std::{collections::BTreeMap, io::Read, path::Path};

use capnweb::Value;

use crate::{
    arguments::Values, evaluate::Term, expression::is_identifier, failure::Failure, output::json,
    stream,
};

const FORMS: &str = "name=text, name=@file for bytes, name:text=@file, name:json=VALUE, name:json=@file or name:stream=@file";

/// Reads the values of `$name`.
pub(crate) async fn arguments(values: &Values) -> Result<BTreeMap<String, Term>, Failure> {
    let mut terms = BTreeMap::new();
    for argument in &values.arg {
        let fail = |why: &str| Failure::usage(format!("--arg {argument}: {why}")).help(FORMS);
        let (name, content) = argument
            .split_once('=')
            .ok_or_else(|| fail("there is no `=`"))?;
        let (name, kind) = match name.split_once(':') {
            Some((name, kind)) => (name, kind),
            None if content.starts_with('@') => (name, "bytes"),
            None => (name, "text"),
        };
        if !is_identifier(name) {
            return Err(fail("the name cannot be one of a variable"));
        }
        let file = content.strip_prefix('@').map(Path::new);
        let value = match (kind, file) {
            ("text", None) => Value::from(content),
            ("text", Some(path)) => Value::from(read_text(path).map_err(|why| fail(&why))?),
            ("json", None) => json::parse(content).map_err(|why| fail(&why))?,
            ("json", Some(path)) => {
                let text = read_text(path).map_err(|why| fail(&why))?;
                json::parse(&text).map_err(|why| fail(&why))?
            }
            ("bytes", Some(path)) => {
                let bytes = read(path).map_err(|why| fail(&why))?;
                Value::Bytes(bytes.into())
            }
            ("bytes", None) => Value::Bytes(content.as_bytes().to_vec().into()),
            ("stream", Some(path)) => stream::upload(path).await?,
            ("stream", None) => return Err(fail("a stream is read from a file: write `=@file`")),
            (kind, _) => return Err(fail(&format!("there is no kind `{kind}`"))),
        };
        if terms.insert(name.to_owned(), Term::from(value)).is_some() {
            return Err(fail("there is another value of this name"));
        }
    }
    Ok(terms)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().read_to_end(&mut bytes).map(|_| bytes),
        false => std::fs::read(path),
    };
    read.map_err(|error| error.to_string())
}

fn read_text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|_| "the file is not UTF-8".to_owned())
}
