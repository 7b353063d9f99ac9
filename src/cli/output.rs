//! The one place that prints. What reads us may go away (`leadstream check | head`): that is no
//! failure, and nothing is left to say to it.

use std::io::{IsTerminal as _, Write};

/// A line to standard output.
pub fn line(text: &str) {
    write_line(&mut anstream::stdout().lock(), text);
}

/// Text to standard output, with no line's end of ours.
pub fn part(text: &str) {
    write_text(&mut anstream::stdout().lock(), text);
}

/// A line to standard error.
pub fn error_line(text: &str) {
    write_line(&mut anstream::stderr().lock(), text);
}

/// Text to standard error, with no line's end of ours.
pub fn error_part(text: &str) {
    write_text(&mut anstream::stderr().lock(), text);
}

/// Whether standard output is a terminal that can be drawn on.
pub fn stdout_can_be_drawn_on() -> bool {
    let stdout = std::io::stdout();
    stdout.is_terminal() && anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never
}

/// Whether standard error is a terminal that shows colours.
pub fn stderr_takes_colour() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

fn write_line(stream: &mut impl Write, text: &str) {
    write_text(stream, &format!("{text}\n"));
}

fn write_text(stream: &mut impl Write, text: &str) {
    // A closed pipe, or a full disk behind a redirect: the exit code says what there is to say.
    let _ = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}
