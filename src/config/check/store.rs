use super::error_at;
use crate::config::report::Report;
use crate::config::tree::Table;

/// `[store]`
pub(super) fn check(store: &Table, report: &mut Report) {
    let Some((url, node)) = store.text("url") else {
        return;
    };
    if file_of(url).is_some() {
        return;
    }
    let problem = error_at(node, "config.store_url", "this is no place to store leads");
    report.add(match url.split(':').next() {
        Some("postgres" | "postgresql") => error_at(
            node,
            "config.store_url",
            "this version stores in SQLite only",
        )
        .hint("write `url = \"sqlite:leadstream.db\"`"),
        Some("sqlite") if url.contains(":memory:") => problem
            .label("memory is lost with the process")
            .hint("name a file: `url = \"sqlite:leadstream.db\"`"),
        _ => problem.hint("write `sqlite:` and a file: `url = \"sqlite:leadstream.db\"`"),
    });
}

/// The file that a store's address names; none if it is no such address.
pub(crate) fn file_of(url: &str) -> Option<&str> {
    let file = url.strip_prefix("sqlite:")?;
    // Two slashes are what people know from web addresses; three begin an absolute path.
    let file = file.strip_prefix("//").unwrap_or(file);
    let is_file = !file.trim().is_empty()
        && !file.ends_with('/')
        && !file.contains(":memory:")
        && !file.contains('?');
    is_file.then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_in_the_address() {
        for (url, file) in [
            ("sqlite:leadstream.db", Some("leadstream.db")),
            ("sqlite://leadstream.db", Some("leadstream.db")),
            ("sqlite:///var/lib/l.db", Some("/var/lib/l.db")),
            ("sqlite:/var/lib/l.db", Some("/var/lib/l.db")),
            ("sqlite::memory:", None),
            ("sqlite:", None),
            ("sqlite:a.db?mode=ro", None),
            ("leadstream.db", None),
        ] {
            assert_eq!(file_of(url), file, "{url}");
        }
    }
}
