//! A random generator with a seed, for jitter.

use std::time::Duration;

use capnweb_core::runtime::fill_random;

/// A random generator (SplitMix64) for jitter and choices: small, fast and seedable, but not
/// cryptographic.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Creates a generator from `seed`, or from the system's entropy.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(seed.or_else(from_system).unwrap_or_default())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a random number below `bound`, or 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        // The high half of a product with `bound` is less than `bound`.
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// Returns a random time of at most `bound`.
    pub(crate) fn up_to(&mut self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(nanos.saturating_add(1)))
    }
}

/// Returns a seed from the system's entropy, if it has any.
fn from_system() -> Option<u64> {
    let mut bytes = [0; 8];
    fill_random(&mut bytes).then(|| u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_sequence() {
        let sequence = |seed| {
            let mut random = Random::new(Some(seed));
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
    }

    #[test]
    fn times_spread_over_the_whole_range() {
        let mut random = Random::new(Some(1));
        let bound = Duration::from_secs(1);
        let mut tenths = [0_u32; 10];
        for _ in 0..10_000 {
            let time = random.up_to(bound);
            assert!(time <= bound);
            let tenth = usize::try_from(time.as_millis() / 100).unwrap().min(9);
            tenths[tenth] += 1;
        }
        assert!(
            tenths.iter().all(|count| (850..1150).contains(count)),
            "{tenths:?}"
        );
        assert_eq!(random.up_to(Duration::ZERO), Duration::ZERO);
        assert_eq!(random.below(0), 0);
    }
}
