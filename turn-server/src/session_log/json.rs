//! Sessions as objects of JSON: one event, one object, with the same member for the same thing in all of them.

use serde_json::{Map, Value, json};
use tracing::Level;
use turn_proto::{Event, Path};

use super::{Manner, Record, words};

impl Manner {
    /// The members of the object of an event, without its braces: time and level come before them.
    pub(super) fn object(&self, event: &Event) -> Record {
        let (level, members) = match event {
            Event::BindFailed { .. } => (Level::WARN, self.trouble(event)),
            Event::Refused { code: 401, .. } => (Level::ERROR, self.trouble(event)),
            Event::Refused { .. } => (Level::INFO, self.trouble(event)),
            _ => (Level::INFO, self.progress(event)),
        };
        let object = members.to_string();
        let inner = object.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        Record {
            level,
            text: inner.unwrap_or_default().to_owned(),
        }
    }

    fn progress(&self, event: &Event) -> Value {
        match event {
            Event::Started {
                session,
                path,
                user,
                relayed,
                second,
                lifetime,
                secured,
            } => self.told(
                "allocation_created",
                Some(path),
                json!({
                    "session": session.to_string(),
                    "user": self.privacy.user(user),
                    "relayed": relayed.to_string(),
                    "second_relayed": second.map(|second| second.to_string()),
                    "lifetime": lifetime.as_secs(),
                    "cipher": secured.map(|secured| secured.cipher),
                    "tls": secured.map(|secured| secured.protocol),
                }),
            ),
            Event::Refreshed {
                session,
                path,
                user,
                lifetime,
                ..
            } => self.told(
                "allocation_refreshed",
                Some(path),
                json!({
                    "session": session.to_string(),
                    "user": self.privacy.user(user),
                    "lifetime": lifetime.as_secs(),
                }),
            ),
            Event::Permitted {
                session,
                user,
                peer,
                lifetime,
            } => self.told(
                "peer_permitted",
                None,
                json!({
                    "session": session.to_string(),
                    "user": self.privacy.user(user),
                    "peer": self.privacy.address(peer.socket()),
                    "lifetime": lifetime.as_secs(),
                }),
            ),
            Event::Forgotten {
                session,
                user,
                peer,
            } => self.told(
                "peer_forgotten",
                None,
                json!({
                    "session": session.to_string(),
                    "user": self.privacy.user(user),
                    "peer": self.privacy.ip(peer.ip()),
                }),
            ),
            Event::Served {
                session,
                path,
                user,
                method,
            } => self.told(
                "request_served",
                Some(path),
                json!({
                    "session": session.map(|session| session.to_string()),
                    "user": self.privacy.user(user),
                    "method": method,
                }),
            ),
            Event::Bound { path } => self.told("binding_answered", Some(path), json!({})),
            Event::HalfEnded {
                session,
                relayed,
                reason,
            } => self.told(
                "relayed_address_ended",
                None,
                json!({
                    "session": session.to_string(),
                    "relayed": relayed.to_string(),
                    "reason": reason.name(),
                }),
            ),
            Event::Moved {
                session,
                user,
                from,
                to,
            } => self.told(
                "client_moved",
                Some(to),
                json!({
                    "session": session.to_string(),
                    "user": self.privacy.user(user),
                    "from": self.privacy.address(from.client),
                    "from_transport": from.transport.to_string(),
                }),
            ),
            Event::Ended {
                session,
                path,
                user,
                reason,
                traffic,
            } => self.told(
                "allocation_ended",
                Some(path),
                json!({
                    "session": session.to_string(),
                    "user": self.privacy.user(user),
                    "reason": reason.name(),
                    "from_client_packets": traffic.client_received_packets,
                    "from_client_bytes": traffic.client_received_bytes,
                    "to_client_packets": traffic.client_sent_packets,
                    "to_client_bytes": traffic.client_sent_bytes,
                    "from_peers_packets": traffic.peer_received_packets,
                    "from_peers_bytes": traffic.peer_received_bytes,
                    "to_peers_packets": traffic.peer_sent_packets,
                    "to_peers_bytes": traffic.peer_sent_bytes,
                }),
            ),
            Event::Refused { .. } | Event::BindFailed { .. } => self.trouble(event),
        }
    }

    fn trouble(&self, event: &Event) -> Value {
        match event {
            Event::Refused {
                session,
                path,
                method,
                code,
                username,
            } => self.told(
                "request_refused",
                Some(path),
                json!({
                    "session": session.map(|session| session.to_string()),
                    "user": username.as_deref().map(|name| self.privacy.user(name)),
                    "method": method,
                    "code": code,
                    "error": words(*code),
                }),
            ),
            Event::BindFailed { local, cause } => self.told(
                "relay_address_not_bound",
                None,
                json!({
                    "relayed": local.to_string(),
                    "cause": format!("{cause:?}"),
                    "message": "clients get error 508; see relay-ip, min-port, max-port and the limit of open files",
                }),
            ),
            _ => json!({}),
        }
    }

    /// An object with what all of them have; members without a value are left out.
    fn told(&self, event: &str, path: Option<&Path>, more: Value) -> Value {
        let mut members = Map::new();
        members.insert("event".to_owned(), event.into());
        members.insert("realm".to_owned(), self.realm.clone().into());
        if let Some(path) = path {
            let client = self.privacy.address(path.client);
            members.insert("client".to_owned(), client.into());
            members.insert("server".to_owned(), path.server.to_string().into());
            members.insert("transport".to_owned(), path.transport.to_string().into());
        }
        if let Value::Object(more) = more {
            members.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
        }
        Value::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use turn_config::settings::{LogPrivacy, LogShape};
    use turn_proto::{Event, LinkId, Path, SessionId, Transport};

    use super::Manner;
    use crate::logging::Privacy;

    #[test]
    fn an_event_is_an_object_whatever_its_user_is_called() {
        let manner = Manner {
            shape: LogShape::Json,
            privacy: Privacy(LogPrivacy::Full),
            realm: "r".to_owned(),
            accounts: Vec::new(),
        };
        let event = Event::Refreshed {
            session: SessionId(7),
            path: Path {
                transport: Transport::Tls,
                link: LinkId(0),
                client: "[2001:db8::1]:5".parse().unwrap(),
                server: "[2001:db8::2]:5349".parse().unwrap(),
            },
            user: "eve\",\"user\":\"ann\n".into(),
            lifetime: Duration::from_secs(600),
            secured: None,
        };
        let record = manner.object(&event);
        let object: Value = serde_json::from_str(&format!("{{{}}}", record.text)).unwrap();
        assert_eq!(
            object,
            json!({
                "event": "allocation_refreshed",
                "realm": "r",
                "client": "[2001:db8::1]:5",
                "server": "[2001:db8::2]:5349",
                "transport": "TLS/TCP",
                "session": "000000000000000007",
                "user": "eve\",\"user\":\"ann\n",
                "lifetime": 600,
            })
        );
    }
}
