//! Sessions in the words that parsers of coturn's log know: one event may be several lines, as it is there.
//!
//! Where coturn names a session and not its client, the client's address stands at the end: `, remote ADDRESS:PORT`.

use std::fmt::Display;

use tracing::Level;
use turn_config::settings::LogShape;
use turn_proto::{Event, Path, Secured, SessionId, Traffic, Transport};

use super::{Manner, Record, words};

/// The number of nobody's session: coturn gives one to everybody who asks, and nothing is kept of strangers here.
const NOBODY: SessionId = SessionId(0);

impl Manner {
    /// The lines of an event.
    pub(super) fn lines(&self, event: &Event) -> Vec<Record> {
        match event {
            Event::Started { .. } => self.started(event),
            Event::Refreshed {
                session,
                path,
                user,
                lifetime,
                secured,
            } => {
                let (who, seconds) = (self.who(user), lifetime.as_secs());
                let cipher = cipher(*secured);
                infos([
                    format!("session {session}: refreshed, {who}, lifetime={seconds}{cipher}"),
                    self.success(*session, user, "REFRESH", path),
                ])
            }
            Event::Permitted {
                session,
                peer,
                lifetime,
                ..
            } => {
                let peer = self.privacy.address(peer.socket());
                let seconds = lifetime.as_secs();
                infos([format!(
                    "session {session}: peer {peer} lifetime updated: {seconds}"
                )])
            }
            Event::Forgotten { session, peer, .. } => {
                let peer = self.privacy.ip(peer.ip());
                infos([format!("session {session}: peer {peer} deleted")])
            }
            Event::Served {
                session,
                path,
                user,
                method,
            } => infos([self.success(session.unwrap_or(NOBODY), user, method, path)]),
            Event::Bound { path } => infos([self.success(NOBODY, "", "BINDING", path)]),
            Event::HalfEnded {
                session,
                relayed,
                reason,
            } => infos([format!(
                "session {session}: relayed {relayed} ended, reason: {reason}; the other goes on"
            )]),
            // The words that coturn has for it.
            Event::Moved {
                session,
                user,
                from,
                to,
            } => {
                let (who, was, is) = (self.who(user), self.remote(from), self.remote(to));
                infos([format!(
                    "session {session}: mobility handoff completed, {who}, {} {is}, from {} {was}",
                    to.transport, from.transport
                )])
            }
            Event::Ended { .. } => self.ended(event),
            Event::Refused { .. } => self.refused(event),
            Event::BindFailed { local, cause } => vec![Record {
                level: Level::WARN,
                text: format!(
                    "cannot bind relay address {local} ({cause:?}): clients get error 508; see --relay-ip, --min-port, --max-port \
                     and the limit of open files"
                ),
            }],
        }
    }

    fn started(&self, event: &Event) -> Vec<Record> {
        let Event::Started {
            session,
            path,
            user,
            relayed,
            second,
            lifetime,
            secured,
        } = event
        else {
            return Vec::new();
        };
        let (who, remote) = (self.who(user), self.remote(path));
        let client = self.privacy.address(path.client);
        let arrival = match path.transport {
            Transport::Udp | Transport::Dtls => format!(
                "handle_udp_packet: New UDP endpoint: local addr {}, remote addr {client}",
                path.server
            ),
            Transport::Tcp | Transport::Tls => {
                format!("{}. tcp or tls connected to: {client}", family(path.server))
            }
        };
        let relays = [Some(relayed), second.as_ref()].into_iter().flatten();
        let relays: Vec<_> = relays
            .map(|relayed| format!("{}. Local relay addr: {relayed}", family(*relayed)))
            .collect();
        let second = second.map_or_else(String::new, |second| format!(" and {second}"));
        let seconds = lifetime.as_secs();
        let mut lines = vec![arrival];
        lines.extend(relays);
        lines.push(format!(
            "session {session}: new, {who}, lifetime={seconds}{}, {} {remote}, relayed {relayed}{second}",
            cipher(*secured),
            path.transport
        ));
        lines.push(self.success(*session, user, "ALLOCATE", path));
        infos(lines)
    }

    fn ended(&self, event: &Event) -> Vec<Record> {
        let Event::Ended {
            session,
            path,
            user,
            reason,
            traffic,
        } = event
        else {
            return Vec::new();
        };
        let (who, remote, realm) = (self.who(user), self.remote(path), &self.realm);
        let name = self.name(user);
        let [client, peer] = usage(traffic);
        infos([
            format!("session {session}: usage: {who}, {client}"),
            format!("session {session}: peer usage: {who}, {peer}"),
            format!(
                "session {session}: closed (2nd stage), user <{name}> realm <{realm}> origin <>, local {}, {remote}, reason: \
                 {reason}",
                path.server
            ),
            format!("session {session}: delete: {who}"),
        ])
    }

    fn refused(&self, event: &Event) -> Vec<Record> {
        let Event::Refused {
            session,
            path,
            method,
            code,
            username,
        } = event
        else {
            return Vec::new();
        };
        let (session, remote) = (session.unwrap_or(NOBODY), self.remote(path));
        let name = username.as_deref().unwrap_or("");
        let (user, realm) = (self.name(name), &self.realm);
        let mut records = Vec::new();
        if *code == 401 {
            // The older ones name no session here.
            let place = match self.shape {
                LogShape::Coturn45 => String::new(),
                _ => format!("session {session}: "),
            };
            let is_account = self.accounts.iter().any(|account| account == name);
            let fault = if is_account {
                format!("user {user} credentials are incorrect")
            } else {
                format!("Cannot find credentials of user <{user}>")
            };
            records.push(Record {
                level: Level::ERROR,
                text: format!("{place}check_stun_auth: {fault}, {remote}"),
            });
        }
        records.extend(infos([format!(
            "session {session}: realm <{realm}> user <{user}>: incoming packet {method} processed, error {code}: {}, {remote}",
            words(*code)
        )]));
        records
    }

    fn success(&self, session: SessionId, user: &str, method: &str, path: &Path) -> String {
        let (user, realm, remote) = (self.name(user), &self.realm, self.remote(path));
        format!(
            "session {session}: realm <{realm}> user <{user}>: incoming packet {method} processed, success, {remote}"
        )
    }

    fn who(&self, user: &str) -> String {
        let (realm, user) = (&self.realm, self.name(user));
        format!("realm=<{realm}>, username=<{user}>")
    }

    /// A user's name may carry line ends; a log line is one line.
    fn name(&self, user: &str) -> String {
        self.privacy.user(user).escape_debug().to_string()
    }

    fn remote(&self, path: &Path) -> String {
        format!("remote {}", self.privacy.address(path.client))
    }
}

fn infos(lines: impl IntoIterator<Item = String>) -> Vec<Record> {
    let info = |text| Record {
        level: Level::INFO,
        text,
    };
    lines.into_iter().map(info).collect()
}

/// The words that coturn adds where the way is secured.
fn cipher(secured: Option<Secured>) -> String {
    secured.map_or_else(String::new, |secured| {
        format!(", cipher={}, method={}", secured.cipher, secured.protocol)
    })
}

fn family(address: std::net::SocketAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// What went from and to the client, and from and to its peers.
fn usage(traffic: &Traffic) -> [impl Display + use<>; 2] {
    let counts = |[rp, rb, sp, sb]: [u64; 4]| format!("rp={rp}, rb={rb}, sp={sp}, sb={sb}");
    [
        counts([
            traffic.client_received_packets,
            traffic.client_received_bytes,
            traffic.client_sent_packets,
            traffic.client_sent_bytes,
        ]),
        counts([
            traffic.peer_received_packets,
            traffic.peer_received_bytes,
            traffic.peer_sent_packets,
            traffic.peer_sent_bytes,
        ]),
    ]
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use tracing::Level;
    use turn_config::settings::{LogPrivacy, LogShape};
    use turn_proto::{EndReason, Event, LinkId, Path, SessionId, Traffic, Transport};

    use super::Manner;
    use crate::logging::Privacy;

    const SESSION: SessionId = SessionId(1_000_000_000_000_007);

    fn manner(shape: LogShape, privacy: LogPrivacy) -> Manner {
        Manner {
            shape,
            privacy: Privacy(privacy),
            realm: "r".to_owned(),
            accounts: vec!["ann".to_owned()],
        }
    }

    fn path() -> Path {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        Path {
            transport: Transport::Udp,
            link: LinkId(0),
            client: address("192.0.2.7:5000"),
            server: address("198.51.100.1:3478"),
        }
    }

    fn texts(manner: &Manner, event: &Event, is_verbose: bool) -> Vec<String> {
        let records = manner.records(event, is_verbose);
        records.into_iter().map(|record| record.text).collect()
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let event = Event::Refreshed {
            session: SESSION,
            path: path(),
            user: "eve>\nsession 9: new".into(),
            lifetime: Duration::from_secs(600),
            secured: None,
        };
        let lines = texts(&manner(LogShape::Coturn417, LogPrivacy::Full), &event, true);
        assert_eq!(
            lines[0],
            "session 001000000000000007: refreshed, realm=<r>, username=<eve>\\nsession 9: new>, lifetime=600"
        );
    }

    #[test]
    fn a_session_begins_and_ends_in_coturns_words_with_its_address() {
        let manner = manner(LogShape::Coturn417, LogPrivacy::Full);
        let started = Event::Started {
            session: SESSION,
            path: path(),
            user: "ann".into(),
            relayed: "198.51.100.1:50000".parse().unwrap(),
            second: None,
            lifetime: Duration::from_secs(600),
            secured: None,
        };
        assert_eq!(
            texts(&manner, &started, true),
            [
                "handle_udp_packet: New UDP endpoint: local addr 198.51.100.1:3478, remote addr 192.0.2.7:5000",
                "IPv4. Local relay addr: 198.51.100.1:50000",
                "session 001000000000000007: new, realm=<r>, username=<ann>, lifetime=600, UDP remote 192.0.2.7:5000, relayed \
                 198.51.100.1:50000",
                "session 001000000000000007: realm <r> user <ann>: incoming packet ALLOCATE processed, success, remote \
                 192.0.2.7:5000",
            ]
        );
        assert_eq!(texts(&manner, &started, false), [""; 0]);
        let ended = Event::Ended {
            session: SESSION,
            path: path(),
            user: "ann".into(),
            reason: EndReason::Expired,
            traffic: Traffic::default(),
        };
        assert_eq!(
            texts(&manner, &ended, true),
            [
                "session 001000000000000007: usage: realm=<r>, username=<ann>, rp=0, rb=0, sp=0, sb=0",
                "session 001000000000000007: peer usage: realm=<r>, username=<ann>, rp=0, rb=0, sp=0, sb=0",
                "session 001000000000000007: closed (2nd stage), user <ann> realm <r> origin <>, local 198.51.100.1:3478, remote \
                 192.0.2.7:5000, reason: allocation timeout",
                "session 001000000000000007: delete: realm=<r>, username=<ann>",
            ]
        );
    }

    fn refused(username: &str) -> Event {
        Event::Refused {
            session: None,
            path: path(),
            method: "ALLOCATE",
            code: 401,
            username: Some(username.into()),
        }
    }

    #[test]
    fn wrong_credentials_are_told_without_verbose_and_with_the_address() {
        let told = |shape, name| texts(&manner(shape, LogPrivacy::Full), &refused(name), false);
        assert_eq!(
            told(LogShape::Coturn417, "ann"),
            [
                "session 000000000000000000: check_stun_auth: user ann credentials are incorrect, remote 192.0.2.7:5000"
            ]
        );
        assert_eq!(
            told(LogShape::Coturn45, "eve"),
            ["check_stun_auth: Cannot find credentials of user <eve>, remote 192.0.2.7:5000"]
        );
        let manner = manner(LogShape::Coturn417, LogPrivacy::Full);
        let records = manner.records(&refused("eve"), true);
        assert_eq!(records[0].level, Level::ERROR);
        assert_eq!(
            records[1].text,
            "session 000000000000000000: realm <r> user <eve>: incoming packet ALLOCATE processed, error 401: Unauthorized, remote \
             192.0.2.7:5000"
        );
    }

    #[test]
    fn a_move_is_written_in_coturns_words_with_verbose_only() {
        let manner = manner(LogShape::Coturn417, LogPrivacy::Full);
        let moved = Event::Moved {
            session: SESSION,
            user: "ann".into(),
            from: path(),
            to: path(),
        };
        assert_eq!(texts(&manner, &moved, false), [""; 0]);
        let written = texts(&manner, &moved, true).concat();
        assert!(written.contains("mobility handoff completed"), "{written}");
    }

    #[test]
    fn no_line_tells_more_than_privacy_allows() {
        let events = [
            refused("caroline"),
            Event::Permitted {
                session: SESSION,
                user: "caroline".into(),
                peer: turn_proto::PeerAddr::of("203.0.113.9:9".parse().unwrap()).unwrap(),
                lifetime: Duration::from_secs(300),
            },
            Event::Forgotten {
                session: SESSION,
                user: "caroline".into(),
                peer: turn_proto::PeerAddr::of("203.0.113.9:9".parse().unwrap())
                    .unwrap()
                    .ip(),
            },
            Event::Served {
                session: Some(SESSION),
                path: path(),
                user: "caroline".into(),
                method: "CHANNEL_BIND",
            },
            Event::Moved {
                session: SESSION,
                user: "caroline".into(),
                from: path(),
                to: path(),
            },
            Event::Bound { path: path() },
        ];
        for shape in [LogShape::Coturn417, LogShape::Json] {
            for privacy in [
                LogPrivacy::Truncated,
                LogPrivacy::Hashed,
                LogPrivacy::Nothing,
            ] {
                for event in &events {
                    let lines = texts(&manner(shape, privacy), event, true).join("\n");
                    for personal in ["caroline", "192.0.2.7", "203.0.113.9", "5000"] {
                        assert!(!lines.contains(personal), "{privacy:?}: {lines}");
                    }
                }
            }
        }
    }
}
