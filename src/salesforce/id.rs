//! Record ids: 15 characters that depend on case, or 18 that do not.

/// For each block of five characters, which of them are capitals.
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18-character form of `id`, the one to store and compare; none if it is not a record id.
pub fn to_18(id: &str) -> Option<String> {
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) || !matches!(id.len(), 15 | 18) {
        return None;
    }
    if id.len() == 18 {
        return Some(id.to_owned());
    }
    let mut full = id.to_owned();
    for block in id.as_bytes().chunks(5) {
        let capitals = block
            .iter()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_uppercase())
            .fold(0, |bits, (position, _)| bits | 1 << position);
        full.push(char::from(SUFFIX[capitals]));
    }
    Some(full)
}

/// Whether two ids, of either form, mean one record.
pub fn same_record(one: &str, other: &str) -> bool {
    let key = |id: &str| id.get(..15).map(str::to_owned);
    matches!(one.len(), 15 | 18)
        && matches!(other.len(), 15 | 18)
        && key(one).is_some()
        && key(one) == key(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_characters_become_eighteen() {
        // The id and its suffix from Salesforce's own example of a token answer.
        assert_eq!(
            to_18("005xx000001SwiU").as_deref(),
            Some("005xx000001SwiUAAS")
        );
        assert_eq!(
            to_18("005xx000001SwiUAAS").as_deref(),
            Some("005xx000001SwiUAAS")
        );
        for text in ["", "<unknown>", "005xx000001Swi", "005xx000001SwiÜ"] {
            assert_eq!(to_18(text), None, "{text}");
        }
    }

    #[test]
    fn ids_of_either_form_are_compared() {
        assert!(same_record("005xx000001SwiU", "005xx000001SwiUAAS"));
        assert!(!same_record("005xx000001Swiu", "005xx000001SwiUAAS"));
        assert!(!same_record("", ""));
    }
}
