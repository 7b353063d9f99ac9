use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderValue};

use crate::edge::random;

/// The header that a request's id comes in and goes out by.
pub const HEADER: &str = "x-request-id";

/// The longest id of a sender's own that is taken over.
const MAX_BYTES: usize = 64;

/// Gives each request an id that follows its lead to the delivery.
#[derive(Debug)]
pub struct RequestIds {
    seed: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub fn new() -> Self {
        Self {
            seed: u64::from_le_bytes(random::bytes()),
            next: AtomicU64::new(0),
        }
    }

    /// The sender's own id if it is one that can be logged as it is, else a new one.
    pub fn of(&self, headers: &HeaderMap) -> (String, HeaderValue) {
        let text = own(headers).map_or_else(|| self.next(), str::to_owned);
        let header = HeaderValue::from_str(&text);
        (text, header.unwrap_or(HeaderValue::from_static("-")))
    }

    fn next(&self) -> String {
        let number = mix(self
            .seed
            .wrapping_add(self.next.fetch_add(1, Ordering::Relaxed)));
        format!("{number:016x}")
    }
}

fn own(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let is_sane = (1..=MAX_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_sane.then_some(text)
}

/// A one-to-one scramble of 64 bits (SplitMix64's last step), so that ids of one process differ, and
/// those of two hardly ever meet.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &RequestIds, sent: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(sent).unwrap());
        let (text, header) = ids.of(&headers);
        assert_eq!(header, text);
        text
    }

    #[test]
    fn a_sane_id_is_taken_over_and_another_is_replaced() {
        let ids = RequestIds::new();
        assert_eq!(of(&ids, "req-1.A_b"), "req-1.A_b");
        for sent in ["", "a b", "a\"b", &"x".repeat(65)] {
            assert_eq!(of(&ids, sent).len(), 16, "{sent}");
        }
        assert_ne!(of(&ids, ""), of(&ids, ""));
    }
}
