//! A log file of each day, with its date in the name (`simple-log=no`): the names are coturn's, for who collects logs by them.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jiff::{Zoned, civil::Date};

use super::output::open_file;

/// The file of today.
pub(super) struct Daily {
    base: PathBuf,
    today: Mutex<(Date, File)>,
}

impl Daily {
    /// Opens it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn open(base: &Path) -> anyhow::Result<Self> {
        let date = Zoned::now().date();
        let file = open_file(&name_of(base, date))?;
        Ok(Self {
            base: base.to_owned(),
            today: Mutex::new((date, file)),
        })
    }

    /// Writes a line into the file of the day on which it is written.
    pub(super) fn write(&self, line: &[u8]) -> io::Result<()> {
        self.write_on(Zoned::now().date(), line)
    }

    fn write_on(&self, date: Date, line: &[u8]) -> io::Result<()> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if today.0 != date {
            // Where there can be no file of today, that of yesterday is better than none; it is not tried with every line.
            today.0 = date;
            if let Ok(file) = open_file(&name_of(&self.base, date)) {
                today.1 = file;
            }
        }
        today.1.write_all(line)
    }
}

/// Where the lines of today go.
pub(crate) fn file_of_today(base: &Path) -> PathBuf {
    name_of(base, Zoned::now().date())
}

/// The date stands before the ending, which is `.log` where there is none, behind an underscore or a dash that is there already.
fn name_of(base: &Path, date: Date) -> PathBuf {
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let ending = base.extension().filter(|ending| !ending.is_empty());
    let ending = ending.map_or("log".into(), |ending| ending.to_string_lossy());
    let gap = if stem.ends_with(['_', '-']) { "" } else { "_" };
    base.with_file_name(format!("{stem}{gap}{date}.{ending}"))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use jiff::civil::date;

    use super::{Daily, name_of};

    #[test]
    fn the_date_stands_where_coturn_has_it() {
        for (base, name) in [
            (
                "/var/log/turnserver.log",
                "/var/log/turnserver_2026-11-21.log",
            ),
            ("/var/log/turn.txt", "/var/log/turn_2026-11-21.txt"),
            ("/var/log/turn", "/var/log/turn_2026-11-21.log"),
            ("/var/log/turn_1234_", "/var/log/turn_1234_2026-11-21.log"),
            ("/var/log.d/turn-", "/var/log.d/turn-2026-11-21.log"),
        ] {
            let named = name_of(Path::new(base), date(2026, 11, 21));
            assert_eq!(named, Path::new(name));
        }
    }

    #[test]
    fn each_day_has_a_file_of_its_own() {
        let folder = std::env::temp_dir().join(format!("turnpike-daily-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let base = folder.join("turn.log");
        let daily = Daily::open(&base).unwrap();
        for (day, line) in [(1, "one\n"), (1, "two\n"), (2, "three\n")] {
            daily.write_on(date(2030, 1, day), line.as_bytes()).unwrap();
        }
        let read = |day| fs::read_to_string(name_of(&base, date(2030, 1, day))).unwrap();
        assert_eq!((&*read(1), &*read(2)), ("one\ntwo\n", "three\n"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
