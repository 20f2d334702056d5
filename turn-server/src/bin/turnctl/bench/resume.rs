//! Rows of an earlier run that was interrupted: kept in a file, one to a line, and not measured again.
//!
//! A file belongs to the programs and options that it was begun with: figures of two builds in one table would compare
//! nothing.

use super::args::Options;
use super::measurement::Measurement;
use super::report::{RowReport, ServerReport};
use super::rows::Row;
use super::target::{Contender, Installed};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The rows that need not be measured again; those measured now join them.
pub(crate) struct Finished {
    path: Option<PathBuf>,
    rows: Vec<RowReport>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    row: String,
    servers: Vec<KeptServer>,
}

#[derive(Serialize, Deserialize)]
struct KeptServer {
    server: Contender,
    rounds: Vec<Option<Measurement>>,
    fallbacks: Vec<Option<Measurement>>,
    dropped: Vec<Measurement>,
}

impl Finished {
    /// Reads what an earlier run with the same programs and options has left; begins the file where there is none.
    ///
    /// # Errors
    /// The file cannot be used, or is of another run.
    pub(crate) fn read(options: &Options, installed: &[Installed]) -> Result<Self> {
        let Some(path) = &options.resume else {
            return Ok(Self {
                path: None,
                rows: Vec::new(),
            });
        };
        let head = fingerprint(options, installed);
        let Ok(text) = fs::read_to_string(path) else {
            fs::write(path, head + "\n").with_context(|| cannot("write", path))?;
            return Ok(Self {
                path: Some(path.clone()),
                rows: Vec::new(),
            });
        };
        let mut lines = text.lines();
        if lines.next() != Some(&head) {
            bail!(
                "{} was begun with other programs or options; remove it, or name another file",
                path.display()
            );
        }
        // The last line may have been cut off: then its row is measured again.
        let kept = lines.filter_map(|line| serde_json::from_str::<Kept>(line).ok());
        Ok(Self {
            path: Some(path.clone()),
            rows: kept.filter_map(Kept::into_row).collect(),
        })
    }

    /// A row of the earlier run.
    pub(crate) fn take(&mut self, row: &Row) -> Option<RowReport> {
        let at = self
            .rows
            .iter()
            .position(|kept| kept.row.name == row.name)?;
        Some(self.rows.swap_remove(at))
    }

    /// Keeps a row that was measured now.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn keep(&self, row: &RowReport) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let kept = Kept::of(row);
        let mut file = File::options()
            .append(true)
            .open(path)
            .with_context(|| cannot("write", path))?;
        writeln!(file, "{}", serde_json::to_string(&kept)?).with_context(|| cannot("write", path))
    }
}

impl Kept {
    fn of(row: &RowReport) -> Self {
        let servers = row.servers.iter().map(|server| KeptServer {
            server: server.contender,
            rounds: server.rounds.clone(),
            fallbacks: server.fallbacks.clone(),
            dropped: server.dropped.clone(),
        });
        Self {
            row: row.row.name.to_owned(),
            servers: servers.collect(),
        }
    }

    fn into_row(self) -> Option<RowReport> {
        let servers = self.servers.into_iter().map(|kept| ServerReport {
            contender: kept.server,
            rounds: kept.rounds,
            fallbacks: kept.fallbacks,
            dropped: kept.dropped,
        });
        Some(RowReport {
            row: Row::from_name(&self.row)?,
            servers: servers.collect(),
        })
    }
}

fn cannot(what: &str, path: &Path) -> String {
    format!("cannot {what} {}", path.display())
}

/// What all rows of a file have in common, on one line.
fn fingerprint(options: &Options, installed: &[Installed]) -> String {
    let programs = installed.iter().map(Installed::fingerprint);
    json!({
        "programs": programs.collect::<Vec<_>>(),
        "rounds": options.rounds,
        "seconds": options.window.as_secs_f64(),
        "smoke": options.smoke,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::{Finished, Kept};
    use crate::bench::args::Options;
    use crate::bench::report::tests::example;

    #[test]
    fn a_row_that_was_kept_is_taken_once_and_the_cut_off_one_is_measured_again() {
        let path = std::env::temp_dir().join(format!("turnctl-resume-test-{}", std::process::id()));
        let mut options = Options {
            resume: Some(path.clone()),
            ..Options::default()
        };
        let first = Finished::read(&options, &[]).unwrap();
        first.keep(&example()).unwrap();
        let line = serde_json::to_string(&Kept::of(&example())).unwrap();
        let cut = line[..40].replace("voice-1", "tcp");
        let text = std::fs::read_to_string(&path).unwrap() + &cut;
        std::fs::write(&path, text).unwrap();
        let mut again = Finished::read(&options, &[]).unwrap();
        let row = again.take(&example().row).unwrap();
        assert_eq!(row.to_json(), example().to_json());
        assert!(again.take(&example().row).is_none() && again.rows.is_empty());
        options.rounds += 1;
        let other = Finished::read(&options, &[]).err().unwrap();
        assert!(other.to_string().contains("other programs"), "{other}");
        std::fs::remove_file(&path).unwrap();
    }
}
