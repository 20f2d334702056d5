//! Lists of clients: for every listener or for some, and what is said of entries that do not do what they seem to.

use turn_config::settings::Clients;
use turn_config::{ClientRange, Listeners, Severity};

use super::support::{FILE, parse_with, run_file, settings};

const AUTH: &str = "static-auth-secret=base\n";

fn clients(lines: &str) -> Clients {
    run_file(&format!("{AUTH}{lines}")).clients
}

/// What is said of these lines.
fn warnings(lines: &str) -> Vec<String> {
    let warnings = run_file(&format!("{AUTH}{lines}")).warnings;
    let hurts = (warnings.iter()).filter(|warning| warning.severity == Severity::Warning);
    let lists = hurts.map(ToString::to_string);
    lists.filter(|text| text.contains("client-ip")).collect()
}

#[track_caller]
fn assert_says(lines: &str, expected: &[&[&str]]) {
    let said = warnings(lines);
    assert_eq!(said.len(), expected.len(), "{lines}: {said:?}");
    for (text, parts) in said.iter().zip(expected) {
        for part in *parts {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
}

#[test]
fn entries_are_read_alike_in_a_file_in_toml_and_as_flags() {
    let file =
        clients("allowed-client-ip=10.0.0.7@443\ndenied-client-ip=10.0.0.0/8@[2001:db8::1]:3478\n");
    let toml = "static-auth-secret = \"base\"\nallowed-client-ip = \"10.0.0.7@443\"\n\
                denied-client-ip = [\"10.0.0.0/8@[2001:db8::1]:3478\"]\n";
    let toml = settings(parse_with(&["-c", "/t.toml"], &[("/t.toml", toml)])).clients;
    let flags = [
        "-n",
        "--static-auth-secret=base",
        "--allowed-client-ip=10.0.0.7@443",
        "--denied-client-ip=10.0.0.0/8@[2001:db8::1]:3478",
    ];
    let flags = settings(parse_with(&flags, &[])).clients;
    assert_eq!(file, toml);
    assert_eq!(file, flags);
    let listeners =
        |list: &[ClientRange]| list.iter().map(|entry| entry.listeners).collect::<Vec<_>>();
    assert_eq!(listeners(&file.allowed), [Listeners::OnPort(443)]);
    let at = "[2001:db8::1]:3478".parse().unwrap();
    assert_eq!(listeners(&file.denied), [Listeners::At(at)]);
}

#[test]
fn the_place_of_each_entry_is_known() {
    let settings = run_file(&format!(
        "{AUTH}denied-client-ip=10.0.0.1\ndenied-client-ip=10.0.0.2@443\n"
    ));
    for (option, entry) in settings.clients.entries() {
        let line = if entry.listeners == Listeners::All {
            2
        } else {
            3
        };
        let origin = settings.origin_of(option, entry).to_string();
        assert_eq!(origin, format!("{FILE}:{line}"));
    }
}

#[test]
fn what_is_denied_and_allowed_as_well_is_told() {
    assert_says(
        "denied-client-ip=10.0.0.1@443\nallowed-client-ip=10.0.0.0/8\ndenied-client-ip=0.0.0.0/0\n",
        &[&[
            "/etc/turnserver.conf:2: denied-client-ip=10.0.0.1@443 has no effect",
            "allowed-client-ip=10.0.0.0-10.255.255.255 (/etc/turnserver.conf:3)",
            "remove one of them",
        ]],
    );
    // Elsewhere it has one.
    assert_says(
        "denied-client-ip=10.0.0.0/8\nallowed-client-ip=10.0.0.0/8@443\n",
        &[],
    );
}

#[test]
fn whoever_means_that_nobody_else_is_served_is_told_who_is() {
    assert_says(
        "denied-client-ip=198.51.100.0/24\nallowed-client-ip=10.0.0.0/8@5349\n",
        &[&[
            "/etc/turnserver.conf:3: allowed-client-ip=10.0.0.0-10.255.255.255@5349 is no exception",
            "(/etc/turnserver.conf:2)",
            "clients that neither names are served there",
            "denied-client-ip=0.0.0.0/0",
        ]],
    );
    for clear in [
        "denied-client-ip=198.51.100.0/24@443\nallowed-client-ip=10.0.0.0/8@5349\n",
        "denied-client-ip=10.0.0.0/8\nallowed-client-ip=10.0.0.7@5349\n",
        "allowed-client-ip=10.0.0.0/8@5349\n",
    ] {
        assert_says(clear, &[]);
    }
}

#[test]
fn clients_that_cannot_come_to_a_listener_are_told_unless_a_proxy_may_name_them() {
    let lines = "denied-client-ip=10.0.0.0/8@[2001:db8::1]:3478\n";
    assert_says(
        lines,
        &[&[
            ":2: denied-client-ip=",
            "has no effect",
            "comes to [2001:db8::1]:3478",
        ]],
    );
    assert_says(&format!("{lines}proxy-protocol-from=2001:db8::9\n"), &[]);
}
