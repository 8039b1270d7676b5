//! Interface descriptions, which servers offer as the property `$interface`.

use std::{fmt::Write as _, time::Duration};

use capnweb::{
    Value,
    describe::{Description, Field, Interface, Method, Type},
    typescript::Declarations,
};

use crate::{
    connect::Settings,
    expression::{ExprKind, Program},
    failure::{Code, Failure},
    output::{Style, human::harmless, json, style::Role},
};

/// The name of the property with the description.
pub(crate) const PROPERTY: &str = "$interface";

/// The time limit for finding a suggestion.
const PATIENCE: Duration = Duration::from_secs(2);

/// Converts a value into a description.
pub(crate) fn read(value: &Value) -> Result<Description, Failure> {
    if value.is_nullish() {
        return Err(Failure::new(
            Code::Peer,
            format!("this object does not describe itself: it has no property `{PROPERTY}`"),
        )
        .help(
            "servers in Rust have it if they allow introspection; TypeScript servers, and functions, have none. Calls work \
             without it, and a name alone prints `undefined` if there is no such member",
        ));
    }
    Description::from_json(&json::to_string(value)).map_err(|error| {
        Failure::new(Code::Peer, format!("the property `{PROPERTY}` is {error}"))
            .help("a later version of this program may read it")
    })
}

/// Reads the description of a server's main object over a separate connection.
pub(crate) async fn ask(settings: &Settings) -> Option<Description> {
    let asked = async {
        let link = settings.open().await.ok()?;
        let value: Value = link.main().get(PROPERTY).fetch().await.ok()?;
        link.close().await;
        read(&value).ok()
    };
    tokio::time::timeout(PATIENCE, asked).await.ok()?
}

/// Returns the unknown name in a failure, if it should have been a member of the main object.
pub(crate) fn unknown_name(failure: &Failure, program: &Program) -> Option<String> {
    let error = failure
        .error
        .as_ref()
        .filter(|error| error.is_type_error())?;
    let name = error
        .message()
        .strip_prefix('\'')?
        .split_once("' is not a function")?
        .0;
    let mut is_of_main = false;
    program.walk(&mut |expr| {
        is_of_main |= matches!(&expr.kind, ExprKind::Name(known) if known == name);
    });
    is_of_main.then(|| name.to_owned())
}

/// Adds the nearest known name to a failure as a suggestion.
pub(crate) fn suggest(failure: Failure, name: &str, description: &Description) -> Failure {
    let names: Vec<String> = Shape::main(description).members(description);
    let nearest = names
        .iter()
        .map(|known| (distance(name, known), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= 1 + name.len().max(known.len()) / 3);
    match nearest {
        Some((_, known)) => failure.help(format!("did you mean `{known}`?")),
        None if names.is_empty() => failure,
        None => {
            let names: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
            failure.help(format!("the server has: {}", names.join(", ")))
        }
    }
}

/// Returns the edit distance of two strings: the number of characters to change, add, remove or
/// swap with the next one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (
        a.chars().flat_map(char::to_lowercase).collect(),
        b.chars().flat_map(char::to_lowercase).collect(),
    );
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (row, &x) in a.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, &y) in b.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut cost = at(&last, column) + usize::from(x != y);
            cost = cost
                .min(at(&last, column + 1) + 1)
                .min(at(&next, column) + 1);
            let is_swap = row > 0
                && column > 0
                && a.get(row - 1) == Some(&y)
                && b.get(column - 1) == Some(&x);
            if is_swap {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or_default()
}

/// The type of an expression, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape(Type);

impl Shape {
    pub(crate) fn main(description: &Description) -> Self {
        Self(description.main.clone())
    }

    pub(crate) fn unknown() -> Self {
        Self(Type::Unknown)
    }

    /// Returns the type without wrappers such as options and promises.
    fn content<'a>(&'a self, description: &'a Description) -> &'a Type {
        let mut ty = &self.0;
        // The limit stops at a description that refers to itself.
        for _ in 0..32 {
            ty = match ty {
                Type::Nullable { of } => of,
                Type::Reference { id, .. } => match description.value(id) {
                    Some(value) => &value.ty,
                    None => return ty,
                },
                other => return other,
            };
        }
        ty
    }

    fn interface<'a>(&'a self, description: &'a Description) -> Option<&'a Interface> {
        match self.content(description) {
            Type::Reference { id, .. } => description.interface(id),
            _ => None,
        }
    }

    /// Returns the names of all members, sorted.
    pub(crate) fn members(&self, description: &Description) -> Vec<String> {
        let mut names = Vec::new();
        match self.content(description) {
            Type::Object { fields } => names.extend(fields.iter().map(|field| field.name.clone())),
            Type::List { .. } | Type::Tuple { .. } => {
                names.extend(["length".to_owned(), "map".to_owned()]);
            }
            Type::Union { of } | Type::Intersection { of } => {
                for ty in of {
                    names.extend(Self(ty.clone()).members(description));
                }
            }
            _ => {
                if let Some(interface) = self.interface(description) {
                    let methods = all_methods(interface, description);
                    names.extend(methods.iter().map(|method| method.name.clone()));
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// Returns the type of a member. For a method, this is the type of its result.
    pub(crate) fn member(&self, name: &str, description: &Description) -> Self {
        let ty = match self.content(description) {
            Type::Object { fields } => field(fields, name),
            Type::Union { of } | Type::Intersection { of } => of.iter().find_map(|ty| match ty {
                Type::Object { fields } => field(fields, name),
                _ => None,
            }),
            // The result of a `map` is not known.
            Type::List { .. } => None,
            _ => self.interface(description).and_then(|interface| {
                let methods = all_methods(interface, description);
                let method = methods.iter().find(|method| method.name == name)?;
                Some(method.result.clone())
            }),
        };
        Self(ty.unwrap_or_default())
    }

    /// Returns the type of an element.
    pub(crate) fn element(&self, description: &Description) -> Self {
        match self.content(description) {
            Type::List { of } | Type::Map { of } => Self((**of).clone()),
            _ => Self::unknown(),
        }
    }
}

fn field(fields: &[Field], name: &str) -> Option<Type> {
    let field = fields.iter().find(|field| field.name == name)?;
    Some(field.ty.clone())
}

/// Returns the methods of an interface, including inherited ones.
fn all_methods<'a>(interface: &'a Interface, description: &'a Description) -> Vec<&'a Method> {
    let mut seen = vec![interface.item.id.as_str()];
    let mut open = vec![interface];
    let mut methods = Vec::new();
    while let Some(interface) = open.pop() {
        methods.extend(&interface.methods);
        for ty in &interface.extends {
            if let Type::Reference { id, .. } = ty
                && !seen.contains(&id.as_str())
                && let Some(parent) = description.interface(id)
            {
                seen.push(id);
                open.push(parent);
            }
        }
    }
    methods
}

/// Prints a description in readable form: the declarations without `export` and `extends
/// RpcTarget`, the main object first.
pub(crate) fn print(description: &Description, style: Style) -> String {
    let mut out = String::new();
    let main = Shape::main(description);
    if let Some(interface) = main.interface(description) {
        let _ = writeln!(
            out,
            "The main object is {}.",
            style.paint(Role::Reference, &harmless(&interface.item.name))
        );
    }
    let declarations = Declarations::new(description.clone()).to_string();
    for line in declarations.lines() {
        if line.starts_with("//") || line.starts_with("import ") {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let line = harmless(&line.replace(" extends RpcTarget", ""));
        let trimmed = line.trim_start();
        let is_doc = trimmed.starts_with("/**") || trimmed.starts_with('*');
        let line = match is_doc {
            true => style.paint(Role::Faint, &line),
            false => line,
        };
        let _ = writeln!(out, "{line}");
    }
    out
}

#[cfg(test)]
mod tests {
    use capnweb::Result;

    use super::*;

    #[capnweb::interface]
    #[allow(dead_code, reason = "only its description is used")]
    trait Reader {
        async fn read(&self) -> Result<Vec<Book>>;
    }

    #[capnweb::value]
    struct Book {
        title: String,
        pages: Option<u32>,
    }

    #[capnweb::interface]
    #[allow(dead_code, reason = "only its description is used")]
    trait Library: Reader {
        async fn authenticate(&self, token: String) -> Result<ReaderStub>;
        async fn get_newest(&self) -> Result<Option<Book>>;
    }

    fn library() -> Description {
        Description::of::<LibraryStub>()
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let suggestion = |name: &str| {
            let failure = Failure::new(Code::Peer, "x");
            suggest(failure, name, &library()).help.unwrap()
        };
        assert_eq!(suggestion("autenticate"), "did you mean `authenticate`?");
        assert_eq!(suggestion("get_newest"), "did you mean `getNewest`?");
        assert_eq!(
            suggestion("frobnicate7"),
            "the server has: authenticate, getNewest, read"
        );
        assert_eq!(distance("abcd", "acbd"), 1);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn members_are_known_along_a_path() {
        let library = library();
        let main = Shape::main(&library);
        assert_eq!(
            main.members(&library),
            ["authenticate", "getNewest", "read"]
        );
        let reader = main.member("authenticate", &library);
        assert_eq!(reader.members(&library), ["read"]);
        let books = reader.member("read", &library);
        assert_eq!(books.members(&library), ["length", "map"]);
        assert_eq!(
            books.element(&library).members(&library),
            ["pages", "title"]
        );
        let newest = main.member("getNewest", &library);
        assert_eq!(newest.members(&library), ["pages", "title"]);
        assert_eq!(main.member("nope", &library), Shape::unknown());
    }

    #[test]
    fn a_description_is_read_from_a_value_and_printed() {
        let value = json::parse(&library().to_json()).unwrap();
        let read = read(&value).unwrap();
        assert_eq!(read, library());
        let text = print(&read, Style::PLAIN);
        assert!(text.starts_with("The main object is Library.\n"), "{text}");
        assert!(
            text.contains("  authenticate(token: string): Promise<Reader>;"),
            "{text}"
        );
    }

    #[test]
    fn an_object_without_a_description_is_explained() {
        let failure = read(&Value::Undefined).unwrap_err();
        assert_eq!(failure.code, Code::Peer);
        assert!(failure.message.contains("does not describe itself"));
    }
}
