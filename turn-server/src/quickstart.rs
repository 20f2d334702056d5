//! Quickstart: a relay, its HTTP endpoint and signaling with nothing configured, and what the person at the terminal is told.

use std::{fmt::Write as _, net::IpAddr};

use turn_config::settings::Settings;

use crate::addresses;
use crate::relay_config::{random_bytes, random_word};

/// The port of pages, signaling and `/v1/ice`.
pub(crate) const HTTP_PORT: u16 = 8080;

/// What a quickstart makes up for its run.
pub(crate) struct Made {
    /// Other machines show it to join.
    pub(crate) token: String,
}

/// Fills in what quickstart makes up: a secret and a join token, all good for this run only.
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
        token: random_word(20),
    })
}

/// Where other machines open pages: over TLS where that is served, and then by the name that is advertised, for certificates
/// name hosts.
pub(crate) fn elsewhere(
    settings: &Settings,
    http_port: u16,
    tls_port: Option<u16>,
    machine: &[IpAddr],
) -> Vec<String> {
    let addresses = machine.iter().filter(|ip| !ip.is_loopback());
    let addresses = addresses.map(|ip| addresses::in_url(*ip));
    match (tls_port, &settings.http.advertise) {
        (Some(port), Some(host)) if settings.http.https => vec![format!("https://{host}:{port}")],
        (Some(port), None) if settings.http.https => addresses
            .map(|host| format!("https://{host}:{port}"))
            .collect(),
        _ => addresses
            .map(|host| format!("http://{host}:{http_port}"))
            .collect(),
    }
}

/// What is printed when all of it listens.
pub(crate) fn banner(made: &Made, http_port: u16, relay_port: u16, elsewhere: &[String]) -> String {
    let token = &made.token;
    let mut text = String::from("\nTurnpike runs. Stop it with Ctrl-C.\n\n");
    let room = random_word(6);
    let _ = writeln!(
        text,
        "  A call      open twice:  http://localhost:{http_port}/call?room={room}&name=guest"
    );
    for origin in elsewhere {
        let _ = writeln!(
            text,
            "              elsewhere:   {origin}/call?room={room}&key={token}"
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
        "  Join token  {token}  (other machines show it; this one need not)\n"
    );
    text.push_str("ICE servers for a page of your own, on this machine:\n\n");
    text.push_str(&snippet(http_port));
    let _ = writeln!(
        text,
        "\nFrom another machine, add: {{ headers: {{ Authorization: \"Bearer {token}\" }} }}"
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
