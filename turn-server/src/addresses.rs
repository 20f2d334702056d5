//! Which of this machine's addresses are listened on, relayed from, and shown to clients.
//!
//! Pure, apart from asking the kernel for its interfaces.

use std::net::IpAddr;

use turn_config::settings;
use turn_proto::{External, RelayAddresses, RelayChoice};

/// All addresses of this machine's interfaces.
///
/// # Errors
/// What the kernel says when it does not tell.
pub fn of_this_machine() -> std::io::Result<Vec<IpAddr>> {
    let interfaces = webrtc_util::ifaces::ifaces().map_err(std::io::Error::other)?;
    let mut addresses: Vec<IpAddr> = interfaces
        .into_iter()
        .filter_map(|interface| Some(interface.addr?.ip()))
        .filter(|ip| !ip.is_unspecified())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// The addresses of one interface that are good beyond its link.
///
/// # Errors
/// As [`of_this_machine`].
pub(crate) fn of_interface(name: &str) -> std::io::Result<Vec<IpAddr>> {
    let interfaces = webrtc_util::ifaces::ifaces().map_err(std::io::Error::other)?;
    let meant = interfaces
        .into_iter()
        .filter(|interface| interface.name == name);
    let addresses = meant.filter_map(|interface| Some(interface.addr?.ip()));
    Ok(addresses.filter(|ip| is_usable(*ip)).collect())
}

/// An address as it stands in a URL: IPv6 in brackets (RFC 3986 §3.2.2).
pub(crate) fn in_url(ip: IpAddr) -> String {
    if ip.is_ipv6() {
        format!("[{ip}]")
    } else {
        ip.to_string()
    }
}

/// Tells whether an address can be listened on without naming an interface.
fn is_usable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    }
}

/// Where to listen: where the operator says, else everywhere but on addresses that are good on one link only.
pub fn to_listen_on(listening: &settings::Listening, machine: &[IpAddr]) -> Vec<IpAddr> {
    if listening.addresses.is_empty() {
        machine
            .iter()
            .copied()
            .filter(|ip| is_usable(*ip))
            .collect()
    } else {
        listening.addresses.clone()
    }
}

/// Where to relay from (coturn's rules): where the operator says, in turn; else where the client has reached us, loopback
/// only if that was asked for or there is nothing else.
pub fn to_relay_from(settings: &settings::Settings, listening: &[IpAddr]) -> RelayAddresses {
    if !settings.relay.addresses.is_empty() {
        return RelayAddresses {
            addresses: settings.relay.addresses.clone(),
            choice: RelayChoice::RoundRobin,
        };
    }
    let mut addresses = listening.to_vec();
    if settings.listening.addresses.is_empty() {
        for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
            let of_family = |ip: &&IpAddr| family(ip);
            if listening
                .iter()
                .filter(of_family)
                .any(|ip| !ip.is_loopback())
            {
                addresses.retain(|ip| !family(ip) || !ip.is_loopback());
            }
        }
    }
    RelayAddresses {
        addresses,
        choice: RelayChoice::SameAsServer,
    }
}

/// Pairs each relay address with the one that clients are told: `PUBLIC` stands for all of its family, `PUBLIC/PRIVATE` for one.
pub fn externals(given: &[settings::External], relays: &[IpAddr]) -> Vec<External> {
    let mut pairs: Vec<External> = Vec::new();
    let exact = given
        .iter()
        .filter_map(|external| Some((external.private?, external.public)));
    pairs.extend(exact.map(|(local, public)| External { local, public }));
    for external in given.iter().filter(|external| external.private.is_none()) {
        let same = |ip: &&IpAddr| ip.is_ipv4() == external.public.is_ipv4() && !ip.is_loopback();
        for local in relays.iter().filter(same) {
            if pairs.iter().all(|pair| pair.local != *local) {
                pairs.push(External {
                    local: *local,
                    public: external.public,
                });
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::{External, IpAddr, externals, settings};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_bare_external_address_stands_for_its_family_and_a_pair_for_one_address() {
        let given = [
            settings::External {
                public: ip("9.9.9.9"),
                private: None,
            },
            settings::External {
                public: ip("8.8.8.8"),
                private: Some(ip("10.0.0.2")),
            },
            settings::External {
                public: ip("2a00::9"),
                private: None,
            },
        ];
        let relays = [
            ip("10.0.0.1"),
            ip("10.0.0.2"),
            ip("127.0.0.1"),
            ip("fd00::1"),
        ];
        let pair = |local: &str, public: &str| External {
            local: ip(local),
            public: ip(public),
        };
        assert_eq!(
            externals(&given, &relays),
            [
                pair("10.0.0.2", "8.8.8.8"),
                pair("10.0.0.1", "9.9.9.9"),
                pair("fd00::1", "2a00::9")
            ]
        );
    }

    #[test]
    fn this_machine_has_loopback() {
        assert!(
            super::of_this_machine()
                .unwrap()
                .iter()
                .any(IpAddr::is_loopback)
        );
    }
}
