//! Environment variables in text: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `$$` for `$`.
//!
//! After parsing and inside text only: whatever a variable holds, it cannot change the structure.

use std::ops::Range;

use super::report::Report;
use super::tree::{Node, Table, Value, Variable};
use crate::diagnostic::Diagnostic;

/// Looks an environment variable up.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Puts variables in, in all texts of the table but not in keys.
pub(super) fn table(table: &mut Table, env: &Environment<'_>, report: &mut Report) {
    for entry in table.entries.values_mut() {
        node(&mut entry.node, env, report);
    }
}

/// Puts variables in, in all texts of the value.
pub(super) fn node(node: &mut Node, env: &Environment<'_>, report: &mut Report) {
    match &mut node.value {
        Value::Text(text) if text.contains('$') => {
            let expanded = expand(text, env);
            let is_whole = expanded.problems.is_empty();
            for problem in expanded.problems {
                let spot = node.spot.within(text, problem.part);
                report.add(problem.diagnostic.at(spot.place()));
            }
            node.variables = expanded.variables;
            node.value = if is_whole {
                Value::Text(expanded.text)
            } else {
                Value::Unknown
            };
        }
        Value::List(items) => {
            for item in items {
                self::node(item, env, report);
            }
        }
        Value::Table(inner) => table(inner, env, report),
        _ => {}
    }
}

/// A text from elsewhere, such as an argument, with variables put in; or one of the problems.
pub fn with_variables(text: &str, env: &Environment<'_>) -> Result<String, Box<Diagnostic>> {
    if !text.contains("${") {
        // Else a shell has put them in, and a `$$` in what they hold is none of ours.
        return Ok(text.to_owned());
    }
    let mut expanded = expand(text, env);
    match expanded.problems.pop() {
        None => Ok(expanded.text),
        Some(problem) => Err(Box::new(problem.diagnostic)),
    }
}

#[derive(Default)]
struct Expanded {
    text: String,
    variables: Vec<Variable>,
    problems: Vec<Problem>,
}

struct Problem {
    diagnostic: Diagnostic,
    part: Range<usize>,
}

fn expand(text: &str, env: &Environment<'_>) -> Expanded {
    let mut expanded = Expanded::default();
    let mut rest = 0;
    while let Some(found) = text[rest..].find('$') {
        let dollar = rest + found;
        expanded.text.push_str(&text[rest..dollar]);
        let after = &text[dollar + 1..];
        if after.starts_with('$') {
            expanded.text.push('$');
            rest = dollar + 2;
        } else if let Some(inner) = after.strip_prefix('{') {
            let Some(length) = inner.find('}') else {
                expanded.problems.push(Problem {
                    diagnostic: Diagnostic::error("config.bad_variable", "`${` without `}`")
                        .hint("write `${NAME}`, or `$$` for a dollar sign"),
                    part: dollar..text.len(),
                });
                return expanded;
            };
            let end = dollar + "${}".len() + length;
            expanded.put(&inner[..length], dollar..end, env);
            rest = end;
        } else {
            // A lone dollar sign is just that: prices and picklist values hold them.
            expanded.text.push('$');
            rest = dollar + 1;
        }
    }
    expanded.text.push_str(&text[rest..]);
    expanded
}

/// What follows the name of a variable.
enum Otherwise<'a> {
    Nothing,
    Default(&'a str),
    Message(&'a str),
}

impl Expanded {
    fn put(&mut self, inner: &str, part: Range<usize>, env: &Environment<'_>) {
        let (name, otherwise) = match inner.find(':') {
            None => (inner, Otherwise::Nothing),
            Some(colon) => {
                let (name, tail) = inner.split_at(colon);
                match (tail.strip_prefix(":-"), tail.strip_prefix(":?")) {
                    (Some(default), _) => (name, Otherwise::Default(default)),
                    (_, Some(message)) => (name, Otherwise::Message(message)),
                    _ => ("", Otherwise::Nothing),
                }
            }
        };
        if !is_name(name) {
            let diagnostic = Diagnostic::error(
                "config.bad_variable",
                "`${…}` does not hold the name of an environment variable",
            )
            .hint(
                "write `${NAME}`, `${NAME:-default}` or `${NAME:?message}`, with letters, digits \
                 and `_` in the name; `$$` stands for a dollar sign",
            );
            self.problems.push(Problem { diagnostic, part });
            return;
        }
        let value = env(name);
        let is_set = match otherwise {
            Otherwise::Nothing => value.is_some(),
            _ => value.as_ref().is_some_and(|value| !value.is_empty()),
        };
        match (value, otherwise) {
            (Some(value), _) if is_set => self.text.push_str(&value),
            (_, Otherwise::Default(default)) => self.text.push_str(default),
            (_, Otherwise::Message(message)) => {
                let diagnostic = Diagnostic::error(
                    "config.missing_variable",
                    format!("the environment variable {name} is not set"),
                )
                .hint(message.to_owned());
                self.problems.push(Problem { diagnostic, part });
            }
            _ => {
                let diagnostic = Diagnostic::error(
                    "config.missing_variable",
                    format!("the environment variable {name} is not set"),
                )
                .hint(format!("set it, or give a default: `${{{name}:-default}}`"));
                self.problems.push(Problem { diagnostic, part });
            }
        }
        self.variables.push(Variable {
            name: name.to_owned(),
            is_set,
        });
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("\"\n[server]\n${A}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_put_in() {
        for (text, expect) in [
            ("plain", "plain"),
            ("${A}", "one"),
            ("x${A}y${A}", "xoneyone"),
            ("$${A}", "${A}"),
            ("$5 and $", "$5 and $"),
            ("${EMPTY}", ""),
            ("${EMPTY:-two}", "two"),
            ("${MISSING:-http://a:1}", "http://a:1"),
            ("${MISSING:-}", ""),
            ("${A:?tell}", "one"),
            ("${TRICKY}", "\"\n[server]\n${A}"),
        ] {
            let expanded = expand(text, &env);
            assert_eq!(expanded.text, expect, "{text}");
            assert!(expanded.problems.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_put_in_is_a_problem_at_its_place() {
        for (text, code, part) in [
            ("a ${MISSING}", "config.missing_variable", 2..12),
            ("${EMPTY:?why}", "config.missing_variable", 0..13),
            ("${A", "config.bad_variable", 0..3),
            ("${}", "config.bad_variable", 0..3),
            ("${A:+x}", "config.bad_variable", 0..7),
            ("${a b}", "config.bad_variable", 0..6),
        ] {
            let expanded = expand(text, &env);
            let [problem] = &expanded.problems[..] else {
                panic!("one problem is expected of {text}");
            };
            assert_eq!(problem.diagnostic.code, code, "{text}");
            assert_eq!(problem.part, part, "{text}");
        }
    }

    #[test]
    fn a_message_of_the_users_own_is_the_hint() {
        let expanded = expand("${MISSING:?ask Ada for it}", &env);
        let hint = expanded.problems[0].diagnostic.hint.as_deref();
        assert_eq!(hint, Some("ask Ada for it"));
    }
}
