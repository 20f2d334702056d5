//! From the operator's words to what the workers are told.
// A panic in a test is its report, also in the helpers, which the lint does not recognise as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{ffi::OsString, io, net::IpAddr, path::Path};

use turn_config::{Environment, Invocation, Settings};
use turn_server::relay_config::{Plan, plan};

/// This machine, as the tests have it.
const MACHINE: [&str; 3] = ["127.0.0.1", "192.0.2.1", "2001:db8::1"];

fn settings(flags: &[&str]) -> Settings {
    let read = |path: &Path| {
        let there = path.starts_with("/pem");
        there.then(Vec::new).ok_or(io::ErrorKind::NotFound.into())
    };
    let environment = Environment {
        resolve: &|_| None,
        read: &read,
        variables: Vec::new(),
        program_folder: None,
    };
    let args = ["-n", "-ua:b"].iter().chain(flags).map(OsString::from);
    match turn_config::parse(args, &environment) {
        Ok(Invocation::Run(settings)) => *settings,
        Ok(_) => panic!("no run"),
        Err(error) => panic!("{error}"),
    }
}

fn planned(flags: &[&str]) -> Plan {
    let machine = MACHINE.map(|ip| ip.parse::<IpAddr>().unwrap());
    plan(&settings(flags), &machine, Vec::new()).unwrap()
}

fn words<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(T::to_string).collect()
}

/// coturn opens these beside its listening addresses, whether those have such an address or not.
#[test]
fn further_endpoints_are_listened_on_and_their_address_is_relayed_from() {
    let plan = planned(&[
        "-L192.0.2.1",
        "--aux-server=192.0.2.9:443",
        "--aux-server=192.0.2.1:3478",
    ]);
    assert_eq!(
        words(&plan.endpoints.plain),
        ["192.0.2.1:3478", "192.0.2.9:443"]
    );
    assert_eq!(
        words(&plan.relay.relays.addresses),
        ["192.0.2.1", "192.0.2.9"]
    );
    let plan = planned(&["-L192.0.2.1", "--aux-server=[2001:db8::9]:443"]);
    assert_eq!(
        words(&plan.endpoints.plain),
        ["192.0.2.1:3478", "[2001:db8::9]:443"]
    );
    // The drivers count on the order of those that take part in NAT discovery.
    let plan = planned(&[
        "-L192.0.2.1",
        "-L192.0.2.2",
        "--rfc5780",
        "--aux-server=192.0.2.9:443",
    ]);
    assert_eq!(plan.endpoints.plain.len(), 5);
    assert_eq!(plan.endpoints.plain[4].to_string(), "192.0.2.9:443");
    assert!(plan.relay.discovery.is_some());
}

#[test]
fn the_second_tls_port_is_opened_with_nat_discovery() {
    let tls = ["-L192.0.2.1", "--cert=/pem/c", "--pkey=/pem/k"];
    let at = |more: &[&str]| words(&planned(&[&tls[..], more].concat()).endpoints.tls);
    assert_eq!(at(&[]), ["192.0.2.1:5349"]);
    assert_eq!(at(&["--rfc5780"]), ["192.0.2.1:5349", "192.0.2.1:5350"]);
    assert_eq!(
        at(&["--rfc5780", "--alt-tls-listening-port=443"]),
        ["192.0.2.1:5349", "192.0.2.1:443"]
    );
}

#[test]
fn servers_that_share_a_secret_share_the_key_of_their_nonces() {
    let client = "192.0.2.77:5000".parse().unwrap();
    let shared = "--stateless-nonce-secret=shared";
    let nonce = planned(&[shared])
        .relay
        .nonce_key
        .issue(client, 0, 1000, None);
    let fresh = |flags: &[&str]| {
        let relay = planned(flags).relay;
        let verdict = relay
            .nonce_key
            .check(nonce.as_bytes(), client, 0, 1000, 600, &[]);
        verdict == turn_auth::NonceVerdict::Fresh
    };
    assert!(fresh(&[shared]));
    assert!(!fresh(&[]) && !fresh(&["--stateless-nonce-secret=another"]));
}

fn refused(flags: &[&str]) -> String {
    let machine = MACHINE.map(|ip| ip.parse::<IpAddr>().unwrap());
    match plan(&settings(flags), &machine, Vec::new()) {
        Ok(_) => panic!("{flags:?} are fine"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn lists_of_clients_are_for_listeners_that_there_are() {
    let client = |text: &str| text.parse::<IpAddr>().unwrap();
    let plan = planned(&[
        "-L192.0.2.1",
        "-L2001:db8::1",
        "--aux-server=192.0.2.1:443",
        "--denied-client-ip=10.0.0.0/8@443",
        "--allowed-client-ip=10.0.0.7@192.0.2.1:443",
        "--denied-client-ip=10.9.0.0/16",
    ]);
    let lists = &plan.relay.guard.clients;
    for (from, plain, further) in [
        ("10.0.0.6", true, false),
        ("10.0.0.7", true, true),
        ("10.9.9.9", false, false),
        ("11.0.0.0", true, true),
    ] {
        let admitted = |at: &str| lists.admits(client(from), at.parse().unwrap());
        assert_eq!(admitted("192.0.2.1:3478"), plain, "{from}");
        assert_eq!(admitted("192.0.2.1:443"), further, "{from}");
    }
}

#[test]
fn a_list_for_a_listener_that_there_is_not_is_no_start() {
    let tls = ["--cert=/pem/c", "--pkey=/pem/k", "-L192.0.2.1"];
    let known = |more: &[&str]| words(&planned(&[&tls[..], more].concat()).endpoints.listeners());
    assert_eq!(known(&[]), ["192.0.2.1:3478", "192.0.2.1:5349"]);
    let entry = "--denied-client-ip=10.0.0.1@5348";
    let said = refused(&[&tls[..], &[entry]].concat());
    for part in [
        "command line, --denied-client-ip: ",
        "denied-client-ip=10.0.0.1@5348",
        "there are 192.0.2.1:3478, 192.0.2.1:5349",
        "Write 10.0.0.1@ADDRESS:PORT",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    // What is configured and not opened is no listener either.
    for (flags, entry) in [
        (&[][..], "10.0.0.1@5349"),
        (&["--tcp-proxy-port=81", "--no-udp"], "10.0.0.1@3478"),
        (&[], "10.0.0.1@192.0.2.9:3478"),
        (&["-p0"], "10.0.0.1@3478"),
    ] {
        let entry = format!("--allowed-client-ip={entry}");
        refused(&[&["-L192.0.2.1", entry.as_str()], flags].concat());
    }
    for (flags, entry) in [
        (&[][..], "::1@[2001:db8::1]:3478"),
        (&["--tcp-proxy-port=81", "--no-udp"], "10.0.0.1@81"),
        (&["--tcp-proxy-port=81"], "10.0.0.1@0.0.0.0:3478"),
    ] {
        let entry = format!("--allowed-client-ip={entry}");
        planned(&[&[entry.as_str()], flags].concat());
    }
}
