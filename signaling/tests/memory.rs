//! What an idle connection costs in the memory of the program, in each protocol: counted by the kernel, in a process of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: a panic is the report"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// KiB that a connection may cost. What an optimised build takes is less, but not by much.
const MOST: u64 = 8;

/// Connections before the first look, so that all threads have their arenas, and from then on until the second.
const WARM_UP: usize = 200;
const CONNECTIONS: usize = 800;

/// The program, killed when the test is over.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    fn start() -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_signaling"))
            .arg("--listen=127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = stdout.lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("listening http ")).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Program { child, address }
    }

    /// Bytes of its own that are in RAM.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() * 1_024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The test and the program need a descriptor each per connection, and the program more beside.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// Upgrades, introduces itself with `hellos`, and waits after the upgrade and each of them for an answer that contains the words
/// beside it.
fn connect(
    address: SocketAddr,
    path: &str,
    greeting: &str,
    hellos: &[(String, &str)],
) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    hear(&mut stream, greeting);
    for (hello, answer) in hellos {
        // A text frame of less than 126 bytes, masked with zeros.
        let mut frame = vec![0x81, 0x80 | u8::try_from(hello.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(hello.as_bytes());
        stream.write_all(&frame).unwrap();
        hear(&mut stream, answer);
    }
    stream
}

fn hear(stream: &mut TcpStream, words: &str) {
    let (mut heard, mut piece) = (Vec::new(), [0; 4_096]);
    while !String::from_utf8_lossy(&heard).contains(words) {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "closed before {words}");
        heard.extend_from_slice(&piece[..read]);
    }
}

fn costs_little(open: impl Fn(SocketAddr, usize) -> TcpStream) {
    raise_descriptors();
    let program = Program::start();
    let mut lines: Vec<_> = (0..WARM_UP)
        .map(|number| open(program.address, number))
        .collect();
    let before = program.resident();
    lines.extend((0..CONNECTIONS).map(|number| open(program.address, WARM_UP + number)));
    let each = (program.resident() - before) / CONNECTIONS as u64;
    assert!(
        each <= MOST * 1_024,
        "an idle connection takes {each} bytes"
    );
    // Less is no connection at all.
    assert!(each >= 1_024, "an idle connection takes {each} bytes");
}

#[test]
fn an_idle_native_connection_costs_little() {
    costs_little(|address, number| {
        connect(address, &format!("/ws?token=u{number}"), "connected", &[])
    });
}

#[test]
fn an_idle_stream_connection_costs_little() {
    costs_little(|address, number| {
        let register = format!(r#"{{"type":"register","role":"receiver","room":"r{number}"}}"#);
        connect(
            address,
            "/ws/stream",
            "\r\n\r\n",
            &[(register, "registered")],
        )
    });
}

#[test]
fn an_idle_peerjs_connection_costs_little() {
    costs_little(|address, number| {
        let path = format!("/peerjs?key=peerjs&id=p{number}&token=t&version=1.5.5");
        connect(address, &path, "OPEN", &[])
    });
}

#[test]
fn an_idle_socket_io_connection_costs_little() {
    costs_little(|address, number| {
        let path = "/socket.io/?EIO=4&transport=websocket";
        let hello = format!(r#"40{{"token":"u{number}"}}"#);
        connect(address, path, "0{", &[(hello, "40{")])
    });
}
