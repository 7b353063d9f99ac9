//! A form's values to one submission. Pure, and raw: nothing is normalised here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::control::{RENDERED_AT, SUBMISSION_ID, is_control, is_honeypot};
use super::{OnCaptchaUnavailable, WebFormOptions, web_to_lead};
use crate::config::FieldMapping;
use crate::connector::reading::{
    Field, Form, Reading, Said, clean, is_forbidden, is_yes, said_by_names,
};
use crate::model::field;
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
    let mut reading = Reading::new(&form, &said, &event.meta);
    let web_to_lead = web_to_lead::is_web_to_lead(&form);
    reading.set_aside(&|field, said| {
        let name = field.name.as_str();
        is_control(name)
            || is_honeypot(name, options)
            || (said.is_test_marker && field.first().is_some_and(is_yes))
            || (web_to_lead && web_to_lead::is_control(name))
    });
    reading.take_configured(mappings);
    reading.take_each(&|field| web_to_lead::custom_field(&field.name, &options.custom_fields));
    reading.take_known();
    reading.keep_unknown();
    note_files(&form, &mut reading.fields);
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

/// Files stay in the event. Their own names are the sender's, and are not kept.
fn note_files(form: &Form, fields: &mut BTreeMap<String, String>) {
    for file in &form.files {
        let kind: String = file
            .kind
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "/.+-".contains(*c))
            .take(100)
            .collect();
        let name = clean(&file.name);
        if field::find(&name).is_none() && !is_forbidden(&name) {
            fields
                .entry(name.into_owned())
                .or_insert(format!("file: {kind}, {} bytes", file.bytes));
        }
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
