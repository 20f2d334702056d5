//! Calls between browsers that cannot reach each other, or can: the NAT lab. Needs root; run with `--test-threads=1`.
//!
//! Each test builds its own internet (`e2e::nat`) with quickstart on the public segment. Unless a test says otherwise, the
//! pages may use every path (`iceTransportPolicy: all`): it is the network that decides, and the test looks at the outcome.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::browser::Kind::{self, Chromium, Firefox};
use e2e::call::{Call, Measured, Quickstart};
use e2e::certificate::Authority;
use e2e::classic;
use e2e::http::Metrics;
use e2e::nat::{Host, Internet, Nat, Site};
use e2e::natdiscovery::{mapping_lasts, verdicts};
use e2e::netns::Namespace;
use e2e::server::Server;
use e2e::uclient::uclient;

/// A public server with quickstart and two clients behind routers.
struct Lab {
    quickstart: Quickstart,
    server: Host,
    sites: [Site; 2],
    _internet: Internet,
}

impl Lab {
    fn new(nats: [Nat; 2]) -> Result<Self> {
        Self::running(nats, Quickstart::with_metrics)
    }

    fn running(nats: [Nat; 2], start: fn(&Namespace) -> Result<Quickstart>) -> Result<Self> {
        let internet = Internet::new()?;
        let server = internet.host("server")?;
        let [one, other] = nats;
        let sites = [internet.site("one", one)?, internet.site("other", other)?];
        let quickstart = start(&server.space)?;
        Ok(Self {
            quickstart,
            server,
            sites,
            _internet: internet,
        })
    }

    fn call(&self, kinds: [Kind; 2]) -> Result<Call> {
        let [one, other] = &self.sites;
        let [one_kind, other_kind] = kinds;
        Call::open(
            &self.quickstart,
            self.server.address,
            [(&one.client, one_kind), (&other.client, other_kind)],
            false,
        )
    }

    fn metrics(&self) -> Result<Metrics> {
        let address = SocketAddr::new(self.server.address, 9641);
        self.server.space.inside(|| Metrics::scrape(address))
    }
}

/// Tells how many payload bytes the relay has moved, both directions and all clients together.
fn relayed_bytes(metrics: &Metrics) -> Result<f64> {
    let count = |name| metrics.sum(name).with_context(|| format!("no {name}"));
    Ok(count("turn_total_traffic_peer_rcvb")? + count("turn_total_traffic_peer_sentb")?)
}

fn whole_call(call: &mut Call) -> Result<Measured> {
    call.connected()?;
    let measured = call.media_flows()?;
    call.chat_arrives()?;
    Ok(measured)
}

#[test]
fn behind_two_symmetric_nats_the_relay_is_the_only_way() {
    let lab = Lab::new([Nat::Symmetric, Nat::Symmetric]).unwrap();

    // The control comes first: without TURN the pages find each other through signaling and still never connect.
    lab.server.block_port(3478).unwrap();
    let mut call = lab.call([Chromium, Chromium]).unwrap();
    call.introduced().unwrap();
    call.stays_apart(Duration::from_secs(15)).unwrap();
    drop(call);
    lab.server.unblock_port().unwrap();

    let mut call = lab.call([Chromium, Chromium]).unwrap();
    whole_call(&mut call).unwrap().relayed().unwrap();
}

#[test]
fn behind_two_symmetric_nats_firefox_is_relayed() {
    let lab = Lab::new([Nat::Symmetric, Nat::Symmetric]).unwrap();
    let mut call = lab.call([Firefox, Firefox]).unwrap();
    whole_call(&mut call).unwrap().relayed().unwrap();
}

/// Both pages have the same relayed address, and so each its own for its peer's.
#[test]
fn two_browsers_on_one_relay_port_find_each_other() {
    let nats = [Nat::Symmetric, Nat::Symmetric];
    let lab = Lab::running(nats, Quickstart::with_one_relay_port).unwrap();
    let mut call = lab.call([Chromium, Firefox]).unwrap();
    whole_call(&mut call).unwrap().relayed().unwrap();
}

#[test]
fn behind_two_endpoint_independent_nats_media_flows_directly() {
    let lab = Lab::new([Nat::EndpointIndependent, Nat::EndpointIndependent]).unwrap();
    let mut call = lab.call([Chromium, Chromium]).unwrap();
    call.connected().unwrap();
    let measured = whole_call(&mut call).unwrap();
    measured.direct().unwrap();
    assert!(measured.bytes() > 50_000, "hardly any media: {measured}");

    let metrics = lab.metrics().unwrap();
    assert!(
        metrics.sum("turn_total_allocations") >= Some(2.0),
        "the relay was no alternative"
    );
    // Not one byte of media. Before the direct path is chosen, a connectivity check (about 100 bytes) may try the relay.
    let relayed = relayed_bytes(&metrics).unwrap();
    assert!(relayed < 4_000.0, "the relay carried {relayed} bytes");
}

#[test]
fn where_udp_is_blocked_the_call_takes_tcp() {
    let lab = Lab::new([Nat::EndpointIndependent, Nat::EndpointIndependent]).unwrap();
    for site in &lab.sites {
        site.block_udp().unwrap();
    }
    let mut call = lab.call([Chromium, Firefox]).unwrap();
    let measured = whole_call(&mut call).unwrap();
    measured.relay_to_relay().unwrap();
    measured.relay_protocol("tcp").unwrap();
}

/// Pages, signaling and media: all of it by one port of one server, as HTTPS and as TURN over TLS.
#[test]
fn where_nothing_but_port_443_is_open_everything_takes_it() {
    const NAME: &str = "turn.test";
    let internet = Internet::new().unwrap();
    let server = internet.host("server").unwrap();
    let sites = ["one", "other"].map(|role| internet.site(role, Nat::Symmetric).unwrap());
    for site in &sites {
        site.allow_only_tcp(443).unwrap();
        site.client.name_hosts(&[(server.address, NAME)]).unwrap();
    }
    let authority = Authority::make().unwrap();
    let certificate = authority.certify(NAME, &[server.address]).unwrap();
    let quickstart = Quickstart::with_https(&server.space, &certificate).unwrap();
    let [one, other] = &sites;
    let places = [(&one.client, Chromium), (&other.client, Firefox)];
    let mut call = Call::open_secure(&quickstart, NAME, places, &authority).unwrap();
    let measured = whole_call(&mut call).unwrap();
    measured.relay_to_relay().unwrap();
    measured.relay_protocol("tls").unwrap();
    for page in [&mut call.one, &mut call.other] {
        assert_eq!(
            page.evaluate("location.origin").unwrap(),
            "https://turn.test"
        );
    }
}

#[test]
fn in_a_network_without_ipv4_the_call_is_relayed() {
    let internet = Internet::new().unwrap();
    let [server, one, other] =
        ["server", "one", "other"].map(|role| internet.host_v6(role).unwrap());
    let quickstart = Quickstart::start(&server.space).unwrap();
    let places = [(&one.space, Chromium), (&other.space, Firefox)];
    let mut call = Call::open(&quickstart, server.address, places, true).unwrap();
    whole_call(&mut call).unwrap().relay_to_relay().unwrap();
}

/// Both clients are told relayed addresses at the public address, which from inside the server does not lead back:
/// the server has to see that the peer is another relay of its own.
#[test]
fn a_server_behind_a_one_to_one_nat_relays_between_its_clients_by_its_public_address() {
    let internet = Internet::new().unwrap();
    let server = internet.mapped_server().unwrap();
    let client = internet.host("client").unwrap();
    let external = format!("--external-ip={}/{}", server.public, server.private);
    let flags = [
        &external,
        "--listening-port=3478",
        "--realm=example.org",
        "--lt-cred-mech",
        "--user=guest:secret",
    ];
    let _server = Server::start(Some(&server.space), &flags).unwrap();

    let public = server.public.to_string();
    for method in [[].as_slice(), &["-s"]] {
        for transport in [[].as_slice(), &["-t"]] {
            let mut arguments = vec![
                "-y", "-c", "-u", "guest", "-w", "secret", "-n", "10", "-m", "2",
            ];
            arguments.extend(method.iter().chain(transport));
            arguments.push(&public);
            let totals = uclient(Some(&client.space), &arguments).unwrap();
            assert!(totals.all_returned(), "{arguments:?}: {totals:?}");
        }
    }
}

/// A server with two public addresses answers from all four of its places, on whichever worker a request arrives: coturn's
/// client finds out what each router does, which it does not where one of the four stays silent.
#[test]
fn nat_discovery_tells_the_routers_apart() {
    let internet = Internet::new().unwrap();
    let server = internet.host("server").unwrap();
    internet.second_address(&server).unwrap();
    let flags = [
        "--rfc5780",
        "--rfc3489-compatibility",
        "--relay-threads=3",
        "--realm=example.org",
        "--lt-cred-mech",
        "--user=guest:secret",
    ];
    let _server = Server::start(Some(&server.space), &flags).unwrap();
    let ask = |space| verdicts(Some(space), server.address, 3478).unwrap();

    let open = internet.site("open", Nat::EndpointIndependent).unwrap();
    assert_eq!(
        ask(&open.client),
        [
            "NAT with Endpoint Independent Mapping!",
            "NAT with Endpoint Independent Filtering!"
        ]
    );
    assert!(mapping_lasts(Some(&open.client), server.address, 3478).unwrap());
    // And a client that knows classic STUN only.
    let ask_classic = |space| classic::verdict(Some(space), server.address, 3478).unwrap();
    let verdict = ask_classic(&open.client);
    assert!(
        verdict.starts_with("Independent Mapping, Independent Filter"),
        "{verdict}"
    );
    let symmetric = internet.site("symmetric", Nat::Symmetric).unwrap();
    assert_eq!(
        ask(&symmetric.client),
        [
            "NAT with Address and Port Dependent Mapping!",
            "NAT with Address and Port Dependent Filtering!"
        ]
    );
    let verdict = ask_classic(&symmetric.client);
    assert!(verdict.starts_with("Dependent Mapping"), "{verdict}");
}
