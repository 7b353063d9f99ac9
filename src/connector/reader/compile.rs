//! A manifest's words made ready for one source: options put in, paths parsed.

use crate::connector::manifest::{Condition, Encode, Scalar, Take, Template};
use crate::connector::path::Path;
use crate::connector::select::{Scope, Taker, Test};
use crate::connector::{Options, reading};

/// Why a manifest cannot be read with a source's options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ReadProblem {
    /// Where in the manifest or source: `webhook.record.id`, `fields.budget`.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

/// Puts options in and parses, collecting what is wrong.
pub struct Compiler<'o> {
    options: &'o Options,
    at: Vec<String>,
    /// What is wrong so far.
    pub problems: Vec<ReadProblem>,
}

impl<'o> Compiler<'o> {
    /// For a source with these options.
    pub fn new(options: &'o Options) -> Self {
        Self {
            options,
            at: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Does `inner` one key deeper.
    pub fn within<T>(&mut self, key: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.at.push(key.to_owned());
        let done = inner(self);
        self.at.pop();
        done
    }

    /// Notes what is wrong here.
    pub fn problem(&mut self, message: impl Into<String>) {
        self.problems.push(ReadProblem {
            place: self.at.join("."),
            message: message.into(),
        });
    }

    /// An option as text; none if it is not set.
    pub fn option(&mut self, name: &str) -> Option<String> {
        match self.options.text(name) {
            Ok(text) => text,
            Err(error) => {
                self.problem(error.to_string());
                None
            }
        }
    }

    /// A text with options put in; none if one of them is not set.
    pub fn text(&mut self, text: &str) -> Option<String> {
        if !text.contains('{') {
            return Some(text.to_owned());
        }
        // What is no template is meant as it is: JSONPath may hold braces.
        match Template::parse(text) {
            Ok(template) => self.template(&template),
            Err(_) => Some(text.to_owned()),
        }
    }

    fn template(&mut self, template: &Template) -> Option<String> {
        match self.options.fill(template, Encode::Plain, &mut |_| None) {
            Ok(filled) => filled,
            Err(error) => {
                self.problem(error.to_string());
                None
            }
        }
    }

    /// A path with options put in; none if one of them is not set.
    pub fn path(&mut self, text: &str) -> Option<Path> {
        let text = self.text(text)?;
        match Path::parse(&text) {
            Ok(path) => Some(path),
            Err(error) => {
                self.problem(error.to_string());
                None
            }
        }
    }

    /// Several paths.
    pub fn paths(&mut self, texts: &[String]) -> Vec<Path> {
        texts.iter().filter_map(|text| self.path(text)).collect()
    }

    /// What a value is taken from, each place by itself.
    pub fn value(&mut self, take: &Take) -> Wanted {
        let mut ways = Vec::new();
        for from in &take.from {
            let Some(from) = self.text(from) else {
                continue;
            };
            let one = Take {
                from: vec![from.clone()],
                value: None,
                ..take.clone()
            };
            if let Some(taker) = self.taker(&one) {
                ways.push(Way::Path {
                    label: from,
                    taker: Box::new(taker),
                    is_plain: is_plain(take),
                });
            }
        }
        if let Some(fixed) = &take.value
            && let Some(fixed) = self.template(fixed)
            && !fixed.trim().is_empty()
        {
            ways.push(Way::Fixed(fixed));
        }
        Wanted { ways }
    }

    /// A take as it is, for what it binds.
    pub fn taker(&mut self, take: &Take) -> Option<Taker> {
        let from = take
            .from
            .iter()
            .filter_map(|from| self.text(from))
            .collect();
        let take = Take {
            from,
            ..take.clone()
        };
        match Taker::new(&take) {
            Ok(taker) => Some(taker),
            Err(error) => {
                self.problem(error.to_string());
                None
            }
        }
    }

    /// A test; none if an option in it is not set.
    pub fn test(&mut self, condition: &Condition) -> Option<Test> {
        let mut condition = condition.clone();
        condition.from.0 = condition
            .from
            .0
            .iter()
            .filter_map(|from| self.text(from))
            .collect();
        if condition.from.0.is_empty() {
            return None;
        }
        for scalar in [&mut condition.equals, &mut condition.not]
            .into_iter()
            .flatten()
        {
            scalar.0 = self.text(&scalar.0)?;
        }
        if !condition.one_of.is_empty() {
            let filled = condition.one_of.iter().filter_map(|one| self.text(&one.0));
            condition.one_of = filled.map(Scalar).collect();
            if condition.one_of.is_empty() {
                return None;
            }
        }
        match Test::new(&condition) {
            Ok(test) => Some(test),
            Err(error) => {
                self.problem(error.to_string());
                None
            }
        }
    }

    /// Several tests, under the key that they stand at.
    pub fn tests(&mut self, key: &str, conditions: &[Condition]) -> Vec<Test> {
        self.within(key, |compiler| {
            conditions
                .iter()
                .filter_map(|condition| compiler.test(condition))
                .collect()
        })
    }
}

/// Whether a take is no more than a path in the record.
fn is_plain(take: &Take) -> bool {
    let Take {
        from: _,
        of,
        value,
        values,
        part,
        pattern,
        join,
    } = take;
    *of == crate::connector::manifest::Of::Record
        && value.is_none()
        && values.is_empty()
        && part.is_none()
        && pattern.is_none()
        && join.is_none()
}

/// Where a value may be; the first place that holds something counts.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The places.
    pub ways: Vec<Way>,
}

/// One place.
#[derive(Debug, Clone)]
pub enum Way {
    /// A path.
    Path {
        /// As it is written.
        label: String,
        /// The path, and what is done with its value.
        taker: Box<Taker>,
        /// Whether it is a path in the record, and no more.
        is_plain: bool,
    },
    /// A fixed value.
    Fixed(String),
}

/// A value, and where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Had {
    /// The value, clean.
    pub value: String,
    /// The path; none of a fixed value.
    pub from: Option<String>,
}

impl Wanted {
    /// The value, if there is one that is not blank.
    pub fn find(&self, scope: &Scope<'_>) -> Option<Had> {
        self.ways.iter().find_map(|way| {
            let (text, from) = match way {
                Way::Path { label, taker, .. } => (taker.text(scope)?, Some(label.clone())),
                Way::Fixed(text) => (text.clone(), None),
            };
            let value = reading::clean(&text).into_owned();
            (!value.is_empty()).then_some(Had { value, from })
        })
    }
}
