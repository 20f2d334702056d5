//! TLS and DTLS: which files, and what is offered.

use std::fmt;
use std::path::PathBuf;

use super::{Listening, Profile};
use crate::diagnostics::Report;
use crate::environment::Environment;
use crate::search::{Found, find};
use crate::secret::Secret;
use crate::values::Values;

/// coturn's names for the files when none is given.
const DEFAULTS: [(&str, &str); 2] = [
    ("cert", "turn_server_cert.pem"),
    ("pkey", "turn_server_pkey.pem"),
];

/// Says how clients are served over TLS, or over DTLS.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// The port for it; 0: the system chooses.
    pub port: u16,
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// What the key is protected by, if it is.
    pub key_password: Option<Secret<String>>,
    /// Where copies of these files are, for a user who may not read them.
    pub copies: PathBuf,
    /// PEM file of those who may sign client certificates; given, each client must show one.
    pub client_authorities: Option<PathBuf>,
    /// Cipher suites in OpenSSL's notation.
    pub ciphers: Option<String>,
    /// Groups for the key exchange, in OpenSSL's notation.
    pub groups: Option<String>,
    /// Whether TLS 1.2 is offered besides 1.3.
    pub tls12: bool,
    /// The second port, beside that of NAT discovery (RFC 5780); `None` where discovery is off.
    pub alternate_port: Option<u16>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All but the password.
        f.debug_struct("Tls")
            .field("port", &self.port)
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .field("has_key_password", &self.key_password.is_some())
            .field("copies", &self.copies)
            .field("client_authorities", &self.client_authorities)
            .field("ciphers", &self.ciphers)
            .field("groups", &self.groups)
            .field("tls12", &self.tls12)
            .field("alternate_port", &self.alternate_port)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// For TLS, and for DTLS; `None` for what is not served: by the operator's word, or without a certificate.
    pub(super) fn build(
        values: &Values,
        listening: &Listening,
        profile: Profile,
        environment: &Environment<'_>,
        report: &mut Report,
    ) -> (Option<Tls>, Option<Tls>) {
        let (streams, datagrams) = (!values.flag("no-tls"), wants_dtls(values, report));
        let files = if streams || datagrams {
            files(values, profile, environment, report)
        } else {
            None
        };
        let Some([certificate, key]) = files else {
            say_off(values, listening, datagrams, report);
            return (None, None);
        };
        // It asked for what was on by itself once, and in coturn 4.17 it still does.
        if values.is_given("no-dtls") && !values.flag("no-dtls") && !datagrams {
            report.warn(
                values.origin("no-dtls"),
                "DTLS is off: what turns it on is dtls, not no-dtls=no",
            );
        }
        let file = |option| values.text(option).map(|name| located(&name, environment));
        let served = Tls {
            port: values.port("tls-listening-port").unwrap_or_default(),
            alternate_port: alternate_port(values, report),
            copies: copies(values),
            certificate,
            key,
            key_password: values.secret("pkey-pwd"),
            client_authorities: file("CA-file"),
            ciphers: values.text("cipher-list"),
            groups: values.text("ec-curve-name"),
            tls12: !values.flag("no-tlsv1_2"),
        };
        if datagrams && !served.tls12 {
            report.problem(
                values.origin("no-tlsv1_2"),
                "dtls serves DTLS 1.2, which is TLS 1.2 over UDP, and no-tlsv1_2 forbids that",
                "Remove one of them.",
            );
        }
        let tls = streams.then(|| served.clone());
        (tls, datagrams.then_some(served))
    }

    /// For the metrics (`prometheus-tls`), whether clients are served over TLS or not.
    pub(super) fn of_metrics(
        values: &Values,
        profile: Profile,
        environment: &Environment<'_>,
        report: &mut Report,
    ) -> Option<Tls> {
        let files = match METRICS.map(|option| values.text(option)) {
            [Some(certificate), Some(key)] => {
                [certificate, key].map(|name| located(&name, environment))
            }
            [None, None] => {
                let [Some(certificate), Some(key)] = found(values, profile, environment) else {
                    report.problem(
                        values.origin("prometheus-tls"),
                        "prometheus-tls is given, and there is no certificate",
                        "Add prometheus-cert=FILE and prometheus-key=FILE, or cert=FILE and pkey=FILE, or remove prometheus-tls.",
                    );
                    return None;
                };
                [certificate, key]
            }
            [given, _] => {
                let [here, absent] = match given {
                    Some(_) => METRICS,
                    None => [METRICS[1], METRICS[0]],
                };
                report.problem(
                    values.origin(here),
                    format!("{here} is given and {absent} is not"),
                    format!("Add {absent}=FILE, or remove {here}."),
                );
                return None;
            }
        };
        let [certificate, key] = files;
        Some(Tls {
            port: values.port("prometheus-port").unwrap_or_default(),
            certificate,
            key,
            key_password: values.secret("pkey-pwd"),
            copies: copies(values),
            client_authorities: None,
            ciphers: None,
            groups: None,
            tls12: true,
            alternate_port: None,
        })
    }
}

/// Certificate and key of the metrics.
const METRICS: [&str; 2] = ["prometheus-cert", "prometheus-key"];

fn copies(values: &Values) -> PathBuf {
    values
        .text("key-copies")
        .map(PathBuf::from)
        .unwrap_or_default()
}

/// The second port. Nothing is asked there that cannot be asked on the first, so its absence is no mistake.
fn alternate_port(values: &Values, report: &mut Report) -> Option<u16> {
    const OPTION: &str = "alt-tls-listening-port";
    if !values.flag("rfc5780") {
        if values.is_given(OPTION) && values.port(OPTION) != Some(0) {
            report.warn(
                values.origin(OPTION),
                format!("{OPTION} is opened only with rfc5780"),
            );
        }
        return None;
    }
    let port = values.port("tls-listening-port")?;
    match values.port(OPTION)? {
        0 if port == 0 => None,
        0 => port.checked_add(1),
        given => Some(given).filter(|given| *given != port),
    }
}

fn wants_dtls(values: &Values, report: &mut Report) -> bool {
    let (wanted, forbidden) = (values.flag("dtls"), values.flag("no-dtls"));
    if wanted && forbidden {
        report.warn(
            values.origin("no-dtls"),
            "DTLS is off: no-dtls is given, and it counts more than dtls",
        );
    }
    wanted && !forbidden
}

/// Certificate and key, both or neither.
fn files(
    values: &Values,
    profile: Profile,
    environment: &Environment<'_>,
    report: &mut Report,
) -> Option<[PathBuf; 2]> {
    let found = found(values, profile, environment);
    let refused = values.is_refused("cert") || values.is_refused("pkey");
    match found {
        [Some(certificate), Some(key)] => return Some([certificate, key]),
        [None, None] => {}
        // Of a file that lies there by chance and was not asked for, nothing is said.
        [Some(_), None] if values.is_given("cert") && !refused => report.problem(
            values.origin("cert"),
            "cert is given and pkey is not, so there is no key for TLS",
            "Add pkey=FILE with the key of that certificate, or remove cert.",
        ),
        [None, Some(_)] if values.is_given("pkey") && !refused => report.problem(
            values.origin("pkey"),
            "pkey is given and cert is not, so there is no certificate for TLS",
            "Add cert=FILE with the certificate and its chain, or remove pkey.",
        ),
        [Some(_), None] | [None, Some(_)] => {}
    }
    None
}

/// Certificate and key as they are named, or where coturn looks for those that are not.
fn found(values: &Values, profile: Profile, environment: &Environment<'_>) -> [Option<PathBuf>; 2] {
    DEFAULTS.map(|(option, default)| match values.text(option) {
        Some(name) => Some(located(&name, environment)),
        // Quickstart is to be the same wherever it is started.
        None if profile == Profile::Quickstart => None,
        None => match find(default, environment) {
            Found::File(path, _) | Found::Unreadable(path, _) => Some(path),
            Found::Nothing => None,
        },
    })
}

/// A name as it is, or the file that it means where configuration files are searched. What is not there stays as it was
/// written, for the message of who reads it.
fn located(name: &str, environment: &Environment<'_>) -> PathBuf {
    match find(name, environment) {
        Found::File(path, _) | Found::Unreadable(path, _) => path,
        Found::Nothing => PathBuf::from(name),
    }
}

/// Says that TLS is off where somebody seems to count on it.
fn say_off(values: &Values, listening: &Listening, datagrams: bool, report: &mut Report) {
    if datagrams {
        return report.problem(
            values.origin("dtls"),
            "dtls is given, and there is no certificate",
            "Add cert=FILE and pkey=FILE, or remove dtls.",
        );
    }
    let forbidden = values.flag("no-tls");
    let reason = if forbidden {
        "no-tls is given"
    } else {
        "there is no certificate; add cert=FILE and pkey=FILE"
    };
    for option in [
        "tls-listening-port",
        "CA-file",
        "cipher-list",
        "ec-curve-name",
    ] {
        if values.is_given(option) && !(forbidden && option == "tls-listening-port") {
            report.note(
                values.origin(option),
                format!(
                    "{option} has no effect: clients are not served over TLS, because {reason}"
                ),
            );
        }
    }
    if !listening.udp && !listening.tcp {
        report.problem(
            values.origin("no-tcp"),
            format!(
                "no-udp and no-tcp leave no way to reach the server: TLS is off, because {reason}"
            ),
            "Remove one of them, or set up TLS.",
        );
    }
}
