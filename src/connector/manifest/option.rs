use serde::Deserialize;

/// What a user may set in `[sources.<name>]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionSpec {
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: OptionType,
    /// Whether a source needs it.
    #[serde(default)]
    pub required: bool,
    /// What it is if it is not set. Not for secrets.
    pub default: Option<toml::Value>,
    /// The only values that it takes.
    #[serde(default)]
    pub choices: Vec<String>,
    /// Other names that it is taken by, for instance an older one of the vendor.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What it is and where the vendor shows it, in one sentence.
    pub help: String,
    /// An example, for docs and editors.
    pub example: Option<toml::Value>,
    /// Taken from another option: what follows its last `-` (Mailchimp's data centre).
    pub after_last_dash_of: Option<String>,
}

/// What an option holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionType {
    /// Text.
    Text,
    /// `{ env = "NAME" }` or `{ file = "/path" }`; a list of them while one is replaced by another.
    Secret,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list of texts, or one text.
    List,
    /// A web address.
    Url,
}
