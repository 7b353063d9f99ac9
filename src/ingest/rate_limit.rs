//! Token buckets: per source, and per address in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;

use crate::model::Millis;

/// Addresses that are remembered at once, twice this at most. 32 bytes or so each.
const MAX_ADDRESSES: usize = 50_000;

/// How long a bucket takes to fill again.
const MINUTE_MS: i64 = 60_000;
const SECOND_MS: i64 = 1_000;

/// So many requests in so much time, in bursts of up to as many.
#[derive(Debug, Clone, Copy)]
struct Rate {
    requests: u32,
    window_ms: i64,
}

/// What is left. A request costs `window_ms` tokens and a millisecond brings `requests`: whole
/// numbers, so that no refill is lost in rounding.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: i64,
    at: Millis,
}

impl Rate {
    fn capacity(self) -> i64 {
        i64::from(self.requests) * self.window_ms
    }

    fn full(self, now: Millis) -> Bucket {
        Bucket {
            tokens: self.capacity(),
            at: now,
        }
    }

    /// Takes a request, or says in how many seconds one can be taken.
    fn take(self, bucket: &mut Bucket, now: Millis) -> Result<(), u64> {
        // A clock that goes back refills nothing.
        let passed = now.0.saturating_sub(bucket.at.0).clamp(0, self.window_ms);
        let refilled = bucket.tokens + i64::from(self.requests) * passed;
        bucket.tokens = refilled.min(self.capacity());
        bucket.at = now;
        if bucket.tokens >= self.window_ms {
            bucket.tokens -= self.window_ms;
            return Ok(());
        }
        let missing = (self.window_ms - bucket.tokens) as u64;
        let wait_ms = missing.div_ceil(u64::from(self.requests));
        Err(wait_ms.div_ceil(1000))
    }
}

/// The limit of one source, all senders together.
#[derive(Debug)]
pub struct SourceLimit {
    rate: Rate,
    bucket: Mutex<Bucket>,
}

impl SourceLimit {
    pub fn per_second(requests: u32, now: Millis) -> Self {
        let rate = Rate {
            requests: requests.max(1),
            window_ms: SECOND_MS,
        };
        Self {
            rate,
            bucket: Mutex::new(rate.full(now)),
        }
    }

    /// Takes a request, or says in how many seconds one can be taken.
    pub fn take(&self, now: Millis) -> Result<(), u64> {
        self.rate.take(&mut self.bucket.lock(), now)
    }
}

/// The limit of each address.
///
/// Buckets are kept in two generations: the older one is dropped when a minute has passed, when all
/// its buckets are full anyway, or when the younger one has become too large. So memory is bounded,
/// and a flood of addresses costs only what was known of others.
#[derive(Debug)]
pub struct AddressLimit {
    rate: Rate,
    generations: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
    young: HashMap<IpAddr, Bucket>,
    old: HashMap<IpAddr, Bucket>,
    since: Millis,
}

impl AddressLimit {
    pub fn per_minute(requests: u32, now: Millis) -> Self {
        Self {
            rate: Rate {
                requests: requests.max(1),
                window_ms: MINUTE_MS,
            },
            generations: Mutex::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
                since: now,
            }),
        }
    }

    /// Takes a request of `address`, or says in how many seconds one can be taken.
    pub fn take(&self, address: IpAddr, now: Millis) -> Result<(), u64> {
        let address = network(address);
        let generations = &mut *self.generations.lock();
        let is_over = now.0.saturating_sub(generations.since.0) >= MINUTE_MS;
        if is_over || generations.young.len() >= MAX_ADDRESSES {
            generations.old = std::mem::take(&mut generations.young);
            generations.since = now;
        }
        let Generations { young, old, .. } = generations;
        let bucket = young
            .entry(address)
            .or_insert_with(|| old.remove(&address).unwrap_or(self.rate.full(now)));
        self.rate.take(bucket, now)
    }
}

/// What counts as one address: in IPv6 its network, as a host has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_takes_a_burst_and_then_what_refills() {
        let limit = SourceLimit::per_second(2, Millis(0));
        assert_eq!(limit.take(Millis(0)), Ok(()));
        assert_eq!(limit.take(Millis(0)), Ok(()));
        assert_eq!(limit.take(Millis(0)), Err(1));
        assert_eq!(limit.take(Millis(499)), Err(1));
        assert_eq!(limit.take(Millis(500)), Ok(()));
        assert_eq!(limit.take(Millis(400)), Err(1), "the clock went back");
    }

    #[test]
    fn a_slow_refill_is_not_lost_however_often_it_is_asked_for() {
        let limit = AddressLimit::per_minute(1, Millis(0));
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(limit.take(address, Millis(0)), Ok(()));
        assert_eq!(limit.take(address, Millis(1)), Err(60));
        for ms in 2..60_000 {
            assert!(limit.take(address, Millis(ms)).is_err(), "{ms}");
        }
        assert_eq!(limit.take(address, Millis(60_000)), Ok(()));
    }

    #[test]
    fn addresses_do_not_share_but_one_ipv6_network_does() {
        let limit = AddressLimit::per_minute(1, Millis(0));
        let take = |address: &str| limit.take(address.parse().unwrap(), Millis(0)).is_ok();
        assert!(take("192.0.2.1"));
        assert!(take("192.0.2.2"));
        assert!(!take("192.0.2.1"));
        assert!(take("2001:db8::1"));
        assert!(!take("2001:db8::2"));
        assert!(take("2001:db8:0:1::1"));
    }

    #[test]
    fn memory_is_bounded_under_a_flood_of_addresses() {
        let limit = AddressLimit::per_minute(1, Millis(0));
        for number in 0..(3 * MAX_ADDRESSES as u32) {
            let _ = limit.take(IpAddr::V4(number.into()), Millis(0));
        }
        let generations = limit.generations.lock();
        assert!(generations.young.len() + generations.old.len() <= 2 * MAX_ADDRESSES);
    }
}
