//! A page of somebody else's, which takes ICE servers from here.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::browser::Kind::{self, Chromium, Firefox};
use e2e::browser::Page;
use e2e::process::{Process, scratch_file, tests_folder};

use crate::{Machine, PATIENCE};

/// Serves one file at http://localhost:5173, as a development server would.
fn development_server(machine: &Machine, page: &str) -> Result<Process> {
    let folder = scratch_file("own-page")?;
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("index.html"), page)?;
    let mut command = machine.host.space.command("python3");
    command
        .args([
            "-u",
            "-m",
            "http.server",
            "5173",
            "--bind",
            "127.0.0.1",
            "--directory",
        ])
        .arg(&folder);
    let mut server = Process::start(&mut command, "own-page")?;
    server.wait_for_output(&["Serving HTTP"], PATIENCE)?;
    Ok(server)
}

/// Cuts the lines for a page of one's own out of what quickstart has printed.
fn printed_snippet(printed: &str) -> Result<String> {
    let begin = printed
        .find("const ice =")
        .with_context(|| format!("no snippet in:\n{printed}"))?;
    let lines = printed[begin..]
        .lines()
        .take_while(|line| !line.trim().is_empty());
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn own_page(kind: Kind) -> Result<()> {
    let machine = Machine::new()?;
    let snippet = printed_snippet(&machine.quickstart.server.output())?;
    let template = fs::read_to_string(tests_folder().join("browsers/own-page.html"))?;
    let _server = development_server(
        &machine,
        &template.replace("// SNIPPET: declares `ice` and `pc`.", &snippet),
    )?;

    let mut page = Page::open(&machine.host.space, kind, "http://localhost:5173/")?;
    page.wait_for(
        "document.querySelector('main').dataset.state !== 'starting'",
        PATIENCE,
    )?;
    let text = page.evaluate("document.querySelector('main').textContent")?;
    ensure!(text == "there and back", "{text}");
    Ok(())
}

#[test]
fn a_page_of_another_origin_connects_with_the_printed_snippet_in_chromium() {
    own_page(Chromium).unwrap();
}

#[test]
fn a_page_of_another_origin_connects_with_the_printed_snippet_in_firefox() {
    own_page(Firefox).unwrap();
}
