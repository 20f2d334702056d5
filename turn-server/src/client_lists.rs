//! The operator's lists of clients, for the state machines: each entry is for listeners that there are.

use std::net::SocketAddr;

use anyhow::bail;
use turn_config::{
    ClientRange,
    settings::{Clients, Settings},
};
use turn_proto::{ClientLists, IpRange, Listeners};

/// Listeners named in a message; a machine may have more addresses than anybody reads.
const NAMED: usize = 8;

/// Makes the lists for a server that listens here.
///
/// # Errors
/// Names an entry that is for no listener: whom it is to keep out would be served.
pub(crate) fn client_lists(
    settings: &Settings,
    listening: &[SocketAddr],
) -> anyhow::Result<ClientLists> {
    if let Some(lost) = lost(settings, listening).into_iter().next() {
        bail!(lost);
    }
    let Clients { allowed, denied } = &settings.clients;
    let of = |entries: &[ClientRange], listeners: turn_config::Listeners| -> Vec<IpRange> {
        let entries = entries.iter().filter(|entry| entry.listeners == listeners);
        let ranges = entries.map(|entry| entry.range);
        ranges
            .filter_map(|range| IpRange::new(range.first(), range.last()))
            .collect()
    };
    let all = turn_config::Listeners::All;
    let mut lists = ClientLists::new(&of(allowed, all), &of(denied, all));
    let mut done = Vec::new();
    for listeners in settings.clients.entries().map(|(_, entry)| entry.listeners) {
        let some = match listeners {
            turn_config::Listeners::All => continue,
            _ if done.contains(&listeners) => continue,
            turn_config::Listeners::OnPort(port) => Listeners::OnPort(port),
            turn_config::Listeners::At(at) => Listeners::At(at),
        };
        done.push(listeners);
        lists = lists.on(some, &of(allowed, listeners), &of(denied, listeners));
    }
    Ok(lists)
}

/// Says of each entry that is for no listener where it stands and what to do.
pub(crate) fn lost(settings: &Settings, listening: &[SocketAddr]) -> Vec<String> {
    let is_lost = |entry: &ClientRange| {
        let listeners = entry.listeners;
        listeners != turn_config::Listeners::All
            && !listening.iter().any(|at| listeners.includes(*at))
    };
    let lost = (settings.clients.entries()).filter(|(_, entry)| is_lost(entry));
    lost.map(|(option, entry)| {
        let place = settings.origin_of(option, entry).place();
        let there = listening.iter().take(NAMED).map(SocketAddr::to_string);
        let mut there: Vec<String> = there.collect();
        if listening.len() > NAMED {
            there.push(format!("{} more", listening.len() - NAMED));
        }
        let range = entry.range;
        format!(
            "{place}{option}={entry} is for a listener that there is not; there are {}. Write {range}@ADDRESS:PORT or {range}@PORT \
             with one of them, or {range} alone for all",
            there.join(", ")
        )
    })
    .collect()
}
