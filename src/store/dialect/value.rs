use std::borrow::Cow;

/// A value for a statement, as either database takes it.
#[derive(Debug, Clone)]
pub(in crate::store) enum Value<'v> {
    Integer(Option<i64>),
    Text(Option<Cow<'v, str>>),
    Boolean(bool),
    Bytes(Cow<'v, [u8]>),
    /// For `{in $1}`.
    Ids(Vec<i64>),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(value: &'v str) -> Self {
        Self::Text(Some(Cow::Borrowed(value)))
    }
}

impl<'v> From<Option<&'v str>> for Value<'v> {
    fn from(value: Option<&'v str>) -> Self {
        Self::Text(value.map(Cow::Borrowed))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Some(Cow::Owned(value)))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(value: &'v [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}

impl Value<'_> {
    /// As PostgreSQL can hold it: its text has no character 0
    /// (postgresql.org/docs/current/datatype-character.html), which a sender can put anywhere.
    pub(super) fn for_postgres(self) -> Self {
        match self {
            Self::Text(Some(text)) if text.contains('\0') => {
                Self::Text(Some(Cow::Owned(text.replace('\0', "\u{FFFD}"))))
            }
            value => value,
        }
    }

    /// The same, for as long as this is there.
    pub(in crate::store) fn borrow(&self) -> Value<'_> {
        match self {
            Self::Integer(value) => Value::Integer(*value),
            Self::Text(value) => Value::Text(value.as_deref().map(Cow::Borrowed)),
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Bytes(value) => Value::Bytes(Cow::Borrowed(value)),
            Self::Ids(ids) => Value::Ids(ids.clone()),
        }
    }

    /// About how much memory it takes.
    pub(in crate::store) fn size(&self) -> usize {
        match self {
            Self::Integer(_) | Self::Boolean(_) => 8,
            Self::Text(value) => value.as_deref().map_or(0, str::len),
            Self::Bytes(value) => value.len(),
            Self::Ids(ids) => ids.len() * 8,
        }
    }

    /// For `{in $1}`.
    pub(in crate::store) fn ids(ids: impl IntoIterator<Item = i64>) -> Self {
        Self::Ids(ids.into_iter().collect())
    }

    /// For `{rows $1: …}`: a JSON array of arrays.
    pub(in crate::store) fn rows(rows: &[serde_json::Value]) -> Self {
        // Values are always JSON.
        serde_json::to_string(rows).unwrap_or_default().into()
    }
}
