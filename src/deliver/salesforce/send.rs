//! Sends what was claimed: looks where it must, writes what may be written, and says what became
//! of each lead. Knows no store.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Mapping, write};
use crate::config::OnInvalid;
use crate::model::{Millis, Note};
use crate::salesforce::{
    ApiError, CallError, Class, Client, Explanation, Map, RowResult, WriteHeaders,
};

const LEAD: &str = "Lead";

/// How often a refused row is sent again at once with a field less.
const MOST_ROUNDS: usize = 4;

/// One lead to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its external id.
    pub external_id: String,
    /// The id of its record, once known.
    pub salesforce_id: Option<String>,
    /// An earlier sending may have been carried out: look before writing.
    pub unsure: bool,
    /// The fields to set, before write policies are applied.
    pub wanted: BTreeMap<String, Value>,
    /// When the person gave the newest of them.
    pub submitted_at: Millis,
}

/// What became of one lead.
#[derive(Debug)]
pub enum Sent {
    /// It is in Salesforce.
    Saved {
        /// The record's id.
        id: String,
        /// Whether it was made.
        created: bool,
        /// The names of the fields that were written.
        fields: Vec<String>,
        /// What was dropped or replaced on the way.
        notes: Vec<Note>,
    },
    /// Salesforce holds it all already.
    Unchanged {
        /// The record's id.
        id: String,
    },
    /// It was refused, or the way to it failed.
    Failed {
        /// Why.
        why: Explanation,
        /// Whether it may have been carried out all the same.
        unsure: bool,
        /// Whose fault it is.
        blame: Blame,
    },
}

/// Whose fault a failure is, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The lead's: Salesforce refused this very row.
    Lead,
    /// The call's: it failed for all of its leads, one of whom may be the cause.
    Call,
    /// The network's, the sign-in's or the whole org's.
    Nobody,
}

impl Blame {
    fn of(error: &CallError) -> Self {
        if error.counts_as_try() {
            Self::Call
        } else {
            Self::Nobody
        }
    }
}

/// A row on its way.
struct Row {
    index: usize,
    values: Map,
    update: bool,
    notes: Vec<Note>,
}

/// Whether this node may still write.
pub type MayWrite<'a> = dyn Fn() -> BoxFuture<'a, bool> + Send + Sync + 'a;

/// Sends `leads`, at most 200, each with another external id. Results are in their order.
/// `request_id` goes with the calls into Salesforce's logs. `may_write` is asked before each call
/// that writes: the look before it may have taken long, and another node may have taken over.
pub async fn send(
    client: &Client,
    mapping: &Mapping,
    leads: &[Outgoing],
    request_id: &str,
    may_write: &MayWrite<'_>,
) -> Vec<Sent> {
    let mut sent: Vec<Option<Sent>> = leads.iter().map(|_| None).collect();
    match look(client, leads).await {
        Ok(held) => {
            let rows = rows(client, mapping, leads, &held, &mut sent);
            write_rows(client, mapping, rows, request_id, may_write, &mut sent).await;
        }
        Err(error) => {
            // Nothing was written; whoever needed no look would meet the same trouble.
            for (slot, lead) in sent.iter_mut().zip(leads) {
                *slot = Some(Sent::Failed {
                    why: error.explain(),
                    unsure: lead.unsure,
                    blame: Blame::of(&error),
                });
            }
        }
    }
    sent.into_iter()
        .map(|sent| sent.unwrap_or_else(unanswered))
        .collect()
}

/// Every lead gets an answer by construction; a lead that had none is sent again, after a look.
fn unanswered() -> Sent {
    Sent::Failed {
        why: Explanation {
            class: Class::RetrySoon,
            code: "salesforce.unanswered".to_owned(),
            message: "it was not sent".to_owned(),
            hint: "it is tried again by itself".to_owned(),
            about: Vec::new(),
        },
        unsure: true,
        blame: Blame::Lead,
    }
}

/// What Salesforce holds of the leads that may be there already, by index. A field that it does not
/// know reads as blank: writing it then fails for the leads that carry it, and for no others.
async fn look(
    client: &Client,
    leads: &[Outgoing],
) -> Result<HashMap<usize, Option<Map>>, CallError> {
    let key = client.config().external_id_field.as_str();
    let seen = |lead: &&Outgoing| lead.salesforce_id.is_some() || lead.unsure;
    let mut fields: BTreeSet<&str> = leads
        .iter()
        .filter(seen)
        .flat_map(|lead| lead.wanted.keys())
        .map(String::as_str)
        .collect();
    let mut unknown: Vec<&str> = Vec::new();
    // Each round leaves a field out, so it ends.
    loop {
        match look_at(client, leads, key, &fields).await {
            Ok(mut held) => {
                for record in held.values_mut().flatten() {
                    record.extend(unknown.iter().map(|name| ((*name).to_owned(), Value::Null)));
                }
                return Ok(held);
            }
            Err(CallError::Refused {
                status: 400,
                errors,
            }) => {
                let meant: Vec<&str> = errors.iter().flat_map(fields_meant).collect();
                let is_meant =
                    |name: &&str| meant.iter().any(|field| field.eq_ignore_ascii_case(name));
                let before = unknown.len();
                unknown.extend(fields.iter().copied().filter(is_meant));
                if unknown.len() == before {
                    return Err(CallError::Refused {
                        status: 400,
                        errors,
                    });
                }
                fields.retain(|name| !is_meant(name));
            }
            Err(error) => return Err(error),
        }
    }
}

async fn look_at(
    client: &Client,
    leads: &[Outgoing],
    key: &str,
    fields: &BTreeSet<&str>,
) -> Result<HashMap<usize, Option<Map>>, CallError> {
    let always = ["Id", key, write::LAST_MODIFIED, write::LAST_MODIFIED_BY];
    let fields: Vec<&str> = always
        .into_iter()
        .chain(fields.iter().copied().filter(|name| !always.contains(name)))
        .collect();
    let mut by_id: Vec<(usize, &str)> = Vec::new();
    let mut by_key: HashMap<&str, usize> = HashMap::new();
    for (index, lead) in leads.iter().enumerate() {
        match &lead.salesforce_id {
            Some(id) => by_id.push((index, id)),
            None if lead.unsure => {
                by_key.insert(&lead.external_id, index);
            }
            None => {}
        }
    }
    let mut held = HashMap::new();
    if !by_id.is_empty() {
        let ids: Vec<&str> = by_id.iter().map(|(_, id)| *id).collect();
        let records = client.retrieve(LEAD, &ids, &fields).await?;
        held.extend(by_id.iter().map(|(index, _)| *index).zip(records));
    }
    if !by_key.is_empty() {
        let keys: Vec<&str> = by_key.keys().copied().collect();
        for record in client
            .find_by_external_ids(LEAD, key, &keys, &fields)
            .await?
        {
            // Salesforce compares external ids without regard to case.
            let found = text(&record, key)
                .and_then(|found| by_key.get(found.to_ascii_uppercase().as_str()));
            if let Some(index) = found {
                held.insert(*index, Some(record));
            }
        }
    }
    Ok(held)
}

fn text<'a>(record: &'a Map, field: &str) -> Option<&'a str> {
    write::get(record, field).and_then(Value::as_str)
}

/// The rows to write; leads that need none are answered.
fn rows(
    client: &Client,
    mapping: &Mapping,
    leads: &[Outgoing],
    held: &HashMap<usize, Option<Map>>,
    sent: &mut [Option<Sent>],
) -> Vec<Row> {
    let key = client.config().external_id_field.as_str();
    let our_user = client.user_id();
    let mut rows = Vec::with_capacity(leads.len());
    for (index, lead) in leads.iter().enumerate() {
        let record = match held.get(&index) {
            Some(Some(record))
                if text(record, key)
                    .is_some_and(|held| held.eq_ignore_ascii_case(&lead.external_id)) =>
            {
                Some(record)
            }
            Some(Some(_)) => {
                sent[index] = Some(failed(external_id_changed(key)));
                continue;
            }
            // Known by its id and not there: it was deleted or merged by a person.
            Some(None) => {
                sent[index] = Some(failed(record_gone()));
                continue;
            }
            None => None,
        };
        let mut values = write::changes(
            &lead.wanted,
            record,
            lead.submitted_at,
            our_user.as_deref(),
            mapping,
        );
        if let (Some(record), true) = (record, values.is_empty()) {
            let id = text(record, "Id").unwrap_or_default().to_owned();
            sent[index] = Some(Sent::Unchanged { id });
            continue;
        }
        values.insert(key.to_owned(), json!(lead.external_id));
        rows.push(Row {
            index,
            values,
            update: record.is_some(),
            notes: Vec::new(),
        });
    }
    rows
}

fn failed(why: Explanation) -> Sent {
    Sent::Failed {
        why,
        unsure: false,
        blame: Blame::Lead,
    }
}

fn record_gone() -> Explanation {
    Explanation {
        class: Class::Resolve,
        code: "salesforce.record_gone".to_owned(),
        message: "the lead was deleted in Salesforce, or merged into another".to_owned(),
        hint: "it is not made again, because a person removed it: restore it from the recycle bin and replay, \
               or leave it"
            .to_owned(),
        about: Vec::new(),
    }
}

fn external_id_changed(key: &str) -> Explanation {
    Explanation {
        class: Class::Resolve,
        code: "salesforce.external_id_changed".to_owned(),
        message: format!(
            "the record no longer holds our key in {key}, so a write would make a second one"
        ),
        hint: format!("set {key} of that record back (the timeline has it) and replay"),
        about: Vec::new(),
    }
}

/// Writes `rows`, some of them several times: a field that its policy lets go is dropped, a batch
/// that is refused whole is halved until the culprit stands alone.
async fn write_rows(
    client: &Client,
    mapping: &Mapping,
    rows: Vec<Row>,
    request_id: &str,
    may_write: &MayWrite<'_>,
    sent: &mut [Option<Sent>],
) {
    // Headers hold for a whole call, and the assignment rule must never run on an update.
    let assigns = client.config().assignment_rule == crate::config::AssignmentRule::OnCreate;
    let (updates, creates): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| assigns && row.update);
    let mut waiting: Vec<(Vec<Row>, usize, bool)> =
        vec![(updates, 0, false), (creates, 0, assigns)];
    while let Some((mut rows, round, auto_assign)) = waiting.pop() {
        if rows.is_empty() {
            continue;
        }
        if !may_write().await {
            // Whoever has taken over sends them.
            return;
        }
        let headers = WriteHeaders {
            auto_assign,
            allow_duplicates: client.config().allow_duplicates,
            request_id: Some(request_id.to_owned()),
        };
        let key = &client.config().external_id_field;
        let values: Vec<Map> = rows
            .iter_mut()
            .map(|row| std::mem::take(&mut row.values))
            .collect();
        let result = client.upsert_collection(LEAD, key, &values, &headers).await;
        for (row, values) in rows.iter_mut().zip(values) {
            row.values = values;
        }
        let mut again = Vec::new();
        match result {
            Ok(results) => {
                for (row, result) in rows.into_iter().zip(results) {
                    again.extend(settle_row(mapping, key, row, result, round, sent));
                }
            }
            Err(CallError::Refused {
                status: 400,
                errors,
            }) if is_about_rows(&errors, key) => {
                let (mut hit, mut rest): (Vec<Row>, Vec<Row>) =
                    rows.into_iter().partition(|row| is_meant(row, &errors));
                if hit.is_empty() && rest.len() > 1 {
                    // The answer names nothing that we sent: halve until the culprit is alone.
                    let half = rest.split_off(rest.len() / 2);
                    waiting.push((half, round, auto_assign));
                } else if hit.is_empty() {
                    hit.append(&mut rest);
                }
                waiting.push((rest, round, auto_assign));
                for row in hit {
                    let refused = RowResult::Refused(errors.clone());
                    again.extend(settle_row(mapping, key, row, refused, round, sent));
                }
            }
            Err(error) => {
                for row in rows {
                    sent[row.index] = Some(Sent::Failed {
                        why: error.explain(),
                        unsure: error.maybe_carried_out(),
                        blame: Blame::of(&error),
                    });
                }
            }
        }
        waiting.push((again, round + 1, auto_assign));
    }
}

/// Whether a call that was refused whole was refused for what is in its rows: an answer without
/// reasons is a proxy's, and a key that the org does not know is nobody's data.
fn is_about_rows(errors: &[ApiError], key: &str) -> bool {
    !errors.is_empty()
        && !errors
            .iter()
            .flat_map(fields_meant)
            .any(|field| field.eq_ignore_ascii_case(key))
}

/// Whether an error of the whole call names a field that this row sends.
fn is_meant(row: &Row, errors: &[ApiError]) -> bool {
    errors
        .iter()
        .flat_map(fields_meant)
        .any(|field| sends(row, field).is_some())
}

/// The API name, as it was sent, of `field` in any case.
fn sends<'a>(row: &'a Row, field: &str) -> Option<&'a str> {
    row.values
        .keys()
        .map(String::as_str)
        .find(|name| name.eq_ignore_ascii_case(field))
}

/// The fields that an error means: those it lists, else the one in "No such column 'X' on …".
fn fields_meant(error: &ApiError) -> Vec<&str> {
    if !error.fields.is_empty() {
        return error.fields.iter().map(String::as_str).collect();
    }
    error
        .message
        .split_once("No such column '")
        .and_then(|(_, rest)| rest.split_once('\''))
        .map(|(field, _)| vec![field])
        .unwrap_or_default()
}

/// Notes what became of a row; gives it back if it is to be sent again without what was refused.
fn settle_row(
    mapping: &Mapping,
    key: &str,
    mut row: Row,
    result: RowResult,
    round: usize,
    sent: &mut [Option<Sent>],
) -> Option<Row> {
    match result {
        RowResult::Saved(saved) => {
            let fields = row
                .values
                .keys()
                .filter(|name| *name != key)
                .cloned()
                .collect();
            sent[row.index] = Some(Sent::Saved {
                id: saved.id,
                created: saved.created,
                fields,
                notes: row.notes,
            });
            None
        }
        RowResult::Refused(errors) => {
            if round < MOST_ROUNDS && mend(mapping, key, &mut row, &errors) {
                return Some(row);
            }
            let mut why = Explanation::of(200, &errors).on(LEAD);
            // Another has just made the record, or the one that we could not find has our key: the
            // next try looks first.
            let key = key.to_ascii_lowercase();
            let ours = errors.iter().any(|error| {
                let message = error.message.to_ascii_lowercase();
                error.code == "DUPLICATE_VALUE"
                    && (message.contains(&key) || message.contains("<unknown>"))
            });
            if ours {
                why.class = Class::RetrySoon;
            }
            sent[row.index] = Some(Sent::Failed {
                why,
                // An update that was refused is of a record that is there.
                unsure: ours || row.update,
                blame: Blame::Lead,
            });
            None
        }
    }
}

/// Drops or replaces the values that were refused, if the configuration lets each of them go.
fn mend(mapping: &Mapping, key: &str, row: &mut Row, errors: &[ApiError]) -> bool {
    let mut mended = Vec::new();
    for error in errors {
        if !matches!(
            error.class(200),
            Class::FixData | Class::FixConfig | Class::FixPermissions
        ) {
            return false;
        }
        let fields = fields_meant(error);
        if fields.is_empty() {
            return false;
        }
        for field in fields {
            let Some(name) = sends(row, field)
                .filter(|name| *name != key)
                .map(str::to_owned)
            else {
                return false;
            };
            let default = mapping
                .field(&name)
                .and_then(super::MappedField::default_value);
            let replacement = match mapping.on_invalid(&name) {
                OnInvalid::Hold => return false,
                OnInvalid::DropField => None,
                OnInvalid::Default => {
                    default.filter(|default| row.values.get(&name) != Some(default))
                }
            };
            mended.push((name, replacement, error.code.clone()));
        }
    }
    for (name, replacement, code) in mended {
        let what = if replacement.is_some() {
            "replaced by the default"
        } else {
            "left out"
        };
        row.notes.push(Note {
            code: "salesforce.refused_value".to_owned(),
            field: name.clone(),
            message: format!("`{name}` was {what}: Salesforce refused its value ({code})"),
        });
        match replacement {
            Some(value) => row.values.insert(name, value),
            None => row.values.shift_remove(&name),
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::testing::{NOW, Org, answer, config, json_answer, token};

    fn lead(number: usize, salesforce_id: Option<&str>) -> Outgoing {
        Outgoing {
            external_id: format!("KEY{number}"),
            salesforce_id: salesforce_id.map(str::to_owned),
            unsure: false,
            wanted: BTreeMap::from([("LastName".to_owned(), json!(format!("Name{number}")))]),
            submitted_at: NOW,
        }
    }

    async fn sent(org: &Org, leads: &[Outgoing]) -> Vec<Sent> {
        send(
            &org.client,
            &Mapping::new(org.client.config()),
            leads,
            "request",
            &|| Box::pin(async { true }),
        )
        .await
    }

    fn saved(count: usize) -> crate::salesforce::testing::Answer {
        let row =
            json!({ "id": "00Q5g000000001TEAQ", "success": true, "created": true, "errors": [] });
        json_answer(200, Value::from(vec![row; count]))
    }

    fn refused(message: &str) -> crate::salesforce::testing::Answer {
        json_answer(
            400,
            json!([{ "errorCode": "INVALID_FIELD", "message": message }]),
        )
    }

    #[tokio::test]
    async fn a_call_that_is_refused_for_no_rows_fault_is_blamed_on_none() {
        let about_key = "No such column 'Leadstream_Id__c' on sobject of type Lead";
        for whole in [answer(400, "<html>Bad Request</html>"), refused(about_key)] {
            let org = Org::signed_in().await;
            org.http.then(whole);
            for one in sent(&org, &[lead(1, None), lead(2, None)]).await {
                assert!(
                    matches!(
                        one,
                        Sent::Failed {
                            blame: Blame::Call,
                            ..
                        }
                    ),
                    "{one:?}"
                );
            }
            assert_eq!(org.http.lines().len(), 2, "a token and one call");
        }
    }

    #[tokio::test]
    async fn a_call_that_is_refused_without_a_name_is_halved_to_the_culprit() {
        let org = Org::signed_in().await;
        let nameless = "something in here is wrong";
        for then in [
            refused(nameless),
            saved(2),
            refused(nameless),
            saved(1),
            refused(nameless),
        ] {
            org.http.then(then);
        }
        let all: Vec<Outgoing> = (0..4).map(|number| lead(number, None)).collect();
        let outcomes = sent(&org, &all).await;
        let lost: Vec<usize> = (0..4)
            .filter(|index| {
                matches!(
                    outcomes[*index],
                    Sent::Failed {
                        blame: Blame::Lead,
                        ..
                    }
                )
            })
            .collect();
        assert_eq!(lost.len(), 1, "{outcomes:?}");
        assert_eq!(org.http.lines().len(), 6);
    }

    #[tokio::test]
    async fn a_server_error_in_the_apis_own_form_asks_for_a_look() {
        let org = Org::signed_in().await;
        let broken = json!([{ "errorCode": "UNKNOWN_EXCEPTION", "message": "ErrorId: 1-2 (3)" }]);
        org.http.then(json_answer(500, broken));
        let outcomes = sent(&org, &[lead(1, None)]).await;
        assert!(
            matches!(outcomes[..], [Sent::Failed { unsure: true, .. }]),
            "{outcomes:?}"
        );
    }

    #[tokio::test]
    async fn the_key_is_known_in_any_case() {
        let mut config = config();
        config.external_id_field = "leadstream_id__c".to_owned();
        let org = Org::with(config);
        org.http.then(token("one"));
        org.http.then(json_answer(
            200,
            json!([{ "Id": "00Q5g000000001TEAQ", "Leadstream_Id__c": "KEY1", "LastName": "Name1",
                     "LastModifiedDate": "2026-03-01T10:00:00.000+0000" }]),
        ));
        let outcomes = sent(&org, &[lead(1, Some("00Q5g000000001TEAQ"))]).await;
        assert!(
            matches!(outcomes[..], [Sent::Unchanged { .. }]),
            "{outcomes:?}"
        );
    }
}
