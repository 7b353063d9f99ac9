//! Which of a manifest's ways to sign in a source takes.

use url::Url;

use super::trouble::pause;
use crate::connector::Options;
use crate::connector::manifest::{Auth, Manifest};
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

/// The way that `overrides` names, else the manifest's first whose options are set. None: the vendor
/// asks for no signing in.
pub(super) fn choose<'m>(
    manifest: &'m Manifest,
    options: &Options,
    overrides: &Overrides,
) -> Result<Option<(&'m str, &'m Auth)>, CallError> {
    if manifest.auth.is_empty() {
        return Ok(None);
    }
    if let Some(named) = &overrides.auth
        && !manifest.auth.contains_key(named)
    {
        let names: Vec<String> = manifest.auth.keys().map(|way| format!("`{way}`")).collect();
        return Err(pause(
            "vendor.sign_in",
            format!("{} has no way to sign in of that name", manifest.title),
            format!("`auth` is one of {}", names.join(", ")),
        ));
    }
    let is_set = |name: &str| options.is_set(name);
    let chosen = manifest.way_to_sign_in(overrides.auth.as_deref(), &is_set);
    let missing = |auth: &Auth| {
        let missing = auth.needs().into_iter().filter(|name| !is_set(name));
        let missing: Vec<String> = missing.map(|name| format!("`{name}`")).collect();
        missing.join(", ")
    };
    let what = match chosen {
        Some((_, auth)) if missing(auth).is_empty() => return Ok(chosen),
        Some((_, auth)) => missing(auth),
        None => {
            let ways = manifest.auth.iter();
            let ways: Vec<String> = ways
                .map(|(way, auth)| format!("{way}: {}", missing(auth)))
                .collect();
            ways.join("; or ")
        }
    };
    Err(pause(
        "vendor.sign_in",
        format!(
            "the source cannot sign in to {}: options are not set",
            manifest.title
        ),
        format!(
            "set {what}; `leadstream connectors show {}` explains them",
            manifest.name
        ),
    ))
}
