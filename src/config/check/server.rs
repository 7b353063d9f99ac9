use std::net::SocketAddr;

use super::{check_web_address, error_at};
use crate::config::report::Report;
use crate::config::tree::Table;

/// `[server]`
pub(super) fn check(server: &Table, report: &mut Report) {
    if let Some((listen, node)) = server.text("listen")
        && listen.parse::<SocketAddr>().is_err()
    {
        let hint = match corrected(listen) {
            Some(address) => format!("write `listen = \"{address}\"`"),
            None => "write an address and a port, for example `127.0.0.1:8080`, or `0.0.0.0:8080` \
                     for all of this machine's addresses"
                .to_owned(),
        };
        report.add(
            error_at(
                node,
                "config.bad_value",
                "`listen` is no address with a port",
            )
            .hint(hint),
        );
    }
    check_web_address(server, "public_url", report);
}

/// What people write in other programs' configurations, as an address.
fn corrected(listen: &str) -> Option<SocketAddr> {
    let bare = listen.trim_start_matches("http://").trim_end_matches('/');
    let (host, port) = bare.rsplit_once(':').unwrap_or(("", bare));
    let port: u16 = port.parse().ok()?;
    let host = match host {
        "" | "*" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        other => other,
    };
    Some(SocketAddr::new(host.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_from_elsewhere_are_understood() {
        for (written, meant) in [
            (":8080", Some("0.0.0.0:8080")),
            ("8080", Some("0.0.0.0:8080")),
            ("localhost:80", Some("127.0.0.1:80")),
            ("http://127.0.0.1:80/", Some("127.0.0.1:80")),
            ("leads.example.com:80", None),
            ("127.0.0.1", None),
        ] {
            let found = corrected(written).map(|address| address.to_string());
            assert_eq!(found.as_deref(), meant, "{written}");
        }
    }
}
