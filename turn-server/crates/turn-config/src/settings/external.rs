//! Where the server asks for its own public address.

use super::External;
use crate::diagnostics::Report;
use crate::values::{Given, Values};

/// The port of STUN servers that are given without one.
const STUN_PORT: u16 = 3478;

/// Names whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalSource {
    /// A STUN server outside.
    Stun {
        /// Its name or address; a name is resolved at each question.
        host: String,
        /// Its port.
        port: u16,
    },
    /// This machine's own interface of that name.
    Interface(String),
    /// What hands out a cloud's metadata.
    Cloud(Cloud),
}

/// Names a cloud by its metadata service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon's EC2.
    Aws,
    /// Google's Compute Engine.
    Gcp,
    /// Microsoft's Azure.
    Azure,
}

/// Reads `external-ip-from`.
pub(super) fn source(values: &Values, report: &mut Report) -> Option<ExternalSource> {
    let given: Given<String> = values.list("external-ip-from").into_iter().next_back()?;
    let source = parse(given.value.trim());
    if source.is_none() {
        report.problem(
            given.origin,
            format!("external-ip-from: {:?} names nobody to ask", given.value),
            "Write stun:HOST, stun:HOST:PORT, interface:NAME, aws, gcp or azure.",
        );
    }
    source
}

fn parse(text: &str) -> Option<ExternalSource> {
    let cloud = |cloud| Some(ExternalSource::Cloud(cloud));
    match text {
        "aws" => return cloud(Cloud::Aws),
        "gcp" => return cloud(Cloud::Gcp),
        "azure" => return cloud(Cloud::Azure),
        _ => {}
    }
    let (kind, name) = text.split_once(':')?;
    match kind {
        "interface" if !name.is_empty() => Some(ExternalSource::Interface(name.to_owned())),
        "stun" => stun(name),
        _ => None,
    }
}

/// A host, with or without a port; an IPv6 address with a port stands in brackets.
fn stun(text: &str) -> Option<ExternalSource> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
        None if text.matches(':').count() > 1 => (text, None),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Some(STUN_PORT), |port| {
        port.parse().ok().filter(|port| *port > 0)
    })?;
    let host = Some(host.to_owned()).filter(|host| !host.is_empty())?;
    Some(ExternalSource::Stun { host, port })
}

/// What is given and what was found, the given first: where a given one counts for an address, a found one does not.
pub(super) fn together(given: &[External], found: &[External]) -> Vec<External> {
    let is_free = |found: &&External| {
        let is_same_family = |given: &External| given.public.is_ipv4() == found.public.is_ipv4();
        !given.iter().any(|given| {
            is_same_family(given) && (given.private.is_none() || given.private == found.private)
        })
    };
    let mut all = given.to_vec();
    all.extend(found.iter().filter(is_free));
    all
}

#[cfg(test)]
mod tests {
    use super::{Cloud, External, ExternalSource, parse, together};

    fn stun(host: &str, port: u16) -> Option<ExternalSource> {
        let host = host.to_owned();
        Some(ExternalSource::Stun { host, port })
    }

    #[test]
    fn sources_are_read_as_they_are_written() {
        assert_eq!(
            parse("stun:stun.example.org"),
            stun("stun.example.org", 3478)
        );
        assert_eq!(parse("stun:192.0.2.1:19302"), stun("192.0.2.1", 19302));
        assert_eq!(parse("stun:[2001:db8::1]:99"), stun("2001:db8::1", 99));
        assert_eq!(parse("stun:2001:db8::1"), stun("2001:db8::1", 3478));
        assert_eq!(
            parse("interface:eth0"),
            Some(ExternalSource::Interface("eth0".into()))
        );
        assert_eq!(parse("azure"), Some(ExternalSource::Cloud(Cloud::Azure)));
        for wrong in [
            "",
            "eth0",
            "stun:",
            "stun:host:",
            "stun:host:0",
            "stun:host:70000",
            "interface:",
            "stun:[::1]9",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_given_counts_more_than_what_was_found() {
        let external = |public: &str, private: Option<&str>| External {
            public: public.parse().unwrap(),
            private: private.map(|ip| ip.parse().unwrap()),
        };
        let found = [
            external("203.0.113.1", Some("10.0.0.1")),
            external("203.0.113.2", Some("10.0.0.2")),
            external("2001:db8::1", Some("fd00::1")),
        ];
        let pair = external("198.51.100.9", Some("10.0.0.1"));
        assert_eq!(together(&[pair], &found), [pair, found[1], found[2]]);
        let bare = external("198.51.100.9", None);
        assert_eq!(together(&[bare], &found), [bare, found[2]]);
        assert_eq!(together(&[], &found), found);
    }
}
