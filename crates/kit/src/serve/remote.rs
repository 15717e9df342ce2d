use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::HeaderMap;

use super::network::Network;

/// Who is at the other end of a request; an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The other end of the connection, which may be a proxy.
    pub peer: SocketAddr,
    /// The client: `peer`, or whom a trusted proxy names.
    pub client: IpAddr,
    /// Whether the client's own connection is encrypted, here or at what stands in front.
    pub secure: bool,
}

/// What is the same for all requests of a connection.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) peer: SocketAddr,
    pub(super) secure: bool,
    /// Set when the peer is a trusted proxy.
    pub(super) proxies: Option<Arc<[Network]>>,
}

impl Origin {
    pub(super) fn remote(&self, headers: &HeaderMap) -> Remote {
        let direct = Remote { peer: self.peer, client: self.peer.ip().to_canonical(), secure: self.secure };
        let Some(proxies) = &self.proxies else { return direct };
        let proto = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        let secure = match proto.and_then(|list| list.rsplit(',').next()) {
            Some(nearest) => nearest.trim().eq_ignore_ascii_case("https"),
            None => direct.secure,
        };
        Remote { client: forwarded_for(headers, proxies).unwrap_or(direct.client), secure, ..direct }
    }
}

/// The nearest address of `X-Forwarded-For` that is not a trusted proxy: what lies further left was
/// written by strangers. An entry that is no address ends the search.
fn forwarded_for(headers: &HeaderMap, proxies: &[Network]) -> Option<IpAddr> {
    let mut nearest = None;
    let fields: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    for entry in fields.iter().rev().flat_map(|field| field.to_str().unwrap_or("?").rsplit(',')) {
        let Some(address) = address_of(entry.trim()) else { return nearest };
        nearest = Some(address);
        if !proxies.iter().any(|network| network.contains(address)) {
            return nearest;
        }
    }
    nearest
}

/// Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
fn address_of(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse::<IpAddr>().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: bool, fields: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("x-forwarded-for", field.parse().unwrap());
        }
        let proxies: Arc<[Network]> = ["10.0.0.0/8".parse().unwrap()].into();
        let origin =
            Origin { peer: "10.0.0.1:443".parse().unwrap(), secure: false, proxies: trusted.then_some(proxies) };
        origin.remote(&headers).client.to_string()
    }

    #[test]
    fn only_trusted_proxies_name_the_client() {
        assert_eq!(client(false, &["192.0.2.7"]), "10.0.0.1");
        assert_eq!(client(true, &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(true, &["6.6.6.6, 192.0.2.7, 10.0.0.9"]), "192.0.2.7", "a forged first entry counts nothing");
        assert_eq!(client(true, &["6.6.6.6", "192.0.2.7:5000"]), "192.0.2.7");
        assert_eq!(client(true, &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(client(true, &["192.0.2.7, nonsense"]), "10.0.0.1");
        assert_eq!(client(true, &[]), "10.0.0.1");
        assert_eq!(client(true, &["10.0.0.5"]), "10.0.0.5", "a request of the proxy network itself");
    }

    #[test]
    fn the_scheme_is_believed_from_proxies_only() {
        let headers: HeaderMap =
            [(http::HeaderName::from_static("x-forwarded-proto"), "https".parse().unwrap())].into_iter().collect();
        let mut origin = Origin { peer: "10.0.0.1:443".parse().unwrap(), secure: false, proxies: None };
        assert!(!origin.remote(&headers).secure);
        origin.proxies = Some([].into());
        assert!(origin.remote(&headers).secure);
    }
}
