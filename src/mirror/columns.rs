//! Which fields are read of each object: those that the integration user may see.

/// Without these there is nothing to tell.
const NEEDED: &str =
    "Id,LastName,Email,OwnerId,IsDeleted,MasterRecordId,SystemModstamp,LastModifiedById";

/// What a user may be kept from seeing: orgs hide opt-outs, and a Contact may have no key of ours.
/// Source: REST API guide, a field without field-level security is as one that does not exist.
const WANTED: [&str; 6] = [
    "FirstName",
    "Phone",
    "MobilePhone",
    "HasOptedOutOfEmail",
    "HasOptedOutOfFax",
    "DoNotCall",
];

/// The fields of the two objects.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    lead: Vec<String>,
    contact: Vec<String>,
}

impl Columns {
    pub(super) fn new(external_id_field: &str) -> Self {
        let of = |own: &[&str]| {
            let all = NEEDED.split(',').chain(WANTED).chain(own.iter().copied());
            let mut all: Vec<String> = all.map(str::to_owned).collect();
            all.push(external_id_field.to_owned());
            all
        };
        Self {
            lead: of(&["Status", "IsConverted", "ConvertedContactId", "Country"]),
            contact: of(&["MailingCountry"]),
        }
    }

    fn of(&mut self, object: &str) -> &mut Vec<String> {
        if object == "Contact" {
            &mut self.contact
        } else {
            &mut self.lead
        }
    }

    /// The fields of `object`, for a query.
    pub(super) fn list(&mut self, object: &str) -> String {
        self.of(object).join(",")
    }

    /// Leaves out the field that `message` names, if there is one that can be left out.
    pub(super) fn leave_out(&mut self, object: &str, message: &str) -> bool {
        let fields = self.of(object);
        let before = fields.len();
        // "No such column 'X' on …"
        let named = message
            .split_once("No such column '")
            .and_then(|(_, rest)| rest.split_once('\''))
            .map(|(name, _)| name);
        if let Some(named) = named {
            fields.retain(|field| {
                !field.eq_ignore_ascii_case(named) || NEEDED.split(',').any(|name| name == field)
            });
        }
        fields.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_field_is_left_out_and_one_that_is_needed_is_not() {
        let mut columns = Columns::new("Leadstream_Id__c");
        let hidden = |name: &str| {
            format!("\nERROR at Row:1:Column:12\nNo such column '{name}' on entity 'Contact'.")
        };
        assert!(columns.list("Contact").contains("HasOptedOutOfEmail"));
        assert!(columns.leave_out("Contact", &hidden("hasoptedoutofemail")));
        assert!(!columns.list("Contact").contains("HasOptedOutOfEmail"));
        assert!(columns.list("Lead").contains("HasOptedOutOfEmail"));
        assert!(columns.leave_out("Contact", &hidden("Leadstream_Id__c")));
        assert!(!columns.leave_out("Contact", &hidden("Email")));
        assert!(!columns.leave_out("Contact", "unexpected token"));
    }
}
