use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The name of a configured source, as in `[sources.<name>]`, URLs, metrics and logs.
///
/// Letters, digits, `_` and `-`, at most 64; `config` refuses others. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// Wraps a name that `config` has checked, or that the store holds.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }
}

impl From<SourceName> for Arc<str> {
    fn from(name: SourceName) -> Self {
        name.0
    }
}

impl Deref for SourceName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for SourceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
