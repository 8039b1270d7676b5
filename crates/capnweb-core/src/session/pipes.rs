//! The ends of streams in the tables of a session, and their counts.

use std::sync::Arc;

use capnweb_wire::encode;

use super::{
    SessionGuard, SessionInner,
    export_table::{Export, ExportKind},
    locked::Locked,
    remote_stream::RemoteStreamWriter,
};
use crate::graph::{
    error::Result,
    hook::Hook,
    hooks::SessionHooks,
    import::Import,
    peer_call::{Charge, Resource},
    stream::{BoxDestination, BoxSource, Pump, Slot, new_pipe},
};

impl SessionInner {
    /// Handles a `pipe`: the peer creates a pipe, and writes to it under its next ID.
    pub(super) fn pipe_received(&self) -> Result<()> {
        let (pipe_writer, reader) = new_pipe();
        if let Some(hooks) = &self.hooks {
            pipe_writer.observe(hooks);
        }
        let export = Export::pipe(
            Hook::PipeWriter(pipe_writer.clone()),
            Slot::new(Box::new(reader)),
        );
        let mut state = self.lock();
        if state.ended.is_some() {
            return Ok(());
        }
        self.check_limits(&state)?;
        state.pipes.push(pipe_writer.pipe());
        state.exports.push(export);
        let input_ended = state.input_ended.clone();
        drop(state);
        if let Some(reason) = input_ended {
            pipe_writer.break_off(&reason);
        }
        Ok(())
    }

    pub(super) fn start_pumps(&self, pumps: Vec<Pump>) {
        for pump in pumps {
            pump.start(self.pump_runtime.get());
        }
    }
}

impl Locked<'_> {
    /// Creates a pipe at the peer. Returns its ID, and the pump that moves `source` into it.
    pub(super) fn open_pipe(&mut self, guard: Arc<SessionGuard>, source: BoxSource) -> (i64, Pump) {
        self.write(encode::pipe);
        self.counts.charge(Resource::Pumps, 1);
        let pumping = Charge::of_counted(guard.inner().clone(), Resource::Pumps, 1);
        let import = (self.imports).push(|id| Import::new(guard.clone(), id, false));
        let id = import.id();
        let destination = Box::new(RemoteStreamWriter::new(import, &guard));
        (id, Pump::new(source, destination, Some(pumping)))
    }

    /// Lets the peer write to `destination`. Returns the ID, and the pump for the chunks unless the
    /// peer can send them by itself.
    pub(super) fn export_writable(
        &mut self,
        destination: BoxDestination,
        hooks: Option<&Arc<SessionHooks>>,
    ) -> (i64, Option<Pump>) {
        let (pipe_writer, pump) = match destination.pipe_writer() {
            Some(pipe_writer) => (pipe_writer, None),
            None => {
                let (pipe_writer, reader) = new_pipe();
                let pump = Pump::new(Box::new(reader), destination, None);
                (pipe_writer, Some(pump))
            }
        };
        if let Some(hooks) = hooks {
            pipe_writer.observe(hooks);
        }
        self.pipes.push(pipe_writer.pipe());
        (
            self.exports
                .offer(Hook::PipeWriter(pipe_writer), ExportKind::Stub),
            pump,
        )
    }
}
