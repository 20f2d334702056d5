//! The clients of other signaling systems, as their authors publish them, in a browser: they meet through quickstart, and
//! what they tell each other takes its relay.
//!
//! The machine is a namespace, so that quickstart has its standard ports. Needs root.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::browser::{Kind, Page};
use e2e::call::Quickstart;
use e2e::nat::{Host, Internet};
use e2e::process::{Process, run, scratch_file, tests_folder};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(45);

/// A machine with quickstart, a development server, and a browser on the page that the latter serves.
struct Lab {
    page: Page,
    _development_server: Process,
    _quickstart: Quickstart,
    _host: Host,
    _internet: Internet,
}

impl Lab {
    /// Serves `page` from `clients/signaling` and `scripts` from the installed packages.
    fn new(kind: Kind, page: &str, scripts: &[&str]) -> Result<Self> {
        let folder = scratch_file(page)?;
        fs::create_dir_all(&folder)?;
        Self::in_folder(kind, page, scripts, folder)
    }

    /// The same beside what the folder holds already.
    fn in_folder(kind: Kind, page: &str, scripts: &[&str], folder: PathBuf) -> Result<Self> {
        let clients = tests_folder().join("clients");
        fs::copy(
            clients.join("signaling").join(page),
            folder.join("index.html"),
        )?;
        for script in scripts {
            let script = clients.join("node_modules").join(script);
            if !script.exists() {
                bail!(
                    "{} is missing: (cd tests/clients && npm ci)",
                    script.display()
                );
            }
            let name = script.file_name().context("a script is a file")?;
            fs::copy(&script, folder.join(name))?;
        }
        let internet = Internet::new()?;
        let host = internet.host("machine")?;
        let quickstart = Quickstart::start(&host.space)?;
        let development_server = development_server(&host, folder)?;
        let mut page = Page::open(&host.space, kind, "http://localhost:5173/")?;
        page.wait_for(
            "document.querySelector('main').dataset.state === 'ready'",
            PATIENCE,
        )?;
        Ok(Self {
            page,
            _development_server: development_server,
            _quickstart: quickstart,
            _host: host,
            _internet: internet,
        })
    }

    fn run(&mut self, scenario: &str) -> Result<Value> {
        self.page.evaluate(&format!("scenario.{scenario}()"))
    }

    /// Runs a scenario and compares what it says.
    fn says(&mut self, scenario: &str, expected: &Value) -> Result<()> {
        let said = self.run(scenario)?;
        ensure!(said == *expected, "{scenario}: {said}");
        Ok(())
    }
}

fn development_server(host: &Host, folder: PathBuf) -> Result<Process> {
    let mut command = host.space.command("python3");
    command
        .args(["-u", "-m", "http.server", "5173", "--bind", "127.0.0.1"])
        .arg("--directory")
        .arg(folder);
    let mut server = Process::start(&mut command, "development-server")?;
    server.wait_for_output(&["Serving HTTP"], PATIENCE)?;
    Ok(server)
}

fn peerjs(kind: Kind) -> Result<()> {
    let mut lab = Lab::new(kind, "peerjs.html", &["peerjs/dist/peerjs.min.js"])?;
    let data = lab.run("data")?;
    ensure!(data["back"] == "there and back", "{data}");
    ensure!(data["path"] == "relay to relay", "{data}");
    let id = data["id"].as_str().unwrap_or_default();
    ensure!(id.len() == 32, "a client without an id was given {id:?}");
    lab.says("media", &json!({"tracks": 2, "path": "relay to relay"}))?;
    let said = ["before and back", "after and back"];
    lab.says("reconnect", &json!({"id": "ann2", "said": said}))?;
    lab.says("takeOver", &json!("to the second and back"))?;
    lab.says("early", &json!("early and back"))?;
    let refused = lab.run("refused")?;
    ensure!(
        refused["taken"] == "unavailable-id"
            && refused["key"] == "invalid-key"
            && refused["absent"] == "peer-unavailable"
            && refused["list"] == "server-error",
        "{refused}"
    );
    Ok(())
}

#[test]
fn peerjs_clients_call_each_other_in_chromium() {
    peerjs(Kind::Chromium).unwrap();
}

#[test]
fn peerjs_clients_call_each_other_in_firefox() {
    peerjs(Kind::Firefox).unwrap();
}

/// The client of the older call service, taken out of its document and made JavaScript, not a line changed.
fn manager(kind: Kind) -> Result<()> {
    let documents = tests_folder().join("../../shared/seeds");
    let entries = fs::read_dir(&documents)
        .with_context(|| format!("{}: the documents are missing", documents.display()))?;
    let document = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("003_")
        })
        .context("no document begins with 003_")?;
    let folder = scratch_file("manager")?;
    fs::create_dir_all(&folder)?;
    let mut transpile = Command::new("node");
    transpile
        .arg(tests_folder().join("clients/signaling/transpile.mjs"))
        .arg(document)
        .arg("webrtc-manager.ts")
        .arg(folder.join("manager.js"));
    run(&mut transpile)?;
    let mut lab = Lab::in_folder(kind, "manager.html", &[], folder)?;
    let call = json!({
        "from": "ann", "type": "video", "same": true, "answered": "bob", "path": "relay to relay",
        "decoded": true, "said": "hello", "ended": "ann", "errors": [],
    });
    lab.says("call", &call)?;
    let expected = json!({"rejected": "dora", "error": "Recipient not available"});
    lab.says("rejectedAndAbsent", &expected)?;
    lab.says("refused", &json!("1008 Authentication failed"))
}

#[test]
fn the_older_service_s_own_client_calls_in_chromium() {
    manager(Kind::Chromium).unwrap();
}

#[test]
fn the_older_service_s_own_client_calls_in_firefox() {
    manager(Kind::Firefox).unwrap();
}

/// Presence and call requests by one package, media by the other, as the one-to-one application has it.
fn presence(kind: Kind) -> Result<()> {
    let scripts = [
        "socket.io-client/dist/socket.io.min.js",
        "peerjs/dist/peerjs.min.js",
    ];
    let mut lab = Lab::new(kind, "presence.html", &scripts)?;
    let expected = json!({
        "users": ["ann", "bob"], "arrived": ["cem"],
        "rejected": {"callId": "ann asks for audio", "from": "ann", "asked": "audio", "by": "cem"},
        "accepted": {"callId": "ann asks for video", "from": "ann", "asked": "video", "by": "bob"},
        "tracks": 2, "ended": "ann",
    });
    lab.says("calls", &expected)
}

#[test]
fn users_who_see_each_other_by_socket_io_call_by_peerjs_in_chromium() {
    presence(Kind::Chromium).unwrap();
}

#[test]
fn users_who_see_each_other_by_socket_io_call_by_peerjs_in_firefox() {
    presence(Kind::Firefox).unwrap();
}

fn socketio(kind: Kind) -> Result<()> {
    let scripts = [
        "socket.io-client/dist/socket.io.min.js",
        "simple-peer/simplepeer.min.js",
    ];
    let mut lab = Lab::new(kind, "socketio.html", &scripts)?;
    let video = json!({
        "from": "user_123", "fromName": "Jane Smith", "type": "video",
        "tracks": [2, 2], "data": "hello", "mute": "user_456", "end": "user_123",
    });
    lab.says("video", &video)?;
    let audio = json!({
        "type": "audio", "tracks": [1, 1], "transports": ["polling", "websocket"],
        "users": ["user_123", "user_456"], "offline": ["user_123"],
    });
    lab.says("audio", &audio)?;
    lab.says("refused", &json!("Authentication failed"))
}

#[test]
fn socket_io_clients_with_simple_peer_call_each_other_in_chromium() {
    socketio(Kind::Chromium).unwrap();
}

#[test]
fn socket_io_clients_with_simple_peer_call_each_other_in_firefox() {
    socketio(Kind::Firefox).unwrap();
}

/// Pages after the streaming document: one camera, three receivers, of whom one comes late and one leaves early.
fn stream(kind: Kind) -> Result<()> {
    let mut lab = Lab::new(kind, "stream.html", &[])?;
    let expected = json!({
        "ids": 3, "connections": 3, "relayed": [true, true, true], "after": [true, true], "errors": [],
    });
    lab.says("many", &expected)
}

#[test]
fn a_camera_reaches_three_receivers_in_chromium() {
    stream(Kind::Chromium).unwrap();
}
