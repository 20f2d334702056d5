//! Whose packets are taken: lists of client addresses, made for many entries and a look at each packet.

use std::net::IpAddr;

use crate::IpRange;

/// The operator's lists of client addresses. As with peers, allow beats deny; an allow list alone admits nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLists {
    allow: RangeSet,
    deny: RangeSet,
    /// Whether anything is listed at all.
    given: bool,
}

/// Ranges of both families as numbers, sorted and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RangeSet {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl ClientLists {
    /// Makes the lists. Two empty ones admit everybody.
    pub fn new(allow: &[IpRange], deny: &[IpRange]) -> Self {
        Self {
            allow: RangeSet::new(allow),
            deny: RangeSet::new(deny),
            given: !(allow.is_empty() && deny.is_empty()),
        }
    }

    /// Tells whether a client's packets are taken.
    pub fn admits(&self, client: IpAddr) -> bool {
        if !self.given {
            return true;
        }
        let client = client.to_canonical();
        let only_allowed = self.deny.is_empty();
        self.allow.contains(client) || !(only_allowed || self.deny.contains(client))
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
    use super::ClientLists;
    use crate::IpRange;

    fn ranges(list: &[(&str, &str)]) -> Vec<IpRange> {
        let range = |(first, last): &(&str, &str)| {
            IpRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
        };
        list.iter().map(range).collect()
    }

    fn admitted(lists: &ClientLists, clients: &[&str]) -> Vec<bool> {
        let admits = |client: &&str| lists.admits(client.parse().unwrap());
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
}
