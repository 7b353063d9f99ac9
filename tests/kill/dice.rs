//! Chance that can be repeated.

use leadstream::edge::random;

/// A row of numbers that its seed decides (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// 0 up to, not including, `below`.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// A fresh seed, or the one asked for; printed, so that a failure can be repeated.
pub fn seed(test: &str) -> u64 {
    let seed = match std::env::var("LEADSTREAM_KILL_SEED") {
        Ok(text) => text.parse().expect("LEADSTREAM_KILL_SEED is a number"),
        Err(_) => u64::from(u32::from_be_bytes(random::bytes())),
    };
    eprintln!("{test}: LEADSTREAM_KILL_SEED={seed}");
    seed
}
