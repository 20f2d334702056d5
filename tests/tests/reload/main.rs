//! The configuration read again under a running server, and the server running dry; each seen from a client's side.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod listeners;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::http;
use e2e::process::{scratch_file, until};
use e2e::server::{Server, free_port, turnctl};
use e2e::turn_client::{Answer, TurnClient};
use e2e::uclient::{Peer, Totals, uclient};
use rustix::process::Signal;
use turn_config::TURNSERVER;
use turn_config::option::{Change, Kind};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const GENEROUS: Duration = Duration::from_secs(60);

/// What every file here begins with.
const BASE: &str = "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nallow-loopback-peers\nrealm=example.org\nno-tls\n\
                    log-file=stdout\nsimple-log\n";

/// A server and the file that it reads.
struct Reloadable {
    server: Server,
    file: PathBuf,
    port: u16,
    head: String,
    reloads: usize,
}

impl Reloadable {
    fn start(lines: &str, flags: &[&str]) -> Self {
        Self::start_with(str::to_owned, lines, flags)
    }

    /// The same with another beginning of the file.
    fn start_with(head: impl FnOnce(&str) -> String, lines: &str, flags: &[&str]) -> Self {
        let port = free_port(V4).unwrap();
        let file = scratch_file("reload.conf").unwrap();
        let head = head(&format!("{BASE}listening-port={port}\n"));
        fs::write(&file, format!("{head}{lines}")).unwrap();
        let server = Server::configured(&file, flags).unwrap();
        Self {
            server,
            file,
            port,
            head,
            reloads: 0,
        }
    }

    /// Writes the file anew, sends SIGHUP and SIGUSR2 in turn, and tells what the log says of it.
    fn reload(&mut self, lines: &str) -> String {
        fs::write(&self.file, format!("{}{lines}", self.head)).unwrap();
        self.reload_file()
    }

    fn reload_file(&mut self) -> String {
        let before = self.server.output().len();
        let signals = [Signal::HUP, Signal::USR2];
        self.server.signal(signals[self.reloads % 2]).unwrap();
        self.reloads += 1;
        let said = || {
            let output = self.server.output();
            let news = output.get(before..)?.to_owned();
            let is_over = |line: &str| {
                line.contains("the settings are reloaded")
                    || line.contains("the old settings are kept")
            };
            let done = news.lines().any(is_over) && news.ends_with('\n');
            done.then_some(news)
        };
        let news = until("the reload", GENEROUS, said).unwrap();
        // What waits for a restart is said behind it.
        thread::sleep(Duration::from_millis(50));
        let output = self.server.output();
        output.get(before..).map_or(news, str::to_owned)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(V4, self.port)
    }

    fn client(&self, name: &str, password: &str) -> TurnClient {
        TurnClient::new(self.address(), name, password).unwrap()
    }

    /// Whether a new client gets an allocation, or the code with which it is refused.
    fn try_out(&self, name: &str, password: &str) -> Result<TurnClient, u16> {
        let mut client = self.client(name, password);
        match client.allocate(None).unwrap() {
            Answer::Success { .. } => Ok(client),
            Answer::Refused(code) => Err(code),
            Answer::Silence => panic!("no answer"),
        }
    }

    /// The same with a time-limited credential made with a secret.
    fn try_secret(&self, secret: &str) -> Result<TurnClient, u16> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let minted = turn_auth::rest::mint(secret.as_bytes(), "carl", 600, now, ':');
        self.try_out(&minted.username, &minted.password)
    }
}

fn refreshes(client: &mut TurnClient) -> bool {
    matches!(client.refresh(600).unwrap(), Answer::Success { .. })
}

#[test]
fn users_and_secrets_come_and_go_and_sessions_stay() {
    let mut held = Reloadable::start(
        "user=ann:one\nstatic-auth-secret=first\n",
        &["--lt-cred-mech"],
    );
    let mut ann = held.try_out("ann", "one").unwrap();
    let mut first = held.try_secret("first").unwrap();
    assert_eq!(held.try_out("bob", "two").err(), Some(401));
    assert_eq!(held.try_secret("second").err(), Some(401));

    // While both are in the file, both count.
    let said = held.reload(
        "user=ann:one\nuser=bob:two\nstatic-auth-secret=first\nstatic-auth-secret=second\n",
    );
    assert!(said.contains("changed: static-auth-secret, user"), "{said}");
    assert!(
        !said.contains("second") && !said.contains("two"),
        "a secret is logged: {said}"
    );
    held.try_out("bob", "two").unwrap();
    held.try_secret("first").unwrap();
    held.try_secret("second").unwrap();

    held.reload("user=bob:three\nstatic-auth-secret=second\n");
    assert_eq!(held.try_out("ann", "one").err(), Some(401));
    assert_eq!(held.try_out("bob", "two").err(), Some(401));
    assert_eq!(held.try_secret("first").err(), Some(401));
    held.try_out("bob", "three").unwrap();
    held.try_secret("second").unwrap();
    // As in coturn, a session outlives what it was made with.
    assert!(refreshes(&mut ann) && refreshes(&mut first));
}

#[test]
fn quotas_limits_lifetimes_and_the_realm_change() {
    let mut held = Reloadable::start("user=ann:one\nuser-quota=1\n", &[]);
    let mut first = held.try_out("ann", "one").unwrap();
    assert_eq!(held.try_out("ann", "one").err(), Some(486));
    held.reload("user=ann:one\nuser-quota=2\n");
    let second = held.try_out("ann", "one").unwrap();
    let said = held.reload("user=ann:one\nlimit=total.allocations=1\n");
    assert!(said.contains("changed: user-quota, limit"), "{said}");
    assert_eq!(held.try_out("ann", "one").err(), Some(486));
    // What exceeds a limit already stays.
    assert!(refreshes(&mut first));
    drop(second);

    held.reload("user=ann:one\nmax-allocate-lifetime=700\n");
    let granted = held.client("ann", "one").allocate(Some(3000)).unwrap();
    assert!(
        matches!(
            granted,
            Answer::Success {
                lifetime: Some(700),
                ..
            }
        ),
        "{granted:?}"
    );

    held.head = held
        .head
        .replace("realm=example.org", "realm=elsewhere.org");
    let said = held.reload("user=ann:one\n");
    assert!(said.contains("changed: realm"), "{said}");
    held.try_out("ann", "one").unwrap();
    assert!(refreshes(&mut first), "a session goes on in its realm");
}

/// Runs coturn's client for ten seconds, and does something meanwhile.
fn exchange_while(port: u16, mut work: impl FnMut()) -> Totals {
    let running = exchanging(port, &[]);
    work();
    running.join().unwrap()
}

/// Begins to run coturn's client for ten seconds: two clients, over a transport that these flags say.
fn exchanging(port: u16, flags: &'static [&'static str]) -> JoinHandle<Totals> {
    let peer = Peer::start(None, V4).unwrap();
    let port = port.to_string();
    thread::spawn(move || {
        // It echoes until the clients are done.
        let peer = peer;
        let peer_port = peer.port.to_string();
        let mut arguments = vec![
            "-u",
            "ann",
            "-w",
            "one",
            "-p",
            &port,
            "-e",
            "127.0.0.1",
            "-r",
            &peer_port,
            "-m",
            "2",
            "-n",
            "500",
            "-l",
            "200",
            "-z",
            "20",
            "-c",
        ];
        arguments.extend(flags);
        arguments.push("127.0.0.1");
        uclient(None, &arguments).unwrap()
    })
}

#[test]
fn twenty_reloads_under_load_lose_nothing() {
    let mut held = Reloadable::start("user=ann:one\n", &[]);
    let port = held.port;
    let totals = exchange_while(port, || {
        for turn in 0..20 {
            thread::sleep(Duration::from_millis(300));
            // Each changes something: users, lists, quotas, rates, lifetimes and the log.
            let lines = format!(
                "user=ann:one\nuser=u{turn}:x\ndenied-peer-ip=10.0.0.{turn}\nuser-quota={}\nmax-bps={}\nstale-nonce={}\n{}",
                100 + turn,
                1_000_000 + turn,
                600 + turn,
                if turn % 2 == 0 { "verbose\n" } else { "" }
            );
            let said = held.reload(&lines);
            assert!(
                said.contains("the settings are reloaded; changed: "),
                "{said}"
            );
        }
    });
    assert!(totals.all_returned(), "{totals:?}");
}

#[test]
fn traffic_to_a_peer_stops_when_it_may_not_be_reached_any_more() {
    let mut held = Reloadable::start("user=ann:one\n", &[]);
    let totals = exchange_while(held.port, || {
        thread::sleep(Duration::from_secs(5));
        held.head = held.head.replace("allow-loopback-peers\n", "");
        let said = held.reload("user=ann:one\n");
        assert!(said.contains("changed: allow-loopback-peers"), "{said}");
    });
    assert!(
        totals.received > 0 && totals.received < totals.sent,
        "{totals:?}"
    );
}

#[test]
fn clients_that_are_denied_are_not_served_any_more() {
    let mut held = Reloadable::start("user=ann:one\n", &[]);
    let mut ann = held.try_out("ann", "one").unwrap();
    held.reload("user=ann:one\ndenied-client-ip=127.0.0.0/8\n");
    assert_eq!(ann.refresh(600).unwrap(), Answer::Silence);
    held.reload("user=ann:one\n");
    held.try_out("ann", "one").unwrap();
}

#[test]
fn a_list_of_one_listener_changes_and_the_other_goes_on() {
    let other = free_port(V4).unwrap();
    let second = format!("--aux-server=127.0.0.1:{other}");
    let mut held = Reloadable::start("user=ann:one\n", &[&second]);
    let at_other = SocketAddr::new(V4, other);
    let mut here = held.try_out("ann", "one").unwrap();
    let mut there = TurnClient::new(at_other, "ann", "one").unwrap();
    assert!(matches!(
        there.allocate(None).unwrap(),
        Answer::Success { .. }
    ));
    let entry = format!("denied-client-ip=127.0.0.0/8@{}", held.port);
    let said = held.reload(&format!("user=ann:one\n{entry}\n"));
    assert!(said.contains("changed: denied-client-ip"), "{said}");
    assert_eq!(here.refresh(600).unwrap(), Answer::Silence);
    assert!(refreshes(&mut there));
    // What is for no listener changes nothing, and says where it stands.
    let said = held.reload("user=ann:one\ndenied-client-ip=127.0.0.0/8@1\n");
    let line = held.head.lines().count() + 2;
    let place = format!("{}:{line}: denied-client-ip=", held.file.display());
    for part in [
        "the old settings are kept",
        &place,
        &format!("127.0.0.1:{other}"),
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert_eq!(
        held.client("ann", "one").allocate(None).unwrap(),
        Answer::Silence
    );
    held.reload("user=ann:one\n");
    held.try_out("ann", "one").unwrap();
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_and_says_where() {
    // Whatever is odd about the file stays as odd as it is: that is not why it is refused.
    let mut held = Reloadable::start("no-such-key\nuser=ann:one\nuser-quota=1\n", &[]);
    let line = held.head.lines().count() + 3;
    let said = held.reload("no-such-key\nuser=bob:two\nmin-port=seven\nmax-port=eight\n");
    for (line, option) in [(line, "min-port"), (line + 1, "max-port")] {
        let head = format!(
            "the old settings are kept: {}:{line}: ",
            held.file.display()
        );
        let told = said
            .lines()
            .find(|line| line.contains(&format!("{head}{option}")));
        assert!(
            told.is_some_and(|told| told.contains("Write a port")),
            "{said}"
        );
    }
    assert!(!said.contains("no-such-key"), "{said}");
    held.try_out("ann", "one").unwrap();
    assert_eq!(held.try_out("bob", "two").err(), Some(401));
    fs::remove_file(&held.file).unwrap();
    let said = held.reload_file();
    assert!(
        said.contains("the old settings are kept")
            && said.contains("there is no configuration file"),
        "{said}"
    );
    assert_eq!(held.try_out("ann", "one").err(), Some(486));
}

#[test]
fn the_command_line_wins_and_what_needs_a_restart_waits_for_it() {
    let mut held = Reloadable::start("user=ann:one\n", &["--user-quota=1"]);
    let said = held.reload("user=ann:one\nuser-quota=5\nsock-buf-size=65536\n");
    assert!(
        said.contains("the settings are reloaded; none has changed"),
        "{said}"
    );
    assert!(
        said.contains("waiting for a restart: sock-buf-size"),
        "{said}"
    );
    held.try_out("ann", "one").unwrap();
    assert_eq!(held.try_out("ann", "one").err(), Some(486));
}

#[test]
fn the_log_file_is_opened_anew() {
    let log = scratch_file("reload.log").unwrap();
    let mut held = Reloadable::start("user=ann:one\n", &[]);
    held.head = held
        .head
        .replace("log-file=stdout", &format!("log-file={}", log.display()));
    let said = held.reload("user=ann:one\nverbose\n");
    assert!(said.contains("changed: log-file, verbose"), "{said}");
    held.try_out("ann", "one").unwrap();
    let read = || fs::read_to_string(&log).unwrap_or_default();
    until("a session in the log", GENEROUS, || {
        read().contains("username=<ann>").then_some(())
    })
    .unwrap();
    // As logrotate does it.
    let rotated = log.with_extension("1");
    fs::rename(&log, &rotated).unwrap();
    held.reload("user=ann:one\nverbose\n");
    assert!(read().contains("none has changed"), "{}", read());
    assert!(
        !fs::read_to_string(&rotated)
            .unwrap()
            .contains("none has changed")
    );
}

#[test]
fn keys_origins_and_secrets_of_the_ice_endpoint_change() {
    let http = SocketAddr::new(V4, free_port(V4).unwrap());
    let flag = format!("--http-listen={http}");
    let old = "static-auth-secret=first\nhttp-api-key=old\n";
    let mut held = Reloadable::start(old, &[&flag]);
    let ask = |key: &str| {
        let bearer = format!("Authorization: Bearer {key}");
        http::get(
            http,
            "/v1/ice",
            &[&bearer, "Origin: https://app.example.org"],
        )
        .unwrap()
    };
    let answer = ask("old");
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    let said = held.reload("static-auth-secret=second\nhttp-api-key=new\nhttp-allowed-origin=https://app.example.org\n");
    let all = "changed: static-auth-secret, http-api-key, http-allowed-origin";
    assert!(said.contains(all), "{said}");
    assert_eq!(ask("old").status, 401);
    let answer = ask("new");
    assert!(answer.headers.contains_key("access-control-allow-origin"));
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let text = |field: &str| body[field].as_str().unwrap().to_owned();
    held.try_out(&text("username"), &text("password")).unwrap();
}

/// An option that nobody has thought of here counts as soon as it is in the registry.
#[test]
fn every_option_is_named_as_its_declaration_says() {
    let mut held = Reloadable::start("static-auth-secret=base\ncert=/old\npkey=/old\n", &[]);
    let options = TURNSERVER
        .options()
        .filter(|option| option.works() && !option.command_line_only);
    let mut seen = [0, 0];
    for option in options {
        let before = "static-auth-secret=base\ncert=/old\npkey=/old\n";
        // The value that the file at hand does not have.
        let line = match option.kind {
            Kind::Flag if held.head.lines().any(|line| line == option.long) => continue,
            Kind::Flag if option.default == turn_config::option::Default::Value("yes") => {
                format!("{}=no", option.long)
            }
            Kind::Flag => option.long.to_owned(),
            _ => format!("{}={}", option.long, unlike_the_default(option)),
        };
        if option.long == "log-file" {
            // Where its lines go is a test of its own.
            continue;
        }
        let said = held.reload(&format!("{before}{line}\n"));
        let named = |behind: &str| {
            let lines = said.lines().filter_map(|said| said.split_once(behind));
            lines
                .flat_map(|(_, names)| names.split(", "))
                .any(|name| name == option.long)
        };
        if said.contains("the old settings are kept") {
            // Files that are not there, and contradictions: the message names the option.
            // DTLS would be served by the files of TLS.
            let named = if option.long == "dtls" {
                "cert: /old"
            } else {
                option.long
            };
            assert!(said.contains(named), "{line}: {said}");
        } else {
            let (behind, place) = match option.change {
                Change::Reload => ("; changed: ", 0),
                Change::Restart => ("waiting for a restart: ", 1),
            };
            assert!(named(behind), "{line}: {said}");
            seen[place] += 1;
        }
        held.reload(before);
    }
    assert!(seen[0] > 40 && seen[1] > 15, "{seen:?}");
}

fn unlike_the_default(option: &turn_config::option::OptionSpec) -> String {
    match (option.default, option.kind) {
        (turn_config::option::Default::Value(text), Kind::Number(_) | Kind::Port { .. }) => {
            (text.parse::<u64>().unwrap() + 1).to_string()
        }
        (turn_config::option::Default::Value(text), _) if text == option.example => {
            format!("{text}x")
        }
        (_, Kind::Text) if option.long == "realm" => "elsewhere.org".to_owned(),
        _ => option.example.replace("replace-this", "replaced"),
    }
}

/// A server with everything that shows a drain.
struct Draining {
    held: Reloadable,
    doors: [SocketAddr; 2],
    socket: PathBuf,
}

impl Draining {
    fn start(more: &[&str]) -> Self {
        let doors = [(); 2].map(|()| SocketAddr::new(V4, free_port(V4).unwrap()));
        let socket = scratch_file("control").unwrap();
        let own = [
            format!("--http-listen={}", doors[0]),
            format!("--prometheus-port={}", doors[1].port()),
            format!("--control-socket={}", socket.display()),
        ];
        let mut flags: Vec<&str> = own.iter().map(String::as_str).collect();
        flags.extend(["--prometheus", "--prometheus-address=127.0.0.1"]);
        flags.extend(more);
        Self {
            held: Reloadable::start("user=ann:one\nuser=bob:two\n", &flags),
            doors,
            socket,
        }
    }

    /// What the doors say: health and readiness.
    fn shows(&self, health: u16, ready: u16) {
        for door in self.doors {
            for (path, expected) in [("/healthz", health), ("/readyz", ready)] {
                let status = http::get(door, path, &[]).unwrap().status;
                assert_eq!(status, expected, "{door}{path}");
            }
        }
    }

    fn asks(&self, command: &str) -> String {
        turnctl(&self.socket, &[command]).unwrap()
    }
}

#[test]
fn a_drain_refuses_new_sessions_and_ends_with_the_last_old_one() {
    let mut draining = Draining::start(&[]);
    draining.shows(200, 200);
    let mut ann = draining.held.try_out("ann", "one").unwrap();
    draining.held.server.signal(Signal::USR1).unwrap();
    draining
        .held
        .server
        .wait_for_output("no new allocations are taken: 1 allocation left")
        .unwrap();
    draining.shows(200, 503);
    assert_eq!(draining.held.try_out("bob", "two").err(), Some(403));
    assert!(refreshes(&mut ann));
    assert!(draining.held.client("bob", "two").is_alive().unwrap());
    // Once more is harmless, and so is a reload.
    draining.held.server.signal(Signal::USR1).unwrap();
    draining
        .held
        .server
        .wait_for_output("runs dry already")
        .unwrap();
    draining
        .held
        .reload("user=ann:one\nuser=bob:two\nuser=carl:three\n");
    draining.shows(200, 503);
    assert!(refreshes(&mut ann));
    assert!(matches!(ann.refresh(0).unwrap(), Answer::Success { .. }));
    assert_eq!(draining.held.server.wait(GENEROUS).unwrap().code(), Some(0));
    assert!(
        draining
            .held
            .server
            .output()
            .contains("Drain complete (0 allocations left)")
    );
}

#[test]
fn a_drain_can_be_undone() {
    let draining = Draining::start(&[]);
    let mut ann = draining.held.try_out("ann", "one").unwrap();
    let said = draining.asks("drain");
    assert!(said.contains("1 allocation left"), "{said}");
    draining.shows(200, 503);
    let said = draining.asks("undrain");
    assert!(said.contains("new allocations are taken again"), "{said}");
    draining.shows(200, 200);
    draining.held.try_out("bob", "two").unwrap();
    assert!(refreshes(&mut ann));
    let said = draining.asks("reload");
    assert!(said.contains("none has changed"), "{said}");
}

#[test]
fn a_drain_is_over_at_its_deadline_or_when_few_enough_are_left() {
    for (flag, reason) in [
        (
            "--drain-timeout=1",
            "the drain is over by drain-timeout (1 allocation left)",
        ),
        (
            "--drain-min-allocations=1",
            "Drain complete (1 allocation left)",
        ),
    ] {
        let mut draining = Draining::start(&[flag]);
        let _ann = draining.held.try_out("ann", "one").unwrap();
        draining.held.server.signal(Signal::USR1).unwrap();
        assert_eq!(draining.held.server.wait(GENEROUS).unwrap().code(), Some(0));
        let output = draining.held.server.output();
        assert!(output.contains(reason), "{output}");
    }
}
