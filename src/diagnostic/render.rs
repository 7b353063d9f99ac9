//! Diagnostics as people read them, and as programs do.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use serde_json::{Value, json};

use super::{Diagnostic, Severity};

/// Draws each problem with its source line underlined; one blank line between two.
pub fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    diagnostics
        .iter()
        .map(|diagnostic| draw(&renderer, diagnostic))
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn draw(renderer: &Renderer, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(normalize_untrusted_str(&diagnostic.message))
        .id(diagnostic.code);
    let mut group = match &diagnostic.place {
        Some(place) => title.element(
            Snippet::source(place.text.as_ref())
                .path(place.file.display().to_string())
                .annotation(
                    AnnotationKind::Primary.span(place.safe_span()).label(
                        diagnostic
                            .label
                            .as_deref()
                            .map(normalize_untrusted_str)
                            .unwrap_or_default(),
                    ),
                ),
        ),
        None => Group::with_title(title),
    };
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(normalize_untrusted_str(hint)));
    }
    renderer.render(&[group])
}

/// "2 errors, 1 warning"; none if there is neither.
pub fn summary(diagnostics: &[Diagnostic]) -> Option<String> {
    let errors = diagnostics.iter().filter(|found| found.is_error()).count();
    let counted = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let parts: Vec<String> = [
        counted(errors, "error"),
        counted(diagnostics.len() - errors, "warning"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The same for programs: counts, and one object a problem.
pub fn to_json(diagnostics: &[Diagnostic]) -> Value {
    let errors = diagnostics.iter().filter(|found| found.is_error()).count();
    json!({
        "ok": errors == 0,
        "errors": errors,
        "warnings": diagnostics.len() - errors,
        "diagnostics": diagnostics.iter().map(one_to_json).collect::<Vec<_>>(),
    })
}

fn one_to_json(diagnostic: &Diagnostic) -> Value {
    let place = diagnostic.place.as_ref();
    let position = place.map(super::Place::line_and_column);
    json!({
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "code": diagnostic.code,
        "message": diagnostic.message,
        "file": place.map(|place| place.file.display().to_string()),
        "line": position.map(|(line, _)| line),
        "column": position.map(|(_, column)| column),
        "label": diagnostic.label,
        "hint": diagnostic.hint,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::super::Place;
    use super::*;

    fn sample() -> Diagnostic {
        Diagnostic::error("config.unknown_key", "unknown key `conector`")
            .at(Place {
                file: PathBuf::from("leadstream.toml"),
                text: Arc::from("[sources.demo]\n\"ä\" = 1\nconector = \"typeform\"\n"),
                span: 24..32,
            })
            .label("not a key of [sources.demo]")
            .hint("did you mean `connector`?")
    }

    #[test]
    fn a_problem_is_drawn_with_its_line_underlined() {
        insta::assert_snapshot!(render(&[sample()], false), @r#"
        error[config.unknown_key]: unknown key `conector`
         --> leadstream.toml:3:1
          |
        3 | conector = "typeform"
          | ^^^^^^^^ not a key of [sources.demo]
          |
          = help: did you mean `connector`?
        "#);
    }

    #[test]
    fn a_problem_without_a_place_has_its_hint() {
        let problem = Diagnostic::warning("a.b", "something").hint("do this");
        insta::assert_snapshot!(render(&[problem], false), @"
        warning[a.b]: something
         |
         = help: do this
        ");
    }

    #[test]
    fn columns_count_characters() {
        let place = Place {
            file: PathBuf::from("x"),
            text: Arc::from("a\nä = ö"),
            span: 7..9,
        };
        assert_eq!(place.line_and_column(), (2, 5));
    }

    #[test]
    fn a_place_outside_the_text_is_drawn_at_its_end() {
        for span in [900..901, 1..2, 2..2, 0..900] {
            let problem = Diagnostic::error("a.b", "x").at(Place {
                file: PathBuf::from("x"),
                text: Arc::from("ää"),
                span,
            });
            assert!(render(&[problem], false).contains("x:1:"));
        }
    }

    #[test]
    fn escapes_in_a_message_do_not_reach_the_terminal() {
        let problem = Diagnostic::error("a.b", "key `\u{1b}[31m`");
        assert!(!render(&[problem], false).contains('\u{1b}'));
    }

    #[test]
    fn the_summary_counts_both_kinds() {
        let warning = Diagnostic::warning("a.b", "x");
        assert_eq!(summary(&[]), None);
        assert_eq!(summary(&[sample()]).as_deref(), Some("1 error"));
        assert_eq!(
            summary(&[sample(), warning, sample()]).as_deref(),
            Some("2 errors, 1 warning")
        );
    }

    #[test]
    fn programs_get_the_place_in_parts() {
        let json = to_json(&[sample()]);
        assert_eq!(json["errors"], 1);
        assert_eq!(json["diagnostics"][0]["line"], 3);
        assert_eq!(json["diagnostics"][0]["column"], 1);
        assert_eq!(json["diagnostics"][0]["code"], "config.unknown_key");
    }
}
