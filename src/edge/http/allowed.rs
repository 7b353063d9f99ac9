//! Which hosts may be called: what the configuration names, and nothing that an answer invents.

use std::collections::BTreeSet;

use url::{Host, Url};

const HTTPS_PORT: u16 = 443;

/// The hosts that may be called. Empty at first: nothing may be called.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts {
    exact: BTreeSet<(String, u16)>,
    families: BTreeSet<String>,
    loopback: bool,
}

impl AllowedHosts {
    /// Adds the host and port of `url`.
    pub fn url(mut self, url: &Url) -> Self {
        if let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) {
            self.exact.insert((host.to_owned(), port));
        }
        self
    }

    /// Adds `host`, at the port of https.
    pub fn host(mut self, host: &str) -> Self {
        self.exact.insert((host.to_ascii_lowercase(), HTTPS_PORT));
        self
    }

    /// Adds every host below `domain`, at the port of https.
    pub fn family(mut self, domain: &str) -> Self {
        self.families
            .insert(format!(".{}", domain.to_ascii_lowercase()));
        self
    }

    /// Adds every port of this machine, for stand-ins.
    pub fn loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Adds all that `other` allows.
    pub fn and(mut self, other: Self) -> Self {
        self.exact.extend(other.exact);
        self.families.extend(other.families);
        self.loopback |= other.loopback;
        self
    }

    /// Whether `url` may be called. Plain http only to loopback, whatever was added.
    pub fn permits(&self, url: &Url) -> bool {
        let on_loopback = is_loopback(url);
        let encrypted = match url.scheme() {
            "https" => true,
            "http" if on_loopback => false,
            _ => return false,
        };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return false;
        };
        (on_loopback && self.loopback)
            || self.exact.contains(&(host.to_owned(), port))
            || (encrypted
                && port == HTTPS_PORT
                && self.families.iter().any(|family| host.ends_with(family)))
    }
}

/// Whether `url` is on this machine: the only place that plain http may go to.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &AllowedHosts, url: &str, expect: bool) {
        assert_eq!(hosts.permits(&url.parse().unwrap()), expect, "{url}");
    }

    #[test]
    fn only_what_was_added_may_be_called() {
        let hosts = AllowedHosts::default()
            .url(&"https://acme.my.salesforce.com/x".parse().unwrap())
            .url(&"http://127.0.0.1:9101".parse().unwrap())
            .url(&"http://stand-in.example:9101".parse().unwrap())
            .host("challenges.cloudflare.com")
            .family("force.com");
        check(&hosts, "https://acme.my.salesforce.com/services?q=1", true);
        check(&hosts, "https://ACME.my.salesforce.com:443/", true);
        check(&hosts, "https://acme.my.salesforce.com:8443/", false);
        check(&hosts, "https://other.my.salesforce.com/", false);
        check(&hosts, "https://challenges.cloudflare.com/x", true);
        check(&hosts, "https://a.force.com/", true);
        check(&hosts, "https://a.force.com.evil.example/", false);
        check(&hosts, "https://evilforce.com/", false);
        check(&hosts, "http://127.0.0.1:9101/", true);
        check(&hosts, "http://127.0.0.1:9102/", false);
        check(&hosts, "ftp://127.0.0.1:9101/", false);
    }

    #[test]
    fn plain_http_goes_to_loopback_only() {
        let hosts = AllowedHosts::default()
            .url(&"http://stand-in.example:9101".parse().unwrap())
            .loopback();
        check(&hosts, "http://stand-in.example:9101/", false);
        check(&hosts, "http://localhost:1/", true);
        check(&hosts, "http://[::1]:1/", true);
        check(&hosts, "http://127.9.9.9:1/", true);
        check(&hosts, "http://localhost.example:1/", false);
    }
}
