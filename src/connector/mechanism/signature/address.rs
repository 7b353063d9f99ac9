//! The secret in the address, for vendors that sign nothing.

use percent_encoding::percent_decode_str;

use super::equals::any_is;
use super::{Denied, Key, Request};

/// Parameters that may hold it.
const PARAMETERS: [&str; 3] = ["secret", "token", "key"];

/// The most values that are looked at.
const MOST_VALUES: usize = 16;

/// Whether a key stands in `/hooks/<source>/<secret>`, `?secret=`, `?token=` or `?key=`.
pub fn verify(keys: &[Key], request: &Request<'_>) -> Result<(), Denied> {
    let mut given: Vec<Vec<u8>> = Vec::new();
    // `/hooks/<source>/<secret>` is three parts.
    if let Some(rest) = request.path.splitn(4, '/').nth(3) {
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        given.push(percent_decode_str(rest).collect());
    }
    let query = request.query.unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    given.extend(
        pairs
            .filter(|(name, _)| PARAMETERS.contains(&name.as_ref()))
            .map(|(_, value)| value.into_owned().into_bytes())
            .take(MOST_VALUES),
    );
    any_is(keys, given.iter().map(Vec::as_slice))
}
