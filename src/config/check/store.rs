use super::{error_at, secrets};
use crate::config::interpolate::Environment;
use crate::config::report::Report;
use crate::config::secret_key_bytes;
use crate::config::tree::Table;

/// `[store]`
pub(super) fn check(store: &Table, env: &Environment<'_>, report: &mut Report) {
    if let Some(key) = secrets::check(store, "secret_key", env, report)
        && secret_key_bytes(&key).is_none()
        && let Some(node) = store.get("secret_key")
    {
        report.add(
            error_at(node, "config.bad_value", "this is no key of 32 bytes")
                .label("what is kept there is neither base64 nor 64 hex digits of 32 bytes")
                .hint("make one: `openssl rand -base64 32`"),
        );
    }
    check_url(store, report);
}

fn check_url(store: &Table, report: &mut Report) {
    let Some((url, node)) = store.text("url") else {
        return;
    };
    if file_of(url).is_some() {
        return;
    }
    let problem = error_at(node, "config.store_url", "this is no place to store leads");
    report.add(match url.split(':').next() {
        Some("postgres" | "postgresql") => match lacking_in_postgres(url) {
            None => return,
            Some(lacking) => problem
                .label(lacking)
                .hint("write `url = \"postgres://user:${PGPASSWORD}@host/database\"`"),
        },
        Some("sqlite") if url.contains(":memory:") => problem
            .label("memory is lost with the process")
            .hint("name a file: `url = \"sqlite:leadstream.db\"`"),
        _ => problem.hint(
            "write `sqlite:` and a file: `url = \"sqlite:leadstream.db\"`; or `postgres://…` for several nodes",
        ),
    });
}

/// What is missing in an address of PostgreSQL; none if nothing is.
fn lacking_in_postgres(url: &str) -> Option<&'static str> {
    let Ok(url) = url::Url::parse(url) else {
        return Some("not a URL");
    };
    let socket = url.query_pairs().any(|(name, _)| name == "host");
    if !socket && url.host_str().is_none_or(str::is_empty) {
        return Some("names no host");
    }
    let named = url.path().trim_matches('/').is_empty()
        && !url.query_pairs().any(|(name, _)| name == "dbname");
    named.then_some("names no database")
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
    fn an_address_of_postgresql_names_host_and_database() {
        for (url, lacking) in [
            ("postgres://leads:secret@db.example.com/leads", None),
            (
                "postgresql://db.example.com:5433/leads?sslmode=disable",
                None,
            ),
            ("postgres:///leads?host=/run/postgresql", None),
            ("postgres://db.example.com", Some("names no database")),
            ("postgres://db.example.com/", Some("names no database")),
            ("postgres:///leads", Some("names no host")),
            ("postgres:leads", Some("names no host")),
            ("postgres://[::1", Some("not a URL")),
        ] {
            assert_eq!(lacking_in_postgres(url), lacking, "{url}");
        }
    }

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
