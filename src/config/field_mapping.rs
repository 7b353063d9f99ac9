use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor, value};
use serde::{Deserialize, Serialize};

/// Where in the payload a lead field is: a name, a list of names of which the first that holds
/// something counts, or a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FieldMapping {
    /// Names of the field in the payload, in the order in which they are tried.
    pub from: Vec<String>,
    /// What the field holds where nothing is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Values to replace, e.g. a form's answer by the picklist's value.
    pub values: BTreeMap<String, String>,
}

impl FieldMapping {
    /// What was found, or with nothing found the mapping's own value. Values are replaced later, when
    /// they are normalised.
    pub fn or_own(&self, found: Option<String>) -> Option<String> {
        found.or_else(|| self.value.clone())
    }
}

/// The table, as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "FieldTable",
    description = "Where in the payload a lead field is: a table, or the name or names in `from` by themselves."
)]
struct Table {
    /// The name of the field in the payload; dots go into nested JSON: `answers.plan`. Of several
    /// the first that holds something counts.
    #[serde(default)]
    #[schemars(example = &"answers.plan")]
    from: Names,
    /// What the field holds where the payload says nothing; without `from`, always.
    #[schemars(example = &"Trade show")]
    value: Option<String>,
    /// Values to replace, e.g. a form's answer by the picklist's value.
    #[serde(default)]
    #[schemars(example = &serde_json::json!({ "a": "Starter" }))]
    values: BTreeMap<String, String>,
}

#[derive(Default)]
struct Names(Vec<String>);

impl JsonSchema for Names {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string", "minLength": 1 } }
            ]
        })
    }
}

impl JsonSchema for FieldMapping {
    fn schema_name() -> Cow<'static, str> {
        "FieldMapping".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<Table>();
        schemars::json_schema!({
            "description": "Where in the payload a lead field is.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string", "minLength": 1 } },
                table
            ]
        })
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FieldMapping::deserialize(deserializer).map(|mapping| Self(mapping.from))
    }
}

impl<'de> Deserialize<'de> for FieldMapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mappings;
        impl<'de> Visitor<'de> for Mappings {
            type Value = FieldMapping;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name, a list of names, or a table with `from`")
            }

            fn visit_str<E>(self, name: &str) -> Result<FieldMapping, E> {
                Ok(FieldMapping {
                    from: vec![name.to_owned()],
                    ..FieldMapping::default()
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<FieldMapping, A::Error> {
                let from = Vec::deserialize(value::SeqAccessDeserializer::new(names))?;
                Ok(FieldMapping {
                    from,
                    ..FieldMapping::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<FieldMapping, A::Error> {
                let table = Table::deserialize(value::MapAccessDeserializer::new(table))?;
                Ok(FieldMapping {
                    from: table.from.0,
                    value: table.value,
                    values: table.values,
                })
            }
        }
        deserializer.deserialize_any(Mappings)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mapping_is_a_name_a_list_or_a_table() {
        for (written, from, value) in [
            (json!("plan"), vec!["plan"], None),
            (json!(["plan", "Plan"]), vec!["plan", "Plan"], None),
            (json!({ "from": "plan" }), vec!["plan"], None),
            (
                json!({ "from": ["a", "b"], "value": "c" }),
                vec!["a", "b"],
                Some("c"),
            ),
            (json!({ "value": "Trade show" }), vec![], Some("Trade show")),
        ] {
            let mapping: FieldMapping = serde_json::from_value(written).unwrap();
            assert_eq!(mapping.from, from);
            assert_eq!(mapping.value.as_deref(), value);
        }
        assert!(serde_json::from_value::<FieldMapping>(json!({ "form": "x" })).is_err());
    }
}
