use std::borrow::Cow;

/// Why a payload was not taken at the door. Holds no payload text beyond field names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which kind of answer it gets.
    pub reason: RefusalReason,
    /// Stable, e.g. `body.malformed_json`.
    pub code: &'static str,
    /// What is wrong.
    pub message: Cow<'static, str>,
    /// What to do.
    pub hint: Cow<'static, str>,
    /// The fields that are meant, if any.
    pub fields: Vec<String>,
}

/// Which kind of answer a refused payload gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// Its encoding is not one that the connector reads (415).
    UnsupportedType,
    /// It is not what its encoding says (400).
    Malformed,
}

impl Refusal {
    /// A payload that is not what its encoding says.
    pub fn malformed(
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            reason: RefusalReason::Malformed,
            code,
            message: message.into(),
            hint: hint.into(),
            fields: Vec::new(),
        }
    }

    /// A payload in an encoding that the connector does not read.
    pub fn unsupported_type(
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            reason: RefusalReason::UnsupportedType,
            ..Self::malformed(code, message, hint)
        }
    }

    /// The same, naming a field.
    pub fn field(mut self, name: impl Into<String>) -> Self {
        self.fields.push(name.into());
        self
    }
}

/// Why an event cannot be read: it becomes a dead letter with these words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExtractError {
    /// Stable reason code.
    pub code: &'static str,
    /// What is wrong, without the person's data.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl From<Refusal> for ExtractError {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.code,
            message: refusal.message.into_owned(),
            hint: refusal.hint.into_owned(),
        }
    }
}
