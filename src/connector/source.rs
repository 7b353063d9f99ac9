use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::Options;
use super::manifest::{Auth, Manifest, OptionSpec, OptionType};
use super::mechanism::body;
use super::select::{Scope, Test};

/// A source of a connector that is a manifest.
#[derive(Debug, Clone)]
pub struct ManifestSource {
    /// The connector.
    pub manifest: Arc<Manifest>,
    /// What the user set of the connector's own options.
    pub options: Options,
    /// What the user set of those that all such connectors have.
    pub common: CommonOptions,
}

/// Options of all connectors that are manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommonOptions {
    /// Which of the connector's ways to sign in; the first one whose options are set, if not said.
    #[schemars(example = &"oauth")]
    pub auth: Option<String>,
    /// A stand-in in place of where the vendor gives tokens. Plain http only to loopback.
    #[schemars(example = &"http://127.0.0.1:9101/oauth/token")]
    pub token_url: Option<Url>,
    /// A stand-in in place of the vendor's consent page, for `leadstream connect`.
    #[schemars(example = &"http://127.0.0.1:9101/oauth/authorize")]
    pub authorize_url: Option<Url>,
    /// When it is polled, as in crontab: five fields, or six with seconds first. `off`: never.
    #[schemars(example = &"*/5 * * * *")]
    pub schedule: Option<String>,
    /// The time zone of `schedule`, by its IANA name; UTC if not said.
    #[schemars(example = &"Europe/Berlin")]
    pub timezone: Option<String>,
    /// How far the first poll goes back; as far as the vendor keeps, or the connector says, if not
    /// said.
    #[schemars(example = &"2026-01-01")]
    pub start_date: Option<String>,
    /// When all that the vendor holds is compared with what came in, as in crontab. `off`: never.
    #[schemars(example = &"17 3 * * *")]
    pub reconcile: Option<String>,
}

impl ManifestSource {
    /// A source with the options in `written`: those of the connector, and the common ones.
    pub fn read(
        manifest: &Arc<Manifest>,
        written: &Value,
    ) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
        let empty = Map::new();
        let written = written.as_object().unwrap_or(&empty);
        let (common, own): (Map<_, _>, Map<_, _>) = written
            .clone()
            .into_iter()
            .partition(|(key, _)| COMMON.contains(&key.as_str()));
        Ok(Self {
            manifest: Arc::clone(manifest),
            options: Options::of(manifest, &own),
            common: serde_path_to_error::deserialize(Value::Object(common))?,
        })
    }

    /// The way to sign in that it uses.
    pub fn way_to_sign_in(&self) -> Option<(&str, &Auth)> {
        let is_set = |option: &str| self.options.is_set(option);
        self.manifest
            .way_to_sign_in(self.common.auth.as_deref(), &is_set)
    }

    /// Whether a webhook is answered and not kept. A body that cannot be read is none of those.
    ///
    /// # Errors
    ///
    /// What is wrong with the manifest's conditions.
    pub fn ignores(
        &self,
        content_type: &str,
        headers: &BTreeMap<String, String>,
        body: &[u8],
    ) -> Result<bool, String> {
        let Some(webhook) = &self.manifest.webhook else {
            return Ok(false);
        };
        let Ok(body) = body::decode(webhook.body, content_type, body) else {
            return Ok(false);
        };
        let scope = Scope {
            body: Some(&body),
            headers: Some(headers),
            ..Scope::record(&body)
        };
        let tests = webhook.ignore_when.iter().map(Test::new);
        let tests = tests.collect::<Result<Vec<_>, _>>();
        let tests = tests.map_err(|error| error.message)?;
        Ok(tests.iter().any(|test| test.holds(&scope)))
    }

    /// The options in effect; secrets only as where they are kept.
    pub fn to_json(&self) -> serde_json::Result<Value> {
        Ok(json!({ "common": self.common, "own": self.options.to_json()? }))
    }
}

/// The keys of `CommonOptions`.
pub const COMMON: &[&str] = &[
    "auth",
    "token_url",
    "authorize_url",
    "schedule",
    "timezone",
    "start_date",
    "reconcile",
];

/// The schema (draft 7) of the options of `manifest`: its own, and of the common ones, whose schemas
/// are in `common`, those that mean something for it.
pub fn options_schema(manifest: &Manifest, common: &Map<String, Value>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, spec) in &manifest.options {
        properties.insert(name.clone(), option_schema(name, spec));
        if spec.required {
            required.push(Value::from(name.as_str()));
        }
    }
    for key in COMMON {
        let applies = match *key {
            "auth" => manifest.auth.len() > 1,
            "token_url" => manifest.auth.values().any(|auth| auth.token_url.is_some()),
            "authorize_url" => manifest
                .auth
                .values()
                .any(|auth| auth.authorize_url.is_some()),
            _ => !manifest.poll.is_empty(),
        };
        if let (true, Some(schema)) = (applies, common.get(*key)) {
            let mut schema = schema.clone();
            if *key == "auth" {
                schema["enum"] = manifest.auth.keys().cloned().collect();
                schema["examples"] = json!([manifest.auth.keys().next()]);
            }
            properties.insert((*key).to_owned(), schema);
        }
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

fn option_schema(name: &str, spec: &OptionSpec) -> Value {
    let secret = || json!({ "allOf": [{ "$ref": "#/definitions/SecretRef" }] });
    let mut schema = match spec.kind {
        // Ids are often all digits.
        OptionType::Text if spec.choices.is_empty() => {
            json!({ "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "integer" }] })
        }
        OptionType::Text => json!({ "type": "string", "minLength": 1, "enum": spec.choices }),
        OptionType::Url => json!({ "type": "string", "minLength": 1, "x-format": "uri" }),
        OptionType::Integer => json!({ "type": "integer" }),
        OptionType::Boolean => json!({ "type": "boolean" }),
        OptionType::List => {
            let item =
                json!({ "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "integer" }] });
            json!({ "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "integer" },
                { "type": "array", "items": item }
            ] })
        }
        OptionType::Secret => {
            json!({ "anyOf": [secret(), { "type": "array", "items": secret() }] })
        }
    };
    schema["description"] = sentence(&spec.help).into();
    let example = spec.example.as_ref().or(spec.default.as_ref());
    let example = example.and_then(|example| serde_json::to_value(example).ok());
    schema["examples"] = json!([example.unwrap_or_else(|| usual_example(name, spec))]);
    if let Some(default) = &spec.default
        && let Ok(default) = serde_json::to_value(default)
    {
        schema["default"] = default;
    }
    schema
}

fn usual_example(name: &str, spec: &OptionSpec) -> Value {
    match spec.kind {
        OptionType::Secret => json!({ "env": name.to_uppercase() }),
        OptionType::Integer => 1.into(),
        OptionType::Boolean => true.into(),
        OptionType::List => json!(["…"]),
        OptionType::Url => "https://www.example.com".into(),
        OptionType::Text => match spec.choices.first() {
            Some(choice) => choice.as_str().into(),
            None => "…".into(),
        },
    }
}

/// With a capital and a full stop, as all descriptions of keys are.
fn sentence(help: &str) -> String {
    let mut letters = help.chars();
    let capital = letters.next().map(|first| first.to_uppercase().to_string());
    let end = if help.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{}{}{end}", capital.unwrap_or_default(), letters.as_str())
}
