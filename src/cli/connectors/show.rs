use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::{Exit, output};
use crate::config::{closest, to_toml};
use crate::connector::manifest::{Auth, Encode, Manifest, OptionSpec, OptionType, Poll};
use crate::connector::{Catalog, RUST};

/// Arguments of `connectors show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The connector, as in `connector = "…"`.
    name: String,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Shows one connector.
pub fn run(args: &Args, catalog: &Catalog) -> Exit {
    let Some(manifest) = catalog.get(&args.name) else {
        if RUST.contains(&args.name.as_str()) {
            output::line(&format!(
                "{0} is part of the program: docs/CONFIG.md lists its keys, connectors/{0}/README.md says how to set it up.",
                args.name
            ));
            return Exit::Success;
        }
        output::error_line(&format!("error: there is no connector `{}`", args.name));
        let names = catalog.all().map(|manifest| manifest.name.as_str());
        let hint = match closest(&args.name, names.chain(RUST.iter().copied())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`leadstream connectors list` shows all; one of your own is found if `connectors_dir` names the folder above it".to_owned(),
        };
        output::error_line(&format!("  help: {hint}"));
        return Exit::Failure;
    };
    if args.json {
        output::line(&to_json(manifest).to_string());
    } else {
        output::line(to_text(manifest).trim_end());
    }
    Exit::Success
}

fn to_json(manifest: &Manifest) -> Value {
    let options: Vec<Value> = manifest
        .options
        .iter()
        .map(|(name, spec)| {
            json!({
                "name": name,
                "type": kind(spec.kind),
                "required": spec.required,
                "aliases": spec.aliases,
                "choices": spec.choices,
                "help": spec.help,
            })
        })
        .collect();
    let polls: Vec<Value> = manifest
        .poll
        .iter()
        .map(|poll| {
            json!({
                "name": poll.name,
                "schedule": poll.schedule,
                "retention_days": poll.retention_days,
                "first_days": poll.cursor.as_ref().and_then(|cursor| cursor.first_days),
            })
        })
        .collect();
    json!({
        "name": manifest.name,
        "title": manifest.title,
        "help": manifest.help,
        "hosts": manifest.hosts,
        "options": options,
        "auth": manifest.auth.keys().collect::<Vec<_>>(),
        "webhook": manifest.webhook.is_some(),
        "polls": polls,
        "fields": fields(manifest),
    })
}

fn to_text(manifest: &Manifest) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}: {}\n", manifest.title, manifest.help);
    add_example(&mut text, manifest);
    let _ = writeln!(text, "\nOptions");
    for (name, spec) in &manifest.options {
        let _ = writeln!(text, "  {name}{}", describe(spec));
        let _ = writeln!(text, "      {}", spec.help);
    }
    if manifest.auth.len() > 1 {
        let ways: Vec<String> = manifest
            .auth
            .iter()
            .map(|(name, auth)| format!("{name} ({})", auth.needs().join(", ")))
            .collect();
        let _ = writeln!(text, "\nWays to sign in: {}", ways.join("; "));
    }
    if let Some(webhook) = &manifest.webhook {
        let _ = writeln!(text, "\nWebhook");
        for step in &webhook.setup {
            let _ = writeln!(text, "  - {}", step_text(step, manifest));
        }
        let keys: Vec<&str> = webhook
            .signature
            .iter()
            .map(|signature| signature.key.as_str())
            .collect();
        let _ = writeln!(
            text,
            "  Refused unless it proves itself by: {}",
            keys.join(", ")
        );
    }
    for poll in &manifest.poll {
        let _ = writeln!(text, "\nPolling{}", poll_text(poll));
    }
    if !manifest.setup.is_empty() {
        let _ = writeln!(text, "\nAt the vendor");
        for (number, step) in manifest.setup.iter().enumerate() {
            let _ = writeln!(text, "  {}. {}", number + 1, step_text(step, manifest));
        }
    }
    let fields = fields(manifest);
    if !fields.is_empty() {
        let _ = writeln!(text, "\nFills in: {}", fields.join(", "));
    }
    let _ = writeln!(text, "Calls only: {}", manifest.hosts.join(", "));
    text
}

/// What a user writes to begin with.
fn add_example(text: &mut String, manifest: &Manifest) {
    let _ = writeln!(text, "  [sources.{}]", source_name(manifest));
    let _ = writeln!(text, "  connector = \"{}\"", manifest.name);
    let first = manifest.auth.values().next().map(Auth::needs);
    let needed = first.unwrap_or_default();
    let keys = manifest
        .webhook
        .iter()
        .flat_map(|webhook| &webhook.signature);
    let keys: Vec<&str> = keys.map(|signature| signature.key.as_str()).collect();
    for (name, spec) in &manifest.options {
        if !(spec.required || needed.contains(name) || keys.contains(&name.as_str())) {
            continue;
        }
        let example = match (&spec.example, spec.kind) {
            (Some(example), _) => serde_json::to_value(example)
                .map(|example| to_toml(&example))
                .unwrap_or_default(),
            (None, OptionType::Secret) => format!("{{ env = \"{}\" }}", name.to_uppercase()),
            (None, _) => "\"…\"".to_owned(),
        };
        let _ = writeln!(text, "  {name} = {example}");
    }
}

fn source_name(manifest: &Manifest) -> String {
    manifest.name.replace('-', "_")
}

fn describe(spec: &OptionSpec) -> String {
    let mut words = vec![kind(spec.kind).to_owned()];
    if spec.required {
        words.push("required".to_owned());
    }
    if !spec.choices.is_empty() {
        words.push(format!("one of {}", spec.choices.join(", ")));
    }
    if let Some(default) = &spec.default {
        words.push(format!("otherwise {default}"));
    }
    if !spec.aliases.is_empty() {
        words.push(format!("also {}", spec.aliases.join(", ")));
    }
    format!(" ({})", words.join("; "))
}

fn kind(kind: OptionType) -> &'static str {
    match kind {
        OptionType::Text => "text",
        OptionType::Secret => "secret",
        OptionType::Integer => "whole number",
        OptionType::Boolean => "true or false",
        OptionType::List => "list",
        OptionType::Url => "address",
    }
}

/// A step, with the address that belongs to the example.
fn step_text(step: &str, manifest: &Manifest) -> String {
    let Ok(template) = crate::connector::manifest::Template::parse(step) else {
        return step.to_owned();
    };
    template
        .fill(Encode::Plain, &mut |name| {
            Some(match name {
                "hook_url" => format!("<public_url>/hooks/{}", source_name(manifest)),
                "source" => source_name(manifest),
                option => format!("<{option}>"),
            })
        })
        .unwrap_or_default()
}

fn poll_text(poll: &Poll) -> String {
    let mut text = String::new();
    if poll.name != "poll" {
        let _ = write!(text, ": {}", poll.name);
    }
    if !poll.help.is_empty() {
        let _ = write!(text, "\n  {}", poll.help);
    }
    let schedule = poll.schedule.as_deref().unwrap_or("*/15 * * * *");
    let _ = write!(
        text,
        "\n  when: {schedule} (unless `schedule` says otherwise)"
    );
    let first = match poll.cursor.as_ref().and_then(|cursor| cursor.first_days) {
        Some(days) => format!("the last {days} days"),
        None => "all that there is".to_owned(),
    };
    let _ = write!(
        text,
        "\n  first run: {first} (unless `start_date` says otherwise)"
    );
    if let Some(days) = poll.retention_days {
        let _ = write!(text, "\n  the vendor keeps records for {days} days");
    }
    if let Some(option) = &poll.when {
        let _ = write!(text, "\n  only if `{option}` is set");
    }
    text
}

/// The lead fields that it fills by itself.
fn fields(manifest: &Manifest) -> Vec<String> {
    let doors = manifest
        .poll
        .iter()
        .map(|poll| &poll.fields)
        .chain(manifest.fetch.iter().map(|fetch| &fetch.fields))
        .chain(manifest.webhook.iter().map(|webhook| &webhook.fields));
    let all = doors
        .chain([&manifest.fields])
        .flat_map(|fields| fields.keys().cloned());
    let mut fields: std::collections::BTreeSet<String> = all.collect();
    let doors = manifest.poll.iter().filter_map(|poll| poll.record.as_ref());
    let fetched = manifest.fetch.iter().filter_map(|it| it.record.as_ref());
    let pushed = manifest.webhook.iter().filter_map(|it| it.record.as_ref());
    let pivots = doors
        .chain(fetched)
        .chain(pushed)
        .chain([&manifest.record])
        .flat_map(|record| record.pivot.keys());
    fields.extend(pivots.map(|pivot| format!("{pivot}.<key>")));
    fields.into_iter().collect()
}
