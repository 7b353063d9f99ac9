//! People who work in the org by hand: what a client must not take for its own doing.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::draft::Draft;
use super::errors::{Refusal, Refusals};
use super::handle::Sandbox;
use super::ids::RecordId;
use super::org::{Conversion, Converted, Org, Write};

/// A user of the org. What they write carries their name as `LastModifiedById`; neither
/// assignment rules nor alerts of duplicates stop them, and field-level security does not bind
/// them.
#[derive(Debug, Clone)]
pub struct Person {
    sandbox: Sandbox,
    user: RecordId,
}

impl Sandbox {
    /// The user of this username, name or id: `rep@example.com`, `Rita Rep`.
    pub fn person(&self, who: &str) -> Option<Person> {
        let user = self.shared.state.lock().org.user(who)?;
        Some(Person {
            sandbox: self.clone(),
            user,
        })
    }

    /// The person who acts where no one is named.
    pub(super) fn somebody(&self) -> Person {
        let user = self.shared.state.lock().org.sales_user;
        Person {
            sandbox: self.clone(),
            user,
        }
    }
}

impl Person {
    /// Their id.
    pub fn id(&self) -> RecordId {
        self.user
    }

    /// Creates a record.
    pub fn create(&self, object: &str, fields: &Map<String, Json>) -> Result<RecordId, Refusals> {
        self.act(object, |org, object, write| {
            let draft = Draft::read_as_person(org.object(object), fields)?;
            org.create(object, draft, write)
        })
    }

    /// Edits a record.
    pub fn edit(&self, object: &str, id: &str, fields: &Map<String, Json>) -> Result<(), Refusals> {
        self.act(object, |org, object, write| {
            let draft = Draft::read_as_person(org.object(object), fields)?;
            org.update(object, parse(id)?, draft, write)
        })
    }

    /// Deletes a record, and what belongs to it.
    pub fn delete(&self, object: &str, id: &str) -> Result<(), Refusals> {
        self.act(object, |org, object, write| {
            org.delete(object, parse(id)?, write)
        })
    }

    /// Takes a record out of the recycle bin, with what went there along with it.
    pub fn undelete(&self, object: &str, id: &str) -> Result<(), Refusals> {
        self.act(object, |org, object, write| {
            org.undelete(object, parse(id)?, write)
        })
    }

    /// Converts a lead.
    pub fn convert(&self, lead: &str, how: &Conversion) -> Result<Converted, Refusals> {
        self.act("Lead", |org, _, write| {
            org.convert(parse(lead)?, how, write)
        })
    }

    /// Merges a record into another: the loser is deleted and names the winner as its
    /// `MasterRecordId`. `chosen` is what the person takes over for the winner.
    pub fn merge(
        &self,
        object: &str,
        winner: &str,
        loser: &str,
        chosen: &Map<String, Json>,
    ) -> Result<(), Refusals> {
        self.act(object, |org, object, write| {
            let chosen = Draft::read_as_person(org.object(object), chosen)?;
            org.merge(object, parse(winner)?, parse(loser)?, chosen, write)
        })
    }

    fn act<T>(
        &self,
        object: &str,
        act: impl FnOnce(&mut Org, usize, &Write) -> Result<T, Refusals>,
    ) -> Result<T, Refusals> {
        let now = self.sandbox.shared.clock.now();
        let state = &mut *self.sandbox.shared.state.lock();
        let now = state.faults.stamp(now);
        let org = &mut state.org;
        let object = org.schema.find(object).ok_or_else(Refusal::not_found)?;
        let write = org.write_of(self.user, now);
        act(org, object, &write)
    }
}

fn parse(id: &str) -> Result<RecordId, Refusal> {
    RecordId::parse(id).ok_or_else(Refusal::not_found)
}

/// The body of `POST /sandbox/person`, e.g. `{"as": "Rita Rep", "do": {"edit": {"object": "Lead",
/// "id": "00Q…", "fields": {"Rating": "Hot"}}}}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deed {
    /// Who; Sally Sales if nobody is named.
    #[serde(rename = "as")]
    who: Option<String>,
    /// What.
    #[serde(rename = "do")]
    what: Action,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Action {
    Create {
        object: String,
        fields: Map<String, Json>,
    },
    Edit {
        object: String,
        id: String,
        fields: Map<String, Json>,
    },
    Delete {
        object: String,
        id: String,
    },
    Undelete {
        object: String,
        id: String,
    },
    Convert {
        lead: String,
        #[serde(default)]
        how: Conversion,
    },
    Merge {
        object: String,
        winner: String,
        loser: String,
        #[serde(default)]
        fields: Map<String, Json>,
    },
}

impl Deed {
    /// Does it; the ids that it made, or why it is refused.
    pub(super) fn carry_out(&self, sandbox: &Sandbox) -> Result<Json, Refusals> {
        let person = match &self.who {
            None => sandbox.somebody(),
            Some(who) => sandbox.person(who).ok_or_else(Refusal::not_found)?,
        };
        let done = json!({});
        Ok(match &self.what {
            Action::Create { object, fields } => {
                json!({ "id": person.create(object, fields)?.to_string() })
            }
            Action::Edit { object, id, fields } => {
                person.edit(object, id, fields)?;
                done
            }
            Action::Delete { object, id } => {
                person.delete(object, id)?;
                done
            }
            Action::Undelete { object, id } => {
                person.undelete(object, id)?;
                done
            }
            Action::Convert { lead, how } => {
                let made = person.convert(lead, how)?;
                json!({
                    "account": made.account.to_string(),
                    "contact": made.contact.to_string(),
                    "opportunity": made.opportunity.map(|id| id.to_string()),
                })
            }
            Action::Merge {
                object,
                winner,
                loser,
                fields,
            } => {
                person.merge(object, winner, loser, fields)?;
                done
            }
        })
    }
}
