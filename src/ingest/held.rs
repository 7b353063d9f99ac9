use std::sync::atomic::{AtomicUsize, Ordering};

use super::refused::Refused;

/// The most bytes of bodies that are held at once, between their arrival and their commit, however
/// many connections there are.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Bodies of the largest size that must fit at least.
const MIN_BODIES: usize = 16;

/// Counts the bytes of bodies in memory, and refuses more than fit.
#[derive(Debug)]
pub struct HeldBytes {
    held: AtomicUsize,
    limit: usize,
}

/// What one request holds; given back when dropped.
#[derive(Debug)]
pub struct Share<'h> {
    all: &'h HeldBytes,
    bytes: usize,
}

impl HeldBytes {
    pub fn new(max_body_bytes: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            limit: MAX_BYTES.max(max_body_bytes.saturating_mul(MIN_BODIES)),
        }
    }

    /// A share of nothing yet.
    pub fn share(&self) -> Share<'_> {
        Share {
            all: self,
            bytes: 0,
        }
    }
}

impl Share<'_> {
    /// Takes `bytes` more.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        self.bytes += bytes;
        let before = self.all.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.all.limit {
            return Err(Refused::busy());
        }
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.all.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_what_is_given_back_fits_again() {
        let held = HeldBytes::new(1);
        let mut first = held.share();
        assert!(first.grow(MAX_BYTES).is_ok());
        let mut second = held.share();
        assert_eq!(second.grow(1).unwrap_err().code, "hook.busy");
        drop(first);
        assert!(held.share().grow(MAX_BYTES - 1).is_ok());
        drop(second);
        assert_eq!(held.held.load(Ordering::Relaxed), 0);
    }
}
