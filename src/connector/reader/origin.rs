//! Where a manifest says that UTM parameters and click ids are.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::compile::{Compiler, Wanted};
use crate::connector::manifest;
use crate::connector::path::Path;
use crate::connector::reading::{Attribution, Form, attribution, said_by_names};
use crate::connector::select::{Scope, add_texts};
use crate::model::EventMeta;

/// A manifest's `[attribution]`, made ready.
#[derive(Debug)]
pub struct Origins {
    objects: Vec<Path>,
    urls: Vec<Path>,
    fields: Vec<(String, Wanted)>,
}

impl Origins {
    /// Parses its paths.
    pub fn new(attribution: &manifest::Attribution, compiler: &mut Compiler<'_>) -> Self {
        let fields = attribution.fields.iter().map(|(name, take)| {
            let wanted = compiler.within(name, |compiler| compiler.value(take));
            (name.clone(), wanted)
        });
        let fields = fields.collect();
        Self {
            objects: compiler.within("objects", |compiler| compiler.paths(&attribution.objects)),
            urls: compiler.within("urls", |compiler| compiler.paths(&attribution.urls)),
            fields,
        }
    }

    /// What its objects hold, by usual names.
    pub fn of(&self, scope: &Scope<'_>) -> Attribution {
        let mut found = Attribution::default();
        for object in self.objects.iter().flat_map(|path| path.all(scope.record)) {
            let Value::Object(members) = object else {
                continue;
            };
            let mut form = Form::default();
            for (name, value) in members.iter().take(200) {
                let mut texts = Vec::new();
                add_texts(value, &mut texts);
                for text in texts.into_iter().filter(|text| !is_unfilled(text)) {
                    form.add(name.clone(), text);
                }
            }
            let said = said_by_names(&form);
            add_place(
                &mut found,
                attribution(&form, &said, &EventMeta::default()).values,
            );
        }
        found
    }

    /// What they lack, from the queries of its addresses. The first address is the landing page.
    pub fn add_addresses(&self, scope: &Scope<'_>, found: &mut Attribution) {
        for path in &self.urls {
            let mut texts = Vec::new();
            for value in path.all(scope.record) {
                add_texts(value, &mut texts);
            }
            for text in texts {
                let Ok(url) = Url::parse(text.trim()) else {
                    continue;
                };
                if !matches!(url.scheme(), "http" | "https") {
                    continue;
                }
                if let Some(query) = url.query() {
                    found.add_from_query(query);
                }
                found.add("landing_page".to_owned(), &text);
            }
        }
    }

    /// What it names one by one.
    pub fn named(&self, scope: &Scope<'_>) -> BTreeMap<String, String> {
        let named = self.fields.iter();
        named
            .filter_map(|(name, wanted)| Some((name.clone(), wanted.find(scope)?.value)))
            .filter(|(_, value)| !is_unfilled(value))
            .collect()
    }
}

/// Adds what another place has. UTM parameters describe one visit together: they are never mixed.
pub fn add_place(found: &mut Attribution, place: BTreeMap<String, String>) {
    let has_utm = found.values.keys().any(|name| name.starts_with("utm_"));
    for (name, value) in place {
        if !(has_utm && name.starts_with("utm_")) {
            found.values.entry(name).or_insert(value);
        }
    }
}

/// A placeholder in an embedded form's address that was never replaced: `xxxxx`.
pub(super) fn is_unfilled(text: &str) -> bool {
    let text = text.trim();
    text.len() >= 4 && text.bytes().all(|byte| byte == b'x')
}
