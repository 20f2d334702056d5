//! How much log lines tell of people: addresses of clients and peers, and names of users.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::OnceLock,
};

use turn_config::settings::LogPrivacy;

/// Letters of a name that are left of it.
const LETTERS: usize = 2;

/// Makes hashes that mean nothing outside this process: its key is random, and is never written.
static HASHES: OnceLock<RandomState> = OnceLock::new();

/// How people are named in log lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Privacy(pub(crate) LogPrivacy);

impl Privacy {
    /// An address, or what is left of it: one that parsers still take for one where it is cut.
    pub(crate) fn address(self, address: SocketAddr) -> String {
        match self.0 {
            LogPrivacy::Full => address.to_string(),
            LogPrivacy::Truncated => SocketAddr::new(network(address.ip()), 0).to_string(),
            // Not the port: it changes with every call, and a person is to be told from another.
            LogPrivacy::Hashed => hashed(&address.ip().to_canonical().to_string()),
            LogPrivacy::Nothing => "-".to_owned(),
        }
    }

    /// The same without a port.
    pub(crate) fn ip(self, ip: IpAddr) -> String {
        match self.0 {
            LogPrivacy::Full => ip.to_string(),
            LogPrivacy::Truncated => network(ip).to_string(),
            LogPrivacy::Hashed | LogPrivacy::Nothing => self.address(SocketAddr::new(ip, 0)),
        }
    }

    /// The name of a user, or what is left of it; it may hold anything, written as it is by whoever is at the other end.
    pub(crate) fn user(self, name: &str) -> String {
        match self.0 {
            // Nobody is nobody.
            _ if name.is_empty() => String::new(),
            LogPrivacy::Full => name.to_owned(),
            LogPrivacy::Truncated => {
                let kept: String = name.chars().take(LETTERS).collect();
                format!("{kept}…")
            }
            LogPrivacy::Hashed => hashed(name),
            LogPrivacy::Nothing => "-".to_owned(),
        }
    }
}

/// A home has one IPv4 address and a /48 or less of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

fn hashed(text: &str) -> String {
    format!(
        "#{:016x}",
        HASHES.get_or_init(RandomState::new).hash_one(text)
    )
}

#[cfg(test)]
mod tests {
    use turn_config::settings::LogPrivacy;

    use super::Privacy;

    #[test]
    fn as_much_as_the_operator_wants_is_told() {
        let [v4, other_port, other, v6] = [
            "192.0.2.77:5000",
            "192.0.2.77:5001",
            "192.0.2.78:5000",
            "[2001:db8:1:2::3]:5000",
        ]
        .map(|address| address.parse().unwrap());
        let full = Privacy(LogPrivacy::Full);
        assert_eq!(full.address(v4), "192.0.2.77:5000");
        assert_eq!(full.user("eve>\n"), "eve>\n");
        let truncated = Privacy(LogPrivacy::Truncated);
        assert_eq!(truncated.address(v4), "192.0.2.0:0");
        assert_eq!(truncated.address(v6), "[2001:db8:1::]:0");
        assert_eq!(truncated.user("caroline"), "ca…");
        let hashed = Privacy(LogPrivacy::Hashed);
        assert_eq!(hashed.address(v4), hashed.address(other_port));
        assert_ne!(hashed.address(v4), hashed.address(other));
        assert_ne!(hashed.user("ann"), hashed.user("bob"));
        assert!(!hashed.user("ann").contains("ann") && !hashed.address(v4).contains("192"));
        let nothing = Privacy(LogPrivacy::Nothing);
        assert_eq!(
            (nothing.address(v4), nothing.user("ann")),
            ("-".into(), "-".into())
        );
        assert_eq!(nothing.user(""), "");
    }
}
