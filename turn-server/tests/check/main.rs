//! What `--check-config` says will hurt, on machines made up for it.
// A panic in a test is its report, also in the helpers, which the lint does not recognise as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod certificates;
mod network;
mod secrets;

use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use turn_config::{Environment, Invocation, Settings};
use turn_server::check::{Machine, advice};

use self::certificates::Made;

const SECRET: &str = "--static-auth-secret=2f0c9d1be4a7385f6c";

fn settings(flags: &[&str]) -> Settings {
    let environment = Environment {
        variables: Vec::new(),
        ..Environment::new(&|_| None)
    };
    let file: &[&str] = if flags.contains(&"-c") { &[] } else { &["-n"] };
    let args = [file, &["-rr"], flags].concat();
    let args = args.into_iter().map(OsString::from);
    match turn_config::parse(args, &environment) {
        Ok(Invocation::Run(settings)) => *settings,
        Ok(_) => panic!("no run"),
        Err(error) => panic!("{error}"),
    }
}

/// A machine on which nothing hurts.
fn good() -> Machine {
    Machine {
        addresses: ["127.0.0.1", "::1", "198.51.100.9"]
            .map(|ip| ip.parse().unwrap())
            .to_vec(),
        largest_receive_buffer: Some(8 << 20),
        descriptors: 1 << 20,
        container: false,
        now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap(),
    }
}

/// A good one behind a NAT.
fn natted() -> Machine {
    Machine {
        addresses: ["127.0.0.1", "10.0.0.5", "fd00::5"]
            .map(|ip| ip.parse().unwrap())
            .to_vec(),
        ..good()
    }
}

#[track_caller]
fn assert_says(flags: &[&str], machine: &Machine, parts: &[&str]) {
    let said = advice(&settings(flags), machine);
    let found = said
        .iter()
        .filter(|line| parts.iter().all(|part| line.contains(part)));
    assert_eq!(found.count(), 1, "{parts:?} in {said:#?}");
}

#[track_caller]
fn assert_silent(flags: &[&str], machine: &Machine) {
    assert_eq!(advice(&settings(flags), machine), [""; 0]);
}

#[test]
fn a_good_configuration_on_a_good_machine_is_left_alone() {
    assert_silent(&[SECRET], &good());
    assert_silent(&["-ualice:correct horse"], &good());
}

/// Of several lines for one option, it names the one that is to be changed.
#[test]
fn what_is_wrong_with_one_of_a_list_is_said_at_its_place() {
    let folder = Folder::new("places");
    let users = folder.write("users", "cat:cat\n");
    let configuration = [
        "static-auth-secret=2f0c9d1be4a7385f6c",
        "static-auth-secret=short",
        "user=ann:correct horse",
        "user=bob:bob",
        &format!("static-users-file={users}"),
        "external-ip=198.51.100.9",
        "external-ip=fd00::9/fd00::1",
        "aux-server=192.0.2.1:5000",
        "aux-server=192.0.2.1:444",
    ];
    let file = folder.write("places.conf", &configuration.join("\n"));
    let flags = ["-c", &file];
    for (line, parts) in [
        (2, ["static-auth-secret", "short enough"]),
        (4, ["user", "\"bob\""]),
        (7, ["external-ip", "fd00::9"]),
        (9, ["aux-server", "444"]),
    ] {
        let place = format!("places.conf:{line}: {}: ", parts[0]);
        assert_says(&flags, &good(), &[&place, parts[1]]);
    }
    assert_says(&flags, &good(), &["static-users-file: ", "\"cat\""]);
}

/// It is no hazard to be told of beside others: the server would not start.
#[test]
fn no_mechanism_fails_the_check_and_names_the_remedies() {
    let folder = Folder::new("open");
    let conf = folder.write("turnserver.conf", "realm=example.org\n");
    let mut check = Command::new(env!("CARGO_BIN_EXE_turnserver"));
    let output = check
        .args(["--check-config", "-c", &conf])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "no authentication is configured",
        "static-auth-secret=SECRET",
        "lt-cred-mech",
        "no-auth",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

/// The program itself: 0 although something hurts, 1 where it would not start.
#[test]
fn the_program_says_it_all_and_fails_where_a_start_would() {
    let folder = Folder::new("program");
    let (one, other) = (Made::valid(0, 90), Made::valid(0, 90));
    let cert = folder.write("cert.pem", &one.leaf);
    let check = |key: &str| {
        let conf =
            format!("static-auth-secret=north\nlistening-port=444\ncert={cert}\npkey={key}\n");
        let conf = folder.write("turnserver.conf", &conf);
        let output = Command::new(env!("CARGO_BIN_EXE_turnserver"))
            .args(["--check-config", "-c", &conf])
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8([output.stdout, output.stderr].concat()).unwrap(),
            conf,
        )
    };
    let (code, text, conf) = check(&folder.write("key.pem", &one.key));
    assert_eq!(code, Some(0), "{text}");
    for line in [
        format!("listening-port = 444  [{conf}:2]"),
        format!("warning: {conf}:2: listening-port: Chrome"),
        format!("warning: {conf}:1: static-auth-secret: it is short"),
        format!("warning: {conf}:3: cert: "),
    ] {
        assert!(text.contains(&line), "no {line:?} in {text}");
    }
    let (code, text, conf) = check(&folder.write("other.pem", &other.key));
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains(&format!("turnserver: {conf}:4: pkey")),
        "{text}"
    );
    let (code, text, _) = check("/nowhere/key.pem");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("name a file that is there"), "{text}");
}

/// A folder of this test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("turnpike-check-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, content: &str) -> String {
        let file = self.0.join(name);
        fs::write(&file, content).unwrap();
        file.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
