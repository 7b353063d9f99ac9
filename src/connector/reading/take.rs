use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::alias::{Meaning, fold};
use super::attribution::attribution;
use super::form::{Field, Form};
use super::name::Said;
use super::text::{choose, clean, looks_like_email, texts};
use crate::config::FieldMapping;
use crate::model::EventMeta;
use crate::model::field::ATTRIBUTION;

/// What has become of one of the named values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing yet.
    Open,
    /// Is blank, says nothing about the person, or is asked for by no one: only the configuration can
    /// take it.
    Aside,
    /// Its value has been taken, or must never be.
    Used,
}

/// Named values on their way to lead fields. Each value is taken once.
#[derive(Debug)]
pub struct Reading<'f> {
    form: &'f Form,
    said: &'f [Arc<Said>],
    state: Vec<State>,
    /// By lead field; what is there already is kept.
    pub fields: BTreeMap<String, String>,
    /// UTM parameters, click ids, `referrer`, `landing_page`.
    pub attribution: BTreeMap<String, String>,
}

impl<'f> Reading<'f> {
    /// Begins with where the person came from. `said` is what the names of the values say, in their
    /// order.
    pub fn new(form: &'f Form, said: &'f [Arc<Said>], meta: &EventMeta) -> Self {
        let origin = attribution(form, said, meta);
        let mut state = vec![State::Open; form.fields.len()];
        for index in origin.used {
            state[index] = State::Used;
        }
        Self {
            form,
            said,
            state,
            fields: BTreeMap::new(),
            attribution: origin.values,
        }
    }

    /// Sets aside what is blank and what `is_control` tells, and never lets go of what nobody may
    /// keep.
    pub fn set_aside(&mut self, is_control: &dyn Fn(&Field, &Said) -> bool) {
        let fields = self.form.fields.iter().zip(self.said);
        for ((field, said), state) in fields.zip(&mut self.state) {
            if said.is_forbidden {
                *state = State::Used;
            } else if *state == State::Open && (field.first().is_none() || is_control(field, said))
            {
                *state = State::Aside;
            }
        }
    }

    /// What `[sources.<name>.fields]` names goes first, whatever else its name means.
    pub fn take_configured(&mut self, mappings: &BTreeMap<String, FieldMapping>) {
        for (target, mapping) in mappings {
            let mut found = None;
            for name in &mapping.from {
                let value = self.take(target, name);
                found = found.or(value);
            }
            let Some(value) = mapping.or_own(found) else {
                continue;
            };
            if ATTRIBUTION.contains(&target.as_str()) {
                self.attribution.insert(target.clone(), value);
            } else {
                self.fields.insert(target.clone(), value);
            }
        }
    }

    /// Takes the value of `name` for the lead field `target`, without setting it.
    pub fn take(&mut self, target: &str, name: &str) -> Option<String> {
        let index = find(self.form, name)?;
        if self.said[index].is_forbidden {
            return None;
        }
        self.state[index] = State::Used;
        choose(target, texts(&self.form.fields[index]))
    }

    /// The value of exactly this name has been taken by other means.
    pub fn use_up(&mut self, name: &str) {
        let fields = self.form.fields.iter().zip(&mut self.state);
        for (field, state) in fields {
            if field.name == name {
                *state = State::Used;
            }
        }
    }

    /// Gives each value that is still open to the lead field that `target` names, if it names one that
    /// is not set.
    pub fn take_each(&mut self, target: &dyn Fn(&Field) -> Option<&'f str>) {
        for index in self.open() {
            let field = &self.form.fields[index];
            if let Some(target) = target(field)
                && !self.fields.contains_key(target)
                && let Some(value) = choose(target, texts(field))
            {
                self.fields.insert(target.to_owned(), value);
                self.state[index] = State::Used;
            }
        }
    }

    /// Gives each lead field the surest of the values that mean it. Names of one rank differ
    /// only in spelling: their values belong together.
    pub fn take_known(&mut self) {
        let meant = |index: usize| self.said[index].meaning.map(|meaning| (meaning, index));
        let mut candidates: Vec<_> = self.open().into_iter().filter_map(meant).collect();
        candidates.sort_unstable_by_key(|(meaning, index)| (meaning.field, meaning.rank, *index));
        let mut by_name = BTreeMap::new();
        for of_target in candidates.chunk_by(|(one, _), (next, _)| one.field == next.field) {
            let target = of_target[0].0.field;
            if self.fields.contains_key(target) {
                continue;
            }
            let by_rank = || of_target.chunk_by(|(one, _), (next, _)| one.rank == next.rank);
            let surest = if target == "email" {
                by_rank()
                    .find(|same| texts_of(self.form, same).any(|value| looks_like_email(&value)))
            } else {
                None
            };
            let Some(same) = surest.or_else(|| by_rank().next()) else {
                continue;
            };
            if let Some(value) = choose(target, texts_of(self.form, same)) {
                self.fields.insert(target.to_owned(), value);
                by_name.insert(target, self.said[same[0].1].folded.as_str());
                for (_, index) in same {
                    self.state[*index] = State::Used;
                }
            }
        }
        settle_names(&mut self.fields, &by_name);
    }

    /// What nobody asked for is kept under its own name: a form's own questions, and second answers
    /// that differ from the first.
    pub fn keep_unknown(&mut self) {
        for index in self.open() {
            let field = &self.form.fields[index];
            let name = clean(&field.name);
            let Some(value) = choose(&name, texts(field)) else {
                continue;
            };
            // What cleaning takes off a name makes no difference to its meaning.
            let meaning = self.said[index].meaning;
            let known = meaning.and_then(|meaning| self.fields.get(meaning.field));
            if !name.is_empty() && known != Some(&value) {
                self.fields.entry(name.into_owned()).or_insert(value);
            }
        }
    }

    fn open(&self) -> Vec<usize> {
        (0..self.state.len())
            .filter(|index| self.state[*index] == State::Open)
            .collect()
    }
}

/// The named value that a mapping's `from` means: by its name as it was sent; or with brackets
/// read as dots (`user[email]` is `user.email`); or without regard to spelling.
pub fn find(form: &Form, from: &str) -> Option<usize> {
    let dotted = |name: &str| name.replace('[', ".").replace(']', "");
    let position =
        |same: &dyn Fn(&str) -> bool| form.fields.iter().position(|field| same(&field.name));
    position(&|name| name == from)
        .or_else(|| {
            let from = dotted(from);
            position(&|name| dotted(name) == from)
        })
        .or_else(|| {
            let from = fold(from);
            position(&|name| !from.is_empty() && fold(name) == from)
        })
}

/// The same of several fields that mean one thing.
fn texts_of<'f>(form: &'f Form, same: &[(Meaning, usize)]) -> impl Iterator<Item = Cow<'f, str>> {
    same.iter()
        .flat_map(|(_, index)| texts(&form.fields[*index]))
}

/// Puts names right whose field means one thing alone and another beside a second field: `Name`
/// beside `Vorname` is the last name; `nombre`, `nome` and `nom` alone are the whole name.
fn settle_names(fields: &mut BTreeMap<String, String>, by_name: &BTreeMap<&str, &str>) {
    let named = |target: &str| by_name.get(target).copied().unwrap_or_default();
    let (first, last, full) = (
        fields.get("first_name"),
        fields.get("last_name"),
        fields.get("full_name"),
    );
    let (from, to) = match (first, last, full) {
        (Some(first), None, Some(full))
            if matches!(named("full_name"), "name" | "naam")
                && !full.to_lowercase().starts_with(&first.to_lowercase()) =>
        {
            ("full_name", "last_name")
        }
        (Some(_), None, None) if matches!(named("first_name"), "nombre" | "nome") => {
            ("first_name", "full_name")
        }
        (None, Some(_), None) if named("last_name") == "nom" => ("last_name", "full_name"),
        _ => return,
    };
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}
