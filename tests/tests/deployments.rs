//! Configurations of coturn as they stand in guides, packages and images, made anew from what they set: the server starts with
//! each, unchanged, and relays as its users expect. (What each line means is tested in `turn-config`.)
//!
//! Every server is alone in a namespace that has the addresses of the file. Only the folders of files are others. Needs root.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use e2e::certificate::{Algorithm, Certificate};
use e2e::netns::Namespace;
use e2e::process::{Process, scratch_file, until};
use e2e::server::command;
use e2e::turn_client::{Answer, TurnClient};

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

/// A running server and the folder that stands for `/`.
struct Deployed {
    space: Namespace,
    root: PathBuf,
    server: Process,
}

impl Deployed {
    /// Starts a server in a namespace with these addresses: with this file as `/etc/turnserver.conf`, and these arguments.
    fn start(addresses: &[&str], file: &str, arguments: &[&str]) -> Result<Self> {
        let space = Namespace::new("deployed")?;
        for address in addresses {
            space.ip(&format!("address add {address} dev lo"))?;
        }
        let root = scratch_file("root")?;
        fs::create_dir_all(root.join("etc"))?;
        fs::create_dir_all(root.join("log"))?;
        let made = Certificate::make(Algorithm::Ecdsa, "127.0.0.1".parse()?)?;
        for name in ["cert.pem", "fullchain.pem"] {
            fs::copy(&made.certificate, root.join("etc").join(name))?;
        }
        fs::copy(&made.key, root.join("etc/privkey.pem"))?;
        let conf = root.join("etc/turnserver.conf");
        fs::write(&conf, file.replace("ROOT", &root.display().to_string()))?;
        let mut command = command(Some(&space))?;
        command.arg("-c").arg(&conf).args(arguments);
        // Without a file for them, log lines would be looked for in the working folder.
        let server = Process::start(command.current_dir(&root), "deployed")?;
        Ok(Self {
            space,
            root,
            server,
        })
    }

    /// Allocates as soon as it answers.
    fn allocate(&mut self, at: &str, username: &str, password: &str) -> Result<SocketAddr> {
        let at: SocketAddr = at.parse()?;
        let mut client = self
            .space
            .inside(|| TurnClient::new(at, username, password))?;
        let output = || self.server.output();
        until("it answers", GENEROUS, || {
            client.is_alive().unwrap_or(false).then_some(())
        })
        .with_context(output)?;
        match client.allocate(None)? {
            Answer::Success {
                relayed: Some(relayed),
                ..
            } => Ok(relayed),
            answer => anyhow::bail!("{answer:?}: {}", self.server.output()),
        }
    }

    /// Allocates with a time-limited credential.
    fn allocate_timed(&mut self, at: &str, secret: &str) -> Result<SocketAddr> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let minted = turn_auth::rest::mint(secret.as_bytes(), "alice", 600, now, ':');
        self.allocate(at, &minted.username, &minted.password)
    }
}

fn content_of(folder: &Path) -> String {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.map(|file| fs::read_to_string(file.path()).unwrap_or_default());
    texts.collect()
}

/// Its log goes to the file and not to standard output; its certificate has no chain, and old TLS is switched off by hand.
#[test]
fn the_file_of_a_video_call_guide() {
    let file = "# /etc/turnserver.conf\nlistening-port=3478\ntls-listening-port=5349\n\n# External IP\nexternal-ip=203.0.113.10\n\n\
                # Relay IP\nrelay-ip=203.0.113.10\n\n# Port range for relay\nmin-port=49152\nmax-port=65535\n\n# Authentication\n\
                lt-cred-mech\nuser=username:password\n\n# Realm\nrealm=yourdomain.com\n\n# SSL certificates\ncert=ROOT/etc/cert.pem\n\
                pkey=ROOT/etc/privkey.pem\n\n# Logging\nlog-file=ROOT/log/turnserver.log\nverbose\n\n# Security\nno-tlsv1\nno-tlsv1_1\n\
                no-stdout-log\n";
    let mut deployed = Deployed::start(&["203.0.113.10/32"], file, &[]).unwrap();
    let relayed = deployed
        .allocate("203.0.113.10:3478", "username", "password")
        .unwrap();
    assert_eq!(relayed.ip().to_string(), "203.0.113.10");
    assert!((49_152..=65_535).contains(&relayed.port()));
    let log = || content_of(&deployed.root.join("log"));
    until("the session is in the log file", GENEROUS, || {
        (log().contains("Total auth threads") && log().contains("username")).then_some(())
    })
    .unwrap();
    assert!(
        log().contains("listening tls 203.0.113.10:5349"),
        "{}",
        log()
    );
    assert_eq!(deployed.server.output(), "");
}

#[test]
fn the_file_of_synapses_documentation() {
    let file = "use-auth-secret\nstatic-auth-secret=4f1c9e2b7a\nrealm=turn.matrix.org\nsyslog\nno-tcp-relay\n\
                denied-peer-ip=10.0.0.0-10.255.255.255\ndenied-peer-ip=192.168.0.0-192.168.255.255\n\
                denied-peer-ip=172.16.0.0-172.31.255.255\nno-multicast-peers\ndenied-peer-ip=0.0.0.0-0.255.255.255\n\
                denied-peer-ip=100.64.0.0-100.127.255.255\ndenied-peer-ip=127.0.0.0-127.255.255.255\ndenied-peer-ip=::1\n\
                denied-peer-ip=64:ff9b::-64:ff9b::ffff:ffff\ndenied-peer-ip=fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n\
                allowed-peer-ip=10.0.0.1\n\
                user-quota=12 # 4 streams per video call, so 12 streams = 3 simultaneous relayed calls per user.\ntotal-quota=1200\n\
                cert=ROOT/etc/fullchain.pem\npkey=ROOT/etc/privkey.pem\nexternal-ip=203.0.113.5\nexternal-ip=2001:db8::5\n\
                listening-ip=10.0.0.1\nlistening-ip=fd00::1\n";
    let addresses = ["10.0.0.1/32", "fd00::1/128"];
    let mut deployed = Deployed::start(&addresses, file, &[]).unwrap();
    let relayed = deployed
        .allocate_timed("10.0.0.1:3478", "4f1c9e2b7a")
        .unwrap();
    assert_eq!(relayed.ip().to_string(), "203.0.113.5");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let minted = turn_auth::rest::mint(b"4f1c9e2b7a", "bob", 600, now.as_secs(), ':');
    let at = "[fd00::1]:3478".parse().unwrap();
    let mut client = (deployed.space)
        .inside(|| TurnClient::new(at, &minted.username, &minted.password))
        .unwrap();
    let answer = client.allocate_v6().unwrap();
    assert!(
        matches!(answer, Answer::Success { relayed: Some(relayed), .. } if relayed.ip().to_string() == "2001:db8::5"),
        "{answer:?}"
    );
}

/// Over IPv6, `keep-address-family` gives an IPv6 address to a client that names no family.
#[test]
fn the_file_of_jitsis_package() {
    let file = "use-auth-secret\nkeep-address-family\nstatic-auth-secret=4f1c9e2b7a\nrealm=meet.example.org\n\
                cert=ROOT/etc/fullchain.pem\npkey=ROOT/etc/privkey.pem\nno-multicast-peers\nno-cli\nno-loopback-peers\n\
                no-tcp-relay\nno-tcp\nlistening-port=3478\ntls-listening-port=5349\nno-tlsv1\nno-tlsv1_1\n\
                # https://ssl-config.mozilla.org/#server=haproxy&version=2.1&config=intermediate\n\
                cipher-list=ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
                ECDHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256\n# without it there are errors when running on Ubuntu 20.04\n\
                dh2066\ndenied-peer-ip=0.0.0.0-0.255.255.255\ndenied-peer-ip=10.0.0.0-10.255.255.255\nsyslog\n";
    let mut deployed = Deployed::start(&["2001:db8::7/128"], file, &[]).unwrap();
    let relayed = deployed
        .allocate_timed("[2001:db8::7]:3478", "4f1c9e2b7a")
        .unwrap();
    assert!(relayed.is_ipv6(), "{relayed}");
}

#[test]
fn the_file_of_nextcloud_talks_documentation() {
    let file = "listening-port=3478\nfingerprint\nuse-auth-secret\nstatic-auth-secret=4f1c9e2b7a\nrealm=your.domain.tld\n\
                total-quota=0\nbps-capacity=0\nstale-nonce\nno-multicast-peers\ncert=ROOT/etc/fullchain.pem\npkey=ROOT/etc/privkey.pem\n\
                cipher-list=\"ECDH+AESGCM:DH+AESGCM\"\nlt-cred-mech # Only on coTURN below v4.5.0.8!\n";
    let mut deployed = Deployed::start(&["203.0.113.10/32"], file, &[]).unwrap();
    let relayed = deployed
        .allocate_timed("203.0.113.10:3478", "4f1c9e2b7a")
        .unwrap();
    assert_eq!(relayed.ip().to_string(), "203.0.113.10");
}

#[test]
fn the_file_of_big_blue_button() {
    let file = "listening-port=3478\nlistening-ip=10.0.0.5\nrelay-ip=10.0.0.5\nexternal-ip=203.0.113.5/10.0.0.5\nmin-port=32769\n\
                max-port=65535\nfingerprint\nlt-cred-mech\nuse-auth-secret\nstatic-auth-secret=4f1c9e2b7a\nrealm=bbb.example.org\n\
                keep-address-family\nno-cli\nallowed-peer-ip=10.0.0.5\ndenied-peer-ip=0.0.0.0-255.255.255.255\n\
                denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n";
    let mut deployed = Deployed::start(&["10.0.0.5/32"], file, &[]).unwrap();
    let relayed = deployed
        .allocate_timed("10.0.0.5:3478", "4f1c9e2b7a")
        .unwrap();
    assert_eq!(relayed.ip().to_string(), "203.0.113.5");
    assert!(relayed.port() >= 32_769);
}

/// The image adds these two arguments to those of its user; the file that it ships is all comments.
#[test]
fn the_arguments_of_the_docker_image() {
    let arguments = [
        "--log-file=stdout",
        "--external-ip=203.0.113.5",
        "--lt-cred-mech",
        "--user=guest:4f1c9e2b7a",
        "--realm=example.org",
        "--min-port=49160",
        "--max-port=49200",
    ];
    let mut deployed =
        Deployed::start(&["172.17.0.2/32"], "# listening-port=3478\n", &arguments).unwrap();
    let relayed = deployed
        .allocate("172.17.0.2:3478", "guest", "4f1c9e2b7a")
        .unwrap();
    assert_eq!(relayed.ip().to_string(), "203.0.113.5");
    assert!((49_160..=49_200).contains(&relayed.port()));
    assert!(deployed.server.output().contains("Total auth threads"));
}

/// Debian's file has every line commented out. coturn relays for anybody then; this is the one file that must be touched.
#[test]
fn debians_file_needs_a_mechanism_and_starts_with_one() {
    let file =
        "# Coturn TURN SERVER configuration file\n#listening-port=3478\n#lt-cred-mech\nsyslog\n";
    let mut bare = Deployed::start(&["203.0.113.10/32"], file, &[]).unwrap();
    let status = bare.server.wait(GENEROUS).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(
        bare.server.output().contains("static-auth-secret"),
        "{}",
        bare.server.output()
    );
    let with_user = format!("{file}lt-cred-mech\nuser=guest:4f1c9e2b7a\n");
    let mut deployed = Deployed::start(&["203.0.113.10/32"], &with_user, &[]).unwrap();
    deployed
        .allocate("203.0.113.10:3478", "guest", "4f1c9e2b7a")
        .unwrap();
}

/// The same deployment by variables and by TOML, for those who leave coturn's syntax.
#[test]
fn variables_and_toml_start_as_well() {
    let space = Namespace::new("variables").unwrap();
    space.ip("address add 203.0.113.10/32 dev lo").unwrap();
    let file = scratch_file("turnserver.toml").unwrap();
    fs::write(
        &file,
        "static-auth-secret = [\"4f1c9e2b7a\"]\nrealm = \"example.org\"\nmin-port = 50000\n",
    )
    .unwrap();
    let mut command = command(Some(&space)).unwrap();
    command.env("TURNSERVER_CONFIG_FILE", &file);
    command.env("TURNSERVER_MAX_PORT", "50000");
    let server = Process::start(&mut command, "variables").unwrap();
    let root = PathBuf::new();
    let mut deployed = Deployed {
        space,
        root,
        server,
    };
    let relayed = deployed
        .allocate_timed("203.0.113.10:3478", "4f1c9e2b7a")
        .unwrap();
    assert_eq!(relayed.to_string(), "203.0.113.10:50000");
}
