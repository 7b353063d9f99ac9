//! `leadstream healthcheck`: asks the daemon's `/healthz`, for containers that have no curl.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::{Exit, output};

/// Connecting, asking and answering each take at most this long.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Arguments of `healthcheck`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the daemon listens, if not where the configuration says.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<SocketAddr>,
}

/// Fails unless the daemon answers 200.
pub fn run(args: &Args, config_path: &Path) -> Exit {
    let Some(address) = args
        .address
        .or_else(|| Some(super::load(config_path).config?.server.listen))
    else {
        return Exit::Failure;
    };
    let address = reachable(address);
    match ask(address) {
        Ok(status) if is_ok(&status) => {
            output::line("healthy");
            Exit::Success
        }
        Ok(status) => {
            output::error_line(&format!(
                "error: {address} answered `{}`",
                status.trim_end().escape_debug()
            ));
            Exit::Failure
        }
        Err(error) => {
            output::error_line(&format!("error: {address} does not answer: {error}"));
            Exit::Failure
        }
    }
}

/// Nobody can call "all addresses": whoever listens there is at home on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// The status line of `/healthz`. By hand and not by `edge::http`, which rightly sends plain http to
/// loopback only: the daemon may listen on another of this machine's addresses.
fn ask(address: SocketAddr) -> io::Result<String> {
    const LONGEST_LINE: u64 = 256;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut line = Vec::new();
    BufReader::new(io::Read::take(stream, LONGEST_LINE)).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn is_ok(status_line: &str) -> bool {
    let mut words = status_line.split_ascii_whitespace();
    words
        .next()
        .is_some_and(|version| version.starts_with("HTTP/1."))
        && words.next() == Some("200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_called_by_loopback() {
        let check = |listen: &str, expect: &str| {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), expect);
        };
        check("0.0.0.0:8080", "127.0.0.1:8080");
        check("[::]:8080", "[::1]:8080");
        check("10.0.0.5:80", "10.0.0.5:80");
    }

    #[test]
    fn only_200_is_healthy() {
        assert!(is_ok("HTTP/1.1 200 OK\r\n"));
        for line in [
            "HTTP/1.1 503 Service Unavailable\r\n",
            "SSH-2.0-OpenSSH 200\r\n",
            "HTTP/1.1 2000",
            "",
            "200",
        ] {
            assert!(!is_ok(line), "{line}");
        }
    }
}
