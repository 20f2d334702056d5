//! What an operator sees and does through `turnctl` and Prometheus while coturn's client is being served.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use e2e::certificate::{Algorithm, Certificate};
use e2e::http::{Metrics, curl};
use e2e::process::{Process, scratch_file, until};
use e2e::server::{Server, free_port, turnctl_command};
use e2e::turn_client::{Answer, TurnClient};
use e2e::uclient::Peer;
use rustix::process::Signal;
use serde_json::Value;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(30);

/// A server with its control socket.
struct Fixture {
    server: Server,
    port: u16,
    socket: PathBuf,
}

impl Fixture {
    fn start(more: &[&str]) -> Self {
        let port = free_port(HERE).unwrap();
        let socket = scratch_file("control.sock").unwrap();
        let flags = [
            format!("--listening-port={port}"),
            format!("--control-socket={}", socket.display()),
        ];
        let mut all = vec![
            "--listening-ip=127.0.0.1",
            "--lt-cred-mech",
            "--realm=example.org",
            "--allow-loopback-peers",
            "--user=ann:secret",
            "--user=bob:secret",
            "--user=eve:secret",
        ];
        all.extend(flags.iter().map(String::as_str));
        all.extend(more);
        Self {
            server: Server::start_secure(None, &all).unwrap(),
            port,
            socket,
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(HERE, self.port)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = turnctl_command().unwrap();
        command.arg(format!("--socket={}", self.socket.display()));
        command.args(arguments);
        command
    }

    fn ctl(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The lines of an answer.
    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.ctl(&[arguments, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    fn sessions(&self, arguments: &[&str]) -> Vec<Value> {
        let lines = self.json(&[&["sessions"], arguments].concat());
        let sessions = lines.iter().filter_map(|line| line.get("session"));
        sessions.cloned().collect()
    }

    /// Starts coturn's client for a user: 400 messages of 100 bytes at most, 20 ms apart.
    fn uclient(&self, user: &str, peer: &Peer, more: &[&str]) -> Process {
        let mut command = Command::new("turnutils_uclient");
        command.args(["-v", "-c", "-w", "secret", "-e", "127.0.0.1", "-m", "1"]);
        command.args(["-u", user, "-r", &peer.port.to_string(), "-n", "400"]);
        command.args(more).arg("-p").arg(self.port.to_string());
        Process::start(command.arg("127.0.0.1"), "uclient").unwrap()
    }

    fn client(&self, user: &str) -> TurnClient {
        let mut client = TurnClient::new(self.address(), user, "secret").unwrap();
        let answer = client.allocate(None).unwrap();
        assert!(matches!(answer, Answer::Success { .. }), "{answer:?}");
        client
    }
}

/// The relayed addresses that coturn's client has been given.
fn given(uclient: &Process) -> BTreeSet<String> {
    let output = uclient.output();
    let lines = output.lines().filter(|line| line.contains("relay addr: "));
    lines
        .filter_map(|line| {
            line.rsplit_once(": ")
                .map(|(_, address)| address.to_owned())
        })
        .collect()
}

fn text<'a>(session: &'a Value, field: &str) -> &'a str {
    session[field].as_str().unwrap()
}

fn relayed(session: &Value) -> String {
    text(&session["relayed"][0], "advertised").to_owned()
}

/// coturn's labels with `prometheus-username-labels`: moved when a session ends.
#[test]
fn traffic_is_counted_by_user_on_request() {
    let port = free_port(HERE).unwrap();
    let flag = format!("--prometheus-port={port}");
    let more = [
        "--prometheus",
        &flag,
        "--prometheus-address=127.0.0.1",
        "--prometheus-username-labels",
    ];
    let fixture = Fixture::start(&more);
    let peer = Peer::start(None, HERE).unwrap();
    let mut client = fixture.uclient("ann", &peer, &["-n", "3"]);
    client.wait(GENEROUS).unwrap();
    let counted = || {
        let output = Command::new("curl")
            .args(["-s", &format!("http://127.0.0.1:{port}/metrics")])
            .output()
            .ok()?;
        let page = String::from_utf8(output.stdout).ok()?;
        let begin = "turn_traffic_peer_sentp{realm=\"example.org\",user=\"ann\"} ";
        let count = page
            .lines()
            .find_map(|line| line.strip_prefix(begin))?
            .parse::<f64>()
            .ok()?;
        (count >= 3.0).then_some(())
    };
    until("the traffic of a user", GENEROUS, counted).unwrap();
}

/// A server that has nothing left ends at once, and who asked for it is told all the same.
/// What curl gets by HTTPS, if it believes who is there.
fn fetched(port: u16, path: &str, authority: &Path) -> Option<String> {
    let mut curl = Command::new("curl");
    curl.args(["-sf", "--max-time", "20", "--cacert"]);
    curl.arg(authority);
    let output = curl.arg(format!("https://127.0.0.1:{port}{path}")).output();
    let output = output.unwrap();
    (output.status.success()).then(|| String::from_utf8(output.stdout).unwrap())
}

/// `prometheus-tls`, with a certificate of its own: clients of this server are not served over TLS at all.
#[test]
fn metrics_go_over_tls_and_a_renewed_certificate_is_shown() {
    let port = free_port(HERE).unwrap();
    let [first, second] = [(); 2].map(|()| Certificate::make(Algorithm::Ecdsa, HERE).unwrap());
    let place = scratch_file("metrics.pem").unwrap();
    let key = scratch_file("metrics.key").unwrap();
    let put = |made: &Certificate| {
        fs::copy(&made.key, &key).unwrap();
        fs::copy(&made.certificate, &place).unwrap();
    };
    put(&first);
    let flags = [
        format!("--prometheus-port={port}"),
        format!("--prometheus-cert={}", place.display()),
        format!("--prometheus-key={}", key.display()),
    ];
    let mut more = vec!["--prometheus", "--prometheus-tls", "--no-tls"];
    more.push("--prometheus-address=127.0.0.1");
    more.extend(flags.iter().map(String::as_str));
    let mut fixture = Fixture::start(&more);
    let page = fetched(port, "/metrics", &first.certificate).unwrap();
    assert!(page.contains("turn_total_allocations"), "{page}");
    let ready = fetched(port, "/readyz", &first.certificate);
    assert_eq!(ready.as_deref(), Some("ready\n"));
    // In the clear, and by who believes somebody else, nothing is to be had.
    assert_eq!(fetched(port, "/metrics", &second.certificate), None);
    let mut plain = Command::new("curl");
    let plain = plain.args(["-s", &format!("http://127.0.0.1:{port}/metrics")]);
    assert!(!plain.output().unwrap().status.success());

    put(&second);
    fixture.server.signal(Signal::HUP).unwrap();
    fixture
        .server
        .wait_for_output("TLS certificates are renewed")
        .unwrap();
    assert!(fetched(port, "/metrics", &second.certificate).is_some());
    assert_eq!(fetched(port, "/metrics", &first.certificate), None);
    // What cannot be used changes nothing.
    fs::write(&key, "no key").unwrap();
    fixture.server.signal(Signal::HUP).unwrap();
    fixture.server.wait_for_output("prometheus-key: ").unwrap();
    assert!(fetched(port, "/metrics", &second.certificate).is_some());
}

#[test]
fn the_drain_of_an_idle_server_is_answered() {
    for _ in 0..5 {
        let mut fixture = Fixture::start(&[]);
        let output = fixture.ctl(&["drain"]);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("no new allocations are taken"), "{said}");
        assert!(fixture.server.wait(GENEROUS).unwrap().success());
    }
}

#[test]
fn sessions_of_coturns_client_are_listed_as_they_are() {
    let fixture = Fixture::start(&[]);
    let peer = Peer::start(None, HERE).unwrap();
    let ann = fixture.uclient("ann", &peer, &[]);
    let bob = fixture.uclient("bob", &peer, &["-t"]);
    // One of the two sessions that the client makes moves data.
    let moving = |user: &str| {
        let sessions = fixture.sessions(&[&format!("--user={user}")]);
        let mut moving = sessions
            .into_iter()
            .filter(|session| session["traffic"]["to_peers"]["packets"].as_u64() > Some(3));
        moving.next()
    };
    for (user, transport, uclient) in [("ann", "udp", &ann), ("bob", "tcp", &bob)] {
        let session = until("data of a session", GENEROUS, || moving(user)).unwrap();
        assert_eq!(
            [
                text(&session, "user"),
                text(&session, "username"),
                text(&session, "transport")
            ],
            [user, user, transport]
        );
        assert_eq!(text(&session, "server"), fixture.address().to_string());
        let given = given(uclient);
        assert!(given.contains(&relayed(&session)), "{given:?} {session}");
        let peers: BTreeSet<&str> = (session["peers"].as_array().unwrap().iter())
            .map(|peer| text(peer, "address"))
            .collect();
        let expected = format!("127.0.0.1:{}", peer.port);
        assert!(peers.contains(expected.as_str()), "{peers:?}");
        let traffic = &session["traffic"];
        let (packets, bytes) = (
            traffic["to_peers"]["packets"].as_u64().unwrap(),
            traffic["to_peers"]["bytes"].as_u64().unwrap(),
        );
        assert_eq!(bytes, packets * 100, "messages of 100 bytes: {traffic}");
        let from_client = traffic["from_client"]["bytes"].as_u64().unwrap();
        assert_eq!(
            from_client,
            packets * 104,
            "each behind four bytes: {traffic}"
        );
        // Each filter leaves it, and only what it names.
        for (name, value) in [
            ("client", text(&session, "client")),
            ("relayed", &relayed(&session)),
            ("id", text(&session, "id")),
        ] {
            let found = fixture.sessions(&[&format!("--{name}={value}")]);
            assert_eq!(found.len(), 1, "--{name}={value}: {found:?}");
            assert_eq!(text(&found[0], "id"), text(&session, "id"));
        }
        let found = fixture.sessions(&[&format!("--transport={transport}")]);
        assert!(!found.is_empty() && found.iter().all(|found| text(found, "user") == user));
    }
    let status = &fixture.json(&["status"])[0]["status"];
    let all = fixture.sessions(&[]).len() as u64;
    let counted = &status["sessions"];
    assert_eq!(
        counted["udp"].as_u64().unwrap() + counted["tcp"].as_u64().unwrap(),
        all
    );
    assert_eq!(
        status["pid"].as_u64().unwrap(),
        u64::from(fixture.server.id())
    );
    let table = String::from_utf8(fixture.ctl(&["sessions"]).stdout).unwrap();
    assert_eq!(table.lines().count() as u64, 1 + all, "{table}");
}

#[test]
fn kill_ends_exactly_the_named_and_their_clients_learn_it() {
    let fixture = Fixture::start(&[]);
    let peer = Peer::start(None, HERE).unwrap();
    let mut untouched = fixture.uclient("ann", &peer, &[]);
    until("sessions of ann", GENEROUS, || {
        (fixture.sessions(&["--user=ann"]).len() >= 2).then_some(())
    })
    .unwrap();
    let (mut first, mut second, mut third) = (
        fixture.client("bob"),
        fixture.client("bob"),
        fixture.client("eve"),
    );
    let bobs = fixture.sessions(&["--user=bob"]);
    let of = |number: usize| (text(&bobs[number], "id"), text(&bobs[number], "client"));
    // By number, then by address: whichever of the two it is, one is left.
    let killed = fixture.json(&["kill", &format!("--id={}", of(0).0)]);
    assert_eq!(killed[0]["killed"], serde_json::json!([of(0).0]));
    let answers = [first.refresh(600).unwrap(), second.refresh(600).unwrap()];
    let refused = answers
        .iter()
        .filter(|answer| **answer == Answer::Refused(437));
    assert_eq!(refused.count(), 1, "{answers:?}");
    let killed = fixture.json(&["kill", &format!("--client={}", of(1).1)]);
    assert_eq!(killed[0]["killed"], serde_json::json!([of(1).0]));
    for client in [&mut first, &mut second] {
        assert_eq!(client.refresh(600).unwrap(), Answer::Refused(437));
    }
    assert!(matches!(
        third.refresh(600).unwrap(),
        Answer::Success { .. }
    ));
    // By user.
    let output = fixture.ctl(&["kill", "--user=eve"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(third.refresh(600).unwrap(), Answer::Refused(437));
    let nobody = fixture.ctl(&["kill", "--user=eve"]);
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
    assert_eq!(fixture.ctl(&["kill"]).status.code(), Some(2));
    // Coturn's client has noticed nothing.
    untouched.wait(Duration::from_secs(60)).unwrap();
    let output = untouched.output();
    assert!(
        output.contains("tot_send_msgs=400, tot_recv_msgs=400"),
        "{output}"
    );
}

#[test]
fn coturns_client_that_is_killed_hears_nothing_more() {
    let fixture = Fixture::start(&[]);
    let peer = Peer::start(None, HERE).unwrap();
    let mut uclient = fixture.uclient("ann", &peer, &["-n", "100"]);
    until("data of a session", GENEROUS, || {
        let sessions = fixture.sessions(&["--user=ann"]);
        let moving = |session: &Value| session["traffic"]["to_peers"]["packets"].as_u64() > Some(3);
        sessions.iter().any(moving).then_some(())
    })
    .unwrap();
    assert!(fixture.ctl(&["kill", "--user=ann"]).status.success());
    assert!(fixture.sessions(&[]).is_empty());
    uclient.wait(Duration::from_secs(60)).unwrap();
    let totals = e2e::uclient::totals(&uclient.output()).unwrap();
    assert_eq!(totals.sent, 100);
    assert!((1..100).contains(&totals.received), "{totals:?}");
}

#[test]
fn watch_tells_what_begins_and_what_ends() {
    let fixture = Fixture::start(&[]);
    let _held = fixture.client("ann");
    let mut command = fixture.command(&["sessions", "--watch=1", "--json"]);
    let mut watch = Process::start(&mut command, "watch").unwrap();
    let line = |change: &str, user: &str, watch: &Process| {
        watch.output().lines().any(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            line["change"] == change && line["session"]["user"] == user
        })
    };
    let expect = |change: &str, user: &str, watch: &Process| {
        let what = format!("{change} {user}");
        until(&what, GENEROUS, || line(change, user, watch).then_some(())).unwrap();
    };
    expect("new", "ann", &watch);
    let mut bob = fixture.client("bob");
    expect("new", "bob", &watch);
    bob.refresh(0).unwrap();
    expect("ended", "bob", &watch);
    assert!(!line("ended", "ann", &watch));
    watch.stop();
}

#[test]
fn the_log_level_changes_while_sessions_go_on() {
    let mut fixture = Fixture::start(&[]);
    let _before = fixture.client("ann");
    assert!(!fixture.server.output().contains("username=<ann>"));
    let output = fixture.ctl(&["log-level", "sessions"]);
    assert_eq!(output.stdout, b"sessions\n");
    let _after = fixture.client("bob");
    fixture.server.wait_for_output("username=<bob>").unwrap();
    assert_eq!(fixture.ctl(&["log-level"]).stdout, b"sessions\n");
    assert!(fixture.ctl(&["log-level", "error"]).status.success());
    assert_eq!(fixture.ctl(&["log-level"]).stdout, b"error\n");
}

/// What the page has: names, and the sum of all that was ever seen of each.
fn moved(fixture: &Fixture, at: SocketAddr, seen: &mut BTreeSet<String>) -> BTreeSet<String> {
    let page = Metrics::scrape(at).unwrap();
    let names = page.names();
    for (name, kind) in &names {
        let series = if kind == "histogram" {
            format!("{name}_count")
        } else {
            name.clone()
        };
        if page.sum(&series).is_some_and(|sum| sum > 0.0) {
            seen.insert(name.clone());
        }
    }
    // turnctl shows the same page.
    let shown = String::from_utf8(fixture.ctl(&["metrics"]).stdout).unwrap();
    for (name, kind) in &names {
        assert!(shown.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
    }
    names.into_iter().map(|(name, _)| name).collect()
}

/// Every metric is moved by something that clients do: one that nothing here moves is not tested, or means nothing.
#[test]
fn every_metric_is_moved_by_somebody() {
    let certificate = Certificate::make(Algorithm::Ecdsa, HERE).unwrap();
    let (page, tls) = (free_port(HERE).unwrap(), free_port(HERE).unwrap());
    let mut flags = certificate.flags().to_vec();
    flags.extend([
        "--prometheus".to_owned(),
        "--prometheus-address=127.0.0.1".to_owned(),
        format!("--prometheus-port={page}"),
        format!("--tls-listening-port={tls}"),
        "--dtls".to_owned(),
        "--https".to_owned(),
        "--static-auth-secret=a-secret-of-this-test-alone".to_owned(),
        "--http-api-key=of-this-test-alone".to_owned(),
        // Sixty answers to strangers at once, and six a second from then on.
        "--unauth-reply-rate=6".to_owned(),
        "--limit=user.allocations=8".to_owned(),
    ]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let fixture = Fixture::start(&flags);
    let peer = Peer::start(None, HERE).unwrap();
    let (page, tls_port) = (SocketAddr::new(HERE, page), tls.to_string());
    let mut seen = BTreeSet::new();
    let look = |seen: &mut BTreeSet<String>| moved(&fixture, page, seen);

    let over_tls = ["-p", tls_port.as_str()];
    let modes: [&[&str]; 5] = [&[], &["-t"], &["-S"], &["-t", "-S"], &["-t", "-T"]];
    for mode in modes {
        let secure = mode.contains(&"-S");
        let more = if secure { &over_tls[..] } else { &[] };
        let mut client = fixture.uclient("ann", &peer, &[mode, more, &["-n", "40"]].concat());
        // What is counted up and down is seen while it is there.
        until("the end of coturn's client", GENEROUS, || {
            look(&mut seen);
            client.wait(Duration::from_millis(1)).ok()
        })
        .unwrap();
    }
    // A port where nobody listens: the kernel says so by ICMP.
    let mut unheard = fixture.uclient(
        "ann",
        &peer,
        &["-n", "5", "-r", &free_port(HERE).unwrap().to_string()],
    );
    unheard.wait(GENEROUS).unwrap();

    let page = curl(tls, "/healthz", &certificate.certificate, &[]).unwrap();
    assert_eq!(page.status, 200);
    let mut stream = TcpStream::connect(fixture.address()).unwrap();
    stream
        .write_all(b"\xff\xff\xff\xff nobody speaks so")
        .unwrap();
    assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0, "it is closed");
    let mut refused = Command::new("openssl");
    refused.args([
        "s_client",
        "-dtls1_2",
        "-cipher",
        "ECDHE-ECDSA-AES128-SHA",
        "-connect",
    ]);
    refused
        .arg(format!("127.0.0.1:{tls}"))
        .stdin(std::process::Stdio::null());
    Process::start(&mut refused, "s_client")
        .unwrap()
        .wait(GENEROUS)
        .unwrap();

    let clients: Vec<TurnClient> = (0..8).map(|_| fixture.client("eve")).collect();
    let mut ninth = TurnClient::new(fixture.address(), "eve", "secret").unwrap();
    assert_eq!(ninth.allocate(None).unwrap(), Answer::Refused(486));
    clients[0].throw(b"\x40\x00\x00\x04data").unwrap();
    binding(&ninth, &[]);
    binding(&ninth, &[0x7f, 0xff, 0, 0]);
    // Sessions are there, so that the server does not end.
    assert!(fixture.ctl(&["drain"]).status.success());
    assert_eq!(fixture.json(&["status"])[0]["status"]["draining"], true);
    look(&mut seen);
    assert!(fixture.ctl(&["undrain"]).status.success());
    // At last, for nobody else here is answered from then on: Allocate requests without credentials.
    let mut stranger = vec![0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    stranger.extend([7; 12]);
    stranger.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
    for _ in 0..200 {
        let _ = ninth.throw(&stranger);
    }
    let mut all = BTreeSet::new();
    let complete = until("every metric", GENEROUS, || {
        all = look(&mut seen);
        all.is_subset(&seen).then_some(())
    });
    let still: Vec<_> = all.difference(&seen).collect();
    assert!(
        complete.is_ok() && all.len() > 50,
        "nothing here moves {still:?}"
    );
}

/// Asks for a Binding with these attributes.
fn binding(client: &TurnClient, attributes: &[u8]) {
    let length = u8::try_from(attributes.len()).unwrap();
    let head = [0, 1, 0, length, 0x21, 0x12, 0xa4, 0x42];
    let request = [&head[..], &[5; 12], attributes].concat();
    assert!(client.raw(&request).unwrap().is_some());
}
