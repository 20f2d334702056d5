//! Quickstart: a relay, its HTTP endpoint and signaling with nothing configured, and what the person at the terminal is told.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use turn_config::settings::Settings;

use crate::addresses;
use crate::relay_config::{random_bytes, random_word};

/// The port of pages, signaling and `/v1/ice`.
pub(crate) const HTTP_PORT: u16 = 8080;

/// What a quickstart makes up for its run.
pub(crate) struct Made {
    /// Other machines show it to join.
    pub(crate) key: String,
}

/// Fills in what quickstart makes up: a secret and a join key, all good for this run only.
///
/// # Errors
/// When the system gives no random numbers.
pub(crate) fn fill(settings: &mut Settings) -> anyhow::Result<Made> {
    let auth = &mut settings.auth;
    if auth.secrets.is_empty() && !auth.anonymous {
        let secret = random_bytes::<32>()?.to_vec();
        auth.secrets.push(turn_config::Secret::new(secret));
    }
    // 28 letters to the 20th power: 96 bits.
    Ok(Made {
        key: random_word(20),
    })
}

/// Where other machines open pages: over TLS where that is served, and then by the name that is advertised, for certificates
/// name hosts; else at those addresses of the machine where one of `http` listens.
pub(crate) fn elsewhere(
    settings: &Settings,
    http: &[SocketAddr],
    tls_port: Option<u16>,
    machine: &[IpAddr],
) -> Vec<String> {
    let outer = machine.iter().copied().filter(|ip| !ip.is_loopback());
    match (tls_port, &settings.http.advertise) {
        (Some(port), Some(host)) if settings.http.https => vec![format!("https://{host}:{port}")],
        (Some(port), None) if settings.http.https => outer
            .map(|ip| format!("https://{}:{port}", addresses::in_url(ip)))
            .collect(),
        _ => outer.filter_map(|ip| plain_origin(http, ip)).collect(),
    }
}

/// Where pages are found at `ip`, if one of the listeners hears what is sent there.
fn plain_origin(listeners: &[SocketAddr], ip: IpAddr) -> Option<String> {
    let hears = |at: &&SocketAddr| {
        at.ip() == ip || (at.ip().is_unspecified() && at.is_ipv4() == ip.is_ipv4())
    };
    let port = listeners.iter().find(hears)?.port();
    Some(format!("http://{}:{port}", addresses::in_url(ip)))
}

/// What is printed when all of it listens.
pub(crate) fn banner(made: &Made, http_port: u16, relay_port: u16, elsewhere: &[String]) -> String {
    let key = &made.key;
    let mut text = String::from("\nTurnpike runs. Stop it with Ctrl-C.\n\n");
    let room = random_word(6);
    let _ = writeln!(
        text,
        "  A call      open twice:  http://localhost:{http_port}/call?room={room}&name=guest"
    );
    for origin in elsewhere {
        let _ = writeln!(
            text,
            "              elsewhere:   {origin}/call?room={room}&key={key}"
        );
    }
    let _ = writeln!(
        text,
        "              (browsers give cameras to https and to localhost only; others can watch and chat)"
    );
    let _ = writeln!(
        text,
        "  A stream    from:        http://localhost:{http_port}/send"
    );
    let _ = writeln!(
        text,
        "              to:          http://localhost:{http_port}/receive"
    );
    let _ = writeln!(text, "  Relay       UDP and TCP port {relay_port}");
    let _ = writeln!(
        text,
        "  Join key    {key}  (other machines show it; this one need not)\n"
    );
    text.push_str("ICE servers for a page of your own, on this machine:\n\n");
    text.push_str(&snippet(http_port));
    let _ = writeln!(
        text,
        "\nFrom another machine, add: {{ headers: {{ Authorization: \"Bearer {key}\" }} }}"
    );
    text
}

/// The lines that a page of one's own needs.
pub(crate) fn snippet(http_port: u16) -> String {
    format!(
        "  const ice = await (await fetch(\"http://localhost:{http_port}/v1/ice\")).json();\n  \
         const pc = new RTCPeerConnection({{ iceServers: ice.iceServers }});\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_told_only_where_somebody_listens() {
        for (listener, ip, expected) in [
            ("127.0.0.1:9000", "192.0.2.2", None),
            ("0.0.0.0:8080", "192.0.2.2", Some("http://192.0.2.2:8080")),
            ("0.0.0.0:8080", "2001:db8::2", None),
            ("[::]:80", "2001:db8::2", Some("http://[2001:db8::2]:80")),
            ("192.0.2.2:9000", "192.0.2.2", Some("http://192.0.2.2:9000")),
            ("192.0.2.2:9000", "198.51.100.7", None),
        ] {
            let listeners = ["127.0.0.1:1", listener].map(|at| at.parse().unwrap());
            let told = plain_origin(&listeners, ip.parse().unwrap());
            assert_eq!(told.as_deref(), expected, "{listener} {ip}");
        }
    }
}
