use serde_json::{Map, Value as Json, json};

use super::call::{Answer, Call};
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
pub(super) fn resources(call: &Call<'_>) -> Answer {
    let names = ["sobjects", "query", "queryAll", "limits", "composite"];
    let entries = names.map(|name| {
        let path = format!("/services/data/v{}.0/{name}", call.version);
        (name.to_owned(), Json::from(path))
    });
    Answer::ok(Json::Object(Map::from_iter(entries)))
}

/// `GET /limits`
pub(super) fn limits(state: &State) -> Answer {
    let (used, max) = state.meter.usage();
    let limit = |max: u64, remaining: u64| json!({ "Max": max, "Remaining": remaining });
    Answer::ok(json!({
        "DailyApiRequests": limit(max, max.saturating_sub(used)),
        "DailyBulkApiBatches": limit(15_000, 15_000),
        "DailyBulkV2QueryJobs": limit(10_000, 10_000),
        "DailyStreamingApiEvents": limit(10_000, 10_000),
        "DataStorageMB": limit(1_024, 1_024),
        "FileStorageMB": limit(1_024, 1_024),
    }))
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
