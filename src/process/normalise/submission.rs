use std::borrow::Cow;
use std::time::Duration;

use super::attribution;
use super::context::NormaliseContext;
use super::draft::Draft;
use super::keys::match_keys;
use super::name::{self, Hints};
use super::place::{self, Country};
use super::text::{self, Lines};
use super::{company, consent, email, language, phone, placeholder, website};
use crate::model::{Event, Extracted, Millis, Submission, Verdict, field};

/// A normalised submission, and whether it is a lead at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalised {
    /// The data.
    pub submission: Submission,
    /// What the connector said, unless the data shows a genuine submission to be a test.
    pub verdict: Verdict,
}

/// Fields in which a word such as `n/a` or `unknown` is no answer. Elsewhere it may be one: a
/// picklist's value, a form's own question.
const NO_ANSWER_IN: &[&str] = &[
    "email",
    "phone",
    "mobile",
    "fax",
    "salutation",
    "company",
    "title",
    "website",
    "street",
    "city",
    "state",
    "postal_code",
    "country",
    "country_code",
    "state_code",
    "message",
];

/// Fields of text in lines.
const WITH_LINES: &[&str] = &["street", "message", "notes"];

/// Fields that may hold several values, or tell them apart by themselves.
const MAY_REPEAT: &[&str] = &[
    "email",
    "phone",
    "mobile",
    "fax",
    "consent",
    "email_opt_out",
    "fax_opt_out",
    "do_not_call",
    "street",
    "message",
    "notes",
];

/// Limits of what is kept beside the standard fields.
const MAX_OTHER_FIELDS: usize = 200;
const MAX_OTHER_CHARS: usize = 32_000;
const MAX_ALL_OTHER_BYTES: usize = 256 * 1024;
const MAX_FIELD_NAME_CHARS: usize = 100;

/// How far ahead of ours a sender's clock may be.
const MAX_AHEAD: Duration = Duration::from_secs(5 * 60);

/// Normalises what a connector found in `event`.
pub fn normalise(event: &Event, extracted: Extracted, context: &NormaliseContext) -> Normalised {
    let mut draft = Draft::default();
    clean_all(&mut draft, extracted.fields, context);
    drop_blanks(&mut draft);
    name::move_emails(&mut draft);
    place::normalise(&mut draft, context.default_country);
    language::normalise(&mut draft, event.meta.accept_language.as_deref());
    email::normalise(&mut draft);
    let country = draft
        .get("country_code")
        .and_then(Country::from_code)
        .or(context.default_country);
    phone::normalise(&mut draft, country);
    let hints = Hints {
        country,
        language: draft
            .get("language")
            .and_then(|tag| tag.split('-').next())
            .map(str::to_owned),
    };
    name::normalise(&mut draft, &hints);
    drop_placeholder(&mut draft, "company");
    company::normalise(&mut draft);
    website::normalise(&mut draft);
    consent::normalise(&mut draft);
    draft.set_if_blank(
        "lead_source",
        context.lead_source.as_deref().unwrap_or_default(),
    );
    draft.set_if_blank("campaign", context.campaign.as_deref().unwrap_or_default());
    let at = moment(&mut draft, extracted.at, event.received_at);
    Normalised {
        verdict: judge(extracted.verdict, &draft),
        submission: Submission {
            event: event.id,
            ordinal: extracted.ordinal,
            source: event.source.clone(),
            at,
            vendor_id: extracted.vendor_id,
            attribution: attribution::normalise(extracted.attribution, context),
            keys: match_keys(&draft.fields, &draft.notes),
            fields: draft.fields,
            notes: draft.notes,
        },
    }
}

/// The rules for all text, then the source's own replacements. The names of other fields are text,
/// too.
fn clean_all(
    draft: &mut Draft,
    raw: std::collections::BTreeMap<String, String>,
    context: &NormaliseContext,
) {
    let (mut others, mut bytes) = (0, 0);
    for (sent_name, sent) in raw {
        let cleaned_name = text::clean(&sent_name, MAX_FIELD_NAME_CHARS, Lines::Join);
        if cleaned_name.cut || text::is_blank(&cleaned_name.text) {
            draft.note(
                "fields.name",
                "",
                "a field whose name is blank or longer than 100 characters was left out",
            );
            continue;
        }
        let name = cleaned_name.text.as_ref();
        let standard = field::find(name).is_some() || place::CODES.contains(&name);
        let (limit, lines) = limits(name, standard);
        let mut value = text::clean(&sent, limit, lines);
        // One of several values may be decodable where all of them were not.
        while standard && !MAY_REPEAT.contains(&name) {
            let once = text::said_once(&value.text);
            if once.len() == value.text.len() {
                break;
            }
            value.text = text::clean(once, limit, lines).text.into_owned().into();
        }
        if text::is_blank(&value.text) || draft.get(name).is_some() {
            continue;
        }
        if !standard {
            others += 1;
            bytes += value.text.len();
            if others > MAX_OTHER_FIELDS || bytes > MAX_ALL_OTHER_BYTES {
                draft.note("fields.too_many", "", "more than 200 fields, or 256 KiB, beside the standard ones: the rest was left out; the event has them all");
                continue;
            }
        }
        if value.encoding_repaired {
            draft.note(
                "text.encoding",
                name,
                "the text had been encoded twice; undone",
            );
        }
        if value.cut {
            let message = format!("the text was longer than {limit} characters; cut");
            draft.note("text.cut", name, &message);
        }
        let value = match (context.replace(name, &value.text), value.text) {
            (Some(replacement), _) => replacement,
            (None, Cow::Owned(altered)) => altered,
            (None, Cow::Borrowed(_)) => sent,
        };
        let name = match cleaned_name.text {
            Cow::Owned(altered) => altered,
            Cow::Borrowed(_) => sent_name,
        };
        draft.set_owned(name, value);
    }
}

/// How much of a field is kept, in characters, and whether its lines are.
fn limits(name: &str, standard: bool) -> (usize, Lines) {
    let limit = match name {
        "email" => 320,
        "full_name" | "first_name" | "last_name" | "salutation" => name::MAX_CHARS,
        "phone" | "mobile" | "fax" => 64,
        "message" | "notes" => 32_000,
        "street" | "website" | "consent" => 1_000,
        _ if standard => 300,
        _ => MAX_OTHER_CHARS,
    };
    let lines = if !standard || WITH_LINES.contains(&name) {
        Lines::Keep
    } else {
        Lines::Join
    };
    (limit, lines)
}

/// Templates that nobody filled in are blank everywhere, words without an answer where an answer
/// was asked for. Names and the company wait until they can be seen together.
fn drop_blanks(draft: &mut Draft) {
    let templates: Vec<String> = draft
        .fields
        .iter()
        .filter(|(_, value)| placeholder::is_template(value))
        .map(|(name, _)| name.clone())
        .collect();
    for name in templates {
        draft.take(&name);
        draft.note(
            "value.template",
            &name,
            "the value is a template that was not filled in; taken as blank",
        );
    }
    for name in NO_ANSWER_IN.iter().filter(|name| **name != "company") {
        drop_placeholder(draft, name);
    }
}

fn drop_placeholder(draft: &mut Draft, name: &str) {
    let Some(value) = draft.get(name) else {
        return;
    };
    // A message of signs only (👍) is one.
    let signs_only = !value.chars().any(char::is_alphanumeric) && !value.is_ascii();
    if placeholder::is_placeholder(value) && !(name == "message" && signs_only) {
        draft.take(name);
        draft.note(
            "value.placeholder",
            name,
            "the value stands in place of an answer; taken as blank",
        );
    }
}

/// When the person sent it: by the payload, unless that lies in our future.
fn moment(draft: &mut Draft, said: Option<Millis>, received: Millis) -> Millis {
    match said {
        Some(said) if said > received.after(MAX_AHEAD) => {
            draft.note("time.future", "", "the payload's time is more than five minutes ahead of ours; the time of receipt counts");
            received
        }
        Some(said) => said,
        None => received,
    }
}

/// A submission whose only contact is made up was sent to try the form out.
fn judge(verdict: Verdict, draft: &Draft) -> Verdict {
    let can_be_called = ["phone", "mobile"]
        .iter()
        .filter_map(|field| draft.get(field))
        .any(phone::can_be_dialled);
    if verdict == Verdict::Genuine
        && draft.placeholder_contact
        && draft.get("email").is_none()
        && !can_be_called
    {
        return Verdict::Test(
            "the only e-mail or phone is made up (such as test@test.com)".to_owned(),
        );
    }
    verdict
}
