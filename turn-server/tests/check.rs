//! What `--check-config` says will hurt, on machines made up for it.
// A panic in a test is its report, also in the helpers, which the lint does not recognise as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use turn_config::{Environment, Invocation, Settings};
use turn_server::check::{Machine, advice};

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

/// WebRTC's `AllowedTurnPort`.
#[test]
fn a_port_that_chrome_refuses() {
    let parts = |option| [option, "Chrome uses no TURN server on port 444"];
    assert_says(
        &[SECRET, "-p444"],
        &good(),
        &parts("command line, -p: listening-port"),
    );
    assert_says(
        &[SECRET, "--tcp-proxy-port=444"],
        &good(),
        &parts("tcp-proxy-port"),
    );
    assert_says(
        &[SECRET, "--aux-server=192.0.2.1:444"],
        &good(),
        &parts("aux-server"),
    );
    for allowed in ["-p53", "-p80", "-p443", "-p1024", "-p0"] {
        assert_silent(&[SECRET, allowed], &good());
    }
}

/// The Fetch standard's bad ports.
#[test]
fn a_port_on_which_no_browser_speaks_http() {
    let flags = |port| {
        [
            SECRET.to_owned(),
            "--http-api-key=2f0c9d1be4a7385f6c".to_owned(),
            "--http-listen=127.0.0.1:8081".to_owned(),
            format!("--http-listen=127.0.0.1:{port}"),
        ]
    };
    let bad = flags(6000);
    assert_says(
        &bad.each_ref().map(String::as_str),
        &good(),
        &["command line, --http-listen: http-listen", "port 6000"],
    );
    assert_silent(&flags(8080).each_ref().map(String::as_str), &good());
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

#[test]
fn lists_of_clients_for_listeners_that_there_will_not_be() {
    assert_says(
        &[SECRET, "--denied-client-ip=10.0.0.1@444"],
        &good(),
        &[
            "command line, --denied-client-ip: denied-client-ip=10.0.0.1@444 is for a listener that there is not",
            "there are 127.0.0.1:3478",
        ],
    );
    assert_silent(&[SECRET, "--denied-client-ip=10.0.0.1@3478"], &good());
}

#[test]
fn an_external_address_that_is_missing_behind_a_nat() {
    assert_says(
        &[SECRET],
        &natted(),
        &[
            "external-ip is not set",
            "clients are told 10.0.0.5",
            "external-ip=PUBLIC/10.0.0.5",
        ],
    );
    assert_says(
        &[SECRET, "-E10.0.0.7"],
        &good(),
        &["command line, -E", "clients are told 10.0.0.7"],
    );
    assert_says(
        &[SECRET, "-L100.64.1.2"],
        &good(),
        &["clients are told 100.64.1.2"],
    );
    assert_silent(&[SECRET, "-X203.0.113.5"], &natted());
    assert_silent(&["--stun-only"], &natted());
}

#[test]
fn an_external_address_that_is_none() {
    for (address, kind) in [
        ("10.1.1.1", "a private address (RFC 1918)"),
        ("127.0.0.1", "a loopback address"),
        ("100.127.255.255", "a carrier's shared address"),
        ("fd00::1", "a private address (RFC 4193)"),
    ] {
        let flag = format!("-X{address}");
        assert_says(
            &[SECRET, &flag],
            &good(),
            &["command line, -X: external-ip", address, kind],
        );
    }
}

#[test]
fn a_receive_buffer_that_the_kernel_does_not_give() {
    let small = Machine {
        largest_receive_buffer: Some(212_992),
        ..good()
    };
    assert_says(
        &[SECRET],
        &small,
        &["sock-buf-size", "212992", "net.core.rmem_max=2097152"],
    );
    assert_silent(&[SECRET, "--sock-buf-size=212992"], &small);
    assert_silent(
        &[SECRET],
        &Machine {
            largest_receive_buffer: None,
            ..good()
        },
    );
}

#[test]
fn a_port_range_above_the_limit_of_descriptors() {
    let few = Machine {
        descriptors: 4096,
        ..good()
    };
    assert_says(
        &[SECRET],
        &few,
        &["16384 relay ports", "4096 files", "LimitNOFILE=16448"],
    );
    let range = ["--min-port=50000", "--max-port=54031"];
    assert_silent(&[SECRET, range[0], range[1]], &few);
    assert_says(
        &[SECRET, range[0], "--max-port=54032"],
        &few,
        &[
            "command line, --min-port: min-port=50000",
            "4033 relay ports",
        ],
    );
    assert_silent(&[SECRET, "--multiplex-peer"], &few);
}

#[test]
fn a_big_range_of_ports_that_docker_would_publish() {
    let docker = Machine {
        addresses: ["127.0.0.1", "172.17.0.2"]
            .map(|ip| ip.parse().unwrap())
            .to_vec(),
        container: true,
        ..good()
    };
    let external = "-X203.0.113.5";
    assert_says(
        &[SECRET, external],
        &docker,
        &["publishing 16384 ports", "--network host", "multiplex-peer"],
    );
    assert_silent(&[SECRET, external, "--multiplex-peer"], &docker);
    assert_silent(
        &[SECRET, external, "--min-port=50000", "--max-port=50100"],
        &docker,
    );
    // On the network of its host, nothing is published.
    assert_silent(
        &[SECRET],
        &Machine {
            container: true,
            ..good()
        },
    );
}

#[test]
fn secrets_that_can_be_guessed() {
    for (secret, why) in [
        ("north", "short enough"),
        ("0123456789abcde", "short enough"),
        ("YOUR_SECRET_GOES_HERE", "a word of samples"),
        ("my-secret-for-turn-2024", "a word of samples"),
        ("abababababababababab", "hardly any different"),
    ] {
        let flag = format!("--static-auth-secret={secret}");
        assert_says(
            &[SECRET, &flag],
            &good(),
            &["command line, --static-auth-secret", why],
        );
    }
    for (account, why) in [
        ("username:password", "a word of samples"),
        ("alice:short", "short enough"),
        ("alicealice:alicealice", "it is the name"),
    ] {
        let name = account.split(':').next().unwrap();
        assert_says(
            &["-u", account],
            &good(),
            &["command line, -u: user", &format!("{name:?}"), why],
        );
    }
    assert_says(
        &[SECRET, "--stateless-nonce-secret=x"],
        &good(),
        &["stateless-nonce-secret"],
    );
    let http = [
        "--http-listen=127.0.0.1:8081",
        "--http-api-key=changeme-changeme",
    ];
    assert_says(
        &[SECRET, http[0], http[1]],
        &good(),
        &["http-api-key", "one of the keys"],
    );
    let said = advice(
        &settings(&["--static-auth-secret=north", "-ubob:pw"]),
        &good(),
    )
    .concat();
    assert!(!said.contains("north") && !said.contains("pw"), "{said}");
}

#[test]
fn a_secret_in_a_file_that_can_be_guessed() {
    let folder = Folder::new("secret");
    let file = folder.write("secrets", "2f0c9d1be4a7385f6c\nnorth\n");
    let flag = format!("--static-auth-secret-file={file}");
    assert_says(
        &[SECRET, &flag],
        &good(),
        &["static-auth-secret-file: it is short enough"],
    );
}

/// No mechanism at all ends the start, as `bad_configuration.rs` and `checks.rs` show; this is the one on purpose.
#[test]
fn a_relay_for_everybody() {
    assert_says(
        &["-z"],
        &good(),
        &["no-auth", "anybody who reaches this server"],
    );
}

#[test]
fn a_certificate_without_its_chain() {
    let folder = Folder::new("chain");
    let made = Made::valid(0, 90);
    let key = folder.write("privkey.pem", &made.key);
    let alone = folder.write("cert.pem", &made.leaf);
    let with = |cert: &str| {
        [
            SECRET.to_owned(),
            format!("--cert={cert}"),
            format!("--pkey={key}"),
        ]
    };
    let flags = with(&alone);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert_says(
        &flags,
        &good(),
        &[
            "command line, --cert: cert",
            "one certificate",
            "append the certificates",
        ],
    );
    let full = folder.write("fullchain.pem", &format!("{}{}", made.leaf, made.authority));
    assert_says(
        &flags,
        &good(),
        &["cert.pem holds one certificate", &format!("name {full}")],
    );
    let flags = with(&full);
    assert_silent(
        &flags.iter().map(String::as_str).collect::<Vec<_>>(),
        &good(),
    );
    // One that signs itself has no chain.
    let itself = folder.write("own.pem", &made.authority);
    let flags = with(&itself);
    assert_silent(
        &flags.iter().map(String::as_str).collect::<Vec<_>>(),
        &good(),
    );
}

#[test]
fn a_certificate_whose_days_are_over_or_nearly_or_to_come() {
    let folder = Folder::new("days");
    for (begins, ends, says) in [
        (-90, -3, "expired 3 days ago; renew it"),
        (-80, 10, "days; look why it has not been renewed"),
        (2, 90, "is not valid yet; look at the clock"),
    ] {
        let made = Made::valid(begins, ends);
        let cert = folder.write("c.pem", &format!("{}{}", made.leaf, made.authority));
        let key = folder.write("k.pem", &made.key);
        let flags = [SECRET, &format!("--cert={cert}"), &format!("--pkey={key}")];
        assert_says(&flags, &good(), &["cert: ", says]);
        // That of the metrics, if it is another one.
        let own = [
            "--prometheus",
            "--prometheus-tls",
            &format!("--prometheus-cert={cert}"),
            &format!("--prometheus-key={key}"),
        ];
        let flags = [&[SECRET][..], &own].concat();
        assert_says(&flags, &good(), &["prometheus-cert: ", says]);
        // DTLS alone shows it as well.
        let flags = [
            SECRET,
            "--no-tls",
            "--dtls",
            &format!("--cert={cert}"),
            &format!("--pkey={key}"),
        ];
        assert_says(&flags, &good(), &["cert: ", says]);
    }
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

/// A certificate that an authority signed, all in PEM.
struct Made {
    leaf: String,
    authority: String,
    key: String,
}

impl Made {
    /// Valid from so many days from now until so many days from now.
    fn valid(begins: i64, ends: i64) -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["turn.example.org".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "turn.example.org");
        let day = |days: i64| SystemTime::now() + offset(days) - offset(-days);
        params.not_before = day(begins).into();
        params.not_after = day(ends).into();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        Self {
            leaf: leaf.pem(),
            authority: authority.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// The part of so many days that lies ahead.
fn offset(days: i64) -> Duration {
    Duration::from_secs(u64::try_from(days).unwrap_or(0) * 86_400)
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
