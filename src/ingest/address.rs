use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: of the connection, which is `peer`, or, if that is a proxy that is
/// trusted, the last one in `X-Forwarded-For` that is not. What stands before it in that header
/// anyone can write.
pub fn client_address(peer: SocketAddr, request: &HeaderMap, trusted_proxies: &[IpAddr]) -> IpAddr {
    let mut client = peer.ip().to_canonical();
    let is_trusted = |address: &IpAddr| trusted_proxies.contains(address);
    if !is_trusted(&client) {
        return client;
    }
    let forwarded = request.get_all(FORWARDED_FOR);
    let hops = forwarded
        .iter()
        .rev()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.rsplit(','));
    for hop in hops {
        let Some(address) = parse(hop.trim()) else {
            break;
        };
        client = address;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn parse(hop: &str) -> Option<IpAddr> {
    let address = hop
        .parse::<IpAddr>()
        .or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()))
        .or_else(|_| hop.trim_matches(['[', ']']).parse::<IpAddr>());
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&str], expect: &str) {
        let mut request = HeaderMap::new();
        for value in forwarded {
            request.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let trusted = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        assert_eq!(
            client_address(peer, &request, &trusted),
            expect.parse::<IpAddr>().unwrap(),
            "{peer} {forwarded:?}"
        );
    }

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        check("192.0.2.9", &["198.51.100.1"], "192.0.2.9");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check(
            "10.0.0.1",
            &["203.0.113.7, 198.51.100.1, 10.0.0.2"],
            "198.51.100.1",
        );
        check(
            "10.0.0.1",
            &["203.0.113.7", "198.51.100.1:99"],
            "198.51.100.1",
        );
        check("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1");
        check("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        check("10.0.0.1", &["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2");
    }
}
