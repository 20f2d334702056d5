//! Sessions as a table for people. Names come from clients: what a terminal would obey is escaped.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use turn_server::control::answer::Session;

const HEAD: [&str; 8] = [
    "ID",
    "USER",
    "TRANSPORT",
    "CLIENT",
    "RELAYED",
    "AGE",
    "UP/DOWN",
    "PEERS",
];

/// Peers that are shown of one session.
const PEERS: usize = 4;

/// Writes all of them, under a head.
pub(super) fn write(out: &mut impl Write, sessions: &[Session]) -> io::Result<()> {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(sessions.iter().map(cells));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// One session in a line, without columns.
pub(super) fn line(session: &Session) -> String {
    cells(session).join("  ")
}

fn cells(session: &Session) -> [String; 8] {
    let relayed = session
        .relayed
        .iter()
        .map(|relayed| relayed.advertised.to_string());
    let relayed: Vec<String> = relayed.collect();
    let (up, down) = (
        session.traffic.from_client.bytes,
        session.traffic.to_client.bytes,
    );
    [
        session.id.clone(),
        session.user.escape_debug().to_string(),
        session.transport.name().to_owned(),
        session.client.to_string(),
        relayed.join(" "),
        age(session.age),
        format!("{}/{}", bytes(up), bytes(down)),
        peers(session),
    ]
}

fn peers(session: &Session) -> String {
    let shown = session.peers.iter().take(PEERS);
    let mut shown: Vec<String> = shown.map(|peer| peer.address.to_string()).collect();
    let more = session.peers.len().saturating_sub(PEERS);
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(" ")
}

/// Seconds as `3h05m`, `5m02s` or `7s`.
pub(super) fn age(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

/// Bytes as `999B`, `1.5kB` or `20.3GB`.
pub(super) fn bytes(count: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| count >= *unit) else {
        return format!("{count}B");
    };
    format!("{}.{}{name}", count / unit, count % unit * 10 / unit)
}

#[cfg(test)]
mod tests {
    use super::{age, bytes, cells};
    use turn_server::control::{
        answer::{Relayed, Session, Traffic},
        protocol::Transport,
    };

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0, 61, 3600 + 300].map(age),
            ["0s", "1m01s", "1h05m"].map(str::to_owned)
        );
        assert_eq!(
            [0, 999, 1_550, 20_399_999_999].map(bytes),
            ["0B", "999B", "1.5kB", "20.3GB"].map(str::to_owned)
        );
    }

    #[test]
    fn a_name_does_not_command_the_terminal() {
        let address = "127.0.0.1:1".parse().unwrap();
        let relayed = Relayed {
            local: address,
            advertised: address,
            expires_in: 1,
        };
        let session = Session {
            id: "1".to_owned(),
            user: "\u{1b}[2Jann\n".to_owned(),
            username: String::new(),
            transport: Transport::Udp,
            client: address,
            server: address,
            relay_transport: Transport::Udp,
            relayed: vec![relayed],
            peers: Vec::new(),
            age: 0,
            traffic: Traffic::default(),
        };
        assert!(!cells(&session).concat().chars().any(char::is_control));
    }
}
