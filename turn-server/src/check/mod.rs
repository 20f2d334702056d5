//! What will hurt although it can be used: the settings beside the machine that they are for (`--check-config`).
//!
//! In: one file per subject, each a pure function of [`Settings`] and [`Machine`]. Not in: what ends a start; the readers of
//! the configuration and the start itself say that.

mod certificate;
mod descriptors;
mod network;
mod secrets;

use std::{
    fs,
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Resource, getrlimit};
use turn_config::{Origin, Settings};

use crate::addresses;

/// What matters of the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The addresses of its interfaces.
    pub addresses: Vec<IpAddr>,
    /// The largest receive buffer that a socket may ask for, in bytes; `None` where the system does not say.
    pub largest_receive_buffer: Option<u64>,
    /// How many descriptors a process may have open at most.
    pub descriptors: u64,
    /// Whether this is the inside of a container.
    pub container: bool,
    /// The time, since 1970.
    pub now: Duration,
}

impl Machine {
    /// Looks at this machine.
    ///
    /// # Errors
    /// What the kernel says when it does not tell its addresses.
    pub fn here() -> std::io::Result<Self> {
        let number = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
        let marks = ["/.dockerenv", "/run/.containerenv"];
        Ok(Self {
            addresses: addresses::of_this_machine()?,
            largest_receive_buffer: number("/proc/sys/net/core/rmem_max"),
            descriptors: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
            container: marks.iter().any(|mark| Path::new(mark).exists()),
            now: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        })
    }
}

/// Explains the settings, with what the readers said of them and what this machine makes of them.
///
/// # Errors
/// What the kernel says when it does not tell its addresses.
pub fn report(settings: &Settings) -> std::io::Result<String> {
    Ok(settings.explain(&advice(settings, &Machine::here()?)))
}

/// What will hurt, a line each, with the place of the option and what to do.
pub fn advice(settings: &Settings, machine: &Machine) -> Vec<String> {
    let mut said = Said {
        settings,
        lines: Vec::new(),
    };
    network::ports(&mut said);
    network::foreign_addresses(machine, &mut said);
    network::external_address(machine, &mut said);
    network::client_lists(machine, &mut said);
    network::receive_buffer(machine, &mut said);
    descriptors::port_range(machine, &mut said);
    descriptors::published_ports(machine, &mut said);
    secrets::check(&mut said);
    certificate::check(machine, &mut said);
    said.lines
}

/// Collects what is said.
struct Said<'s> {
    settings: &'s Settings,
    lines: Vec<String>,
}

impl Said<'_> {
    /// Says something about `option`, at the place where it was given.
    fn of(&mut self, option: &str, text: impl std::fmt::Display) {
        self.at(self.settings.origin(option), format!("{option}: {text}"));
    }

    /// Says something about one value of a list, at the place where that was given.
    fn of_one(&mut self, option: &str, value: &impl ToString, text: impl std::fmt::Display) {
        let place = self.settings.origin_of(option, value);
        self.at(place, format!("{option}: {text}"));
    }

    fn at(&mut self, origin: Origin, text: String) {
        self.lines.push(format!("{}{text}", origin.place()));
    }
}
