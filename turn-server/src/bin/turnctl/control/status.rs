//! How a server is, for people.

use std::io::{self, Write};

use turn_server::control::answer::Status;

use super::table::{age, bytes};

/// Writes a line for each thing.
pub(super) fn write(out: &mut impl Write, status: &Status) -> io::Result<()> {
    let sessions = &status.sessions;
    let total = sessions.udp + sessions.tcp + sessions.tls + sessions.dtls;
    let state = if status.draining {
        "draining: no new sessions"
    } else {
        "serving"
    };
    writeln!(
        out,
        "turnserver {}, process {}, up {}: {state}",
        status.version,
        status.pid,
        age(status.uptime)
    )?;
    for listening in &status.listening {
        writeln!(out, "listening    {listening}")?;
    }
    writeln!(
        out,
        "sessions     {total} (udp {}, tcp {}, tls {}, dtls {}), {} since the start",
        sessions.udp, sessions.tcp, sessions.tls, sessions.dtls, status.sessions_created
    )?;
    writeln!(out, "connections  {}", status.connections)?;
    writeln!(
        out,
        "relay ports  {} of {}",
        status.relay_ports_used, status.relay_ports
    )?;
    writeln!(
        out,
        "traffic      {} from clients, {} to clients, {} packets dropped",
        bytes(status.traffic.from_client.bytes),
        bytes(status.traffic.to_client.bytes),
        status.dropped
    )?;
    writeln!(out, "workers      {}", status.workers)?;
    writeln!(out, "log level    {}", status.log_level.name())
}
