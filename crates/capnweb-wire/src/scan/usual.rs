//! A shortcut for the most common messages.

use super::{Scan, Scanner};
use crate::{Form, Frame};

impl<'a> Scanner<'a, '_> {
    /// Scans the four messages of a typical call in their canonical form: without white space and
    /// without extra elements. Returns `None` for any other message or spelling.
    ///
    /// Nine of ten messages are of this kind, and scanning them takes half the time.
    #[inline]
    pub(crate) fn usual(&mut self) -> Scan<Option<Frame<'a>>> {
        let frame = self.usual_or_not()?;
        if frame.is_none() {
            self.holes.clear();
        }
        Ok(frame)
    }

    #[inline]
    fn usual_or_not(&mut self) -> Scan<Option<Frame<'a>>> {
        Ok(match self.byte(3) {
            b'u' if self.starts_with(b"[\"push\",[\"pipeline\",") => self.usual_call()?,
            b'u' if self.starts_with(b"[\"pull\",") => self.id(8).and_then(|(id, at)| {
                let last = self.text.get(at..) == Some(b"]");
                last.then_some(Frame::Pull(id))
            }),
            b'e' if self.starts_with(b"[\"resolve\",") => match self.id(11) {
                Some((id, at)) if self.byte(at) == b',' => {
                    let (expr, end) = self.expression(self.ws(at + 1))?;
                    let last = self.text.get(end..) == Some(b"]");
                    last.then_some(Frame::Resolve(id, expr))
                }
                _ => None,
            },
            b'e' if self.starts_with(b"[\"release\",") => self.id(11).and_then(|(id, at)| {
                let (count, end) = (self.byte(at) == b',').then(|| self.id(at + 1))??;
                let last = self.text.get(end..) == Some(b"]");
                let count = u64::try_from(count).ok()?;
                last.then_some(Frame::Release { id, count })
            }),
            _ => None,
        })
    }

    #[inline]
    fn starts_with(&self, start: &[u8]) -> bool {
        self.text.starts_with(start)
    }

    /// Scans `["push",["pipeline",id,["method"],[arguments]]]`.
    fn usual_call(&mut self) -> Scan<Option<Frame<'a>>> {
        const EXPR: usize = 8;
        const ID: usize = 20;
        let Some((id, path)) = self.id(ID) else {
            return Ok(None);
        };
        if self.text.get(path..path + 3) != Some(b",[\"") {
            return Ok(None);
        }
        let name = self.string(path + 2)?;
        if self.text.get(name..name + 3) != Some(b"],[") {
            return Ok(None);
        }
        self.base = EXPR;
        self.enter(0)?;
        let hole = self.open_hole(Form::Pipeline, EXPR, id);
        let args = name + 2;
        let args_end = self.elements(args, 1)?;
        if self.byte(args_end) != b']' {
            return Ok(None);
        }
        let end = args_end + 1;
        let path = self.span(path + 1, name + 1);
        let args = self.span(args, args_end);
        self.close_hole(hole, end, Some(path), Some(args));
        let expr = self.slice(EXPR, end);
        let last = self.text.get(end..) == Some(b"]");
        Ok(last.then_some(Frame::Push(expr)))
    }
}
