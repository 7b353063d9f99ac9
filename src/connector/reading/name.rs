//! What the names of a form's fields say. A form sends the same names with every submission, so
//! what they say is worked out once and remembered.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;

use super::alias::{Meaning, fold, meaning};
use super::attribution::parameter;
use super::form::Form;
use super::mark::{is_forbidden, is_test_marker};

/// The most names that are remembered, 255 bytes each at most: a sender who makes up names must not
/// fill the memory.
const MOST_NAMES: usize = 2_000;

/// What a name says by itself, whatever its field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The name without what makes no difference.
    pub folded: String,
    /// The same of its last part: `url` of `page.url`.
    pub last_folded: String,
    /// The attribution parameter that its last part means.
    pub parameter: Option<String>,
    /// The lead field that it means.
    pub meaning: Option<Meaning>,
    /// Whether such a field must never be kept.
    pub is_forbidden: bool,
    /// Whether the form is only being tried out, if the value is yes.
    pub is_test_marker: bool,
}

impl Said {
    fn by(name: &str) -> Self {
        // Attribution says the same wherever a JSON form nests it.
        let last = name.rsplit('.').next().unwrap_or_default();
        let folded = fold(name);
        Self {
            last_folded: fold(last),
            parameter: parameter(last),
            meaning: meaning(name),
            is_forbidden: is_forbidden(name),
            is_test_marker: is_test_marker(&folded),
            folded,
        }
    }
}

static REMEMBERED: LazyLock<RwLock<HashMap<String, Arc<Said>>>> = LazyLock::new(RwLock::default);

/// What the names of the form's fields say, in the fields' order.
pub fn said_by_names(form: &Form) -> Vec<Arc<Said>> {
    let remembered = REMEMBERED.read();
    let found: Vec<Option<Arc<Said>>> = form
        .fields
        .iter()
        .map(|field| remembered.get(&field.name).cloned())
        .collect();
    drop(remembered);
    let names = form.fields.iter().map(|field| &field.name);
    found
        .into_iter()
        .zip(names)
        .map(|(found, name)| found.unwrap_or_else(|| remember(name)))
        .collect()
}

/// What one name says.
pub fn said_by_name(name: &str) -> Arc<Said> {
    let found = REMEMBERED.read().get(name).cloned();
    found.unwrap_or_else(|| remember(name))
}

fn remember(name: &str) -> Arc<Said> {
    let said = Arc::new(Said::by(name));
    let mut remembered = REMEMBERED.write();
    if remembered.len() >= MOST_NAMES {
        remembered.clear();
    }
    remembered.insert(name.to_owned(), Arc::clone(&said));
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_name_says_what_it_said_first_and_made_up_names_do_not_pile_up() {
        let mut form = Form::default();
        for name in ["E-Mail", "page.url", "x.utm_source", "user[pwd]", "is_test"] {
            form.add(name.to_owned(), "1".to_owned());
        }
        let expect: Vec<Said> = form
            .fields
            .iter()
            .map(|field| Said::by(&field.name))
            .collect();
        assert_eq!(
            expect[0].meaning.map(|meaning| meaning.field),
            Some("email")
        );
        assert_eq!(expect[1].last_folded, "url");
        assert_eq!(expect[2].parameter.as_deref(), Some("utm_source"));
        assert!(expect[3].is_forbidden);
        assert!(expect[4].is_test_marker);
        for round in 0..3 {
            let said = said_by_names(&form);
            assert!(said.iter().map(|said| &**said).eq(&expect), "{round}");
            for made_up in 0..MOST_NAMES {
                remember(&format!("{round}.{made_up}"));
            }
            assert!(REMEMBERED.read().len() <= MOST_NAMES);
        }
    }
}
