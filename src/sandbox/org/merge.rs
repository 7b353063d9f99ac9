use super::row::Row;
use super::state::Org;
use super::write::{Write, converted};
use crate::sandbox::draft::Draft;
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::ObjectIx;
use crate::sandbox::value::Value;

/// Children that go with a record into the recycle bin and come back with it.
const CHILDREN: [(&str, &str); 8] = [
    ("CampaignMember", "LeadId"),
    ("CampaignMember", "ContactId"),
    ("CampaignMember", "CampaignId"),
    ("CampaignMemberStatus", "CampaignId"),
    ("Contact", "AccountId"),
    ("Opportunity", "AccountId"),
    ("Task", "WhoId"),
    ("Task", "WhatId"),
];

impl Org {
    /// Merges a record into another of its object, as a person does it: the loser goes to the
    /// recycle bin with the winner as its `MasterRecordId`; its members, tasks, contacts and
    /// opportunities become the winner's. `chosen` is what the person took over for the winner.
    pub(in crate::sandbox) fn merge(
        &mut self,
        object: ObjectIx,
        winner: RecordId,
        loser: RecordId,
        chosen: Draft,
        write: &Write,
    ) -> Result<(), Refusals> {
        let mark = self.mark();
        let done = self.merge_all(object, winner, loser, chosen, write);
        if done.is_ok() {
            self.keep(mark);
        } else {
            self.take_back(mark);
        }
        done
    }

    fn merge_all(
        &mut self,
        object: ObjectIx,
        winner: RecordId,
        loser: RecordId,
        chosen: Draft,
        write: &Write,
    ) -> Result<(), Refusals> {
        let name = self.object(object).name;
        let master = self.object(object).field("MasterRecordId");
        let (Some(master), false) = (master, winner == loser) else {
            return Err(Refusal::row(
                "INVALID_OPERATION",
                format!("{loser} cannot be merged into {winner}"),
            )
            .into());
        };
        let (_, kept) = self.find_for_write(object, winner)?;
        let (number, mut gone) = self.find_for_write(object, loser)?;
        if self.is_converted(object, &kept) || self.is_converted(object, &gone) {
            return Err(converted().into());
        }
        match name {
            "Lead" => self.move_members("LeadId", loser, winner, write),
            "Contact" => self.move_members("ContactId", loser, winner, write),
            _ => {}
        }
        for (child, field) in [
            ("Task", "WhoId"),
            ("Task", "WhatId"),
            ("Contact", "AccountId"),
            ("Opportunity", "AccountId"),
        ] {
            self.move_children(child, field, loser, winner, write);
        }
        gone.set(master, Some(Value::Id(winner)));
        gone.deleted = true;
        gone.touch(write);
        self.replace(object, number, gone);
        // Now that the loser's unique values are free, the winner may take them.
        self.update(object, winner, chosen, write)
    }

    fn move_children(
        &mut self,
        object: &str,
        field: &str,
        from: RecordId,
        to: RecordId,
        write: &Write,
    ) {
        let Some(object) = self.schema.find(object) else {
            return;
        };
        let Some(ix) = self.object(object).field(field) else {
            return;
        };
        for number in self.table(object).children(ix, from) {
            let mut row = self.table(object).at(number).clone();
            row.set(ix, Some(Value::Id(to)));
            row.touch(write);
            self.replace(object, number, row);
        }
    }

    /// Puts a record into the recycle bin, and what belongs to it.
    pub(in crate::sandbox) fn delete(
        &mut self,
        object: ObjectIx,
        id: RecordId,
        write: &Write,
    ) -> Result<(), Refusals> {
        self.check_object(object, write)?;
        let (number, row) = self.find_for_write(object, id)?;
        if self.object(object).name == "CampaignMemberStatus" {
            self.check_status_goes(object, &row)?;
        }
        self.bin(object, number, row, None, write);
        if self.object(object).name == "FieldPermissions" {
            self.apply_permissions(write.now);
        }
        Ok(())
    }

    fn bin(
        &mut self,
        object: ObjectIx,
        number: u32,
        mut row: Row,
        with: Option<RecordId>,
        write: &Write,
    ) {
        let id = row.id;
        row.deleted = true;
        row.went_with = with;
        row.touch(write);
        self.replace(object, number, row);
        for (child, field) in CHILDREN {
            let Some(child) = self.schema.find(child) else {
                continue;
            };
            let Some(ix) = self.object(child).field(field) else {
                continue;
            };
            for number in self.table(child).children(ix, id) {
                let row = self.table(child).at(number).clone();
                self.bin(child, number, row, Some(with.unwrap_or(id)), write);
            }
        }
    }

    /// Takes a record out of the recycle bin, and what went with it: the same ids are back.
    pub(in crate::sandbox) fn undelete(
        &mut self,
        object: ObjectIx,
        id: RecordId,
        write: &Write,
    ) -> Result<(), Refusals> {
        let number = self
            .table(object)
            .number(id)
            .ok_or_else(Refusal::not_found)?;
        let mut row = self.table(object).at(number).clone();
        if !row.deleted {
            return Err(Refusal::row("UNDELETE_FAILED", "Entity is not in the recycle bin").into());
        }
        row.deleted = false;
        row.went_with = None;
        if let Some(ix) = self.object(object).field("MasterRecordId") {
            row.set(ix, None);
        }
        row.touch(write);
        self.check_unique(object, &row, write)?;
        self.replace(object, number, row);
        for child in 0..self.schema.objects.len() {
            for number in 0..self.table(child).rows().len() as u32 {
                if self.table(child).at(number).went_with != Some(id) {
                    continue;
                }
                let mut row = self.table(child).at(number).clone();
                row.deleted = false;
                row.went_with = None;
                row.touch(write);
                self.replace(child, number, row);
            }
        }
        Ok(())
    }
}
