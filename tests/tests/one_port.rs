//! One port for TURN over TLS and for HTTPS: curl, OpenSSL and coturn's client on it, at once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{ChildStdin, Command};
use std::thread;
use std::time::Duration;

use e2e::certificate::{Algorithm, Certificate};
use e2e::http::curl;
use e2e::process::{Process, run};
use e2e::server::{Server, free_port};
use e2e::uclient::{Peer, uclient};
use rustix::process::Signal;
use serde_json::Value;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const KEY: &str = "Authorization: Bearer key-of-a-test";

struct OnePort {
    server: Server,
    certificate: Certificate,
    port: u16,
}

impl OnePort {
    fn start(more_flags: &[&str]) -> Self {
        let port = free_port(V4).unwrap();
        let certificate = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
        let [cert, pkey] = certificate.flags();
        let port_flag = format!("--tls-listening-port={port}");
        let mut flags = vec!["--listening-ip=127.0.0.1", "--listening-port=0"];
        flags.extend(["--relay-ip=127.0.0.1", "--allow-loopback-peers"]);
        flags.extend(["--use-auth-secret", "--static-auth-secret=secret-of-a-test"]);
        flags.extend(["--realm=example.org", "--no-tls=no", "--https"]);
        flags.extend(["--http-api-key=key-of-a-test", &port_flag, &cert, &pkey]);
        flags.extend(more_flags);
        Self {
            server: Server::start(None, &flags).unwrap(),
            certificate,
            port,
        }
    }

    /// The ICE configuration, by the certificate that this client believes.
    fn ice(&self) -> Value {
        let got = curl(
            self.port,
            "/v1/ice",
            &self.certificate.certificate,
            &["-H", KEY],
        )
        .unwrap();
        assert_eq!(got.status, 200, "{got:?}");
        serde_json::from_str(&got.body).unwrap()
    }

    /// `openssl s_client`, whose input is open.
    fn openssl(&self, more: &[&str]) -> (Process, ChildStdin) {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-connect"]);
        command.arg(format!("127.0.0.1:{}", self.port)).args(more);
        Process::start_fed(&mut command, "s_client").unwrap()
    }
}

/// What the URL names, with the credentials beside it, is a relay.
fn exchange(ice: &Value) {
    let uris: Vec<&str> = ice["uris"]
        .as_array()
        .unwrap()
        .iter()
        .map(|uri| uri.as_str().unwrap())
        .collect();
    let turns = uris.iter().find_map(|uri| uri.strip_prefix("turns:"));
    let (host, rest) = turns.unwrap().split_once(':').unwrap();
    let (port, transport) = rest.split_once('?').unwrap();
    assert_eq!((host, transport), ("localhost", "transport=tcp"));
    let peer = Peer::start(None, V4).unwrap();
    let peer_port = peer.port.to_string();
    let word = |name: &str| ice[name].as_str().unwrap().to_owned();
    let (username, password) = (word("username"), word("password"));
    let mut arguments = vec!["-t", "-S", "-p", port, "-e", "127.0.0.1", "-r", &peer_port];
    arguments.extend([
        "-n", "20", "-m", "2", "-c", "-u", &username, "-w", &password,
    ]);
    arguments.push("127.0.0.1");
    let totals = uclient(None, &arguments).unwrap();
    assert!(totals.all_returned(), "{totals:?}");
}

#[test]
fn curl_fetches_a_configuration_and_uclient_relays_by_it_on_the_same_port_at_once() {
    let one = OnePort::start(&[]);
    let ice = one.ice();
    let relaying = thread::spawn(move || exchange(&ice));
    let mut fetched = 0;
    while !relaying.is_finished() || fetched == 0 {
        one.ice();
        fetched += 1;
    }
    relaying.join().unwrap();
    let bare = curl(one.port, "/v1/ice", &one.certificate.certificate, &[]).unwrap();
    assert_eq!(bare.status, 401);
    let well = curl(one.port, "/healthz", &one.certificate.certificate, &[]).unwrap();
    assert_eq!((well.status, well.body.as_str()), (200, "ok\n"));
}

/// What is served there is ours: no client gets to it by the relay, even where this machine's services are open to all.
#[test]
fn the_port_is_no_peer() {
    let one = OnePort::start(&["--verbose"]);
    let ice = one.ice();
    let word = |name: &str| ice[name].as_str().unwrap().to_owned();
    let (port, username, password) = (one.port.to_string(), word("username"), word("password"));
    let mut arguments = vec!["-t", "-S", "-p", &port, "-e", "127.0.0.1", "-r", &port];
    arguments.extend([
        "-n",
        "1",
        "-c",
        "-u",
        &username,
        "-w",
        &password,
        "127.0.0.1",
    ]);
    let said = format!("{:?}", uclient(None, &arguments));
    assert!(said.contains("403"), "{said}");
}

/// Several requests on a connection, and a protocol that is not served.
#[test]
fn curl_keeps_its_connection_and_agrees_on_http_1_1() {
    let one = OnePort::start(&[]);
    let url = format!("https://127.0.0.1:{}/healthz", one.port);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--verbose", "--stderr", "-", "--cacert"]);
    let said = run(curl
        .arg(&one.certificate.certificate)
        .args([&url, &url, &url]))
    .unwrap();
    assert!(said.contains("ALPN: server accepted http/1.1"), "{said}");
    assert_eq!(
        said.matches("Re-using existing connection").count(),
        2,
        "{said}"
    );
    let (mut http2, _input) = one.openssl(&["-alpn", "h2"]);
    assert!(!http2.wait(Duration::from_secs(10)).unwrap().success());
}

#[test]
fn who_is_slow_to_begin_is_served_and_who_does_not_go_on_is_closed() {
    let one = OnePort::start(&["--max-allocate-timeout=2"]);
    let (mut slow, mut input) = one.openssl(&[]);
    for piece in [
        "G",
        "ET /healthz HTTP/1.1\r\nHost: h\r\n",
        "Connection: close\r\n\r\n",
    ] {
        thread::sleep(Duration::from_millis(300));
        input.write_all(piece.as_bytes()).unwrap();
    }
    slow.wait_for_output(&["200 OK"], Duration::from_secs(10))
        .unwrap();
    // Silent: the worker's patience. Half a head: that of HTTP.
    let (mut silent, _silent_input) = one.openssl(&[]);
    let (mut half, mut half_input) = one.openssl(&[]);
    half_input.write_all(b"GET / HT").unwrap();
    for waiting in [&mut silent, &mut half] {
        waiting.wait(Duration::from_secs(30)).unwrap();
    }
}

/// Without TLS there is nothing of HTTP on the port, and nothing of it is harmed.
#[test]
fn plain_http_gets_no_answer() {
    let one = OnePort::start(&[]);
    let url = format!("http://127.0.0.1:{}/healthz", one.port);
    let mut curl = Command::new("curl");
    let refused = run(curl.args(["--silent", "--show-error", &url])).unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("(52)") || said.contains("(56)"), "{said}");
    one.ice();
}

#[test]
fn a_renewed_certificate_is_shown_to_https_too() {
    let mut one = OnePort::start(&[]);
    one.ice();
    let renewed = Certificate::make(Algorithm::Rsa, V4).unwrap();
    let get = |one: &OnePort| curl(one.port, "/healthz", &renewed.certificate, &[]);
    assert!(get(&one).is_err());
    std::fs::copy(&renewed.key, &one.certificate.key).unwrap();
    std::fs::copy(&renewed.certificate, &one.certificate.certificate).unwrap();
    one.server.signal(Signal::USR2).unwrap();
    one.server
        .wait_for_output("certificates are renewed")
        .unwrap();
    assert_eq!(get(&one).unwrap().status, 200);
}
