//! What names may be made of.

/// Whether Salesforce could have a field of this API name: letters, digits and `_`, beginning with a
/// letter; with namespace and ending at most 80.
pub(super) fn is_api_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.len() <= 80
}

/// Whether a source may have this name: it becomes a part of URLs, metrics and logs.
pub(super) fn is_source_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The nearest name that a source may have.
pub(super) fn source_name_like(name: &str) -> String {
    let made: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .take(64)
        .collect();
    let trimmed = made.trim_matches('_');
    if trimmed.is_empty() {
        "my_form"
    } else {
        trimmed
    }
    .to_owned()
}

/// Whether a text is a Salesforce id: 15 letters and digits, or 18 with the check letters.
pub(super) fn is_salesforce_id(id: &str, prefix: &str) -> bool {
    matches!(id.len(), 15 | 18)
        && id.starts_with(prefix)
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert!(is_api_name("Plan__c") && is_api_name("ns__Plan__c") && is_api_name("Phone"));
        assert!(!is_api_name("Owner.Name") && !is_api_name("1a") && !is_api_name(""));
        assert!(is_source_name("demo_request-2"));
        assert!(!is_source_name("demo request") && !is_source_name("") && !is_source_name("ä"));
        assert!(!is_source_name(&"a".repeat(65)));
        assert_eq!(source_name_like("Demo Request!"), "demo_request");
        assert_eq!(source_name_like("äöü"), "my_form");
        assert!(is_salesforce_id("00D5g00000EXAMP", "00D"));
        assert!(!is_salesforce_id("00D5g00000EXAM", "00D"));
    }
}
