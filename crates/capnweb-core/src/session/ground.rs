//! What the IDs in a message of the peer's stand for.

use capnweb_wire::{Form, Hole};

use super::{
    export::{ExportKind, Found},
    shared::{Locked, Shared},
};
use crate::{
    error::{Error, Result},
    evaluate::Ground,
};

impl Shared {
    /// Looks up what the IDs in `holes` stand for.
    ///
    /// # Errors
    ///
    /// If the peer names what never was: that ends the session.
    pub(super) fn ground(&self, holes: &[Hole]) -> Result<Vec<Ground>> {
        let mut grounds = Vec::with_capacity(holes.len());
        if !holes.is_empty() {
            // Held until after the lock: dropping it can be the end of the session.
            let life = self.life.upgrade();
            let mut state = self.lock();
            for hole in holes {
                let ground = match hole.form {
                    Form::Import | Form::Pipeline | Form::Remap => state.ground_export(hole.id)?,
                    Form::Export => {
                        Ground::Import(Self::import(&mut state, life.as_ref(), hole.id, false)?)
                    }
                    Form::Promise => {
                        Ground::Import(Self::import(&mut state, life.as_ref(), hole.id, true)?)
                    }
                    Form::Writable => {
                        // Taken, so that it is released again.
                        let hook = Self::import(&mut state, life.as_ref(), hole.id, false)?;
                        state.later(crate::work::Work::DropHook(hook));
                        Ground::Unusable(no_streams())
                    }
                    Form::Readable => {
                        state.ground_export(hole.id)?;
                        Ground::Unusable(no_streams())
                    }
                };
                grounds.push(ground);
            }
            drop(state);
            drop(life);
        }
        Ok(grounds)
    }
}

impl Locked<'_> {
    fn ground_export(&mut self, id: i64) -> Result<Ground> {
        match self.find_export(id) {
            Found::Hook(hook) => Ok(Ground::Export {
                hook,
                is_stub: self
                    .export(id)
                    .is_some_and(|export| export.kind == ExportKind::Stub),
            }),
            Found::Released => Ok(Ground::Unusable(Error::new(format!(
                "no such entry on exports table: {id} (it was released)"
            )))),
            Found::Never => Err(Error::protocol(format!(
                "no such entry on exports table: {id}"
            ))),
        }
    }
}

/// Until streams are built.
pub(crate) fn no_streams() -> Error {
    Error::type_error("streams are not supported by this peer")
}
