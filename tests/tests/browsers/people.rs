//! People who see each other online and ring, and rooms that fill.

use anyhow::{Result, ensure};
use e2e::browser::Kind::{self, Chromium, Firefox};
use e2e::browser::Page;

use crate::{Machine, PATIENCE, click};

/// Goes online on the call page under a name.
fn online(machine: &Machine, kind: Kind, name: &str) -> Result<Page> {
    let mut page = machine.open(kind, "call", &format!("name={name}&relay=1"))?;
    page.evaluate("document.querySelector('[data-testid=people-open]').click()")?;
    Ok(page)
}

fn rung(page: &mut Page, by: &str) -> Result<()> {
    let open = "document.querySelector('[data-testid=incoming]').open";
    page.wait_for(open, PATIENCE)?;
    let text =
        page.evaluate("document.querySelector('[data-testid=incoming-text]').textContent")?;
    let text = text.as_str().unwrap_or_default();
    ensure!(text == format!("{by} asks for a video call"), "{text}");
    Ok(())
}

/// Two people see each other online; one calls, the other rejects, then accepts, then hangs up.
fn people(caller: Kind, callee: Kind) -> Result<()> {
    let machine = Machine::new()?;
    let mut ann = online(&machine, caller, "ann")?;
    let mut bob = online(&machine, callee, "bob")?;
    let video = "[data-user=bob] [data-testid=call-video]";
    click(&mut ann, video)?;
    rung(&mut bob, "ann")?;
    click(&mut bob, "[data-testid=reject]")?;
    let told = "document.querySelector('[data-testid=alert-text]').textContent === 'bob declined.'";
    ann.wait_for(told, PATIENCE)?;

    click(&mut ann, video)?;
    rung(&mut bob, "ann")?;
    click(&mut bob, "[data-testid=accept]")?;
    ann.connected(PATIENCE)?;
    bob.connected(PATIENCE)?;
    let decodes =
        "window.turnpike.stats().then((peers) => peers.some((peer) => peer.framesDecoded > 0))";
    ann.wait_for(decodes, PATIENCE)?;
    bob.wait_for(decodes, PATIENCE)?;

    click(&mut bob, "[data-testid=hang-up]")?;
    let ended = "document.querySelector('main').dataset.state === 'ended'";
    bob.wait_for(ended, PATIENCE)?;
    ann.wait_for(ended, PATIENCE)?;
    // Both are still online, and free.
    let free = format!("document.querySelector('{video}')?.disabled === false");
    ann.wait_for(&free, PATIENCE)
}

#[test]
fn people_online_ring_reject_accept_and_hang_up_in_chromium() {
    people(Chromium, Chromium).unwrap();
}

#[test]
fn people_online_ring_reject_accept_and_hang_up_between_firefox_and_chromium() {
    people(Firefox, Chromium).unwrap();
}

/// Six are in one room, each with all others; the seventh is told that it is full.
#[test]
fn a_room_holds_six_pages_and_tells_the_seventh() -> Result<()> {
    let machine = Machine::new()?;
    let open = |name: usize| {
        let query = format!("room=six&name=p{name}&video=0&audio=0");
        machine.open(Chromium, "call", &query)
    };
    let mut pages = (1..=6).map(open).collect::<Result<Vec<_>>>()?;
    for page in &mut pages {
        let all = "window.turnpike?.peers().filter((peer) => peer.connectionState === 'connected').length === 5";
        page.wait_for(all, PATIENCE)?;
    }
    let mut seventh = open(7)?;
    let full = "document.querySelector('[data-testid=alert-text]').textContent.includes('is full')";
    seventh.wait_for(full, PATIENCE)
}
