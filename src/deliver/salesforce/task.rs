//! Tells the owner of a Contact that the person came back, by a Task.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::look::text;
use super::send::{Blame, Sender};
use crate::model::{Millis, Note};
use crate::salesforce::{
    CallError, Class, Explanation, Map, RowResult, WriteHeaders, quote, to_18,
};

const TASK: &str = "Task";

/// The most characters of a subject. Source: Salesforce object reference, Task.
const MOST_SUBJECT_CHARS: usize = 255;

/// An owner to be told.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    /// Whose, among the leads of the call.
    pub index: usize,
    /// The Contact.
    pub contact: String,
    /// Its owner.
    pub owner: Option<String>,
    /// What the Task says.
    pub subject: String,
    /// When it was decided: a Task that is older is another one.
    pub since: Millis,
    /// It may have been made already.
    pub unsure: bool,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Told {
    /// The Task was made.
    Made,
    /// It was there.
    Already,
    /// The org does not take it; the person is in Salesforce all the same.
    Refused(Note),
    /// The way to it failed.
    Failed {
        why: Explanation,
        unsure: bool,
        blame: Blame,
    },
}

/// The subject of a Task.
pub(super) fn subject(pattern: &str, source: &str, campaign: &str) -> String {
    let subject = pattern
        .replace("{source}", source)
        .replace("{campaign}", campaign);
    subject.chars().take(MOST_SUBJECT_CHARS).collect()
}

/// Makes the Tasks. Salesforce knows no key of them: whoever may have got theirs is looked for first.
pub(super) async fn tell(sender: &Sender<'_>, telling: Vec<Telling>) -> Vec<(usize, Told)> {
    if telling.is_empty() {
        return Vec::new();
    }
    let mut told = Vec::new();
    let there = match already(sender, &telling).await {
        Ok(there) => there,
        Err(error) => {
            return telling
                .iter()
                .map(|one| (one.index, failed(&error, one.unsure)))
                .collect();
        }
    };
    let (done, new): (Vec<Telling>, Vec<Telling>) = telling
        .into_iter()
        .partition(|one| there.contains(&(one.contact.clone(), one.subject.clone())));
    told.extend(done.iter().map(|one| (one.index, Told::Already)));
    if new.is_empty() {
        return told;
    }
    if !(sender.may_write)().await {
        told.extend(new.iter().map(|one| (one.index, taken_over())));
        return told;
    }
    let today = sender.now.to_string();
    let records: Vec<(&str, Map)> = new
        .iter()
        .map(|one| {
            let mut task = Map::new();
            task.insert("WhoId".to_owned(), json!(one.contact));
            task.insert("Subject".to_owned(), json!(one.subject));
            task.insert("ActivityDate".to_owned(), json!(today.get(..10)));
            if let Some(owner) = &one.owner {
                task.insert("OwnerId".to_owned(), json!(owner));
            }
            (TASK, task)
        })
        .collect();
    let headers = WriteHeaders {
        request_id: Some(sender.request_id.to_owned()),
        ..WriteHeaders::default()
    };
    match sender.client.create_collection(&records, &headers).await {
        Ok(results) => {
            for (one, result) in new.iter().zip(results) {
                told.push((one.index, outcome(result)));
            }
        }
        Err(error) => {
            let unsure = error.maybe_carried_out();
            told.extend(new.iter().map(|one| (one.index, failed(&error, unsure))));
        }
    }
    told
}

/// The Tasks that are there already, of those who may have got theirs: Contact and subject.
async fn already(
    sender: &Sender<'_>,
    telling: &[Telling],
) -> Result<HashSet<(String, String)>, CallError> {
    let unsure: Vec<&Telling> = telling.iter().filter(|one| one.unsure).collect();
    let Some(since) = unsure.iter().map(|one| one.since).min() else {
        return Ok(HashSet::new());
    };
    let list = |values: Vec<&String>| {
        let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
        values.join(",")
    };
    let soql = format!(
        "SELECT Id,WhoId,Subject FROM {TASK} WHERE WhoId IN ({}) AND CreatedDate >= {}",
        list(unsure.iter().map(|one| &one.contact).collect()),
        // Salesforce keeps whole seconds.
        Millis(since.0 - since.0.rem_euclid(1000)),
    );
    let rows = sender.client.query(&soql, 10_000).await?.rows;
    let key = |row: &Map| {
        let contact = text(row, "WhoId").and_then(to_18)?;
        Some((contact, text(row, "Subject")?.to_owned()))
    };
    Ok(rows.iter().filter_map(key).collect())
}

fn outcome(result: RowResult) -> Told {
    let RowResult::Refused(errors) = result else {
        return Told::Made;
    };
    let why = Explanation::of(200, &errors);
    if matches!(
        why.class,
        Class::RetrySoon | Class::RetryLater | Class::HoldAll
    ) {
        return Told::Failed {
            why,
            unsure: true,
            blame: Blame::Lead,
        };
    }
    let codes: Vec<Value> = errors.iter().map(|error| json!(error.code)).collect();
    Told::Refused(Note {
        code: "salesforce.task_refused".to_owned(),
        field: "contact_task".to_owned(),
        message: format!(
            "the owner was not told by a Task: Salesforce refused it ({})",
            codes
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    })
}

fn failed(error: &CallError, unsure: bool) -> Told {
    Told::Failed {
        why: error.explain(),
        unsure,
        blame: Blame::of(error),
    }
}

fn taken_over() -> Told {
    Told::Failed {
        why: Explanation {
            class: Class::RetrySoon,
            about: Vec::new(),
            code: "salesforce.unanswered".to_owned(),
            message: "it was not sent".to_owned(),
            hint: "it is tried again by itself".to_owned(),
        },
        unsure: true,
        blame: Blame::Nobody,
    }
}
