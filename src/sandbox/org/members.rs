use super::row::Row;
use super::state::{Org, day_of};
use super::write::Write;
use crate::sandbox::errors::Refusal;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{FieldIx, ObjectIx};
use crate::sandbox::value::Value;

/// What a campaign calls a member's status.
struct Status {
    label: Value,
    responded: bool,
}

impl Org {
    /// A member is one person, once in a campaign; the status is one that the campaign defines,
    /// and the response follows it.
    pub(super) fn join(
        &self,
        object: ObjectIx,
        row: &mut Row,
        is_create: bool,
        write: &Write,
    ) -> Result<(), Refusal> {
        let members = self.object(object);
        let id = |name| members.field(name).and_then(|ix| row.get(ix)?.as_id());
        let person = match (id("LeadId"), id("ContactId")) {
            (Some(_), Some(_)) if is_create => {
                return Err(Refusal::row(
                    "FIELD_INTEGRITY_EXCEPTION",
                    "A campaign member can have a lead or a contact, not both",
                ));
            }
            // A converted lead's member has both, and is the contact's.
            (_, Some(person)) | (Some(person), None) => person,
            (None, None) => {
                return Err(Refusal::field(
                    "REQUIRED_FIELD_MISSING",
                    "Required fields are missing: [LeadId, ContactId]",
                    "LeadId",
                ));
            }
        };
        let Some(campaign) = id("CampaignId") else {
            return Ok(());
        };
        let wanted = members
            .field("Status")
            .and_then(|ix| row.get(ix)?.as_text().map(str::to_owned));
        let status = self.member_status(campaign, wanted.as_deref());
        self.take_status(object, row, status, write);
        self.name_member(object, row, campaign, person);
        Ok(())
    }

    fn take_status(&self, object: ObjectIx, row: &mut Row, status: Status, write: &Write) {
        let members = self.object(object);
        let responded = status.responded;
        let mut put = |name: &str, value| {
            if let Some(ix) = members.field(name) {
                row.set(ix, Some(value));
            }
        };
        put("Status", status.label);
        put("HasResponded", Value::Bool(responded));
        if let Some(ix) = members.field("FirstRespondedDate")
            && responded
            && row.get(ix).is_none()
        {
            row.set(ix, day_of(write.now).map(Value::Date));
        }
    }

    /// Whose member it is, and the key that no other member shares.
    fn name_member(&self, object: ObjectIx, row: &mut Row, campaign: RecordId, person: RecordId) {
        let members = self.object(object);
        let kind = self
            .schema
            .by_prefix(person.prefix())
            .map_or("", |object| self.object(object).name);
        if let Some(ix) = members.field("LeadOrContactId") {
            row.set(ix, Some(Value::Id(person)));
        }
        if let Some(ix) = members.field("Type") {
            row.set(ix, Some(Value::text(kind)));
        }
        if let Some(ix) = members.hidden() {
            row.set(ix, Some(Value::text(campaign.short() + &person.short())));
        }
    }

    /// The status that a campaign has by this label; its default in place of none, and of one that
    /// it does not define.
    fn member_status(&self, campaign: RecordId, wanted: Option<&str>) -> Status {
        let nothing = || Status {
            label: Value::text("Sent"),
            responded: false,
        };
        let Some(object) = self.schema.find("CampaignMemberStatus") else {
            return nothing();
        };
        let (known, table) = (self.object(object), self.table(object));
        let fields = ["CampaignId", "Label", "IsDefault", "HasResponded"].map(|n| known.field(n));
        let [Some(parent), Some(label), Some(default), Some(responded)] = fields else {
            return nothing();
        };
        let rows = table.children(parent, campaign);
        let rows = || rows.iter().map(|number| table.at(*number));
        let text = |row: &Row| row.get(label).cloned().unwrap_or_else(|| Value::text(""));
        let is_wanted = |row: &&Row| {
            let label = row.get(label).and_then(Value::as_text).unwrap_or_default();
            wanted.is_some_and(|wanted| label.eq_ignore_ascii_case(wanted))
        };
        let found = rows()
            .find(is_wanted)
            .or_else(|| rows().find(|row| row.get(default).is_some()))
            .or_else(|| rows().next());
        found.map_or_else(nothing, |row| Status {
            label: text(row),
            responded: row.get(responded).is_some(),
        })
    }

    /// A new campaign has the statuses Sent, its default, and Responded.
    pub(super) fn give_statuses(&mut self, campaign: RecordId, write: &Write) {
        for (order, label) in (1..).zip(["Sent", "Responded"]) {
            let key = format!("{}{}", campaign.short(), label.to_lowercase());
            let values = [
                ("CampaignAndLabel", Value::text(key)),
                ("CampaignId", Value::Id(campaign)),
                ("Label", Value::text(label)),
                ("SortOrder", Value::Number(f64::from(order))),
                ("IsDefault", Value::Bool(order == 1)),
                ("HasResponded", Value::Bool(order == 2)),
            ];
            self.plant(write.now, write.user, "CampaignMemberStatus", &values);
        }
    }

    /// A label is once in its campaign, which keeps a default and a responded status.
    pub(super) fn check_status(&self, object: ObjectIx, row: &mut Row) -> Result<(), Refusal> {
        let known = self.object(object);
        let fields = ["CampaignId", "Label", "SortOrder"].map(|name| known.field(name));
        let [Some(parent), Some(label), Some(order)] = fields else {
            return Ok(());
        };
        let (Some(Value::Id(campaign)), Some(Value::Text(text))) =
            (row.get(parent).cloned(), row.get(label).cloned())
        else {
            return Ok(());
        };
        if row.get(order).is_none() {
            let next = self.table(object).children(parent, campaign).len() + 1;
            row.set(order, Some(Value::Number(next as f64)));
        }
        let key = format!("{}{}", campaign.short(), text.to_lowercase());
        if let Some(ix) = known.hidden() {
            row.set(ix, Some(Value::text(key)));
        }
        for flag in ["IsDefault", "HasResponded"] {
            let Some(flag_ix) = known.field(flag) else {
                continue;
            };
            let was_last = self.is_last(object, parent, campaign, flag_ix, row.id);
            if was_last && row.get(flag_ix).is_none() {
                return Err(last_status(flag));
            }
        }
        Ok(())
    }

    /// Refuses to take away the only default or the only responded status.
    pub(super) fn check_status_goes(&self, object: ObjectIx, row: &Row) -> Result<(), Refusal> {
        let known = self.object(object);
        let Some((parent, Value::Id(campaign))) = known
            .field("CampaignId")
            .and_then(|ix| Some((ix, row.get(ix)?.clone())))
        else {
            return Ok(());
        };
        for flag in ["IsDefault", "HasResponded"] {
            if let Some(ix) = known.field(flag)
                && self.is_last(object, parent, campaign, ix, row.id)
            {
                return Err(last_status(flag));
            }
        }
        Ok(())
    }

    /// Whether this record alone has the flag among those of its campaign.
    fn is_last(
        &self,
        object: ObjectIx,
        parent: FieldIx,
        campaign: RecordId,
        flag: FieldIx,
        id: RecordId,
    ) -> bool {
        let table = self.table(object);
        let rows = table.children(parent, campaign);
        let mut holders = rows
            .iter()
            .map(|number| table.at(*number))
            .filter(|row| row.get(flag).is_some());
        matches!((holders.next(), holders.next()), (Some(only), None) if only.id == id)
    }

    /// There is one default: a new one takes the mark from the old.
    pub(super) fn after_status(&mut self, object: ObjectIx, id: RecordId) {
        let known = self.object(object);
        let (Some(parent), Some(default)) = (known.field("CampaignId"), known.field("IsDefault"))
        else {
            return;
        };
        let Some(row) = self.table(object).live(id) else {
            return;
        };
        let (Some(Value::Id(campaign)), true) = (row.get(parent), row.get(default).is_some())
        else {
            return;
        };
        for number in self.table(object).children(parent, *campaign) {
            let mut other = self.table(object).at(number).clone();
            if other.id != id && other.get(default).is_some() {
                other.set(default, None);
                self.replace(object, number, other);
            }
        }
    }

    /// The contact that a lead became takes over its memberships: each row keeps `LeadId` and gains
    /// `ContactId`. Where the contact is a member already, the row that is further on stays.
    pub(super) fn pass_members(&mut self, lead: RecordId, contact: RecordId, write: &Write) {
        let Some(object) = self.schema.find("CampaignMember") else {
            return;
        };
        let known = self.object(object);
        let fields = ["LeadId", "ContactId", "CampaignId"].map(|name| known.field(name));
        let [Some(lead_ix), Some(contact_ix), Some(campaign_ix)] = fields else {
            return;
        };
        for number in self.table(object).children(lead_ix, lead) {
            let mut row = self.table(object).at(number).clone();
            let Some(campaign) = row.get(campaign_ix).and_then(Value::as_id) else {
                continue;
            };
            self.drop_twin(object, contact_ix, contact, campaign, &mut row, write);
            row.set(contact_ix, Some(Value::Id(contact)));
            self.name_member(object, &mut row, campaign, contact);
            row.touch(write);
            self.replace(object, number, row);
        }
    }

    /// The winner of a merge takes over the loser's memberships; where both are members, one row
    /// stays.
    pub(super) fn move_members(
        &mut self,
        field: &str,
        loser: RecordId,
        winner: RecordId,
        write: &Write,
    ) {
        let Some(object) = self.schema.find("CampaignMember") else {
            return;
        };
        let known = self.object(object);
        let (Some(person_ix), Some(campaign_ix)) = (known.field(field), known.field("CampaignId"))
        else {
            return;
        };
        for number in self.table(object).children(person_ix, loser) {
            let mut row = self.table(object).at(number).clone();
            let Some(campaign) = row.get(campaign_ix).and_then(Value::as_id) else {
                continue;
            };
            self.drop_twin(object, person_ix, winner, campaign, &mut row, write);
            row.set(person_ix, Some(Value::Id(winner)));
            self.name_member(object, &mut row, campaign, winner);
            row.touch(write);
            self.replace(object, number, row);
        }
    }

    /// Deletes the row by which a person is in the campaign already; if that one has responded and
    /// `row` has not, its status lives on in `row`.
    fn drop_twin(
        &mut self,
        object: ObjectIx,
        person_ix: FieldIx,
        person: RecordId,
        campaign: RecordId,
        row: &mut Row,
        write: &Write,
    ) {
        let known = self.object(object);
        let Some(campaign_ix) = known.field("CampaignId") else {
            return;
        };
        let carried = ["Status", "HasResponded", "FirstRespondedDate"].map(|n| known.field(n));
        let responded = known.field("HasResponded");
        for number in self.table(object).children(person_ix, person) {
            let mut twin = self.table(object).at(number).clone();
            if twin.id == row.id || twin.get(campaign_ix).and_then(Value::as_id) != Some(campaign) {
                continue;
            }
            let has_responded = |row: &Row| responded.is_some_and(|ix| row.get(ix).is_some());
            if has_responded(&twin) && !has_responded(row) {
                for ix in carried.into_iter().flatten() {
                    row.set(ix, twin.get(ix).cloned());
                }
            }
            twin.deleted = true;
            twin.touch(write);
            self.replace(object, number, twin);
        }
    }
}

/// Each campaign has one default and one responded status (object reference,
/// CampaignMemberStatus).
fn last_status(flag: &str) -> Refusal {
    let which = if flag == "IsDefault" {
        "default"
    } else {
        "responded"
    };
    Refusal::field(
        "FIELD_INTEGRITY_EXCEPTION",
        format!("A campaign must have a {which} member status."),
        flag,
    )
}
