//! Writes rows: the new ones by upsert on our key, in the call of their own that headers demand; those
//! that are there by their ids. A row that is refused is mended where its mapping allows it, and sent
//! once more; its neighbours are not affected.

use std::collections::BTreeMap;

use serde_json::json;

use super::locate::{CONTACT, LEAD};
use super::look::fields_meant;
use super::send::{Blame, MayWrite, Sent};
use super::{MappedField, Mapping};
use crate::config::{AssignmentRule, OnInvalid};
use crate::model::Note;
use crate::salesforce::{
    ApiError, CallError, Class, Client, Explanation, Map, RowResult, Saved, WriteHeaders,
};

/// How often a refused row is sent again at once with a field less.
const MOST_ROUNDS: usize = 4;

/// Rows that a duplicate rule stops and that are asked about one by one in a step: a call each.
const MOST_ASKED: usize = 20;

/// A row on its way.
#[derive(Debug)]
pub(super) struct Row {
    /// Whose, among the leads of the call.
    pub index: usize,
    /// The record to change; none makes one.
    pub id: Option<String>,
    /// `Lead` or `Contact`.
    pub object: &'static str,
    /// What to set; for a new record our key as well.
    pub values: Map,
    /// What was dropped or replaced on the way.
    pub notes: Vec<Note>,
}

/// What writing needs to know.
pub(super) struct Save<'a> {
    pub client: &'a Client,
    pub lead: &'a Mapping,
    pub contact: &'a Mapping,
    pub request_id: &'a str,
    pub may_write: &'a MayWrite<'a>,
}

/// Rows that go in one call.
struct Group {
    rows: Vec<Row>,
    round: usize,
    is_new: bool,
}

impl Save<'_> {
    /// Writes `rows`, and says in `sent` what became of them. Gives, for rows that a duplicate rule of
    /// the org has stopped, the records that it found.
    pub async fn write(
        &self,
        rows: Vec<Row>,
        sent: &mut [Option<Sent>],
    ) -> BTreeMap<usize, Vec<String>> {
        let (new, there): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.id.is_none());
        let mut waiting = vec![
            Group {
                rows: by_object(there),
                round: 0,
                is_new: false,
            },
            Group {
                rows: new,
                round: 0,
                is_new: true,
            },
        ];
        let mut duplicates = Vec::new();
        while let Some(mut group) = waiting.pop() {
            if group.rows.is_empty() {
                continue;
            }
            if !(self.may_write)().await {
                // Whoever has taken over sends them.
                return BTreeMap::new();
            }
            let (round, is_new) = (group.round, group.is_new);
            let mut again = Vec::new();
            match self.call(&mut group).await {
                Ok(results) => {
                    for (row, result) in group.rows.into_iter().zip(results) {
                        again.extend(self.settle(row, result, round, sent, &mut duplicates));
                    }
                }
                Err(CallError::Refused {
                    status: 400,
                    errors,
                }) if self.is_about_rows(&errors) => {
                    let (mut hit, mut rest): (Vec<Row>, Vec<Row>) = group
                        .rows
                        .into_iter()
                        .partition(|row| is_meant(row, &errors));
                    if hit.is_empty() && rest.len() > 1 {
                        // The answer names nothing that we sent: halve until the culprit is alone.
                        let rows = rest.split_off(rest.len() / 2);
                        waiting.push(Group {
                            rows,
                            round,
                            is_new,
                        });
                    } else if hit.is_empty() {
                        hit.append(&mut rest);
                    }
                    waiting.push(Group {
                        rows: rest,
                        round,
                        is_new,
                    });
                    for row in hit {
                        let refused = RowResult::Refused(errors.clone());
                        again.extend(self.settle(row, refused, round, sent, &mut duplicates));
                    }
                }
                Err(error) => {
                    for row in group.rows {
                        sent[row.index] = Some(Sent::Failed {
                            why: error.explain(),
                            unsure: error.maybe_carried_out(),
                            blame: Blame::of(&error),
                            salesforce_id: row.id,
                        });
                    }
                }
            }
            waiting.push(Group {
                rows: again,
                round: round + 1,
                is_new,
            });
        }
        self.ask(duplicates, sent).await
    }

    fn key(&self) -> &str {
        &self.client.config().external_id_field
    }

    fn headers(&self, is_new: bool) -> WriteHeaders {
        let config = self.client.config();
        WriteHeaders {
            // The assignment rule must never run on an update: it would take leads from their owners.
            auto_assign: is_new && config.assignment_rule == AssignmentRule::OnCreate,
            allow_duplicates: config.allow_duplicates,
            names_duplicates: false,
            request_id: Some(self.request_id.to_owned()),
        }
    }

    async fn call(&self, group: &mut Group) -> Result<Vec<RowResult>, CallError> {
        let headers = self.headers(group.is_new);
        if group.is_new {
            let values = group.rows.iter_mut();
            let values: Vec<Map> = values.map(|row| std::mem::take(&mut row.values)).collect();
            let key = self.key();
            let result = self
                .client
                .upsert_collection(LEAD, key, &values, &headers)
                .await;
            for (row, values) in group.rows.iter_mut().zip(values) {
                row.values = values;
            }
            return result;
        }
        let records: Vec<(&str, Map)> = group
            .rows
            .iter()
            .map(|row| {
                let mut record = row.values.clone();
                record.insert("id".to_owned(), json!(row.id));
                (row.object, record)
            })
            .collect();
        self.client.update_collection(&records, &headers).await
    }

    /// Whether a call that was refused whole was refused for what is in its rows: an answer without
    /// reasons is a proxy's, and a key that the org does not know is nobody's data.
    fn is_about_rows(&self, errors: &[ApiError]) -> bool {
        !errors.is_empty()
            && !errors
                .iter()
                .flat_map(fields_meant)
                .any(|field| field.eq_ignore_ascii_case(self.key()))
    }

    /// Notes what became of a row; gives it back if it is to be sent again without what was refused.
    fn settle(
        &self,
        mut row: Row,
        result: RowResult,
        round: usize,
        sent: &mut [Option<Sent>],
        duplicates: &mut Vec<(Row, Vec<ApiError>)>,
    ) -> Option<Row> {
        match result {
            RowResult::Saved(saved) => {
                let index = row.index;
                sent[index] = Some(self.saved(row, saved));
                None
            }
            RowResult::Refused(errors) => {
                if round < MOST_ROUNDS && self.mend(&mut row, &errors) {
                    return Some(row);
                }
                if row.id.is_some() && self.is_key_taken(&errors) {
                    // It stays another record's; this one is known by its id.
                    row.values.shift_remove(self.key());
                    return Some(row);
                }
                let is_duplicate = |error: &ApiError| error.code == "DUPLICATES_DETECTED";
                if row.id.is_none() && errors.iter().any(is_duplicate) {
                    duplicates.push((row, errors));
                    return None;
                }
                sent[row.index] = Some(self.refused(&row, &errors));
                None
            }
        }
    }

    /// Whether our key, which a record was to get, is another record's.
    fn is_key_taken(&self, errors: &[ApiError]) -> bool {
        let key = self.key().to_ascii_lowercase();
        errors.iter().any(|error| {
            error.code == "DUPLICATE_VALUE" && error.message.to_ascii_lowercase().contains(&key)
        })
    }

    fn saved(&self, row: Row, saved: Saved) -> Sent {
        let key = self.key();
        let fields = row.values.keys().filter(|name| *name != key);
        Sent::Done {
            id: saved.id,
            created: saved.created,
            fields: fields.cloned().collect(),
            joined: Vec::new(),
            notes: row.notes,
        }
    }

    fn refused(&self, row: &Row, errors: &[ApiError]) -> Sent {
        let mut why = Explanation::of(200, errors).on(row.object);
        // Another has just made the record, or the one that we could not find has our key, or it went
        // elsewhere since we looked: the next try looks first.
        let key = self.key().to_ascii_lowercase();
        let has_moved = errors.iter().any(|error| {
            let message = error.message.to_ascii_lowercase();
            let is_ours = message.contains(&key) || message.contains("<unknown>");
            match error.code.as_str() {
                "DUPLICATE_VALUE" => is_ours,
                "CANNOT_UPDATE_CONVERTED_LEAD" | "ENTITY_IS_DELETED" | "NOT_FOUND" => true,
                _ => false,
            }
        });
        if has_moved {
            why.class = Class::RetrySoon;
        }
        Sent::Failed {
            why,
            // An update that was refused is of a record that is there.
            unsure: has_moved || row.id.is_some(),
            blame: Blame::Lead,
            salesforce_id: row.id.clone(),
        }
    }

    /// Asks one by one which records a duplicate rule has found, for a collection does not say. Whoever
    /// is refused without any is refused for good.
    async fn ask(
        &self,
        duplicates: Vec<(Row, Vec<ApiError>)>,
        sent: &mut [Option<Sent>],
    ) -> BTreeMap<usize, Vec<String>> {
        let mut found = BTreeMap::new();
        let headers = WriteHeaders {
            names_duplicates: true,
            ..self.headers(true)
        };
        for (number, (row, errors)) in duplicates.into_iter().enumerate() {
            if number >= MOST_ASKED || !(self.may_write)().await {
                sent[row.index] = Some(later(&errors));
                continue;
            }
            let key = self.key();
            let external_id = row.values.get(key).and_then(|key| key.as_str());
            let external_id = external_id.unwrap_or_default().to_owned();
            let answer = self
                .client
                .upsert_row(LEAD, key, &external_id, &row.values, &headers)
                .await;
            let index = row.index;
            sent[index] = Some(match answer {
                Ok(saved) => self.saved(row, saved),
                Err(CallError::Refused { status, errors }) if status < 500 => {
                    let ids: Vec<String> = errors
                        .iter()
                        .flat_map(|error| error.matches().iter().cloned())
                        .collect();
                    let refused = self.refused(&row, &errors);
                    if !ids.is_empty() {
                        found.insert(index, ids);
                    }
                    refused
                }
                Err(error) => Sent::Failed {
                    why: error.explain(),
                    unsure: error.maybe_carried_out(),
                    blame: Blame::of(&error),
                    salesforce_id: None,
                },
            });
        }
        found
    }

    fn mapping(&self, object: &str) -> &Mapping {
        if object == CONTACT {
            self.contact
        } else {
            self.lead
        }
    }

    /// Drops or replaces the values that were refused, if the configuration lets each of them go.
    fn mend(&self, row: &mut Row, errors: &[ApiError]) -> bool {
        let mapping = self.mapping(row.object);
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
                let Some(name) = sends(row, field).map(str::to_owned) else {
                    return false;
                };
                if name == self.key() {
                    // A Contact need not have the field; a Lead that we make must.
                    if row.id.is_none() {
                        return false;
                    }
                    mended.push((name, None, error.code.clone()));
                    continue;
                }
                let default = mapping.field(&name).and_then(MappedField::default_value);
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
}

/// Records of one object stand together: Salesforce takes ten runs of one object in a call.
fn by_object(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| row.object);
    rows
}

/// More rows were stopped than are asked about in one step.
fn later(errors: &[ApiError]) -> Sent {
    let mut why = Explanation::of(200, errors);
    why.class = Class::RetrySoon;
    Sent::Failed {
        why,
        unsure: false,
        blame: Blame::Lead,
        salesforce_id: None,
    }
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
