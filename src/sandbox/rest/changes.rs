use std::time::Duration;

use serde_json::{Value as Json, json};

use super::call::{Answer, Call, Outcome};
use super::rows::find_object;
use crate::model::Millis;
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;
use crate::sandbox::value::{moment_text, parse_moment};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `GET /sobjects/Lead/updated?start=…&end=…`
pub(super) fn updated(state: &State, call: &Call<'_>, object: &str) -> Outcome {
    let object = find_object(&state.org, object)?;
    let (start, end) = window(call, 30)?;
    let rows = state.org.table(object).rows().iter();
    let ids = rows
        .filter(|row| !row.deleted && start <= row.modified && row.modified < end)
        .map(|row| Json::from(row.id.to_string()));
    Ok(Answer::ok(json!({
        "ids": ids.collect::<Json>(),
        "latestDateCovered": moment_text(covered(call, end)),
    })))
}

/// `GET /sobjects/Lead/deleted?start=…&end=…`
pub(super) fn deleted(state: &State, call: &Call<'_>, object: &str) -> Outcome {
    let object = find_object(&state.org, object)?;
    let (start, end) = window(call, 15)?;
    let rows = state.org.table(object).rows().iter();
    let records = rows
        .filter(|row| row.deleted && start <= row.modified && row.modified < end)
        .map(|row| json!({ "id": row.id.to_string(), "deletedDate": moment_text(row.modified) }));
    Ok(Answer::ok(json!({
        "deletedRecords": records.collect::<Json>(),
        "earliestDateAvailable": moment_text(state.org.created),
        "latestDateCovered": moment_text(covered(call, end)),
    })))
}

/// What lies ahead is not covered, whatever was asked for.
fn covered(call: &Call<'_>, end: Millis) -> Millis {
    end.min(Millis(call.now.0 - call.now.0.rem_euclid(1000)))
}

/// The asked-for time, without milliseconds; at least one minute, and not too old.
fn window(call: &Call<'_>, days_back: u32) -> Result<(Millis, Millis), Refusal> {
    let moment = |name: &str| {
        let text = call.parameter(name).unwrap_or_default();
        // A `+` that the client did not encode has come out as a blank.
        parse_moment(&text.replace(' ', "+")).ok_or_else(|| {
            Refusal::plain(
                "INVALID_REPLICATION_DATE",
                format!("{name} is not a valid date"),
            )
        })
    };
    let (start, end) = (moment("start")?, moment("end")?);
    let refuse = |message: &str| Err(Refusal::plain("INVALID_REPLICATION_DATE", message));
    if end.0.saturating_sub(start.0) < 60_000 {
        return refuse("endDate must be at least one minute greater than startDate");
    }
    if call.now.since(start) > DAY * days_back {
        return refuse("startDate before org replication enabled date");
    }
    let second = |moment: Millis| Millis(moment.0 - moment.0.rem_euclid(1000));
    Ok((second(start), second(end)))
}
