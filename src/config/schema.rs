//! The JSON Schema of the whole configuration, from the same types that hold it.
//!
//! Draft 7, which the editors' TOML plug-ins read. What `check` tests beyond types (URLs, addresses)
//! stands in `x-format`, which editors leave alone: a text may be `${NAME}` for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{SalesforceConfig, ServerConfig, SourceConfig, StoreConfig};
use crate::connector::manifest::Manifest;
use crate::connector::{self, Catalog, CommonOptions};

/// The schema and what the checks ask of it.
#[derive(Debug)]
pub(super) struct Schemas {
    /// The whole schema.
    pub root: Value,
    /// The keys that all connectors have in common; the rest of a source's table is its options.
    pub common_source_keys: Vec<String>,
    /// The names of all keys, wherever they may stand.
    pub keys: BTreeSet<String>,
    /// Those of them that hold tables with keys of the user's own.
    pub maps: BTreeSet<String>,
    /// The schema of what all sources have.
    common_source: Value,
    /// The schemas of what all sources of manifests have, by key.
    common_options: Map<String, Value>,
}

/// The schemas of sources whose connector is in a folder of the user's, by the connector's name.
pub(super) type OwnConnectors = BTreeMap<String, Value>;

/// Made once: it is the same for the life of the program.
pub(super) static SCHEMAS: LazyLock<Schemas> = LazyLock::new(generate);

/// The JSON Schema of `leadstream.toml`, for editors.
pub fn schema() -> Value {
    SCHEMAS.root.clone()
}

/// The sections as a type; only its schema is used.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema of this type is used")]
struct Document {
    /// Further files with sections and sources, relative to this one. `*` and `?` may stand in file
    /// names; files are read by name, and a section or source may be in one of them only.
    #[serde(default)]
    #[schemars(example = &["conf.d/*.toml"])]
    include: Vec<String>,
    /// A folder with connectors of your own, relative to this file: in it a folder with a
    /// `manifest.toml` for each. They add to the program's, and replace those of the same name.
    #[schemars(example = &"connectors")]
    connectors_dir: Option<String>,
    /// Where webhooks come in.
    #[serde(default)]
    server: ServerConfig,
    /// Where everything is kept.
    #[serde(default)]
    store: StoreConfig,
    /// The Salesforce org.
    salesforce: SalesforceConfig,
    /// Where leads come from: `[sources.<name>]`. The name, of letters, digits, `_` and `-`, is used
    /// in URLs, metrics and logs.
    #[serde(default)]
    #[schemars(example = &json!({ "demo_request": { "connector": "web-form" } }))]
    sources: BTreeMap<String, SourceConfig>,
}

impl Schemas {
    /// The schema of a source with this connector.
    pub fn source(&self, connector: &str) -> Option<&Value> {
        self.root["definitions"].get(definition_name(connector))
    }

    /// The schema of a source of `manifest`, which need not be one of the program's.
    pub fn of_manifest(&self, manifest: &Manifest) -> Value {
        let own = connector::manifest_schema(manifest, &self.common_options);
        merge(&manifest.name, &self.common_source, &own)
    }

    /// Follows references; the description of the place itself is lost.
    pub fn resolve<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        loop {
            if let Some(target) = reference(schema) {
                schema = &self.root["definitions"][target];
            } else if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice) {
                schema = only;
            } else {
                return schema;
            }
        }
    }
}

/// Whether a schema is that of a secret.
pub(super) fn is_secret(schema: &Value) -> bool {
    let direct = schema["allOf"].get(0).unwrap_or(schema);
    // One, or a list of them.
    let direct = match direct["anyOf"].get(0) {
        Some(one) => one["allOf"].get(0).unwrap_or(one),
        None => direct,
    };
    reference(direct) == Some("SecretRef")
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/definitions/")
}

fn definition_name(connector: &str) -> String {
    format!("source-{connector}")
}

fn generate() -> Schemas {
    let mut generator = SchemaSettings::draft07().into_generator();
    let options: Vec<(&str, String)> = connector::RUST
        .iter()
        .filter_map(|name| {
            let schema = connector::options_schema(name, &mut generator)?;
            Some((*name, reference(schema.as_value())?.to_owned()))
        })
        .collect();
    let common_options = generator.subschema_for::<CommonOptions>();
    let common_options = reference(common_options.as_value())
        .unwrap_or_default()
        .to_owned();
    let mut root = generator
        .into_root_schema_for::<Document>()
        .as_value()
        .clone();
    simplify(&mut root);
    root["title"] = "leadstream.toml".into();
    root["description"] = "Configuration of leadstream: leads in, Salesforce out.".into();

    let mut definitions = match root["definitions"].take() {
        Value::Object(definitions) => definitions,
        _ => Map::new(),
    };
    let common = definitions.remove("SourceConfig").unwrap_or_default();
    let common_source_keys = keys(&common);
    let common_options = match definitions.remove(&common_options) {
        Some(Value::Object(mut schema)) => match schema["properties"].take() {
            Value::Object(properties) => properties,
            _ => Map::new(),
        },
        _ => Map::new(),
    };
    let mut choices = Vec::new();
    for (connector, definition) in options {
        let own = definitions.remove(&definition).unwrap_or_default();
        let name = definition_name(connector);
        choices.push(json!({ "$ref": format!("#/definitions/{name}") }));
        definitions.insert(name, merge(connector, &common, &own));
    }
    for manifest in Catalog::embedded().all() {
        let own = connector::manifest_schema(manifest, &common_options);
        let name = definition_name(&manifest.name);
        choices.push(json!({ "$ref": format!("#/definitions/{name}") }));
        definitions.insert(name, merge(&manifest.name, &common, &own));
    }
    root["definitions"] = Value::Object(definitions);
    root["properties"]["sources"]["additionalProperties"] = match &choices[..] {
        [only] => only.clone(),
        _ => json!({ "oneOf": choices }),
    };
    let (mut keys, mut maps) = (BTreeSet::new(), BTreeSet::new());
    collect_keys(&root, &mut keys, &mut maps);
    Schemas {
        root,
        common_source_keys,
        keys,
        maps,
        common_source: common,
        common_options,
    }
}

fn collect_keys(schema: &Value, keys: &mut BTreeSet<String>, maps: &mut BTreeSet<String>) {
    let Some(object) = schema.as_object() else {
        return;
    };
    for (key, property) in object
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        keys.insert(key.clone());
        if property["additionalProperties"].is_object() {
            maps.insert(key.clone());
        }
        collect_keys(property, keys, maps);
    }
    for definition in object
        .get("definitions")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|definitions| definitions.values())
    {
        collect_keys(definition, keys, maps);
    }
}

fn keys(schema: &Value) -> Vec<String> {
    schema["properties"]
        .as_object()
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

/// What all sources have and what this connector adds, as one table.
fn merge(connector: &str, common: &Value, own: &Value) -> Value {
    let mut merged = common.clone();
    merged["description"] = format!("A source with `connector = \"{connector}\"`.").into();
    merged["properties"]["connector"]["enum"] = json!([connector]);
    if let Some(properties) = own["properties"].as_object() {
        for (key, schema) in properties {
            merged["properties"][key] = schema.clone();
        }
    }
    let required = [common, own]
        .iter()
        .filter_map(|schema| schema["required"].as_array())
        .flatten()
        .cloned()
        .collect();
    merged["required"] = Value::Array(required);
    merged
}

/// Makes of schemars' output what people and editors need: TOML has no null, and widths of numbers
/// say nothing to them.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            simplify_object(object);
            for (key, value) in object {
                match (key.as_str(), value) {
                    // What is in there is named by us: `default` may be a key of its own.
                    ("properties" | "definitions", Value::Object(named)) => {
                        named.values_mut().for_each(simplify);
                    }
                    ("examples" | "default" | "enum" | "const", _) => {}
                    (_, value) => simplify(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

fn simplify_object(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            object["type"] = only.clone();
        }
    }
    if let Some(Value::Array(mut choices)) = object.remove("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        let key = if choices.len() == 1 { "allOf" } else { "anyOf" };
        object.insert(key.to_owned(), Value::Array(choices));
    }
    // Of a table each key has its own; those of the whole would say it twice, with nulls.
    if object
        .get("default")
        .is_some_and(|default| default.is_null() || default.is_object())
    {
        object.remove("default");
    }
    if let Some(Value::String(description)) = object.get_mut("description") {
        // One paragraph a line: editors break lines themselves.
        *description = description
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "))
            .collect::<Vec<_>>()
            .join("\n\n");
    }
    if object.get("format").is_some_and(Value::is_string)
        && let Some(Value::String(format)) = object.remove("format")
        && matches!(format.as_str(), "uri" | "ip")
    {
        object.insert("x-format".to_owned(), format.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::mask;
    use super::*;

    /// Calls `visit` with the dotted path and schema of every key.
    fn each_key(schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            visit(&path, property);
            each_key(SCHEMAS.resolve(property), &path, visit);
            let inner = &SCHEMAS.resolve(property)["additionalProperties"];
            let choices = ["oneOf", "anyOf"].map(|several| inner[several].as_array());
            for inner in choices.into_iter().flatten().flatten().chain([inner]) {
                each_key(SCHEMAS.resolve(inner), &format!("{path}.*"), visit);
            }
        }
    }

    #[test]
    fn every_key_has_a_description_and_an_example() {
        let mut count = 0;
        each_key(&SCHEMAS.root, "", &mut |path, property| {
            count += 1;
            let resolved = SCHEMAS.resolve(property);
            let description = property["description"].as_str().unwrap_or_default();
            assert!(description.len() > 5, "{path} has no description");
            let is_section = resolved["properties"].is_object() && !is_secret(property);
            let has_example = property["examples"].get(0).is_some();
            assert!(is_section || has_example, "{path} has no example");
        });
        assert!(count > 50, "only {count} keys were visited");
    }

    #[test]
    fn a_key_that_takes_a_secret_is_known_as_such_to_the_mask() {
        let mut count = 0;
        each_key(&SCHEMAS.root, "", &mut |path, property| {
            if is_secret(property) {
                count += 1;
                let key = path.rsplit('.').next().unwrap();
                assert!(mask::is_secret_key(key), "{path}");
            }
        });
        assert!(count >= 3, "only {count} secrets were visited");
    }

    #[test]
    fn no_table_takes_unknown_keys() {
        each_key(&SCHEMAS.root, "", &mut |path, property| {
            let resolved = SCHEMAS.resolve(property);
            if resolved["properties"].is_object() {
                assert_eq!(resolved["additionalProperties"], false, "{path}");
            }
        });
        assert_eq!(SCHEMAS.root["additionalProperties"], false);
    }

    #[test]
    fn keys_of_the_users_own_are_told_from_ours() {
        let maps: Vec<&str> = SCHEMAS.maps.iter().map(String::as_str).collect();
        assert_eq!(
            maps,
            [
                "contact",
                "custom_fields",
                "fields",
                "lead",
                "sources",
                "values"
            ]
        );
        for key in [
            "listen",
            "client_secret",
            "min_score",
            "env",
            "write",
            "default",
        ] {
            assert!(SCHEMAS.keys.contains(key), "{key}");
        }
    }

    #[test]
    fn the_schema_is_draft_7_without_null() {
        assert_eq!(
            SCHEMAS.root["$schema"],
            "http://json-schema.org/draft-07/schema#"
        );
        let text = SCHEMAS.root.to_string();
        for absent in [
            "\"null\"",
            "uint",
            "$defs",
            "SourceConfig",
            "WebFormOptions",
        ] {
            assert!(!text.contains(absent), "{absent}");
        }
    }
}
