//! What the signaling unit promises: users come in, a reload takes other secrets, a drain and a stop send them away in words.

use std::fs;
use std::time::Duration;

use e2e::machine::Machine;
use e2e::process::{Process, tests_folder, until};

use super::support::{GENEROUS, active, host_process, journal, machine, ours};

/// Somebody at the signaling service of a machine, with a token that this secret has signed.
fn guest(machine: &Machine, secret: &str) -> Process {
    let mut node = machine.beside("node");
    node.arg(tests_folder().join("clients/signaling/guest.mjs"))
        .args(["8080", secret]);
    Process::start(&mut node, "guest").unwrap()
}

fn says(guest: &mut Process, words: &str, machine: &Machine) {
    guest
        .wait_for_output(&[words], GENEROUS)
        .unwrap_or_else(|error| panic!("{error}: {}", journal(machine)));
}

/// The signaling unit: users come in, a reload takes other secrets and keeps them, a drain sends them elsewhere, and so does the end.
#[test]
fn signaling_lives_by_its_unit() {
    const SECRETS: [&str; 2] = [
        "3f9d0c1b5a7e4826b1d4f60a9c8e7352",
        "a41c77e09b3d4f5286ce10fd92b35e68",
    ];
    let machine = machine();
    let ours = machine.take(ours()).unwrap();
    machine.run(&format!("apt-get install -y {ours}")).unwrap();
    // The unit's user is made up at each start, and reads what everybody on this machine may.
    let new_secret = |secret| machine.write("/etc/signaling-secret", secret).unwrap();
    new_secret(SECRETS[0]);
    let flags = "--auth=jwt --jwt-secret-file=/etc/signaling-secret";
    let drop_in = format!("[Service]\nEnvironment=\"SIGNALING_FLAGS={flags}\"\n");
    let place = "/etc/systemd/system/signaling.service.d/override.conf";
    machine.write(place, &drop_in).unwrap();
    machine
        .run("systemctl daemon-reload && systemctl enable --now signaling")
        .unwrap_or_else(|error| panic!("{error}: {}", journal(&machine)));
    active(&machine, "signaling");
    let shows = |name: &str| {
        let shown = machine.run(&format!("systemctl show -P {name} signaling.service"));
        shown.unwrap().trim().to_owned()
    };
    let process = shows("MainPID");
    let mut ann = guest(&machine, SECRETS[0]);
    says(&mut ann, "in as ann", &machine);

    // The unit as it runs, and not as it is written.
    let exposure =
        machine.run("systemd-analyze --no-pager --threshold=9 security signaling.service");
    assert!(exposure.unwrap().contains("Overall exposure level"));
    assert_eq!(shows("DynamicUser"), "yes");
    let status = fs::read_to_string(format!(
        "/proc/{}/status",
        host_process(&machine, "signaling")
    ));
    let status = status.unwrap();
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");

    new_secret(SECRETS[1]);
    machine.run("systemctl reload signaling").unwrap();
    until("the other secret", GENEROUS, || {
        let mut guest = guest(&machine, SECRETS[1]);
        guest
            .wait_for_output(&["in as ann"], Duration::from_secs(2))
            .ok()
    })
    .unwrap_or_else(|error| panic!("{error}: {}", journal(&machine)));
    let mut refused = guest(&machine, SECRETS[0]);
    says(&mut refused, "out with 1008", &machine);
    assert_eq!(shows("MainPID"), process);
    assert!(!ann.output().contains("out"), "{}", ann.output());

    machine
        .run("systemctl kill --kill-whom=main --signal=USR1 signaling")
        .unwrap();
    says(&mut ann, "out with 1012", &machine);
    until("it is there again", GENEROUS, || {
        (shows("NRestarts") == "1" && shows("ActiveState") == "active").then_some(())
    })
    .unwrap_or_else(|error| panic!("{error}: {}", journal(&machine)));
    assert_ne!(shows("MainPID"), process);
    let mut ann = guest(&machine, SECRETS[1]);
    says(&mut ann, "in as ann", &machine);

    machine.run("systemctl stop signaling").unwrap();
    says(&mut ann, "out with 1001", &machine);
    assert_eq!(shows("Result"), "success");
    let kept = machine.run("find /var/lib/private/signaling -name calls.sqlite -perm 600");
    assert!(kept.unwrap().contains("calls.sqlite"));
}
