use super::error_at;
use crate::config::report::Report;
use crate::config::tree::{Node, Table, Value};

/// The options of `connector = "file-drop"`.
pub(super) fn check(source: &Table, report: &mut Report) {
    if let Some(node) = source.get("consent")
        && let Some(consent) = node.as_table()
    {
        check_consent(consent, node, report);
    }
    if let Some((zone, node)) = source.text("timezone")
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        report.add(
            bad(node, "time zone").hint("write its IANA name, for example `Europe/Berlin`, `UTC`"),
        );
    }
    if let Some((label, node)) = source.text("encoding")
        && encoding_rs::Encoding::for_label(label.as_bytes()).is_none()
    {
        report.add(bad(node, "encoding").hint(
            "write for example `windows-1252`, `windows-1250`, `utf-8`, `utf-16le`, `shift_jis`",
        ));
    }
    if let Some((delimiter, node)) = source.text("delimiter")
        && delimiter != "tab"
        && (delimiter.len() != 1 || matches!(delimiter, "\"" | "\n" | "\r"))
    {
        report.add(
            error_at(
                node,
                "config.bad_value",
                "`delimiter` is one character, or `tab`",
            )
            .hint("write `;`, `,`, `|` or `tab`; without the line it is found out"),
        );
    }
    for (domain, node) in source.texts("exclude_domains") {
        let bare = domain.trim_start_matches('@');
        if bare.contains(['@', '/', ' ', '*']) || !bare.contains('.') {
            report.add(
                error_at(node, "config.bad_value", "this is no domain").hint(
                    "write what stands behind the `@` of an address, for example `example.com`",
                ),
            );
        }
    }
}

/// Exactly one word on why people may be contacted.
fn check_consent(consent: &Table, node: &Node, report: &mut Report) {
    let is_said = |key: &str| consent.get(key).is_some();
    let is_unknown = consent
        .get("unknown")
        .is_some_and(|node| !matches!(node.value, Value::Boolean(false)));
    let said = [is_said("column"), is_said("statement"), is_unknown]
        .into_iter()
        .filter(|said| *said)
        .count();
    if said != 1 {
        let message = if said == 0 {
            "a consent column or a statement is demanded"
        } else {
            "`consent` says more than one thing"
        };
        report.add(error_at(node, "config.consent", message).hint(
            "write one of `{ column = \"Opt-in\" }`, `{ statement = \"why these people may be contacted\" }`, or, if nobody knows, `{ unknown = true }`",
        ));
    }
}

fn bad(node: &Node, what: &str) -> crate::diagnostic::Diagnostic {
    let message = format!("there is no {what} `{}`", node.spot.shown());
    error_at(node, "config.bad_value", message)
}
