//! The process: whom it becomes, how it goes to the background, which interfaces its sockets are held to. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::certificate::{Algorithm, Certificate};
use e2e::netns::Namespace;
use e2e::process::{Process, scratch_file, until};
use e2e::server::{Server, command, turnctl};
use e2e::turn_client::{Answer, TurnClient};
use rustix::process::{Pid, Signal, kill_process};

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

/// The user and group that every machine has for who has no rights.
const NOBODY: (&str, &str) = ("nobody", "nogroup");

const FLAGS: [&str; 5] = [
    "--listening-ip=127.0.0.1",
    "--lt-cred-mech",
    "--realm=example.org",
    "--user=ann:secret",
    "--allow-loopback-peers",
];

/// The number of a user or group, by the files of the machine.
fn number(file: &str, name: &str) -> u32 {
    let accounts = fs::read_to_string(file).unwrap();
    let line = accounts
        .lines()
        .find(|line| line.starts_with(&format!("{name}:")))
        .expect(name);
    line.split(':').nth(2).unwrap().parse().unwrap()
}

/// What the kernel says of every thread of a process: a line of `status`.
fn of_threads(pid: u32, line: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok());
    let found = status.filter_map(|text| {
        text.lines()
            .find_map(|found| Some(found.strip_prefix(line)?.trim().to_owned()))
    });
    found.collect()
}

fn allocates(space: &Namespace, at: &str) -> SocketAddr {
    let at: SocketAddr = at.parse().unwrap();
    let mut client = space
        .inside(|| TurnClient::new(at, "ann", "secret"))
        .unwrap();
    match client.allocate(None).unwrap() {
        Answer::Success {
            relayed: Some(relayed),
            ..
        } => relayed,
        answer => panic!("{answer:?}"),
    }
}

/// A folder that belongs to nobody, for its files.
fn folder_of_nobody() -> PathBuf {
    let folder = scratch_file("nobody").unwrap();
    fs::create_dir_all(&folder).unwrap();
    chown(
        &folder,
        Some(number("/etc/passwd", NOBODY.0)),
        Some(number("/etc/group", NOBODY.1)),
    )
    .unwrap();
    folder
}

/// Root opens port 443, the log, the process id and the control socket; nobody serves, reloads and turns the log over.
#[test]
fn root_is_given_up_for_good_and_everything_goes_on() {
    let (user, group) = (
        number("/etc/passwd", NOBODY.0),
        number("/etc/group", NOBODY.1),
    );
    let space = Namespace::new("dropped").unwrap();
    let folder = folder_of_nobody();
    let place = |name: &str| folder.join(name);
    let conf = place("turnserver.conf");
    let configuration = format!(
        "listening-ip=127.0.0.1\nlistening-port=443\nlt-cred-mech\nrealm=example.org\nuser=ann:secret\nproc-user={}\n\
         proc-group={}\nlog-file={}\ncontrol-socket={}\npidfile={}\nverbose\nrelay-threads=2\n",
        NOBODY.0,
        NOBODY.1,
        place("turn.log").display(),
        place("control").display(),
        place("pid").display(),
    );
    fs::write(&conf, &configuration).unwrap();
    let mut starting = command(Some(&space)).unwrap();
    let mut server = Process::start(starting.arg("-c").arg(&conf), "dropped").unwrap();
    server
        .wait_for_output(&["Total auth threads:"], GENEROUS)
        .unwrap();
    // Real, effective, saved and file system's: of all threads, the workers' too.
    let of = |line| of_threads(server.id(), line);
    let all = |number: u32| vec![number.to_string(); 4].join("\t");
    let (users, groups) = (of("Uid:"), of("Gid:"));
    assert!(
        users.len() > 3 && users.iter().all(|held| *held == all(user)),
        "{users:?}"
    );
    assert!(groups.iter().all(|held| *held == all(group)), "{groups:?}");
    let others = of("Groups:");
    assert!(
        others.iter().all(|held| *held == group.to_string()),
        "{others:?}"
    );
    for line in ["CapPrm:", "CapEff:"] {
        assert!(
            of(line)
                .iter()
                .all(|held| held.trim_start_matches('0').is_empty()),
            "{line}"
        );
    }
    for name in ["turn.log", "control", "pid"] {
        assert_eq!(fs::metadata(place(name)).unwrap().uid(), user, "{name}");
    }
    allocates(&space, "127.0.0.1:443");
    // logrotate moves the file away, and a new user is in the configuration.
    fs::rename(place("turn.log"), place("turn.log.1")).unwrap();
    fs::write(&conf, format!("{configuration}user=bob:secret\n")).unwrap();
    let pid = fs::read_to_string(place("pid")).unwrap();
    assert_eq!(pid.trim(), server.id().to_string());
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    let reloaded = || {
        let log = fs::read_to_string(place("turn.log")).unwrap_or_default();
        log.contains("changed: user").then_some(())
    };
    until("the new file has the reload", GENEROUS, reloaded).unwrap();
    assert_eq!(fs::metadata(place("turn.log")).unwrap().uid(), user);
    turnctl(&place("control"), &["status"]).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(server.wait(GENEROUS).unwrap().code(), Some(0));
    assert!(
        !place("pid").exists() && !place("control").exists(),
        "its files go with it"
    );
}

/// What only root may open is open, or is not: a reload tries it before it gives up what there is.
#[test]
fn a_port_that_takes_root_is_refused_to_who_gave_that_up() {
    let space = Namespace::new("dropped").unwrap();
    let conf = folder_of_nobody().join("turnserver.conf");
    let configured = |port: u16| {
        let text = format!(
            "listening-ip=127.0.0.1\nlistening-port={port}\nlt-cred-mech\nrealm=example.org\nuser=ann:secret\n\
             proc-user={}\nproc-group={}\nlog-file=stdout\n",
            NOBODY.0, NOBODY.1
        );
        fs::write(&conf, text).unwrap();
    };
    configured(443);
    let mut starting = command(Some(&space)).unwrap();
    let mut server = Process::start(starting.arg("-c").arg(&conf), "dropped").unwrap();
    server
        .wait_for_output(&["Total auth threads:"], GENEROUS)
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    configured(444);
    kill_process(pid, Signal::HUP).unwrap();
    let refused = format!(
        "{}:2: listening-port: cannot listen on udp 127.0.0.1:444",
        conf.display()
    );
    server
        .wait_for_output(&["the old settings are kept"], GENEROUS)
        .unwrap();
    let said = server.output();
    for part in [&*refused, "or restart the server"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    allocates(&space, "127.0.0.1:443");
    configured(4444);
    kill_process(pid, Signal::HUP).unwrap();
    server
        .wait_for_output(&["changed: listening-port"], GENEROUS)
        .unwrap();
    allocates(&space, "127.0.0.1:4444");
}

/// Root's group would be a right that nobody meant to leave.
#[test]
fn a_user_alone_brings_its_own_group() {
    let group = number("/etc/group", NOBODY.1);
    let space = Namespace::new("dropped").unwrap();
    let flags = [&FLAGS[..], &["--proc-user=nobody"]].concat();
    let server = Server::start(Some(&space), &flags).unwrap();
    let groups = of_threads(server.id(), "Gid:");
    let own = vec![group.to_string(); 4].join("\t");
    assert!(groups.iter().all(|held| *held == own), "{groups:?}");
    allocates(&space, "127.0.0.1:3478");
}

#[test]
fn somebody_who_does_not_exist_ends_the_start_with_place_and_remedy() {
    let space = Namespace::new("unknown").unwrap();
    for (option, remedy) in [("proc-user", "useradd"), ("proc-group", "groupadd")] {
        let conf = scratch_file("turnserver.conf").unwrap();
        fs::write(
            &conf,
            format!("lt-cred-mech\nuser=a:b\n{option}=no-such-one\n"),
        )
        .unwrap();
        for check in [&[][..], &["--check-config"]] {
            let mut starting = command(Some(&space)).unwrap();
            let mut server =
                Process::start(starting.arg("-c").arg(&conf).args(check), "unknown").unwrap();
            assert_eq!(server.wait(GENEROUS).unwrap().code(), Some(1));
            let said = server.output();
            for part in [
                &format!("{}:3: {option}", conf.display()),
                "no-such-one",
                remedy,
            ] {
                assert!(said.contains(part), "no {part} in {said}");
            }
        }
    }
}

#[test]
fn who_is_not_root_becomes_nobody_else_and_is_told_so() {
    let folder = folder_of_nobody();
    let program = folder.join("turnserver");
    fs::copy(command(None).unwrap().get_program(), &program).unwrap();
    let run = |more: &[&str]| {
        let mut starting = Command::new("setpriv");
        starting
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program);
        starting
            .current_dir(&folder)
            .args(["-n", "--no-tls", "--listening-port=0"])
            .args(FLAGS)
            .args(more);
        Process::start(&mut starting, "setpriv").unwrap()
    };
    let mut server = run(&["--proc-user=root"]);
    assert_eq!(server.wait(GENEROUS).unwrap().code(), Some(1));
    assert!(
        server.output().contains("only root may become root"),
        "{}",
        server.output()
    );
    // Whoever is that user already has nothing to become.
    let mut server = run(&["--proc-user=nobody", "--proc-group=nogroup"]);
    server
        .wait_for_output(&["Total auth threads:"], GENEROUS)
        .unwrap();
}

/// A daemon, ended by its process id.
struct Daemon(Pid);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

fn read_pid(file: &Path) -> Pid {
    let text = fs::read_to_string(file).unwrap();
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// As init scripts expect it: when the command has ended, clients are served, and the file has the right number.
#[test]
fn a_daemon_serves_when_its_command_ends_and_has_left_the_terminal() {
    let space = Namespace::new("daemon").unwrap();
    let (pid_file, log) = (
        scratch_file("pid").unwrap(),
        scratch_file("turn.log").unwrap(),
    );
    let mut starting = command(Some(&space)).unwrap();
    let flags = [
        format!("--pidfile={}", pid_file.display()),
        format!("--log-file={}", log.display()),
    ];
    starting
        .args(["-n", "-o", "--no-tls"])
        .args(FLAGS)
        .args(flags);
    let output = starting.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let pid = read_pid(&pid_file);
    let _daemon = Daemon(pid);
    allocates(&space, "127.0.0.1:3478");
    assert!(
        fs::read_to_string(&log)
            .unwrap()
            .contains("Total auth threads:")
    );
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    // Behind the name: state, parent, group, session, terminal.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let number = pid.as_raw_nonzero().to_string();
    assert_eq!(
        (fields[3], fields[4]),
        (number.as_str(), "0"),
        "its own session, no terminal: {stat}"
    );
    for stream in 0..3 {
        let open = fs::read_link(format!("/proc/{number}/fd/{stream}")).unwrap();
        assert_eq!(open, Path::new("/dev/null"));
    }
    kill_process(pid, Signal::TERM).unwrap();
    until("it has ended and taken its file along", GENEROUS, || {
        (!pid_file.exists()).then_some(())
    })
    .unwrap();
}

#[test]
fn a_daemon_that_cannot_start_says_why_and_its_command_fails() {
    let space = Namespace::new("daemon").unwrap();
    let log = scratch_file("turn.log").unwrap();
    let _first = Server::start(Some(&space), &FLAGS).unwrap();
    let mut starting = command(Some(&space)).unwrap();
    starting
        .args(["-n", "--daemon", "--no-tls"])
        .args(FLAGS)
        .arg(format!("--log-file={}", log.display()));
    let output = starting.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("in use by another program"), "{said}");
}

/// Packets are taken from the interface that listening sockets are held to, and from no other; relay sockets are held to theirs.
#[test]
fn sockets_are_held_to_interfaces() {
    let space = Namespace::new("devices").unwrap();
    space.ip("link add in0 type veth peer name out0").unwrap();
    for name in ["in0", "out0"] {
        space.ip(&format!("link set {name} up")).unwrap();
    }
    space.ip("address add 192.0.2.1/24 dev in0").unwrap();
    let served = |device: &str| {
        let flags = [&FLAGS[1..], &["--listening-ip=192.0.2.1", device]].concat();
        let _server = Server::start(Some(&space), &flags).unwrap();
        let at: SocketAddr = "192.0.2.1:3478".parse().unwrap();
        let client = space
            .inside(|| TurnClient::new(at, "ann", "secret"))
            .unwrap();
        client.is_alive().unwrap_or(false)
    };
    // For the kernel, a packet of this machine to itself comes by the interface that has its address.
    assert!(served("--listening-device=in0"));
    assert!(!served("--listening-device=out0"));
    // Every relay socket, over UDP and TCP, has it.
    let flags = [&FLAGS[..], &["--relay-device=out0"]].concat();
    let _server = Server::start(Some(&space), &flags).unwrap();
    let relayed = allocates(&space, "127.0.0.1:3478");
    let listed = space.command("ss").args(["-uanH"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let line = listed
        .lines()
        .find(|line| line.contains(&format!(":{} ", relayed.port())))
        .expect(&listed);
    assert!(line.contains("%out0:"), "{line}");
}

#[test]
fn an_interface_that_is_not_there_ends_the_start() {
    let space = Namespace::new("devices").unwrap();
    for option in ["listening-device", "relay-device"] {
        let conf = scratch_file("turnserver.conf").unwrap();
        fs::write(
            &conf,
            format!("lt-cred-mech\nuser=a:b\n{option}=nonesuch0\nlistening-ip=127.0.0.1\n"),
        )
        .unwrap();
        let mut starting = command(Some(&space)).unwrap();
        let mut server = Process::start(starting.arg("-c").arg(&conf), "device").unwrap();
        assert_eq!(server.wait(GENEROUS).unwrap().code(), Some(1));
        let said = server.output();
        for part in [
            &format!("{}:3: {option}=nonesuch0", conf.display()),
            "ip link",
        ] {
            assert!(said.contains(part), "no {part} in {said}");
        }
    }
}

/// A key as `openssl genpkey` protects it, and its certificate.
fn protected_key(folder: &Path) -> [PathBuf; 2] {
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| folder.join(name));
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let (key_text, certificate_text) =
        (key.display().to_string(), certificate.display().to_string());
    openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-aes-256-cbc",
        "-pass",
        "pass:sesame",
        "-out",
        &key_text,
    ]);
    openssl(&[
        "req",
        "-x509",
        "-key",
        &key_text,
        "-passin",
        "pass:sesame",
        "-days",
        "30",
        "-subj",
        "/CN=localhost",
        "-out",
        &certificate_text,
    ]);
    [key, certificate]
}

/// coturn's `pkey-pwd`, with a key that OpenSSL has made: the right word opens it, another and none are told apart.
#[test]
fn a_key_with_a_password_serves_tls() {
    let folder = scratch_file("keys").unwrap();
    fs::create_dir_all(&folder).unwrap();
    let [key, certificate] = protected_key(&folder);
    let space = Namespace::new("sesame").unwrap();
    let files = [
        format!("--cert={}", certificate.display()),
        format!("--pkey={}", key.display()),
    ];
    let flags = [&FLAGS[..], &[&files[0], &files[1]]].concat();
    for (password, words) in [
        (&["--pkey-pwd=wrong"][..], "does not open its key"),
        (&[], "pkey-pwd"),
    ] {
        let mut starting = command(Some(&space)).unwrap();
        let mut server =
            Process::start(starting.arg("-n").args(&flags).args(password), "sesame").unwrap();
        assert_eq!(server.wait(GENEROUS).unwrap().code(), Some(1));
        assert!(server.output().contains(words), "{}", server.output());
    }
    let _server =
        Server::start_secure(Some(&space), &[&flags[..], &["--pkey-pwd=sesame"]].concat()).unwrap();
    let mut client = space.command("openssl");
    client
        .args(["s_client", "-connect", "127.0.0.1:5349", "-brief"])
        .stdin(Stdio::null());
    let output = client.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("CONNECTION ESTABLISHED"), "{said}");
}

/// What a client of HTTP gets from the port for TCP: nothing, or what was asked for.
#[test]
fn http_on_the_port_of_turn_is_answered_on_request() {
    let ask = |more: &[&str], path: &str| {
        let space = Namespace::new("http").unwrap();
        let _server = Server::start(Some(&space), &[&FLAGS[..], more].concat()).unwrap();
        let mut curl = space.command("curl");
        let output = curl
            .args(["-si", "--max-time", "20"])
            .arg(format!("http://127.0.0.1:3478{path}"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ask(&[], "/"), "");
    let told = ask(&["--respond-http-unsupported"], "/");
    assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
    let redirect = ["--acme-redirect=http://acme.example.org/challenges/"];
    let told = ask(&redirect, "/.well-known/acme-challenge/token-1");
    assert!(
        told.starts_with("HTTP/1.1 301 ")
            && told.contains("Location: http://acme.example.org/challenges/token-1\r\n"),
        "{told}"
    );
    assert_eq!(ask(&redirect, "/"), "");
}

/// The same inside TLS, which is told apart on every port for TCP.
#[test]
fn http_over_tls_on_the_port_of_turn_is_answered_on_request() {
    let space = Namespace::new("https").unwrap();
    let made = Certificate::make(Algorithm::Ecdsa, [127, 0, 0, 1].into()).unwrap();
    let files = made.flags();
    let more = [&*files[0], &*files[1], "--respond-http-unsupported"];
    let _server = Server::start_secure(Some(&space), &[&FLAGS[..], &more].concat()).unwrap();
    for port in [3478, 5349] {
        let mut curl = space.command("curl");
        curl.args(["-sik", "--http1.1", "--max-time", "20"]);
        let output = curl.arg(format!("https://127.0.0.1:{port}/")).output();
        let told = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(told.starts_with("HTTP/1.1 400 "), "{port}: {told}");
    }
}

/// coturn tries seven places.
#[test]
fn a_pid_file_is_written_where_it_is_named_and_nowhere_else() {
    let space = Namespace::new("pid").unwrap();
    let folder = scratch_file("pids").unwrap();
    fs::create_dir_all(&folder).unwrap();
    let start = |flag: &str| {
        let mut starting = command(Some(&space)).unwrap();
        starting.args(["-n", "--no-tls", "--log-file=stdout", flag]);
        starting.args(FLAGS).current_dir(&folder);
        let mut server = Process::start(&mut starting, "pid").unwrap();
        server
            .wait_for_output(&["Total auth threads:"], GENEROUS)
            .unwrap();
        server
    };
    let named = folder.join("named.pid");
    let server = start(&format!("--pidfile={}", named.display()));
    let written = fs::read_to_string(&named).unwrap();
    assert_eq!(written.trim(), server.id().to_string());
    drop(server);
    // Where it cannot be written, clients are served all the same.
    let server = start("--pidfile=/nowhere/turnserver.pid");
    assert!(
        server.output().contains("pidfile: cannot write"),
        "{}",
        server.output()
    );
    allocates(&space, "127.0.0.1:3478");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    // A coturn of this machine may have left its own there.
    let usual = fs::read_to_string("/var/run/turnserver.pid").unwrap_or_default();
    assert_ne!(usual.trim(), server.id().to_string());
}
