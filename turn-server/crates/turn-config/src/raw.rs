//! Values as they were written: option, text and origin, in order.
//!
//! In: the list that every reader fills. Not in: reading (`file.rs`, `toml_file.rs`, `variables.rs`, `command_line.rs`) and meaning
//! (`value/`).

use crate::diagnostics::Report;
use crate::option::OptionSpec;
use crate::origin::Origin;

/// Holds what was written, before anybody asks what it means.
#[derive(Default)]
pub struct Raw {
    pub(crate) entries: Vec<Entry>,
    /// The file that some of it was read from.
    pub(crate) file: Option<String>,
    pub(crate) report: Report,
}

/// Holds one value as it was written.
pub(crate) struct Entry {
    pub(crate) spec: &'static OptionSpec,
    /// Empty when the key stood alone.
    pub(crate) text: String,
    pub(crate) origin: Origin,
    /// The text is the value to the letter: what looks like a comment belongs to it.
    pub(crate) exact: bool,
}

impl Raw {
    /// Appends `later`, whose values override the earlier ones and follow them in lists.
    pub fn then(mut self, mut later: Raw) -> Raw {
        self.entries.append(&mut later.entries);
        self.report.append(later.report);
        self.file = self.file.or(later.file);
        self
    }

    /// Whether a flag was given and not taken back, for flags that decide what else is read.
    pub fn asks_for(&self, long: &str) -> bool {
        self.last_text(long)
            .is_some_and(|text| crate::value::truth(text) != Some(false))
    }

    /// The last text given for an option.
    pub fn last_text(&self, long: &str) -> Option<&str> {
        self.last(long).map(|entry| entry.text.as_str())
    }

    pub(crate) fn last(&self, long: &str) -> Option<&Entry> {
        let mut latest = self.entries.iter().rev();
        latest.find(|entry| entry.spec.long == long)
    }

    /// Whether nothing was written at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn push(
        &mut self,
        spec: &'static OptionSpec,
        text: impl Into<String>,
        origin: Origin,
    ) {
        self.entries.push(Entry {
            spec,
            text: text.into(),
            origin,
            exact: false,
        });
    }

    /// As [`Raw::push`], from a syntax that says where a value begins and ends.
    pub(crate) fn push_exactly(&mut self, spec: &'static OptionSpec, text: String, origin: Origin) {
        self.push(spec, text, origin);
        if let Some(entry) = self.entries.last_mut() {
            entry.exact = true;
        }
    }
}
