//! Sends what was claimed: looks where the people live, writes what may be written, lets them join
//! campaigns, and says what became of each lead. Knows no store.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::campaign::{Campaigns, Joined, Member};
use super::locate::{CONTACT, LEAD, Place, Record};
use super::look::{Look, Looked, text};
use super::save::{Row, Save};
use super::task::{self, Telling};
use super::{Mapping, fit, write};
use crate::model::{Held, Joining, Millis, Note};
use crate::salesforce::{CallError, Class, Client, Explanation, Map};

/// One lead to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its external id.
    pub external_id: String,
    /// The id of its record, once known.
    pub salesforce_id: Option<String>,
    /// An earlier sending may have been carried out: look before writing.
    pub unsure: bool,
    /// The fields of a Lead to set, before write policies are applied.
    pub wanted: BTreeMap<String, Value>,
    /// When the person gave the newest of them.
    pub submitted_at: Millis,
    /// When the first of them was decided.
    pub decided_at: Millis,
    /// All that is known of the person.
    pub record: BTreeMap<String, Held>,
    /// Records of the org that may be the person, if none is known to be.
    pub candidates: Vec<String>,
    /// The campaigns to join.
    pub campaigns: BTreeMap<String, Joining>,
    /// The source whose submission the owner of a Contact is to be told of.
    pub told_of: Option<String>,
}

/// What became of one lead.
#[derive(Debug)]
pub enum Sent {
    /// All is in Salesforce.
    Done {
        /// The record's id.
        id: String,
        /// Whether it was made.
        created: bool,
        /// The names of the fields that were written. None if Salesforce held it all already.
        fields: Vec<String>,
        /// The campaigns that were joined, or whose status was set, and Tasks that were made.
        joined: Vec<String>,
        /// What was dropped or replaced on the way.
        notes: Vec<Note>,
    },
    /// It was refused, or the way to it failed.
    Failed {
        /// Why.
        why: Explanation,
        /// Whether it may have been carried out all the same.
        unsure: bool,
        /// Whose fault it is.
        blame: Blame,
        /// The record's id, if it is known by now.
        salesforce_id: Option<String>,
    },
}

impl Sent {
    /// A lead of a call that brought nothing, and wrote nothing. `unsure`: whether an earlier one may
    /// have.
    pub fn failed(error: &CallError, unsure: bool) -> Self {
        Self::Failed {
            why: error.explain(),
            unsure,
            blame: Blame::of(error),
            salesforce_id: None,
        }
    }

    /// The record, if it is known by now.
    pub fn salesforce_id(&self) -> Option<&str> {
        match self {
            Self::Done { id, .. } => Some(id),
            Self::Failed { salesforce_id, .. } => salesforce_id.as_deref(),
        }
    }
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
    pub(super) fn of(error: &CallError) -> Self {
        if error.counts_as_try() {
            Self::Call
        } else {
            Self::Nobody
        }
    }
}

/// Whether this node may still write.
pub type MayWrite<'a> = dyn Fn() -> BoxFuture<'static, bool> + Send + Sync + 'a;

/// What sending needs beside the leads.
pub struct Sender<'a> {
    /// The org.
    pub client: &'a Client,
    /// Lead fields to fields of Lead.
    pub lead: &'a Mapping,
    /// Lead fields to fields of Contact.
    pub contact: &'a Mapping,
    /// What is known of the org's campaigns.
    pub campaigns: &'a Campaigns,
    /// Goes with the calls into Salesforce's logs.
    pub request_id: &'a str,
    /// Asked before each call that writes: the look before it may have taken long, and another node may
    /// have taken over.
    pub may_write: &'a MayWrite<'a>,
    /// Which external ids our own store gave.
    pub is_ours: &'a (dyn Fn(&str) -> bool + Sync),
    /// Now.
    pub now: Millis,
}

impl Sender<'_> {
    /// Sends `leads`, at most 200, each with another external id. Results are in their order.
    pub async fn send(&self, leads: &[Outgoing]) -> Vec<Sent> {
        let mut sent: Vec<Option<Sent>> = leads.iter().map(|_| None).collect();
        let mut contacts = BTreeMap::new();
        let people: Vec<usize> = (0..leads.len()).collect();
        let found = self
            .look_and_write(leads, &people, &BTreeMap::new(), &mut sent, &mut contacts)
            .await;
        if !found.is_empty() {
            // The org's own rule knows them: they are looked at again, and updated.
            let people: Vec<usize> = found.keys().copied().collect();
            for index in &people {
                sent[*index] = None;
            }
            self.look_and_write(leads, &people, &found, &mut sent, &mut contacts)
                .await;
        }
        let mut sent: Vec<Sent> = sent
            .into_iter()
            .map(|sent| sent.unwrap_or_else(unanswered))
            .collect();
        self.join(leads, &mut sent).await;
        self.tell(leads, &contacts, &mut sent).await;
        sent
    }

    /// Looks where `people`, of `leads`, live, and writes what may be written. Gives the records that
    /// duplicate rules have found, by lead. Notes in `contacts` whose owners could be told.
    async fn look_and_write(
        &self,
        leads: &[Outgoing],
        people: &[usize],
        linked: &BTreeMap<usize, Vec<String>>,
        sent: &mut [Option<Sent>],
        contacts: &mut BTreeMap<usize, Option<String>>,
    ) -> BTreeMap<usize, Vec<String>> {
        let look = Look {
            client: self.client,
            contact: self.contact,
            is_ours: self.is_ours,
        };
        let of: Vec<&Outgoing> = people.iter().map(|index| &leads[*index]).collect();
        let linked_here = people.iter().enumerate();
        let linked_here = linked_here
            .filter_map(|(place, index)| Some((place, linked.get(index)?.clone())))
            .collect();
        match look.at(&of, &linked_here).await {
            Ok(looked) => {
                let rows = self.rows(leads, people, &looked, sent, contacts);
                let save = Save {
                    client: self.client,
                    lead: self.lead,
                    contact: self.contact,
                    request_id: self.request_id,
                    may_write: self.may_write,
                };
                let found = save.write(rows, sent).await;
                // Once only: whom a rule finds again, though it was linked, is refused.
                if linked.is_empty() {
                    found
                } else {
                    BTreeMap::new()
                }
            }
            Err(error) => {
                // Nothing was written; whoever needed no look would meet the same trouble.
                for index in people {
                    let lead = &leads[*index];
                    sent[*index] = Some(Sent::Failed {
                        why: error.explain(),
                        unsure: lead.unsure,
                        blame: Blame::of(&error),
                        salesforce_id: None,
                    });
                }
                BTreeMap::new()
            }
        }
    }

    /// The rows to write; leads that need none are answered.
    fn rows(
        &self,
        leads: &[Outgoing],
        people: &[usize],
        looked: &Looked,
        sent: &mut [Option<Sent>],
        contacts: &mut BTreeMap<usize, Option<String>>,
    ) -> Vec<Row> {
        let mut rows = Vec::with_capacity(people.len());
        for (index, place) in people.iter().zip(&looked.places) {
            let index = *index;
            let lead = &leads[index];
            let (id, object) = match place {
                Place::New => {
                    let row = self.new_row(index, lead);
                    rows.extend(self.fitted(row, lead, sent));
                    continue;
                }
                Place::Lead(id) => (id, LEAD),
                Place::Contact { id, .. } => (id, CONTACT),
                Place::Held(why) => {
                    sent[index] = Some(Sent::Failed {
                        why: why.clone(),
                        unsure: lead.unsure,
                        blame: Blame::Lead,
                        salesforce_id: None,
                    });
                    continue;
                }
            };
            let Some(Record::Held(record)) = looked.seen.get(id) else {
                // Places are of records that were read.
                continue;
            };
            if object == CONTACT {
                let owner = text(record, "OwnerId").map(str::to_owned);
                contacts.insert(index, owner);
            }
            let row = self.row(index, lead, place, id, object, record);
            let Some(row) = self.fitted(row, lead, sent) else {
                continue;
            };
            if row.values.is_empty() {
                sent[index] = Some(Sent::Done {
                    id: id.clone(),
                    created: false,
                    fields: Vec::new(),
                    joined: Vec::new(),
                    notes: row.notes,
                });
            } else {
                rows.push(row);
            }
        }
        rows
    }

    /// What a new Lead is to hold, our key included; or why it is not to be made.
    pub fn new_values(&self, index: usize, lead: &Outgoing) -> (Map, Option<Sent>) {
        let row = Row {
            index: 0,
            ..self.new_row(index, lead)
        };
        let mut sent = [None];
        let row = self.fitted(row, lead, &mut sent);
        let [refused] = sent;
        (row.map(|row| row.values).unwrap_or_default(), refused)
    }

    fn new_row(&self, index: usize, lead: &Outgoing) -> Row {
        // What was sent before went with the record that a person deleted.
        let whole = lead
            .salesforce_id
            .is_some()
            .then(|| self.lead.fields(&lead.record).fields);
        let wanted = whole.as_ref().unwrap_or(&lead.wanted);
        let mut values = write::changes(wanted, None, lead.submitted_at, None, self.lead);
        let key = self.client.config().external_id_field.clone();
        values.insert(key, json!(lead.external_id));
        Row {
            index,
            id: None,
            object: LEAD,
            values,
            notes: Vec::new(),
        }
    }

    fn row(
        &self,
        index: usize,
        lead: &Outgoing,
        place: &Place,
        id: &str,
        object: &'static str,
        record: &Map,
    ) -> Row {
        let is_known = lead.salesforce_id.as_deref() == Some(id);
        let (wanted, mapping) = match place {
            Place::Contact { write: false, .. } => (BTreeMap::new(), self.contact),
            Place::Contact { .. } => (self.wanted_of_contact(lead, is_known), self.contact),
            // A record that we have not written to before gets all, not only what has changed.
            _ if is_known || lead.salesforce_id.is_none() => (lead.wanted.clone(), self.lead),
            _ => (self.lead.fields(&lead.record).fields, self.lead),
        };
        let us = self.client.user_id();
        let mut values = write::changes(
            &wanted,
            Some(record),
            lead.submitted_at,
            us.as_deref(),
            mapping,
        );
        let key = &self.client.config().external_id_field;
        let is_blank = write::get(record, key)
            .is_some_and(|held| held.as_str().is_none_or(|held| held.trim().is_empty()));
        if is_blank {
            values.insert(key.clone(), json!(lead.external_id));
        }
        let mut notes = Vec::new();
        if lead.salesforce_id.is_none() && !lead.unsure {
            Note::add(
                &mut notes,
                "salesforce.found",
                "salesforce_id",
                &format!(
                    "the person was in Salesforce already, as a {object}: no new Lead was made"
                ),
            );
        }
        Row {
            index,
            id: Some(id.to_owned()),
            object,
            values,
            notes,
        }
    }

    /// A row as the org's fields take it, as far as they are known; none if that is refused.
    fn fitted(&self, row: Row, lead: &Outgoing, sent: &mut [Option<Sent>]) -> Option<Row> {
        let Some(describe) = self.client.describes().get(row.object) else {
            return Some(row);
        };
        let mapping = if row.object == CONTACT {
            self.contact
        } else {
            self.lead
        };
        let fitted = fit(row.values, &describe, mapping, row.id.is_none());
        let mut notes = row.notes;
        notes.extend(fitted.notes);
        if let Some(why) = fitted.refused {
            sent[row.index] = Some(Sent::Failed {
                why,
                unsure: lead.unsure,
                blame: Blame::Lead,
                salesforce_id: row.id,
            });
            return None;
        }
        Some(Row {
            values: fitted.values,
            notes,
            ..row
        })
    }

    /// What of a lead goes to a Contact: all of it, or, if the Contact has been written to before, what
    /// has changed, and what no Lead has a field for.
    fn wanted_of_contact(&self, lead: &Outgoing, is_known: bool) -> BTreeMap<String, Value> {
        let mut wanted = self.contact.fields(&lead.record).fields;
        if is_known {
            let changed: BTreeSet<&str> = lead
                .wanted
                .keys()
                .filter_map(|name| Some(self.lead.field(name)?.from.as_str()))
                .collect();
            wanted.retain(|name, _| {
                self.contact.field(name).is_some_and(|field| {
                    let of_lead = self.lead.all().iter().any(|lead| lead.from == field.from);
                    changed.contains(field.from.as_str()) || !of_lead
                })
            });
        }
        wanted
    }

    /// Lets those who are in Salesforce now join their campaigns.
    pub async fn join(&self, leads: &[Outgoing], sent: &mut [Sent]) {
        let mut members = Vec::new();
        for (index, (lead, sent)) in leads.iter().zip(&*sent).enumerate() {
            let Sent::Done { id, .. } = sent else {
                continue;
            };
            members.extend(lead.campaigns.iter().map(|(campaign, joining)| Member {
                index,
                person: id.clone(),
                campaign: campaign.clone(),
                joining: joining.clone(),
                unsure: lead.unsure,
            }));
        }
        for (index, joined) in self.campaigns.join(self, members).await {
            match joined {
                Joined::In(campaign) => {
                    if let Sent::Done { joined, .. } = &mut sent[index] {
                        joined.push(campaign);
                    }
                }
                Joined::AsItWas => {}
                Joined::Without(note) => {
                    if let Sent::Done { notes, .. } = &mut sent[index] {
                        notes.push(note);
                    }
                }
                Joined::Failed { why, unsure, blame } => fail(&mut sent[index], why, unsure, blame),
            }
        }
    }

    /// Tells the owners of Contacts who came back.
    async fn tell(
        &self,
        leads: &[Outgoing],
        contacts: &BTreeMap<usize, Option<String>>,
        sent: &mut [Sent],
    ) {
        let config = &self.client.config().existing;
        let Some(subject) = &config.contact_task else {
            return;
        };
        let mut telling = Vec::new();
        for (index, owner) in contacts {
            let lead = &leads[*index];
            if let (Sent::Done { id, .. }, Some(source)) = (&sent[*index], &lead.told_of) {
                let campaign = lead.campaigns.keys().next().map(String::as_str);
                telling.push(Telling {
                    index: *index,
                    contact: id.clone(),
                    owner: owner.clone(),
                    subject: task::subject(subject, source, campaign.unwrap_or_default()),
                    since: lead.decided_at,
                    unsure: lead.unsure,
                });
            }
        }
        for (index, told) in task::tell(self, telling).await {
            match told {
                task::Told::Made => {
                    if let Sent::Done { joined, .. } = &mut sent[index] {
                        joined.push("Task".to_owned());
                    }
                }
                task::Told::Already => {}
                task::Told::Refused(note) => {
                    if let Sent::Done { notes, .. } = &mut sent[index] {
                        notes.push(note);
                    }
                }
                task::Told::Failed { why, unsure, blame } => {
                    fail(&mut sent[index], why, unsure, blame);
                }
            }
        }
    }
}

/// What was in Salesforce but for the last part is to be sent again, or needs a person.
fn fail(sent: &mut Sent, why: Explanation, unsure: bool, blame: Blame) {
    let salesforce_id = match sent {
        Sent::Done { id, .. } => Some(id.clone()),
        // The first reason stands.
        Sent::Failed { .. } => return,
    };
    *sent = Sent::Failed {
        why,
        unsure,
        blame,
        salesforce_id,
    };
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
        salesforce_id: None,
    }
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
            decided_at: NOW,
            record: BTreeMap::new(),
            candidates: Vec::new(),
            campaigns: BTreeMap::new(),
            told_of: None,
        }
    }

    async fn sent(org: &Org, leads: &[Outgoing]) -> Vec<Sent> {
        let config = org.client.config();
        let sender = Sender {
            client: &org.client,
            lead: &Mapping::new(config),
            contact: &Mapping::of_contact(config),
            campaigns: &Campaigns::default(),
            request_id: "request",
            may_write: &|| Box::pin(async { true }),
            is_ours: &|_| true,
            now: NOW,
        };
        sender.send(leads).await
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
            matches!(&outcomes[..], [Sent::Done { fields, .. }] if fields.is_empty()),
            "{outcomes:?}"
        );
    }
}
