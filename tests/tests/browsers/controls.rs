//! What the buttons of the call page do, judged at the other end of a relayed call.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::browser::Kind::{self, Chromium, Firefox};
use e2e::browser::Page;
use e2e::call::{Call, Quickstart};
use e2e::process::scratch_file;
use e2e::server::turnctl;

use crate::{HERE, Machine, PATIENCE, click};

/// Long enough for some tens of frames, and for two beeps of Chromium's microphone.
const WATCHED: Duration = Duration::from_secs(3);
/// Of full scale; a muted track is all zeros, and a codec makes hardly more of it.
const SILENCE: f64 = 0.001;
/// From the loss of its relay a browser needs some ten seconds to notice; the page then asks for a new path.
const RECOVERY: Duration = Duration::from_secs(90);

/// Two pages in a call through the relay, with media at both ends.
fn call(machine: &Machine, kinds: [Kind; 2]) -> Result<Call> {
    let places = kinds.map(|kind| (&machine.host.space, kind));
    let mut call = Call::open(&machine.quickstart, HERE, places, true)?;
    call.connected()?;
    call.media_flows()?;
    Ok(call)
}

/// The loudest moment of what a page hears of its peer while it is watched; full scale is 1.
fn loudness(page: &mut Page) -> Result<f64> {
    let listen = format!(
        "(async () => {{
            const context = new AudioContext();
            await context.resume();
            const stream = document.querySelector('[data-testid=remote-tile] video').srcObject;
            const analyser = context.createAnalyser();
            context.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(analyser);
            const samples = new Float32Array(analyser.fftSize);
            let loudest = 0;
            for (const end = performance.now() + {}; performance.now() < end;) {{
                await new Promise((resolve) => setTimeout(resolve, 20));
                analyser.getFloatTimeDomainData(samples);
                loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), loudest);
            }}
            await context.close();
            return loudest;
        }})()",
        WATCHED.as_millis()
    );
    let loudest = page.evaluate(&listen)?;
    loudest
        .as_f64()
        .with_context(|| format!("no number: {loudest}"))
}

/// Waits until a page shows moving pictures of its peer from now on.
fn moves(page: &mut Page, what: &str) -> Result<()> {
    let before = page.peer_stats()?.frames_decoded;
    let more = format!(
        "window.turnpike.stats().then((peers) => peers.some((peer) => peer.framesDecoded > {}))",
        before + 10
    );
    page.wait_for(&more, PATIENCE)
        .with_context(|| format!("no moving picture of {what}"))
}

/// Waits until no new picture comes any more: nothing at all, or again and again the last one, as Firefox sends it once a second
/// for a track that is gone.
fn goes_dark(page: &mut Page) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = page.peer_stats()?.frames_decoded;
        sleep(WATCHED);
        let more = page.peer_stats()?.frames_decoded - before;
        if more == 0 || more <= 2 * WATCHED.as_secs() && stays_the_same(page)? {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{more} frames of a camera that is off"
        );
    }
}

/// The picture of the peer in 16 by 16 points, red, green and blue.
fn points(page: &mut Page) -> Result<Vec<i16>> {
    let colours = page.evaluate(
        "(async () => {
            const [track] = document.querySelector('[data-testid=remote-tile] video').srcObject.getVideoTracks();
            const context = new OffscreenCanvas(16, 16).getContext('2d');
            context.drawImage(await new ImageCapture(track).grabFrame(), 0, 0, 16, 16);
            return [...context.getImageData(0, 0, 16, 16).data].filter((_, index) => index % 4 < 3);
        })()",
    )?;
    Ok(serde_json::from_value(colours)?)
}

/// Whether the picture is the same after a while, but for what a codec makes of it. The cameras of tests change all the time.
fn stays_the_same(page: &mut Page) -> Result<bool> {
    let before = points(page)?;
    sleep(WATCHED);
    let after = points(page)?;
    let near = |(before, after): (&i16, &i16)| (before - after).abs() < 24;
    Ok(before.iter().zip(&after).all(near))
}

/// Waits until the tile of the peer says so.
fn tile_says(page: &mut Page, condition: &str) -> Result<()> {
    let tile = "document.querySelector('[data-testid=remote-tile]')";
    page.wait_for(&condition.replace("TILE", tile), PATIENCE)
}

fn muting(here: &mut Page, there: &mut Page) -> Result<()> {
    let loud = loudness(there)?;
    ensure!(loud > 10.0 * SILENCE, "nothing is heard: {loud}");
    click(here, "[data-testid=mic]")?;
    tile_says(there, "!TILE.querySelector('.muted-mark').hidden")?;
    // A beep that was on its way fades.
    sleep(Duration::from_secs(1));
    let muted = loudness(there)?;
    ensure!(muted < SILENCE, "heard although muted: {muted}");
    click(here, "[data-testid=mic]")?;
    tile_says(there, "TILE.querySelector('.muted-mark').hidden")?;
    let again = loudness(there)?;
    ensure!(
        again > 10.0 * SILENCE,
        "nothing is heard after unmuting: {again}"
    );
    Ok(())
}

/// A video call becomes a voice call, and a video call again.
fn camera(here: &mut Page, there: &mut Page) -> Result<()> {
    click(here, "[data-testid=camera]")?;
    tile_says(there, "TILE.classList.contains('no-picture')")?;
    goes_dark(there)?;
    ensure!(
        loudness(there)? > 10.0 * SILENCE,
        "the voice went with the picture"
    );
    click(here, "[data-testid=camera]")?;
    tile_says(there, "!TILE.classList.contains('no-picture')")?;
    moves(there, "the camera that is on again")
}

/// A line that is typed arrives, counted while the panel is shut.
fn chat(here: &mut Page, there: &mut Page) -> Result<()> {
    click(here, "[data-testid=chat-toggle]")?;
    here.evaluate("document.querySelector('[data-testid=chat-text]').value = 'typed <b>here</b>'")?;
    click(here, "[data-testid=chat-send]")?;
    let counted = "document.querySelector('[data-testid=chat-unread]').textContent === '1'";
    there.wait_for(counted, PATIENCE)?;
    click(there, "[data-testid=chat-toggle]")?;
    // As text: what others write is never markup here.
    let shown = "document.querySelector('[data-testid=chat-log]').textContent.includes('typed <b>here</b>')";
    there.wait_for(shown, PATIENCE)
}

fn details(page: &mut Page) -> Result<()> {
    click(page, "[data-testid=details-toggle]")?;
    let body = "document.querySelector('[data-testid=details-body]').textContent";
    page.wait_for(&format!("/relay/i.test({body})"), PATIENCE)?;
    // What was measured is rated, too.
    tile_says(
        page,
        "Boolean(TILE.querySelector('.quality').dataset.rating)",
    )
}

/// Firefox's buttons are judged in Chromium, which lets itself be listened to where there are no loudspeakers.
#[test]
fn what_is_muted_shown_and_written_is_heard_seen_and_read_at_the_other_end() -> Result<()> {
    let machine = Machine::new()?;
    let mut call = call(&machine, [Firefox, Chromium])?;
    muting(&mut call.one, &mut call.other)?;
    camera(&mut call.one, &mut call.other)?;
    chat(&mut call.one, &mut call.other)?;
    details(&mut call.other)
}

/// The screen takes the camera's place and gives it back; another camera takes the first one's.
#[test]
fn a_screen_and_another_camera_are_seen_at_the_other_end() -> Result<()> {
    let machine = Machine::new()?;
    let mut call = call(&machine, [Chromium, Chromium])?;
    click(&mut call.one, "[data-testid=screen]")?;
    tile_says(&mut call.other, "TILE.classList.contains('screen')")?;
    moves(&mut call.other, "the screen")?;
    click(&mut call.one, "[data-testid=screen]")?;
    tile_says(&mut call.other, "!TILE.classList.contains('screen')")?;
    moves(&mut call.other, "the camera afterwards")?;

    // Of Chromium's cameras the second sends depths, which nobody shows; the third is one again.
    for _ in 0..2 {
        let device = "document.querySelector('[data-testid=local-tile] video').srcObject.getVideoTracks()[0].getSettings().deviceId";
        let before = call.one.evaluate(device)?;
        let several = "!document.querySelector('[data-testid=switch-camera]').hidden";
        call.one.wait_for(several, PATIENCE)?;
        click(&mut call.one, "[data-testid=switch-camera]")?;
        call.one
            .wait_for(&format!("{device} !== {before}"), PATIENCE)?;
    }
    moves(&mut call.other, "the other camera")?;
    hung_up_while_asking(&mut call.one)
}

/// Who hangs up while the browser still asks which screen is to be shared, shares none afterwards.
fn hung_up_while_asking(page: &mut Page) -> Result<()> {
    page.evaluate(
        "(() => {
            const { mediaDevices } = navigator;
            const capture = mediaDevices.getDisplayMedia.bind(mediaDevices);
            mediaDevices.getDisplayMedia = async (constraints) => {
                const stream = await capture(constraints);
                await new Promise((resolve) => { window.choose = resolve; });
                [window.chosen] = stream.getTracks();
                return stream;
            };
        })()",
    )?;
    click(page, "[data-testid=screen]")?;
    page.wait_for("Boolean(window.choose)", PATIENCE)?;
    click(page, "[data-testid=hang-up]")?;
    page.evaluate("window.choose()")?;
    page.wait_for("window.chosen?.readyState === 'ended'", PATIENCE)
}

/// Ends the sessions on the relay under a call; the pages look for a new path by themselves.
#[test]
fn a_call_whose_relay_sessions_are_ended_finds_a_new_path() -> Result<()> {
    let socket = scratch_file("control")?;
    let machine = Machine::running(|space| Quickstart::with_control(space, Path::new(&socket)))?;
    let mut call = call(&machine, [Firefox, Chromium])?;
    let before = [call.one.peer_stats()?, call.other.peer_stats()?];
    for user in ["one", "other"] {
        // Those of the call and those of paths that were not taken.
        turnctl(&socket, &["kill", &format!("--user={user}")])?;
    }
    for (page, before) in [&mut call.one, &mut call.other].into_iter().zip(before) {
        // A frame that was under way may still be decoded: hundreds are of the new path.
        let more = format!(
            "window.turnpike.stats().then((peers) => peers.some((peer) => peer.framesDecoded > {} && peer.localCandidateType === 'relay'))",
            before.frames_decoded + 300
        );
        page.wait_for(&more, RECOVERY)?;
    }
    call.connected()?;
    call.media_flows()?.relay_to_relay()?;
    call.chat_arrives()
}

/// Who is not allowed a camera is told what to do, and watches and writes meanwhile.
fn refused(kind: Kind) -> Result<()> {
    let machine = Machine::new()?;
    let url = |name: &str| {
        let query = format!("room=lab&name={name}&relay=1");
        machine.quickstart.url(HERE, "call", &query)
    };
    let mut shows = Page::open(&machine.host.space, Chromium, &url("shows"))?;
    let mut watches = Page::open_refusing(&machine.host.space, kind, &url("watches"))?;
    let told = "document.querySelector('[data-testid=alert-text]').textContent";
    watches.wait_for(&format!("{told} !== ''"), PATIENCE)?;
    let text = watches.evaluate(told)?;
    let text = text.as_str().unwrap_or_default();
    ensure!(
        text.contains("blocked the camera and microphone") && text.contains("site settings"),
        "{text}"
    );
    shows.connected(PATIENCE)?;
    watches.connected(PATIENCE)?;
    let decodes =
        "window.turnpike.stats().then((peers) => peers.some((peer) => peer.framesDecoded > 0))";
    watches.wait_for(decodes, PATIENCE)?;
    let mut call = Call {
        one: shows,
        other: watches,
    };
    call.chat_arrives()
}

#[test]
fn who_is_refused_the_camera_is_told_what_to_do_in_chromium() {
    refused(Chromium).unwrap();
}

#[test]
fn who_is_refused_the_camera_is_told_what_to_do_in_firefox() {
    refused(Firefox).unwrap();
}
