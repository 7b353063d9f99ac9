//! Which of a manifest's ways to sign in a source takes.

use std::collections::BTreeSet;

use url::Url;

use super::trouble::pause;
use crate::connector::Options;
use crate::connector::manifest::{Auth, AuthType, Manifest, Template};
use crate::connector::mechanism::call::CallError;

/// What a source says in place of its manifest.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The name of the way to sign in.
    pub auth: Option<String>,
    /// A stand-in or proxy in place of the vendor: its scheme, host and port. Its path, if it has
    /// one, stands in place of the path of the manifest's `base_url`.
    pub base_url: Option<Url>,
    /// Where tokens are had.
    pub token_url: Option<Url>,
    /// Where a person gives their consent.
    pub authorize_url: Option<Url>,
}

/// The way that `overrides` names, else the one whose options are set; of several the one that
/// takes the most of them. None: the vendor asks for no signing in.
pub(super) fn choose<'m>(
    manifest: &'m Manifest,
    options: &Options,
    overrides: &Overrides,
) -> Result<Option<(&'m str, &'m Auth)>, CallError> {
    if manifest.auth.is_empty() {
        return Ok(None);
    }
    let names = || {
        let names: Vec<String> = manifest.auth.keys().map(|way| format!("`{way}`")).collect();
        names.join(", ")
    };
    if let Some(named) = &overrides.auth {
        let Some((way, auth)) = manifest.auth.get_key_value(named) else {
            return Err(pause(
                "vendor.sign_in",
                format!("{} has no way to sign in of that name", manifest.title),
                format!("`auth` is one of {}", names()),
            ));
        };
        let missing = missing(auth, manifest, options);
        return match missing.is_empty() {
            true => Ok(Some((way, auth))),
            false => Err(not_set(manifest, &missing.join(", "))),
        };
    }
    let mut fitting: Vec<(usize, &str, &Auth)> = manifest
        .auth
        .iter()
        .filter(|(_, auth)| missing(auth, manifest, options).is_empty())
        .map(|(way, auth)| {
            let mut taken = needed(auth, manifest);
            taken.extend(optional(auth));
            let set = taken.iter().filter(|name| options.is_set(name)).count();
            (set, way.as_str(), auth)
        })
        .collect();
    fitting.sort_by_key(|(set, ..)| std::cmp::Reverse(*set));
    match fitting[..] {
        [] => {
            let ways: Vec<String> = manifest
                .auth
                .iter()
                .map(|(way, auth)| {
                    format!("{way}: {}", missing(auth, manifest, options).join(", "))
                })
                .collect();
            Err(not_set(manifest, &ways.join("; or ")))
        }
        [(most, one, _), (next, other, _), ..] if most == next => Err(pause(
            "vendor.sign_in",
            format!(
                "the options fit several ways to sign in to {}",
                manifest.title
            ),
            format!("say which: `auth = \"{one}\"` or `auth = \"{other}\"`"),
        )),
        [(_, way, auth), ..] => Ok(Some((way, auth))),
    }
}

fn not_set(manifest: &Manifest, what: &str) -> CallError {
    pause(
        "vendor.sign_in",
        format!(
            "the source cannot sign in to {}: options are not set",
            manifest.title
        ),
        format!(
            "set {what}; `leadstream connectors show {}` explains them",
            manifest.name
        ),
    )
}

fn missing(auth: &Auth, manifest: &Manifest, options: &Options) -> Vec<String> {
    let needed = needed(auth, manifest).into_iter();
    needed
        .filter(|name| !options.is_set(name))
        .map(|name| format!("`{name}`"))
        .collect()
}

/// The options that a way cannot do without.
fn needed<'a>(auth: &'a Auth, manifest: &'a Manifest) -> BTreeSet<&'a str> {
    let mut needed = BTreeSet::new();
    let mut templates = |parts: &[&'a Option<Template>]| {
        for template in parts.iter().filter_map(|part| part.as_ref()) {
            needed.extend(template.names());
        }
    };
    match auth.kind {
        AuthType::None => {}
        AuthType::Header | AuthType::Query | AuthType::Bearer => templates(&[&auth.value]),
        AuthType::Basic => templates(&[&auth.user, &auth.password]),
        AuthType::Oauth2 | AuthType::ClientCredentials | AuthType::AccountCredentials => {
            templates(&[&auth.token_url]);
            needed.insert("client_id");
            // A public client (RFC 6749, 2.1) has none.
            if auth.kind != AuthType::Oauth2 || manifest.options.contains_key("client_secret") {
                needed.insert("client_secret");
            }
            if auth.kind == AuthType::AccountCredentials {
                needed.insert("account_id");
            }
        }
        AuthType::ServiceAccount => needed.extend(auth.key.as_deref()),
    }
    needed.extend(auth.proof_key.as_deref());
    needed
}

/// What a way takes besides, which tells it from others.
fn optional(auth: &Auth) -> BTreeSet<&str> {
    let mut optional: BTreeSet<&str> = auth.subject.as_deref().into_iter().collect();
    if auth.kind == AuthType::Oauth2 {
        optional.insert("refresh_token");
    }
    for template in auth.parameters.values() {
        optional.extend(template.names());
    }
    optional
}
