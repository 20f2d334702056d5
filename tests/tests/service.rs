//! The server as systemd sees it: readiness, the end, the units' hardening; and the samples as an operator starts them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use e2e::process::{Process, scratch_file, target_folder};
use e2e::server::{command, free_port};

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

/// What `systemd-analyze` calls 1.1, as the README says; lower is better. Debian's coturn is at 9.0.
const EXPOSURE: &str = "11";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn systemd_analyze(arguments: &[&str]) -> Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .current_dir(root().join("systemd"))
        .output()
        .expect("systemd-analyze is missing: apt-get install systemd")
}

#[test]
fn systemd_is_told_when_the_relay_is_ready_and_when_it_stops() {
    let port = free_port([127, 0, 0, 1].into()).unwrap();
    let mut command = command(None).unwrap();
    command
        .args(["-n", "--log-file=stdout", "--listening-ip=127.0.0.1"])
        .args(["--lt-cred-mech", "--user=ann:secret"])
        .arg(format!("--listening-port={port}"));
    tells_systemd(&mut command);
}

#[test]
fn systemd_is_told_when_signaling_is_ready_and_when_it_stops() {
    let port = free_port([127, 0, 0, 1].into()).unwrap();
    let mut command = Command::new(target_folder().join("release/signaling"));
    command.arg(format!("--listen=127.0.0.1:{port}"));
    command.arg("--ice-url=stun:stun.example.org");
    tells_systemd(&mut command);
}

/// Starts a program with a socket in systemd's place, ends it, and looks at what the socket was told.
fn tells_systemd(command: &mut Command) {
    let path = scratch_file("notify").unwrap();
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(GENEROUS)).unwrap();
    let mut program = Process::start(command.env("NOTIFY_SOCKET", &path), "notifying").unwrap();
    let mut message = [0; 256];
    let length = systemd.recv(&mut message).unwrap();
    assert_eq!(message[..length].trim_ascii(), b"READY=1");
    let terminate = ["-TERM".to_owned(), program.id().to_string()];
    let killed = Command::new("kill").args(terminate).status().unwrap();
    assert!(killed.success());
    let length = systemd.recv(&mut message).unwrap();
    assert_eq!(message[..length].trim_ascii(), b"STOPPING=1");
    assert_eq!(program.wait(GENEROUS).unwrap().code(), Some(0));
}

#[test]
fn systemd_is_told_when_a_reload_begins_and_when_it_is_over() {
    let port = free_port([127, 0, 0, 1].into()).unwrap();
    let path = scratch_file("notify").unwrap();
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(GENEROUS)).unwrap();
    let mut command = command(None).unwrap();
    command
        .env("NOTIFY_SOCKET", &path)
        .args(["-n", "--log-file=stdout", "--listening-ip=127.0.0.1"])
        .args(["--lt-cred-mech", "--user=ann:secret"])
        .arg(format!("--listening-port={port}"));
    let server = Process::start(&mut command, "reloading").unwrap();
    let heard = || {
        let mut message = [0; 256];
        let length = systemd.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    assert_eq!(heard().trim(), "READY=1");
    let reload = ["-HUP".to_owned(), server.id().to_string()];
    assert!(
        Command::new("kill")
            .args(reload)
            .status()
            .unwrap()
            .success()
    );
    // As sd_notify(3) wants it: the time tells this reload from an earlier one.
    let begun = heard();
    let time = begun
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(begun.starts_with("RELOADING=1\n"), "{begun}");
    assert!(
        time.is_some_and(|time| time.parse::<u64>().is_ok()),
        "{begun}"
    );
    assert_eq!(heard().trim(), "READY=1");
}

#[test]
fn signals_that_operators_send_to_coturn_do_not_end_the_server() {
    let port = free_port([127, 0, 0, 1].into()).unwrap();
    let mut command = command(None).unwrap();
    command
        .args(["-n", "--log-file=stdout", "--listening-ip=127.0.0.1"])
        .args(["--lt-cred-mech", "--user=ann:secret"])
        .arg(format!("--listening-port={port}"));
    let mut server = Process::start(&mut command, "signalled").unwrap();
    server
        .wait_for_output(&["Total auth threads:"], GENEROUS)
        .unwrap();
    for signal in ["HUP", "USR2"] {
        let id = server.id().to_string();
        let kill = ["-s", signal, &id];
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        let seen = format!("SIG{signal}");
        server.wait_for_output(&[&seen], GENEROUS).unwrap();
    }
    let terminate = ["-INT".to_owned(), server.id().to_string()];
    assert!(
        Command::new("kill")
            .args(terminate)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(server.wait(GENEROUS).unwrap().code(), Some(0));
}

#[test]
fn the_units_are_as_closed_as_the_readme_says() {
    for unit in ["turnserver.service", "signaling.service"] {
        let threshold = format!("--threshold={EXPOSURE}");
        let unit = format!("./{unit}");
        let output = systemd_analyze(&["security", "--offline=yes", &threshold, &unit]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{unit}: {text}");
        assert!(text.contains("Overall exposure level"), "{unit}: {text}");
    }
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    for unit in ["turnserver.service", "signaling.service"] {
        let output = systemd_analyze(&["verify", "--man=no", &format!("./{unit}")]);
        let text = String::from_utf8_lossy(&output.stderr);
        // The programs are installed by whoever installs the units; that is the one complaint to expect here.
        let complaints: Vec<_> = text
            .lines()
            .filter(|line| !line.contains(&format!("/usr/local/bin/{}", &unit[..unit.len() - 8])))
            .collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
        assert!(
            output.status.success() || text.contains("is not executable"),
            "{text}"
        );
    }
}

#[test]
fn every_sample_is_accepted_once_its_placeholders_are_replaced() {
    let mut tried = 0;
    for entry in fs::read_dir(root().join("config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("replace-this"),
            "{} has a ready secret in it",
            path.display()
        );
        let file = scratch_file("sample.conf").unwrap();
        fs::write(&file, text.replace("replace-this", "4f1c9e2b7a")).unwrap();
        let checked = command(None)
            .unwrap()
            .arg("-c")
            .arg(&file)
            .arg("--check-config")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{}: {output}", path.display());
        tried += 1;
    }
    assert!(tried >= 4, "{tried} samples");
}
