//! Where clients are sent instead of being served.

use std::net::SocketAddr;

use crate::diagnostics::Report;
use crate::value::Named;
use crate::values::Values;

/// Ports of servers that are given without one.
const STUN_PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;

/// Lists the servers that clients are sent to, by the transport that they come over; nobody is sent anywhere while all are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// For all that no other list is for.
    pub any: Vec<Alternate>,
    /// For clients over UDP and DTLS.
    pub udp: Vec<Alternate>,
    /// For clients over TCP.
    pub tcp: Vec<Alternate>,
    /// For clients over TLS and DTLS.
    pub tls: Vec<Alternate>,
}

/// Describes a server that clients are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternate {
    /// Its address.
    pub server: SocketAddr,
    /// Its name, if it was given by name: clients over TLS expect it in the certificate then.
    pub domain: Option<String>,
}

impl Redirect {
    pub(super) fn build(values: &Values, report: &mut Report) -> Redirect {
        let mut list = |option: &str, port| {
            let given = values.list::<Named>(option);
            for named in &given {
                let ip = named.value.ip;
                if ip.is_loopback() {
                    report.warn(
                        named.origin.clone(),
                        format!("{option}: browsers do not go to {ip}, a loopback address"),
                    );
                }
            }
            let alternates = given.into_iter().map(|named| Alternate {
                server: SocketAddr::new(named.value.ip, named.value.port.unwrap_or(port)),
                domain: named.value.name,
            });
            alternates.collect()
        };
        Redirect {
            any: list("alternate-server", STUN_PORT),
            udp: list("udp-alternate-server", STUN_PORT),
            tcp: list("tcp-alternate-server", STUN_PORT),
            tls: list("tls-alternate-server", TLS_PORT),
        }
    }
}
