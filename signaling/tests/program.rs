//! The program from outside: how it starts, what it says, how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: a panic is the report"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

fn signaling(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signaling"));
    command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn output(args: &[&str]) -> Output {
    signaling(args).output().unwrap()
}

/// A running program, killed when the test is over.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
    monitor: Option<SocketAddr>,
}

impl Running {
    fn start(args: &[&str]) -> Running {
        let mut child = signaling(args).arg("--listen=127.0.0.1:0").spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut line, mut metrics, mut http) = (String::new(), None, None);
        while http.is_none() || args.iter().any(|arg| arg.contains("metrics")) && metrics.is_none()
        {
            line.clear();
            assert_ne!(
                stdout.read_line(&mut line).unwrap(),
                0,
                "it ended before it listened"
            );
            let address = || line.trim().rsplit(' ').next().unwrap().parse().unwrap();
            if line.contains("listening http ") {
                http = Some(address());
            } else if line.contains("listening metrics ") {
                metrics = Some(address());
            }
        }
        let (monitor, address) = (metrics, http.unwrap());
        Running {
            child,
            stdout,
            address,
            monitor,
        }
    }

    fn get(&self, path: &str) -> String {
        get(self.address, path)
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_pages_and_health_and_ends_on_sigterm_and_sigint() {
    for signal in ["TERM", "INT"] {
        let mut running = Running::start(&[]);
        assert!(running.get("/healthz").starts_with("HTTP/1.1 200"));
        assert!(running.get("/readyz").starts_with("HTTP/1.1 200"));
        assert!(running.get("/").contains("<!doctype html>"));
        let pid = running.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{signal}");
        let mut rest = String::new();
        running.stdout.read_to_string(&mut rest).unwrap();
        assert!(rest.contains(&format!("ending on SIG{signal}")), "{rest}");
    }
}

#[test]
fn it_drains_on_sigusr1_and_ends_when_nobody_is_left() {
    let mut running = Running::start(&[]);
    assert!(running.get("/status").contains(r#"{"status":"ready"}"#));
    let pid = running.child.id().to_string();
    let told = Command::new("kill").args(["-s", "USR1", &pid]).status();
    assert!(told.unwrap().success());
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    running.stdout.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("draining on SIGUSR1"), "{rest}");
}

#[test]
fn numbers_are_on_a_listener_of_their_own() {
    let mut running = Running::start(&["--metrics-listen=127.0.0.1:0"]);
    let monitor = running.monitor.expect("it listens for metrics first");
    for (path, words) in [
        ("/metrics", "# TYPE signaling_connections gauge"),
        ("/metrics", "text/plain; version=0.0.4"),
        ("/status", r#""connections":0"#),
        ("/readyz", "ready"),
        ("/healthz", "ok"),
    ] {
        let answer = get(monitor, path);
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(words),
            "{path}: {answer}"
        );
    }
    let ice = running.get("/v1/ice");
    assert!(
        ice.starts_with("HTTP/1.1 404") && ice.contains("--join-key-file"),
        "{ice}"
    );
    for path in ["/metrics", "/v1/calls"] {
        assert!(running.get(path).starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(!running.get("/status").contains("connections"));
    running.child.kill().unwrap();
}

#[test]
fn it_says_what_is_open() {
    let mut child = signaling(&["--listen=127.0.0.1:0"]).spawn().unwrap();
    let mut text = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !text.contains("listening") {
        text += &lines.next().unwrap().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(text.contains("join-key-file"), "{text}");
}

#[test]
fn a_busy_port_is_exit_code_1_and_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = output(&[&format!("--listen={}", taken.local_addr().unwrap())]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("--listen"));
}

#[test]
fn mistakes_have_their_exit_codes() {
    for (args, code, words) in [
        (&["--no-such-flag"][..], 2, "no-such-flag"),
        (&["--auth=jwt"], 1, "--jwks-url"),
        (&["--ice-url=turn:t.example.org"], 1, "--ice-secret-file"),
        (&["-c", "/nonexistent"], 1, "/nonexistent"),
        (
            &["--listen=127.0.0.1:0", "--call-log=/nonexistent/calls"],
            1,
            "/nonexistent/calls: SQLite: unable to open database file: /nonexistent/calls. Name",
        ),
    ] {
        let ended = output(args);
        assert_eq!(ended.status.code(), Some(code), "{args:?}");
        assert!(
            String::from_utf8_lossy(&ended.stderr).contains(words),
            "{args:?}"
        );
    }
}

#[test]
fn help_and_version_are_printed() {
    let help = output(&["--help"]);
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--listen"));
    let version = output(&["--version"]);
    assert_eq!(
        String::from_utf8_lossy(&version.stdout).trim(),
        env!("CARGO_PKG_VERSION")
    );
}
