//! What may be shown of a credential: how old it is, when it ends. No part of it is secret.

use serde::{Deserialize, Serialize};

use crate::model::Millis;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How many days before a credential's end people are warned.
pub const WARNING_DAYS: [i64; 3] = [14, 7, 1];

/// Facts about one credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CredentialFacts {
    /// The way to sign in, by its name in the manifest.
    pub way: String,
    /// When it was given to us; for what the configuration holds, when it was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obtained_at: Option<Millis>,
    /// Whether it came by `leadstream connect`.
    pub connected: bool,
    /// Whether there is a refresh token, so that the end of an access token needs nobody.
    pub renews: bool,
    /// When the access token in use ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_ends_at: Option<Millis>,
    /// When the refresh token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_ends_at: Option<Millis>,
    /// When the consent itself ends, whatever is refreshed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_ends_at: Option<Millis>,
    /// When a request was last signed with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Millis>,
    /// When the vendor last took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Millis>,
    /// What it is good for, in the vendor's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The account that it is of, as the vendor names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl CredentialFacts {
    /// When a person has to do something at the latest; none if nothing is known to end.
    pub fn ends_at(&self) -> Option<Millis> {
        // An access token that nothing renews ends for good.
        let token = match (self.renews, self.connected) {
            (true, _) => self.refresh_ends_at,
            (false, true) => self.access_ends_at,
            (false, false) => None,
        };
        token.into_iter().chain(self.grant_ends_at).min()
    }

    /// Whole days until then, negative after it.
    pub fn days_left(&self, now: Millis) -> Option<i64> {
        let left = self.ends_at()?.0.saturating_sub(now.0);
        Some(left.div_euclid(DAY_MS))
    }

    /// Which of the warnings is due: the smallest of [`WARNING_DAYS`] that has been reached, 0 once
    /// it has ended.
    pub fn warning(&self, now: Millis) -> Option<i64> {
        let left = self.ends_at()?.0.saturating_sub(now.0);
        if left <= 0 {
            return Some(0);
        }
        let reached = WARNING_DAYS.iter().copied();
        reached.filter(|days| left <= days * DAY_MS).min()
    }

    /// Days since it was obtained.
    pub fn age_days(&self, now: Millis) -> Option<i64> {
        let age = now.0.saturating_sub(self.obtained_at?.0);
        Some(age.max(0) / DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_warned_at_14_7_and_1_days() {
        let facts = CredentialFacts {
            renews: true,
            obtained_at: Some(Millis(0)),
            access_ends_at: Some(Millis(1)),
            refresh_ends_at: Some(Millis(100 * DAY_MS)),
            grant_ends_at: Some(Millis(30 * DAY_MS)),
            ..CredentialFacts::default()
        };
        for (day, warning, left) in [
            (15, None, 15),
            (16, Some(14), 14),
            (22, Some(14), 8),
            (23, Some(7), 7),
            (29, Some(1), 1),
            (30, Some(0), 0),
            (31, Some(0), -1),
        ] {
            let now = Millis(day * DAY_MS);
            assert_eq!(facts.warning(now), warning, "day {day}");
            assert_eq!(facts.days_left(now), Some(left), "day {day}");
            assert_eq!(facts.age_days(now), Some(day));
        }
    }

    #[test]
    fn an_access_token_that_is_renewed_ends_nothing() {
        let mut facts = CredentialFacts {
            renews: true,
            connected: true,
            access_ends_at: Some(Millis(1)),
            ..CredentialFacts::default()
        };
        assert_eq!(facts.ends_at(), None);
        facts.renews = false;
        assert_eq!(facts.ends_at(), Some(Millis(1)));
    }
}
