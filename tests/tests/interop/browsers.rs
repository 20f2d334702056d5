//! Chromium and Firefox: one page of each holds both ends of every call. `turns:` is checked against an authority that the
//! browser's user trusts, as a company's users trust theirs.

use anyhow::{Result, ensure};
use e2e::browser::{Kind, Page};
use e2e::process::tests_folder;
use serde_json::json;

use crate::lab::{Endpoint, Lab, PASSWORD, USERNAME};

pub(crate) fn open(lab: &Lab, kind: Kind) -> Result<Page> {
    let url = format!(
        "file://{}",
        tests_folder().join("browsers/pair.html").display()
    );
    let mut page = Page::open_trusting(&lab.host.space, kind, &url, Some(&lab.authority))?;
    page.evaluate("typeof window.pair")?;
    Ok(page)
}

pub(crate) fn pair(page: &mut Page, to: &Endpoint, pause: u32) -> Result<()> {
    let said = page.evaluate(&format!(
        "window.pair({}, {}, {}, {pause})",
        json!(to.url()),
        json!(USERNAME),
        json!(PASSWORD)
    ))?;
    ensure!(said == "there: 50 messages\nback: 50 messages", "{said}");
    Ok(())
}
