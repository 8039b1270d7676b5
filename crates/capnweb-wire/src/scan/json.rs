//! JSON that is checked but not interpreted: extra elements, options of requests, the instructions
//! of a map.

use smallvec::SmallVec;

use super::{Scan, Scanner};

impl Scanner<'_, '_> {
    /// Checks the JSON value at `at`, without recursion.
    ///
    /// A level of an expression takes at most two levels of JSON, so twice the depth limit is
    /// allowed.
    pub(super) fn json(&self, at: usize) -> Scan<usize> {
        let mut open = Nesting::default();
        let mut at = at;
        loop {
            at = match self.byte(at) {
                b'"' => self.string(at)?,
                b'-' | b'0'..=b'9' => self.number(at)?,
                bracket @ (b'[' | b'{') => {
                    let object = bracket == b'{';
                    at = self.ws(at + 1);
                    if self.byte(at) == closing(object) {
                        at + 1
                    } else {
                        if open.len >= 2 * self.max_depth {
                            return Err(self.too_deep());
                        }
                        open.push(object);
                        if object {
                            at = self.member_name(at)?;
                        }
                        continue;
                    }
                }
                _ => self.literal(at)?,
            };
            // A value ends here, and possibly containers along with it.
            loop {
                let Some(object) = open.top() else {
                    return Ok(at);
                };
                at = self.ws(at);
                match self.byte(at) {
                    b',' => {
                        at = self.ws(at + 1);
                        if object {
                            at = self.member_name(at)?;
                        }
                        break;
                    }
                    byte if byte == closing(object) => {
                        open.pop();
                        at += 1;
                    }
                    _ if object => return Err(self.syntax(at, "',' or '}'")),
                    _ => return Err(self.syntax(at, "',' or ']'")),
                }
            }
        }
    }

    /// Scans a key and its colon. Returns the position of the value.
    fn member_name(&self, at: usize) -> Scan<usize> {
        let at = self.key(at)?;
        let at = self.ws(at);
        if self.byte(at) == b':' {
            Ok(self.ws(at + 1))
        } else {
            Err(self.syntax(at, "':'"))
        }
    }
}

fn closing(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

/// The open containers, one bit each. Objects are ones.
#[derive(Default)]
struct Nesting {
    words: SmallVec<[u64; 8]>,
    len: u32,
}

impl Nesting {
    fn push(&mut self, object: bool) {
        let bit = self.len % 64;
        if bit == 0 {
            self.words.push(0);
        }
        if let Some(word) = self.words.last_mut() {
            *word = *word & !(1 << bit) | u64::from(object) << bit;
        }
        self.len += 1;
    }

    fn top(&self) -> Option<bool> {
        let bit = self.len.checked_sub(1)? % 64;
        Some(self.words.last()? >> bit & 1 == 1)
    }

    fn pop(&mut self) {
        self.len -= 1;
        if self.len.is_multiple_of(64) {
            self.words.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_remembers_each_level() {
        let pattern = |level: u32| level.is_multiple_of(3) || level % 7 == 1;
        let mut open = Nesting::default();
        assert_eq!(open.top(), None);
        for level in 0..1000 {
            open.push(pattern(level));
        }
        for level in (0..1000).rev() {
            assert_eq!(open.top(), Some(pattern(level)), "{level}");
            open.pop();
        }
        assert_eq!(open.top(), None);
        open.push(true);
        assert_eq!(open.top(), Some(true));
    }
}
