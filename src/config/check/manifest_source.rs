use jiff::tz::TimeZone;

use super::{check_encrypted, error_at, secrets};
use crate::config::interpolate::Environment;
use crate::config::report::Report;
use crate::config::suggest;
use crate::config::tree::{Node, Table, Value};
use crate::connector::manifest::{Auth, Manifest, OptionType};
use crate::connector::time;
use crate::diagnostic::Diagnostic;

/// The options of a source whose connector is a manifest.
pub(super) fn check(
    name: &str,
    source: &Table,
    connector: &Node,
    manifest: &Manifest,
    env: &Environment<'_>,
    report: &mut Report,
) {
    for (option, spec) in &manifest.options {
        if spec.kind == OptionType::Secret {
            check_secrets(source, option, env, report);
        }
    }
    check_encrypted(source, "token_url", report);
    check_encrypted(source, "authorize_url", report);
    for key in ["schedule", "reconcile"] {
        if let Some((text, node)) = source.text(key)
            && text != "off"
            && let Err(reason) = croner::parser::CronParser::builder()
                .seconds(croner::parser::Seconds::Optional)
                .build()
                .parse(text)
        {
            report.add(
                error_at(node, "config.bad_schedule", format!("this is no schedule: {reason}"))
                    .hint("minute, hour, day, month, weekday, as in crontab: `*/15 * * * *` is every quarter of an hour; or `off`"),
            );
        }
    }
    if let Some((zone, node)) = source.text("timezone")
        && TimeZone::get(zone).is_err()
    {
        report.add(
            error_at(
                node,
                "config.bad_value",
                format!("there is no time zone `{}`", node.spot.shown()),
            )
            .hint("write its IANA name, for example `Europe/Berlin`"),
        );
    }
    if let Some((date, node)) = source.text("start_date")
        && time::parse(date, None, &TimeZone::UTC).is_none()
    {
        report.add(
            error_at(node, "config.bad_value", "this is no date")
                .hint("write for example `2026-01-31`, or with a time `2026-01-31T08:00:00Z`"),
        );
    }
    check_ways_in(name, source, connector, manifest, report);
}

/// That something can come in: by webhooks, by polling, or both.
fn check_ways_in(
    name: &str,
    source: &Table,
    connector: &Node,
    manifest: &Manifest,
    report: &mut Report,
) {
    let is_set = |option: &str| source.get(option).is_some();
    let named = source.text("auth").map(|(auth, _)| auth);
    let calls = !manifest.poll.is_empty() || !manifest.fetch.is_empty();
    let can_call =
        calls && (manifest.auth.is_empty() || manifest.way_to_sign_in(named, &is_set).is_some());
    let takes_webhooks = manifest.webhook.as_ref().is_some_and(|webhook| {
        let mut needed = webhook
            .signature
            .iter()
            .filter(|signature| !signature.optional);
        let any = webhook
            .signature
            .iter()
            .any(|signature| is_set(&signature.key));
        any && needed.all(|signature| is_set(&signature.key))
    });
    let polls_off = source
        .text("schedule")
        .is_some_and(|(text, _)| text == "off");
    if let (Some(named), Some(auth)) = (named, named.and_then(|named| manifest.auth.get(named))) {
        let missing: Vec<String> = auth
            .needs()
            .into_iter()
            .filter(|option| !is_set(option))
            .collect();
        if !missing.is_empty() {
            report.add(
                error_at(
                    source.get("auth").unwrap_or(connector),
                    "config.missing_key",
                    format!(
                        "`auth = \"{named}\"` needs {}",
                        suggest::list(missing.iter().map(String::as_str))
                    ),
                )
                .hint(format!(
                    "`leadstream connectors show {}` says what each is",
                    manifest.name
                )),
            );
            return;
        }
    }
    if can_call || takes_webhooks {
        if !manifest.fetch.is_empty() && takes_webhooks && !can_call {
            report.add(
                error_at(
                    connector,
                    "config.missing_key",
                    format!("{}'s webhooks only name a lead: to read it, [sources.{name}] needs a way to sign in", manifest.title),
                )
                .hint(ways(manifest)),
            );
        }
        if !manifest.poll.is_empty() && !can_call && !polls_off {
            report.add(
                Diagnostic::warning(
                    "config.not_polled",
                    format!("[sources.{name}] takes webhooks but cannot be polled: what a webhook misses is lost"),
                )
                .at(connector.spot.place())
                .hint(format!("{}; or say `schedule = \"off\"`", ways(manifest))),
            );
        }
        return;
    }
    let mut hints = Vec::new();
    if calls {
        hints.push(ways(manifest));
    }
    if let Some(webhook) = &manifest.webhook {
        let keys = webhook
            .signature
            .iter()
            .map(|signature| signature.key.as_str());
        let keys: std::collections::BTreeSet<&str> = keys.collect();
        hints.push(format!("to take webhooks, set {}", suggest::list(keys)));
    }
    report.add(
        error_at(
            connector,
            "config.missing_key",
            format!("nothing can come in by [sources.{name}]: it can neither sign in nor tell who sends webhooks"),
        )
        .hint(hints.join("; ")),
    );
}

/// What a user can set to sign in.
fn ways(manifest: &Manifest) -> String {
    let ways: Vec<String> = manifest
        .auth
        .values()
        .map(Auth::needs)
        .filter(|needs| !needs.is_empty())
        .map(|needs| {
            let quoted: Vec<String> = needs.iter().map(|option| format!("`{option}`")).collect();
            quoted.join(" and ")
        })
        .collect();
    format!("to sign in, set {}", ways.join(", or "))
}

/// One secret, or a list of them.
fn check_secrets(source: &Table, option: &str, env: &Environment<'_>, report: &mut Report) {
    match source.get(option).map(|node| &node.value) {
        Some(Value::List(items)) => {
            for item in items {
                if let Some(kept) = item.as_table() {
                    secrets::check_kept(kept, option, env, report);
                }
            }
        }
        Some(Value::Table(kept)) => {
            secrets::check_kept(kept, option, env, report);
        }
        _ => {}
    }
}
