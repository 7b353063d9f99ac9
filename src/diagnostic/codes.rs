/// Every code and what it means, in one line. `docs/ERRORS.md` is made from it.
///
/// Codes are stable: people search for them and alert on them.
pub const CODES: &[(&str, &str)] = &[
    (
        "config.bad_name",
        "a source, field or id has a name that it cannot have",
    ),
    (
        "config.bad_option",
        "an option of a connector does not fit its manifest: a path, a scheme or a field",
    ),
    (
        "config.bad_origin",
        "an allowed origin is not written as browsers send it",
    ),
    (
        "config.bad_schedule",
        "a schedule is not written as in crontab",
    ),
    (
        "config.bad_value",
        "a value has the right type but means nothing here",
    ),
    (
        "config.bad_variable",
        "`${…}` in a text cannot be read; `$$` stands for a dollar sign",
    ),
    ("config.blank", "a text that is needed is blank"),
    (
        "config.consent",
        "a list does not say why its people may be contacted, or says two things",
    ),
    (
        "config.duplicate",
        "a key, section or source is there twice; nothing is merged key by key",
    ),
    (
        "config.duplicate_org_id",
        "two sources claim the Web-to-Lead posts of one org",
    ),
    (
        "config.field_not_writable",
        "a Salesforce field that is mapped cannot be written",
    ),
    (
        "config.include_not_found",
        "`include` names a file or folder that is not there",
    ),
    (
        "config.included_twice",
        "a file is included twice, or includes itself",
    ),
    (
        "config.inline_secret",
        "a secret stands in the file; it belongs into a variable or a file of its own",
    ),
    (
        "config.login_url",
        "nobody can sign in to Salesforce at this address",
    ),
    ("config.missing_key", "a key that is needed is not there"),
    (
        "config.missing_secret",
        "a secret cannot be read from where it is kept",
    ),
    (
        "config.missing_section",
        "a section that is needed is not there",
    ),
    (
        "config.missing_variable",
        "a text needs an environment variable that is not set",
    ),
    (
        "config.no_sources",
        "no source is configured, so no lead can come in",
    ),
    (
        "config.not_polled",
        "a source takes webhooks only, and has nothing to find what they miss with",
    ),
    ("config.out_of_range", "a number is too small or too large"),
    (
        "config.plain_http",
        "secrets or leads would travel unencrypted",
    ),
    (
        "config.private_key",
        "the key for signing in is not an RSA private key that can be used",
    ),
    (
        "config.secret_file_mode",
        "other users of the machine may read a secret file",
    ),
    (
        "config.secret_form",
        "a secret names no place where it is kept, or two",
    ),
    ("config.store_url", "leads cannot be stored at this address"),
    ("config.syntax", "the file is no valid TOML"),
    (
        "config.unknown_connector",
        "there is no connector of this name",
    ),
    (
        "config.unknown_field",
        "a field that nothing fills or uses, and whose name is near another's",
    ),
    (
        "config.unknown_key",
        "a key that means nothing where it stands, mostly a misspelling",
    ),
    ("config.unreadable", "a configuration file cannot be read"),
    (
        "config.unused_key",
        "a key that has no effect together with the others",
    ),
    (
        "config.wrong_type",
        "a value of another type is expected: text, number, list, table",
    ),
    (
        "connector.inconsistent",
        "parts of a connector's manifest do not fit together",
    ),
    (
        "connector.malformed",
        "a connector's manifest is no valid TOML, or has a word that no manifest has",
    ),
    (
        "connector.unreadable",
        "a connector's folder or manifest cannot be read",
    ),
    (
        "hook.handshake",
        "a vendor's greeting has another token than ours, or a challenge that is not answered (403)",
    ),
    (
        "hook.misconfigured",
        "the connector's webhook does not fit the source's options; the log of the start says why (503)",
    ),
    (
        "hook.no_secret",
        "a source that takes webhooks has no secret to prove them by: its door is closed (403)",
    ),
    (
        "hook.no_webhook",
        "a webhook came for a source that only polls (404)",
    ),
    (
        "hook.secret_unreadable",
        "the secret that proves webhooks cannot be read, or is blank (503)",
    ),
    (
        "hook.signature",
        "a webhook is not signed with this source's secret, or was changed on its way (401)",
    ),
    (
        "hook.stale",
        "a webhook was signed too long ago: an old one sent again, or clocks that differ (401)",
    ),
    (
        "vendor.address",
        "a value in a request to a vendor cannot stand in its address or headers",
    ),
    (
        "vendor.base_url",
        "the address of a vendor's API is not known, or on no host of the connector",
    ),
    (
        "vendor.credential",
        "a vendor's token cannot be kept, or what was kept cannot be read",
    ),
    ("vendor.end", "a vendor says that there is nothing more"),
    (
        "vendor.failed",
        "a vendor failed to answer a request; it is tried again",
    ),
    (
        "vendor.foreign_address",
        "a vendor's answer names a next address that is on no host of the connector",
    ),
    ("vendor.gone", "a vendor has no such record any more"),
    (
        "vendor.host",
        "a host is not among those that may be called",
    ),
    (
        "vendor.key_file",
        "the key of a service account cannot be read or cannot sign",
    ),
    (
        "vendor.manifest",
        "a path in the manifest's rules about errors cannot be read",
    ),
    (
        "vendor.not_connected",
        "nobody has given access to the account yet: `leadstream connect <source>`",
    ),
    (
        "vendor.refused",
        "a vendor does not take a request, and would not if it came again",
    ),
    (
        "vendor.restart",
        "a vendor takes the page's token no more; the walk begins anew",
    ),
    (
        "vendor.secret",
        "a secret that signs requests cannot be read or sent",
    ),
    (
        "vendor.sign_in",
        "the options of a source do not say how to sign in",
    ),
    (
        "vendor.signed_out",
        "a vendor takes the credentials no more; a person must replace them",
    ),
    (
        "vendor.throttled",
        "an account is called too often; all its sources wait",
    ),
    (
        "vendor.timeout",
        "a vendor did not answer in time; it is tried again",
    ),
    (
        "vendor.token_answer",
        "a vendor gave no usable token; it is asked again",
    ),
    (
        "vendor.too_large",
        "a vendor's answer is larger than the connector allows",
    ),
    (
        "vendor.unreachable",
        "a vendor cannot be reached; it is tried again",
    ),
];

/// What a code means.
pub fn explain(code: &str) -> Option<&'static str> {
    CODES
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(CODES.is_sorted_by(|(left, _), (right, _)| left < right));
        assert_eq!(
            explain("config.blank"),
            Some("a text that is needed is blank")
        );
        assert_eq!(explain("config.nonsense"), None);
    }
}
