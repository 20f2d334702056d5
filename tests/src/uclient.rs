//! coturn's own load client, `turnutils_uclient`, and the peer it talks to.
//!
//! Its exit code says little: what counts is how many messages it sent and how many came back.

use std::net::{IpAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::netns::Namespace;
use crate::process::Process;
use crate::server::free_port;

/// What a run of the client moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Messages sent towards the peer.
    pub sent: u64,
    /// Messages that came back.
    pub received: u64,
}

impl Totals {
    /// How many did not come back.
    pub fn lost(self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Checks that something was sent and that all of it came back.
    pub fn all_returned(self) -> bool {
        self.sent > 0 && self.sent == self.received
    }
}

/// Runs the client with `arguments`, inside `space` if one is given.
///
/// # Errors
/// When it is not installed, does not end within a minute or prints no totals.
pub fn uclient(space: Option<&Namespace>, arguments: &[&str]) -> Result<Totals> {
    uclient_within(space, arguments, Duration::from_secs(60))
}

/// Runs the client for longer: it takes an eighth of a second for each client to connect.
///
/// # Errors
/// As [`uclient`], with this time.
pub fn uclient_within(
    space: Option<&Namespace>,
    arguments: &[&str],
    patience: Duration,
) -> Result<Totals> {
    let mut process = Process::start(tool(space, "turnutils_uclient").args(arguments), "uclient")
        .context("it comes with: apt-get install coturn")?;
    process.wait(patience)?;
    let output = process.output();
    totals(&output)
        .with_context(|| format!("turnutils_uclient {arguments:?} printed no totals:\n{output}"))
}

/// Lets two clients send ten messages each to an echoing peer, all at `address`, through the server on `port` there.
///
/// `flags` say who they are and how they talk.
///
/// # Errors
/// As [`uclient`], and when a message does not come back.
pub fn exchange(address: IpAddr, port: u16, flags: &[&str]) -> Result<()> {
    let peer = Peer::start(None, address)?;
    let (host, port, peer_port) = (address.to_string(), port.to_string(), peer.port.to_string());
    let mut arguments = vec!["-n", "10", "-m", "2", "-c", "-p", &port, "-e", &host];
    arguments.extend(["-r", &peer_port]);
    arguments.extend(flags);
    arguments.extend(address.is_ipv6().then_some("-x"));
    arguments.push(&host);
    let totals = uclient(None, &arguments)?;
    ensure!(
        totals.all_returned(),
        "turnutils_uclient {arguments:?}: {totals:?}"
    );
    Ok(())
}

/// An echo server on UDP, `turnutils_peer`.
#[derive(Debug)]
pub struct Peer {
    /// The port it listens on.
    pub port: u16,
    _process: Process,
}

impl Peer {
    /// Starts a peer on a free port of `address`.
    ///
    /// # Errors
    /// When it is not installed or does not listen within ten seconds.
    pub fn start(space: Option<&Namespace>, address: IpAddr) -> Result<Self> {
        let find_port = move || free_port(address);
        let port: u16 = space.map_or_else(find_port, |space| space.inside(find_port))?;
        let mut command = tool(space, "turnutils_peer");
        command.args(["-v", "-L", &address.to_string(), "-p", &port.to_string()]);
        let process = Process::start(&mut command, "peer")
            .context("it comes with: apt-get install coturn")?;
        let bound = || {
            let probe = move || Ok(UdpSocket::bind((address, port)).is_err());
            space
                .map_or_else(probe, |space| space.inside(probe))
                .unwrap_or(false)
                .then_some(())
        };
        crate::process::until("turnutils_peer listens", Duration::from_secs(10), bound)?;
        Ok(Self {
            port,
            _process: process,
        })
    }
}

fn tool(space: Option<&Namespace>, program: &str) -> Command {
    space.map_or_else(|| Command::new(program), |space| space.command(program))
}

/// Reads the last `tot_send_msgs=N, tot_recv_msgs=N` of the output.
///
/// # Errors
/// When there is none.
pub fn totals(output: &str) -> Result<Totals> {
    let Some(line) = output
        .lines()
        .rev()
        .find(|line| line.contains("tot_send_msgs="))
    else {
        bail!("no line with tot_send_msgs");
    };
    Ok(Totals {
        sent: field(line, "tot_send_msgs=")?,
        received: field(line, "tot_recv_msgs=")?,
    })
}

fn field(line: &str, name: &str) -> Result<u64> {
    let (_, rest) = line
        .split_once(name)
        .with_context(|| format!("no {name} in {line}"))?;
    let digits: &str = rest
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    digits
        .parse()
        .with_context(|| format!("{name} is no number in {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_totals_count() {
        let output = "1: : start_mclient: msz=2, tot_send_msgs=0, tot_recv_msgs=0, tot_send_bytes ~ 0\n\
                      4: : start_mclient: tot_send_msgs=20, tot_recv_msgs=19\n4: : start_mclient: tot_send_bytes ~ 2000\n";
        let totals = totals(output).unwrap();
        assert_eq!(
            totals,
            Totals {
                sent: 20,
                received: 19
            }
        );
        assert!(!totals.all_returned());
    }

    #[test]
    fn a_run_that_moved_nothing_is_no_success() {
        assert!(totals("0: : ERROR: Cannot complete Allocation\n").is_err());
        assert!(
            !Totals {
                sent: 0,
                received: 0
            }
            .all_returned()
        );
    }
}
