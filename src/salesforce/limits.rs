//! How many calls the org has left.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, Method};
use serde::Deserialize;

use super::call::CallError;
use super::client::{Call, Client, READ_TIMEOUT};

/// The calls of the rolling 24 hours, of all the org's integrations together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How many were made.
    pub used: u64,
    /// How many may be made.
    pub allowed: u64,
}

impl Usage {
    /// Reads `Sforce-Limit-Info: api-usage=18/5000`, which may go on with
    /// `; per-app-api-usage=17/250(appName=…)`.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get("sforce-limit-info")?.to_str().ok()?;
        let usage = text
            .split([';', ','])
            .find_map(|part| part.trim().strip_prefix("api-usage="))?;
        let (used, allowed) = usage.split_once('/')?;
        Some(Self {
            used: used.trim().parse().ok()?,
            allowed: allowed.trim().parse().ok()?,
        })
    }
}

/// One of the org's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Limit {
    /// The limit.
    pub max: i64,
    /// What is left of it.
    pub remaining: i64,
}

impl Client {
    /// The org's limits by name, e.g. `DailyApiRequests`. Needs the permission "View Setup and
    /// Configuration"; values lag by minutes: [`Client::usage`] is fresher and costs nothing.
    pub async fn limits(&self) -> Result<BTreeMap<String, Limit>, CallError> {
        self.read(Call::new("limits", Method::GET, READ_TIMEOUT, &["limits"]))
            .await
    }

    /// The API versions that the org has, e.g. `62.0`. Needs no token and does not count.
    pub async fn versions(&self) -> Result<Vec<String>, CallError> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let versions: Vec<Version> = self.read_without_token(VERSIONS_TIMEOUT).await?;
        Ok(versions.into_iter().map(|entry| entry.version).collect())
    }
}

const VERSIONS_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expect: Option<(u64, u64)>) {
        let mut headers = HeaderMap::new();
        headers.insert("Sforce-Limit-Info", header.parse().unwrap());
        let expect = expect.map(|(used, allowed)| Usage { used, allowed });
        assert_eq!(Usage::from_headers(&headers), expect, "{header}");
    }

    #[test]
    fn the_usage_is_read_from_the_header() {
        check("api-usage=18/5000", Some((18, 5000)));
        check(
            "api-usage=25/5000; per-app-api-usage=17/250(appName=sample-app)",
            Some((25, 5000)),
        );
        check(
            "per-app-api-usage=17/250(appName=sample-app); api-usage=25/5000",
            Some((25, 5000)),
        );
        check("", None);
        check("api-usage=", None);
        check("api-usage=a/b", None);
        assert_eq!(Usage::from_headers(&HeaderMap::new()), None);
    }
}
