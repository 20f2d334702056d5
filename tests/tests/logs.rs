//! Log lines as they are read by others: by the patterns that operators of coturn have, by fail2ban, by syslog, by jq.
//!
//! The patterns are tried on the lines of Debian's coturn first, so that they are theirs and not ours. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use e2e::certificate::{Algorithm, Certificate};
use e2e::netns::Namespace;
use e2e::process::{Process, scratch_file, until};
use e2e::server::Server;
use e2e::uclient::{Peer, uclient};
use regex_lite::Regex;
use serde_json::Value;

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

/// Where the clients of a namespace are.
const CLIENT: &str = "192.0.2.7";

const FLAGS: [&str; 6] = [
    "--listening-ip=127.0.0.1",
    "--lt-cred-mech",
    "--realm=example.org",
    "--user=ann:secret",
    "--allow-loopback-peers",
    "--verbose",
];

/// What operators look for in coturn's log, by the facts of its source.
const PATTERNS: [&str; 16] = [
    r"session \d{18}: new, realm=<example.org>, username=<ann>, lifetime=\d+",
    r"session \d{18}: refreshed, realm=<example.org>, username=<ann>, lifetime=\d+",
    r"session \d{18}: realm <example.org> user <ann>: incoming packet ALLOCATE processed, success",
    r"session \d{18}: realm <example.org> user <ann>: incoming packet REFRESH processed, success",
    r"session \d{18}: realm <example.org> user <[^>]*>: incoming packet \w+ processed, error 401: Unauthorized",
    r"session \d{18}: realm <example.org> user <ann>: incoming packet CREATE_PERMISSION processed, success",
    r"session \d{18}: realm <example.org> user <ann>: incoming packet CHANNEL_BIND processed, success",
    r"session \d{18}: peer 127.0.0.1:\d+ lifetime updated: \d+",
    r"session \d{18}: peer 127.0.0.1(?::\d+)? deleted",
    r"session \d{18}: usage: realm=<example.org>, username=<ann>, rp=\d+, rb=\d+, sp=\d+, sb=\d+",
    r"session \d{18}: peer usage: realm=<example.org>, username=<ann>, rp=\d+, rb=\d+, sp=\d+, sb=\d+",
    r"session \d{18}: closed \(2nd stage\), user <ann> realm <example.org> origin <>, local 127.0.0.1:\d+, remote 192.0.2.7:\d+, reason: .+",
    r"session \d{18}: delete: realm=<example.org>, username=<ann>",
    r"check_stun_auth: Cannot find credentials of user <eve>",
    r"check_stun_auth: user ann credentials are incorrect",
    r"IPv4\. Local relay addr: 127.0.0.1:\d+",
];

/// What a line of each shape is.
const SINCE_START: &str = r"^\d+: : (?:(?:ERROR|WARNING|DEBUG): )?\S";
const SINCE_START_46: &str = r"^\d+: \(\d+\): (?:ERROR|WARNING|INFO|DEBUG): \S";
const TIME_OF_DAY: &str = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}: \S";
const SINCE_417: &str =
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4} (?:ERROR|WARNING|INFO|DEBUG) \S";

/// A namespace with an address for clients.
fn space() -> Namespace {
    let space = Namespace::new("logs").unwrap();
    space.ip(&format!("address add {CLIENT} dev lo")).unwrap();
    space
}

/// Lets coturn's client make calls: by a user with the right password, by the same with a wrong one, and by nobody's.
fn calls(space: &Namespace, server: &mut Server) {
    let peer = Peer::start(Some(space), "127.0.0.1".parse().unwrap()).unwrap();
    let port = peer.port.to_string();
    let call = [
        "-L",
        CLIENT,
        "-c",
        "-n",
        "2",
        "-m",
        "1",
        "-e",
        "127.0.0.1",
        "-r",
        &port,
    ];
    // Each takes its time, in which it waits.
    thread::scope(|scope| {
        for by in [&[][..], &["-s"]] {
            let good = [by, &call, &["-u", "ann", "-w", "secret", "127.0.0.1"]].concat();
            scope.spawn(move || assert!(uclient(Some(space), &good).unwrap().all_returned()));
        }
        for (user, words) in [
            ("ann", "user ann credentials are incorrect"),
            ("eve", "Cannot find credentials of user <eve>"),
        ] {
            let mut wrong = space.command("turnutils_uclient");
            wrong
                .args(call)
                .args(["-u", user, "-w", "wrong", "127.0.0.1"]);
            // It asks again and again, and is ended when the first answer is in the log.
            let _client = Process::start(&mut wrong, "uclient").unwrap();
            server.wait_for_output(words).unwrap();
        }
    });
    server
        .wait_for_output("delete: realm=<example.org>, username=<ann>")
        .unwrap();
}

/// Fails unless each pattern is in the log, at the end of what begins as `shape` says.
#[track_caller]
fn assert_found(whose: &str, log: &str, shape: &str) {
    let shape = Regex::new(shape).unwrap();
    for pattern in PATTERNS {
        let pattern = Regex::new(pattern).unwrap();
        let line = log.lines().find(|line| pattern.is_match(line));
        let line = line.unwrap_or_else(|| panic!("{whose}: no {pattern} in\n{log}"));
        assert!(shape.is_match(line), "{whose}: no {shape} in {line}");
    }
}

/// Fails if a line is of another shape.
#[track_caller]
fn assert_all_are(log: &str, shape: &str) {
    let shape = Regex::new(shape).unwrap();
    let odd: Vec<_> = log.lines().filter(|line| !shape.is_match(line)).collect();
    assert_eq!(odd, [""; 0]);
}

/// A whole line in a shape, with the patterns in the same order as coturn writes them within a session.
#[test]
fn patterns_for_debians_coturn_find_the_same_in_our_log() {
    let is_found = |more: &[&str], shape: &str, ours: bool| {
        let space = space();
        let mut server = if ours {
            let flags = [&FLAGS[..], more, &["--log-format=4.5"]].concat();
            Server::start(Some(&space), &flags)
        } else {
            Server::coturn(Some(&space), &[&FLAGS[..], more].concat())
        }
        .unwrap();
        calls(&space, &mut server);
        let log = server.output();
        let whose = if ours { "ours" } else { "coturn's" };
        assert_found(whose, &log, shape);
        // Not one line of ours is of another shape; coturn's banner is.
        if ours {
            assert_all_are(&log, shape);
        }
    };
    thread::scope(|scope| {
        for (more, shape) in [
            (&[][..], SINCE_START),
            (&["--new-log-timestamp"], TIME_OF_DAY),
        ] {
            for ours in [false, true] {
                scope.spawn(move || is_found(more, shape, ours));
            }
        }
    });
}

/// What coturn writes about sessions and we do not, with the reason.
const LEFT_OUT: [(&str, &str); 5] = [
    // Nothing is kept of them, so that a flood of them floods no log.
    ("user <>", "strangers have no session"),
    ("username=<>", "strangers have no session"),
    // The method's name stands there, as it does where a request succeeds.
    ("incoming packet message processed", "the method is named"),
    ("socket", "how a connection ends is told by `reason`"),
    ("(1st stage)", "coturn's own bookkeeping"),
];

/// A line about a session without what differs from one to the next; nothing of other lines.
fn session_shape(line: &str) -> Option<String> {
    let about = [
        "session ",
        "IPv4. Local relay",
        "IPv4. tcp or tls",
        "check_stun_auth",
    ];
    let begin = about.iter().filter_map(|word| line.find(word)).min()?;
    // What follows is each server's own word.
    let line = line[begin..].split(", reason: ").next()?;
    let replaced = [
        (r"\d+\.\d+\.\d+\.\d+(:\d+)?", "ADDRESS"),
        (r"cipher=\S+, method=[^\s,]+", "cipher=C, method=M"),
        (r"\d+", "N"),
    ];
    let shape = replaced.iter().fold(line.to_owned(), |line, (what, by)| {
        let pattern = Regex::new(what).unwrap();
        pattern.replace_all(&line, *by).into_owned()
    });
    Some(shape.trim_end().to_owned())
}

/// The log of a server that coturn's client has used over each transport, with both ways of relaying, and to relay TCP (RFC 6062).
fn log_of_every_transport(ours: bool) -> String {
    let space = space();
    let made = Certificate::make(Algorithm::Ecdsa, [127, 0, 0, 1].into()).unwrap();
    let files = made.flags();
    let flags = [&FLAGS[..], &[&*files[0], &*files[1]]].concat();
    let mut server = if ours {
        let flags = [&flags[..], &["--log-format=4.5", "--dtls"]].concat();
        Server::start_secure(Some(&space), &flags)
    } else {
        Server::coturn(Some(&space), &flags)
    }
    .unwrap();
    calls(&space, &mut server);
    let peer = Peer::start(Some(&space), "127.0.0.1".parse().unwrap()).unwrap();
    let port = peer.port.to_string();
    let who = ["-L", CLIENT, "-u", "ann", "-w", "secret", "127.0.0.1"];
    let relay_tcp = ["-T", "-n", "2", "-m", "2"];
    let totals = uclient(Some(&space), &[&relay_tcp[..], &who].concat()).unwrap();
    assert!(totals.all_returned(), "{totals:?}");
    for over in [
        &["-t"][..],
        &["-t", "-S", "-p", "5349"],
        &["-S", "-p", "5349"],
    ] {
        let call = ["-c", "-n", "2", "-m", "1", "-e", "127.0.0.1", "-r", &port];
        let totals = uclient(Some(&space), &[over, &call, &who].concat()).unwrap();
        assert!(totals.received > 0, "{totals:?}");
    }
    until("the last session has ended", GENEROUS, || {
        let log = server.output();
        let of_dtls = log.split_once(", method=DTLSv1").map(|(_, rest)| rest)?;
        of_dtls.contains("delete: realm").then_some(log)
    })
    .unwrap()
}

/// What the lines about sessions over DTLS say of their ciphers. (Over TLS Debian's coturn agrees on 1.2, and ours on 1.3.)
fn ciphers_of_dtls(log: &str) -> BTreeSet<String> {
    let words = Regex::new(r"cipher=\S+, method=DTLS[^\s,]+").unwrap();
    let found = words.find_iter(log);
    found.map(|found| found.as_str().to_owned()).collect()
}

/// Every line about sessions that Debian's coturn writes under its client: ours has one that begins so, or a reason why not.
#[test]
fn each_shape_of_coturns_session_lines_is_ours_too_or_is_left_out_for_a_reason() {
    let logs = thread::scope(|scope| {
        let ours = scope.spawn(|| log_of_every_transport(true));
        [log_of_every_transport(false), ours.join().unwrap()]
    });
    let [of_coturn, of_ours] = logs.each_ref().map(|log| ciphers_of_dtls(log));
    assert_eq!(of_coturn, of_ours);
    let [coturns, ours] =
        logs.map(|log| -> BTreeSet<String> { log.lines().filter_map(session_shape).collect() });
    assert!(coturns.len() > 15, "{coturns:#?}");
    for request in ["CONNECT ", "CONNECTION_BIND "] {
        let is_there = |shape: &String| shape.contains(&format!("incoming packet {request}"));
        assert!(coturns.iter().any(is_there), "{coturns:#?}");
    }
    for shape in coturns {
        let is_ours = ours.iter().any(|line| line.starts_with(&shape));
        let is_left_out = LEFT_OUT.iter().any(|(words, _)| shape.contains(words));
        assert!(is_ours || is_left_out, "{shape:?} is not among {ours:#?}");
    }
}

#[test]
fn the_shapes_of_later_coturns_have_the_same_words() {
    let is_found = |more: &[&str], shape: &str| {
        let space = space();
        let mut server = Server::start(Some(&space), &[&FLAGS[..], more].concat()).unwrap();
        calls(&space, &mut server);
        let log = server.output();
        assert_found("ours", &log, shape);
        assert_all_are(&log, shape);
    };
    thread::scope(|scope| {
        for (more, shape) in [
            (&[][..], SINCE_417),
            (&["--log-format=4.6"], SINCE_START_46),
            (
                &["--new-log-timestamp-format=%d.%m.%Y"],
                r"^\d\d\.\d\d\.\d{4} (?:ERROR|WARNING|INFO|DEBUG) \S",
            ),
        ] {
            scope.spawn(move || is_found(more, shape));
        }
    });
}

/// The address that coturn's lines lack: each line about a client's request ends with it.
#[test]
fn every_request_in_the_log_has_the_address_of_its_client() {
    let space = space();
    let mut server = Server::start(Some(&space), &FLAGS).unwrap();
    calls(&space, &mut server);
    let log = server.output();
    let about = |line: &&str| line.contains("incoming packet") || line.contains("check_stun_auth");
    let with_address = Regex::new(r", remote 192\.0\.2\.7:\d+$").unwrap();
    let lines: Vec<_> = log.lines().filter(about).collect();
    assert!(lines.len() > 6, "{log}");
    for line in lines {
        assert!(with_address.is_match(line), "{line}");
    }
}

#[test]
fn sessions_are_objects_of_json_on_request() {
    let space = space();
    let mut flags = FLAGS.to_vec();
    flags.push("--log-format=json");
    let server = Server::start(Some(&space), &flags).unwrap();
    let peer = Peer::start(Some(&space), "127.0.0.1".parse().unwrap()).unwrap();
    let port = peer.port.to_string();
    let call = [
        "-L",
        CLIENT,
        "-c",
        "-n",
        "2",
        "-m",
        "1",
        "-u",
        "ann",
        "-w",
        "secret",
        "-e",
        "127.0.0.1",
        "-r",
        &port,
        "127.0.0.1",
    ];
    assert!(uclient(Some(&space), &call).unwrap().all_returned());
    // The client leaves one of its sessions to time out.
    let ended = || {
        let log = server.output();
        log.contains("allocation_ended").then_some(log)
    };
    let log = until("the end of a session", GENEROUS, ended).unwrap();
    // Each line is one, those of the start too.
    let objects: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    assert!(
        objects
            .iter()
            .all(|object| object["time"].is_string() && object["level"].is_string())
    );
    assert!(objects.iter().any(|object| {
        object["message"]
            .as_str()
            .is_some_and(|it| it.starts_with("Total auth threads"))
    }));
    let of = |event: &str| -> Vec<&Value> {
        objects
            .iter()
            .filter(|object| object["event"] == event)
            .collect()
    };
    let ended = of("allocation_ended")[0];
    let session = &ended["session"];
    assert_eq!(session.as_str().unwrap().len(), 18);
    assert_eq!(ended["reason"], "deleted");
    assert!(ended["to_peers_bytes"].is_u64());
    let created = of("allocation_created");
    let created = created.iter().find(|object| object["session"] == *session);
    let created = created.expect("its beginning");
    assert_eq!(
        (&created["user"], &created["transport"]),
        (&"ann".into(), &"UDP".into())
    );
    let client = created["client"].as_str().unwrap();
    assert!(client.starts_with("192.0.2.7:"), "{client}");
    assert!(!of("peer_permitted").is_empty() && !of("allocation_refreshed").is_empty());
}

/// What is left of people, in lines that the server has really written.
#[test]
fn privacy_leaves_out_of_every_line_what_it_should() {
    let is_left_out = |privacy: &str, address: &str| {
        let space = space();
        let flag = format!("--log-privacy={privacy}");
        let server =
            Server::start(Some(&space), &[&FLAGS[..], &[&flag, "--Verbose"]].concat()).unwrap();
        let peer = Peer::start(Some(&space), "127.0.0.1".parse().unwrap()).unwrap();
        let port = peer.port.to_string();
        let call = [
            "-L",
            CLIENT,
            "-c",
            "-n",
            "2",
            "-m",
            "1",
            "-u",
            "ann",
            "-w",
            "secret",
            "-e",
            "127.0.0.1",
            "-r",
            &port,
            "127.0.0.1",
        ];
        assert!(uclient(Some(&space), &call).unwrap().all_returned());
        let ended = || {
            server
                .output()
                .contains("delete: realm")
                .then(|| server.output())
        };
        let log = until("the end of a session", GENEROUS, ended).unwrap();
        assert!(log.contains(address), "{log}");
        for personal in ["192.0.2.7", "<ann>", &format!(":{port} ")] {
            assert!(!log.contains(personal), "{privacy}: {personal} in\n{log}");
        }
    };
    thread::scope(|scope| {
        for (privacy, address) in [
            ("truncated", "remote 192.0.2.0:0"),
            ("hashed", "remote #"),
            ("none", "remote -"),
        ] {
            scope.spawn(move || is_left_out(privacy, address));
        }
    });
}

/// What `fail2ban-regex` finds in a log by our filter: the addresses.
fn banned(space: &Namespace, log: &Path) -> Vec<String> {
    let filter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/fail2ban/turnserver.conf");
    let mut judge = space.command("fail2ban-regex");
    let output = judge
        .args(["-o", "ip"])
        .arg(log)
        .arg(filter)
        .output()
        .expect("apt-get install fail2ban");
    // 1: nothing was found. Anything else is about the filter.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

/// A log with wrong credentials from two addresses, one of them with a name that looks like the end of a line.
fn attacked(space: &Namespace, more: &[&str]) -> PathBuf {
    let flags: Vec<_> = FLAGS
        .iter()
        .copied()
        .filter(|flag| *flag != "--verbose")
        .collect();
    let server = Server::start(Some(space), &[&flags[..], more].concat()).unwrap();
    for (from, name) in [(CLIENT, "eve"), ("192.0.2.8", "eve>, remote 203.0.113.1:1")] {
        let mut wrong = space.command("turnutils_uclient");
        wrong.args([
            "-L",
            from,
            "-c",
            "-n",
            "1",
            "-m",
            "1",
            "-e",
            "127.0.0.1",
            "-u",
            name,
            "-w",
            "wrong",
            "127.0.0.1",
        ]);
        let _client = Process::start(&mut wrong, "uclient").unwrap();
        let told = || server.output().contains(&format!("{from}:")).then_some(());
        until("it is in the log", GENEROUS, told).unwrap();
    }
    let file = scratch_file("turnserver.log").unwrap();
    fs::write(&file, server.output()).unwrap();
    file
}

#[test]
fn fail2ban_finds_who_sends_wrong_credentials_in_every_shape() {
    for shape in ["4.17", "4.6", "4.5", "json"] {
        let space = space();
        space.ip("address add 192.0.2.8 dev lo").unwrap();
        let log = attacked(&space, &[&format!("--log-format={shape}")]);
        let mut found = banned(&space, &log);
        found.sort();
        found.dedup();
        assert_eq!(
            found,
            [CLIENT, "192.0.2.8"],
            "{shape}: {}",
            fs::read_to_string(&log).unwrap()
        );
    }
}

/// A call with the right password is no attack: the first request of each carries no credentials.
#[test]
fn fail2ban_leaves_good_clients_alone() {
    let space = space();
    let mut server = Server::start(Some(&space), &FLAGS).unwrap();
    let peer = Peer::start(Some(&space), "127.0.0.1".parse().unwrap()).unwrap();
    let port = peer.port.to_string();
    let call = [
        "-L",
        CLIENT,
        "-c",
        "-n",
        "2",
        "-m",
        "1",
        "-u",
        "ann",
        "-w",
        "secret",
        "-e",
        "127.0.0.1",
        "-r",
        &port,
        "127.0.0.1",
    ];
    assert!(uclient(Some(&space), &call).unwrap().all_returned());
    server.wait_for_output("delete: realm").unwrap();
    let file = scratch_file("turnserver.log").unwrap();
    fs::write(&file, server.output()).unwrap();
    assert_eq!(banned(&space, &file), [""; 0]);
}

/// A socket in the place of the daemon's: `LOG_LOCAL1` is 17, and information 6, so 17 * 8 + 6.
#[test]
fn syslog_gets_each_line_with_its_priority() {
    let socket = scratch_file("log").unwrap();
    let daemon = UnixDatagram::bind(&socket).unwrap();
    daemon.set_read_timeout(Some(GENEROUS)).unwrap();
    let space = space();
    let place = format!("--syslog-socket={}", socket.display());
    let flags = [
        &FLAGS[..],
        &["--syslog", "--syslog-facility=LOG_LOCAL1", &place],
    ]
    .concat();
    let server = Server::start(Some(&space), &flags).unwrap();
    let head = Regex::new(&format!(
        r"^<142>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d turnserver\[{}\]: ",
        server.id()
    ))
    .unwrap();
    let mut buffer = [0; 4096];
    loop {
        let read = daemon.recv(&mut buffer).unwrap();
        let record = std::str::from_utf8(&buffer[..read]).unwrap();
        if record.contains("Total auth threads") {
            assert!(head.is_match(record), "{record}");
            break;
        }
    }
    assert!(
        server.output().contains("Total auth threads"),
        "as in coturn, standard output has it too"
    );
}

/// coturn looks for a folder that it may write to, the working folder last.
#[test]
fn without_a_log_file_lines_go_to_standard_output_and_no_file_is_made() {
    let space = space();
    let folder = scratch_file("without").unwrap();
    fs::create_dir_all(&folder).unwrap();
    let mut command = e2e::server::command(Some(&space)).unwrap();
    command.args(["-n", "--no-tls"]).args(FLAGS);
    let mut server = Process::start(command.current_dir(&folder), "without").unwrap();
    server
        .wait_for_output(&["Total auth threads:"], GENEROUS)
        .unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

/// coturn's way of naming files, which ours has on request: the same name of the same day.
#[test]
fn a_file_of_each_day_has_the_name_that_coturns_has() {
    let made = |ours: bool| -> Vec<String> {
        let space = space();
        let folder = scratch_file("daily").unwrap();
        fs::create_dir_all(&folder).unwrap();
        let log = format!("--log-file={}", folder.join("turnserver.log").display());
        let mut command = if ours {
            let mut command = e2e::server::command(Some(&space)).unwrap();
            command.arg("--simple-log=no");
            command
        } else {
            space.command("/usr/bin/turnserver")
        };
        let database = scratch_file("userdb").unwrap();
        let pid = scratch_file("daily.pid").unwrap();
        command.args(["-n", "--no-tls", "--no-dtls", "--no-cli"]);
        command.arg(format!("--userdb={}", database.display()));
        command.arg(format!("--pidfile={}", pid.display()));
        command.arg(log).args(FLAGS);
        let _server = Process::start(&mut command, "daily").unwrap();
        until("a log file", GENEROUS, || {
            let files = fs::read_dir(&folder).ok()?.flatten();
            let names: Vec<_> = files
                .map(|file| file.file_name().to_string_lossy().into_owned())
                .collect();
            (!names.is_empty()).then_some(names)
        })
        .unwrap()
    };
    let coturns = made(false);
    assert_eq!(coturns.len(), 1, "{coturns:?}");
    assert_eq!(coturns, made(true));
}

/// Without a daemon there is a log all the same, and a word about it.
#[test]
fn without_a_syslog_daemon_lines_go_to_standard_output() {
    let space = space();
    let flags = [
        &FLAGS[..],
        &[
            "--syslog",
            "--no-stdout-log",
            "--syslog-socket=/nowhere/log",
        ],
    ]
    .concat();
    let server = Server::start(Some(&space), &flags).unwrap();
    assert!(
        server.output().contains("/nowhere/log cannot be written"),
        "{}",
        server.output()
    );
}

#[test]
fn the_lowest_level_wins_over_verbose() {
    let space = space();
    let file = scratch_file("turnserver.log").unwrap();
    let flags = [&FLAGS[..], &["--log-min-level=error"]].concat();
    let mut command = e2e::server::command(Some(&space)).unwrap();
    let log = format!("--log-file={}", file.display());
    command.args(["-n", &log, "--no-tls"]).args(flags);
    let _server = Process::start(&mut command, "quiet").unwrap();
    // Nothing says that it is ready: whoever answers is.
    let mut wrong = space.command("turnutils_uclient");
    wrong.args([
        "-L",
        CLIENT,
        "-c",
        "-n",
        "1",
        "-m",
        "1",
        "-e",
        "127.0.0.1",
        "-u",
        "eve",
        "-w",
        "wrong",
        "127.0.0.1",
    ]);
    let read = || fs::read_to_string(&file).unwrap_or_default();
    let told = || {
        let mut client = Process::start(&mut wrong, "uclient").ok()?;
        let _ = client.wait(Duration::from_secs(2));
        read().contains("Cannot find credentials").then(read)
    };
    let log = until("a failure in the log", GENEROUS, told).unwrap();
    assert!(log.lines().all(|line| line.contains(" ERROR ")), "{log}");
}

/// One line a request: for looking, not for living.
#[test]
fn binding_requests_are_logged_on_request() {
    let space = space();
    for (more, expected) in [(&[][..], false), (&["--log-binding"], true)] {
        let mut server = Server::start(Some(&space), &[&FLAGS[..], more].concat()).unwrap();
        let mut ask = space.command("turnutils_stunclient");
        let asked = ask.args(["-L", CLIENT, "127.0.0.1"]).output().unwrap();
        assert!(asked.status.success());
        let words = "incoming packet BINDING processed, success, remote 192.0.2.7:";
        if expected {
            server.wait_for_output(words).unwrap();
        } else {
            assert!(!server.output().contains(words));
        }
    }
}
