//! Where requests go: to the vendor's hosts or to the stand-in that the source names, and nowhere
//! that an answer invents.

use url::Url;

use crate::connector::Options;
use crate::connector::manifest::{Encode, Manifest};
use crate::connector::mechanism::auth::Overrides;
use crate::connector::mechanism::auth::trouble::{pause, secret};
use crate::connector::mechanism::call::{CallError, Target};
use crate::edge::http::{AllowedHosts, is_loopback};

const HTTPS_PORT: u16 = 443;

/// The longest address that is called.
const MOST_BYTES: usize = 32 * 1024;

/// The base of all requests.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// Scheme, host, port, and the path before all paths, without a slash at its end.
    url: Url,
    /// The path of the manifest's own `base_url`, so that whole addresses can be moved.
    vendor_prefix: String,
    /// Whether the source says where the vendor is.
    moved: bool,
    hosts: Vec<String>,
}

impl Base {
    /// The base by the manifest, or by the source's `base_url`.
    pub fn new(
        manifest: &Manifest,
        options: &Options,
        overrides: &Overrides,
    ) -> Result<Self, CallError> {
        let vendors = vendors(manifest, options)?;
        let vendor_prefix = match &vendors {
            Some(url) => prefix(url),
            None => usual_prefix(manifest),
        };
        let hosts = manifest.hosts.clone();
        let url = match (&overrides.base_url, vendors) {
            (Some(own), _) => moved(own, &vendor_prefix),
            (None, Some(url)) if is_loopback(&url) || is_on(&hosts, &url) => url,
            (None, Some(url)) => return Err(foreign(manifest, &url)),
            (None, None) => {
                return Err(pause(
                    "vendor.base_url",
                    format!("nobody says where the API of {} is", manifest.title),
                    "set the options of its address, or `base_url`",
                ));
            }
        };
        Ok(Self {
            url,
            vendor_prefix,
            moved: overrides.base_url.is_some(),
            hosts,
        })
    }

    /// The base by what a token's answer said. A source that says where the vendor is stays there: a
    /// stand-in's answer sends nobody to the vendor.
    pub fn told(self, said: Option<&str>, manifest: &Manifest) -> Result<Self, CallError> {
        let Some(said) = said else {
            return Ok(self);
        };
        let Some(url) = parse(said) else {
            return Err(pause(
                "vendor.base_url",
                format!(
                    "{} named an address of its API that is none",
                    manifest.title
                ),
                "the token was not used",
            ));
        };
        let url = moved(&url, &self.vendor_prefix);
        if self.moved {
            let stays = is_loopback(&self.url) && is_loopback(&url);
            return Ok(if stays { Self { url, ..self } } else { self });
        }
        if is_on(&self.hosts, &url) || (is_loopback(&self.url) && is_loopback(&url)) {
            return Ok(Self { url, ..self });
        }
        Err(foreign(manifest, &url))
    }

    /// The whole address of a request.
    pub fn resolve(&self, target: &Target) -> Result<Url, CallError> {
        match target {
            Target::Path(path) => self.path(path),
            Target::Url(url) => self.whole(url),
        }
    }

    fn path(&self, path: &str) -> Result<Url, CallError> {
        let slash = if path.starts_with('/') { "" } else { "/" };
        let text = format!("{}{slash}{path}", self.url.as_str().trim_end_matches('/'));
        let bare = path.split('?').next().unwrap_or_default();
        // A value that climbs out of its place would ask for something else, with our token.
        let climbs = bare.split(['/', '\\']).any(is_dots);
        let url = parse(&text).filter(|url| !climbs && url.origin() == self.url.origin());
        url.ok_or_else(|| {
            pause(
                "vendor.address",
                "the path of a request cannot be built",
                "an option or a value in it is no part of a path",
            )
        })
    }

    fn whole(&self, text: &str) -> Result<Url, CallError> {
        let url = (text.len() <= MOST_BYTES)
            .then(|| self.url.join(text).ok())
            .flatten()
            .filter(is_plain)
            .ok_or_else(|| {
                pause(
                    "vendor.foreign_address",
                    "an answer names a next address that cannot be called",
                    "this is the vendor's fault, or the stand-in's",
                )
            })?;
        if url.origin() == self.url.origin() {
            return Ok(url);
        }
        if is_on(&self.hosts, &url) {
            if !self.moved {
                return Ok(url);
            }
            return Ok(self.move_here(&url));
        }
        Err(pause(
            "vendor.foreign_address",
            format!(
                "an answer names a next address on {}, which is no host of this connector",
                host(&url)
            ),
            "nothing was sent there; `hosts` in the manifest says who is called",
        ))
    }

    /// A vendor's own address, at the stand-in or proxy.
    fn move_here(&self, url: &Url) -> Url {
        let path = url.path();
        let rest = path.strip_prefix(&self.vendor_prefix);
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let mut moved = self.url.clone();
        match rest {
            Some(rest) => moved.set_path(&format!("{}{rest}", prefix(&self.url))),
            None => moved.set_path(path),
        }
        moved.set_query(url.query());
        moved
    }
}

/// The hosts that may be called for a source: the vendor's, or in their place what the source's
/// `base_url` names; and where its tokens are had.
pub fn hosts(manifest: &Manifest, options: &Options, overrides: &Overrides) -> AllowedHosts {
    let mut hosts = AllowedHosts::default();
    if let Some(base) = &overrides.base_url {
        hosts = with(hosts, base);
    } else {
        for host in &manifest.hosts {
            hosts = match host.strip_prefix("*.") {
                Some(domain) => hosts.family(domain),
                None => hosts.host(host),
            };
        }
        // Such as an option that holds the whole address of a stand-in.
        if let Ok(Some(url)) = vendors(manifest, options)
            && is_loopback(&url)
        {
            hosts = with(hosts, &url);
        }
    }
    if let Some(url) = &overrides.token_url {
        return with(hosts, url);
    }
    for auth in manifest.auth.values() {
        let token_url = auth.token_url.as_ref().and_then(|template| {
            let filled = options.fill(template, Encode::Plain, &mut |_| None);
            filled.ok().flatten().and_then(|text| parse(&text))
        });
        // A token endpoint that an option leads elsewhere is not called.
        if let Some(url) = token_url
            && (is_on(&manifest.hosts, &url) || auth.token_url.as_ref().is_some_and(is_fixed))
        {
            hosts = with(hosts, &url);
        }
    }
    hosts
}

fn is_fixed(template: &crate::connector::manifest::Template) -> bool {
    template.names().next().is_none()
}

fn with(hosts: AllowedHosts, url: &Url) -> AllowedHosts {
    let hosts = hosts.url(url);
    if is_loopback(url) {
        // A stand-in may name further ports of this machine, as vendors name further hosts.
        hosts.loopback()
    } else {
        hosts
    }
}

/// The manifest's base URL, with the source's options in it.
fn vendors(manifest: &Manifest, options: &Options) -> Result<Option<Url>, CallError> {
    let Some(template) = &manifest.base_url else {
        return Ok(None);
    };
    let filled = options
        .fill(template, Encode::Plain, &mut |_| None)
        .map_err(|error| secret(&error))?;
    let Some(text) = filled else {
        return Ok(None);
    };
    match parse(&text) {
        Some(url) => Ok(Some(url)),
        None => Err(pause(
            "vendor.base_url",
            format!(
                "the address of the API of {} is no web address",
                manifest.title
            ),
            "check the options that stand in it",
        )),
    }
}

/// The path of the manifest's `base_url`, whatever its options are: a stand-in needs no data centre.
fn usual_prefix(manifest: &Manifest) -> String {
    let template = manifest.base_url.as_ref();
    let filled = template.and_then(|url| url.fill(Encode::Url, &mut |_| Some("x".to_owned())));
    let url = filled.and_then(|text| Url::parse(&text).ok());
    url.as_ref().map(prefix).unwrap_or_default()
}

/// `url` with `prefix` for its path, unless it has one itself.
fn moved(url: &Url, vendor_prefix: &str) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    if prefix(&url).is_empty() {
        url.set_path(vendor_prefix);
    }
    url
}

fn prefix(url: &Url) -> String {
    url.path().trim_end_matches('/').to_owned()
}

/// A web address without user, password and fragment.
fn parse(text: &str) -> Option<Url> {
    if text.len() > MOST_BYTES {
        return None;
    }
    Url::parse(text).ok().filter(is_plain)
}

fn is_plain(url: &Url) -> bool {
    let encrypted = match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    };
    encrypted
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.has_host()
}

/// Whether `url` is on one of the manifest's hosts, by https at its own port.
fn is_on(hosts: &[String], url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    url.scheme() == "https"
        && url.port_or_known_default() == Some(HTTPS_PORT)
        && hosts.iter().any(|known| match known.strip_prefix('*') {
            Some(family) => host.ends_with(&family.to_ascii_lowercase()),
            None => host.eq_ignore_ascii_case(known),
        })
}

/// `.` and `..`, encoded in whatever way the URL parser would decode.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

fn foreign(manifest: &Manifest, url: &Url) -> CallError {
    pause(
        "vendor.base_url",
        format!("{} is no host of {}", host(url), manifest.title),
        format!(
            "its hosts are {}; nothing was sent. A stand-in is named by `base_url`",
            manifest.hosts.join(", ")
        ),
    )
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or("a host without a name")
}

/// Host and path as messages show them: no query, and no address of a person.
pub(super) fn shown(url: &Url) -> String {
    let mut shown = host(url).to_owned();
    if let Some(port) = url.port() {
        shown = format!("{shown}:{port}");
    }
    for part in url.path().split('/').skip(1) {
        let personal = part.contains('@') || part.to_ascii_lowercase().contains("%40");
        let long = part.len() > 80;
        shown.push('/');
        shown.push_str(if personal || long { "…" } else { part });
    }
    shown
}
