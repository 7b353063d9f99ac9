use url::Url;

use super::names::is_salesforce_id;
use super::{check_web_address, error_at, secrets};
use crate::config::interpolate::Environment;
use crate::config::report::Report;
use crate::config::tree::{Node, Table};
use crate::diagnostic::Diagnostic;

/// The options of `connector = "web-form"`.
pub(super) fn check(source: &Table, env: &Environment<'_>, report: &mut Report) {
    check_web_address(source, "redirect_url", report);
    for (origin, node) in source.texts("allowed_origins") {
        check_origin(origin, node, report);
    }
    for (host, node) in source.texts("allowed_redirect_hosts") {
        check_host(host, node, report);
    }
    if let Some((org_id, node)) = source.text("org_id")
        && !is_salesforce_id(org_id, "00D")
    {
        report.add(
            error_at(node, "config.bad_value", "this is no Salesforce org id").hint(
                "it is the `oid` of the form: 15 or 18 letters and digits that begin with `00D`",
            ),
        );
    }
    for (id, entry) in source
        .table("custom_fields")
        .into_iter()
        .flat_map(|fields| &fields.entries)
    {
        if !is_salesforce_id(id, "00N") {
            report.add(
                Diagnostic::error("config.bad_name", "this is no id of a custom field")
                    .at(entry.key.place())
                    .hint("it is the `name` of the form's input: 15 or 18 letters and digits that begin with `00N`"),
            );
        }
    }
    if let Some(captcha) = source.table("captcha") {
        secrets::check(captcha, "secret", env, report);
        if let Some((host, node)) = captcha.text("hostname") {
            check_host(host, node, report);
        }
        let score = captcha.entries.get("min_score");
        if let (Some(entry), Some((provider @ ("turnstile" | "hcaptcha"), _))) =
            (score, captcha.text("provider"))
        {
            report.add(
                Diagnostic::warning(
                    "config.unused_key",
                    format!("`min_score` is not used with `provider = \"{provider}\"`"),
                )
                .at(entry.key.place())
                .hint("only reCAPTCHA v3 gives a score: take the line out"),
            );
        }
    }
}

/// An origin as browsers send it: scheme, host, port; nothing behind.
fn check_origin(origin: &str, node: &Node, report: &mut Report) {
    let problem = |message: &str| error_at(node, "config.bad_origin", message);
    if origin == "*" {
        report.add(problem("`*` is no origin").hint(
            "list the sites that hold the form; with no `allowed_origins` at all any page may post",
        ));
        return;
    }
    if origin.contains('*') {
        report.add(
            problem("an origin has no `*`")
                .hint("name each host, for example `https://www.example.com`"),
        );
        return;
    }
    let parsed = Url::parse(origin)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = parsed else {
        let guess = Url::parse(&format!("https://{origin}"))
            .ok()
            .filter(|url| url.domain().is_some_and(|host| host.contains('.')))
            .map(|url| url.origin().ascii_serialization());
        report.add(problem("this is no origin").hint(match guess {
            Some(guess) => format!("write `{guess}`"),
            None => "write scheme and host, for example `https://www.example.com`".to_owned(),
        }));
        return;
    };
    let exact = url.origin().ascii_serialization();
    if exact != origin {
        report.add(
            problem("an origin is scheme and host as browsers send them, with nothing behind")
                .hint(format!("write `{exact}`")),
        );
    }
}

/// A host name, as it stands in addresses.
fn check_host(host: &str, node: &Node, report: &mut Report) {
    let exact = Url::parse(&format!("https://{host}/"))
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    if exact.as_deref() == Some(host) {
        return;
    }
    let hint = Url::parse(host)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .or(exact.filter(|exact| !exact.contains('@')))
        .map_or_else(
            || "write for example `www.example.com`".to_owned(),
            |found| format!("write `{found}`"),
        );
    report.add(error_at(node, "config.bad_value", "this is no host name by itself").hint(hint));
}
