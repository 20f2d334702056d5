//! Mistakes of an operator: each ends the start, or is warned of, in words that name the place and the remedy.
//!
//! Every server is alone in a namespace of its own, so that the standard ports are free. Needs root.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use e2e::netns::Namespace;
use e2e::process::{Process, scratch_file};
use e2e::server::{Server, command};

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

/// Runs the server in a namespace of its own with a configuration file, expecting that it ends by itself.
fn refuses(configuration: &str, flags: &[&str]) -> Result<(Option<i32>, String, String)> {
    let space = Namespace::new("refuses")?;
    let file = scratch_file("turnserver.conf")?;
    fs::write(&file, configuration)?;
    let mut process = Process::start(
        command(Some(&space))?
            .arg("-c")
            .arg(&file)
            .arg("--log-file=stdout")
            .args(flags),
        "refuses",
    )?;
    let status = process.wait(GENEROUS)?;
    Ok((status.code(), process.output(), file.display().to_string()))
}

#[test]
fn an_unusable_value_ends_the_start_and_names_file_line_and_key() {
    let (code, output, file) =
        refuses("realm=example.org\nlt-cred-mech\nmin-port=70000\n", &[]).unwrap();
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains(&format!("{file}:3")) && output.contains("min-port"),
        "{output}"
    );
}

#[test]
fn an_unknown_flag_prints_the_usage() {
    let (code, output, _) = refuses("", &["--no-such-flag"]).unwrap();
    assert_eq!(code, Some(2), "{output}");
    assert!(
        output.contains("no-such-flag") && output.to_lowercase().contains("usage"),
        "{output}"
    );
}

#[test]
fn without_a_mechanism_it_refuses_to_be_an_open_relay() {
    let (code, output, _) = refuses("realm=example.org\n", &[]).unwrap();
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("no-auth") && output.contains("lt-cred-mech"),
        "no remedy named: {output}"
    );
}

#[test]
fn a_busy_port_is_named_with_the_flag_that_changes_it() {
    let space = Namespace::new("busy").unwrap();
    let flags = [
        "--listening-ip=127.0.0.1",
        "--realm=example.org",
        "--lt-cred-mech",
        "--user=guest:secret",
    ];
    let first = Server::start(Some(&space), &flags).unwrap();
    let mut command = command(Some(&space)).unwrap();
    let mut second = Process::start(
        command.args(["-n", "--log-file=stdout"]).args(flags),
        "second",
    )
    .unwrap();
    let code = second.wait(GENEROUS).unwrap().code();
    let output = second.output();
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("3478") && output.contains("listening-port"),
        "{output}"
    );
    drop(first);
}

#[test]
fn an_unknown_key_in_a_file_is_a_warning() {
    let space = Namespace::new("warned").unwrap();
    let file = scratch_file("turnserver.conf").unwrap();
    fs::write(&file, "realm=example.org\nlt-cred-mech\nuser=guest:secret\nno-such-key=1\nlistening-ip=127.0.0.1\n").unwrap();
    let mut process = Process::start(
        command(Some(&space))
            .unwrap()
            .arg("-c")
            .arg(&file)
            .arg("--log-file=stdout"),
        "warned",
    )
    .unwrap();
    process
        .wait_for_output(&["Total auth threads:"], GENEROUS)
        .unwrap();
    let expected = format!("{}:4", file.display());
    assert!(
        process.output().contains(&expected) && process.output().contains("no-such-key"),
        "{}",
        process.output()
    );
}

/// Behind a cloud's 1:1 NAT the public address is nobody's on the machine; coturn's users write it into `relay-ip` all the same.
#[test]
fn a_relay_address_that_is_not_this_machines_is_named_with_the_remedy_for_a_nat() {
    let (code, output, file) = refuses(
        "listening-ip=127.0.0.1\nlt-cred-mech\nuser=guest:secret\nrealm=example.org\nrelay-ip=9.9.9.9\n",
        &[],
    )
    .unwrap();
    assert_eq!(code, Some(1), "{output}");
    for part in [
        &format!("{file}:5"),
        "relay-ip",
        "9.9.9.9",
        "external-ip=PUBLIC/PRIVATE",
    ] {
        assert!(output.contains(part), "{part} is missing: {output}");
    }
    let (code, output, file) = refuses(
        "listening-ip=9.9.9.9\nlt-cred-mech\nuser=guest:secret\n",
        &[],
    )
    .unwrap();
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains(&format!("{file}:1")) && output.contains("listening-ip"),
        "{output}"
    );
}

/// What only the start itself can find out is said with its place as well.
#[test]
fn what_cannot_be_opened_is_named_with_the_line_that_asks_for_it() {
    for (option, line) in [
        ("http-listen", "http-listen=192.0.2.1:8081"),
        (
            "prometheus-port",
            "prometheus\nprometheus-address=192.0.2.1\nprometheus-port=9999",
        ),
        ("control-socket", "control-socket=/no/such/folder/socket"),
    ] {
        let configuration =
            format!("lt-cred-mech\nuser=guest:secret\nlistening-ip=127.0.0.1\n{line}\n");
        let (code, output, file) = refuses(&configuration, &[]).unwrap();
        let place = format!("{file}:{}: {option}: ", configuration.lines().count());
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains(&place), "{place} is missing: {output}");
    }
    let space = Namespace::new("log").unwrap();
    let file = scratch_file("turnserver.conf").unwrap();
    let flags = "lt-cred-mech\nuser=guest:secret\nlistening-ip=127.0.0.1\n";
    fs::write(&file, format!("{flags}log-file=/no/such/folder/log\n")).unwrap();
    let mut command = command(Some(&space)).unwrap();
    let mut process = Process::start(command.arg("-c").arg(&file), "no log").unwrap();
    process.wait(GENEROUS).unwrap();
    let place = format!("{}:4: log-file: cannot write", file.display());
    assert!(process.output().contains(&place), "{}", process.output());
}

#[test]
fn a_misspelt_key_is_named_before_what_it_caused() {
    let (code, output, file) = refuses("static-auth-secrt=0123456789\n", &[]).unwrap();
    assert_eq!(code, Some(1), "{output}");
    let (cause, effect) = (
        output.find(&format!("{file}:1")),
        output.find("no authentication"),
    );
    assert!(
        cause.is_some() && effect.is_some() && cause < effect,
        "{output}"
    );
}
