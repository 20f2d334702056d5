//! Real browsers, one per value, driven through `browsers/page.mjs` by one JSON line per question and answer.
//!
//! What the pages offer to a test (`window.turnpike`, `main[data-state]`) is the pages' contract; this file only asks.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::certificate::Authority;
use crate::netns::Namespace;
use crate::process::{scratch_file, tests_folder};

/// How long a browser may take to answer what does not wait for the network.
const ANSWER: Duration = Duration::from_secs(60);
/// How long it may take to start and to show a page; Firefox makes a profile first, which is slow on a busy machine.
const OPEN: Duration = Duration::from_secs(120);

/// Which browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Debian's Chromium.
    Chromium,
    /// Debian's Firefox ESR.
    Firefox,
}

/// What one page has measured about one of its peers; the counters only grow.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PeerStats {
    /// Video frames sent.
    pub frames_sent: u64,
    /// Video frames decoded.
    pub frames_decoded: u64,
    /// Bytes received over the connection's transport.
    pub bytes_received: u64,
    /// Our side of the selected candidate pair: `host`, `srflx`, `prflx` or `relay`.
    pub local_candidate_type: Option<String>,
    /// The other side of the pair.
    pub remote_candidate_type: Option<String>,
    /// What our side speaks to the relay: `udp`, `tcp` or `tls`.
    pub relay_protocol: Option<String>,
}

/// A browser with one page open.
#[derive(Debug)]
pub struct Page {
    driver: Child,
    questions: Option<ChildStdin>,
    answers: Receiver<String>,
    profile: PathBuf,
    name: String,
}

impl Page {
    /// Starts a browser inside `space` and opens `url`.
    ///
    /// # Errors
    /// When node, the driver's packages or the browser are missing, or the page does not load.
    pub fn open(space: &Namespace, kind: Kind, url: &str) -> Result<Self> {
        Self::open_trusting(space, kind, url, None)
    }

    /// As [`Page::open`], in a browser whose user has told it to trust one more authority.
    ///
    /// # Errors
    /// As [`Page::open`], and when the authority cannot be entered.
    pub fn open_trusting(
        space: &Namespace,
        kind: Kind,
        url: &str,
        authority: Option<&Authority>,
    ) -> Result<Self> {
        Self::launch(space, kind, url, authority, "granted")
    }

    /// As [`Page::open`], in a browser whose user allows neither camera nor microphone.
    ///
    /// # Errors
    /// As [`Page::open`].
    pub fn open_refusing(space: &Namespace, kind: Kind, url: &str) -> Result<Self> {
        Self::launch(space, kind, url, None, "refused")
    }

    fn launch(
        space: &Namespace,
        kind: Kind,
        url: &str,
        authority: Option<&Authority>,
        devices: &str,
    ) -> Result<Self> {
        if !tests_folder().join("browsers/node_modules").exists() {
            bail!("the browser driver is not installed: (cd tests/browsers && npm ci)");
        }
        let (browser, executable, package) = match kind {
            Kind::Chromium => ("chrome", "/usr/bin/chromium", "chromium"),
            Kind::Firefox => ("firefox", "/usr/bin/firefox-esr", "firefox-esr"),
        };
        if !std::path::Path::new(executable).exists() {
            bail!("{executable} is missing: apt-get install {package}");
        }
        let profile = scratch_file("profile")?;
        let mut node = space.command("node");
        if let Some(authority) = authority {
            match kind {
                // Chromium reads what the user trusts from below the home folder, which here is the test's.
                Kind::Chromium => {
                    authority.nss_database(&profile.join("home/.pki/nssdb"))?;
                    node.env("HOME", profile.join("home"));
                }
                Kind::Firefox => authority.nss_database(&profile)?,
            }
        }
        let mut driver = node
            .arg(tests_folder().join("browsers/page.mjs"))
            .args([browser, executable])
            .arg(&profile)
            .arg(url)
            .arg(devices)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot start the browser driver; it needs node 20")?;
        let questions = driver.stdin.take();
        let stdout = driver.stdout.take().context("stdout was piped")?;
        let mut page = Self {
            driver,
            questions,
            answers: lines_of(stdout),
            profile,
            name: format!("{kind:?} in {}", space.name()),
        };
        page.answer(OPEN)
            .with_context(|| format!("{} did not open {url}", page.name))?;
        Ok(page)
    }

    /// Evaluates a JavaScript expression in the page; a promise is awaited.
    ///
    /// # Errors
    /// When it throws, or gives nothing within a minute.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        self.ask(&json!({ "evaluate": expression }), ANSWER)
    }

    /// Waits until an expression is true.
    ///
    /// # Errors
    /// When it is not within `within`; the message carries the page's own account of itself.
    pub fn wait_for(&mut self, expression: &str, within: Duration) -> Result<()> {
        let milliseconds = u64::try_from(within.as_millis())?;
        self.ask(
            &json!({ "waitFor": expression, "timeout": milliseconds }),
            within + ANSWER,
        )
        .map(drop)
    }

    /// Waits until `main[data-state]` says `connected`.
    ///
    /// # Errors
    /// When it does not within `within`.
    pub fn connected(&mut self, within: Duration) -> Result<()> {
        self.wait_for(
            "document.querySelector('main')?.dataset.state === 'connected'",
            within,
        )
    }

    /// Asks for the measurements, one per peer.
    ///
    /// # Errors
    /// When the page does not keep to its contract.
    pub fn stats(&mut self) -> Result<Vec<PeerStats>> {
        let stats = self.evaluate("window.turnpike.stats()")?;
        serde_json::from_value(stats.clone())
            .with_context(|| format!("{}: not the contract's stats: {stats}", self.name))
    }

    /// Asks for the measurements of the only peer.
    ///
    /// # Errors
    /// When there is not exactly one peer.
    pub fn peer_stats(&mut self) -> Result<PeerStats> {
        let mut stats = self.stats()?;
        match (stats.pop(), stats.len()) {
            (Some(only), 0) => Ok(only),
            _ => bail!("{}: expected one peer: {stats:?}", self.name),
        }
    }

    /// Sends a chat message over the data channel.
    ///
    /// # Errors
    /// When the page refuses.
    pub fn send_chat(&mut self, text: &str) -> Result<()> {
        self.evaluate(&format!("window.turnpike.sendChat({})", json!(text)))
            .map(drop)
    }

    /// Waits until a chat message has come in.
    ///
    /// # Errors
    /// When it has not within `within`.
    pub fn received_chat(&mut self, text: &str, within: Duration) -> Result<()> {
        self.wait_for(
            &format!(
                "JSON.stringify(window.turnpike.received).includes({})",
                json!(text)
            ),
            within,
        )
    }

    fn ask(&mut self, question: &Value, within: Duration) -> Result<Value> {
        let input = self.questions.as_mut().context("the page is closed")?;
        writeln!(input, "{question}")
            .and_then(|()| input.flush())
            .with_context(|| format!("{}: the driver is gone", self.name))?;
        self.answer(within)
    }

    fn answer(&mut self, within: Duration) -> Result<Value> {
        let line = match self.answers.recv_timeout(within) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => bail!("{}: no answer within {within:?}", self.name),
            Err(RecvTimeoutError::Disconnected) => bail!("{}: the driver ended", self.name),
        };
        let mut answer: Value = serde_json::from_str(&line)
            .with_context(|| format!("{}: not JSON: {line}", self.name))?;
        match answer.get("error") {
            Some(error) => bail!("{}: {}", self.name, error.as_str().unwrap_or_default()),
            None => Ok(answer["value"].take()),
        }
    }
}

impl Drop for Page {
    /// The end of its input tells the driver to close the browser; whoever hangs is killed with the namespace at the latest.
    fn drop(&mut self) {
        if thread::panicking() {
            let account = self.ask(&json!({ "account": true }), Duration::from_secs(5));
            eprintln!(
                "--- {}\n{}\n---",
                self.name,
                account
                    .as_ref()
                    .ok()
                    .and_then(Value::as_str)
                    .unwrap_or("no account")
            );
        }
        drop(self.questions.take());
        for _ in 0..50 {
            if matches!(self.driver.try_wait(), Ok(Some(_))) {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

fn lines_of(stdout: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
