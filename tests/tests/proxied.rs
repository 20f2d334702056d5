//! Clients behind HAProxy, which says by the PROXY protocol whose connections it brings.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::certificate::{Algorithm, Certificate};
use e2e::http::curl;
use e2e::process::{Process, scratch_file, until};
use e2e::server::{Server, free_port};
use e2e::uclient;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Where clients come from, so that they can be told from the proxy.
const CLIENT: &str = "127.0.0.2";

/// HAProxy in front of one port, once for each manner of handing connections on.
struct Proxy {
    _process: Process,
    ports: Vec<u16>,
}

impl Proxy {
    /// Starts it with a listener for each of `manners`: options of `bind` and options of `server`.
    fn start(server: u16, manners: &[(&str, &str)]) -> Result<Self> {
        let mut text = "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n".to_owned();
        let mut ports = Vec::new();
        for (bind, send) in manners {
            let port = free_port(V4)?;
            text += &format!(
                "listen at-{port}\n  bind 127.0.0.1:{port} {bind}\n  server turn 127.0.0.1:{server} {send}\n"
            );
            ports.push(port);
        }
        let file = scratch_file("haproxy.cfg")?;
        fs::write(&file, text)?;
        let mut command = Command::new("/usr/sbin/haproxy");
        let mut process = Process::start(command.arg("-db").arg("-f").arg(&file), "haproxy")
            .context("it comes with: apt-get install haproxy")?;
        for port in &ports {
            until("haproxy listens", Duration::from_secs(10), || {
                TcpStream::connect((V4, *port)).ok()
            })
            .with_context(|| process.output())?;
        }
        // It ends at once where its configuration is wrong.
        process
            .wait(Duration::ZERO)
            .map_or(Ok(()), |status| Err(anyhow::anyhow!("haproxy: {status}")))?;
        Ok(Self {
            _process: process,
            ports,
        })
    }
}

fn server(more_flags: &[&str]) -> (Server, Certificate) {
    let certificate = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    let files = certificate.flags();
    let mut flags = vec![
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        "--allow-loopback-peers",
        "--realm=example.org",
        "--lt-cred-mech",
        "--user=guest:guest-password",
        "--no-tls=no",
        "--verbose",
    ];
    flags.extend(files.iter().map(String::as_str));
    flags.extend(more_flags);
    (Server::start(None, &flags).unwrap(), certificate)
}

/// Two clients at [`CLIENT`] exchange messages with a peer; all must come back.
fn exchange(port: u16, more_flags: &[&str]) {
    let flags = ["-L", CLIENT, "-u", "guest", "-w", "guest-password"];
    uclient::exchange(V4, port, &[&flags, more_flags].concat()).unwrap();
}

/// How many sessions have begun, over what, and that all of them are the client's and none the proxy's.
fn sessions(server: &Server, over: &str) -> usize {
    let output = server.output();
    let begun = output
        .lines()
        .filter(|line| line.contains(": new, realm="))
        .inspect(|line| assert!(line.contains(&format!(" remote {CLIENT}:")), "{line}"));
    begun
        .filter(|line| line.contains(&format!(", {over} remote")))
        .count()
}

/// coturn serves no TLS behind its proxy port; here it is passed through, and HAProxy may end it as well.
#[test]
fn uclient_over_tcp_and_tls_through_haproxy_with_headers_of_both_versions() {
    let [port, plain, tls] = [(); 3].map(|()| free_port(V4).unwrap());
    let [plain_flag, tls_flag, proxy_flag] = [
        format!("--listening-port={plain}"),
        format!("--tls-listening-port={tls}"),
        format!("--tcp-proxy-port={port}"),
    ];
    let from = "--proxy-protocol-from=127.0.0.1";
    let (server, certificate) = server(&[&plain_flag, &tls_flag, &proxy_flag, from]);
    let both = certificate.certificate.with_extension("both.pem");
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    fs::write(
        &both,
        read(&certificate.certificate) + &read(&certificate.key),
    )
    .unwrap();
    let ends_tls = format!("ssl crt {}", both.display());
    let manners = [
        ("", "send-proxy"),
        // Its health checks are connections of its own: LOCAL.
        ("", "send-proxy-v2 check check-send-proxy inter 100"),
        // With TLVs of the handshake behind the addresses.
        (ends_tls.as_str(), "send-proxy-v2-ssl-cn"),
    ];
    let proxy = Proxy::start(port, &manners).unwrap();
    exchange(proxy.ports[0], &["-t"]);
    exchange(proxy.ports[0], &["-t", "-S"]);
    exchange(proxy.ports[1], &["-t", "-s"]);
    exchange(proxy.ports[1], &["-t", "-S", "-s"]);
    exchange(proxy.ports[2], &["-t", "-S"]);
    // uclient opens sessions besides those it was told to.
    let over = ["TCP", "TLS/TCP"].map(|over| sessions(&server, over));
    assert!(over[0] >= 6 && over[1] >= 4, "{over:?}");
    // As in coturn, there is no way past the proxy.
    for port in [plain, tls] {
        assert!(TcpStream::connect((V4, port)).is_err());
    }
}

/// HTTPS behind a proxy, which may say nothing about whose connection it is; its own checks ask for health.
#[test]
fn curl_on_the_tls_port_through_haproxy() {
    let tls = free_port(V4).unwrap();
    let tls_flag = format!("--tls-listening-port={tls}");
    let from = "--proxy-protocol-from=127.0.0.1";
    let flags = [&tls_flag, "--listening-port=0", "--https", from];
    let (server, certificate) = server(&flags);
    let checked = "send-proxy-v2 check check-send-proxy inter 100";
    let proxy = Proxy::start(tls, &[("", "send-proxy"), ("", checked)]).unwrap();
    for port in &proxy.ports {
        let well = curl(*port, "/healthz", &certificate.certificate, &[]).unwrap();
        assert_eq!((well.status, well.body.as_str()), (200, "ok\n"));
    }
    exchange(proxy.ports[1], &["-t", "-S"]);
    assert!(sessions(&server, "TLS/TCP") >= 2);
}

/// A port for all: a proxy's connections begin with a header, others do not.
#[test]
fn uclient_on_the_plain_port_through_haproxy_and_past_it() {
    let plain = free_port(V4).unwrap();
    let plain_flag = format!("--listening-port={plain}");
    let from = "--proxy-protocol-from=127.0.0.1";
    let (server, _) = server(&[&plain_flag, "--tls-listening-port=0", from]);
    let proxy = Proxy::start(plain, &[("", "send-proxy-v2")]).unwrap();
    exchange(proxy.ports[0], &["-t", "-S"]);
    exchange(plain, &["-t"]);
    let over = ["TCP", "TLS/TCP"].map(|over| sessions(&server, over));
    assert!(over[0] >= 2 && over[1] >= 2, "{over:?}");
}
