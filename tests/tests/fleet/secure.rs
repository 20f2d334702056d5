//! TLS to Redis: the right one is believed and logged in at, and no other is.

use anyhow::{Result, ensure};
use e2e::certificate::Authority;
use e2e::process::Process;
use e2e::server::{free_port, signaling_command};
use serde_json::json;

use crate::crowd::Line;
use crate::redis::{HERE, Redis};
use crate::site::{PATIENCE, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_nodes_meet_at_the_redis_that_they_were_told_to_believe() -> Result<()> {
    let site = Site::start(Redis::secure()?, 2).await?;
    let mut ann = Line::open(site.address(0), "/?token=ann").await?;
    let mut bob = Line::open(site.address(1), "/?token=bob").await?;
    ann.until("connected").await?;
    bob.until("connected").await?;
    let call = json!({"type": "call-initiate", "callId": "c", "recipientIds": ["bob"], "callType": "audio"});
    ann.send(call).await?;
    let rings = bob.until("incoming-call").await?;
    ensure!(rings["initiatorId"] == "ann", "{rings}");
    Ok(())
}

/// What a node says that is started with these flags, and cannot reach its Redis; it serves alone.
fn complaint(flags: &[String]) -> Result<String> {
    let mut command = signaling_command()?;
    let port = free_port(HERE)?;
    command
        .arg(format!("--listen={HERE}:{port}"))
        .args(["--node-name=lonely"])
        .args(flags);
    let mut process = Process::start(&mut command, "lonely")?;
    process.wait_for_output(&["Redis cannot be reached"], PATIENCE)?;
    let output = process.output();
    let line = output
        .lines()
        .find(|line| line.contains("cannot be reached"));
    Ok(line.unwrap_or_default().to_owned())
}

#[test]
fn over_tls_no_other_redis_is_believed_and_the_reason_is_said() -> Result<()> {
    let (secure, plain) = (Redis::secure()?, Redis::plain()?);
    let place = secure.address();
    let flags = secure.flags(place);
    let with = |url: String, rest: &[String]| [&[format!("--redis-url={url}")], rest].concat();
    let other = Authority::make()?.certificate;
    let other = [format!("--ca-file={}", other.display())];
    let wrong_word = e2e::process::scratch_file("wrong-password")?;
    std::fs::write(&wrong_word, "another password\n")?;
    let wrong_word = [format!("--redis-password-file={}", wrong_word.display())];
    let authority = &flags[2..];
    let of_another_name = format!("rediss://localhost:{}", place.port());
    for (case, flags, words) in [
        (
            "another authority",
            with(format!("rediss://{place}"), &other),
            "invalid peer certificate: BadSignature (--ca-file",
        ),
        (
            "no authority",
            with(format!("rediss://{place}"), &[]),
            "UnknownIssuer (--ca-file",
        ),
        (
            "another name",
            with(of_another_name, authority),
            "not valid for name",
        ),
        (
            "no TLS there",
            with(format!("rediss://{}", plain.address()), authority),
            "there may be none at that port",
        ),
        (
            "no TLS here",
            with(format!("redis://{place}"), &[]),
            "alone",
        ),
        (
            "nobody",
            with(format!("rediss://{place}"), authority),
            "NOAUTH",
        ),
        (
            "a wrong password",
            [
                with(format!("rediss://fleet@{place}"), authority),
                wrong_word.to_vec(),
            ]
            .concat(),
            "WRONGPASS",
        ),
    ] {
        let said = complaint(&flags)?;
        println!("say: {case}: {said}");
        ensure!(said.contains(words), "{case}: {said}");
    }
    Ok(())
}
