//! Sessions again and again: all of them first, then what has changed. `+` is new, `-` has ended, `~` has moved data, peers or
//! addresses.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    process::ExitCode,
    thread,
    time::Duration,
};

use turn_server::control::{answer::Session, protocol::Which};

use super::{client::Client, sessions, table};

/// What has become of a session between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    New,
    Moved,
    Ended,
}

/// Watches until the server or the reader of `out` goes away.
pub(super) fn run(
    client: &mut Client,
    out: &mut impl Write,
    which: &Which,
    every: Duration,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut held = by_id(sessions(client, which)?);
    if json {
        for session in held.values() {
            write(out, Change::New, session, json)?;
        }
    } else {
        table::write(out, &held.values().cloned().collect::<Vec<_>>())?;
    }
    loop {
        out.flush()?;
        thread::sleep(every);
        let now = by_id(sessions(client, which)?);
        for (change, session) in changes(&held, &now) {
            write(out, change, session, json)?;
        }
        held = now;
    }
}

fn by_id(sessions: Vec<Session>) -> BTreeMap<String, Session> {
    let named = sessions.into_iter();
    named.map(|session| (session.id.clone(), session)).collect()
}

fn changes<'a>(
    before: &'a BTreeMap<String, Session>,
    now: &'a BTreeMap<String, Session>,
) -> impl Iterator<Item = (Change, &'a Session)> {
    let ended = before.iter().filter(|(id, _)| !now.contains_key(*id));
    let ended = ended.map(|(_, session)| (Change::Ended, session));
    let others = now
        .iter()
        .filter_map(move |(id, session)| match before.get(id) {
            None => Some((Change::New, session)),
            Some(held) => has_moved(held, session).then_some((Change::Moved, session)),
        });
    ended.chain(others)
}

/// Time alone is no change.
fn has_moved(before: &Session, now: &Session) -> bool {
    before.traffic != now.traffic
        || before.peers != now.peers
        || (before.transport, before.client) != (now.transport, now.client)
        || before.relayed.len() != now.relayed.len()
}

fn write(out: &mut impl Write, change: Change, session: &Session, json: bool) -> io::Result<()> {
    let (sign, name) = match change {
        Change::New => ('+', "new"),
        Change::Moved => ('~', "moved"),
        Change::Ended => ('-', "ended"),
    };
    if json {
        let line = serde_json::json!({ "change": name, "session": session });
        return writeln!(out, "{line}");
    }
    writeln!(out, "{sign} {}", table::line(session))
}

#[cfg(test)]
mod tests {
    use turn_server::control::{
        answer::{Session, Traffic},
        protocol::Transport,
    };

    use super::{Change, by_id, changes};

    fn session(id: &str, bytes: u64, age: u64) -> Session {
        let address = "127.0.0.1:1".parse().unwrap();
        let mut traffic = Traffic::default();
        traffic.from_client.bytes = bytes;
        Session {
            id: id.to_owned(),
            user: "ann".to_owned(),
            username: "ann".to_owned(),
            transport: Transport::Udp,
            client: address,
            server: address,
            relay_transport: Transport::Udp,
            relayed: Vec::new(),
            peers: Vec::new(),
            age,
            traffic,
        }
    }

    #[test]
    fn what_has_changed_is_told_and_nothing_else() {
        let before = by_id(vec![
            session("a", 1, 1),
            session("b", 1, 1),
            session("c", 1, 1),
        ]);
        let now = by_id(vec![
            session("b", 1, 2),
            session("c", 2, 2),
            session("d", 0, 0),
        ]);
        let changed: Vec<_> = changes(&before, &now)
            .map(|(change, session)| (change, session.id.as_str()))
            .collect();
        assert_eq!(
            changed,
            [
                (Change::Ended, "a"),
                (Change::Moved, "c"),
                (Change::New, "d")
            ]
        );
    }
}
