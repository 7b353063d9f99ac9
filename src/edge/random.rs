//! Ids and randomness.

use parking_lot::Mutex;

use crate::model::Millis;

/// 2020-01-01 UTC: ids count milliseconds from here, which lasts until the year 2089.
const ID_EPOCH: i64 = 1_577_836_800_000;

/// Bits below the milliseconds: which node made the id, and a counter.
const NODE_BITS: u32 = 8;
const SEQUENCE_BITS: u32 = 14;

/// Ids of one node in one millisecond before its generator runs ahead of the clock.
const SEQUENCE: i64 = 1 << SEQUENCE_BITS;

/// How many nodes can make ids at the same time.
pub const MOST_NODES: usize = 1 << NODE_BITS;

/// Makes ids that grow: milliseconds since 2020 in the upper 41 bits, then 8 bits of node, then a
/// counter. So they sort by time, and no two nodes make the same.
///
/// One generator serves one process. It never goes back, whatever the clock does: it starts above
/// the highest id that the store holds, and is raised above ids of other nodes that its own must
/// follow.
#[derive(Debug)]
pub struct IdGenerator {
    state: Mutex<State>,
}

/// `next` counts milliseconds in the upper bits and ids within one below, without the node.
#[derive(Debug)]
struct State {
    node: i64,
    next: i64,
}

/// Ids that were taken together, smallest first. Up to 16,384 of them are consecutive numbers.
#[derive(Debug, Clone)]
pub struct Ids {
    node: i64,
    next: i64,
    left: usize,
}

impl IdGenerator {
    /// A generator of node 0 that starts above `highest`, the highest id in use.
    pub fn above(highest: i64) -> Self {
        let generator = Self {
            state: Mutex::new(State { node: 0, next: 0 }),
        };
        generator.raise(highest);
        generator
    }

    /// From now on makes ids of `node`, of which there are [`MOST_NODES`], and above `id`.
    pub fn become_node(&self, node: u8, id: i64) {
        let mut state = self.state.lock();
        state.node = i64::from(node);
        state.raise(id);
    }

    /// From now on makes ids above `id`, which may be another node's.
    pub fn raise(&self, id: i64) {
        self.state.lock().raise(id);
    }

    /// The next id.
    pub fn next(&self, now: Millis) -> i64 {
        self.take(now, 1).first()
    }

    /// The next `count` ids.
    pub fn take(&self, now: Millis, count: usize) -> Ids {
        let from_clock = (now.0 - ID_EPOCH).max(0) << SEQUENCE_BITS;
        let mut state = self.state.lock();
        let mut first = from_clock.max(state.next);
        // All within one millisecond, so that they are consecutive.
        if first % SEQUENCE + count as i64 > SEQUENCE && first % SEQUENCE != 0 {
            first = (first / SEQUENCE + 1) * SEQUENCE;
        }
        state.next = first + count as i64;
        Ids {
            node: state.node,
            next: first,
            left: count,
        }
    }
}

impl State {
    fn raise(&mut self, id: i64) {
        if id > 0 && full_id(self.node, self.next) <= id {
            self.next = ((id >> (NODE_BITS + SEQUENCE_BITS)) + 1) << SEQUENCE_BITS;
        }
    }
}

/// The smallest id that can be made at `time`: what is below is older.
pub fn first_id_at(time: Millis) -> i64 {
    (time.0 - ID_EPOCH).max(0) << (NODE_BITS + SEQUENCE_BITS)
}

fn full_id(node: i64, counter: i64) -> i64 {
    ((counter >> SEQUENCE_BITS) << (NODE_BITS + SEQUENCE_BITS))
        | (node << SEQUENCE_BITS)
        | (counter % SEQUENCE)
}

impl Ids {
    /// The smallest of those that are left.
    pub fn first(&self) -> i64 {
        full_id(self.node, self.next)
    }

    /// `rows`, each with an id.
    ///
    /// # Panics
    /// If fewer ids were taken than there are rows: without one a row would be lost.
    pub fn number<'r, T>(&mut self, rows: &'r [T]) -> Vec<(i64, &'r T)> {
        assert!(rows.len() <= self.left, "an id was taken for each row");
        self.by_ref().zip(rows).take(rows.len()).collect()
    }
}

impl Iterator for Ids {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        self.left = self.left.checked_sub(1)?;
        let id = self.first();
        self.next += 1;
        Some(id)
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
        assert!(first < run.first());
        assert_eq!(back, run.first() + 10);
    }

    #[test]
    fn ids_follow_the_highest_in_use_whoever_made_it() {
        let other = IdGenerator::above(0);
        other.become_node(255, 0);
        let theirs = other.next(Millis(ID_EPOCH + 5_000));
        let ids = IdGenerator::above(0);
        let before = ids.next(Millis(ID_EPOCH + 1_000));
        assert!(before < theirs);
        ids.raise(theirs);
        let after = ids.next(Millis(ID_EPOCH + 1_000));
        assert!(after > theirs);
        ids.raise(before);
        assert!(ids.next(Millis(ID_EPOCH)) > after, "it is never lowered");
    }

    #[test]
    fn a_run_of_ids_is_consecutive_and_no_two_nodes_share_one() {
        let now = Millis(ID_EPOCH + 7);
        let mut seen = std::collections::BTreeSet::new();
        for node in [0, 1, 200] {
            let ids = IdGenerator::above(0);
            ids.become_node(node, 0);
            for count in [1, 5_000, 5_000, 5_000, 5_000, 16_384, 1] {
                let run: Vec<i64> = ids.take(now, count).collect();
                assert_eq!(run.len(), count);
                assert_eq!(run[count - 1], run[0] + count as i64 - 1);
                assert!(run.into_iter().all(|id| seen.insert(id)));
            }
            let many: Vec<i64> = ids.take(now, 40_000).collect();
            assert!(many.is_sorted());
            assert!(many.into_iter().all(|id| seen.insert(id)));
        }
    }
}
