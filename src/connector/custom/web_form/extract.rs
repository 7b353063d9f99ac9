//! A form's values to one submission. Pure, and raw: nothing is normalised here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::alias::{Meaning, fold};
use super::attribution::attribution;
use super::body::{Field, Form};
use super::control::{
    RENDERED_AT, SUBMISSION_ID, is_control, is_forbidden, is_honeypot, is_no, is_yes,
};
use super::name::{Said, said_by_names};
use super::{OnCaptchaUnavailable, WebFormOptions, web_to_lead};
use crate::config::FieldMapping;
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
    mappings: &BTreeMap<String, FieldMapping>,
    options: &WebFormOptions,
) -> Extracted {
    let said = said_by_names(&form);
    let origin = attribution(&form, &said, &event.meta);
    let mut reading = Reading {
        state: vec![State::Open; form.fields.len()],
        form: &form,
        said: &said,
        fields: BTreeMap::new(),
        attribution: origin.values,
    };
    for index in origin.used {
        reading.state[index] = State::Used;
    }
    reading.set_control_aside(options);
    reading.take_configured(mappings);
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
        version: None,
        at: None,
        fields: reading.fields,
        attribution: reading.attribution,
        verdict: verdict(&form, &said, &event.meta, options),
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
    said: &'f [Arc<Said>],
    state: Vec<State>,
    fields: BTreeMap<String, String>,
    attribution: BTreeMap<String, String>,
}

impl Reading<'_> {
    fn set_control_aside(&mut self, options: &WebFormOptions) {
        let web_to_lead = web_to_lead::is_web_to_lead(self.form);
        let fields = self.form.fields.iter().zip(self.said);
        for ((field, said), state) in fields.zip(&mut self.state) {
            let name = field.name.as_str();
            if said.is_forbidden {
                *state = State::Used;
            } else if *state == State::Open
                && (field.first().is_none()
                    || is_control(name)
                    || is_honeypot(name, options)
                    || (said.is_test_marker && field.first().is_some_and(is_yes))
                    || (web_to_lead && web_to_lead::is_control(name)))
            {
                *state = State::Aside;
            }
        }
    }

    /// What `[sources.<name>.fields]` names goes first, whatever else its name means.
    fn take_configured(&mut self, mappings: &BTreeMap<String, FieldMapping>) {
        for (target, mapping) in mappings {
            let mut found = None;
            for from in &mapping.from {
                if let Some(index) = find(self.form, from)
                    && !self.said[index].is_forbidden
                {
                    self.state[index] = State::Used;
                    found = found.or_else(|| choose(target, texts(&self.form.fields[index])));
                }
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

    fn take_custom_fields(&mut self, custom_fields: &BTreeMap<String, String>) {
        for index in self.open() {
            let field = &self.form.fields[index];
            if let Some(target) = web_to_lead::custom_field(&field.name, custom_fields)
                && !self.fields.contains_key(target)
                && let Some(value) = choose(target, texts(field))
            {
                self.fields.insert(target.to_owned(), value);
                self.state[index] = State::Used;
            }
        }
    }

    /// Gives each lead field the surest of the form's fields that mean it. Fields of one rank differ
    /// only in spelling: their values belong together.
    fn take_known(&mut self) {
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
    fn keep_unknown(&mut self) {
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
                    .entry(name.into_owned())
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
fn texts(field: &Field) -> impl Iterator<Item = Cow<'_, str>> {
    field
        .values
        .iter()
        .map(|value| clean(value))
        .filter(|value| !value.is_empty())
}

/// The same of several fields that mean one thing.
fn texts_of<'f>(form: &'f Form, same: &[(Meaning, usize)]) -> impl Iterator<Item = Cow<'f, str>> {
    same.iter()
        .flat_map(|(_, index)| texts(&form.fields[*index]))
}

/// A text trimmed, with line breaks as `\n` and without other control characters.
fn clean(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if !text.bytes().any(|byte| byte.is_ascii_control()) {
        return Cow::Borrowed(text);
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
fn choose<'f>(target: &str, values: impl Iterator<Item = Cow<'f, str>>) -> Option<String> {
    let is_yes_or_no =
        target == "consent" || field::find(target).is_some_and(|field| field.kind == Kind::OptOut);
    let mut values: Vec<Cow<'f, str>> = values.collect();
    let preferred = if target == "email" {
        values.iter().position(|value| looks_like_email(value))
    } else if is_yes_or_no {
        values.iter().position(|value| !is_no(value))
    } else {
        if values.len() > 1 {
            let mut distinct = Vec::with_capacity(values.len());
            for value in values {
                if !distinct.contains(&value) {
                    distinct.push(value);
                }
            }
            return Some(distinct.join(";"));
        }
        None
    };
    let index = preferred.unwrap_or(0);
    (index < values.len()).then(|| values.swap_remove(index).into_owned())
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
        .map(Cow::into_owned)
}

/// Spam goes before test: a machine that ticks every box is still a machine.
fn verdict(form: &Form, said: &[Arc<Said>], meta: &EventMeta, options: &WebFormOptions) -> Verdict {
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
    let is_test = |(field, said): &(&Field, &Arc<Said>)| {
        said.is_test_marker && field.first().is_some_and(is_yes)
    };
    if let Some((field, _)) = form.fields.iter().zip(said).find(is_test) {
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
