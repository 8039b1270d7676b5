//! Resolution of the IDs in a message from the peer.

use std::sync::Arc;

use capnweb_wire::{Form, Hole};

use super::{
    SessionGuard, SessionInner, end::shut_down, export_table::Lookup, locked::Locked,
    remote_stream::RemoteStreamWriter,
};
use crate::{
    Attachment,
    graph::{
        engine::evaluate::ResolvedRef,
        error::{Error, Result},
        hook::Hook,
        payload::Cap,
        stream::Slot,
    },
};

impl SessionInner {
    /// Looks up the IDs in `holes`, in the tables and among the message's attachments.
    ///
    /// # Errors
    ///
    /// Returns an error if the peer uses an ID that never existed. This ends the session.
    pub(crate) fn resolve_ids(
        &self,
        holes: &[Hole],
        attachments: &[Attachment],
    ) -> Result<Vec<ResolvedRef>> {
        /// The number of IDs that are looked up in one go, while others wait for the lock.
        const AT_ONCE: usize = 1024;
        let mut refs = Vec::with_capacity(holes.len());
        for holes in holes.chunks(AT_ONCE) {
            self.resolve_some(holes, attachments, &mut refs)?;
        }
        Ok(refs)
    }

    fn resolve_some(
        &self,
        holes: &[Hole],
        attachments: &[Attachment],
        refs: &mut Vec<ResolvedRef>,
    ) -> Result<()> {
        // Hold it until after unlocking, since dropping it can end the session.
        let guard = self.guard.upgrade();
        let mut state = self.lock();
        for hole in holes {
            let ground = match hole.form {
                Form::Import | Form::Pipeline | Form::Remap => state.resolve_export(hole.id)?,
                Form::Export => {
                    ResolvedRef::Import(Self::import(&mut state, guard.as_ref(), hole.id, false)?)
                }
                Form::Promise => {
                    ResolvedRef::Import(Self::import(&mut state, guard.as_ref(), hole.id, true)?)
                }
                Form::Writable => {
                    let hook = Self::import(&mut state, guard.as_ref(), hole.id, false)?;
                    ResolvedRef::Cap(Cap::Writable(Slot::new(Box::new(writer(
                        hook,
                        guard.as_ref(),
                    )))))
                }
                Form::Readable | Form::Blob => {
                    ResolvedRef::Cap(Cap::Readable(state.exports.take_readable(hole.id)?))
                }
                Form::Bytes => ResolvedRef::Cap(attached(attachments, hole.id)?),
            };
            refs.push(ground);
        }
        drop(state);
        drop(guard);
        Ok(())
    }
}

impl Locked<'_> {
    fn resolve_export(&mut self, id: i64) -> Result<ResolvedRef> {
        match self.exports.look_up(id) {
            Lookup::Found { hook, is_stub } => Ok(ResolvedRef::Export { hook, is_stub }),
            Lookup::Released => Ok(ResolvedRef::Unusable(Error::new(format!(
                "no such entry on exports table: {id} (it was released)"
            )))),
            Lookup::Never => Err(Error::protocol(format!(
                "no such entry on exports table: {id}"
            ))),
        }
    }
}

/// Returns the bytes of an attachment.
fn attached(attachments: &[Attachment], number: i64) -> Result<Cap> {
    let attachment = usize::try_from(number)
        .ok()
        .and_then(|number| attachments.get(number))
        .ok_or_else(Error::internal)?;
    Ok(Cap::Bytes(attachment.bytes.clone(), attachment.container))
}

fn writer(target: Hook, guard: Option<&Arc<SessionGuard>>) -> RemoteStreamWriter {
    match (target, guard) {
        (Hook::Import(import), Some(guard)) => RemoteStreamWriter::new(import, guard),
        (Hook::Broken(error), _) => RemoteStreamWriter::broken(error),
        _ => RemoteStreamWriter::broken(shut_down()),
    }
}
