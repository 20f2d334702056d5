//! coturn's client of RFC 5780, `turnutils_natdiscovery`: it asks a server from both of its addresses and ports how the NAT
//! in between behaves.
//!
//! Its exit code says nothing: what counts are the verdicts that it prints between two lines of equal signs.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::netns::Namespace;
use crate::process::Process;

/// Discovers how addresses are mapped and what is let in, and returns the verdicts in the order they are printed.
///
/// # Errors
/// When it is not installed, does not end within a minute, or reaches no verdict.
pub fn verdicts(space: Option<&Namespace>, server: IpAddr, port: u16) -> Result<Vec<String>> {
    let output = run(space, server, port, &["-m", "-f"])?;
    let verdicts = read(&output);
    ensure!(!verdicts.is_empty(), "no verdict in:\n{output}");
    Ok(verdicts)
}

/// Tells whether a mapping is still there after a second: a second socket asks for an answer to the port of the first
/// (RESPONSE-PORT), and that one gets it.
///
/// # Errors
/// When it is not installed or does not end within a minute.
pub fn mapping_lasts(space: Option<&Namespace>, server: IpAddr, port: u16) -> Result<bool> {
    let output = run(space, server, port, &["-t", "-T", "1"])?;
    Ok(output.matches("RFC 5780 response").count() == 2)
}

fn run(space: Option<&Namespace>, server: IpAddr, port: u16, what: &[&str]) -> Result<String> {
    const PROGRAM: &str = "turnutils_natdiscovery";
    let mut command = space.map_or_else(|| Command::new(PROGRAM), |space| space.command(PROGRAM));
    command.args(what);
    command.args(["-p", &port.to_string(), &server.to_string()]);
    let mut process = Process::start(&mut command, "natdiscovery")
        .context("it comes with: apt-get install coturn")?;
    process.wait(Duration::from_secs(60))?;
    Ok(process.output())
}

fn read(output: &str) -> Vec<String> {
    let lines = output.lines().map(str::trim);
    let verdicts = lines.filter(|line| line.contains("NAT") && line.contains('!'));
    verdicts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn verdicts_are_told_from_what_is_said_on_the_way() {
        let output = "-= Mapping Behavior Discovery =-\n\n========\nRFC 5780 response 1\nNo ALG: Mapped == XOR-Mapped\n\
                      ========\nNAT with Endpoint Independent Mapping!\n========\n";
        assert_eq!(
            super::read(output),
            ["NAT with Endpoint Independent Mapping!"]
        );
    }
}
