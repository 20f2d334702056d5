//! The container's image as the stage `image` has built it from the Dockerfile: what it holds, and how it serves when it is run as the
//! compose files run it. Needs root, podman and runc.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use e2e::netns::Namespace;
use e2e::process::{run, scratch_file, target_folder, tests_folder, until};
use serde_json::Value;

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

const SECRET: &str = "4f1c9e2b7a";
const ADDRESS: &str = "203.0.113.10";

/// podman with the store of the stage, in a network of its own if one is given. (`ip netns exec` would hide the control groups.)
fn podman(space: Option<&Namespace>) -> Command {
    let mut command = match space {
        Some(space) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net=/run/netns/{}", space.name()));
            command.args(["--", "podman"]);
            command
        }
        None => Command::new("podman"),
    };
    command.arg("--root").arg(store());
    command.args(["--runroot", "/run/turnpike-images"]);
    command.args(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
    command
}

fn store() -> PathBuf {
    let target = target_folder().canonicalize().unwrap();
    target.join("e2e/images")
}

/// A service of a compose file.
fn service(compose: &str) -> Value {
    let file = tests_folder().join("../config/docker").join(compose);
    let mut python = Command::new("python3");
    python.args([
        "-c",
        "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))",
    ]);
    let read = run(python.arg(file)).expect("apt-get install python3-yaml");
    let read: Value = serde_json::from_str(&read).unwrap();
    read["services"]["turnserver"].clone()
}

fn words(list: &Value) -> Vec<&str> {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|word| word.as_str().unwrap()).collect()
}

/// A container that runs; dropped, it is gone.
struct Container {
    space: Namespace,
    name: String,
}

impl Container {
    /// Runs the image on a host at the public address, with what the compose file says.
    fn start(compose: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("turnpike-{}-{number}", std::process::id());
        let space = Namespace::new("docker").unwrap();
        space
            .ip(&format!("address add {ADDRESS}/32 dev lo"))
            .unwrap();
        let secret = scratch_file("secret").unwrap();
        fs::write(&secret, SECRET).unwrap();

        let service = service(compose);
        let mut start = podman(Some(&space));
        start.args(["run", "--detach", "--name", &name, "--read-only"]);
        // The limits of who starts it: a machine in a machine may not raise them.
        start.args(["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=512:512"]);
        if let Some(network) = service["network_mode"].as_str() {
            start.args(["--network", network]);
        }
        for port in words(&service["ports"]) {
            start.args(["--publish", port]);
        }
        for capability in words(&service["cap_drop"]) {
            start.args(["--cap-drop", capability]);
        }
        for option in words(&service["security_opt"]) {
            start.args(["--security-opt", option.trim_end_matches(":true")]);
        }
        // Podman knows no uid= for the file's tmpfs; with --read-only it gives /run memory of its own, owners as in the image.
        let inside = service["environment"]["TURNSERVER_STATIC_AUTH_SECRET_FILE"].as_str();
        let inside = inside.unwrap();
        start.arg("--volume");
        start.arg(format!("{}:{inside}:ro", secret.display()));
        start.arg(format!("--env=TURNSERVER_STATIC_AUTH_SECRET_FILE={inside}"));
        run(start.arg("turnpike").args(words(&service["command"]))).unwrap();
        let container = Self { space, name };
        until("it serves", GENEROUS, || {
            let log = container.podman(&["logs"]);
            log.contains("Total auth threads:").then_some(())
        })
        .unwrap_or_else(|error| panic!("{error}: {}", container.podman(&["logs"])));
        container
    }

    /// What podman says to a command about it.
    fn podman(&self, command: &[&str]) -> String {
        run(podman(Some(&self.space)).args(command).arg(&self.name)).unwrap()
    }

    /// Relays with coturn's client, at the host's public address.
    fn relays(&self) {
        let mut uclient = self.space.command("turnutils_uclient");
        uclient.args(["-y", "-c", "-n", "10", "-W", SECRET, ADDRESS]);
        let report = run(&mut uclient).unwrap();
        assert!(report.contains("Total lost packets 0"), "{report}");
        assert!(report.contains("tot_recv_msgs=20"), "{report}");
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut remove = podman(Some(&self.space));
        let _ = run(remove.args(["rm", "--force", "--time", "0", &self.name]));
    }
}

#[test]
fn the_image_is_nobodys_and_holds_nothing_but_the_programs() {
    let inspected = run(podman(None).args(["image", "inspect", "turnpike"])).unwrap();
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let config = &inspected[0]["Config"];
    assert_eq!(config["User"], "65534:65534");
    assert_eq!(words(&config["Entrypoint"]), ["/usr/bin/turnserver"]);
    assert_eq!(words(&config["Cmd"]), ["--log-file=stdout"]);
    assert_eq!(config["StopSignal"], "SIGUSR1");
    let healthy = words(&inspected[0]["Healthcheck"]["Test"]).join(" ");
    assert_eq!(healthy, "CMD /usr/bin/turnctl status");

    let tar = scratch_file("image.tar").unwrap();
    let made = run(podman(None).args(["create", "turnpike"])).unwrap();
    let mut export = podman(None);
    export.args(["export", "--output"]).arg(&tar);
    run(export.arg(made.trim())).unwrap();
    run(podman(None).args(["rm", made.trim()])).unwrap();
    let listed = run(Command::new("tar").arg("-tf").arg(&tar)).unwrap();
    let programs: BTreeSet<&str> = (listed.lines())
        .filter(|path| path.starts_with("usr/bin/") && !path.ends_with('/'))
        .collect();
    let ours = ["usr/bin/turnctl", "usr/bin/turnserver"];
    assert_eq!(programs, BTreeSet::from(ours));
    assert!(!listed.contains("bin/sh"), "{listed}");
}

/// It relays, is healthy, and drains when it is stopped.
#[test]
fn it_serves_on_the_hosts_network() {
    let container = Container::start("compose.yaml");
    container.relays();
    container.podman(&["healthcheck", "run"]);
    // Sessions that the client has left hold it back until they are over, or until patience is.
    container.podman(&["stop", "--time", "2"]);
    let log = container.podman(&["logs"]);
    assert!(log.contains("no new allocations are taken"), "{log}");
}

/// The ports that the file publishes, and none beside them.
#[test]
fn it_serves_behind_three_published_ports() {
    let container = Container::start("compose.one-port.yaml");
    let published = container.podman(&["port"]);
    assert_eq!(published.lines().count(), 3, "{published}");
    container.relays();
    container.podman(&["healthcheck", "run"]);
}
