//! Allocations of both families, of IPv6 alone and of many clients, judged by coturn's client over loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use e2e::server::{Server, free_port};
use e2e::uclient::{Peer, uclient};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A server on both loopbacks that relays from these.
fn server(relays: &[&str]) -> Result<(Server, String)> {
    let port = free_port(V4)?.to_string();
    let port_flag = format!("--listening-port={port}");
    let mut flags = vec!["--listening-ip=127.0.0.1", "--listening-ip=::1", &port_flag];
    flags.extend(["--allow-loopback-peers", "--lt-cred-mech"]);
    flags.extend(["--user=guest:guest-password", "--realm=example.org"]);
    flags.extend(relays);
    Ok((Server::start(None, &flags)?, port))
}

/// Sends messages through the server to an echoing peer; all must come back.
fn all_return(port: &str, host: IpAddr, peer: IpAddr, more: &[&str]) -> Result<()> {
    let echo = Peer::start(None, peer)?;
    let (host, peer) = (host.to_string(), peer.to_string());
    let peer_port = echo.port.to_string();
    let mut arguments = vec!["-u", "guest", "-w", "guest-password", "-p", port];
    arguments.extend(["-e", &peer, "-r", &peer_port, "-n", "10"]);
    arguments.extend(more);
    arguments.push(&host);
    let totals = uclient(None, &arguments)?;
    ensure!(totals.all_returned(), "{arguments:?}: {totals:?}");
    Ok(())
}

#[test]
fn one_allocation_reaches_peers_of_both_families() {
    let (_server, port) = server(&["--relay-ip=127.0.0.1", "--relay-ip=::1"]).unwrap();
    for (host, more) in [(V4, &["-Z"][..]), (V6, &["-Z", "-s"]), (V4, &["-Z", "-t"])] {
        for peer in [V4, V6] {
            all_return(&port, host, peer, more).unwrap();
        }
    }
}

#[test]
fn a_server_of_ipv6_alone_serves_clients_that_name_no_family() {
    let (_server, port) = server(&["--relay-ip=::1"]).unwrap();
    for (host, more) in [(V4, &[][..]), (V6, &[]), (V4, &["-x"])] {
        all_return(&port, host, V6, more).unwrap();
    }
}

#[test]
fn the_default_family_is_the_operators() {
    let relays = ["--relay-ip=127.0.0.1", "--relay-ip=::1"];
    for (default, by_v4, by_v6) in [("keep", V4, V6), ("ipv6", V6, V6)] {
        let default = format!("--allocation-default-address-family={default}");
        let (_server, port) = server(&[relays[0], relays[1], &default]).unwrap();
        all_return(&port, V4, by_v4, &[]).unwrap();
        all_return(&port, V6, by_v6, &[]).unwrap();
    }
}

#[test]
fn datagrams_that_must_not_be_fragmented_are_relayed() {
    let (_server, port) = server(&["--relay-ip=127.0.0.1", "--relay-ip=::1"]).unwrap();
    for more in [&["-g", "-s"][..], &["-g", "-s", "-t"]] {
        all_return(&port, V4, V4, more).unwrap();
    }
    all_return(&port, V4, V6, &["-g", "-s", "-x"]).unwrap();
}

/// Each pair of clients asks for an even port and the next; other programs, the client among them, hold many of the ports.
#[test]
fn pairs_of_ports_are_found_for_a_hundred_clients() {
    let (_server, port) = server(&["--relay-ip=127.0.0.1"]).unwrap();
    all_return(&port, V4, V4, &["-m", "100", "-n", "3", "-s"]).unwrap();
}
