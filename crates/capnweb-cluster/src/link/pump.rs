//! The task of a link: receives frames, and sends heartbeats and acknowledgements.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};

use super::{
    frame::{Frame, Kind},
    state::Shared,
};
use crate::bus::{Bus, Delivery, Message, Subscription};

/// The time after which a link sends a heartbeat, and the time after which a silent peer counts as
/// lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    pub(crate) interval: Duration,
    pub(crate) silence: Duration,
}

pub(super) struct Pump {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) shared: Arc<Shared>,
    pub(super) incoming: Subscription,
    pub(super) peer: String,
    pub(super) own: String,
    pub(super) pulse: Pulse,
}

impl Pump {
    pub(super) async fn run(mut self) {
        let reason = self.work().await;
        if let Some(reason) = reason {
            self.shared.break_with(&reason);
        }
    }

    /// Runs until the link is over. Returns the reason, unless the link ended in good order or is
    /// broken already.
    async fn work(&mut self) -> Option<String> {
        let mut ticks = tokio::time::interval(self.pulse.interval / 4);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let shared = self.shared.clone();
            tokio::select! {
                biased;
                delivery = self.incoming.next() => match delivery {
                    None => return Some("the bus is closed".to_owned()),
                    Some(Delivery::NoSubscriber) => {
                        return Some("the other node is gone".to_owned());
                    }
                    Some(Delivery::Message(message)) => {
                        let received = match Frame::decode(message.payload) {
                            Some(frame) => self.shared.receive(frame),
                            None => Err("the peer has sent what is no frame"),
                        };
                        if let Err(reason) = received {
                            return Some(reason.to_owned());
                        }
                    }
                },
                () = shared.pump.notified() => {
                    let (is_over, is_ending, owes) = {
                        let state = self.shared.lock();
                        let is_ending = state.is_ending && state.is_published();
                        (state.is_over(), is_ending, state.owes_acknowledgement())
                    };
                    if is_over {
                        return None;
                    }
                    if is_ending {
                        return self.end().await;
                    }
                    if owes {
                        self.send(&Kind::Alive).await?;
                    }
                }
                _ = ticks.tick() => {
                    let (heard, sent, unheard) = {
                        let state = self.shared.lock();
                        (state.last_heard, state.last_sent, state.is_data_unheard())
                    };
                    let now = Instant::now();
                    if now - heard > self.pulse.silence {
                        return Some(format!(
                            "the other node has sent nothing for {:?}",
                            self.pulse.silence
                        ));
                    }
                    // A bus takes a moment to notice that a peer is gone, and loses what is sent
                    // meanwhile. So data that nothing answers is soon followed by a heartbeat.
                    let pause = match unheard {
                        true => self.pulse.interval / 8,
                        false => self.pulse.interval,
                    };
                    if now - sent >= pause {
                        self.send(&Kind::Alive).await?;
                    }
                }
            }
        }
    }

    /// Publishes a frame. Returns `None` if the link broke.
    async fn send(&mut self, kind: &Kind) -> Option<()> {
        let frame = self.shared.lock().other(kind);
        let message = Message::new(frame).with_reply(self.own.clone());
        match self.bus.publish(&self.peer, message).await {
            Ok(()) => Some(()),
            Err(error) => {
                self.shared.break_with(&error.to_string());
                None
            }
        }
    }

    async fn end(&mut self) -> Option<String> {
        self.send(&Kind::End).await?;
        let mut state = self.shared.lock();
        state.has_sent_end = true;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers
            .into_iter()
            .flatten()
            .for_each(std::task::Waker::wake);
        // Whoever still reads learns that nothing else comes.
        Some("the link was closed".to_owned())
    }
}
