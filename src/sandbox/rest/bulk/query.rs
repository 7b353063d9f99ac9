//! Query jobs: a SOQL query whose rows are fetched as CSV, page by page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::csv::Format;
use super::{Head, JobState, parse_id, wanted_state, wrong_state};
use crate::model::Millis;
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;
use crate::sandbox::org::Org;
use crate::sandbox::rest::call::{Answer, Call, Outcome};
use crate::sandbox::soql::{BoundQuery, Path, Select, compile};
use crate::sandbox::value::{Value, moment_text};

/// Rows on a page unless the client asks for another number.
const PAGE: usize = 100_000;

/// A job that answers a query.
#[derive(Debug)]
pub(super) struct QueryJob {
    pub(super) head: Head,
    with_deleted: bool,
    format: Format,
    query: BoundQuery,
    paths: Vec<Path>,
    /// What was found, once the job is complete.
    rows: Vec<u32>,
}

impl QueryJob {
    /// Moves on: so many parts of so many of the job are done then.
    pub(super) fn run(&mut self, org: &Org, share: (usize, usize), now: Millis) {
        if share.0 >= share.1 {
            self.rows = self.query.find(org, self.with_deleted);
            self.head.enter(JobState::JobComplete, now);
        } else {
            self.head.enter(JobState::InProgress, now);
        }
    }

    fn describe(&self, org: &Org) -> Json {
        let operation = if self.with_deleted {
            "queryAll"
        } else {
            "query"
        };
        let object = org.object(self.query.object).name;
        let mut job = self.head.describe(operation, object);
        self.format.describe(&mut job);
        job
    }

    fn describe_progress(&self, org: &Org) -> Json {
        let mut job = self.describe(org);
        job["jobType"] = "V2Query".into();
        job["numberRecordsProcessed"] = self.rows.len().into();
        job["retries"] = 0.into();
        let processing = self.head.modified.since(self.head.closed).as_millis() as u64;
        job["totalProcessingTime"] = processing.into();
        job["isPkChunkingSupported"] = true.into();
        job
    }
}

/// `POST /jobs/query`
pub(in crate::sandbox::rest) fn create(state: &mut State, call: &Call<'_>) -> Outcome {
    let body = call.object()?;
    let text = |name: &str| body.get(name).and_then(Json::as_str);
    let invalid = |what: String| Refusal::plain("INVALIDJOB", format!("InvalidJob : {what}"));
    let with_deleted = match text("operation").unwrap_or_default() {
        "query" => false,
        "queryAll" => true,
        other => return Err(invalid(format!("Unknown operation: {other}")).into()),
    };
    if text("contentType").is_some_and(|kind| kind != "CSV") {
        return Err(invalid("contentType must be CSV".to_owned()).into());
    }
    let format = Format::named(
        text("lineEnding").unwrap_or("LF"),
        text("columnDelimiter").unwrap_or("COMMA"),
    )
    .map_err(|name| invalid(format!("{name} is no lineEnding or columnDelimiter")))?;
    let soql = text("query").ok_or_else(|| invalid("query is required".to_owned()))?;
    check_text(soql)?;
    let query = compile(&state.org, soql)?;
    let Select::Fields(paths) = &query.select else {
        return Err(not_in_bulk("Aggregate Relationships").into());
    };
    if paths
        .iter()
        .any(|path| path.is_compound(&state.org, query.object))
    {
        return Err(not_in_bulk("Selecting compound data").into());
    }
    let id = state.jobs.next_id();
    let job = QueryJob {
        head: Head::new(
            id,
            JobState::UploadComplete,
            state.org.integration_user,
            call,
        ),
        with_deleted,
        format,
        paths: paths.clone(),
        query,
        rows: Vec::new(),
    };
    let answer = job.describe(&state.org);
    state.jobs.queries.push(job);
    state.jobs.query_starts.push_back((call.now, 1));
    Ok(Answer::ok(answer))
}

fn not_in_bulk(what: &str) -> Refusal {
    Refusal::plain("API_ERROR", format!("{what} not supported in Bulk Query"))
}

/// Refuses what Bulk has no answer for, whatever the query would be elsewhere.
fn check_text(soql: &str) -> Result<(), Refusal> {
    let words = unquoted(soql).to_ascii_uppercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    let from = words.iter().position(|word| *word == "FROM");
    let select = &words[..from.unwrap_or(words.len())];
    if select.iter().any(|word| word.contains('(')) {
        let is_fields = select.iter().any(|word| word.contains("FIELDS("));
        return Err(not_in_bulk(if is_fields {
            "The SOQL FIELDS function is"
        } else {
            "Aggregate Relationships"
        }));
    }
    let has = |pair: [&str; 2]| words.windows(2).any(|two| two == pair);
    if has(["GROUP", "BY"]) {
        return Err(not_in_bulk("Group By"));
    }
    if words.contains(&"OFFSET") {
        return Err(not_in_bulk("Offset"));
    }
    Ok(())
}

/// A query without what stands in quotes.
fn unquoted(soql: &str) -> String {
    let mut out = String::with_capacity(soql.len());
    let mut is_quoted = false;
    let mut characters = soql.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if is_quoted => {
                characters.next();
            }
            '\'' => {
                is_quoted = !is_quoted;
                out.push('\'');
            }
            _ if is_quoted => {}
            other => out.push(other),
        }
    }
    out
}

/// `GET /jobs/query/750…`
pub(in crate::sandbox::rest) fn poll(state: &mut State, call: &Call<'_>, id: &str) -> Outcome {
    let polls = state.jobs.polls;
    let State { jobs, org, .. } = state;
    let job = find(&mut jobs.queries, id)?;
    if job.head.state.is_running() {
        job.head.polls += 1;
        let share = job.head.share(polls);
        job.run(org, share, call.now);
    }
    Ok(Answer::ok(job.describe_progress(org)))
}

/// `GET /jobs/query`
pub(in crate::sandbox::rest) fn list(state: &State) -> Answer {
    let jobs = state.jobs.queries.iter().rev();
    let jobs: Json = jobs.map(|job| job.describe_progress(&state.org)).collect();
    Answer::ok(json!({ "done": true, "records": jobs, "nextRecordsUrl": null }))
}

/// `PATCH /jobs/query/750…` `{"state": "Aborted"}`
pub(in crate::sandbox::rest) fn abort(state: &mut State, call: &Call<'_>, id: &str) -> Outcome {
    let wanted = wanted_state(call)?;
    let State { jobs, org, .. } = state;
    let job = find(&mut jobs.queries, id)?;
    if wanted != "Aborted" {
        let message = format!("InvalidJob : state cannot be set to {wanted}");
        return Err(Refusal::plain("INVALIDJOB", message).into());
    }
    if job.head.state.is_final() {
        return Err(wrong_state("Aborting already Completed Job not allowed").into());
    }
    job.head.enter(JobState::Aborted, call.now);
    Ok(Answer::ok(job.describe(org)))
}

/// `DELETE /jobs/query/750…`
pub(in crate::sandbox::rest) fn delete(state: &mut State, id: &str) -> Outcome {
    let jobs = &mut state.jobs.queries;
    let job = find(jobs, id)?;
    if !job.head.state.is_final() {
        let name = job.head.state.name();
        return Err(wrong_state(format!("Deleting {name} Job not allowed")).into());
    }
    let id = job.head.id;
    jobs.retain(|job| job.head.id != id);
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// `GET /jobs/query/750…/results?maxRecords=…&locator=…`
pub(in crate::sandbox::rest) fn results(state: &mut State, call: &Call<'_>, id: &str) -> Outcome {
    let State { jobs, org, .. } = state;
    let job = find(&mut jobs.queries, id)?;
    if job.head.state != JobState::JobComplete {
        let message = format!(
            "Results are not available while the job is {}",
            job.head.state.name()
        );
        return Err(wrong_state(message).into());
    }
    let size = match call.parameter("maxRecords") {
        None => PAGE,
        Some(size) => size.parse().ok().filter(|size| *size > 0).ok_or_else(|| {
            Refusal::plain(
                "INVALIDJOB",
                format!("InvalidJob : maxRecords {size} is no number"),
            )
        })?,
    };
    let from = match call.parameter("locator") {
        None => 0,
        Some(locator) => read_locator(locator)
            .filter(|from| *from < job.rows.len())
            .ok_or_else(|| Refusal::plain("INVALID_QUERY_LOCATOR", "invalid query locator"))?,
    };
    let to = job.rows.len().min(from.saturating_add(size));
    let mut out = Vec::new();
    let header: Vec<String> = job.paths.iter().map(Path::header).collect();
    job.format
        .write(&mut out, header.iter().map(String::as_str));
    let table = org.table(job.query.object);
    for number in &job.rows[from..to] {
        let row = table.at(*number);
        let cells = job.paths.iter().map(|path| {
            path.value(org, job.query.object, row)
                .map(|value| cell_text(&value))
                .unwrap_or_default()
        });
        let cells: Vec<String> = cells.collect();
        job.format.write(&mut out, cells.iter().map(String::as_str));
    }
    let locator = if to < job.rows.len() {
        STANDARD.encode(to.to_string())
    } else {
        "null".to_owned()
    };
    Ok(Answer::csv(out)
        .header("Sforce-Locator", locator)
        .header("Sforce-NumberOfRecords", (to - from).to_string()))
}

fn read_locator(locator: &str) -> Option<usize> {
    let text = String::from_utf8(STANDARD.decode(locator).ok()?).ok()?;
    text.parse().ok()
}

fn cell_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone().into(),
        // Unlike in REST, a moment ends in Z.
        Value::Moment(moment) => moment_text(*moment).replace("+0000", "Z"),
        other => match other.to_json() {
            Json::String(text) => text,
            other => other.to_string(),
        },
    }
}

fn find<'j>(jobs: &'j mut [QueryJob], id: &str) -> Result<&'j mut QueryJob, Refusal> {
    let id = parse_id(id)?;
    let mut jobs = jobs.iter_mut();
    jobs.find(|job| job.head.id == id)
        .ok_or_else(Refusal::not_found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bulk_has_no_answer_for_is_refused_but_not_in_quotes() {
        for soql in [
            "SELECT COUNT() FROM Lead",
            "SELECT FIELDS(ALL) FROM Lead LIMIT 200",
            "SELECT Id, (SELECT Id FROM CampaignMembers) FROM Lead",
            "SELECT Status FROM Lead group\nby Status",
            "SELECT Id FROM Lead OFFSET 5",
        ] {
            assert_eq!(check_text(soql).unwrap_err().code, "API_ERROR", "{soql}");
        }
        for soql in [
            "SELECT Id FROM Lead WHERE LastName = 'group by \\' OFFSET'",
            "SELECT Id FROM Lead WHERE (Id = '1' OR Id = '2')",
        ] {
            assert!(check_text(soql).is_ok(), "{soql}");
        }
    }
}
