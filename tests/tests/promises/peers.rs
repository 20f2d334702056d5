//! Whom nobody reaches through a relay, in all the clothes that an address can wear; and who is believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Result, ensure};
use e2e::netns::Namespace;
use e2e::strangers::{FLAGS, TURN};
use e2e::turn_client::{Answer, TurnClient};

use crate::{both, promise};

const RELAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 3478);

/// No machine, this machine, and where clouds hand out credentials.
const NEVER: [&str; 10] = [
    "0.0.0.0",
    "127.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "192.0.0.192",
];
const NEVER6: [&str; 5] = ["::", "::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254"];

/// The IPv6 addresses that lead to an IPv4 address: mapped, compatible, translated, NAT64 by either prefix, 6to4, Teredo by
/// its client and by its server, ISATAP.
fn dressed(ip: Ipv4Addr) -> [Ipv6Addr; 9] {
    let bits = u128::from(ip.to_bits());
    let [high, low] = [bits >> 16 & 0xFFFF, bits & 0xFFFF];
    let teredo = 0x2001_0000 << 96;
    [
        0xFFFF << 32 | bits,
        bits,
        0xFFFF << 48 | bits,
        0x0064_FF9B << 96 | bits,
        0x0064_FF9B_0001 << 80 | bits,
        0x2002 << 112 | high << 96 | low << 80 | 1,
        teredo | 0x0808_0808 << 64 | (!bits & 0xFFFF_FFFF),
        teredo | bits << 64 | 0x0808_0808,
        0x2A00_0001 << 96 | 0x5EFE << 32 | bits,
    ]
    .map(Ipv6Addr::from_bits)
}

/// How many of these peers are granted, by a permission or by a channel.
fn granted(space: &Namespace, v4: &[IpAddr], v6: &[IpAddr]) -> Result<usize> {
    let mut granted = 0;
    for (peers, is_v6) in [(v4, false), (v6, true)] {
        let mut client = space.inside(|| TurnClient::new(RELAY, "guest", "secret"))?;
        let allocated = if is_v6 {
            client.allocate_v6()?
        } else {
            client.allocate(None)?
        };
        let success = |answer: &Answer| matches!(answer, Answer::Success { .. });
        ensure!(success(&allocated), "no relay: {allocated:?}");
        for (number, ip) in (0x4000..).zip(peers) {
            let peer = SocketAddr::new(*ip, 8080);
            granted += usize::from(success(&client.permit(peer)?));
            granted += usize::from(success(&client.bind(number, peer)?));
        }
    }
    Ok(granted)
}

#[test]
fn nobody_reaches_what_is_never_a_peer() {
    let v4: Vec<Ipv4Addr> = NEVER.iter().map(|ip| ip.parse().unwrap()).collect();
    let dressed: Vec<Ipv6Addr> = v4.iter().flat_map(|ip| dressed(*ip)).collect();
    let v4: Vec<IpAddr> = v4.into_iter().map(IpAddr::from).collect();
    let v6 = NEVER6.iter().map(|ip| ip.parse::<IpAddr>().unwrap());
    let v6: Vec<IpAddr> = v6.chain(dressed.into_iter().map(IpAddr::from)).collect();
    let asked = 2 * (v4.len() + v6.len());
    let flags = [
        "--listening-ip=10.0.0.1",
        "--relay-ip=10.0.0.1",
        "--relay-ip=2a00:1::1",
        "--realm=test.org",
        "--lt-cred-mech",
        "--user=guest:secret",
    ];
    let measured = both(&flags, |space, _| granted(space, &v4, &v6));
    let [ours, coturn] = measured.unwrap();
    promise(
        &format!("metadata, loopback and nobody as peers, in 10 notations: {asked} requests"),
        "0 granted",
        ours,
        coturn,
    );
    assert_eq!(ours, 0);
}

#[test]
fn an_unknown_user_and_a_wrong_password_look_alike() {
    let differ = |space: &Namespace, _: &_| {
        let refusal = |username: &str| {
            let mut client = space.inside(|| TurnClient::new(TURN, username, "a guess"))?;
            client.refusal()
        };
        let (known, unknown) = (refusal("guest")?, refusal("ghost")?);
        ensure!(!known.is_empty(), "refused without a word");
        Ok(if known == unknown { "alike" } else { "differ" })
    };
    let [ours, coturn] = both(&FLAGS, differ).unwrap();
    promise(
        "refusals of an unknown user and of a wrong password",
        "alike",
        ours,
        coturn,
    );
    assert_eq!(ours, "alike");
}
