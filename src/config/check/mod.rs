//! What the schema cannot say: how values fit together, and the world around them.
//!
//! Each check looks at the tree and skips what the schema's check has refused already, so that one
//! fault is told once and hides no other.

mod file_drop;
mod manifest_source;
mod names;
mod salesforce;
mod secrets;
mod server;
mod source;
mod store;
mod web_form;

pub(super) use salesforce::normal_api_version;
pub(super) use store::file_of;

use std::path::PathBuf;

use url::{Host, Url};

use super::interpolate::Environment;
use super::report::Report;
use super::tree::{Node, Table};
use crate::connector::Catalog;
use crate::diagnostic::Diagnostic;

/// Checks all sections and sources.
pub(super) fn check(root: &Table, catalog: &Catalog, env: &Environment<'_>, report: &mut Report) {
    if let Some(server) = root.table("server") {
        server::check(server, report);
    }
    if let Some(store) = root.table("store") {
        store::check(store, env, report);
    }
    if let Some(node) = root.get("salesforce")
        && let Some(table) = node.as_table()
    {
        salesforce::check(node, table, root, env, report);
    }
    source::check_all(root, catalog, env, report);
}

/// The file that a value names: relative ones are beside the file that the value stands in.
pub(super) fn beside(node: &Node, path: &str) -> PathBuf {
    node.spot.file.directory().join(path)
}

/// An error at a value.
fn error_at(node: &Node, code: &'static str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, message).at(node.spot.place())
}

/// Whether requests to this address stay on this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Refuses an address that secrets or leads must not be sent to: they would be readable on the way.
fn check_encrypted(table: &Table, key: &str, report: &mut Report) {
    let Some((text, node)) = table.text(key) else {
        return;
    };
    let Ok(url) = Url::parse(text) else {
        return;
    };
    check_no_password(&url, node, key, report);
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => report.add(
            error_at(node, "config.plain_http", format!("`{key}` is not encrypted"))
                .hint("write `https://…`; plain http is taken for this machine only (127.0.0.1, [::1], localhost)"),
        ),
        _ => report.add(not_http(node, key)),
    }
}

/// Refuses an address that no browser can be sent to.
fn check_web_address(table: &Table, key: &str, report: &mut Report) {
    let Some((text, node)) = table.text(key) else {
        return;
    };
    let Ok(url) = Url::parse(text) else {
        return;
    };
    check_no_password(&url, node, key, report);
    if !matches!(url.scheme(), "http" | "https") {
        report.add(not_http(node, key));
    }
}

fn not_http(node: &Node, key: &str) -> Diagnostic {
    error_at(
        node,
        "config.bad_value",
        format!("`{key}` is no web address"),
    )
    .hint("an address begins with `https://`")
}

fn check_no_password(url: &Url, node: &Node, key: &str, report: &mut Report) {
    if url.password().is_some() || !url.username().is_empty() {
        report.add(
            error_at(
                node,
                "config.inline_secret",
                format!("`{key}` holds a user name or password"),
            )
            .hint("take the part between `://` and `@` out, and replace the password if the file was shared"),
        );
    }
}
