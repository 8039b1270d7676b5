//! Documentation as JSDoc.

/// The lines of a JSDoc comment.
#[derive(Default)]
pub(super) struct Docs(Vec<String>);

impl Docs {
    pub(super) fn new(text: &str, deprecated: Option<&str>) -> Self {
        let mut docs = Self::default();
        if !text.is_empty() {
            docs.0.extend(text.lines().map(str::to_owned));
        }
        if let Some(note) = deprecated {
            docs.tag(format!("@deprecated {note}").trim_end().to_owned());
        }
        docs
    }

    /// Adds a tag. The first one is separated from the text before it.
    pub(super) fn tag(&mut self, tag: String) {
        if self.0.last().is_some_and(|last| !last.starts_with('@')) {
            self.0.push(String::new());
        }
        self.0.push(tag);
    }

    /// Returns the comment with `indent` before each line, or nothing if the comment is empty.
    pub(super) fn print(&self, indent: &str) -> String {
        let escaped = |line: &String| line.replace("*/", "*\\/");
        match &self.0[..] {
            [] => String::new(),
            [line] => format!("{indent}/** {} */\n", escaped(line)),
            lines => {
                let mut text = format!("{indent}/**\n");
                for line in lines {
                    let line = format!("{indent} * {}", escaped(line));
                    text.push_str(line.trim_end());
                    text.push('\n');
                }
                text.push_str(indent);
                text.push_str(" */\n");
                text
            }
        }
    }
}
