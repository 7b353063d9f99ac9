use serde_json::{Map, Value as Json, json};

use super::call::{Answer, Call};
use super::front::own_address;
use super::oauth;
use super::resource::VERSIONS;
use crate::sandbox::handle::State;

/// `GET /services/data`: needs no token and is not counted.
pub(super) fn versions() -> Answer {
    let entry = |version: u16| {
        // Three releases a year; v31 is Summer '14.
        let season = ["Summer", "Winter", "Spring"][usize::from((version - 31) % 3)];
        let year = 14 + (version - 29) / 3;
        json!({
            "label": format!("{season} '{year}"),
            "url": format!("/services/data/v{version}.0"),
            "version": format!("{version}.0"),
        })
    };
    Answer::ok(VERSIONS.map(entry).collect())
}

/// `GET /services/data/v62.0`: name to path.
pub(super) fn resources(state: &State, call: &Call<'_>) -> Answer {
    let names = [
        "sobjects",
        "query",
        "queryAll",
        "limits",
        "composite",
        "jobs",
        "search",
        "parameterizedSearch",
        "tooling",
        "ui-api",
    ];
    let entries = names.map(|name| {
        let path = format!("/services/data/v{}.0/{name}", call.version);
        (name.to_owned(), Json::from(path))
    });
    let mut entries = Map::from_iter(entries);
    let who = oauth::identity(state, &own_address(call.headers));
    entries.insert("identity".to_owned(), who.into());
    Answer::ok(Json::Object(entries))
}

/// `GET /limits`: the allowances of an Enterprise org that an integration meets.
pub(super) fn limits(state: &State, call: &Call<'_>) -> Answer {
    let (used, max) = state.meter.usage();
    let (batches, query_jobs) = state.jobs.used(call.now);
    let limit = |max: u64, used: u64| json!({ "Max": max, "Remaining": max.saturating_sub(used) });
    let untouched = [
        ("ActiveScratchOrgs", 40),
        ("AnalyticsExternalDataSizeMB", 40_960),
        ("ConcurrentAsyncGetReportInstances", 200),
        ("ConcurrentEinsteinDataInsightsStoryCreation", 5),
        ("ConcurrentEinsteinDiscoveryStoryCreation", 2),
        ("ConcurrentSyncReportRuns", 20),
        ("DailyAnalyticsDataflowJobExecutions", 60),
        ("DailyAsyncApexExecutions", 250_000),
        ("DailyDurableGenericStreamingApiEvents", 10_000),
        ("DailyDurableStreamingApiEvents", 10_000),
        ("DailyFunctionsApiCallLimit", 235_000),
        ("DailyGenericStreamingApiEvents", 10_000),
        ("DailyScratchOrgs", 80),
        ("DailyStandardVolumePlatformEvents", 10_000),
        ("DailyStreamingApiEvents", 10_000),
        ("DailyWorkflowEmails", 1_000),
        ("DataStorageMB", 1_024),
        ("DurableStreamingApiConcurrentClients", 20),
        ("FileStorageMB", 1_024),
        ("HourlyAsyncReportRuns", 1_200),
        ("HourlyDashboardRefreshes", 200),
        ("HourlyDashboardResults", 5_000),
        ("HourlyDashboardStatuses", 999_999_999),
        ("HourlyLongTermIdMapping", 100_000),
        ("HourlyManagedContentPublicRequests", 50_000),
        ("HourlyODataCallout", 1_000),
        ("HourlyPublishedPlatformEvents", 50_000),
        ("HourlyPublishedStandardVolumePlatformEvents", 1_000),
        ("HourlyShortTermIdMapping", 100_000),
        ("HourlySyncReportRuns", 500),
        ("HourlyTimeBasedWorkflow", 1_000),
        ("MassEmail", 5_000),
        ("MonthlyEinsteinDiscoveryStoryCreation", 500),
        ("Package2VersionCreates", 6),
        ("PermissionSets", 1_500),
        ("SingleEmail", 5_000),
        ("StreamingApiConcurrentClients", 20),
    ];
    let mut limits = Map::from_iter([
        ("DailyApiRequests".to_owned(), limit(max, used)),
        ("DailyBulkApiBatches".to_owned(), limit(15_000, batches)),
        ("DailyBulkV2QueryJobs".to_owned(), limit(10_000, query_jobs)),
        (
            "DailyBulkV2QueryFileStorageMB".to_owned(),
            limit(976_562, 0),
        ),
    ]);
    limits.extend(untouched.map(|(name, max)| (name.to_owned(), limit(max, 0))));
    Answer::ok(Json::Object(limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_have_their_seasons() {
        let versions = versions().body.unwrap();
        let label = |version: &str| {
            let entries = versions.as_array().unwrap();
            let entry = entries.iter().find(|entry| entry["version"] == version);
            entry.unwrap()["label"].as_str().unwrap().to_owned()
        };
        assert_eq!(label("31.0"), "Summer '14");
        assert_eq!(label("32.0"), "Winter '15");
        assert_eq!(label("62.0"), "Winter '25");
        assert_eq!(label("67.0"), "Summer '26");
    }
}
