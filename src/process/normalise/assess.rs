use super::phone;
use crate::model::Submission;

/// Why a submission cannot become a lead, for people: it holds no value of the submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable reason code: `lead.no_contact`, `lead.invalid_email`.
    pub code: &'static str,
    /// What is wrong.
    pub message: &'static str,
    /// What to do.
    pub hint: String,
    /// The lead field to look at.
    pub field: &'static str,
}

/// Whether a submission can become a lead: there must be a way to reach the person.
///
/// A phone that could not be read counts if a person could dial it.
pub fn assess(submission: &Submission) -> Result<(), Problem> {
    let fields = &submission.fields;
    let can_be_called = ["phone", "mobile"]
        .iter()
        .filter_map(|field| fields.get(*field))
        .any(|number| phone::can_be_dialled(number));
    if fields.contains_key("email") || can_be_called {
        return Ok(());
    }
    let event = submission.event;
    if fields.contains_key("email_as_typed") {
        return Err(Problem {
            code: "lead.invalid_email",
            message: "the e-mail cannot be an address, and there is no phone number to reach the person by",
            hint: format!(
                "look at what the form sends as `email`; if it is another field that was meant, map it under [sources.{}.fields], then run `leadstream replay {event}`",
                submission.source
            ),
            field: "email",
        });
    }
    Err(Problem {
        code: "lead.no_contact",
        message: "there is neither an e-mail nor a phone number to reach the person by",
        hint: format!(
            "if the form does send one, say under which name: `email = {{ from = \"…\" }}` under [sources.{}.fields], then run `leadstream replay {event}`",
            submission.source
        ),
        field: "email",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, Millis, SourceName};

    fn check(fields: &[(&str, &str)], expect: Option<&str>) {
        let submission = Submission {
            event: EventId(7),
            ordinal: 0,
            source: SourceName::new("demo"),
            at: Millis(0),
            vendor_id: None,
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            attribution: std::collections::BTreeMap::new(),
            keys: Vec::new(),
            notes: Vec::new(),
        };
        let problem = assess(&submission).err();
        assert_eq!(
            problem.as_ref().map(|problem| problem.code),
            expect,
            "{fields:?}"
        );
        if let Some(problem) = problem {
            assert!(
                problem.hint.contains("leadstream replay 0000000000007"),
                "{}",
                problem.hint
            );
            for (_, value) in fields {
                assert!(!format!("{problem:?}").contains(value), "{value} is shown");
            }
        }
    }

    #[test]
    fn a_lead_needs_a_way_to_be_reached() {
        check(&[("email", "anna@acme.example")], None);
        check(&[("phone", "030 901820")], None);
        check(
            &[("mobile", "+491711234567"), ("email_as_typed", "anna(acme")],
            None,
        );
        check(
            &[("email_as_typed", "anna(acme")],
            Some("lead.invalid_email"),
        );
        check(
            &[("last_name", "Miller"), ("phone", "call me")],
            Some("lead.no_contact"),
        );
        check(&[], Some("lead.no_contact"));
    }
}
