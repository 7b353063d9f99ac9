//! Which hosts may be called, and which may be shown a token.

use url::Url;

use crate::config::SalesforceConfig;
use crate::edge::http::{AllowedHosts, is_loopback};

/// The domains of Salesforce's own instances.
const FAMILIES: [&str; 2] = ["salesforce.com", "force.com"];

/// The hosts that the client of this org may call.
pub fn allowed_hosts(config: &SalesforceConfig) -> AllowedHosts {
    let hosts = AllowedHosts::default().url(&config.login_url);
    if is_loopback(&config.login_url) {
        return hosts.loopback();
    }
    FAMILIES
        .iter()
        .fold(hosts, |hosts, family| hosts.family(family))
}

/// Whether the token may be sent to `instance`: the host that we signed in at, or one of
/// Salesforce's own; never one that an answer invents. A stand-in on this machine can only name
/// this machine.
pub(super) fn may_be_instance(login: &Url, instance: &Url) -> bool {
    if is_loopback(login) {
        return is_loopback(instance);
    }
    if instance.scheme() != "https" {
        return false;
    }
    let Some(host) = instance.host_str() else {
        return false;
    };
    if login.host_str() == Some(host) {
        return login.port() == instance.port();
    }
    instance.port().is_none()
        && FAMILIES.iter().any(|family| {
            host.strip_suffix(family)
                .is_some_and(|rest| rest.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::config;
    use super::*;

    fn check_instance(login: &str, instance: &str, expect: bool) {
        let allowed = may_be_instance(&login.parse().unwrap(), &instance.parse().unwrap());
        assert_eq!(allowed, expect, "{login} {instance}");
    }

    #[test]
    fn a_token_goes_to_no_host_that_an_answer_invents() {
        let acme = "https://acme.my.salesforce.com";
        let sandbox = "https://acme--uat.sandbox.my.salesforce.com";
        check_instance(acme, acme, true);
        check_instance(sandbox, sandbox, true);
        check_instance("https://test.salesforce.com", sandbox, true);
        check_instance("https://login.salesforce.com", acme, true);
        check_instance(acme, "https://acme.lightning.force.com", true);
        check_instance(acme, "http://acme.my.salesforce.com", false);
        check_instance(acme, "https://acme.my.salesforce.com:8443", false);
        check_instance(acme, "https://salesforce.com.evil.example", false);
        check_instance(acme, "https://evilsalesforce.com", false);
        check_instance(acme, "http://127.0.0.1:9100", false);
        check_instance(
            "https://proxy.acme.com:8443",
            "https://proxy.acme.com:8443",
            true,
        );
        check_instance("http://127.0.0.1:9100", "http://localhost:9101", true);
        check_instance("http://127.0.0.1:9100", acme, false);
    }

    #[test]
    fn salesforce_itself_may_be_called_only_where_it_is_configured() {
        let mut config = config();
        config.login_url = "https://login.salesforce.com".parse().unwrap();
        let permits = |config: &SalesforceConfig, url: &str| {
            allowed_hosts(config).permits(&url.parse().unwrap())
        };
        assert!(permits(&config, "https://acme.my.salesforce.com/services"));
        assert!(!permits(&config, "http://127.0.0.1:9100/"));
        config.login_url = "http://127.0.0.1:9100".parse().unwrap();
        assert!(permits(&config, "http://127.0.0.1:9101/"));
        assert!(!permits(&config, "https://acme.my.salesforce.com/"));
    }
}
