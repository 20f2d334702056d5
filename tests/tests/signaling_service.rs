//! The signaling program beside what operators put around it: an issuer of tokens, and a real PostgreSQL for its call log.
//!
//! Needs root, because PostgreSQL is run as its own user.

#[path = "../../signaling/tests/common/store.rs"]
mod store;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::postgres::Postgres;
use e2e::process::{Process, run, scratch_file, tests_folder};
use e2e::server::{free_port, signaling_command};
use serde_json::{Value, json};
use signaling::calllog::{PostgresLog, Query, Store};
use store::{entry, forgets, keeps_finds_erases, kept, now, secret, until};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const START: Duration = Duration::from_secs(20);

/// Starts the program on a free port.
fn signaling(flags: &[String]) -> Result<(Process, u16)> {
    let port = free_port(HERE)?;
    let mut command = signaling_command()?;
    command
        .arg(format!("--listen=127.0.0.1:{port}"))
        .args(flags);
    let mut process = Process::start(&mut command, "signaling")?;
    process.wait_for_output(&["listening http"], START)?;
    Ok((process, port))
}

/// What `jose` (npm) signs is believed, and what it can be made to sign against the rules is not.
#[test]
fn tokens_of_jose_are_believed_and_forged_ones_are_not() -> Result<()> {
    const SECRET: &str = "a secret that both sides have, 32 bytes or longer";
    let file = scratch_file("jwt-secret")?;
    fs::write(
        &file,
        format!("the next secret, which nobody uses yet\n{SECRET}\n"),
    )?;
    let keys = free_port(HERE)?;
    let (process, port) = signaling(&[
        "--auth=jwt".to_owned(),
        format!("--jwt-secret-file={}", file.display()),
        format!("--jwks-url=http://127.0.0.1:{keys}/jwks.json"),
        "--jwt-issuer=https://issuer.example".to_owned(),
        "--jwt-audience=signaling".to_owned(),
        "--verbose".to_owned(),
    ])?;
    let script = tests_folder().join("clients/signaling/tokens.mjs");
    let mut node = Command::new("node");
    node.arg(script)
        .args([&keys.to_string(), &port.to_string(), SECRET]);
    let verdicts: Value = serde_json::from_str(run(&mut node)?.trim())?;
    let (welcome, failed) = ("turnpike ann", "1008 Authentication failed");
    let expected = json!({
        "HS256": welcome, "RS256": welcome, "ES256": welcome, "EdDSA": welcome, "fetched": 1,
        "expired": failed, "early": failed, "issuer": failed, "audience": failed, "none": failed,
        "confused": failed, "stranger": failed, "longer": failed,
        "rotated": welcome, "withdrawn": failed,
    });
    ensure!(verdicts == expected, "{verdicts:#}\n{}", process.output());
    let log = process.output();
    ensure!(!log.contains("eyJ"), "a token is in the log:\n{log}");
    ensure!(
        log.contains("a token is refused"),
        "nobody can find out why:\n{log}"
    );
    Ok(())
}

fn in_postgres(server: &Postgres) -> Result<Store> {
    let log = PostgresLog::new(&secret(&server.url()));
    Ok(Store::Postgres(Box::new(
        log.context("a connection string")?,
    )))
}

#[tokio::test]
async fn postgresql_keeps_finds_erases_and_forgets_calls_and_is_waited_for() -> Result<()> {
    let server = Postgres::start()?;
    keeps_finds_erases(kept(in_postgres(&server)?)).await;
    let calls = server.ask("SELECT string_agg(call_id, ',' ORDER BY id) FROM calls")?;
    ensure!(calls == "call of 2,call of 3", "{calls}");
    server.ask("DROP TABLE call_recipients, calls")?;
    forgets(async || in_postgres(&server).unwrap()).await;

    let log = kept(in_postgres(&server)?);
    server.crash()?;
    for number in 0..3 {
        let id = format!("while it was away {number}");
        log.add(entry(&id, now(), &["bob"]));
    }
    let query = Query {
        limit: 1,
        ..Query::default()
    };
    ensure!(log.history(query).await.is_err(), "asked of nobody");
    server.resume()?;
    until(&log.counts().written, 3).await;
    let count = server.ask("SELECT count(*) FROM calls WHERE id LIKE 'while%'")?;
    ensure!(count == "3", "{count}");
    ensure!(
        log.counts().dropped.load(Ordering::Relaxed) == 0,
        "some were dropped"
    );
    Ok(())
}
