//! The Debian package on machines with systemd: the first start, the upgrade, coturn replaced and back again, and what the units
//! promise. Needs root, and the archive that the stage `package` makes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::certificate::{Algorithm, Certificate};
use e2e::machine::Machine;
use e2e::netns::Namespace;
use e2e::process::{Process, run, scratch_file, target_folder, tests_folder, until};
use e2e::turn_client::{Answer, TurnClient};

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

/// The public address of every machine here.
const ADDRESS: &str = "203.0.113.10";

/// Builds the package, as that version. What nobody sends anywhere is not compressed.
fn package(version: &str) -> PathBuf {
    let folder = scratch_file("packages").unwrap();
    let mut build = Command::new(tests_folder().join("../systemd/deb/build"));
    build
        .arg(&folder)
        .env("VERSION", version)
        .env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    let programs = target_folder().canonicalize().unwrap().join("release");
    let printed = run(build.env("PROGRAMS", programs)).unwrap();
    PathBuf::from(printed.lines().last().unwrap())
}

/// The package that is tried.
fn ours() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| package("0.1.0"))
}

fn machine() -> Machine {
    Machine::boot(&["203.0.113.10/24"]).unwrap()
}

/// Waits until a unit runs.
fn active(machine: &Machine, unit: &str) {
    until(&format!("{unit} is active"), GENEROUS, || {
        let state = machine.run(&format!("systemctl is-active {unit}"));
        state
            .ok()
            .filter(|state| state.trim() == "active")
            .map(drop)
    })
    .unwrap_or_else(|error| panic!("{error}: {}", journal(machine)));
}

fn journal(machine: &Machine) -> String {
    machine
        .run("journalctl --no-pager -n 60 -o cat")
        .unwrap_or_default()
}

fn property(machine: &Machine, name: &str) -> String {
    let shown = machine.run(&format!("systemctl show -P {name} turnserver.service"));
    shown.unwrap().trim().to_owned()
}

/// Relays with coturn's client, which belongs to this machine and not to that one.
fn relays(machine: &Machine, flags: &[&str]) {
    let mut uclient = machine.beside("turnutils_uclient");
    uclient
        .args(["-y", "-c", "-n", "10"])
        .args(flags)
        .arg(ADDRESS);
    let report = run(&mut uclient).unwrap_or_else(|error| panic!("{error}: {}", journal(machine)));
    // How many are lost is other tests' matter: the first may come before the other client is ready for them.
    let received = report.rsplit_once("tot_recv_msgs=").unwrap().1;
    let received = received.split(|it: char| !it.is_ascii_digit()).next();
    assert!(received.unwrap().parse::<u32>().unwrap() >= 10, "{report}");
}

/// An operator installs it on a bare machine, changes what is hers, and gets the next version.
#[test]
fn the_package_starts_with_a_secret_of_its_own_and_upgrades_around_what_was_changed() {
    let machine = machine();
    let first = machine.take(ours()).unwrap();
    let second = machine.take(&package("0.1.1~test")).unwrap();
    machine.run(&format!("apt-get install -y {first}")).unwrap();
    active(&machine, "turnserver");
    let conf = fs::read_to_string(machine.path("/etc/turnserver.conf")).unwrap();
    let secret = conf
        .lines()
        .find_map(|line| line.strip_prefix("static-auth-secret="))
        .unwrap();
    assert_eq!(secret.len(), 64, "{conf}");
    relays(&machine, &["-W", secret]);
    let owner = machine
        .run("stat -c '%U:%G %a' /etc/turnserver.conf")
        .unwrap();
    assert_eq!(owner.trim(), "root:turnserver 640");
    let status = machine.run("turnctl status").unwrap();
    assert!(status.contains("0.1.0"), "{status}");

    machine
        .write(
            "/etc/turnserver.conf",
            &format!("{conf}realm=changed.example.org\n"),
        )
        .unwrap();
    machine
        .run("echo '# mine' >> /etc/logrotate.d/turnpike")
        .unwrap();
    let before = property(&machine, "MainPID");
    machine
        .run(&format!("apt-get install -y {second}"))
        .unwrap();
    active(&machine, "turnserver");
    assert_ne!(property(&machine, "MainPID"), before);
    relays(&machine, &["-W", secret]);
    assert!(
        fs::read_to_string(machine.path("/etc/turnserver.conf"))
            .unwrap()
            .contains("changed")
    );
    assert!(
        fs::read_to_string(machine.path("/etc/logrotate.d/turnpike"))
            .unwrap()
            .contains("mine")
    );

    machine.run("apt-get remove -y turnpike").unwrap();
    assert!(machine.path("/etc/turnserver.conf").exists());
    assert!(machine.run("systemctl is-active turnserver").is_err());
    machine.run("dpkg --purge turnpike").unwrap();
    assert!(!machine.path("/etc/turnserver.conf").exists());
}

/// The file of a guide, with certbot's key that root alone may read, and a log of its own: first under coturn, then here, and
/// back by one command. Whoever had a credential keeps it.
#[test]
fn coturn_is_replaced_with_its_file_as_it_is_and_comes_back_by_one_command() {
    let machine = machine();
    let ours = machine.take(ours()).unwrap();
    machine
        .run("apt-get install -y --no-download --no-install-recommends coturn")
        .unwrap();
    let live = "/etc/letsencrypt/live/turn.example.org";
    let made = Certificate::make(Algorithm::Ecdsa, ADDRESS.parse().unwrap()).unwrap();
    for (file, name) in [(&made.certificate, "cert.pem"), (&made.key, "privkey.pem")] {
        machine
            .write(
                &format!("{live}/{name}"),
                &fs::read_to_string(file).unwrap(),
            )
            .unwrap();
    }
    machine
        .run("chmod 700 /etc/letsencrypt/live && chmod 600 /etc/letsencrypt/live/*/privkey.pem")
        .unwrap();
    let conf = format!(
        "listening-port=3478\ntls-listening-port=5349\nexternal-ip={ADDRESS}\nrelay-ip={ADDRESS}\nmin-port=49152\nmax-port=65535\n\
         lt-cred-mech\nuser=username:password\nrealm=yourdomain.com\ncert={live}/cert.pem\npkey={live}/privkey.pem\n\
         log-file=/var/log/turnserver.log\nverbose\nno-tlsv1\nno-tlsv1_1\nno-stdout-log\n"
    );
    machine.write("/etc/turnserver.conf", &conf).unwrap();
    machine
        .run("systemctl reset-failed coturn; systemctl restart coturn")
        .unwrap();
    active(&machine, "coturn");
    let credentials = ["-u", "username", "-w", "password"];
    relays(&machine, &credentials);

    let install = format!("apt-get install -y {ours}");
    for _ in 0..2 {
        machine.run(&install).unwrap();
        active(&machine, "turnserver");
        assert!(machine.run("systemctl is-active coturn").is_err());
        relays(&machine, &credentials);
        // coturn may not read this key, and goes on without TLS.
        relays(
            &machine,
            &["-u", "username", "-w", "password", "-t", "-S", "-p", "5349"],
        );
        let log = fs::read_to_string(machine.path("/var/log/turnserver.log")).unwrap();
        assert!(
            log.contains("listening tls 203.0.113.10:5349") && log.contains("username"),
            "{log}"
        );
        assert_eq!(
            machine
                .run("stat -c %U /var/log/turnserver.log")
                .unwrap()
                .trim(),
            "turnserver"
        );

        machine
            .run("apt-get install -y --no-download --no-install-recommends coturn")
            .unwrap();
        active(&machine, "coturn");
        assert!(machine.run("systemctl is-active turnserver").is_err());
        assert_eq!(
            fs::read_to_string(machine.path("/etc/turnserver.conf")).unwrap(),
            conf
        );
        relays(&machine, &credentials);
    }
}

/// Debian's file as it comes has no mechanism: coturn would relay for anybody. The installation says what is missing, and goes
/// through all the same.
#[test]
fn debians_default_file_is_kept_and_what_it_lacks_is_said() {
    let machine = machine();
    let ours = machine.take(ours()).unwrap();
    machine
        .run("apt-get install -y --no-download --no-install-recommends coturn")
        .unwrap();
    let mut install = machine.command("apt-get");
    let installed = install.args(["install", "-y", &ours]).output().unwrap();
    // apt shows what dpkg says on either of its outputs.
    let said = [installed.stdout, installed.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(installed.status.success(), "{said}");
    assert!(
        said.contains("cannot be used as it is") && said.contains("static-auth-secret"),
        "{said}"
    );
    assert!(machine.run("systemctl is-active turnserver").is_err());
    machine.run("echo static-auth-secret=4f1c9e2b7a >> /etc/turnserver.conf && systemctl start turnserver").unwrap();
    active(&machine, "turnserver");
    relays(&machine, &["-W", "4f1c9e2b7a"]);
}

/// Under the closed unit: reload, credentials, ports below 1024 both ways, a renewed certificate by the deploy hook, the log
/// turned over, and a hanging worker.
#[test]
fn what_the_units_promise_holds_under_systemd() {
    let machine = machine();
    let ours = machine.take(ours()).unwrap();
    machine.run(&format!("apt-get install -y {ours}")).unwrap();
    active(&machine, "turnserver");
    let drop_in = |text: &str| {
        let path = "/etc/systemd/system/turnserver.service.d/override.conf";
        machine.write(path, &format!("[Service]\n{text}")).unwrap();
        machine
            .run("systemctl daemon-reload && systemctl restart turnserver")
            .unwrap_or_else(|error| panic!("{error}: {}", journal(&machine)));
        active(&machine, "turnserver");
    };

    // Secrets and keys in files of root's.
    machine
        .write("/etc/turnpike/secret", "of-root-alone\n")
        .unwrap();
    machine.run("chmod 700 /etc/turnpike").unwrap();
    machine
        .write(
            "/etc/turnserver.conf",
            "realm=example.org\nallow-private-peers=no\n",
        )
        .unwrap();
    drop_in("LoadCredential=static-auth-secret:/etc/turnpike/secret\n");
    relays(&machine, &["-W", "of-root-alone"]);

    // A certificate is renewed, certbot calls its hook, and no process is started anew.
    let live = "/etc/letsencrypt/live/turn.example.org";
    let renew = || {
        let made = Certificate::make(Algorithm::Ecdsa, ADDRESS.parse().unwrap()).unwrap();
        let text = fs::read_to_string(&made.certificate).unwrap();
        machine
            .write(&format!("{live}/fullchain.pem"), &text)
            .unwrap();
        machine
            .write(
                &format!("{live}/privkey.pem"),
                &fs::read_to_string(&made.key).unwrap(),
            )
            .unwrap();
        machine
            .run("chmod 700 /etc/letsencrypt/live; chmod 600 /etc/letsencrypt/live/*/privkey.pem")
            .unwrap();
        text
    };
    let served = || {
        let mut openssl = machine.beside("openssl");
        openssl
            .args(["s_client", "-connect", "203.0.113.10:5349"])
            .stdin(Stdio::null());
        String::from_utf8_lossy(&openssl.output().unwrap().stdout).into_owned()
    };
    let first = renew();
    let conf = format!(
        "static-auth-secret=4f1c9e2b7a\ncert={live}/fullchain.pem\npkey={live}/privkey.pem\nlog-file=/var/log/turnserver.log\n"
    );
    machine.write("/etc/turnserver.conf", &conf).unwrap();
    drop_in("WatchdogSec=30\n");
    assert!(served().contains(first.trim()));
    let before = property(&machine, "MainPID");
    let second = renew();
    machine
        .run("/etc/letsencrypt/renewal-hooks/deploy/turnserver")
        .unwrap();
    until("the renewed certificate", GENEROUS, || {
        served().contains(second.trim()).then_some(())
    })
    .unwrap();
    assert_eq!(property(&machine, "MainPID"), before);

    // What logrotate does.
    machine.run("mv /var/log/turnserver.log /var/log/turnserver.log.1 && install -o turnserver -g turnserver -m 640 /dev/null \
                 /var/log/turnserver.log && systemctl kill --signal=HUP turnserver").unwrap();
    until("the new log", GENEROUS, || {
        let log = fs::read_to_string(machine.path("/var/log/turnserver.log")).unwrap();
        log.contains("reloaded").then_some(())
    })
    .unwrap();

    // A port below 1024, by a capability and by a socket that systemd opens.
    let low = "static-auth-secret=4f1c9e2b7a\nlistening-port=443\n";
    machine.write("/etc/turnserver.conf", low).unwrap();
    drop_in(
        "AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\nPrivateUsers=no\n",
    );
    relays(&machine, &["-W", "4f1c9e2b7a", "-p", "443"]);
    let socket = fs::read_to_string(tests_folder().join("../systemd/turnserver.socket")).unwrap();
    let socket = socket.replace("192.0.2.10:3478", "203.0.113.10:80");
    machine
        .write("/etc/systemd/system/turnserver.socket", &socket)
        .unwrap();
    machine.run("systemctl stop turnserver && rm -r /etc/systemd/system/turnserver.service.d && systemctl daemon-reload").unwrap();
    machine
        .run("systemctl enable --now turnserver.socket")
        .unwrap();
    // The first packet starts the server.
    relays(&machine, &["-W", "4f1c9e2b7a", "-p", "80"]);
    assert_eq!(property(&machine, "ActiveState"), "active");
    relays(&machine, &["-W", "4f1c9e2b7a", "-p", "80", "-t"]);

    // A worker hangs; systemd ends the server and starts it anew.
    machine
        .write(
            "/etc/systemd/system/turnserver.service.d/override.conf",
            "[Service]\nWatchdogSec=2\n",
        )
        .unwrap();
    machine
        .run("systemctl daemon-reload && systemctl restart turnserver")
        .unwrap();
    active(&machine, "turnserver");
    let held = host_process(&machine, "turnserver");
    let mut python = Command::new("python3");
    python
        .arg(tests_folder().join("clients/hold_thread.py"))
        .args([&held, "relay-0"]);
    let (mut holder, input) = Process::start_fed(&mut python, "holder").unwrap();
    holder.wait_for_output(&["held"], GENEROUS).unwrap();
    until("it is started anew", GENEROUS, || {
        (property(&machine, "NRestarts") == "1").then_some(())
    })
    .unwrap();
    drop(input);
    active(&machine, "turnserver");
    assert!(
        journal(&machine).contains("Watchdog timeout"),
        "{}",
        journal(&machine)
    );
    relays(&machine, &["-W", "4f1c9e2b7a", "-p", "80"]);
}

/// The number that this machine knows the only process of that name in the other one by.
fn host_process(machine: &Machine, name: &str) -> String {
    let inside = property(machine, "MainPID");
    let folders = fs::read_dir("/proc").unwrap().flatten();
    let found = folders.map(|entry| entry.path()).find(|path| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let named = status.lines().any(|line| line == format!("Name:\t{name}"));
        let numbered = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        named && numbered.is_some_and(|numbers| numbers.split_whitespace().nth(1) == Some(&inside))
    });
    found
        .as_deref()
        .and_then(Path::file_name)
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

/// The blocks of shell under the runbook's head on the migration page.
fn runbook() -> Vec<String> {
    let page = tests_folder().join("../docs/migrate-from-coturn.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, runbook) = page.split_once("## The move, step by step").unwrap();
    let blocks = runbook.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap().to_owned());
    blocks.collect()
}

/// A client that comes from elsewhere, as packet filters see it.
struct Clients {
    space: Namespace,
    server: SocketAddr,
}

impl Clients {
    fn new(machine: &Machine) -> Self {
        let space = Namespace::new("clients").unwrap();
        machine.plug(&space, "203.0.113.10/24").unwrap();
        space.ip("address add 203.0.113.20/24 dev wan").unwrap();
        let server = format!("{ADDRESS}:3478").parse().unwrap();
        Self { space, server }
    }

    /// A client with a credential that the web application has made.
    fn client(&self) -> TurnClient {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let minted = turn_auth::rest::mint(b"4f1c9e2b7a", "alice", 600, now.as_secs(), ':');
        let (name, password) = (&minted.username, &minted.password);
        self.space
            .inside(|| TurnClient::new(self.server, name, password))
            .unwrap()
    }

    fn allocated(&self) -> TurnClient {
        let mut client = self.client();
        until("an allocation", GENEROUS, || {
            matches!(client.allocate(None).ok()?, Answer::Success { .. }).then_some(())
        })
        .unwrap();
        client
    }

    /// How many of so many new clients come to the canary.
    fn canaries(&self, machine: &Machine, of: usize) -> u64 {
        let before = requests(machine);
        for _ in 0..of {
            assert!(self.client().is_alive().unwrap());
        }
        requests(machine) - before
    }
}

/// Of fifty clients: one may have a port that an earlier one had, and goes where that went.
const NEARLY_ALL: u64 = 45;

const CANARY: &str = "/opt/turnpike/usr/bin/turnctl --socket=/run/turnpike-canary/control.sock";

/// Binding requests that the canary has seen.
fn requests(machine: &Machine) -> u64 {
    let metrics = machine.run(&format!("{CANARY} metrics")).unwrap();
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix("stun_binding_request "));
    count.map_or(0, |count| count.trim().parse::<f64>().unwrap() as u64)
}

fn goes_on(client: &mut TurnClient) {
    let answer = client.refresh(600).unwrap();
    assert!(matches!(answer, Answer::Success { .. }), "{answer:?}");
}

#[test]
fn the_runbook_of_this_page_moves_a_host_and_back() {
    let machine = Machine::boot(&[]).unwrap();
    let clients = Clients::new(&machine);
    machine.take(ours()).unwrap();
    machine
        .run("apt-get install -y --no-download --no-install-recommends coturn")
        .unwrap();
    let conf = "use-auth-secret\nstatic-auth-secret=4f1c9e2b7a\nrealm=example.org\nlistening-ip=203.0.113.10\n";
    machine.write("/etc/turnserver.conf", conf).unwrap();
    machine
        .run("systemctl reset-failed coturn; systemctl restart coturn")
        .unwrap();
    active(&machine, "coturn");
    let blocks = runbook();
    let step = |number: usize| {
        let line = format!("cd /root\n{}", blocks[number]);
        machine
            .run(&line)
            .unwrap_or_else(|error| panic!("{error}: {}", journal(&machine)))
    };

    let explained = step(0);
    assert!(explained.contains("realm = example.org"), "{explained}");
    step(1);
    active(&machine, "turnpike-canary");
    assert!(clients.canaries(&machine, 50) <= 50 - NEARLY_ALL);
    step(2);
    // By a coin that falls on ten of a hundred, 200 times: 20, and hardly ever fewer than 1 or more than 60.
    let share = clients.canaries(&machine, 200);
    assert!((1..=60).contains(&share), "{share}");
    let sessions = || machine.run(&format!("{CANARY} sessions --json")).unwrap();
    let mut on_canary = until("a call on the canary", GENEROUS, || {
        let client = clients.allocated();
        sessions().contains("alice").then_some(client)
    })
    .unwrap();

    step(3);
    assert!(clients.canaries(&machine, 50) <= 50 - NEARLY_ALL);
    goes_on(&mut on_canary);
    let mut on_coturn = clients.allocated();
    step(4);
    assert!(clients.canaries(&machine, 50) >= NEARLY_ALL);
    goes_on(&mut on_canary);
    goes_on(&mut on_coturn);

    step(5);
    active(&machine, "turnserver");
    assert!(machine.run("systemctl is-active coturn").is_err());
    goes_on(&mut on_canary);
    drop(clients.allocated());
    assert!(
        machine
            .run("turnctl sessions --json")
            .unwrap()
            .contains("alice")
    );
    // Some clients of the wait for the canary may have been left there, too.
    machine
        .run(&format!("{CANARY} kill --client=203.0.113.20"))
        .unwrap();
    until("the canary ends with its last call", GENEROUS, || {
        machine
            .run("systemctl is-active turnpike-canary")
            .is_err()
            .then_some(())
    })
    .unwrap();

    step(6);
    active(&machine, "coturn");
    assert!(machine.run("systemctl is-active turnserver").is_err());
    assert_eq!(
        fs::read_to_string(machine.path("/etc/turnserver.conf")).unwrap(),
        conf
    );
    drop(clients.allocated());
}
