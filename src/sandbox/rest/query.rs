use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::call::{Answer, Call, Outcome};
use super::columns;
use crate::model::Millis;
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::ObjectIx;
use crate::sandbox::soql::{Children, Path, Select, compile, render, render_children};

/// Cursors that a user may have open; the oldest goes first.
const MAX_CURSORS: usize = 10;

/// How long a cursor lives without being used.
const CURSOR_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Rows on a page, unless `Sforce-Query-Options` asks for fewer.
const PAGE: usize = 2_000;

/// Queries that have more to give.
#[derive(Debug, Default)]
pub struct Cursors {
    next: u32,
    open: VecDeque<Cursor>,
}

/// The rows that fitted when the query began; each page shows them as they are by then.
#[derive(Debug)]
struct Cursor {
    id: RecordId,
    object: ObjectIx,
    paths: Vec<Path>,
    children: Vec<Children>,
    rows: Vec<u32>,
    page: usize,
    last_used: Millis,
}

/// `GET /query?q=…`
pub(super) fn start(state: &mut State, call: &Call<'_>, with_deleted: bool) -> Outcome {
    let text = call
        .parameter("q")
        .ok_or_else(|| Refusal::plain("MALFORMED_QUERY", "A query string has to be specified"))?;
    let query = compile(&state.org, text)?;
    if call.parameter("columns") == Some("true") {
        let paths: &[Path] = match &query.select {
            Select::Count => &[],
            Select::Fields(paths) => paths,
        };
        return Ok(columns::describe(&state.org, query.object, paths));
    }
    let rows = query.find(&state.org, with_deleted);
    let paths = match query.select {
        Select::Count => {
            let body = json!({ "totalSize": rows.len(), "done": true, "records": [] });
            return Ok(Answer::ok(body));
        }
        Select::Fields(paths) => paths,
    };
    let number = state.cursors.next;
    state.cursors.next = number.wrapping_add(1);
    let cursor = Cursor {
        id: RecordId::new(*b"01g", number),
        object: query.object,
        paths,
        children: query.children,
        rows,
        page: page_size(call),
        last_used: call.now,
    };
    let (answer, is_done) = page(state, call, &cursor, 0);
    if !is_done {
        if state.cursors.open.len() >= MAX_CURSORS {
            state.cursors.open.pop_front();
        }
        state.cursors.open.push_back(cursor);
    }
    Ok(answer)
}

/// `GET /query/01g…-2000`
pub(super) fn more(state: &mut State, call: &Call<'_>, locator: &str) -> Outcome {
    let invalid = || Refusal::plain("INVALID_QUERY_LOCATOR", "invalid query locator");
    let (id, from) = locator.split_once('-').ok_or_else(invalid)?;
    let id = RecordId::parse(id).ok_or_else(invalid)?;
    let from: usize = from.parse().map_err(|_| invalid())?;
    let open = &mut state.cursors.open;
    open.retain(|cursor| call.now.since(cursor.last_used) < CURSOR_TIMEOUT);
    let at = open
        .iter()
        .position(|cursor| cursor.id == id)
        .ok_or_else(invalid)?;
    let mut cursor = open.remove(at).ok_or_else(invalid)?;
    cursor.last_used = call.now;
    if from > cursor.rows.len() {
        return Err(invalid().into());
    }
    let (answer, _) = page(state, call, &cursor, from);
    // A page whose answer was lost can be asked for again, so the cursor outlives its last page.
    state.cursors.open.push_back(cursor);
    Ok(answer)
}

fn page(state: &State, call: &Call<'_>, cursor: &Cursor, from: usize) -> (Answer, bool) {
    let to = cursor.rows.len().min(from + cursor.page);
    let table = state.org.table(cursor.object);
    let record = |number: &u32| {
        let row = table.at(*number);
        let mut record = render(&state.org, cursor.object, row, &cursor.paths, call.version);
        render_children(&state.org, row, &cursor.children, call.version, &mut record);
        record
    };
    let records: Vec<Json> = cursor.rows[from..to].iter().map(record).collect();
    let is_done = to == cursor.rows.len();
    let mut body = json!({ "totalSize": cursor.rows.len(), "done": is_done });
    if !is_done {
        let url = format!(
            "/services/data/v{}.0/query/{}-{to}",
            call.version, cursor.id
        );
        body["nextRecordsUrl"] = url.into();
    }
    body["records"] = records.into();
    (Answer::ok(body), is_done)
}

fn page_size(call: &Call<'_>) -> usize {
    let options = call.header("Sforce-Query-Options").unwrap_or_default();
    let size = options
        .split([';', ','])
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("batchSize"))
        .and_then(|(_, size)| size.trim().parse().ok());
    size.map_or(PAGE, |size: usize| size.clamp(200, PAGE))
}
