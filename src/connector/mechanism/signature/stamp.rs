use http::HeaderName;
use jiff::tz::TimeZone;

use super::expand;
use super::{Denied, VerifierError};
use crate::connector::manifest::Timestamp;
use crate::connector::{Options, time};
use crate::model::Millis;

/// When a webhook was signed, and how far that may be from now.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The header that says it; none if it stands beside the signature.
    pub header: Option<HeaderName>,
    tolerance_seconds: u64,
}

impl Stamp {
    /// Of a manifest's `timestamp`.
    pub fn new(timestamp: &Timestamp, options: &Options) -> Result<Self, VerifierError> {
        let header = timestamp.header.as_deref();
        Ok(Self {
            header: header
                .map(|header| expand::header(header, options))
                .transpose()?
                .flatten(),
            tolerance_seconds: timestamp.tolerance_seconds,
        })
    }

    /// Five minutes either way.
    pub fn usual() -> Self {
        Self {
            header: None,
            tolerance_seconds: Timestamp::default().tolerance_seconds,
        }
    }

    /// With the tolerance of a manifest's `timestamp`.
    pub fn tolerating(timestamp: &Timestamp) -> Self {
        Self {
            header: None,
            tolerance_seconds: timestamp.tolerance_seconds,
        }
    }

    /// Whether `text` is near enough to now. To be asked when the signature is known to be good: only
    /// then is the time the vendor's.
    ///
    /// Seconds and milliseconds are told apart by their size: who takes one for the other refuses
    /// everything.
    pub fn check(&self, text: &str, now: Millis) -> Result<(), Denied> {
        let at = time::parse(text, None, &TimeZone::UTC).ok_or(Denied::Wrong)?;
        let tolerance = self.tolerance_seconds.saturating_mul(1000);
        if at.0.abs_diff(now.0) <= tolerance {
            return Ok(());
        }
        Err(Denied::Stale {
            seconds: at.0.saturating_sub(now.0) / 1000,
        })
    }
}
