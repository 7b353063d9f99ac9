use url::Url;

use super::names::is_api_name;
use super::{check_encrypted, error_at, secrets};
use crate::config::BudgetConfig;
use crate::config::interpolate::Environment;
use crate::config::report::Report;
use crate::config::suggest;
use crate::config::tree::{Entry, Node, Table, Value};
use crate::diagnostic::Diagnostic;
use crate::model::field;

/// The oldest REST version with all that is used here: sObject Collections with upsert, and in
/// service (21 to 30 are retired).
const OLDEST_API_VERSION: u32 = 46;

/// Lead fields that Salesforce sets itself. Source: Salesforce object reference, Lead.
const READ_ONLY: &[&str] = &[
    "Id",
    "Name",
    "Address",
    "CreatedById",
    "CreatedDate",
    "LastModifiedById",
    "LastModifiedDate",
    "SystemModstamp",
    "IsDeleted",
    "IsConverted",
    "ConvertedDate",
    "ConvertedAccountId",
    "ConvertedContactId",
    "ConvertedOpportunityId",
    "LastActivityDate",
    "LastViewedDate",
    "LastReferencedDate",
    "MasterRecordId",
    "PhotoUrl",
    "MailingAddress",
    "OtherAddress",
    "IsEmailBounced",
];

/// `[salesforce]`
pub(super) fn check(
    node: &Node,
    salesforce: &Table,
    root: &Table,
    env: &Environment<'_>,
    report: &mut Report,
) {
    check_encrypted(salesforce, "login_url", report);
    check_sign_in(node, salesforce, root, env, report);
    check_login_host(salesforce, report);
    check_external_id_field(salesforce, report);
    if let Some((version, node)) = salesforce.text("api_version")
        && normal_api_version(version).is_none()
    {
        report.add(
            error_at(
                node,
                "config.bad_value",
                "`api_version` is no version that can be used",
            )
            .hint(format!(
                "write `api_version = \"62.0\"`; {OLDEST_API_VERSION}.0 is the oldest"
            )),
        );
    }
    if let Some(budget) = salesforce.table("budget") {
        check_budget(budget, report);
    }
    for object in ["lead", "contact"] {
        let Some(mapped) = salesforce.table(object) else {
            continue;
        };
        let external_id = salesforce.text("external_id_field").map(|(text, _)| text);
        let external_id = external_id.unwrap_or("Leadstream_Id__c");
        let known = known_names(root);
        for (key, entry) in &mapped.entries {
            check_mapping(object, key, entry, external_id, &known, report);
        }
    }
}

/// What is kept in reserve is part of what may be used at all.
fn check_budget(budget: &Table, report: &mut Report) {
    let number = |key: &str| match budget.get(key).map(|node| &node.value) {
        Some(Value::Float(number)) => Some(*number),
        Some(Value::Integer(number)) => Some(*number as f64),
        _ => None,
    };
    let default = BudgetConfig::default();
    let share = number("share").unwrap_or(default.share);
    let reserve = number("reserve").unwrap_or(default.reserve);
    let place = budget.get("reserve").or_else(|| budget.get("share"));
    if let Some(node) = place
        && reserve >= share
    {
        report.add(
            error_at(
                node,
                "config.bad_value",
                "the reserve is as large as the whole share, so ordinary leads would never be sent",
            )
            .label(format!("`share` is {share}, `reserve` is {reserve}"))
            .hint("write a `reserve` that is well below `share`, such as 0.1"),
        );
    }
}

/// `62.0` from `62.0`, `v62.0` or `62`; none for what is no version, or too old.
pub(crate) fn normal_api_version(text: &str) -> Option<String> {
    let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let major = bare.strip_suffix(".0").unwrap_or(bare);
    let digits = major.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = major.parse().ok().filter(|_| digits)?;
    (OLDEST_API_VERSION..1000)
        .contains(&number)
        .then(|| format!("{number}.0"))
}

/// What each way to sign in needs, and what it does not use.
fn check_sign_in(
    node: &Node,
    salesforce: &Table,
    root: &Table,
    env: &Environment<'_>,
    report: &mut Report,
) {
    let auth = salesforce
        .text("auth")
        .map_or("client_credentials", |(text, _)| text);
    let (needed, unused): (&[&str], &[&str]) = match auth {
        "client_credentials" => (&["client_secret"], &["username", "private_key", "audience"]),
        "jwt_bearer" => (&["username", "private_key"], &["client_secret"]),
        "authorization_code" => (&[], &["username", "private_key", "audience"]),
        _ => (&[], &[]),
    };
    if auth == "authorization_code" {
        check_tokens_can_be_kept(salesforce, root, report);
        secrets::check(salesforce, "client_secret", env, report);
    }
    for key in needed {
        if salesforce.get(key).is_none() {
            let (what, example) = match *key {
                "client_secret" => (
                    "the app's consumer secret",
                    "{ env = \"SF_CLIENT_SECRET\" }",
                ),
                "username" => ("whom to sign in as", "\"leadstream@acme.com\""),
                _ => (
                    "the key whose certificate the app holds",
                    "{ file = \"/run/secrets/salesforce.pem\" }",
                ),
            };
            report.add(
                error_at(
                    node,
                    "config.missing_key",
                    format!("`{key}` is missing in [salesforce]"),
                )
                .label(format!("`auth = \"{auth}\"` needs it"))
                .hint(format!("{what}: `{key} = {example}`")),
            );
        }
    }
    for key in unused {
        if let Some(entry) = salesforce.entries.get(*key) {
            report.add(
                Diagnostic::warning(
                    "config.unused_key",
                    format!("`{key}` is not used with `auth = \"{auth}\"`"),
                )
                .at(entry.key.place())
                .hint("take it out, or change `auth`"),
            );
        }
    }
    if needed.contains(&"client_secret") {
        secrets::check(salesforce, "client_secret", env, report);
    }
    if needed.contains(&"private_key")
        && let Some(pem) = secrets::check(salesforce, "private_key", env, report)
        && let Some(key) = salesforce.get("private_key")
    {
        check_private_key(&pem, key, report);
    }
}

/// A consent is kept for good, so it is encrypted; SQLite makes a key of its own.
fn check_tokens_can_be_kept(salesforce: &Table, root: &Table, report: &mut Report) {
    let store = root.table("store");
    let url = store.and_then(|store| store.text("url"));
    let is_postgres = url.is_some_and(|(url, _)| url.starts_with("postgres"));
    let has_key = store.is_some_and(|store| store.get("secret_key").is_some());
    if let (true, false, Some(auth)) = (is_postgres, has_key, salesforce.get("auth")) {
        report.add(
            error_at(auth, "config.missing_key", "`secret_key` is missing in [store]")
                .label("the tokens of this way to sign in are kept encrypted")
                .hint("`secret_key = { env = \"LEADSTREAM_SECRET_KEY\" }` in [store], the same on all nodes: `openssl rand -base64 32` makes one"),
        );
    }
}

/// The form only; whether it fits the app's certificate is for `doctor`.
fn check_private_key(pem: &str, node: &Node, report: &mut Report) {
    let encrypted = pem.contains("ENCRYPTED");
    let is_key = pem.contains("-----BEGIN PRIVATE KEY-----")
        || pem.contains("-----BEGIN RSA PRIVATE KEY-----");
    if encrypted {
        report.add(
            error_at(node, "config.private_key", "the private key is locked by a passphrase").hint(
                "unlock it: `openssl pkey -in locked.pem -out salesforce.pem`, and `chmod 600` the result",
            ),
        );
    } else if !is_key {
        report.add(
            error_at(
                node,
                "config.private_key",
                "this is no RSA private key in PEM form",
            )
            .hint("it begins with `-----BEGIN PRIVATE KEY-----`; the certificate is not the key"),
        );
    }
}

/// Hosts at which signing in is bound to fail. Source: Salesforce help, OAuth endpoints.
fn check_login_host(salesforce: &Table, report: &mut Report) {
    let Some((text, node)) = salesforce.text("login_url") else {
        return;
    };
    let Ok(url) = Url::parse(text) else {
        return;
    };
    let host = url.host_str().unwrap_or_default();
    let auth = salesforce
        .text("auth")
        .map_or("client_credentials", |(text, _)| text);
    let shared = matches!(host, "login.salesforce.com" | "test.salesforce.com");
    let problem = if host.ends_with(".lightning.force.com") {
        Some("this is where people work, not where programs sign in")
    } else if shared && auth == "client_credentials" {
        Some("`client_credentials` works at the org's own address only")
    } else {
        None
    };
    if let Some(message) = problem {
        report.add(
            error_at(node, "config.login_url", message).hint(
                "write the org's My Domain: `https://<your domain>.my.salesforce.com` (Setup, My Domain)",
            ),
        );
    } else if !url.path().trim_end_matches('/').is_empty() || url.query().is_some() {
        report.add(
            error_at(node, "config.login_url", "`login_url` is the host alone").hint(format!(
                "write `login_url = \"{}\"`",
                url.origin().ascii_serialization()
            )),
        );
    }
}

fn check_external_id_field(salesforce: &Table, report: &mut Report) {
    let Some((name, node)) = salesforce.text("external_id_field") else {
        return;
    };
    let is_custom_field = is_api_name(name) && name.ends_with("__c");
    let is_told_as_blank = name.trim().is_empty();
    if !is_custom_field && !is_told_as_blank {
        report.add(
            error_at(
                node,
                "config.bad_name",
                "this is no API name of a custom field",
            )
            .hint("custom fields end in `__c`: `external_id_field = \"Leadstream_Id__c\"`"),
        );
    }
}

/// Every name that a mapping may take its value from, as far as it is known.
fn known_names(root: &Table) -> Vec<&str> {
    let mut names: Vec<&str> = field::FIELDS.iter().map(|field| field.name).collect();
    names.extend(field::ATTRIBUTION);
    let sources = root
        .table("sources")
        .into_iter()
        .flat_map(|all| all.entries.values());
    for source in sources.filter_map(|entry| entry.node.as_table()) {
        for key in ["fields", "custom_fields"] {
            let Some(table) = source.table(key) else {
                continue;
            };
            for (name, entry) in &table.entries {
                names.push(entry.node.as_text().unwrap_or(name));
            }
        }
    }
    names
}

fn check_mapping(
    object: &str,
    key: &str,
    entry: &Entry,
    external_id: &str,
    known: &[&str],
    report: &mut Report,
) {
    let place = entry.key.place();
    let label = if object == "lead" { "Lead" } else { "Contact" };
    if !is_api_name(key) {
        report.add(
            Diagnostic::error("config.bad_name", format!("`{key}` is no API name of a {label} field"))
                .at(place)
                .hint(format!("the API name has letters, digits and `_`, and ends in `__c` for custom fields (Setup, Object Manager, {label}, Fields)")),
        );
    } else if key.eq_ignore_ascii_case(external_id) {
        report.add(
            Diagnostic::error(
                "config.field_not_writable",
                format!("`{key}` holds leadstream's own key"),
            )
            .at(place)
            .hint("take the line out"),
        );
    } else if READ_ONLY.iter().any(|name| name.eq_ignore_ascii_case(key)) {
        report.add(
            Diagnostic::error(
                "config.field_not_writable",
                format!("`{key}` is set by Salesforce itself"),
            )
            .at(place)
            .hint("take the line out; names go to FirstName and LastName, addresses to Street, City and so on"),
        );
    }
    let Some(mapping) = entry.node.as_table() else {
        return;
    };
    if let Some((from, node)) = mapping.text("from")
        && !known.contains(&from)
        && let Some(near) = suggest::closest(from, known.iter().copied())
    {
        // A form's own question may be called anything, so this is no error.
        report.add(
            Diagnostic::warning(
                "config.unknown_field",
                format!("no source has a field `{}`", node.spot.shown()),
            )
            .at(node.spot.place())
            .label(format!("did you mean `{near}`?"))
            .hint("if a form has a question of this name, name it in the source's `fields` to quieten this"),
        );
    }
    let on_invalid = mapping.text("on_invalid");
    if let Some(("default", node)) = on_invalid
        && mapping.get("default").is_none()
    {
        report.add(
            error_at(
                node,
                "config.missing_key",
                format!("`default` is missing in [salesforce.{object}.{key}]"),
            )
            .label("this sends the default")
            .hint("add it: `default = \"…\"`, or write `on_invalid = \"drop_field\"`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_in_three_spellings() {
        for (text, expect) in [
            ("62.0", Some("62.0")),
            ("v62.0", Some("62.0")),
            ("62", Some("62.0")),
            ("45.0", None),
            ("62.1", None),
            ("+62", None),
            ("latest", None),
            ("", None),
        ] {
            assert_eq!(normal_api_version(text).as_deref(), expect, "{text}");
        }
    }
}
