//! How many calls we have made, by hour and purpose, until somebody takes it down.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::model::Millis;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Calls by the beginning of their hour and what they were for. Only those that count toward the
/// org's limit: an answer of any kind counts, and so may a call that brought none.
#[derive(Debug, Default)]
pub struct CallCounts(Mutex<BTreeMap<(Millis, &'static str), u64>>);

/// The hour's beginning, the purpose, how many.
pub type CallCount = (Millis, &'static str, u64);

impl CallCounts {
    pub(super) fn note(&self, purpose: &'static str, at: Millis) {
        let hour = Millis(at.0.div_euclid(HOUR_MS) * HOUR_MS);
        *self.0.lock().entry((hour, purpose)).or_default() += 1;
    }

    /// How many there are, by the hour.
    pub fn by_hour(&self) -> BTreeMap<Millis, u64> {
        let mut hours = BTreeMap::new();
        for ((hour, _), calls) in self.0.lock().iter() {
            *hours.entry(*hour).or_default() += calls;
        }
        hours
    }

    /// All of them, to be taken down; from here on it counts from zero.
    pub fn take(&self) -> Vec<CallCount> {
        std::mem::take(&mut *self.0.lock())
            .into_iter()
            .map(|((hour, purpose), calls)| (hour, purpose, calls))
            .collect()
    }

    /// Counts again what could not be taken down.
    pub fn give_back(&self, counts: &[CallCount]) {
        let mut held = self.0.lock();
        for (hour, purpose, calls) in counts {
            *held.entry((*hour, purpose)).or_default() += calls;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{NOW, Org, json_answer};
    use super::*;

    #[tokio::test]
    async fn what_counts_toward_the_limit_is_counted_until_it_is_taken() {
        let org = Org::signed_in().await;
        let counts = org.client.calls_made();
        assert_eq!(counts.take(), [], "signing in is free");
        org.http.then(json_answer(200, json!([])));
        org.client.versions().await.unwrap();
        for answer in [json_answer(200, json!({})), json_answer(500, json!([]))] {
            org.http.then(answer);
            let _ = org.client.limits().await;
        }
        let hour = Millis(NOW.0 / HOUR_MS * HOUR_MS);
        let made = [(hour, "limits", 2)];
        assert_eq!(counts.by_hour(), [(hour, 2)].into());
        assert_eq!(counts.take(), made);
        assert_eq!(counts.take(), []);
        counts.give_back(&made);
        counts.give_back(&made);
        assert_eq!(counts.take(), [(hour, "limits", 4)]);
    }
}
