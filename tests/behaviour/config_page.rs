//! The tables of docs/CONFIG.md, made from the schema. What stands above the marker is by hand.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use leadstream::config::{schema, to_toml};
use serde_json::Value;

use crate::check::compare;

const MARKER: &str = "<!-- From here on made from the program: UPDATE_GENERATED=1 cargo test -->\n";

/// Sections in the order in which people meet them: what is written in brackets, and its schema.
const SECTIONS: &[(&str, &str)] = &[
    ("[server]", "ServerConfig"),
    ("[store]", "StoreConfig"),
    ("[salesforce]", "SalesforceConfig"),
    ("[salesforce.budget]", "BudgetConfig"),
    ("[salesforce.existing]", "ExistingConfig"),
    ("[salesforce.campaigns]", "CampaignsConfig"),
    ("[salesforce.mirror]", "MirrorConfig"),
    (
        "[salesforce.lead] and [salesforce.contact] <Salesforce field> = {…}",
        "LeadMapping",
    ),
    (
        "[sources.<name>] with connector = \"web-form\"",
        "source-web-form",
    ),
    ("[sources.<name>.fields] <lead field> = {…}", "FieldTable"),
    ("[sources.<name>.captcha]", "Captcha"),
    ("[sources.<name>.consent]", "ConsentRule"),
];

#[test]
fn the_page_of_keys_is_the_generated_one() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIG.md");
    let held = fs::read_to_string(&file).unwrap();
    let (by_hand, _) = held.split_once(MARKER).unwrap();
    let schema = schema();
    let mut page = format!("{by_hand}{MARKER}\n## Above all sections\n");
    let include =
        serde_json::json!({ "properties": { "include": schema["properties"]["include"] } });
    write_table(&mut page, &schema, &include);
    for (heading, definition) in SECTIONS {
        let section = &schema["definitions"][definition];
        assert!(
            section["properties"].is_object(),
            "{definition} is not in the schema"
        );
        write!(page, "\n## `{heading}`\n\n{}\n", description(section)).unwrap();
        write_table(&mut page, &schema, section);
    }
    let form = keys(&schema["definitions"]["source-web-form"]);
    let every = |key: &String| {
        let mut others = connectors(&schema);
        others.all(|(_, source)| source["properties"].get(key).is_some())
    };
    let common: Vec<String> = form.into_iter().filter(every).collect();
    for (connector, source) in connectors(&schema) {
        write!(
            page,
            "\n## `[sources.<name>]` with `connector = \"{connector}\"`\n\nBeside the keys that every source has:\n"
        )
        .unwrap();
        let mut own = source.clone();
        let properties = own["properties"].as_object_mut().unwrap();
        properties.retain(|key, _| !common.contains(key));
        write_table(&mut page, &schema, &own);
    }
    compare(&file, &page).unwrap();
}

/// The sources of connectors that are manifests.
fn connectors(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let definitions = schema["definitions"].as_object().unwrap().iter();
    definitions
        .filter_map(|(name, source)| Some((name.strip_prefix("source-")?, source)))
        .filter(|(name, _)| !SECTIONS.iter().any(|(_, listed)| listed.ends_with(name)))
}

fn keys(section: &Value) -> Vec<String> {
    let properties = section["properties"].as_object().unwrap();
    properties.keys().cloned().collect()
}

#[test]
fn no_section_of_the_schema_is_left_out() {
    let schema = schema();
    let sections = schema["definitions"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, definition)| {
            // A secret's two keys are told with every key that takes one.
            definition["properties"].is_object() && definition["properties"]["env"].is_null()
        });
    for (name, _) in sections {
        assert!(
            SECTIONS.iter().any(|(_, listed)| listed == name) || name.starts_with("source-"),
            "{name} is in no table"
        );
    }
}

fn write_table(page: &mut String, root: &Value, section: &Value) {
    page.push_str("\n| key | what it does | unless set | example |\n| --- | --- | --- | --- |\n");
    let required = section["required"].as_array();
    for (key, property) in section["properties"].as_object().unwrap() {
        let must = required.is_some_and(|required| required.contains(&Value::from(key.as_str())));
        let unless_set = match &property["default"] {
            _ if must => "required".to_owned(),
            Value::Null => "—".to_owned(),
            Value::String(text) if text.is_empty() => "—".to_owned(),
            default => code(default),
        };
        let example = property["examples"].get(0).map_or("—".to_owned(), code);
        let what = what(root, property);
        writeln!(page, "| `{key}` | {what} | {unless_set} | {example} |").unwrap();
    }
}

/// The description, followed by what may be written.
fn what(root: &Value, property: &Value) -> String {
    let mut what = cell(description(property));
    let resolved = resolve(root, property);
    if let Some(choices) = resolved["oneOf"].as_array() {
        for choice in choices {
            write!(
                what,
                "<br>{}: {}",
                code(&choice["const"]),
                cell(description(choice))
            )
            .unwrap();
        }
    } else if resolved["properties"]["env"].is_object() {
        what.push_str("<br>A secret: `{ env = \"NAME\" }` or `{ file = \"/path\" }`.");
    }
    if let (Some(least), Some(most)) = (resolved["minimum"].as_f64(), resolved["maximum"].as_f64())
    {
        write!(what, "<br>From {least} to {most}.").unwrap();
    }
    what
}

fn resolve<'a>(root: &'a Value, property: &'a Value) -> &'a Value {
    let direct = property["allOf"].get(0).unwrap_or(property);
    let direct = match direct["anyOf"].get(0) {
        Some(one) if one["allOf"].is_array() => &one["allOf"][0],
        _ => direct,
    };
    match direct["$ref"].as_str() {
        Some(target) => root.pointer(target.trim_start_matches('#')).unwrap(),
        None => direct,
    }
}

fn description(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

fn code(value: &Value) -> String {
    format!("`{}`", to_toml(value))
}

/// Text in a cell: a line break would end the table.
fn cell(text: &str) -> String {
    text.replace("\n\n", "<br>").replace('|', "\\|")
}
