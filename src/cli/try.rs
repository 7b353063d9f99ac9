//! `leadstream try`: what would become of a payload. Nothing is written, nobody is asked.

mod door;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{Exit, output};
use crate::config::Config;
use crate::connector::{ConnectorOptions, HttpFile};
use crate::deliver::salesforce::Mapping;
use crate::edge::clock::{Clock as _, SystemClock};
use crate::model::{Door, Event, EventId, EventMeta, NewEvent, SourceName};
use crate::process::Rules;
use crate::process::preview::{Expected, Previewed, preview};
use crate::store::{Access, Store};

/// The largest payload that is tried.
const MOST_BYTES: u64 = 16 << 20;

/// Arguments of `try`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source, as in `[sources.<name>]`.
    source: String,
    /// The payload: a body, or a whole request in a file that ends with `.http`; `-` for standard
    /// input.
    payload: PathBuf,
    /// How it came: as a webhook, or as one record of a page that was polled or fetched.
    #[arg(long, value_enum, default_value = "webhook")]
    door: DoorArg,
    /// Which of the connector's polls or fetches, if it has several.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// The body's Content-Type; otherwise told by the file's ending and content.
    #[arg(long)]
    content_type: Option<String>,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DoorArg {
    Webhook,
    Poll,
    Fetch,
}

/// Shows what would become of the payload.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let loaded = super::load(config_path);
    let Some(config) = &loaded.config else {
        return Exit::Failure;
    };
    let name = SourceName::new(&args.source);
    let Some(source) = config.sources.get(&name) else {
        let known: Vec<&str> = config.sources.keys().map(|name| &**name).collect();
        output::error_line(&format!("error: there is no source `{}`", args.source));
        let hint = match crate::config::closest(&args.source, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the configuration has {}", known.join(", ")),
        };
        output::error_line(&format!("  help: {hint}"));
        return Exit::Failure;
    };
    let manifest = match &source.options {
        ConnectorOptions::Manifest(source) => Some(&**source),
        ConnectorOptions::WebForm(_) => None,
        ConnectorOptions::FileDrop(_) => {
            output::error_line(&format!("error: `{}` reads lists of people", args.source));
            output::error_line("  help: `leadstream plan FILE` shows what a list would become");
            return Exit::Failure;
        }
    };
    let raw = match read(&args.payload) {
        Ok(raw) => raw,
        Err(error) => {
            output::error_line(&format!(
                "error: cannot read {}: {error}",
                args.payload.display()
            ));
            return Exit::Failure;
        }
    };
    let now = SystemClock.now();
    let is_request = args
        .payload
        .extension()
        .is_some_and(|ending| ending == "http");
    let mut request = None;
    let mut event = if is_request {
        match HttpFile::parse(&raw) {
            Ok(file) => {
                request = Some(file.clone());
                file.into_event(name, manifest, now)
            }
            Err(error) => {
                output::error_line(&format!(
                    "error: {} is no request: {error}",
                    args.payload.display()
                ));
                return Exit::Failure;
            }
        }
    } else {
        let content_type = args.content_type.clone();
        NewEvent {
            source: name,
            received_at: now,
            content_type: content_type.unwrap_or_else(|| content_type_of(&raw).to_owned()),
            meta: EventMeta::default(),
            body: raw.into(),
        }
    };
    event.meta.door = match args.door {
        DoorArg::Webhook => Door::Webhook,
        DoorArg::Poll => Door::Poll,
        DoorArg::Fetch => Door::Fetch,
    };
    event.meta.stream.clone_from(&args.stream);
    if matches!(args.door, DoorArg::Webhook)
        && let Err(refusal) = crate::connector::connector_of(source).receive((&event).into())
    {
        output::error_line(&format!(
            "error[{}]: {}\n  help: {}",
            refusal.code, refusal.message, refusal.hint
        ));
        return Exit::Failure;
    }
    let mut is_refused = false;
    if let (DoorArg::Webhook, Some(manifest)) = (args.door, manifest) {
        let public_url = config.server.public_url.as_ref();
        let file = request.as_ref();
        if let Some(why) = file.and_then(|file| door::refusal(manifest, file, public_url, now)) {
            is_refused = true;
            output::error_line(&format!(
                "error[hook.signature]: the request does not prove itself, and would be refused: {why}"
            ));
            output::error_line(
                "  help: what is shown is what would become of it otherwise; a body alone is not asked for proof",
            );
        }
        match door::passed_over(manifest, &event, file) {
            Ok(None) => {}
            Ok(Some(why)) => {
                if args.json {
                    output::line(&json!({ "would": "ignore", "reason": why }).to_string());
                } else {
                    output::line(&format!("{why}\nnothing was written"));
                }
                return if is_refused {
                    Exit::Failure
                } else {
                    Exit::Success
                };
            }
            Err(error) => {
                output::error_line(&format!("error: {error}"));
                return Exit::Failure;
            }
        }
    }
    let event = Event {
        id: EventId(1),
        received: event,
    };
    match decided(config, event).await {
        Ok(found) => {
            if args.json {
                for one in &found {
                    output::line(&to_json(one).to_string());
                }
            } else {
                output::line(to_text(&found).trim_end());
            }
            let refused = |one: &Previewed| matches!(one.end, Expected::DeadLetter { .. });
            if is_refused || found.iter().any(refused) {
                Exit::Failure
            } else {
                Exit::Success
            }
        }
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            Exit::Failure
        }
    }
}

/// Beside what the store knows, if there is one.
async fn decided(
    config: &Config,
    event: Event,
) -> Result<Vec<Previewed>, crate::store::StoreError> {
    let store = match Store::open(&config.store, Access::Command).await {
        Ok(store) => Some(store),
        Err(crate::store::StoreError::Missing(_)) => None,
        Err(error) => return Err(error),
    };
    let mapping = std::sync::Arc::new(Mapping::new(&config.salesforce));
    let secret = store.as_ref().map(|store| store.key_secret());
    let rules = Rules::of(config, mapping, secret.unwrap_or_default());
    let now = SystemClock.now();
    let found = preview(store.as_deref(), &rules, vec![event], now).await?;
    if let Some(store) = store {
        store.close().await;
    }
    Ok(found)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    let mut source: Box<dyn std::io::Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path)?)
    };
    source.by_ref().take(MOST_BYTES + 1).read_to_end(&mut raw)?;
    if raw.len() as u64 > MOST_BYTES {
        return Err(std::io::Error::other(format!(
            "it is larger than {MOST_BYTES} bytes"
        )));
    }
    Ok(raw)
}

fn content_type_of(raw: &[u8]) -> &'static str {
    match raw.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'[') => "application/json",
        _ => "application/x-www-form-urlencoded",
    }
}

fn to_json(one: &Previewed) -> Value {
    let (reason, code, hint) = match &one.end {
        Expected::Filtered(reason) | Expected::Review(reason) => (Some(reason), None, None),
        Expected::DeadLetter {
            code,
            message,
            hint,
        } => (Some(message), Some(code), Some(hint)),
        _ => (None, None, None),
    };
    json!({
        "ordinal": one.ordinal,
        "would": one.end.name(),
        "reason": reason,
        "code": code,
        "hint": hint,
        "lead": one.lead,
        "matched_by": one.matched_by,
        "vendor_id": one.vendor_id,
        "fields": one.fields,
        "attribution": one.attribution,
        "notes": one.notes,
        "salesforce": one.salesforce,
    })
}

fn to_text(found: &[Previewed]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for one in found {
        let what = match &one.end {
            Expected::Created => "a new lead".to_owned(),
            Expected::Merged => match one.lead {
                Some(lead) => format!("changes lead {lead}"),
                None => "changes the lead above".to_owned(),
            },
            Expected::Unchanged => "known already, nothing to change".to_owned(),
            Expected::Filtered(why) => format!("no lead: {why}"),
            Expected::Review(why) => format!("waits for a person: {why}"),
            Expected::Fetched => "only names a record, which would be fetched".to_owned(),
            Expected::DeadLetter {
                code,
                message,
                hint,
            } => format!("cannot be used [{code}]: {message}\n  help: {hint}"),
        };
        let _ = writeln!(text, "submission {}: {what}", one.ordinal + 1);
        if let Some(by) = &one.matched_by {
            let _ = writeln!(text, "  recognised by {by}");
        }
        if let Some(id) = &one.vendor_id {
            let _ = writeln!(text, "  the vendor's id: {id}");
        }
        table(&mut text, "lead", one.fields.iter());
        table(&mut text, "attribution", one.attribution.iter());
        let sent: Vec<(String, String)> = one
            .salesforce
            .iter()
            .map(|(field, value)| match value {
                Value::String(value) => (field.clone(), value.clone()),
                other => (field.clone(), other.to_string()),
            })
            .collect();
        let sent = sent.iter().map(|(field, value)| (field, value));
        table(
            &mut text,
            "to Salesforce, where its fields are blank or may be written",
            sent,
        );
        for note in &one.notes {
            let _ = writeln!(text, "  note: {}", note.message);
        }
    }
    if found.is_empty() {
        text.push_str("nothing is in it\n");
    }
    text.push_str("nothing was written\n");
    text
}

fn table<'a>(
    text: &mut String,
    title: &str,
    rows: impl Iterator<Item = (&'a String, &'a String)> + Clone,
) {
    let Some(width) = rows.clone().map(|(name, _)| name.chars().count()).max() else {
        return;
    };
    let _ = writeln!(text, "  {title}");
    for (name, value) in rows {
        let value = value.replace('\n', " ⏎ ");
        let _ = writeln!(text, "    {name:width$}  {value}");
    }
}
