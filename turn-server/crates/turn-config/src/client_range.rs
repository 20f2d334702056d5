//! Ranges of client addresses, each for all listeners or for some of them: `RANGE`, `RANGE@PORT`, `RANGE@ADDRESS:PORT`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::diagnostics::quote;
use crate::ip_range::IpRange;

/// Says which clients an entry of a list is about, and on which listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientRange {
    /// The clients.
    pub range: IpRange,
    /// Where they come.
    pub listeners: Listeners,
}

/// Says which listeners are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listeners {
    /// Every one.
    All,
    /// Those with this port, on any address.
    OnPort(u16),
    /// The one at this address; an unspecified address (0.0.0.0 or ::) stands for all of its family.
    At(SocketAddr),
}

impl ClientRange {
    /// Reads one entry; the error says what is wrong, without the remedy.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (range, listeners) = match text.split_once('@') {
            Some((range, listeners)) => (range, Listeners::parse(listeners.trim())?),
            None => (text, Listeners::All),
        };
        Ok(ClientRange {
            range: IpRange::parse(range.trim())?,
            listeners,
        })
    }

    /// Whether it says everything that `other` says: about the same clients on the same listeners.
    pub(crate) fn covers(&self, other: &ClientRange) -> bool {
        self.listeners.covers(other.listeners)
            && self.range.contains(other.range.first())
            && self.range.contains(other.range.last())
    }
}

impl Listeners {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(port) = text.parse::<u16>() {
            return match port {
                0 => Err("no listener has port 0".to_owned()),
                port => Ok(Listeners::OnPort(port)),
            };
        }
        match text.parse::<SocketAddr>() {
            Ok(at) if at.port() == 0 => Err("no listener has port 0".to_owned()),
            Ok(at) => Ok(Listeners::At(at)),
            Err(_) if text.parse::<IpAddr>().is_ok() => Err(format!(
                "behind the @, {text} has no port (an IPv6 address stands in brackets in front of one)"
            )),
            Err(_) => Err(format!("behind the @, {} is no listener", quote(text))),
        }
    }

    /// Whether a listener at this address is meant.
    pub fn includes(self, listener: SocketAddr) -> bool {
        self.covers(Listeners::At(listener))
    }

    /// Whether all listeners that `other` means are meant.
    fn covers(self, other: Listeners) -> bool {
        match (self, other) {
            (Listeners::All, _) => true,
            (_, Listeners::All) | (Listeners::At(_), Listeners::OnPort(_)) => false,
            (Listeners::OnPort(port), Listeners::OnPort(other)) => port == other,
            (Listeners::OnPort(port), Listeners::At(at)) => port == at.port(),
            (Listeners::At(at), Listeners::At(other)) => {
                let same_ip = at.ip() == other.ip();
                let any_ip = at.ip().is_unspecified() && at.is_ipv4() == other.is_ipv4();
                at.port() == other.port() && (same_ip || any_ip)
            }
        }
    }

    /// Whether some listener may be meant by both.
    pub(crate) fn meets(self, other: Listeners) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl fmt::Display for ClientRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.range)?;
        match self.listeners {
            Listeners::All => Ok(()),
            Listeners::OnPort(port) => write!(f, "@{port}"),
            Listeners::At(at) => write!(f, "@{at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientRange, Listeners};

    fn entry(text: &str) -> ClientRange {
        ClientRange::parse(text).unwrap()
    }

    #[test]
    fn an_entry_is_for_all_listeners_for_those_of_a_port_or_for_one() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.0/30@3478", "10.0.0.0-10.0.0.3@3478"),
            (" 10.0.0.1 @ 192.0.2.1:443 ", "10.0.0.1@192.0.2.1:443"),
            ("::1-::4@[2001:db8::1]:3478", "::1-::4@[2001:db8::1]:3478"),
            (
                "::/0@0.0.0.0:5349",
                "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff@0.0.0.0:5349",
            ),
        ] {
            assert_eq!(entry(text).to_string(), shown);
            assert_eq!(entry(shown), entry(text));
        }
    }

    #[test]
    fn what_is_no_entry_says_which_part_is_wrong() {
        for (text, part) in [
            ("10.0.0.1@", "\"\" is no listener"),
            ("10.0.0.1@0", "port 0"),
            ("10.0.0.1@192.0.2.1:0", "port 0"),
            ("10.0.0.1@70000", "\"70000\" is no listener"),
            ("10.0.0.1@192.0.2.1", "192.0.2.1 has no port"),
            ("10.0.0.1@2001:db8::1:3478", "stands in brackets"),
            ("10.0.0.1@turn.example.org:3478", "is no listener"),
            ("10.0.0.1@1@2", "is no listener"),
            ("10.0.0.9-10.0.0.1@3478", "before it begins"),
            ("@3478", "is not an IP address"),
        ] {
            let error = ClientRange::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn listeners_cover_and_meet_each_other_as_their_addresses_do() {
        let of = |text: &str| entry(&format!("::1{text}")).listeners;
        // The first covers the second; the second covers the first; some listener may be both.
        for (one, other, covers) in [
            ("", "@1", [true, false]),
            ("@1", "@1", [true, true]),
            ("@1", "@2", [false, false]),
            ("@1", "@192.0.2.1:1", [true, false]),
            ("@2", "@192.0.2.1:1", [false, false]),
            ("@0.0.0.0:1", "@192.0.2.1:1", [true, false]),
            ("@0.0.0.0:1", "@[2001:db8::1]:1", [false, false]),
            ("@[::]:1", "@[2001:db8::1]:1", [true, false]),
            ("@[::]:1", "@[2001:db8::1]:2", [false, false]),
            ("@192.0.2.2:1", "@192.0.2.1:1", [false, false]),
        ] {
            let (one, other) = (of(one), of(other));
            assert_eq!(
                [one.covers(other), other.covers(one)],
                covers,
                "{one:?} {other:?}"
            );
            assert_eq!(one.meets(other), covers[0] || covers[1]);
            assert_eq!(one.meets(other), other.meets(one));
        }
        assert!(Listeners::OnPort(1).includes("[::1]:1".parse().unwrap()));
    }
}
