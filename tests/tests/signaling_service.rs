//! The signaling program beside what operators put around it: an issuer of tokens, and a real PostgreSQL for its call log; and its start
//! page, without a `turnserver` around it.
//!
//! Needs root, because PostgreSQL is run as its own user, and browsers in a namespace.

#[path = "../../signaling/tests/common/store.rs"]
mod store;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::browser::{Kind, Page};
use e2e::certificate::Authority;
use e2e::netns::Namespace;
use e2e::postgres::Postgres;
use e2e::process::{Process, run, scratch_file, tests_folder};
use e2e::server::{free_port, signaling_command};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use signaling::Trust;
use signaling::calllog::{PostgresLog, Query, Store};
use store::{entry, forgets, keeps_finds_erases, kept, now, secret, until};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

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

#[tokio::test]
async fn postgresql_is_asked_over_tls_if_an_authority_that_is_named_vouches_for_it() -> Result<()> {
    let authority = Authority::make()?;
    let server = Postgres::start_secure(&authority.certify("postgres.test", &[HERE])?)?;
    let believing = |url: String, authority: &Authority| -> Result<_> {
        let trust = Trust::with_authorities(&fs::read(&authority.certificate)?)?;
        let log = PostgresLog::new(&secret(&url))?.trusting(trust);
        Ok(kept(Store::Postgres(Box::new(log))))
    };
    let everything = || Query {
        limit: 1,
        ..Query::default()
    };
    for mode in ["require", "verify-full"] {
        let log = believing(format!("{}?sslmode={mode}", server.url()), &authority)?;
        log.add(entry(mode, now(), &["bob"]));
        until(&log.counts().written, 1).await;
        let tls = server.ask(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'signaling'",
        )?;
        ensure!(tls == "t", "{mode}: {tls}");
        log.close(START).await;
        drop(log);
        server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signaling'")?;
    }
    let plain = Postgres::start()?;
    let elsewhere = server.url().replace("127.0.0.1", "localhost");
    let other = Authority::make()?;
    for (url, authority, words) in [
        (
            server.url(),
            &other,
            "invalid peer certificate: BadSignature (--ca-file",
        ),
        (elsewhere, &authority, "not valid for name \"localhost\""),
        (plain.url(), &authority, "server does not support TLS"),
    ] {
        let log = believing(format!("{url}?sslmode=verify-full"), authority)?;
        let refused = log.history(everything()).await.err().context("asked")?;
        ensure!(refused.to_string().contains(words), "{words}: {refused}");
    }
    Ok(())
}

/// A connection to the program, and what was said to it first.
async fn greeted(port: u16, token: &str) -> Result<(WebSocketStream<TcpStream>, String)> {
    let stream = TcpStream::connect((HERE, port)).await?;
    let url = format!("ws://127.0.0.1:{port}/?token={token}");
    let (mut socket, _) = client_async(url, stream).await?;
    let said = match socket.next().await.context("nothing is said")?? {
        Message::Text(text) => text.to_string(),
        Message::Close(frame) => frame.context("no reason")?.reason.to_string(),
        other => format!("{other:?}"),
    };
    Ok((socket, said))
}

#[tokio::test]
async fn services_are_asked_over_https_if_an_authority_that_is_named_vouches_for_them() -> Result<()>
{
    let authority = Authority::make()?;
    let made = authority.certify("localhost", &[HERE])?;
    let port = free_port(HERE)?;
    let script = tests_folder().join("clients/signaling/services.mjs");
    let mut node = Command::new("node");
    node.arg(script)
        .arg(port.to_string())
        .arg(&made.certificate)
        .arg(&made.key);
    let mut services = Process::start(&mut node, "services")?;
    services.wait_for_output(&["token ", " ."], START)?;
    let output = services.output();
    let token = output.split(' ').nth(1).context("a token")?;
    let webhook = scratch_file("webhook-secret")?;
    fs::write(&webhook, "a secret of the webhook's\n")?;
    let with = |flags: &str, authority: Option<&Authority>| -> Vec<String> {
        let named = authority.map(|named| format!("--ca-file={}", named.certificate.display()));
        let flags = flags.replace("HTTPS", &format!("https://localhost:{port}"));
        flags.split(' ').map(str::to_owned).chain(named).collect()
    };

    // Keys of tokens; and who is told of a call, which is known by them.
    let flags = format!(
        "--auth=jwt --jwks-url=HTTPS/jwks.json --webhook-url=HTTPS/calls --webhook-secret-file={}",
        webhook.display()
    );
    let (process, signaling_port) = signaling(&with(&flags, Some(&authority)))?;
    let (mut ann, said) = greeted(signaling_port, token).await?;
    ensure!(said.contains("\"ann\""), "{said}\n{}", process.output());
    for told in [
        json!({"type": "call-initiate", "callId": "over-https", "recipientIds": ["bob"], "callType": "audio"}),
        json!({"type": "call-end", "callId": "over-https"}),
    ] {
        ann.send(Message::text(told.to_string())).await?;
    }
    services.wait_for_output(&["told of over-https"], START)?;

    // A service that knows tokens.
    let (process, signaling_port) = signaling(&with(
        "--auth=callout --auth-url=HTTPS/whois",
        Some(&authority),
    ))?;
    let (_, said) = greeted(signaling_port, "7").await?;
    ensure!(
        said.contains("\"user-of-7\""),
        "{said}\n{}",
        process.output()
    );

    // Whom nobody vouches for who is believed, is not asked, and the log says why.
    let other = Authority::make()?;
    for flags in [
        "--auth=jwt --jwks-url=HTTPS/jwks.json",
        "--auth=callout --auth-url=HTTPS/whois",
    ] {
        for (authority, words) in [
            (Some(&other), "BadSignature (--ca-file"),
            (None, "UnknownIssuer (--ca-file"),
        ] {
            let (mut process, signaling_port) = signaling(&with(flags, authority))?;
            let (_, said) = greeted(signaling_port, token).await?;
            ensure!(said == "Authentication is not available", "{flags}: {said}");
            process.wait_for_output(&[words], START)?;
        }
    }
    Ok(())
}

/// Operators who name their authorities for all programs of a machine need not do it again.
#[tokio::test]
async fn authorities_may_be_named_by_ssl_cert_file() -> Result<()> {
    let authority = Authority::make()?;
    let made = authority.certify("localhost", &[HERE])?;
    let services_port = free_port(HERE)?;
    let mut node = Command::new("node");
    node.arg(tests_folder().join("clients/signaling/services.mjs"));
    node.arg(services_port.to_string())
        .arg(&made.certificate)
        .arg(&made.key);
    let mut services = Process::start(&mut node, "services")?;
    services.wait_for_output(&["token "], START)?;
    let port = free_port(HERE)?;
    let mut command = signaling_command()?;
    command.env("SSL_CERT_FILE", &authority.certificate).args([
        format!("--listen=127.0.0.1:{port}"),
        "--auth=callout".to_owned(),
        format!("--auth-url=https://localhost:{services_port}/whois"),
    ]);
    let mut process = Process::start(&mut command, "signaling")?;
    process.wait_for_output(&["listening http"], START)?;
    let (_, said) = greeted(port, "8").await?;
    ensure!(
        said.contains("\"user-of-8\""),
        "{said}\n{}",
        process.output()
    );
    Ok(())
}

/// What a page shows people to copy has to work.
#[test]
fn the_start_page_shows_the_endpoint_where_there_is_one() -> Result<()> {
    const OWN: &str = "document.querySelector('[data-testid=own]').hidden";
    let space = Namespace::new("start-page")?;
    let key = scratch_file("join-key")?;
    fs::write(&key, "the key of this service\n")?;
    let key = format!("--join-key-file={}", key.display());
    for (port, flags, hidden) in [
        (8080, &[][..], true),
        (8081, &["--ice-url=stun:192.0.2.1:3478", &key], false),
    ] {
        let mut command = space.command(signaling_command()?.get_program());
        command
            .arg(format!("--listen=127.0.0.1:{port}"))
            .args(flags);
        let mut process = Process::start(&mut command, "signaling")?;
        process.wait_for_output(&["listening http"], START)?;
        let address = format!("http://127.0.0.1:{port}/");
        let mut page = Page::open(&space, Kind::Chromium, &address)?;
        page.wait_for(
            "document.querySelector('[data-testid=snippet]').textContent !== ''",
            START,
        )?;
        page.evaluate("fetch('v1/ice')")?;
        page.wait_for(&format!("{OWN} === {hidden}"), START)?;
    }
    Ok(())
}
