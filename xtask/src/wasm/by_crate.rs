//! The code size of a module by crate.

use std::collections::BTreeMap;

/// The IDs of the sections that are parsed.
const CUSTOM: u8 = 0;
const IMPORTS: u8 = 2;
const CODE: u8 = 10;

/// The ID of the functions' names within the section `name`.
const FUNCTION_NAMES: u8 = 1;

/// Returns the number of bytes of code per crate, for a module that contains its function names.
/// Returns `None` if the module cannot be parsed.
pub(super) fn code_by_crate(module: &[u8]) -> Option<BTreeMap<String, usize>> {
    let mut input = Input(module.strip_prefix(b"\0asm\x01\0\0\0")?);
    let mut imported = 0;
    let mut sizes = Vec::new();
    let mut names = BTreeMap::new();
    while !input.0.is_empty() {
        let id = input.byte()?;
        let mut section = input.sized()?;
        match id {
            IMPORTS => imported = functions_among_imports(&mut section)?,
            CODE => {
                for _ in 0..section.number()? {
                    sizes.push(section.sized()?.0.len());
                }
            }
            CUSTOM if section.text()? == "name" => names = function_names(&mut section)?,
            _ => {}
        }
    }
    let mut by_crate = BTreeMap::<String, usize>::new();
    for (index, size) in (imported..).zip(sizes) {
        let name = names.get(&index).copied().unwrap_or_default();
        *by_crate.entry(crate_of(name).to_owned()).or_default() += size;
    }
    Some(by_crate)
}

fn functions_among_imports(section: &mut Input<'_>) -> Option<usize> {
    let mut functions = 0;
    for _ in 0..section.number()? {
        section.text()?;
        section.text()?;
        match section.byte()? {
            0 => {
                section.number()?;
                functions += 1;
            }
            // A table, and a memory.
            1 => {
                section.byte()?;
                section.limits()?;
            }
            2 => section.limits()?,
            // A global.
            3 => {
                section.byte()?;
                section.byte()?;
            }
            // An exception's tag.
            4 => {
                section.byte()?;
                section.number()?;
            }
            _ => return None,
        }
    }
    Some(functions)
}

fn function_names<'a>(section: &mut Input<'a>) -> Option<BTreeMap<usize, &'a str>> {
    let mut names = BTreeMap::new();
    while !section.0.is_empty() {
        let id = section.byte()?;
        let mut part = section.sized()?;
        if id == FUNCTION_NAMES {
            for _ in 0..part.number()? {
                let index = part.number()?;
                names.insert(index, part.text()?);
            }
        }
    }
    Some(names)
}

/// Returns the crate that a function's path begins with. It is `core` for
/// `<core::fmt::Arguments as …>::fmt`.
fn crate_of(name: &str) -> &str {
    let path = name.trim_start_matches(['<', '&', '(', '[', '*']);
    let path = path
        .strip_prefix("dyn ")
        .or_else(|| path.strip_prefix("mut "))
        .unwrap_or(path);
    match path.split_once("::") {
        Some((first, _)) if first.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => first,
        _ => "other",
    }
}

/// The unread part of a module or section.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Reads a number in LEB128.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    /// Reads a part that is prefixed with its length.
    fn sized(&mut self) -> Option<Input<'a>> {
        let length = self.number()?;
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Input(part))
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.sized()?.0).ok()
    }

    fn limits(&mut self) -> Option<()> {
        let has_maximum = self.byte()? & 1 != 0;
        self.number()?;
        if has_maximum {
            self.number()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_belong_to_the_crates_that_they_name() {
        for (name, expected) in [
            ("core::fmt::write", "core"),
            (
                "<capnweb_core::util::Lock as core::ops::Drop>::drop",
                "capnweb_core",
            ),
            (
                "<&mut alloc::vec::Vec<u8> as std::io::Write>::write",
                "alloc",
            ),
            ("<dyn tracing::Value>::record", "tracing"),
            ("memcpy", "other"),
            ("", "other"),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }

    #[test]
    fn a_module_is_taken_apart() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        // One imported function, of type 0.
        module.extend([IMPORTS, 7, 1, 1, b'a', 1, b'b', 0, 0]);
        // Two functions of 3 and 2 bytes.
        module.extend([CODE, 8, 2, 3, 0, 1, 0x0b, 2, 0, 0x0b]);
        // The second one has a name; the import is number 0.
        module.extend([CUSTOM, 15, 4]);
        module.extend(b"name");
        module.extend([FUNCTION_NAMES, 8, 1, 2, 5]);
        module.extend(b"x::yz");
        let found = code_by_crate(&module).unwrap();
        assert_eq!(found.get("x"), Some(&2));
        assert_eq!(found.get("other"), Some(&3));
        assert!(code_by_crate(b"no module").is_none());
    }
}
