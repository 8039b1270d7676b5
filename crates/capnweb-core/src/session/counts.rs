//! Counts of a session's resources, besides its tables and queues.

use crate::graph::peer_call::Resource;

/// The amounts that are charged to a peer. Whoever charges an amount also refunds it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    calls: usize,
    retained_bytes: usize,
    stream_bytes: usize,
    pumps: usize,
}

/// The memory of an unfinished call in bytes, besides its arguments: the task of a handler, or a
/// call that waits for promises.
const CALL_COST: usize = 768;

impl Counts {
    /// Returns the charged amount of `resource`. Bytes include those of unfinished calls.
    pub(super) fn of(&self, resource: Resource) -> usize {
        match resource {
            Resource::Calls => self.calls,
            Resource::RetainedBytes => self.retained_bytes,
            Resource::StreamBytes => self.stream_bytes,
            Resource::Pumps => self.pumps,
        }
    }

    fn of_mut(&mut self, resource: Resource) -> &mut usize {
        match resource {
            Resource::Calls => &mut self.calls,
            Resource::RetainedBytes => &mut self.retained_bytes,
            Resource::StreamBytes => &mut self.stream_bytes,
            Resource::Pumps => &mut self.pumps,
        }
    }

    /// Adds `amount`.
    pub(super) fn charge(&mut self, resource: Resource, amount: usize) {
        let count = self.of_mut(resource);
        *count = count.saturating_add(amount);
        // Add this here, since calls start and finish less often than the bytes are checked.
        if resource == Resource::Calls {
            self.retained_bytes += amount * CALL_COST;
        }
    }

    /// Subtracts `amount`, which was charged before.
    pub(super) fn refund(&mut self, resource: Resource, amount: usize) {
        let count = self.of_mut(resource);
        debug_assert!(
            *count >= amount,
            "{resource:?}: refunded what was not charged"
        );
        *count = count.saturating_sub(amount);
        if resource == Resource::Calls {
            self.retained_bytes = self.retained_bytes.saturating_sub(amount * CALL_COST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_has_a_count_of_its_own() {
        let all = [
            Resource::Calls,
            Resource::RetainedBytes,
            Resource::StreamBytes,
            Resource::Pumps,
        ];
        let mut counts = Counts::default();
        for (amount, resource) in all.into_iter().enumerate() {
            counts.charge(resource, amount + 1);
            counts.charge(resource, 10);
        }
        for (amount, resource) in all.into_iter().enumerate() {
            counts.refund(resource, 10);
            let of_calls = match resource {
                Resource::RetainedBytes => counts.of(Resource::Calls) * CALL_COST,
                _ => 0,
            };
            assert_eq!(counts.of(resource), amount + 1 + of_calls);
        }
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "Calls: refunded what was not charged")]
    fn a_refund_without_a_charge_is_a_bug() {
        Counts::default().refund(Resource::Calls, 1);
    }
}
