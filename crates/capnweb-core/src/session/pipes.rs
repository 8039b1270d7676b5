//! The ends of streams in the tables of a session, and what is counted of them.

use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use super::{
    export::{Export, ExportKind},
    handle::Life,
    import::{Import, ImportEntry},
    outlet::OutletWriter,
    shared::{Locked, Shared, State},
};
use crate::{
    error::{Error, Result},
    hook::Hook,
    payload::Cap,
    stream::{BoxDestination, BoxSource, Inlet, Pipe, Pump, Slot, new_pipe},
};

/// The pipes of a session that can still hold something.
#[derive(Default)]
pub(super) struct Pipes {
    pipes: Vec<Weak<Pipe>>,
    /// How many to have before looking which of them are gone.
    look_at: usize,
}

/// Fewer than this are not worth a look.
const FEW: usize = 32;

impl Pipes {
    fn add(&mut self, inlet: &Inlet) {
        if self.pipes.len() >= self.look_at.max(FEW) {
            self.pipes.retain(|pipe| pipe.strong_count() > 0);
            self.look_at = self.pipes.len() * 2;
        }
        self.pipes.push(Arc::downgrade(inlet.pipe()));
    }

    /// The session is over.
    pub(super) fn end(self, reason: &Error) {
        for pipe in self.pipes {
            if let Some(pipe) = pipe.upgrade() {
                pipe.session_ended(reason);
            }
        }
    }

    /// Those that are still there.
    pub(super) fn all(&self) -> Vec<Arc<Pipe>> {
        self.pipes.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Holds a batch up: something is being written to it.
pub(crate) struct Pumping(Arc<Shared>);

impl Drop for Pumping {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.pumping = state.pumping.saturating_sub(1);
        state.check_drained();
        state.check_flush();
    }
}

impl Shared {
    /// The peer makes a pipe, and writes to it under its next ID.
    pub(super) fn pipe_received(&self) -> Result<()> {
        let (inlet, reader) = new_pipe();
        let mut export = Export::new(Hook::Inlet(inlet.clone()), ExportKind::Stub);
        export.set_readable(Slot::new(Box::new(reader)));
        let mut state = self.lock();
        if state.ended.is_some() {
            return Ok(());
        }
        self.check_limits(&state)?;
        state.pipes.add(&inlet);
        state.add_push(export);
        let input_ended = state.input_ended.clone();
        drop(state);
        if let Some(reason) = input_ended {
            inlet.break_off(&reason);
        }
        Ok(())
    }

    /// So many bytes were written to a stream, and not read.
    pub(crate) fn buffer(&self, bytes: usize) {
        self.lock().stream_bytes += bytes;
    }

    pub(crate) fn unbuffer(&self, bytes: usize) {
        let mut state = self.lock();
        state.stream_bytes = state.stream_bytes.saturating_sub(bytes);
    }

    /// Remembers the runtime, for pumps that are started from outside of one.
    pub(crate) fn set_runtime(&self) {
        if self.pump_runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            // Whoever was first, any runtime will do.
            let _ = self.pump_runtime.set(runtime);
        }
    }

    pub(super) fn start_pumps(&self, pumps: Vec<Pump>) {
        for pump in pumps {
            pump.start(self.pump_runtime.get());
        }
    }
}

impl State {
    /// Takes the end of a pipe that is read from.
    ///
    /// # Errors
    ///
    /// If `id` is no pipe, or that was taken before. That ends the session.
    pub(super) fn take_readable(&mut self, id: i64) -> Result<Cap> {
        match self
            .export_mut(id)
            .and_then(|export| export.take_readable())
        {
            Some(slot) => Ok(Cap::Readable(slot)),
            None => Err(Error::protocol(format!(
                "Export {id} is not a pipe or its readable end was already consumed."
            ))),
        }
    }
}

impl State {
    /// Whether it is time to send a batch.
    pub(super) fn is_flush_due(&self) -> bool {
        self.flush.requested && self.pumping == 0
    }
}

impl Locked<'_> {
    /// Wakes the task that sends a batch, if it is time.
    pub(super) fn check_flush(&mut self) {
        if self.is_flush_due() {
            let waiting = self.flush.waiting.take();
            self.wake(waiting);
        }
    }

    /// Makes a pipe at the peer. Gives its ID, and what moves `source` into it.
    pub(super) fn open_pipe(&mut self, life: Arc<Life>, source: BoxSource) -> (i64, Pump) {
        self.write(|out| out.extend_from_slice(b"[\"pipe\"]"));
        let id = i64::try_from(self.calls.next_key()).unwrap_or(i64::MAX);
        self.pumping += 1;
        let pumping = Pumping(life.shared().clone());
        let import = Import::new(life, id, false);
        self.calls.push(ImportEntry::new(&import));
        let destination = Box::new(OutletWriter::new(import));
        (id, Pump::new(source, destination, Some(pumping)))
    }

    /// Lets the peer write to `destination`. Gives the ID, and what moves chunks there if the peer
    /// cannot do so itself.
    pub(super) fn export_writable(&mut self, destination: BoxDestination) -> (i64, Option<Pump>) {
        let (inlet, pump) = match destination.inlet() {
            Some(inlet) => (inlet, None),
            None => {
                let (inlet, reader) = new_pipe();
                let pump = Pump::new(Box::new(reader), destination, None);
                (inlet, Some(pump))
            }
        };
        self.pipes.add(&inlet);
        (self.add_export(Hook::Inlet(inlet), ExportKind::Stub), pump)
    }
}
