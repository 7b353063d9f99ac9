//! What goes wrong on purpose, decided by a seed.

use serde::{Deserialize, Serialize};

use crate::model::Millis;

/// What goes wrong, and how often. Rates are 0 (never) to 1 (always).
///
/// The same shape is the body of `POST /sandbox/faults`; what is left out is off.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Requests answered with 500 or 503 before anything is done.
    pub server_error_rate: f64,
    /// Rows of a write refused with `UNABLE_TO_LOCK_ROW`.
    pub row_lock_rate: f64,
    /// Requests that are carried out, but whose connection is cut in place of an answer.
    pub lost_answer_rate: f64,
    /// How much older the stamps of a write are than its commit: a row that a poll has passed by
    /// comes up behind it, as transactions of real orgs do.
    pub late_commit_ms: u64,
    /// The part of writes that commit so late.
    pub late_commit_rate: f64,
    /// How long every request waits before it is looked at.
    pub latency_ms: u64,
    /// Requests that a token serves before it expires.
    pub requests_per_token: Option<u32>,
    /// Refreshes of a token answered as if another was under way.
    pub busy_refresh_rate: f64,
    /// Bulk uploads that are taken, but whose connection is cut in place of an answer.
    pub lost_upload_rate: f64,
    /// Bulk jobs that fail on the way: some rows are done, the others are not processed.
    pub job_failure_rate: f64,
    /// Whether the user clicks *Deny* when an app asks for approval.
    pub deny_approval: bool,
    /// Faults of the rates together before they end; none means without end.
    pub at_most: Option<u64>,
}

impl Faults {
    /// Whether the rates are rates.
    pub fn check(&self) -> Result<(), String> {
        for (name, rate) in [
            ("server_error_rate", self.server_error_rate),
            ("row_lock_rate", self.row_lock_rate),
            ("lost_answer_rate", self.lost_answer_rate),
            ("late_commit_rate", self.late_commit_rate),
            ("busy_refresh_rate", self.busy_refresh_rate),
            ("lost_upload_rate", self.lost_upload_rate),
            ("job_failure_rate", self.job_failure_rate),
        ] {
            if !(0.0..=1.0).contains(&rate) {
                return Err(format!("{name} must be from 0 to 1"));
            }
        }
        Ok(())
    }
}

/// Faults that have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct FaultCounts {
    /// Answers 500 and 503.
    pub server_errors: u64,
    /// Rows that were locked.
    pub row_locks: u64,
    /// Connections that were cut in place of an answer.
    pub lost_answers: u64,
    /// Writes whose stamps are older than their commit.
    pub late_commits: u64,
    /// Refreshes of a token that were put off.
    pub busy_refreshes: u64,
    /// Bulk uploads whose answer was cut.
    pub lost_uploads: u64,
    /// Bulk jobs that failed.
    pub failed_jobs: u64,
}

/// A server error, in one of the forms that Salesforce has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerError {
    /// 500 `UNKNOWN_EXCEPTION`.
    Unknown,
    /// 503 `SERVER_UNAVAILABLE`.
    Unavailable,
    /// 503 with a page in place of JSON.
    Html,
}

/// Decides which request or row meets a fault.
#[derive(Debug)]
pub(super) struct FaultPlan {
    faults: Faults,
    counts: FaultCounts,
    left: u64,
    dice: Dice,
}

impl FaultPlan {
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            counts: FaultCounts::default(),
            left: faults.at_most.unwrap_or(u64::MAX),
            dice: Dice(seed),
        }
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults
    }

    pub(super) fn counts(&self) -> FaultCounts {
        self.counts
    }

    /// From now on `faults`; what has happened stays counted, and the dice roll on.
    pub(super) fn set(&mut self, faults: Faults) {
        self.faults = faults;
        self.left = faults.at_most.unwrap_or(u64::MAX);
    }

    pub(super) fn server_error(&mut self) -> Option<ServerError> {
        if !self.meets(self.faults.server_error_rate) {
            return None;
        }
        self.counts.server_errors += 1;
        Some(match self.dice.next() % 3 {
            0 => ServerError::Unknown,
            1 => ServerError::Unavailable,
            _ => ServerError::Html,
        })
    }

    pub(super) fn row_lock(&mut self) -> bool {
        let met = self.meets(self.faults.row_lock_rate);
        self.counts.row_locks += u64::from(met);
        met
    }

    pub(super) fn lost_answer(&mut self) -> bool {
        let met = self.meets(self.faults.lost_answer_rate);
        self.counts.lost_answers += u64::from(met);
        met
    }

    /// The stamp of a write that commits now.
    pub(super) fn stamp(&mut self, now: Millis) -> Millis {
        let rate = self.faults.late_commit_rate;
        if rate <= 0.0 || self.dice.unit() >= rate {
            return now;
        }
        self.counts.late_commits += 1;
        let late = i64::try_from(self.faults.late_commit_ms).unwrap_or(i64::MAX);
        Millis(now.0.saturating_sub(late))
    }

    pub(super) fn busy_refresh(&mut self) -> bool {
        let met = self.meets(self.faults.busy_refresh_rate);
        self.counts.busy_refreshes += u64::from(met);
        met
    }

    pub(super) fn lost_upload(&mut self) -> bool {
        let met = self.meets(self.faults.lost_upload_rate);
        self.counts.lost_uploads += u64::from(met);
        met
    }

    /// Whether a job fails, and after which part of its rows (0.0 to 1.0).
    pub(super) fn job_failure(&mut self) -> Option<f64> {
        let met = self.meets(self.faults.job_failure_rate);
        self.counts.failed_jobs += u64::from(met);
        met.then(|| self.dice.unit())
    }

    fn meets(&mut self, rate: f64) -> bool {
        if rate <= 0.0 || self.left == 0 || self.dice.unit() >= rate {
            return false;
        }
        self.left -= 1;
        true
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, quick, and the same everywhere.
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In 0.0..1.0.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locks(seed: u64, rate: f64, at_most: Option<u64>) -> Vec<bool> {
        let faults = Faults {
            row_lock_rate: rate,
            at_most,
            ..Faults::default()
        };
        let mut plan = FaultPlan::new(faults, seed);
        (0..2_000).map(|_| plan.row_lock()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_at_about_the_rate() {
        let first = locks(7, 0.05, None);
        assert_eq!(first, locks(7, 0.05, None));
        assert_ne!(first, locks(8, 0.05, None));
        let met = first.iter().filter(|met| **met).count();
        assert!((50..200).contains(&met), "{met} of 2000 at 0.05");
        assert!(locks(7, 1.0, None).iter().all(|met| *met));
        assert!(!locks(7, 0.0, None).iter().any(|met| *met));
    }

    #[test]
    fn faults_end_after_as_many_as_were_asked_for() {
        assert_eq!(locks(7, 0.5, Some(3)).iter().filter(|met| **met).count(), 3);
    }

    #[test]
    fn a_rate_above_one_is_refused() {
        let faults = Faults {
            lost_answer_rate: 5.0,
            ..Faults::default()
        };
        assert_eq!(
            faults.check(),
            Err("lost_answer_rate must be from 0 to 1".to_owned())
        );
    }
}
