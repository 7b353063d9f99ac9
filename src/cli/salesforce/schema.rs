//! `leadstream salesforce schema`: what the org's objects are made of, as it is known, what goes where,
//! and where the two do not fit together.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::{Exit, load, output};
use crate::config::{Config, WritePolicy};
use crate::deliver::salesforce::MappedField;
use crate::diagnostic::Severity;
use crate::edge::clock::SystemClock;
use crate::follow::drift::{Drift, Watched, held_by};
use crate::salesforce::{Describe, Field};
use crate::store::{Access, DescribeMark, OrgProblem, Store};
use crate::telemetry::Metrics;

/// Arguments of `salesforce schema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ask the org now, rather than show what the daemon has last read. A running daemon takes it over
    /// within a minute, and what was held for a cause that is over goes again.
    #[arg(long)]
    refresh: bool,
    /// Show all fields, not only those that are mapped.
    #[arg(long)]
    all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is known of one object.
struct Known {
    watched: Watched,
    object: Describe,
    mark: DescribeMark,
}

/// A problem, and how many leads are held by it.
struct Shown {
    problem: OrgProblem,
    held: u64,
}

/// Shows it; fails if anything stops leads.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let Some(config) = load(config_path).config else {
        return Exit::Failure;
    };
    let store = match Store::open(&config.store, Access::Command).await {
        Ok(store) => store,
        Err(error) => return failed(&error.to_string(), None),
    };
    let shown = show(args, &config, &store).await;
    store.close().await;
    match shown {
        Ok(exit) => exit,
        Err(error) => failed(&error.to_string(), None),
    }
}

fn failed(message: &str, hint: Option<&str>) -> Exit {
    output::error_line(&format!("error: {message}"));
    if let Some(hint) = hint {
        output::error_line(&format!("  = help: {hint}"));
    }
    Exit::Failure
}

async fn show(
    args: &Args,
    config: &Config,
    store: &Arc<Store>,
) -> Result<Exit, crate::store::StoreError> {
    let watched = Watched::all(config);
    if args.refresh
        && let Err(exit) = refresh(config, store, watched.clone()).await?
    {
        return Ok(exit);
    }
    let mut known = Vec::new();
    for mark in store.describe_marks().await? {
        let described = store.described(&mark.object).await?;
        let object = described.and_then(|json| serde_json::from_str(&json).ok());
        let watched = watched.iter().find(|watched| watched.object == mark.object);
        if let (Some(object), Some(watched)) = (object, watched) {
            known.push(Known {
                watched: watched.clone(),
                object,
                mark,
            });
        }
    }
    if known.is_empty() {
        let hint = "start the daemon, or ask the org now with --refresh";
        return Ok(failed("nothing is known of the org yet", Some(hint)));
    }
    let stored = store.org_problems().await?;
    let causes = store.dead_causes(None).await?;
    let problems: Vec<Shown> = problems(&known, stored)
        .into_iter()
        .map(|problem| Shown {
            held: held_by(&problem.about, &causes),
            problem,
        })
        .collect();
    if args.json {
        output::line(&to_json(&known, &problems, args.all).to_string());
    } else {
        output::line(&to_text(&known, &problems, args.all));
    }
    let stops = problems.iter().any(|shown| shown.problem.is_error);
    Ok(if stops { Exit::Failure } else { Exit::Success })
}

/// Asks the org now. Err if that failed and was said.
async fn refresh(
    config: &Config,
    store: &Arc<Store>,
    watched: Vec<Watched>,
) -> Result<Result<(), Exit>, crate::store::StoreError> {
    let (client, kept) = super::client(config).await;
    if let Err(error) = client.sign_in().await {
        return Ok(Err(failed(&error.to_string(), Some(&error.hint))));
    }
    let drift = Drift::new(
        Arc::clone(store),
        Arc::new(client),
        watched,
        Arc::new(SystemClock),
        Metrics::new(),
    );
    let looked = drift.refresh().await?;
    drop(drift);
    if let Some(kept) = kept {
        kept.close().await;
    }
    Ok(match looked {
        Some(Ok(looked)) => {
            if looked.released > 0 {
                let count = looked.released;
                output::error_line(&format!(
                    "{count} events that were held go again: what held them may be over"
                ));
            }
            Ok(())
        }
        Some(Err(error)) => {
            let why = error.explain();
            Err(failed(&why.message, Some(&why.hint)))
        }
        None => {
            output::error_line("another node is asking the org just now; this is what is known");
            Ok(())
        }
    })
}

/// What is wrong by the configuration as it is now, with what the store knows of each: since when, and
/// whether the org was changed.
fn problems(known: &[Known], stored: Vec<OrgProblem>) -> Vec<OrgProblem> {
    let mut all = Vec::new();
    for one in known {
        for problem in one.watched.check(&one.object) {
            let is_same =
                |stored: &&OrgProblem| stored.code == problem.code && stored.about == problem.about;
            all.push(match stored.iter().find(is_same) {
                Some(stored) => stored.clone(),
                None => OrgProblem {
                    object: one.object.name.clone(),
                    code: problem.code.to_owned(),
                    is_error: problem.severity == Severity::Error,
                    drifted: false,
                    about: problem.about,
                    message: problem.message,
                    hint: problem.hint,
                    since: one.mark.checked_at,
                },
            });
        }
    }
    let others = stored.into_iter();
    all.extend(others.filter(|stored| known.iter().all(|one| one.object.name != stored.object)));
    all
}

fn kind(field: &Field) -> String {
    let size = match field.r#type.as_str() {
        "int" if field.digits > 0 => field.digits.to_string(),
        "double" | "currency" | "percent" => format!("{},{}", field.precision, field.scale),
        _ if field.length > 0 && field.picklist_values.is_empty() => field.length.to_string(),
        _ => return field.r#type.clone(),
    };
    format!("{}({size})", field.r#type)
}

/// What is special about a field, in words.
fn marks(field: &Field) -> Vec<&'static str> {
    let mut marks = Vec::new();
    if field.is_computed() {
        marks.push("computed");
    } else if !field.createable && !field.updateable {
        marks.push("read-only");
    } else if !field.updateable {
        marks.push("set once");
    }
    if field.required() {
        marks.push("required");
    }
    if field.restricted_picklist {
        marks.push("restricted");
    }
    if field.external_id {
        marks.push("external id");
    }
    if field.unique {
        marks.push("unique");
    }
    marks
}

fn mapped<'a>(one: &'a Known, field: &Field) -> Option<&'a MappedField> {
    let mapped = one.watched.mapping.field(&field.name)?;
    (mapped.write != WritePolicy::Never).then_some(mapped)
}

fn word(value: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(value).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

fn to_text(known: &[Known], problems: &[Shown], all: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for one in known {
        let _ = writeln!(
            text,
            "{}: {} fields; asked {}, last changed {}",
            one.object.name,
            one.object.fields.len(),
            one.mark.checked_at,
            one.mark.changed_at
        );
        for field in &one.object.fields {
            let mapped = mapped(one, field);
            if mapped.is_none() && !all {
                continue;
            }
            let from = match mapped {
                Some(mapped) => format!(
                    "{} ({}, {})",
                    mapped.from,
                    word(&mapped.write),
                    word(&mapped.on_invalid)
                ),
                None => "-".to_owned(),
            };
            let line = format!(
                "  {:<28} {:<18} {:<40} {}",
                field.name,
                kind(field),
                from,
                marks(field).join(", ")
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    match problems.len() {
        0 => text.push_str("mapping and org fit together"),
        count => {
            let _ = write!(
                text,
                "\n{count} problem{}:",
                if count == 1 { "" } else { "s" }
            );
        }
    }
    for Shown { problem, held } in problems {
        let severity = if problem.is_error { "error" } else { "warning" };
        let _ = write!(text, "\n{severity}[{}]: {}", problem.code, problem.message);
        if problem.drifted {
            let _ = write!(
                text,
                "\n  = changed in Salesforce; known since {}",
                problem.since
            );
        }
        if *held > 0 {
            let _ = write!(text, "\n  = {held} dead letters are held by it");
        }
        let _ = write!(text, "\n  = help: {}", problem.hint);
    }
    text
}

fn to_json(known: &[Known], problems: &[Shown], all: bool) -> Value {
    let object = |one: &Known| {
        let fields: Vec<Value> = one
            .object
            .fields
            .iter()
            .filter_map(|field| {
                let mapped = mapped(one, field);
                if mapped.is_none() && !all {
                    return None;
                }
                let values: Vec<&str> = field.choices().map(|choice| &*choice.value).collect();
                Some(json!({
                    "name": field.name,
                    "label": field.label,
                    "type": kind(field),
                    "marks": marks(field),
                    "values": values,
                    "from": mapped.map(|mapped| &mapped.from),
                    "write": mapped.map(|mapped| word(&mapped.write)),
                    "on_invalid": mapped.map(|mapped| word(&mapped.on_invalid)),
                }))
            })
            .collect();
        json!({
            "name": one.object.name,
            "asked_at": one.mark.checked_at.to_string(),
            "changed_at": one.mark.changed_at.to_string(),
            "fields": fields,
        })
    };
    let problem = |Shown { problem, held }: &Shown| {
        json!({
            "severity": if problem.is_error { "error" } else { "warning" },
            "code": problem.code,
            "about": problem.about,
            "message": problem.message,
            "hint": problem.hint,
            "drifted": problem.drifted,
            "since": problem.since.to_string(),
            "held": held,
        })
    };
    json!({
        "objects": known.iter().map(object).collect::<Vec<_>>(),
        "problems": problems.iter().map(problem).collect::<Vec<_>>(),
    })
}
