//! The page of diagnosis, and what can be found wrong with all pages for people who do not use a mouse or a picture.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::browser::Kind::{self, Chromium, Firefox};
use e2e::browser::Page;
use e2e::process::tests_folder;
use serde_json::Value;

use crate::{Machine, PATIENCE, click};

/// Each TURN address that quickstart offers is tried and relays an echo; the report has no secret.
fn diagnosis(kind: Kind) -> Result<()> {
    let machine = Machine::new()?;
    let mut page = machine.open(kind, "diagnose", "relay=1")?;
    page.wait_for(
        "['done', 'failed'].includes(window.turnpike?.state)",
        2 * PATIENCE,
    )?;
    let report = page.evaluate("window.turnpike.report")?;
    let servers = report["servers"].as_array().context("no report")?;
    ensure!(!servers.is_empty(), "nothing was tried: {report}");
    for server in servers {
        ensure!(server["verdict"] == "pass", "does not work: {server}");
        ensure!(
            server["echo"]["rtt"].as_f64().is_some(),
            "no echo: {server}"
        );
    }
    let candidates = report["candidates"].as_array().context("no candidates")?;
    let relayed = |candidate: &Value| candidate["type"] == "relay";
    ensure!(
        !candidates.is_empty() && candidates.iter().all(relayed),
        "not all relayed: {report}"
    );
    let text = report.to_string();
    for secret in ["credential", "password", machine.quickstart.key()] {
        ensure!(!text.contains(secret), "{secret} is in the report: {text}");
    }
    Ok(())
}

#[test]
fn the_page_of_diagnosis_tries_every_address_in_chromium() {
    diagnosis(Chromium).unwrap();
}

#[test]
fn the_page_of_diagnosis_tries_every_address_in_firefox() {
    diagnosis(Firefox).unwrap();
}

/// What axe finds wrong with a page as it is now, a line for each element.
fn violations(page: &mut Page) -> Result<Vec<String>> {
    let axe = tests_folder().join("browsers/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(&axe)
        .with_context(|| format!("{}: (cd tests/browsers && npm ci)", axe.display()))?;
    page.evaluate(&format!("{axe};true"))?;
    let found = page.evaluate(
        "axe.run().then(({ violations, passes }) => passes.length === 0
            ? ['axe looked at nothing']
            : violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`)))",
    )?;
    Ok(serde_json::from_value(found)?)
}

/// The rules of WCAG that a program can check, on each page, and on the call page before, in and after a call.
#[test]
fn axe_finds_nothing_wrong_with_any_page() -> Result<()> {
    let machine = Machine::new()?;
    let mut found = Vec::new();
    let mut look = |place: &str, page: &mut Page| -> Result<()> {
        let of_page = violations(page)?;
        found.extend(
            of_page
                .iter()
                .map(|violation| format!("{place}: {violation}")),
        );
        Ok(())
    };
    for place in ["", "send", "receive", "diagnose"] {
        look(place, &mut machine.open(Chromium, place, "")?)?;
    }
    let mut call = machine.open(Chromium, "call", "")?;
    look("call, to be joined", &mut call)?;
    let mut one = machine.open(Chromium, "call", "room=axe&name=one")?;
    let mut other = machine.open(Chromium, "call", "room=axe&name=other&video=0")?;
    one.connected(PATIENCE)?;
    other.connected(PATIENCE)?;
    for button in ["chat-toggle", "details-toggle"] {
        click(&mut one, &format!("[data-testid={button}]"))?;
    }
    look("call, connected", &mut one)?;
    click(&mut one, "[data-testid=hang-up]")?;
    look("call, left", &mut one)?;
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}
