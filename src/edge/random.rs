//! Ids and randomness.

use parking_lot::Mutex;

use crate::model::Millis;

/// 2020-01-01 UTC: ids count milliseconds from here, which lasts until the year 2089.
const ID_EPOCH: i64 = 1_577_836_800_000;

/// Ids in one millisecond before the generator runs ahead of the clock.
const ID_SEQUENCE_BITS: u32 = 22;

/// Makes ids that grow: milliseconds since 2020 in the upper 41 bits, a counter below.
///
/// One generator serves one process. It never goes back, whatever the clock does: it starts above
/// the highest id that the store holds.
#[derive(Debug)]
pub struct IdGenerator {
    last: Mutex<i64>,
}

impl IdGenerator {
    /// Starts above `highest`, the highest id in use.
    pub fn above(highest: i64) -> Self {
        Self {
            last: Mutex::new(highest),
        }
    }

    /// The next id.
    pub fn next(&self, now: Millis) -> i64 {
        self.take(now, 1)
    }

    /// The first of `count` ids in a row.
    pub fn take(&self, now: Millis, count: usize) -> i64 {
        let from_clock = (now.0 - ID_EPOCH).max(0) << ID_SEQUENCE_BITS;
        let mut last = self.last.lock();
        let first = from_clock.max(*last + 1);
        *last = first + count as i64 - 1;
        first
    }
}

/// `N` random bytes from the operating system.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the machine"
)]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        // Linux, macOS and Windows cannot fail here once the system has started; a key or nonce
        // that is not random would be worse than no process.
        std::process::abort();
    }
    bytes
}

/// A factor for waiting times, in 0.5..1.0: two nodes that failed together do not retry together.
pub fn jitter() -> f64 {
    0.5 + f64::from(u32::from_le_bytes(bytes())) / f64::from(u32::MAX) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_goes_back() {
        let ids = IdGenerator::above(0);
        let now = Millis(ID_EPOCH + 1_000);
        let first = ids.next(now);
        let run = ids.take(now, 10);
        let back = ids.next(Millis(ID_EPOCH));
        assert!(first < run);
        assert_eq!(back, run + 10);
    }
}
