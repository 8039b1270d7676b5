//! What the IDs in a message of the peer's stand for.

use capnweb_wire::{Form, Hole};

use super::{
    export::{ExportKind, Found},
    outlet::OutletWriter,
    shared::{Locked, Shared},
};
use crate::{
    error::{Error, Result},
    evaluate::Ground,
    hook::Hook,
    payload::Cap,
    stream::Slot,
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
                        let hook = Self::import(&mut state, life.as_ref(), hole.id, false)?;
                        Ground::Stream(Cap::Writable(Slot::new(Box::new(writer(hook)))))
                    }
                    Form::Readable | Form::Blob => Ground::Stream(state.take_readable(hole.id)?),
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

fn writer(target: Hook) -> OutletWriter {
    match target {
        Hook::Import(import) => OutletWriter::new(import),
        Hook::Broken(error) => OutletWriter::broken(error),
        _ => OutletWriter::broken(Error::internal()),
    }
}
