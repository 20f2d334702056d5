//! Whose packets are taken: lists of client addresses, made for many entries and a look at each packet.

use std::net::{IpAddr, SocketAddr};

use crate::IpRange;

/// The operator's lists of client addresses, for all listeners and for some. As with peers, allow beats deny; where nothing is
/// denied, an allow list admits nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLists {
    everywhere: Lists,
    /// What counts besides on some listeners.
    somewhere: Vec<(Listeners, Lists)>,
    /// Whether anything is listed at all.
    given: bool,
}

/// The listeners that lists of clients are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listeners {
    /// Those with this port.
    OnPort(u16),
    /// The one at this address; an unspecified address stands for all of its family.
    At(SocketAddr),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lists {
    allow: RangeSet,
    deny: RangeSet,
}

/// Ranges of both families as numbers, sorted and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RangeSet {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl ClientLists {
    /// Makes lists for all listeners. Two empty ones admit everybody.
    pub fn new(allow: &[IpRange], deny: &[IpRange]) -> Self {
        Self {
            everywhere: Lists::new(allow, deny),
            somewhere: Vec::new(),
            given: !(allow.is_empty() && deny.is_empty()),
        }
    }

    /// Adds what counts on some listeners besides.
    #[must_use]
    pub fn on(mut self, listeners: Listeners, allow: &[IpRange], deny: &[IpRange]) -> Self {
        self.somewhere.push((listeners, Lists::new(allow, deny)));
        self.given |= !(allow.is_empty() && deny.is_empty());
        self
    }

    /// Tells whether a client's packets are taken by a listener.
    #[inline]
    pub fn admits(&self, client: IpAddr, listener: SocketAddr) -> bool {
        !self.given || self.admits_listed(client, listener)
    }

    fn admits_listed(&self, client: IpAddr, listener: SocketAddr) -> bool {
        let client = client.to_canonical();
        let here = (self.somewhere.iter()).filter(|(listeners, _)| listeners.include(listener));
        let here = here.map(|(_, lists)| lists);
        let (mut denied, mut only_allowed, mut allowing) = (false, true, false);
        for lists in here.chain([&self.everywhere]) {
            if lists.allow.contains(client) {
                return true;
            }
            denied |= lists.deny.contains(client);
            only_allowed &= lists.deny.is_empty();
            allowing |= !lists.allow.is_empty();
        }
        !(denied || only_allowed && allowing)
    }
}

impl Listeners {
    fn include(self, listener: SocketAddr) -> bool {
        match self {
            Self::OnPort(port) => listener.port() == port,
            Self::At(at) => {
                let same_ip = listener.ip() == at.ip();
                let any_ip = at.ip().is_unspecified() && listener.is_ipv4() == at.is_ipv4();
                listener.port() == at.port() && (same_ip || any_ip)
            }
        }
    }
}

impl Lists {
    fn new(allow: &[IpRange], deny: &[IpRange]) -> Self {
        Self {
            allow: RangeSet::new(allow),
            deny: RangeSet::new(deny),
        }
    }
}

impl RangeSet {
    fn new(ranges: &[IpRange]) -> Self {
        let of = |v4: bool| {
            let ends = ranges.iter().map(IpRange::ends);
            let ends = ends.filter(|(first, _)| first.is_ipv4() == v4);
            let mut ends: Vec<_> = ends
                .map(|(first, last)| (number(first), number(last)))
                .collect();
            ends.sort_unstable();
            let mut apart: Vec<(u128, u128)> = Vec::new();
            for (first, last) in ends {
                match apart.last_mut() {
                    Some(before) if first <= before.1 => before.1 = before.1.max(last),
                    _ => apart.push((first, last)),
                }
            }
            apart
        };
        let (v4, v6) = (of(true), of(false));
        Self { v4, v6 }
    }

    fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    fn contains(&self, ip: IpAddr) -> bool {
        let ranges = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        let ip = number(ip);
        let behind = ranges.partition_point(|(first, _)| *first <= ip);
        let candidate = behind.checked_sub(1).and_then(|at| ranges.get(at));
        candidate.is_some_and(|(_, last)| ip <= *last)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientLists, Listeners};
    use crate::IpRange;

    fn ranges(list: &[(&str, &str)]) -> Vec<IpRange> {
        let range = |(first, last): &(&str, &str)| {
            IpRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
        };
        list.iter().map(range).collect()
    }

    fn admitted(lists: &ClientLists, clients: &[&str]) -> Vec<bool> {
        admitted_at("192.0.2.1:3478", lists, clients)
    }

    fn admitted_at(listener: &str, lists: &ClientLists, clients: &[&str]) -> Vec<bool> {
        let listener = listener.parse().unwrap();
        let admits = |client: &&str| lists.admits(client.parse().unwrap(), listener);
        clients.iter().map(admits).collect()
    }

    #[test]
    fn without_lists_everybody_comes_in() {
        let lists = ClientLists::new(&[], &[]);
        assert_eq!(admitted(&lists, &["10.0.0.1", "::1"]), [true, true]);
    }

    #[test]
    fn a_deny_list_keeps_out_what_it_names_but_for_what_is_allowed() {
        let allow = ranges(&[("10.0.0.7", "10.0.0.8")]);
        let deny = ranges(&[
            ("10.0.0.0", "10.0.0.20"),
            ("10.0.0.10", "10.0.0.30"),
            ("10.0.0.2", "10.0.0.3"),
            ("2a00::", "2a00::9"),
        ]);
        let lists = ClientLists::new(&allow, &deny);
        let clients = [
            "9.255.255.255",
            "10.0.0.0",
            "10.0.0.7",
            "10.0.0.8",
            "10.0.0.9",
            "10.0.0.25",
            "10.0.0.30",
            "10.0.0.31",
            "2a00::9",
            "2a00::a",
            "::ffff:10.0.0.1",
            "::a00:1",
        ];
        let expected = [
            true, false, true, true, false, false, false, true, false, true, false, true,
        ];
        assert_eq!(admitted(&lists, &clients), expected);
    }

    #[test]
    fn a_deny_list_of_one_family_leaves_the_rest_alone() {
        for (range, denied) in [(("10.0.0.1", "10.0.0.1"), 0), (("2a00::", "2a00::1"), 1)] {
            let lists = ClientLists::new(&[], &ranges(&[range]));
            let clients = ["10.0.0.1", "2a00::1", "10.0.0.2", "2a00::2"];
            let mut expected = [true; 4];
            expected[denied] = false;
            assert_eq!(admitted(&lists, &clients), expected);
        }
    }

    #[test]
    fn an_allow_list_alone_keeps_everybody_else_out() {
        let lists = ClientLists::new(&ranges(&[("10.0.0.0", "10.255.255.255")]), &[]);
        let clients = ["10.9.8.7", "11.0.0.0", "::1", "::ffff:10.0.0.1"];
        assert_eq!(admitted(&lists, &clients), [true, false, false, true]);
    }

    /// Every kind of listener, and one that each kind of entry must leave alone.
    const LISTENERS: [&str; 5] = [
        "192.0.2.1:3478",
        "192.0.2.2:3478",
        "192.0.2.1:5349",
        "[2001:db8::1]:3478",
        "[2001:db8::1]:5349",
    ];

    #[test]
    fn lists_of_some_listeners_count_there_and_nowhere_else() {
        let at = |text: &str| Listeners::At(text.parse().unwrap());
        let all = ranges(&[("10.0.0.0", "10.0.0.9")]);
        for (listeners, included) in [
            (Listeners::OnPort(3478), [true, true, false, true, false]),
            (at("192.0.2.1:3478"), [true, false, false, false, false]),
            (at("0.0.0.0:3478"), [true, true, false, false, false]),
            (at("[::]:3478"), [false, false, false, true, false]),
            (at("[2001:db8::1]:5349"), [false, false, false, false, true]),
        ] {
            let denying = ClientLists::default().on(listeners, &[], &all);
            let allowing = ClientLists::default().on(listeners, &all, &[]);
            for (listener, included) in LISTENERS.into_iter().zip(included) {
                let clients = ["10.0.0.5", "10.0.0.77", "2a00::1"];
                assert_eq!(
                    admitted_at(listener, &denying, &clients),
                    [!included, true, true],
                    "{listeners:?} {listener}"
                );
                assert_eq!(
                    admitted_at(listener, &allowing, &clients),
                    [true, !included, !included],
                    "{listeners:?} {listener}"
                );
            }
        }
    }

    #[test]
    fn lists_for_all_and_for_some_listeners_are_one_list_there() {
        let (all, some) = (
            ranges(&[("10.0.0.0", "10.0.0.9")]),
            ranges(&[("10.0.0.5", "10.0.0.5")]),
        );
        let clients = ["10.0.0.4", "10.0.0.5", "10.0.0.77"];
        let [here, there] = ["192.0.2.1:443", "192.0.2.1:3478"];
        let on = Listeners::OnPort(443);
        for (lists, expected_here, expected_there) in [
            // An exception on one listener.
            (
                ClientLists::new(&[], &all).on(on, &some, &[]),
                [false, true, true],
                [false, false, true],
            ),
            // An exception everywhere from what is denied on one.
            (
                ClientLists::new(&some, &[]).on(on, &[], &all),
                [false, true, true],
                [false, true, false],
            ),
            // More who may come to one listener.
            (
                ClientLists::new(&some, &[]).on(on, &all, &[]),
                [true, true, false],
                [false, true, false],
            ),
            // Denied twice.
            (
                ClientLists::new(&[], &all).on(on, &[], &some),
                [false, false, true],
                [false, false, true],
            ),
            // Two entries that mean the same listener.
            (
                ClientLists::default().on(on, &[], &all).on(
                    Listeners::At(here.parse().unwrap()),
                    &some,
                    &[],
                ),
                [false, true, true],
                [true, true, true],
            ),
        ] {
            assert_eq!(admitted_at(here, &lists, &clients), expected_here);
            assert_eq!(admitted_at(there, &lists, &clients), expected_there);
        }
    }
}
