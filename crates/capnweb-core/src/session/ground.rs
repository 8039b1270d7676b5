//! What the IDs in a message of the peer's stand for.

use capnweb_wire::{Form, Hole};

use super::{
    export::{ExportKind, Found},
    outlet::OutletWriter,
    shared::{Locked, Shared},
};
use crate::{
    Attachment,
    error::{Error, Result},
    evaluate::Ground,
    hook::Hook,
    payload::Cap,
    stream::Slot,
};

impl Shared {
    /// Looks up what the IDs in `holes` stand for: in the tables, and among what is beside the message's text.
    ///
    /// # Errors
    ///
    /// If the peer names what never was: that ends the session.
    pub(super) fn ground(&self, holes: &[Hole], attachments: &[Attachment]) -> Result<Vec<Ground>> {
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
                        Ground::Cap(Cap::Writable(Slot::new(Box::new(writer(hook)))))
                    }
                    Form::Readable | Form::Blob => Ground::Cap(state.take_readable(hole.id)?),
                    Form::Bytes => Ground::Cap(attached(attachments, hole.id)?),
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

/// The bytes of an attachment.
fn attached(attachments: &[Attachment], number: i64) -> Result<Cap> {
    let attachment = usize::try_from(number)
        .ok()
        .and_then(|number| attachments.get(number))
        .ok_or_else(Error::internal)?;
    Ok(Cap::Bytes(attachment.bytes.clone(), attachment.container))
}

fn writer(target: Hook) -> OutletWriter {
    match target {
        Hook::Import(import) => OutletWriter::new(import),
        Hook::Broken(error) => OutletWriter::broken(error),
        _ => OutletWriter::broken(Error::internal()),
    }
}
