use serde_json::Value as Json;

/// A value as one would write it in TOML.
pub fn to_toml(value: &Json) -> String {
    match value {
        Json::Object(object) => {
            let entries: Vec<String> = object
                .iter()
                .map(|(key, value)| format!("{} = {}", key_to_toml(key), to_toml(value)))
                .collect();
            if entries.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{ {} }}", entries.join(", "))
            }
        }
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(to_toml).collect();
            format!("[{}]", items.join(", "))
        }
        Json::String(text) => toml::Value::from(text.as_str()).to_string(),
        other => other.to_string(),
    }
}

/// A key as one would write it in TOML: quoted only if it must be.
pub fn key_to_toml(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        toml::Value::from(key).to_string()
    }
}
