//! Machines, the package for them, and coturn's client beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use e2e::machine::Machine;
use e2e::process::{run, scratch_file, target_folder, tests_folder, until};

/// A deadline for what takes a moment when the machine is idle.
pub(crate) const GENEROUS: Duration = Duration::from_secs(60);

/// The public address of every machine here.
pub(crate) const ADDRESS: &str = "203.0.113.10";

/// Builds the package, as that version. What nobody sends anywhere is not compressed.
pub(crate) fn package(version: &str) -> PathBuf {
    let folder = scratch_file("packages").unwrap();
    let mut build = Command::new(tests_folder().join("../systemd/deb/build"));
    build
        .arg(&folder)
        .env("VERSION", version)
        .env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    let programs = target_folder().canonicalize().unwrap().join("release");
    let printed = run(build.env("PROGRAMS", programs)).unwrap();
    PathBuf::from(printed.lines().last().unwrap())
}

/// The package that is tried.
pub(crate) fn ours() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| package("0.1.0"))
}

/// A machine at the public address.
pub(crate) fn machine() -> Machine {
    Machine::boot(&["203.0.113.10/24"]).unwrap()
}

/// Waits until a unit runs.
pub(crate) fn active(machine: &Machine, unit: &str) {
    until(&format!("{unit} is active"), GENEROUS, || {
        let state = machine.run(&format!("systemctl is-active {unit}"));
        state
            .ok()
            .filter(|state| state.trim() == "active")
            .map(drop)
    })
    .unwrap_or_else(|error| panic!("{error}: {}", journal(machine)));
}

/// The last lines of its journal.
pub(crate) fn journal(machine: &Machine) -> String {
    machine
        .run("journalctl --no-pager -n 60 -o cat")
        .unwrap_or_default()
}

/// What its systemd says of the relay's unit.
pub(crate) fn property(machine: &Machine, name: &str) -> String {
    let shown = machine.run(&format!("systemctl show -P {name} turnserver.service"));
    shown.unwrap().trim().to_owned()
}

/// Relays with coturn's client, which belongs to this machine and not to that one.
pub(crate) fn relays(machine: &Machine, flags: &[&str]) {
    let mut uclient = machine.beside("turnutils_uclient");
    uclient
        .args(["-y", "-c", "-n", "10"])
        .args(flags)
        .arg(ADDRESS);
    let report = run(&mut uclient).unwrap_or_else(|error| panic!("{error}: {}", journal(machine)));
    // How many are lost is other tests' matter: the first may come before the other client is ready for them.
    let received = report.rsplit_once("tot_recv_msgs=").unwrap().1;
    let received = received.split(|it: char| !it.is_ascii_digit()).next();
    assert!(received.unwrap().parse::<u32>().unwrap() >= 10, "{report}");
}

/// The number that this machine knows the only process of that name in the other one by.
pub(crate) fn host_process(machine: &Machine, name: &str) -> String {
    let inside = machine.run(&format!("systemctl show -P MainPID {name}.service"));
    let inside = inside.unwrap().trim().to_owned();
    let folders = fs::read_dir("/proc").unwrap().flatten();
    let found = folders.map(|entry| entry.path()).find(|path| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let named = status.lines().any(|line| line == format!("Name:\t{name}"));
        let numbered = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        named && numbered.is_some_and(|numbers| numbers.split_whitespace().nth(1) == Some(&inside))
    });
    found
        .as_deref()
        .and_then(Path::file_name)
        .unwrap()
        .to_string_lossy()
        .into_owned()
}
