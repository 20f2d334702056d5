//! The peer policy against an oracle: the same rules, written a second time from the registries as they are printed (prefixes as
//! text, byte positions of the drawings in the RFCs), over random policies and random addresses of every form.
//!
//! `PEERS=N` judges N addresses (the default is 1,000,000), `SEED=X` starts from a seed; a failure names its own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use turn_proto::{IpRange, Nat64Prefix, PeerAddr, PeerDenied, PeerPolicy, Scope};

/// Never a peer.
const NEVER: &str = "0.0.0.0/32 224.0.0.0/4 255.255.255.255/32 ::/128 ff00::/8";

/// Where clouds hand out credentials; never a peer either.
const METADATA: &str = "169.254.169.254/32 169.254.170.2/32 169.254.170.23/32 100.100.100.200/32 168.63.129.16/32 192.0.0.192/32 \
    fd00:ec2::254/128 fd20:ce::254/128";

const LOOPBACK: &str = "127.0.0.0/8 ::1/128";

const LINK_LOCAL: &str = "169.254.0.0/16 fe80::/10";

/// The IANA IPv4 and IPv6 special-purpose registries, and what is reserved or was given back.
const PRIVATE: &str = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 \
    192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 \
    ::/3 4000::/2 8000::/1 2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 3ffe::/16";

/// An address as one number, IPv4 as IPv6 does not know it: beyond all that 128 bits can say, the family is beside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Plain {
    v4: bool,
    bytes: [u8; 16],
}

impl Plain {
    fn of(ip: IpAddr) -> Self {
        let mut bytes = [0; 16];
        match ip {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes = ip.octets(),
        }
        Self {
            v4: ip.is_ipv4(),
            bytes,
        }
    }

    fn v4(bytes: [u8; 4]) -> Self {
        Self::of(bytes.into())
    }

    fn ip(self) -> IpAddr {
        let [a, b, c, d, ..] = self.bytes;
        if self.v4 {
            [a, b, c, d].into()
        } else {
            self.bytes.into()
        }
    }
}

/// A prefix as it is printed: so many whole bytes, and so many bits of the next one.
struct Prefix {
    first: Plain,
    length: usize,
}

impl Prefix {
    fn parse(text: &str) -> Self {
        let (ip, length) = text.split_once('/').unwrap();
        let (first, length) = (Plain::of(ip.parse().unwrap()), length.parse().unwrap());
        Self { first, length }
    }

    fn covers(&self, ip: Plain) -> bool {
        let (whole, rest) = (self.length / 8, self.length % 8);
        self.first.v4 == ip.v4
            && self.first.bytes[..whole] == ip.bytes[..whole]
            && (rest == 0 || self.first.bytes[whole] >> (8 - rest) == ip.bytes[whole] >> (8 - rest))
    }
}

struct Registry {
    tables: [(Scope, Vec<Prefix>); 5],
}

impl Registry {
    fn new() -> Self {
        let table = |text: &str| text.split_whitespace().map(Prefix::parse).collect();
        let tables = [
            (Scope::Metadata, table(METADATA)),
            (Scope::Nobody, table(NEVER)),
            (Scope::Loopback, table(LOOPBACK)),
            (Scope::LinkLocal, table(LINK_LOCAL)),
            (Scope::Private, table(PRIVATE)),
        ];
        Self { tables }
    }

    fn scope(&self, ip: Plain) -> Scope {
        let mut found = self.tables.iter();
        let found = found.find(|(_, table)| table.iter().any(|prefix| prefix.covers(ip)));
        found.map_or(Scope::Public, |(scope, _)| *scope)
    }
}

/// Where the four bytes lie behind a NAT64 prefix of this length (RFC 6052 §2.2, the figure).
const NAT64: [(u8, [usize; 4]); 6] = [
    (32, [4, 5, 6, 7]),
    (40, [5, 6, 7, 9]),
    (48, [6, 7, 9, 10]),
    (56, [7, 9, 10, 11]),
    (64, [9, 10, 11, 12]),
    (96, [12, 13, 14, 15]),
];

/// Every address that a packet may arrive at, the address itself first.
fn places(ip: Plain, site: Option<(u8, [u8; 16])>) -> Vec<Plain> {
    let mut all = vec![ip];
    if ip.v4 {
        return all;
    }
    let b = ip.bytes;
    let mut at = |places: [usize; 4]| all.push(Plain::v4(places.map(|place| b[place])));
    let last = [12, 13, 14, 15];
    if b.starts_with(&[0; 12]) && ip.ip() != IpAddr::from(Ipv6Addr::LOCALHOST) && b != [0; 16] {
        at(last);
    }
    if b.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0])
        || b.starts_with(&[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0])
    {
        at(last);
    }
    if b.starts_with(&[0x20, 2]) {
        at([2, 3, 4, 5]);
    }
    if b.starts_with(&[0x20, 1, 0, 0]) {
        at([4, 5, 6, 7]);
    }
    // The u and g bits may be set, no other of these.
    if [0, 1, 2, 3].contains(&b[8]) && b[9..12] == [0, 0x5e, 0xfe] {
        at(last);
    }
    // Behind the site's prefix where the site has it; else, behind the one for local use, wherever there is something.
    let site = site.filter(|(length, prefix)| {
        let fixed = usize::from(*length) / 8;
        b[..fixed] == prefix[..fixed]
    });
    if let Some((length, _)) = site {
        at(NAT64.iter().find(|(held, _)| *held == length).unwrap().1);
    } else if b.starts_with(&[0, 0x64, 0xff, 0x9b, 0, 1]) {
        let cuts = NAT64.map(|(_, places)| places);
        let [_, _, cuts @ ..] = cuts;
        if cuts.iter().all(|places| b[places[0]] == 0) {
            at(last);
        }
        let nonzero = cuts.into_iter().filter(|places| b[places[0]] != 0);
        nonzero.for_each(at);
    }
    if b.starts_with(&[0x20, 1, 0, 0]) {
        all.push(Plain::v4(
            [12, 13, 14, 15].map(|place: usize| 255 - b[place]),
        ));
    }
    all
}

/// A random operator.
struct Operator {
    policy: PeerPolicy,
    allow: Vec<(Plain, Plain)>,
    deny: Vec<(Plain, Plain)>,
    site: Option<(u8, [u8; 16])>,
}

impl Operator {
    fn random(rng: &mut StdRng, interesting: &[Plain]) -> Self {
        let mut ranges = |most: usize| -> Vec<(Plain, Plain)> {
            (0..rng.random_range(0..=most))
                .filter_map(|_| {
                    let base = *interesting.choose(rng).unwrap();
                    let first = near(rng, base);
                    let last = match rng.random_range(0..4) {
                        0 => first,
                        1 => near(rng, first),
                        _ => *interesting.choose(rng).unwrap(),
                    };
                    let (first, last) = (first.min(last), first.max(last));
                    (first.v4 == last.v4).then_some((first, last))
                })
                .collect()
        };
        let (allow, deny) = (ranges(4), ranges(4));
        let mut addresses = |most: usize| -> Vec<IpAddr> {
            (0..rng.random_range(0..=most))
                .map(|_| interesting.choose(rng).unwrap().ip())
                .collect()
        };
        let own = addresses(3);
        let backends = addresses(2);
        let relays = own.iter().copied().filter(|_| rng.random()).collect();
        let mut control: Vec<SocketAddr> = backends.iter().map(|ip| (*ip, 6379).into()).collect();
        if rng.random() {
            control.push("0.0.0.0:8080".parse().unwrap());
        }
        let site = rng.random::<bool>().then(|| {
            let mut prefix = [0; 16];
            prefix[..8].copy_from_slice(if rng.random() {
                &[0x2a, 0, 0x14, 0x50, 0x40, 1, 0, 9]
            } else {
                &[0, 0x64, 0xff, 0x9b, 0, 1, 0, 9]
            });
            (NAT64.choose(rng).unwrap().0, prefix)
        });
        let range = |(first, last): &(Plain, Plain)| IpRange::new(first.ip(), last.ip()).unwrap();
        let nat64 = site.map(|(length, prefix): (u8, [u8; 16])| {
            Nat64Prefix::new(prefix.into(), length).unwrap()
        });
        let policy = PeerPolicy {
            allow: allow.iter().map(range).collect(),
            deny: deny.iter().map(range).collect(),
            allow_loopback: rng.random(),
            allow_private: rng.random(),
            own,
            relays,
            control,
            nat64: nat64.into_iter().collect(),
        };
        Self {
            policy,
            allow,
            deny,
            site,
        }
    }

    /// The rules, a sentence each: every reason why not, for an address may lead to several places.
    fn reasons(&self, registry: &Registry, ip: Plain, port: u16, live: bool) -> Vec<PeerDenied> {
        let places = places(ip, self.site);
        // Nothing that is configured opens these, and no detour leads there.
        let scopes = places.iter().map(|place| registry.scope(*place));
        let never: Vec<_> = scopes
            .filter(|scope| matches!(scope, Scope::Nobody | Scope::Metadata))
            .map(PeerDenied::Never)
            .collect();
        if !never.is_empty() {
            return never;
        }
        let one = |place: &Plain| self.one(registry, *place, place.v4 != ip.v4, port, live);
        places.iter().filter_map(one).collect()
    }

    fn one(
        &self,
        registry: &Registry,
        ip: Plain,
        detour: bool,
        port: u16,
        live: bool,
    ) -> Option<PeerDenied> {
        let policy = &self.policy;
        let scope = registry.scope(ip);
        let control = |own: bool| {
            policy.control.iter().any(|held| {
                (held.ip() == ip.ip() || own && held.ip().is_unspecified())
                    && (detour || held.port() == port)
            })
        };
        // Of this machine, only what is opened by name or is a live relay; never by a detour.
        if scope == Scope::Loopback || policy.own.contains(&ip.ip()) {
            let by_name = if scope == Scope::Loopback {
                policy.allow_loopback
            } else {
                self.allow.contains(&(ip, ip))
            };
            let open = !detour && (by_name || live) && !control(true);
            return (!open).then_some(PeerDenied::Own);
        }
        let within = |list: &[(Plain, Plain)]| {
            list.iter()
                .any(|(first, last)| first.v4 == ip.v4 && *first <= ip && ip <= *last)
        };
        let allowed = within(&self.allow);
        if !allowed && within(&self.deny) {
            return Some(PeerDenied::Listed);
        }
        let closed = scope == Scope::LinkLocal || scope == Scope::Private && !policy.allow_private;
        if !allowed && closed {
            return Some(PeerDenied::Private);
        }
        control(false).then_some(PeerDenied::Own)
    }
}

/// An address that differs in a few of its last bits, or in one bit anywhere.
fn near(rng: &mut StdRng, ip: Plain) -> Plain {
    let mut near = ip;
    let length = if ip.v4 { 4 } else { 16 };
    match rng.random_range(0..4) {
        0 => {}
        1 => near.bytes[rng.random_range(0..length)] ^= 1 << rng.random_range(0..8),
        2 => {
            near.bytes[length - 1] =
                near.bytes[length - 1].wrapping_add_signed(rng.random_range(-2..=2))
        }
        _ => rng.fill(&mut near.bytes[length / 2..length]),
    }
    near
}

/// An IPv6 address that leads to an IPv4 address in one of the known ways, or in two.
fn dressed(rng: &mut StdRng, v4: Plain, site: Option<(u8, [u8; 16])>) -> Plain {
    let mut bytes: [u8; 16] = rng.random();
    let mut put = |places: [usize; 4], turned: bool| {
        for (place, byte) in places.into_iter().zip(v4.bytes) {
            bytes[place] = if turned { 255 - byte } else { byte };
        }
    };
    let front: &[u8] = match rng.random_range(0..9) {
        0 => {
            put([12, 13, 14, 15], false);
            &[0; 12]
        }
        1 => {
            put([12, 13, 14, 15], false);
            &[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]
        }
        2 => {
            put([12, 13, 14, 15], false);
            &[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        3 => {
            let [.., (_, a), (_, b), (_, c), (_, d)] = NAT64;
            put(*[a, b, c, d].choose(rng).unwrap(), false);
            &[0, 0x64, 0xff, 0x9b, 0, 1]
        }
        4 => {
            put([2, 3, 4, 5], false);
            &[0x20, 2]
        }
        5 => {
            put([12, 13, 14, 15], true);
            &[0x20, 1, 0, 0]
        }
        6 => {
            put([4, 5, 6, 7], false);
            &[0x20, 1, 0, 0]
        }
        7 => {
            put([12, 13, 14, 15], false);
            bytes[8..12].copy_from_slice(&[rng.random_range(0..5), 0, 0x5e, 0xfe]);
            &[0x2a]
        }
        _ => {
            let Some((length, prefix)) = site else {
                return near(rng, v4);
            };
            put(
                NAT64.iter().find(|(held, _)| *held == length).unwrap().1,
                false,
            );
            bytes[..usize::from(length) / 8].copy_from_slice(&prefix[..usize::from(length) / 8]);
            &[]
        }
    };
    bytes[..front.len()].copy_from_slice(front);
    Plain { v4: false, bytes }
}

/// First and last address of every row, their neighbours, and a few that anybody may reach.
fn interesting() -> Vec<Plain> {
    let all = [NEVER, METADATA, LOOPBACK, LINK_LOCAL, PRIVATE].join(" ");
    let mut found: Vec<Plain> = ["8.8.8.8", "9.9.9.9", "2a00:1450:4001:9::1", "2620:fe::fe"]
        .map(|text| Plain::of(text.parse().unwrap()))
        .into();
    for row in all.split_whitespace() {
        let prefix = Prefix::parse(row);
        let (width, length) = (if prefix.first.v4 { 32 } else { 128 }, prefix.length);
        let first = prefix.first;
        let mut last = first;
        for bit in length..width {
            last.bytes[bit / 8] |= 0x80 >> (bit % 8);
        }
        let step = |mut ip: Plain, by: i8| {
            for byte in ip.bytes[..width / 8].iter_mut().rev() {
                *byte = byte.wrapping_add_signed(by);
                if *byte != if by > 0 { 0 } else { 255 } {
                    break;
                }
            }
            ip
        };
        found.extend([first, last, step(first, -1), step(last, 1)]);
    }
    found
}

#[test]
fn policy_and_oracle_agree_about_every_address() {
    let count: u64 = std::env::var("PEERS").map_or(1_000_000, |count| count.parse().unwrap());
    let fresh = || RandomState::new().build_hasher().finish();
    let seed = std::env::var("SEED").map_or_else(|_| fresh(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (registry, interesting) = (Registry::new(), interesting());
    let v4: Vec<Plain> = interesting.iter().copied().filter(|ip| ip.v4).collect();
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut judged = 0;
    while judged < count {
        let operator = Operator::random(&mut rng, &interesting);
        for _ in 0..1000 {
            let ip = match rng.random_range(0..6) {
                0 => Plain {
                    v4: false,
                    bytes: rng.random(),
                },
                1 => Plain::v4(rng.random()),
                2 | 3 => {
                    let base = *interesting.choose(&mut rng).unwrap();
                    near(&mut rng, base)
                }
                _ => {
                    let base = *v4.choose(&mut rng).unwrap();
                    let inner = near(&mut rng, base);
                    dressed(&mut rng, inner, operator.site)
                }
            };
            let port = *[80, 6379, 8080].choose(&mut rng).unwrap();
            let Some(peer) = PeerAddr::of(SocketAddr::new(ip.ip(), port)) else {
                assert!(
                    ip.bytes
                        .starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]),
                    "SEED={seed} {ip:?}"
                );
                continue;
            };
            let live = operator.policy.relays.contains(&ip.ip()) && rng.random();
            let reasons = operator.reasons(&registry, ip, port, live);
            let found = operator.policy.verdict(peer, live).err();
            assert!(
                found.map_or(reasons.is_empty(), |reason| reasons.contains(&reason)),
                "SEED={seed}: {peer}, live: {live}: {found:?}, not {reasons:?}, under {:?}",
                operator.policy
            );
            *outcomes.entry(format!("{found:?}")).or_default() += 1;
            judged += 1;
        }
    }
    println!("{judged} addresses judged: {outcomes:?}");
    println!(
        "\npromise: random peers, the policy against an oracle | no difference | 0 of {judged} | -"
    );
    // Every outcome was met often enough to be believed.
    assert_eq!(outcomes.len(), 6, "{outcomes:?}");
    assert!(
        outcomes.values().all(|times| *times > count / 1000),
        "{outcomes:?}"
    );
}
