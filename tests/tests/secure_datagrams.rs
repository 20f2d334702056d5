//! DTLS as others speak it: OpenSSL and coturn's client, with certificates made on the spot. pion's is in the matrix (`interop`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use e2e::certificate::{Algorithm, Certificate};
use e2e::process::run;
use e2e::server::{Server, command, free_port};
use e2e::uclient::{self, Peer, uclient_within};
use rustix::process::Signal;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// The user, as uclient is told.
const GUEST: [&str; 4] = ["-u", "guest", "-w", "guest-password"];
const SUITES: [&str; 3] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
];

/// A server with DTLS and the ports it listens on.
struct Secure {
    server: Server,
    certificate: Certificate,
    plain: u16,
    secure: u16,
}

fn secure(more_flags: &[&str]) -> Result<Secure> {
    let (plain, secure) = (free_port(V4)?, free_port(V4)?);
    secure_on([plain, secure], more_flags)
}

fn secure_on([plain, secure]: [u16; 2], more_flags: &[&str]) -> Result<Secure> {
    let certificate = Certificate::make(Algorithm::Ecdsa, V4)?;
    let files = certificate.flags();
    let ports = [
        format!("--listening-port={plain}"),
        format!("--tls-listening-port={secure}"),
    ];
    let common = "--listening-ip=127.0.0.1 --listening-ip=::1 --relay-ip=127.0.0.1 --relay-ip=::1 --allow-loopback-peers \
                  --realm=example.org --lt-cred-mech --user=guest:guest-password --dtls --no-dtls=no";
    let mut flags: Vec<&str> = common.split(' ').collect();
    flags.extend(files.iter().chain(&ports).map(String::as_str));
    flags.extend(more_flags);
    Ok(Secure {
        server: Server::start(None, &flags)?,
        certificate,
        plain,
        secure,
    })
}

/// What `openssl s_client` says of a handshake; it fails when there is none.
fn openssl(at: SocketAddr, certificate: &Certificate, more: &[&str]) -> Result<String> {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-dtls", "-connect", &at.to_string()]);
    client.args(["-verify_return_error", "-verify_ip", "127.0.0.1", "-CAfile"]);
    client.arg(&certificate.certificate);
    run(client.args(more))
}

/// The one user exchanges messages with a peer; all must come back.
fn exchange(port: u16, address: IpAddr, flags: &[&str]) -> Result<()> {
    uclient::exchange(address, port, &[&GUEST, flags].concat())
}

/// Through the ports for DTLS and for everything else, in both families.
fn everywhere(flags: &[&str]) {
    let secure = secure(&[]).unwrap();
    for address in [V4, V6] {
        for port in [secure.secure, secure.plain] {
            exchange(port, address, flags).unwrap();
        }
    }
}

#[test]
fn uclient_over_dtls_v4_and_v6_by_channels_on_both_ports() {
    everywhere(&["-S"]);
}

#[test]
fn uclient_over_dtls_v4_and_v6_by_indications_on_both_ports() {
    everywhere(&["-S", "-s"]);
}

#[test]
fn uclient_without_dtls_is_served_on_both_ports_as_well() {
    everywhere(&[]);
}

#[test]
fn openssl_gets_every_suite_in_both_families_and_nothing_older_than_dtls_1_2() {
    let secure = secure(&[]).unwrap();
    for address in [V4, V6] {
        let at = SocketAddr::new(address, secure.secure);
        for suite in SUITES {
            let said = openssl(at, &secure.certificate, &["-cipher", suite]).unwrap();
            assert!(said.contains(&format!("Cipher is {suite}")), "{said}");
            assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        }
    }
    // It ends well even so, but says why there was no handshake.
    let at = SocketAddr::new(V4, secure.plain).to_string();
    let refusal = |more: &[&str]| {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-connect", &at]).args(more);
        let output = client.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let old = refusal(&["-dtls1", "-cipher", "ALL:@SECLEVEL=0"]);
    assert!(old.contains("alert protocol version"), "{old}");
    let rsa = refusal(&["-dtls", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]);
    assert!(rsa.contains("alert handshake failure"), "{rsa}");
}

#[test]
fn options_choose_suites_and_groups() {
    let secure = secure(&["--cipher-list=ECDHE+CHACHA20", "--ec-curve-name=secp384r1"]).unwrap();
    let at = SocketAddr::new(V4, secure.secure);
    let said = openssl(at, &secure.certificate, &[]).unwrap();
    for chosen in [SUITES[2], "Server Temp Key: ECDH, secp384r1"] {
        assert!(said.contains(chosen), "{said}");
    }
    let other = ["-cipher", SUITES[0]];
    assert!(openssl(at, &secure.certificate, &other).is_err());
}

#[test]
fn with_authorities_a_client_must_show_a_certificate() {
    let known = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    let stranger = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    let flag = format!("--CA-file={}", known.certificate.display());
    let secure = secure(&[&flag]).unwrap();
    let shown = |client: &Certificate| {
        let files = [&client.certificate, &client.key].map(|path| path.display().to_string());
        let more = ["-cert", &files[0], "-key", &files[1]];
        let at = SocketAddr::new(V4, secure.secure);
        let mut timed = Command::new("timeout");
        timed.args([
            "5",
            "openssl",
            "s_client",
            "-dtls",
            "-connect",
            &at.to_string(),
        ]);
        run(timed.args(more))
    };
    shown(&known).unwrap();
    assert!(shown(&stranger).is_err());
}

#[test]
fn a_renewed_certificate_is_shown_to_new_clients_and_one_that_cannot_serve_changes_nothing() {
    let mut secure = secure(&[]).unwrap();
    let at = SocketAddr::new(V4, secure.secure);
    let mut renew = |new: &Certificate, said: &str| {
        std::fs::copy(&new.key, &secure.certificate.key).unwrap();
        std::fs::copy(&new.certificate, &secure.certificate.certificate).unwrap();
        secure.server.signal(Signal::USR2).unwrap();
        secure.server.wait_for_output(said).unwrap();
    };
    let renewed = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    assert!(openssl(at, &renewed, &[]).is_err());
    renew(&renewed, "certificates are renewed");
    openssl(at, &renewed, &[]).unwrap();
    let rsa = Certificate::make(Algorithm::Rsa, V4).unwrap();
    renew(&rsa, "dtls needs an ECDSA key");
    openssl(at, &renewed, &[]).unwrap();
}

#[test]
fn an_rsa_certificate_ends_the_start_and_the_check_with_the_remedy() {
    let files = Certificate::make(Algorithm::Rsa, V4).unwrap().flags();
    let said = |more: &[&str]| {
        let mut server = command(None).unwrap();
        server.args(["-n", "--static-auth-secret=s", "--listening-ip=127.0.0.1"]);
        server.args([
            "--log-file=stdout",
            "--listening-port=0",
            "--tls-listening-port=0",
        ]);
        let output = server
            .arg("--dtls")
            .args(&files)
            .args(more)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    for more in [&[][..], &["--check-config"]] {
        let said = said(more);
        for part in ["pkey", "dtls needs an ECDSA key", "leave dtls out"] {
            assert!(said.contains(part), "{part} is missing: {said}");
        }
    }
}

/// A client at a second address of this machine, over all four transports and on both ports.
#[test]
fn whom_the_list_of_one_listener_keeps_out_comes_to_the_other() {
    let [plain, secure] = [(); 2].map(|()| free_port(V4).unwrap());
    let denied = format!("--denied-client-ip=127.0.0.2@127.0.0.1:{secure}");
    let _held = secure_on([plain, secure], &["--no-tls=no", &denied]).unwrap();
    for transport in [&[][..], &["-t"], &["-S"], &["-t", "-S"]] {
        let from = |address: &'static str, port: u16| {
            exchange(port, V4, &[&["-L", address], transport].concat())
        };
        from("127.0.0.2", plain).unwrap();
        from("127.0.0.3", secure).unwrap();
        let peer = Peer::start(None, V4).unwrap();
        let (port, peer) = (secure.to_string(), peer.port.to_string());
        let mut arguments = vec!["-L", "127.0.0.2", "-p", &port, "-e", "127.0.0.1"];
        arguments.extend(["-r", &peer, "-n", "1", "-m", "1", "-c"]);
        arguments.extend(GUEST);
        arguments.extend(transport);
        arguments.push("127.0.0.1");
        let kept_out = uclient_within(None, &arguments, Duration::from_secs(3));
        assert!(kept_out.is_err(), "{transport:?}: {kept_out:?}");
    }
}
