//! The container's image, laid out by the Dockerfile's own step and run as nobody on nothing but itself; and the manifests, each
//! with arguments that the server takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::netns::Namespace;
use e2e::process::{Process, run, scratch_file, target_folder, tests_folder};
use serde_json::Value;

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

/// An old release that clusters still run, and the newest whose schemas there are.
const KUBERNETES: [&str; 2] = ["1.29.0", "1.37.0"];

const MANIFESTS: [&str; 4] = [
    "docker/compose.yaml",
    "docker/compose.one-port.yaml",
    "kubernetes/host-network.yaml",
    "kubernetes/one-port.yaml",
];

fn config(name: &str) -> PathBuf {
    tests_folder().join("../config").join(name)
}

/// What the server is started with.
fn arguments(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(config(manifest)).unwrap();
    let flags = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- --"));
    flags.map(|flag| format!("--{flag}")).collect()
}

/// The image as `docker build` leaves it.
fn image() -> PathBuf {
    let root = scratch_file("image").unwrap();
    let mut assemble = Command::new(config("docker/assemble"));
    run(assemble.arg(target_folder().join("release")).arg(&root)).unwrap();
    fs::create_dir(root.join("secret")).unwrap();
    fs::write(root.join("secret/static-auth-secret"), "4f1c9e2b7a\n").unwrap();
    root
}

/// Each manifest's arguments start the server in the image as nobody, on a network of its own with the addresses that the manifest speaks of; coturn's client relays.
#[test]
fn the_image_serves_as_nobody_with_the_arguments_of_each_manifest() {
    let image = image();
    for manifest in MANIFESTS {
        let space = Namespace::new("pod").unwrap();
        space.ip("address add 203.0.113.10/32 dev lo").unwrap();
        let mut chroot = space.command("chroot");
        chroot
            .args(["--userspec=65534:65534", "--groups="])
            .arg(&image);
        chroot.arg("/usr/bin/turnserver");
        chroot
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let text = fs::read_to_string(config(manifest)).unwrap();
        if text.contains("TURNSERVER_STATIC_AUTH_SECRET_FILE: /run/secrets/static-auth-secret") {
            chroot.env(
                "TURNSERVER_STATIC_AUTH_SECRET_FILE",
                "/secret/static-auth-secret",
            );
        }
        for argument in arguments(manifest) {
            chroot.arg(argument.replace("$(NODE_ADDRESS)", "203.0.113.10"));
        }
        let mut process = Process::start(&mut chroot, "contained").unwrap();
        process
            .wait_for_output(&["Total auth threads:"], GENEROUS)
            .unwrap();
        let mut uclient = space.command("turnutils_uclient");
        uclient.args(["-y", "-c", "-n", "10", "-W", "4f1c9e2b7a", "203.0.113.10"]);
        let report = run(&mut uclient).unwrap();
        assert!(
            report.contains("Total lost packets 0"),
            "{manifest}: {report}"
        );
        if arguments(manifest)
            .iter()
            .any(|flag| flag == "--prometheus")
        {
            let mut health = space.command("curl");
            let at = if manifest.starts_with("docker") {
                "127.0.0.1"
            } else {
                "203.0.113.10"
            };
            health.args(["-sf", &format!("http://{at}:9641/readyz")]);
            assert_eq!(run(&mut health).unwrap(), "ready\n");
        }
        // What HEALTHCHECK asks.
        let mut healthy = space.command("chroot");
        healthy
            .args(["--userspec=65534:65534", "--groups="])
            .arg(&image);
        run(healthy.args(["/usr/bin/turnctl", "status"])).unwrap();
    }
}

/// The ports that a manifest opens are those that the server's arguments use, and no range of thousands is published.
#[test]
fn manifests_open_the_ports_that_their_arguments_use_and_no_more() {
    for manifest in ["docker/compose.one-port.yaml", "kubernetes/one-port.yaml"] {
        let text = fs::read_to_string(config(manifest)).unwrap();
        assert!(arguments(manifest).contains(&"--multiplex-peer-port=3480".to_owned()));
        assert!(arguments(manifest).contains(&"--multiplex-peer-ports=1".to_owned()));
        let opens = |port: &str| {
            text.contains(&format!("\"{port}:{port}/udp\""))
                || text.contains(&format!("protocol: UDP, port: {port}"))
        };
        assert!(opens("3478") && opens("3480"), "{manifest}");
        assert!(!text.contains("49152"), "{manifest}");
    }
    for manifest in ["docker/compose.yaml", "kubernetes/host-network.yaml"] {
        let text = fs::read_to_string(config(manifest)).unwrap();
        assert!(text.contains("network_mode: host") || text.contains("hostNetwork: true"));
        assert!(!text.contains("ports:"), "{manifest}");
    }
}

/// No secret that everybody knows, no root, nothing writable, in any of them; and the Dockerfile names its base by a version.
#[test]
fn manifests_and_image_are_as_closed_as_the_unit() {
    for manifest in MANIFESTS {
        let text = fs::read_to_string(config(manifest)).unwrap();
        let is_read_only =
            text.contains("read_only: true") || text.contains("readOnlyRootFilesystem: true");
        assert!(
            is_read_only && text.to_lowercase().contains("drop: [all]"),
            "{manifest}"
        );
        assert!(
            !text.contains("privileged: true") && !text.contains("latest"),
            "{manifest}"
        );
        if text.contains("stringData") {
            assert!(text.contains("replace-this"), "{manifest}");
        }
    }
    let dockerfile = fs::read_to_string(config("docker/Dockerfile")).unwrap();
    assert!(dockerfile.contains("USER 65534:65534") && dockerfile.contains("FROM scratch"));
    let base = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("ARG RUST_IMAGE=rust:"))
        .unwrap();
    assert!(
        base.split('-').next().unwrap().split('.').count() == 3,
        "{base}"
    );
}

/// The documents of a manifest, read by PyYAML.
fn documents(manifest: &str) -> Vec<Value> {
    let mut python = Command::new("python3");
    python.args([
        "-c",
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))",
    ]);
    let text = run(python.arg(config(manifest))).expect("apt-get install python3-yaml");
    let Value::Array(documents) = serde_json::from_str(&text).unwrap() else {
        panic!("{text}")
    };
    documents
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

/// What `kubectl` would refuse, or what would select nobody: names that lead nowhere, ports that no container has.
#[test]
fn kubernetes_manifests_hang_together() {
    for manifest in ["kubernetes/host-network.yaml", "kubernetes/one-port.yaml"] {
        let documents = documents(manifest);
        for document in &documents {
            for field in ["apiVersion", "kind"] {
                assert!(document[field].is_string(), "{manifest}: {document}");
            }
            assert_eq!(document["metadata"]["name"], "turnserver", "{manifest}");
        }
        let of_kind = |kind: &str| documents.iter().find(|document| document["kind"] == kind);
        let workload = of_kind("Deployment").or(of_kind("DaemonSet")).unwrap();
        let template = &workload["spec"]["template"];
        let labels = &template["metadata"]["labels"];
        assert_eq!(labels, &workload["spec"]["selector"]["matchLabels"]);
        let pod = &template["spec"];
        let [container] = list(pod, "containers") else {
            panic!("{manifest}: {pod}")
        };
        let secrets = of_kind("Secret").unwrap();
        for mount in list(container, "volumeMounts") {
            let mut volumes = list(pod, "volumes").iter();
            let volume = volumes.find(|volume| volume["name"] == mount["name"]);
            let secret = &volume.unwrap()["secret"]["secretName"];
            assert!(secret.is_null() || *secret == secrets["metadata"]["name"]);
        }
        let ports = list(container, "ports");
        for probe in ["readinessProbe", "livenessProbe"] {
            let port = &container[probe]["httpGet"]["port"];
            let named = ports.iter().any(|open| open["name"] == *port);
            assert!(named || *port == 9641, "{manifest}: {probe} at {port}");
        }
        if let Some(service) = of_kind("Service") {
            assert_eq!(&service["spec"]["selector"], labels);
            let published = list(&service["spec"], "ports");
            // The answer to the question of port ranges: three ports, each of which the container opens.
            assert_eq!(published.len(), 3);
            for port in published {
                let is_open = ports.iter().any(|open| {
                    open["containerPort"] == port["targetPort"]
                        && open["protocol"] == port["protocol"]
                });
                assert!(is_open, "{manifest}: {port}");
            }
        } else {
            // Nothing stands before a pod on its node's network, and each of the range's ports is the node's own.
            assert_eq!(pod["hostNetwork"], true);
            assert!(ports.is_empty());
        }
    }
}

/// A linter that the stage `tools` installs.
fn linter(name: &str) -> Command {
    Command::new(target_folder().join("e2e/venv/bin").join(name))
}

const INSTALL: &str = "tests/run tools";

/// What Kubernetes' own schemas say, strictly: no field that they do not know.
fn validate(manifest: &Path, version: &str) -> anyhow::Result<String> {
    let mut validate = linter("kubernetes-validate");
    validate.args(["--strict", "--kubernetes-version", version]);
    run(validate.arg(manifest))
}

#[test]
fn kubernetes_own_schemas_accept_the_manifests_and_nothing_misspelt() {
    for manifest in ["kubernetes/host-network.yaml", "kubernetes/one-port.yaml"] {
        for version in KUBERNETES {
            validate(&config(manifest), version).expect(INSTALL);
        }
        let text = fs::read_to_string(config(manifest)).unwrap();
        let misspelt = scratch_file("misspelt.yaml").unwrap();
        fs::write(
            &misspelt,
            text.replace("readinessProbe:", "readynessProbe:"),
        )
        .unwrap();
        let error = validate(&misspelt, KUBERNETES[0]).unwrap_err().to_string();
        assert!(error.contains("readynessProbe"), "{error}");
    }
}

#[test]
fn hadolint_has_nothing_to_say_of_the_dockerfile() {
    let mut hadolint = linter("hadolint");
    let said = run(hadolint.arg(config("docker/Dockerfile"))).expect(INSTALL);
    assert_eq!(said, "");
}

/// What `docker compose config` would refuse, and how many ports are published.
#[test]
fn compose_files_hang_together() {
    for (manifest, published) in [
        ("docker/compose.yaml", 0),
        ("docker/compose.one-port.yaml", 3),
    ] {
        let documents = documents(manifest);
        let service = &documents[0]["services"]["turnserver"];
        for secret in list(service, "secrets") {
            assert!(documents[0]["secrets"][secret.as_str().unwrap()]["file"].is_string());
        }
        let context = config(manifest).parent().unwrap().join("../..");
        let dockerfile = service["build"]["dockerfile"].as_str().unwrap();
        assert!(context.join(dockerfile).exists(), "{dockerfile}");
        assert_eq!(list(service, "ports").len(), published, "{manifest}");
        assert_eq!(service["network_mode"] == "host", published == 0);
    }
}

/// The order and the names that `docker build` asks for, without a Docker here.
#[test]
fn the_dockerfile_is_one() {
    let text = fs::read_to_string(config("docker/Dockerfile")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let known = [
        "ARG",
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "USER",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    ];
    let mut stages = Vec::new();
    for line in &lines {
        let (instruction, rest) = line.split_once(' ').unwrap();
        assert!(known.contains(&instruction), "{line}");
        if let Some((_, name)) = rest.split_once(" AS ").filter(|_| instruction == "FROM") {
            stages.push(name);
        }
        if let Some(rest) = rest.strip_prefix("--from=") {
            let stage = rest.split(' ').next().unwrap();
            assert!(stages.contains(&stage), "{line}");
        }
        // Those that are run have no shell: the image has none.
        if ["ENTRYPOINT", "CMD"].contains(&instruction) {
            assert!(serde_json::from_str::<Vec<String>>(rest).is_ok(), "{line}");
        }
    }
    let place = |begin: &str| {
        lines
            .iter()
            .position(|line| line.starts_with(begin))
            .unwrap()
    };
    assert!(place("FROM scratch") < place("USER") && place("USER") < place("ENTRYPOINT"));
}
