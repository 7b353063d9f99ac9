use jiff::civil::Date;
use serde::Deserialize;

use super::row::Row;
use super::state::{Org, day_of};
use super::write::{Write, converted};
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{FieldIx, Kind, ObjectIx, STAGES};
use crate::sandbox::value::Value;

/// How a lead is converted. The default makes an Account and a Contact, and no Opportunity.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conversion {
    /// An account to convert into; without it a new one is made.
    pub account: Option<String>,
    /// A contact of that account to convert into; without it a new one is made.
    pub contact: Option<String>,
    /// An opportunity of that account to convert into.
    pub opportunity: Option<String>,
    /// A status with `IsConverted`; without it the first of them.
    pub status: Option<String>,
    /// Makes an opportunity.
    pub with_opportunity: bool,
    /// Its name; without it the lead's company, with a dash behind it.
    pub opportunity_name: Option<String>,
    /// Puts the lead's source in the place of the contact's.
    pub overwrite_lead_source: bool,
    /// Who owns what is made; needed if a queue owns the lead.
    pub owner: Option<String>,
}

/// What a lead has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converted {
    /// The account.
    pub account: RecordId,
    /// The contact.
    pub contact: RecordId,
    /// The opportunity, if one was asked for.
    pub opportunity: Option<RecordId>,
}

/// Which standard fields of a lead go where (Salesforce Help, "Lead Conversion Field Mapping").
const TO_CONTACT: [(&str, &str); 18] = [
    ("LastName", "LastName"),
    ("FirstName", "FirstName"),
    ("Salutation", "Salutation"),
    ("MiddleName", "MiddleName"),
    ("Suffix", "Suffix"),
    ("Title", "Title"),
    ("Email", "Email"),
    ("Phone", "Phone"),
    ("MobilePhone", "MobilePhone"),
    ("Fax", "Fax"),
    ("LeadSource", "LeadSource"),
    ("Description", "Description"),
    ("Street", "MailingStreet"),
    ("City", "MailingCity"),
    ("State", "MailingState"),
    ("PostalCode", "MailingPostalCode"),
    ("Country", "MailingCountry"),
    ("DoNotCall", "DoNotCall"),
];

const OPT_OUTS: [(&str, &str); 2] = [
    ("HasOptedOutOfEmail", "HasOptedOutOfEmail"),
    ("HasOptedOutOfFax", "HasOptedOutOfFax"),
];

const TO_ACCOUNT: [(&str, &str); 12] = [
    ("Company", "Name"),
    ("Phone", "Phone"),
    ("Fax", "Fax"),
    ("Website", "Website"),
    ("Industry", "Industry"),
    ("AnnualRevenue", "AnnualRevenue"),
    ("NumberOfEmployees", "NumberOfEmployees"),
    ("LeadSource", "AccountSource"),
    ("Street", "BillingStreet"),
    ("City", "BillingCity"),
    ("State", "BillingState"),
    ("Country", "BillingCountry"),
];

const TO_OPPORTUNITY: [(&str, &str); 1] = [("LeadSource", "LeadSource")];

impl Org {
    /// Makes an account, a contact and perhaps an opportunity of a lead, or fills in what is blank
    /// in those that are named, and closes the lead. Either all of it happens or nothing.
    pub(in crate::sandbox) fn convert(
        &mut self,
        lead: RecordId,
        how: &Conversion,
        write: &Write,
    ) -> Result<Converted, Refusals> {
        let mark = self.mark();
        let done = self.convert_all(lead, how, write);
        if done.is_ok() {
            self.keep(mark);
        } else {
            self.take_back(mark);
        }
        done
    }

    fn convert_all(
        &mut self,
        lead: RecordId,
        how: &Conversion,
        write: &Write,
    ) -> Result<Converted, Refusals> {
        let leads = self.schema.find("Lead").ok_or_else(Refusal::not_found)?;
        let (number, mut row) = self.find_for_write(leads, lead)?;
        if self.is_converted(leads, &row) {
            return Err(converted().into());
        }
        let status = self.converted_status(how.status.as_deref())?;
        let owner = self.new_owner(leads, &row, how.owner.as_deref())?;
        let account = self.target("Account", "Account", how.account.as_deref())?;
        let contact = self.target("Contact", "Contact", how.contact.as_deref())?;
        let opportunity = self.target("Opportunity", "Opportunity", how.opportunity.as_deref())?;
        for target in [contact, opportunity].into_iter().flatten() {
            self.check_belongs(target, account)?;
        }

        let account = match account {
            Some(account) => account,
            None => self.blank("Account", owner, write)?,
        };
        self.carry("Account", account, &row, &TO_ACCOUNT, write)?;
        let is_new = contact.is_none();
        let contact = match contact {
            Some(contact) => contact,
            None => self.blank("Contact", owner, write)?,
        };
        let to_contact: Vec<_> = TO_CONTACT.into_iter().chain(OPT_OUTS).collect();
        if is_new {
            self.put("Contact", contact, &[("AccountId", Value::Id(account))]);
        }
        self.carry("Contact", contact, &row, &to_contact, write)?;
        if how.overwrite_lead_source
            && let Some(source) = self.stored(leads, &row, "LeadSource")
        {
            self.put("Contact", contact, &[("LeadSource", source)]);
        }
        let wants_one = how.with_opportunity || opportunity.is_some();
        let opportunity = match opportunity {
            None if wants_one => {
                Some(self.open_opportunity(leads, &row, how, account, owner, write)?)
            }
            known => known,
        };
        if let Some(opportunity) = opportunity {
            self.carry("Opportunity", opportunity, &row, &TO_OPPORTUNITY, write)?;
        }

        let known = self.object(leads);
        let changes = [
            ("IsConverted", Some(Value::Bool(true))),
            ("Status", Some(Value::text(status))),
            ("ConvertedAccountId", Some(Value::Id(account))),
            ("ConvertedContactId", Some(Value::Id(contact))),
            ("ConvertedOpportunityId", opportunity.map(Value::Id)),
            ("ConvertedDate", day_of(write.now).map(Value::Date)),
            ("IsUnreadByOwner", None),
        ];
        for (name, value) in changes {
            if let Some(ix) = known.field(name) {
                row.set(ix, value);
            }
        }
        row.touch(write);
        self.replace(leads, number, row);
        self.note_history(lead, &[("leadConverted", None, None)], write);
        self.pass_members(lead, contact, write);
        self.pass_tasks(lead, contact, opportunity, write);
        Ok(Converted {
            account,
            contact,
            opportunity,
        })
    }

    fn converted_status(&self, wanted: Option<&str>) -> Result<String, Refusal> {
        let invalid = |status: &str| {
            Refusal::row(
                "INVALID_STATUS",
                format!("invalid convertedStatus: {status}"),
            )
        };
        let statuses = self.schema.find("LeadStatus");
        let statuses = statuses.ok_or_else(|| invalid(wanted.unwrap_or_default()))?;
        let known = self.object(statuses);
        let (label, is_converted) = (known.field("MasterLabel"), known.field("IsConverted"));
        let rows = self.table(statuses).rows().iter();
        let mut labels = rows
            .filter(|row| is_converted.is_some_and(|ix| row.get(ix).is_some()))
            .filter_map(|row| row.get(label?)?.as_text());
        let found = match wanted {
            None => labels.next(),
            Some(wanted) => labels.find(|label| label.eq_ignore_ascii_case(wanted)),
        };
        found
            .map(str::to_owned)
            .ok_or_else(|| invalid(wanted.unwrap_or_default()))
    }

    /// Who owns what is made: the one who is named, or the lead's owner, who must be a user.
    fn new_owner(
        &self,
        leads: ObjectIx,
        lead: &Row,
        named: Option<&str>,
    ) -> Result<RecordId, Refusal> {
        let owner = match named {
            Some(named) => Some(RecordId::parse(named).ok_or_else(|| bad_id("Owner", named))?),
            None => self
                .stored(leads, lead, "OwnerId")
                .and_then(|owner| owner.as_id()),
        };
        let owner = owner
            .filter(|owner| self.is_of("User", *owner))
            .ok_or_else(|| {
                Refusal::row(
                    "UNKNOWN_EXCEPTION",
                    "Converted objects can only be owned by users.  If the lead is not owned by a \
                     user, you must specify a user for the Owner field.",
                )
            })?;
        self.check_user(owner)?;
        Ok(owner)
    }

    /// The live record that a conversion names.
    fn target(
        &self,
        object: &str,
        label: &str,
        named: Option<&str>,
    ) -> Result<Option<RecordId>, Refusal> {
        let Some(named) = named else { return Ok(None) };
        let id = RecordId::parse(named).ok_or_else(|| bad_id(label, named))?;
        if !self.is_of(object, id) {
            return Err(bad_id(label, named));
        }
        if self.find(id).is_none() {
            return Err(Refusal::row(
                "INVALID_CROSS_REFERENCE_KEY",
                format!("invalid cross reference id: {named}"),
            ));
        }
        Ok(Some(id))
    }

    /// A contact or an opportunity is named together with its account.
    fn check_belongs(&self, target: RecordId, account: Option<RecordId>) -> Result<(), Refusal> {
        let Some(account) = account else {
            return Err(Refusal::row(
                "REQUIRED_FIELD_MISSING",
                "accountId is required if contactId or opportunityId is specified",
            ));
        };
        let own = self.find(target).and_then(|(object, row)| {
            let ix = self.object(object).field("AccountId")?;
            row.get(ix)?.as_id()
        });
        if own == Some(account) {
            Ok(())
        } else {
            Err(Refusal::row(
                "INVALID_CROSS_REFERENCE_KEY",
                format!("{target} does not belong to account {account}"),
            ))
        }
    }

    /// A new record with nothing but its owner and its defaults.
    fn blank(&mut self, object: &str, owner: RecordId, write: &Write) -> Result<RecordId, Refusal> {
        let object = self.schema.find(object).ok_or_else(Refusal::not_found)?;
        let mut row = self.new_row(object, write);
        if let Some(ix) = self.object(object).field("OwnerId") {
            row.set(ix, Some(Value::Id(owner)));
        }
        Ok(self.push(object, row))
    }

    fn open_opportunity(
        &mut self,
        leads: ObjectIx,
        lead: &Row,
        how: &Conversion,
        account: RecordId,
        owner: RecordId,
        write: &Write,
    ) -> Result<RecordId, Refusal> {
        let id = self.blank("Opportunity", owner, write)?;
        let company = self.stored(leads, lead, "Company");
        let company = company
            .as_ref()
            .and_then(Value::as_text)
            .unwrap_or_default();
        let name = how
            .opportunity_name
            .clone()
            .unwrap_or_else(|| format!("{company}-"));
        let mut values = vec![
            ("Name", Value::text(name)),
            ("AccountId", Value::Id(account)),
            ("StageName", Value::text(STAGES[0].name)),
            (
                "Probability",
                Value::Number(f64::from(STAGES[0].probability)),
            ),
            ("ForecastCategoryName", Value::text(STAGES[0].forecast)),
        ];
        if let Some(day) = day_of(write.now).and_then(end_of_quarter) {
            values.push(("CloseDate", Value::Date(day)));
        }
        self.put("Opportunity", id, &values);
        Ok(id)
    }

    /// Fills what is blank in a record with what the lead has: standard fields by the list, custom
    /// ones by their name, as an admin maps them. What does not fit fails the conversion.
    fn carry(
        &mut self,
        object: &str,
        id: RecordId,
        lead: &Row,
        standard: &[(&str, &str)],
        write: &Write,
    ) -> Result<(), Refusals> {
        let (Some(leads), Some(object)) = (self.schema.find("Lead"), self.schema.find(object))
        else {
            return Ok(());
        };
        let Some(number) = self.table(object).number(id) else {
            return Ok(());
        };
        let mut row = self.table(object).at(number).clone();
        let from = self.object(leads);
        let to = self.object(object);
        let named = standard
            .iter()
            .map(|(from_name, to_name)| ((*from_name).to_owned(), (*to_name).to_owned()));
        let custom = from
            .visible()
            .filter(|(_, field)| field.is_custom())
            .map(|(_, field)| (field.name.to_string(), field.name.to_string()));
        let mut changed = false;
        for (from_name, to_name) in named.chain(custom) {
            let pair: Option<(FieldIx, FieldIx)> = from.field(&from_name).zip(to.field(&to_name));
            let Some((source, target)) = pair else {
                continue;
            };
            let Some(value) = lead.get(source) else {
                continue;
            };
            if row.get(target).is_some() {
                continue;
            }
            let field = to.at(target);
            if let (Value::Text(text), length @ 1..) = (value, field.kind.length())
                && text.chars().count() > length as usize
            {
                let message = format!(
                    "{}: data value too large: {text} (max length={length})",
                    field.label
                );
                return Err(Refusal::field("STRING_TOO_LONG", message, &field.name).into());
            }
            if let Kind::Reference { to, .. } = &field.kind
                && !value
                    .as_id()
                    .and_then(|id| self.schema.by_prefix(id.prefix()))
                    .is_some_and(|target| to.contains(&self.object(target).name))
            {
                continue;
            }
            row.set(target, Some(value.clone()));
            changed = true;
        }
        // As with "Require Validation for Converted Leads", which newer orgs have on.
        self.check_required(object, &row)?;
        self.validate(object, &row)?;
        self.check_unique(object, &row, write)?;
        if changed {
            row.touch(write);
        }
        self.replace(object, number, row);
        Ok(())
    }

    fn stored(&self, object: ObjectIx, row: &Row, name: &str) -> Option<Value> {
        row.get(self.object(object).field(name)?).cloned()
    }

    /// Sets fields past all rules.
    fn put(&mut self, object: &str, id: RecordId, values: &[(&str, Value)]) {
        let Some(object) = self.schema.find(object) else {
            return;
        };
        let Some(number) = self.table(object).number(id) else {
            return;
        };
        let mut row = self.table(object).at(number).clone();
        for (name, value) in values {
            if let Some(ix) = self.object(object).field(name) {
                row.set(ix, Some(value.clone()));
            }
        }
        self.replace(object, number, row);
    }

    /// The lead's tasks become the contact's, about the opportunity if there is one.
    fn pass_tasks(
        &mut self,
        lead: RecordId,
        contact: RecordId,
        opportunity: Option<RecordId>,
        write: &Write,
    ) {
        let Some(tasks) = self.schema.find("Task") else {
            return;
        };
        let (Some(who), Some(what)) = (
            self.object(tasks).field("WhoId"),
            self.object(tasks).field("WhatId"),
        ) else {
            return;
        };
        for number in self.table(tasks).children(who, lead) {
            let mut row = self.table(tasks).at(number).clone();
            row.set(who, Some(Value::Id(contact)));
            if let Some(opportunity) = opportunity {
                row.set(what, Some(Value::Id(opportunity)));
            }
            row.touch(write);
            self.replace(tasks, number, row);
        }
    }
}

fn bad_id(label: &str, text: &str) -> Refusal {
    Refusal::row(
        "MALFORMED_ID",
        format!("{label} ID: id value of incorrect type: {text}"),
    )
}

/// The close date of an opportunity that a conversion makes.
fn end_of_quarter(day: Date) -> Option<Date> {
    let last_month = (day.month() - 1) / 3 * 3 + 3;
    let first = Date::new(day.year(), last_month, 1).ok()?;
    Some(first.last_of_month())
}
