//! A form's values to one submission. Pure, and raw: nothing is normalised here.

use std::collections::BTreeMap;

use super::alias::{fold, meaning};
use super::attribution::attribution;
use super::body::{Field, Form};
use super::control::{
    RENDERED_AT, SUBMISSION_ID, is_control, is_forbidden, is_honeypot, is_no, is_test_marker,
    is_yes,
};
use super::{OnCaptchaUnavailable, WebFormOptions, web_to_lead};
use crate::config::{FieldMapping, SourceConfig};
use crate::model::field::{self, ATTRIBUTION, Kind};
use crate::model::{CaptchaVerdict, Event, EventMeta, Extracted, Millis, Verdict};

/// The longest id of a submission that is taken for one.
const MAX_VENDOR_ID_BYTES: usize = 255;

/// Where the time that the person took over the form is kept, if the form sends [`RENDERED_AT`].
const FILL_TIME: &str = "filled_in_seconds";

/// Reads one submission out of a form.
pub fn extract(
    form: Form,
    event: &Event,
    source: &SourceConfig,
    options: &WebFormOptions,
) -> Extracted {
    let origin = attribution(&form, &event.meta);
    let mut reading = Reading {
        state: vec![State::Open; form.fields.len()],
        form: &form,
        fields: BTreeMap::new(),
        attribution: origin.values,
    };
    for index in origin.used {
        reading.state[index] = State::Used;
    }
    reading.set_control_aside(options);
    reading.take_configured(&source.fields);
    reading.take_custom_fields(&options.custom_fields);
    reading.take_known();
    reading.keep_unknown();
    reading.note_files();
    if let Some(language) = language(&event.meta) {
        reading
            .fields
            .entry("language".to_owned())
            .or_insert(language);
    }
    if let Some(seconds) = fill_time(&form, event.received_at) {
        reading.fields.insert(FILL_TIME.to_owned(), seconds);
    }
    Extracted {
        ordinal: 0,
        vendor_id: vendor_id(&form, &event.meta),
        at: None,
        fields: reading.fields,
        attribution: reading.attribution,
        verdict: verdict(&form, &event.meta, options),
    }
}

/// What has become of one of the form's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing yet.
    Open,
    /// Steers the form, is blank, or is asked for by no one: only the configuration can take it.
    Aside,
    /// Its value has been taken, or must never be.
    Used,
}

struct Reading<'f> {
    form: &'f Form,
    state: Vec<State>,
    fields: BTreeMap<String, String>,
    attribution: BTreeMap<String, String>,
}

impl Reading<'_> {
    fn set_control_aside(&mut self, options: &WebFormOptions) {
        let web_to_lead = web_to_lead::is_web_to_lead(self.form);
        for (field, state) in self.form.fields.iter().zip(&mut self.state) {
            let name = field.name.as_str();
            if is_forbidden(name) {
                *state = State::Used;
            } else if *state == State::Open
                && (field.first().is_none()
                    || is_control(name)
                    || is_honeypot(name, options)
                    || (is_test_marker(name) && field.first().is_some_and(is_yes))
                    || (web_to_lead && web_to_lead::is_control(name)))
            {
                *state = State::Aside;
            }
        }
    }

    /// What `[sources.<name>.fields]` names goes first, whatever else its name means.
    fn take_configured(&mut self, mappings: &BTreeMap<String, FieldMapping>) {
        for (target, mapping) in mappings {
            let Some(index) = find(self.form, &mapping.from) else {
                continue;
            };
            let field = &self.form.fields[index];
            if is_forbidden(&field.name) {
                continue;
            }
            self.state[index] = State::Used;
            let Some(value) = choose(target, texts(field).collect()) else {
                continue;
            };
            if ATTRIBUTION.contains(&target.as_str()) {
                self.attribution.insert(target.clone(), value);
            } else {
                self.fields.insert(target.clone(), value);
            }
        }
    }

    fn take_custom_fields(&mut self, custom_fields: &BTreeMap<String, String>) {
        for index in self.open() {
            let field = &self.form.fields[index];
            if let Some(target) = web_to_lead::custom_field(&field.name, custom_fields)
                && !self.fields.contains_key(target)
                && let Some(value) = choose(target, texts(field).collect())
            {
                self.fields.insert(target.to_owned(), value);
                self.state[index] = State::Used;
            }
        }
    }

    /// Gives each lead field the surest of the form's fields that mean it. Fields of one rank differ
    /// only in spelling: their values belong together.
    fn take_known(&mut self) {
        let mut candidates: BTreeMap<&'static str, BTreeMap<u16, Vec<usize>>> = BTreeMap::new();
        for index in self.open() {
            if let Some(meaning) = meaning(&self.form.fields[index].name) {
                candidates
                    .entry(meaning.field)
                    .or_default()
                    .entry(meaning.rank)
                    .or_default()
                    .push(index);
            }
        }
        let mut by_name = BTreeMap::new();
        for (target, by_rank) in candidates {
            if self.fields.contains_key(target) {
                continue;
            }
            let has_valid_email = |indexes: &&Vec<usize>| {
                indexes
                    .iter()
                    .flat_map(|index| texts(&self.form.fields[*index]))
                    .any(|value| looks_like_email(&value))
            };
            let surest = if target == "email" {
                by_rank.values().find(has_valid_email)
            } else {
                None
            };
            let Some(indexes) = surest.or_else(|| by_rank.values().next()) else {
                continue;
            };
            let values = indexes
                .iter()
                .flat_map(|index| texts(&self.form.fields[*index]));
            if let Some(value) = choose(target, values.collect()) {
                self.fields.insert(target.to_owned(), value);
                by_name.insert(target, fold(&self.form.fields[indexes[0]].name));
                for index in indexes {
                    self.state[*index] = State::Used;
                }
            }
        }
        settle_names(&mut self.fields, &by_name);
    }

    /// What nobody asked for is kept under its own name: a form's own questions, and second answers
    /// that differ from the first.
    fn keep_unknown(&mut self) {
        for index in self.open() {
            let field = &self.form.fields[index];
            let name = clean(&field.name);
            let Some(value) = choose(&name, texts(field).collect()) else {
                continue;
            };
            let known = meaning(&name).and_then(|meaning| self.fields.get(meaning.field));
            if !name.is_empty() && known != Some(&value) {
                self.fields.entry(name).or_insert(value);
            }
        }
    }

    /// Files stay in the event. Their own names are the sender's, and are not kept.
    fn note_files(&mut self) {
        for file in &self.form.files {
            let kind: String = file
                .kind
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || "/.+-".contains(*c))
                .take(100)
                .collect();
            let name = clean(&file.name);
            if field::find(&name).is_none() && !is_forbidden(&name) {
                self.fields
                    .entry(name)
                    .or_insert(format!("file: {kind}, {} bytes", file.bytes));
            }
        }
    }

    fn open(&self) -> Vec<usize> {
        (0..self.state.len())
            .filter(|index| self.state[*index] == State::Open)
            .collect()
    }
}

/// The form's field that a mapping's `from` means: by its name as it was sent; or with brackets
/// read as dots (`user[email]` is `user.email`); or without regard to spelling.
fn find(form: &Form, from: &str) -> Option<usize> {
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

/// A field's values, clean, without blanks.
fn texts(field: &Field) -> impl Iterator<Item = String> {
    field
        .values
        .iter()
        .map(|value| clean(value))
        .filter(|value| !value.is_empty())
}

/// A text trimmed, with line breaks as `\n` and without other control characters.
fn clean(text: &str) -> String {
    let text = text.trim();
    if !text.bytes().any(|byte| byte.is_ascii_control()) {
        return text.to_owned();
    }
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

/// One value out of several: the first e-mail address that looks like one; of a yes-or-no field the
/// first yes (a hidden `0` before a checkbox is how frameworks send its absence); else all, each
/// once, joined by `;`.
fn choose(target: &str, mut values: Vec<String>) -> Option<String> {
    let is_yes_or_no =
        target == "consent" || field::find(target).is_some_and(|field| field.kind == Kind::OptOut);
    let preferred = if target == "email" {
        values.iter().position(|value| looks_like_email(value))
    } else if is_yes_or_no {
        values.iter().position(|value| !is_no(value))
    } else {
        let mut distinct: Vec<String> = Vec::with_capacity(values.len());
        for value in values {
            if !distinct.contains(&value) {
                distinct.push(value);
            }
        }
        return (!distinct.is_empty()).then(|| distinct.join(";"));
    };
    let index = preferred.unwrap_or(0);
    (index < values.len()).then(|| values.swap_remove(index))
}

/// Whether a text could be an e-mail address. Normalising judges it; this only tells a hidden
/// field's rubbish from what a person typed.
fn looks_like_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.contains('@')
            && !text.contains(char::is_whitespace)
            && domain
                .split_once('.')
                .is_some_and(|(host, rest)| !host.is_empty() && !rest.is_empty())
    })
}

/// Puts names right whose field means one thing alone and another beside a second field: `Name`
/// beside `Vorname` is the last name; `nombre`, `nome` and `nom` alone are the whole name.
fn settle_names(fields: &mut BTreeMap<String, String>, by_name: &BTreeMap<&str, String>) {
    let named = |target: &str| by_name.get(target).map_or("", String::as_str);
    let (first, last, full) = (
        fields.get("first_name").cloned(),
        fields.get("last_name").cloned(),
        fields.get("full_name").cloned(),
    );
    let mut rename = |from: &str, to: &str| {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    };
    match (first, last, full) {
        (Some(first), None, Some(full))
            if matches!(named("full_name"), "name" | "naam")
                && !full.to_lowercase().starts_with(&first.to_lowercase()) =>
        {
            rename("full_name", "last_name");
        }
        (Some(_), None, None) if matches!(named("first_name"), "nombre" | "nome") => {
            rename("first_name", "full_name");
        }
        (None, Some(_), None) if named("last_name") == "nom" => rename("last_name", "full_name"),
        _ => {}
    }
}

/// The language that the browser asks for first.
fn language(meta: &EventMeta) -> Option<String> {
    let header = meta.accept_language.as_deref()?;
    let tag = header.split([',', ';']).next()?.trim();
    let is_tag = (2..=35).contains(&tag.len())
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_tag.then(|| tag.to_owned())
}

/// Seconds from the page's rendering, by its own clock in seconds or milliseconds, to the post. Only
/// noted: clocks of visitors are wrong too often to judge by.
fn fill_time(form: &Form, received_at: Millis) -> Option<String> {
    const FIRST_READ_AS_MILLISECONDS: i64 = 100_000_000_000;
    const LONGEST_SECONDS: i64 = 7 * 24 * 3600;
    let rendered: i64 = form.first(RENDERED_AT)?.parse().ok()?;
    let rendered = if rendered < FIRST_READ_AS_MILLISECONDS {
        rendered.checked_mul(1000)?
    } else {
        rendered
    };
    let took = received_at.0.checked_sub(rendered)?;
    (0..=LONGEST_SECONDS * 1000)
        .contains(&took)
        .then(|| format!("{}.{}", took / 1000, took % 1000 / 100))
}

fn vendor_id(form: &Form, meta: &EventMeta) -> Option<String> {
    form.first(SUBMISSION_ID)
        .or(meta.idempotency_key.as_deref())
        .map(clean)
        .filter(|id| !id.is_empty() && id.len() <= MAX_VENDOR_ID_BYTES)
}

/// Spam goes before test: a machine that ticks every box is still a machine.
fn verdict(form: &Form, meta: &EventMeta, options: &WebFormOptions) -> Verdict {
    let filled = |is: &dyn Fn(&str) -> bool| {
        form.fields
            .iter()
            .find(|field| is(&field.name) && field.first().is_some())
    };
    if let Some(field) = filled(&|name| is_honeypot(name, options)) {
        return Verdict::Spam(format!(
            "`{}`, which people do not see, is filled in",
            field.name
        ));
    }
    if let Some(CaptchaVerdict::Failed(codes)) = &meta.captcha {
        return Verdict::Spam(format!("the captcha was not passed: {}", codes.join(", ")));
    }
    let is_test = |field: &&Field| is_test_marker(&field.name) && field.first().is_some_and(is_yes);
    if let Some(field) = form.fields.iter().find(is_test) {
        return Verdict::Test(format!("the form sends `{}`", field.name));
    }
    if let (Some(CaptchaVerdict::Unknown(why)), Some(captcha)) = (&meta.captcha, &options.captcha)
        && captcha.on_unavailable == OnCaptchaUnavailable::Review
    {
        return Verdict::Review(format!("the captcha could not be checked: {why}"));
    }
    Verdict::Genuine
}

#[cfg(test)]
mod tests;
