//! What an answer that is not 2xx means: by the manifest's rules, else by its status.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde_json::Value;

use crate::connector::manifest::{ErrorRule, Reaction};
use crate::connector::mechanism::auth::trouble::pause;
use crate::connector::mechanism::call::{CallError, Next};
use crate::connector::mechanism::rate;
use crate::connector::mechanism::words::status_words;
use crate::connector::select::{Scope, Taker, Test};
use crate::model::Millis;

/// The most of an error's body that is looked at.
const MOST_BYTES: usize = 1024 * 1024;

/// An error rule, made ready.
#[derive(Debug)]
struct Rule {
    status: Vec<u16>,
    when: Option<Test>,
    then: Reaction,
    wait: Option<Duration>,
    wait_from: Option<Taker>,
    hint: String,
}

/// A manifest's error rules.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// Some rule is for answers that call themselves a success.
    of_success: bool,
}

/// An answer, as far as rules look at it.
pub(super) struct Told<'a> {
    pub status: u16,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// Host and path.
    pub at: String,
    pub title: &'a str,
    pub now: Millis,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub reaction: Reaction,
    pub wait: Option<Duration>,
    pub message: String,
    pub hint: String,
}

impl Rules {
    pub fn new(rules: &[ErrorRule]) -> Result<Self, CallError> {
        let ready = rules.iter().map(|rule| {
            Ok(Rule {
                status: rule.status.clone(),
                when: rule.when.as_ref().map(Test::new).transpose()?,
                then: rule.then,
                wait: rule.wait_seconds.map(Duration::from_secs),
                wait_from: rule.wait_from.as_ref().map(Taker::new).transpose()?,
                hint: rule.hint.clone(),
            })
        });
        let rules: Result<Vec<Rule>, crate::connector::path::PathError> = ready.collect();
        let rules = rules.map_err(|error| {
            pause(
                "vendor.manifest",
                format!("a path in the manifest's [[errors]] cannot be read: {error}"),
                "correct the manifest",
            )
        })?;
        let success = |status: &u16| (200..300).contains(status);
        Ok(Self {
            of_success: rules.iter().any(|rule| rule.status.iter().any(success)),
            rules,
        })
    }

    /// What is to be done after an answer; none if it is a success.
    pub fn judge(&self, told: &Told<'_>) -> Option<Verdict> {
        let success = (200..300).contains(&told.status);
        if success && !self.of_success {
            return None;
        }
        // A page of records is looked at whole if a rule asks for that, an error's body never is.
        let body = if success || told.body.len() <= MOST_BYTES {
            told.body
        } else {
            &[]
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let headers: BTreeMap<String, String> = told
            .headers
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let scope = Scope {
            page: Some(&body),
            headers: Some(&headers),
            ..Scope::record(&body)
        };
        let rule = self.rules.iter().find(|rule| {
            let fits = match rule.status.as_slice() {
                [] => !success,
                named => named.contains(&told.status),
            };
            fits && rule.when.as_ref().is_none_or(|when| when.holds(&scope))
        });
        if rule.is_none() && success {
            return None;
        }
        let asked = told.headers.get(RETRY_AFTER);
        let asked = asked.and_then(|asked| rate::wait(asked.to_str().ok()?, told.now));
        let words = status_words(&body).map_or_else(String::new, |words| format!(" ({words})"));
        let (reaction, wait, hint) = match rule {
            Some(rule) => {
                let from = rule.wait_from.as_ref().and_then(|from| from.text(&scope));
                let from = from.and_then(|text| rate::wait(&text, told.now));
                // The longest of what is known: sooner is of no use.
                let wait = [asked, from, rule.wait].into_iter().flatten().max();
                (rule.then, wait, rule.hint.clone())
            }
            None => (by_status(told.status), asked, String::new()),
        };
        let hint = if hint.is_empty() {
            usual_hint(reaction, told)
        } else {
            hint
        };
        Some(Verdict {
            reaction,
            wait,
            message: format!("{} answered {}{words}", told.at, told.status),
            hint,
        })
    }
}

fn by_status(status: u16) -> Reaction {
    match status {
        401 => Reaction::Reauthorize,
        404 | 410 => Reaction::Gone,
        429 => Reaction::Throttle,
        408 | 425 | 500.. => Reaction::Retry,
        _ => Reaction::Pause,
    }
}

fn usual_hint(reaction: Reaction, told: &Told<'_>) -> String {
    match (reaction, told.status) {
        (Reaction::Pause, 403) => format!(
            "the credentials may not read this: check their rights and scopes at {}",
            told.title
        ),
        (Reaction::Pause, 300..=399) => {
            "redirects are not followed: check `base_url` and the options in the address".to_owned()
        }
        (Reaction::Pause, 426) => {
            "the version of the API has ended: set a newer one, if the connector has an option for it"
                .to_owned()
        }
        (Reaction::Pause, _) => format!(
            "{} does not take the request: check the source's options",
            told.title
        ),
        _ => String::new(),
    }
}

/// The error of a verdict, once a new token was of no use. Throttling is the account's to count.
pub(super) fn error(verdict: Verdict) -> CallError {
    let (next, code) = match verdict.reaction {
        Reaction::Retry => (Next::Retry(verdict.wait), "vendor.failed"),
        Reaction::Throttle => (Next::Throttle(verdict.wait), "vendor.throttled"),
        Reaction::Reauthorize => (Next::Pause, "vendor.signed_out"),
        Reaction::Pause => (Next::Pause, "vendor.refused"),
        Reaction::Gone => (Next::Gone, "vendor.gone"),
        Reaction::Restart => (Next::Restart, "vendor.restart"),
        Reaction::End => (Next::End, "vendor.end"),
        Reaction::Shrink => (Next::Shrink, "vendor.too_large"),
    };
    CallError {
        next,
        code,
        message: verdict.message,
        hint: verdict.hint,
    }
}
