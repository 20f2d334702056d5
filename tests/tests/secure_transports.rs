//! TLS as others speak it: coturn's client and OpenSSL, with certificates made on the spot.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use e2e::certificate::{Algorithm, Certificate};
use e2e::process::{run, until};
use e2e::server::{Server, command, free_port};
use e2e::uclient;
use rustix::process::Signal;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A server with TLS and the ports it listens on.
struct Secure {
    server: Server,
    certificate: Certificate,
    plain: u16,
    tls: u16,
}

fn secure(algorithm: Algorithm, more_flags: &[&str]) -> Result<Secure> {
    let (plain, tls) = (free_port(V4)?, free_port(V4)?);
    let certificate = Certificate::make(algorithm, V4)?;
    let files = certificate.flags();
    let ports = [
        format!("--listening-port={plain}"),
        format!("--tls-listening-port={tls}"),
    ];
    let mut flags = vec![
        "--listening-ip=127.0.0.1",
        "--listening-ip=::1",
        "--relay-ip=127.0.0.1",
    ];
    flags.extend([
        "--relay-ip=::1",
        "--allow-loopback-peers",
        "--realm=example.org",
    ]);
    flags.extend([
        "--lt-cred-mech",
        "--user=guest:guest-password",
        "--no-tls=no",
    ]);
    flags.extend(files.iter().chain(&ports).map(String::as_str));
    flags.extend(more_flags);
    Ok(Secure {
        server: Server::start(None, &flags)?,
        certificate,
        plain,
        tls,
    })
}

/// The one user exchanges messages with a peer; all must come back.
fn exchange(port: u16, address: IpAddr, flags: &[&str]) -> Result<()> {
    let guest: &[&str] = &["-u", "guest", "-w", "guest-password"];
    uclient::exchange(address, port, &[guest, flags].concat())
}

#[test]
fn uclient_over_tls_v4_and_v6_by_channels_and_by_indications() {
    let secure = secure(Algorithm::Ecdsa, &[]).unwrap();
    for address in [V4, V6] {
        exchange(secure.tls, address, &["-t", "-S"]).unwrap();
        exchange(secure.tls, address, &["-t", "-S", "-s"]).unwrap();
    }
}

#[test]
fn uclient_over_tls_with_an_rsa_certificate() {
    let secure = secure(Algorithm::Rsa, &[]).unwrap();
    exchange(secure.tls, V4, &["-t", "-S"]).unwrap();
}

/// As coturn, TLS and plain TCP are told apart on either port.
#[test]
fn uclient_over_tls_on_the_plain_port_and_plain_on_the_tls_port() {
    let secure = secure(Algorithm::Ecdsa, &["--verbose"]).unwrap();
    exchange(secure.plain, V4, &["-t", "-S"]).unwrap();
    exchange(secure.tls, V4, &["-t"]).unwrap();
}

/// What `openssl s_client` says of a handshake; it fails when there is none.
fn openssl(port: u16, certificate: &Certificate, more: &[&str]) -> Result<String> {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]);
    client.args(["-verify_return_error", "-verify_ip", "127.0.0.1", "-CAfile"]);
    client.arg(&certificate.certificate);
    run(client.args(more).stdin(Stdio::null()))
}

#[test]
fn openssl_gets_tls_1_2_and_1_3_and_nothing_older() {
    let secure = secure(Algorithm::Ecdsa, &[]).unwrap();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = openssl(secure.tls, &secure.certificate, &[version]).unwrap();
        assert!(said.contains(&format!("New, {name}, Cipher is")), "{said}");
    }
    let old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    assert!(openssl(secure.tls, &secure.certificate, &old).is_err());
}

/// RFC 7443: the protocols have names, and no client has to say one.
#[test]
fn openssl_agrees_on_application_protocols() {
    let secure = secure(Algorithm::Ecdsa, &[]).unwrap();
    for protocol in ["stun.turn", "stun.nat-discovery"] {
        let said = openssl(secure.tls, &secure.certificate, &["-alpn", protocol]).unwrap();
        assert!(
            said.contains(&format!("ALPN protocol: {protocol}")),
            "{said}"
        );
    }
    let said = openssl(secure.tls, &secure.certificate, &[]).unwrap();
    assert!(said.contains("No ALPN negotiated"), "{said}");
}

#[test]
fn options_choose_versions_suites_and_groups() {
    let only_13 = secure(Algorithm::Ecdsa, &["--no-tlsv1_2"]).unwrap();
    assert!(openssl(only_13.tls, &only_13.certificate, &["-tls1_2"]).is_err());
    assert!(openssl(only_13.tls, &only_13.certificate, &["-tls1_3"]).is_ok());
    let flags = ["--cipher-list=ECDHE+CHACHA20", "--ec-curve-name=secp384r1"];
    let chosen = secure(Algorithm::Ecdsa, &flags).unwrap();
    let said = openssl(chosen.tls, &chosen.certificate, &["-tls1_2"]).unwrap();
    assert!(
        said.contains("Cipher is ECDHE-ECDSA-CHACHA20-POLY1305"),
        "{said}"
    );
    assert!(said.contains("Server Temp Key: ECDH, secp384r1"), "{said}");
    let other = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"];
    assert!(openssl(chosen.tls, &chosen.certificate, &other).is_err());
    let other = ["-curves", "X25519"];
    assert!(openssl(chosen.tls, &chosen.certificate, &other).is_err());
}

#[test]
fn with_authorities_a_client_must_show_a_certificate() {
    let known = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    let flag = format!("--CA-file={}", known.certificate.display());
    let secure = secure(Algorithm::Ecdsa, &[&flag, "--no-tlsv1_2=no"]).unwrap();
    let stranger = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    let shown = |client: &Certificate| {
        let files = [&client.certificate, &client.key].map(|path| path.display().to_string());
        // In TLS 1.2 the client learns of a refusal before the handshake is over.
        openssl(
            secure.tls,
            &secure.certificate,
            &["-tls1_2", "-cert", &files[0], "-key", &files[1]],
        )
    };
    shown(&known).unwrap();
    assert!(shown(&stranger).is_err());
    assert!(openssl(secure.tls, &secure.certificate, &["-tls1_2"]).is_err());
}

/// Certbot and Caddy renew certificates under a running server; calls must not notice.
#[test]
fn a_renewed_certificate_is_shown_on_a_signal_and_sessions_go_on() {
    let mut secure = secure(Algorithm::Ecdsa, &[]).unwrap();
    let port = secure.tls;
    // Ten seconds of messages over connections that are open all the while.
    let session =
        std::thread::spawn(move || exchange(port, V4, &["-t", "-S", "-n", "100", "-z", "50"]));
    let renewed = Certificate::make(Algorithm::Rsa, V4).unwrap();
    assert!(openssl(port, &renewed, &[]).is_err());
    std::fs::copy(&renewed.key, &secure.certificate.key).unwrap();
    std::fs::copy(&renewed.certificate, &secure.certificate.certificate).unwrap();
    secure.server.signal(Signal::USR2).unwrap();
    secure
        .server
        .wait_for_output("certificates are renewed")
        .unwrap();
    openssl(port, &renewed, &[]).unwrap();

    std::fs::write(&secure.certificate.certificate, "half a certif").unwrap();
    secure.server.signal(Signal::HUP).unwrap();
    secure
        .server
        .wait_for_output("the old settings are kept")
        .unwrap();
    openssl(port, &renewed, &[]).unwrap();
    session.join().unwrap().unwrap();

    // Without a signal, the change is noticed after a while.
    let third = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    std::fs::copy(&third.key, &secure.certificate.key).unwrap();
    std::fs::copy(&third.certificate, &secure.certificate.certificate).unwrap();
    until("the third certificate", Duration::from_secs(30), || {
        openssl(port, &third, &[]).ok()
    })
    .unwrap();
}

/// What a server says that must not start.
fn refusal(flags: &[&str]) -> String {
    let mut server = command(None).unwrap();
    server.args([
        "-n",
        "--log-file=stdout",
        "--static-auth-secret=s",
        "--listening-ip=127.0.0.1",
    ]);
    let output = server
        .args(["--listening-port=0", "--tls-listening-port=0"])
        .args(flags)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_certificate_that_cannot_be_used_ends_the_start_with_the_reason() {
    let good = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    let other = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    let [cert, pkey] = good.flags();
    let said = refusal(&["--cert=/nowhere/cert.pem", &pkey]);
    assert!(
        said.contains("--cert")
            && said.contains("/nowhere/cert.pem")
            && said.contains("No such file"),
        "{said}"
    );
    let said = refusal(&[&cert, &other.flags()[1]]);
    assert!(
        said.contains("pkey") && said.contains("not the key of the first certificate"),
        "{said}"
    );
    let said = refusal(&[&format!("--cert={}", good.key.display()), &pkey]);
    assert!(said.contains("holds no certificate"), "{said}");
    let locked = good.key.with_extension("locked");
    let mut lock = Command::new("openssl");
    lock.args(["pkey", "-aes128", "-passout", "pass:word", "-in"])
        .arg(&good.key);
    run(lock.arg("-out").arg(&locked)).unwrap();
    let said = refusal(&[&cert, &format!("--pkey={}", locked.display())]);
    assert!(said.contains("openssl pkey -in"), "{said}");
    let said = refusal(&[&cert, &pkey, "--cipher-list=RC4-MD5"]);
    assert!(
        said.contains("cipher-list") && said.contains("ECDHE-RSA-AES128-GCM-SHA256"),
        "{said}"
    );
}
