//! What the units promise: secrets and keys of root's, renewed certificates, logs that are turned over, low ports, the watchdog.

use std::fs;
use std::process::{Command, Stdio};

use e2e::certificate::{Algorithm, Certificate};
use e2e::machine::Machine;
use e2e::process::{Process, tests_folder, until};

use super::support::{
    ADDRESS, GENEROUS, active, host_process, journal, machine, ours, property, relays,
};

const SECRET: &str = "4f1c9e2b7a";

/// A machine with the package, whose relay runs.
fn installed() -> Machine {
    let machine = machine();
    let ours = machine.take(ours()).unwrap();
    machine.run(&format!("apt-get install -y {ours}")).unwrap();
    active(&machine, "turnserver");
    machine
}

/// Writes the configuration.
fn configure(machine: &Machine, conf: &str) {
    machine.write("/etc/turnserver.conf", conf).unwrap();
}

/// Starts the relay anew, with these lines beside its unit's.
fn drop_in(machine: &Machine, lines: &str) {
    let path = "/etc/systemd/system/turnserver.service.d/override.conf";
    machine.write(path, &format!("[Service]\n{lines}")).unwrap();
    machine
        .run("systemctl daemon-reload && systemctl restart turnserver")
        .unwrap_or_else(|error| panic!("{error}: {}", journal(machine)));
    active(machine, "turnserver");
}

/// systemd hands secrets over that root alone may read.
#[test]
fn a_credential_of_systemds_is_a_secret() {
    let machine = installed();
    machine
        .write("/etc/turnpike/secret", "of-root-alone\n")
        .unwrap();
    machine.run("chmod 700 /etc/turnpike").unwrap();
    configure(&machine, "realm=example.org\nallow-private-peers=no\n");
    drop_in(
        &machine,
        "LoadCredential=static-auth-secret:/etc/turnpike/secret\n",
    );
    relays(&machine, &["-W", "of-root-alone"]);
    // The server reads it again at a reload, and this systemd (252) hands it over anew then.
    let before = property(&machine, "MainPID");
    machine
        .write("/etc/turnpike/secret", "another-of-root\n")
        .unwrap();
    machine.run("systemctl reload turnserver").unwrap();
    until("the new secret is read", GENEROUS, || {
        journal(&machine)
            .contains("changed: static-auth-secret-file")
            .then_some(())
    })
    .unwrap();
    relays(&machine, &["-W", "another-of-root"]);
    assert_eq!(property(&machine, "MainPID"), before);
    // The file has no secret, but the unit has: the next version starts, and has nothing to say of it.
    let said = machine.run("dpkg -i /root/turnpike_*.deb 2>&1").unwrap();
    assert!(!said.contains("cannot be used"), "{said}");
    active(&machine, "turnserver");
    assert_ne!(property(&machine, "MainPID"), before);
}

const LIVE: &str = "/etc/letsencrypt/live/turn.example.org";

/// Puts a new certificate where certbot has it, with a key for root alone; tells the certificate.
fn renew(machine: &Machine) -> String {
    let made = Certificate::make(Algorithm::Ecdsa, ADDRESS.parse().unwrap()).unwrap();
    let [certificate, key] =
        [&made.certificate, &made.key].map(|file| fs::read_to_string(file).unwrap());
    let place = |name: &str| format!("{LIVE}/{name}");
    machine
        .write(&place("fullchain.pem"), &certificate)
        .unwrap();
    machine.write(&place("privkey.pem"), &key).unwrap();
    machine
        .run("chmod 700 /etc/letsencrypt/live; chmod 600 /etc/letsencrypt/live/*/privkey.pem")
        .unwrap();
    certificate
}

/// What a client over TLS is shown.
fn served(machine: &Machine) -> String {
    let mut openssl = machine.beside("openssl");
    openssl
        .args(["s_client", "-connect", "203.0.113.10:5349"])
        .stdin(Stdio::null());
    String::from_utf8_lossy(&openssl.output().unwrap().stdout).into_owned()
}

/// A certificate is renewed, certbot calls its hook, and no process is started anew.
#[test]
fn the_hook_of_certbot_brings_a_renewed_certificate() {
    let machine = installed();
    let first = renew(&machine);
    configure(
        &machine,
        &format!(
            "static-auth-secret={SECRET}\ncert={LIVE}/fullchain.pem\npkey={LIVE}/privkey.pem\n"
        ),
    );
    drop_in(&machine, "WatchdogSec=30\n");
    assert!(served(&machine).contains(first.trim()));
    let before = property(&machine, "MainPID");
    let second = renew(&machine);
    machine
        .run("/etc/letsencrypt/renewal-hooks/deploy/turnserver")
        .unwrap();
    until("the renewed certificate", GENEROUS, || {
        served(&machine).contains(second.trim()).then_some(())
    })
    .unwrap();
    assert_eq!(property(&machine, "MainPID"), before);
}

/// logrotate by the package's own file, and by one that copies and cuts, as some have it for coturn.
#[test]
fn logrotate_turns_the_log_over_in_both_manners() {
    let machine = installed();
    let log = "/var/log/turnserver.log";
    configure(
        &machine,
        &format!("static-auth-secret={SECRET}\nlog-file={log}\nverbose\n"),
    );
    drop_in(&machine, "");
    let read = |path: &str| fs::read_to_string(machine.path(path)).unwrap_or_default();
    let rotate = |by: &str| {
        let line = format!("logrotate --force {by}");
        machine
            .run(&line)
            .unwrap_or_else(|error| panic!("{error}: {}", journal(&machine)));
    };
    let goes_on = |what: &str| {
        relays(&machine, &["-W", SECRET]);
        until(what, GENEROUS, || {
            read(log).contains("username=<").then_some(())
        })
        .unwrap();
    };
    goes_on("a session in the log");
    rotate("/etc/logrotate.d/turnpike");
    until("the new log", GENEROUS, || {
        read(log).contains("reloaded").then_some(())
    })
    .unwrap();
    assert!(!read(log).contains("Total auth threads"));
    assert!(read(&format!("{log}.1")).contains("Total auth threads"));
    goes_on("a session in the new log");

    let copying = format!("{log} {{\n    rotate 2\n    copytruncate\n}}\n");
    machine.write("/root/copying", &copying).unwrap();
    rotate("/root/copying");
    assert!(!read(log).contains("reloaded"), "{}", read(log));
    goes_on("a session in the log that was cut");
    // It is appended to: no hole of zeroes where the old lines were.
    assert!(!read(log).contains('\0'));
}

/// A server that does not run has nobody to tell, and that is no failure; one that runs and cannot be told is one, which
/// logrotate passes on: lines would go on into a file that is compressed and deleted.
#[test]
fn logrotate_fails_where_a_running_server_cannot_be_told_and_only_there() {
    let machine = installed();
    let log = "/var/log/turnserver/own.log";
    machine.run("systemctl stop turnserver").unwrap();
    let rotate = "logrotate --force /etc/logrotate.d/turnpike";
    machine.write(log, "old\n").unwrap();
    machine.run(rotate).unwrap();
    assert!(machine.path(&format!("{log}.1")).exists());

    machine.run("systemctl start turnserver").unwrap();
    machine.write(log, "new\n").unwrap();
    // systemctl as it is, but for its signals.
    let deaf = "#!/bin/sh\n[ \"$1\" != kill ] || exit 1\nexec /usr/bin/systemctl \"$@\"\n";
    machine.write("/root/deaf/systemctl", deaf).unwrap();
    machine.run("chmod 755 /root/deaf/systemctl").unwrap();
    let failed = machine.run(&format!("PATH=/root/deaf:$PATH {rotate}"));
    let said = format!("{:#}", failed.unwrap_err());
    assert!(said.contains("error running shared postrotate"), "{said}");
}

/// By a capability, and by a socket that systemd opens.
#[test]
fn ports_below_1024_are_served_by_a_capability_or_a_socket() {
    let machine = installed();
    configure(
        &machine,
        &format!("static-auth-secret={SECRET}\nlistening-port=443\n"),
    );
    drop_in(
        &machine,
        "AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\nPrivateUsers=no\n",
    );
    relays(&machine, &["-W", SECRET, "-p", "443"]);
    let socket = fs::read_to_string(tests_folder().join("../systemd/turnserver.socket")).unwrap();
    let socket = socket.replace("192.0.2.10:3478", "203.0.113.10:80");
    machine
        .write("/etc/systemd/system/turnserver.socket", &socket)
        .unwrap();
    machine
        .run("systemctl stop turnserver && rm -r /etc/systemd/system/turnserver.service.d && systemctl daemon-reload")
        .unwrap();
    machine
        .run("systemctl enable --now turnserver.socket")
        .unwrap();
    // The first packet starts the server.
    relays(&machine, &["-W", SECRET, "-p", "80"]);
    assert_eq!(property(&machine, "ActiveState"), "active");
    relays(&machine, &["-W", SECRET, "-p", "80", "-t"]);
}

/// A worker hangs; systemd ends the server and starts it anew.
#[test]
fn a_server_with_a_hanging_worker_is_started_anew() {
    let machine = installed();
    configure(&machine, &format!("static-auth-secret={SECRET}\n"));
    drop_in(&machine, "WatchdogSec=2\n");
    let held = host_process(&machine, "turnserver");
    let mut python = Command::new("python3");
    python
        .arg(tests_folder().join("clients/hold_thread.py"))
        .args([&held, "relay-0"]);
    let (mut holder, input) = Process::start_fed(&mut python, "holder").unwrap();
    holder.wait_for_output(&["held"], GENEROUS).unwrap();
    until("it is started anew", GENEROUS, || {
        (property(&machine, "NRestarts") == "1").then_some(())
    })
    .unwrap();
    drop(input);
    active(&machine, "turnserver");
    assert!(
        journal(&machine).contains("Watchdog timeout"),
        "{}",
        journal(&machine)
    );
    relays(&machine, &["-W", SECRET]);
}
