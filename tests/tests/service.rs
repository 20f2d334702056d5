//! The server as systemd sees it: readiness, the end, the units' hardening; and the samples as an operator starts them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use e2e::certificate::{Algorithm, Certificate};
use e2e::http::get;
use e2e::netns::Namespace;
use e2e::process::{Process, run, scratch_file, target_folder, tests_folder, until};
use e2e::server::{command, free_port, turnctl_command};

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

/// The user and the group that have no right to anything.
const NOBODY: u32 = 65_534;

/// What `systemd-analyze` calls 1.1 and 0.9, as the README says; lower is better. Debian's coturn is at 9.0.
const EXPOSURE: [(&str, &str); 2] = [("turnserver.service", "11"), ("signaling.service", "9")];

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

/// Two sockets for UDP and one for TCP on a port that the server itself, as nobody, could not open.
#[test]
fn sockets_of_the_service_manager_are_served_on_each_worker_without_any_right() {
    let space = Namespace::new("handed").unwrap();
    let mut command = space.command("python3");
    command.arg(tests_folder().join("clients/hand_over.py"));
    command.args(["--count=2", "udp:127.0.0.1:443", "tcp:127.0.0.1:443"]);
    command.args(["tcp:127.0.0.1:80:http", "--"]);
    command.arg(e2e::server::path().unwrap());
    let conf = scratch_file("turnserver.conf").unwrap();
    fs::write(&conf, "listening-port=3478\n").unwrap();
    command
        .arg("-c")
        .arg(&conf)
        .args(["--log-file=stdout", "--lt-cred-mech", "--user=ann:secret"]);
    command.args(["--allow-loopback-peers", "--listening-ip=127.0.0.7"]);
    let mut server = Process::start(&mut command, "handed").unwrap();
    server
        .wait_for_output(&["Total auth threads:"], GENEROUS)
        .unwrap();
    let output = server.output();
    for line in [
        "udp 127.0.0.1:443",
        "tcp 127.0.0.1:443",
        "http 127.0.0.1:80",
    ] {
        assert!(output.contains(&format!("listening {line}")), "{output}");
    }
    assert!(!output.contains("127.0.0.7"), "{output}");
    // Sixteen clients come to both workers, and each one's channels and permissions are where its packets are.
    let uclient = |flags: &[&str]| {
        let mut uclient = space.command("turnutils_uclient");
        uclient
            .args(flags)
            .args(["-y", "-c", "-n", "20", "-u", "ann", "-w", "secret"]);
        run(uclient.args(["-m", "16", "-p", "443", "127.0.0.1"])).unwrap()
    };
    for flags in [&[][..], &["-t"]] {
        let report = uclient(flags);
        assert!(report.contains("Total lost packets 0"), "{report}");
    }
    // They are the sockets that there are, whatever a reload asks for.
    fs::write(&conf, "listening-port=3500\nno-udp\nuser=bob:two\n").unwrap();
    run(Command::new("kill").args(["-HUP".to_owned(), server.id().to_string()])).unwrap();
    server
        .wait_for_output(
            &["changed as well, and waiting for a restart: listening-port, no-udp"],
            GENEROUS,
        )
        .unwrap();
    assert!(!server.output().contains("not listening any more"));
    let report = uclient(&[]);
    assert!(report.contains("Total lost packets 0"), "{report}");
}

#[test]
fn a_socket_for_all_addresses_or_too_few_of_one_are_refused_with_a_remedy() {
    let space = Namespace::new("handed").unwrap();
    let refused = |sockets: &[&str]| {
        let mut command = space.command("python3");
        command.arg(tests_folder().join("clients/hand_over.py"));
        command.args(sockets).arg("--");
        command.arg(e2e::server::path().unwrap());
        command.args([
            "-n",
            "--log-file=stdout",
            "--lt-cred-mech",
            "--user=ann:secret",
        ]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&["udp:0.0.0.0:3478"]);
    assert!(said.contains("ListenDatagram=192.0.2.10:3478"), "{said}");
    let said = refused(&[
        "udp:127.0.0.1:3478",
        "udp:127.0.0.1:3478",
        "udp:127.0.0.2:3478",
    ]);
    assert!(
        said.contains("127.0.0.1:3478 has 2 UDP sockets and 127.0.0.2:3478 has 1"),
        "{said}"
    );
    let said = refused(&["tcp:127.0.0.1:5349:tls"]);
    assert!(said.contains("add cert=FILE"), "{said}");
}

/// A worker that hangs ends the meals, although all other threads go on; one that goes on, goes on being fed.
#[test]
fn the_watchdog_is_fed_only_while_every_worker_takes_its_turns() {
    let [port, metrics] = [(); 2].map(|()| free_port([127, 0, 0, 1].into()).unwrap());
    let path = scratch_file("notify").unwrap();
    let control = scratch_file("watched-control").unwrap();
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(GENEROUS)).unwrap();
    let mut command = command(None).unwrap();
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "2000000")
        .args(["-n", "--log-file=stdout", "--listening-ip=127.0.0.1"])
        .args(["--lt-cred-mech", "--user=ann:secret", "--relay-threads=2"])
        .args(["--prometheus", "--prometheus-address=127.0.0.1"])
        .arg(format!("--prometheus-port={metrics}"))
        .arg(format!("--control-socket={}", control.display()))
        .arg(format!("--listening-port={port}"));
    let mut server = Process::start(&mut command, "watched").unwrap();
    let heard = || {
        let mut message = [0; 256];
        let length = systemd.recv(&mut message)?;
        std::io::Result::Ok(String::from_utf8_lossy(&message[..length]).into_owned())
    };
    let fed = || {
        until("the watchdog is fed", GENEROUS, || {
            heard().ok().filter(|said| said.trim() == "WATCHDOG=1")
        })
    };
    fed().unwrap();

    let mut hold = Command::new("python3");
    hold.arg(tests_folder().join("clients/hold_thread.py"));
    hold.args([server.id().to_string().as_str(), "relay-1"]);
    let (mut holder, input) = Process::start_fed(&mut hold, "holder").unwrap();
    holder.wait_for_output(&["held"], GENEROUS).unwrap();
    // What was on its way before the first complaint is of the time before.
    let complaints =
        |server: &Process| server.output().matches("workers [1] do not answer").count();
    let complained = |server: &Process, times: usize| {
        until("it complains", GENEROUS, || {
            (complaints(server) >= times).then_some(())
        })
    };
    complained(&server, 1).unwrap();
    systemd.set_nonblocking(true).unwrap();
    while heard().is_ok() {}
    // Whoever looks why is told, and not kept waiting as well.
    let mut turnctl = turnctl_command().unwrap();
    turnctl
        .arg(format!("--socket={}", control.display()))
        .arg("status");
    let told = turnctl.output().unwrap();
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("workers [1] do not answer"), "{told}");
    let page = get(([127, 0, 0, 1], metrics).into(), "/metrics", &[]).unwrap();
    assert_eq!((page.status, page.body.contains("[1]")), (503, true));
    complained(&server, 4).unwrap();
    assert_eq!(heard().ok(), None);

    systemd.set_nonblocking(false).unwrap();
    drop(input);
    fed().unwrap();
    server.stop();
}

/// Where no systemd looks after it, whoever asks for its health is told.
#[test]
fn health_is_bad_while_a_worker_hangs() {
    let [port, metrics] = [(); 2].map(|()| free_port([127, 0, 0, 1].into()).unwrap());
    let mut command = command(None).unwrap();
    command
        .args(["-n", "--log-file=stdout", "--listening-ip=127.0.0.1"])
        .args(["--lt-cred-mech", "--user=ann:secret", "--relay-threads=2"])
        .args(["--prometheus", "--prometheus-address=127.0.0.1"])
        .arg(format!("--prometheus-port={metrics}"))
        .arg(format!("--listening-port={port}"));
    let mut server = Process::start(&mut command, "unwell").unwrap();
    let becomes = |status| {
        until("its health changes", GENEROUS, || {
            let health = get(([127, 0, 0, 1], metrics).into(), "/healthz", &[]).ok()?;
            (health.status == status).then_some(())
        })
    };
    becomes(200).unwrap();
    let mut hold = Command::new("python3");
    hold.arg(tests_folder().join("clients/hold_thread.py"));
    hold.args([server.id().to_string().as_str(), "relay-0"]);
    let (mut holder, input) = Process::start_fed(&mut hold, "holder").unwrap();
    holder.wait_for_output(&["held"], GENEROUS).unwrap();
    becomes(503).unwrap();
    let said = server.output();
    assert!(
        said.contains("workers [0] do not answer, and /healthz says so"),
        "{said}"
    );
    drop(input);
    becomes(200).unwrap();
    server.stop();
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

/// As certbot leaves keys and as guides name the log: the server has no right to either, and serves with both. A renewed
/// certificate reaches it by a reload of the unit.
#[test]
fn keys_and_a_log_of_roots_serve_a_user_without_rights() {
    let root = scratch_file("roots").unwrap();
    fs::create_dir_all(&root).unwrap();
    let root = fs::canonicalize(root).unwrap();
    let live = root.join("letsencrypt/live/turn.example.org");
    fs::create_dir_all(&live).unwrap();
    fs::create_dir_all(root.join("log")).unwrap();
    fs::set_permissions(root.join("letsencrypt"), fs::Permissions::from_mode(0o700)).unwrap();
    let renew = || {
        let made = Certificate::make(Algorithm::Ecdsa, [127, 0, 0, 1].into()).unwrap();
        fs::copy(&made.certificate, live.join("fullchain.pem")).unwrap();
        fs::copy(&made.key, live.join("privkey.pem")).unwrap();
        fs::set_permissions(live.join("privkey.pem"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::read_to_string(&made.certificate).unwrap()
    };
    let port = free_port([127, 0, 0, 1].into()).unwrap();
    let (shown, folder) = (root.display(), live.display());
    let conf = root.join("turnserver.conf");
    let text = format!(
        "listening-ip=127.0.0.1\ntls-listening-port={port}\nlistening-port=0\nlt-cred-mech\nuser=ann:secret\n\
         cert={folder}/fullchain.pem\npkey={folder}/privkey.pem\nkey-copies={shown}/copies\n\
         log-file={shown}/log/turnserver.log\nno-stdout-log\n"
    );
    fs::write(&conf, text).unwrap();
    let with_file = || {
        let mut command = command(None).unwrap();
        command.arg("-c").arg(&conf);
        command
    };
    // With the umask of the unit.
    let prepare = || {
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 077 && exec \"$0\" \"$@\""]);
        shell.arg(e2e::server::path().unwrap()).arg("-c").arg(&conf);
        run(shell.arg("--prepare-for=nobody")).unwrap()
    };
    let served = || {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]);
        String::from_utf8_lossy(&openssl.stdin(Stdio::null()).output().unwrap().stdout).into_owned()
    };

    let first = renew();
    let refused = with_file().uid(NOBODY).gid(NOBODY).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(prepare().lines().count(), 3);
    let copy = root.join("copies").join(live.strip_prefix("/").unwrap());
    let mode = fs::metadata(copy.join("privkey.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    let mut server = Process::start(with_file().uid(NOBODY).gid(NOBODY), "unprivileged").unwrap();
    let log = || fs::read_to_string(root.join("log/turnserver.log")).unwrap();
    let logged = |line: &str| {
        until(line, GENEROUS, || log().contains(line).then_some(())).unwrap();
    };
    logged("Total auth threads:");
    assert!(served().contains(first.trim()));

    let second = renew();
    prepare();
    let reload = ["-HUP".to_owned(), server.id().to_string()];
    run(Command::new("kill").args(reload)).unwrap();
    logged("TLS certificates are renewed");
    until("the renewed certificate", GENEROUS, || {
        served().contains(second.trim()).then_some(())
    })
    .unwrap();
    server.stop();
    assert_eq!(server.output(), "");
}

#[test]
fn the_units_are_as_closed_as_the_readme_says() {
    for (unit, most) in EXPOSURE {
        let threshold = format!("--threshold={most}");
        let unit = format!("./{unit}");
        let output = systemd_analyze(&["security", "--offline=yes", &threshold, &unit]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{unit}: {text}");
        assert!(text.contains("Overall exposure level"), "{unit}: {text}");
    }
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    for unit in [
        "turnserver.service",
        "turnserver.socket",
        "signaling.service",
    ] {
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

/// What `lintian` asks of a manual page: no macro is misspelt, no line cannot be set.
#[test]
fn man_has_nothing_to_say_of_the_manual_page() {
    let mut man = Command::new("man");
    man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]);
    man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "");
    let output = man.arg(root().join("config/turnserver.8")).output();
    let output = output.expect("man is missing: apt-get install man-db");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    assert!(output.stdout.len() > 10_000, "{}", output.stdout.len());
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
