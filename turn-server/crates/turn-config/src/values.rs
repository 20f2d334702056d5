//! All values of a program, understood one by one, with repeats settled.
//!
//! In: which value of an option counts, and what is said about options that do nothing. Not in: how options depend on
//! each other (`settings/`).

use std::collections::hash_map::Entry as Place;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::diagnostics::Report;
use crate::option::{Change, Default, Kind, OptionSpec, Registry, Status};
use crate::origin::Origin;
use crate::raw::{Entry, Raw};
use crate::secret::Secret;
use crate::value::{self, FromValue, Resolve, Value};

/// Holds the values of one program by option.
#[derive(Clone)]
pub struct Values {
    registry: &'static Registry,
    given: HashMap<&'static str, Vec<Given<Value>>>,
    refused: Vec<&'static str>,
}

/// The values of lists, and where each stood first: block lists of countries have tens of thousands.
type Listed = HashMap<(&'static str, Value), Origin>;

/// Pairs a value with where it came from.
#[derive(Clone)]
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

impl Values {
    /// Reads each text by the kind of its option; bad values and remarks are in the report.
    pub fn read(
        registry: &'static Registry,
        raw: Raw,
        resolve: &dyn Fn(&str) -> Option<IpAddr>,
    ) -> (Values, Report) {
        let mut values = Values {
            registry,
            given: HashMap::new(),
            refused: Vec::new(),
        };
        let mut report = raw.report;
        let mut mentioned: HashSet<&'static str> = HashSet::new();
        let mut listed = Listed::new();
        for entry in raw.entries {
            let long = entry.spec.long;
            let first = !mentioned.contains(long);
            match entry.spec.status {
                Status::Works => values.understand(entry, resolve, &mut listed, &mut report),
                Status::NoEffect(reason) if first => {
                    report.note(entry.origin, format!("{long} has no effect: {reason}"));
                }
                Status::Removed(reason) if first => {
                    report.note(
                        entry.origin,
                        format!("{long} is gone and has no effect: {reason}"),
                    );
                }
                Status::NotYet(reason) => {
                    if warn_of_missing(&entry, reason, first, resolve, &mut report) {
                        mentioned.insert(long);
                    }
                    continue;
                }
                Status::NoEffect(_) | Status::Removed(_) => {}
            }
            mentioned.insert(long);
        }
        (values, report)
    }

    /// Whether anybody gave a usable value.
    pub fn is_given(&self, long: &str) -> bool {
        self.given.contains_key(long)
    }

    /// Whether a value was given that cannot be used; what follows from its absence need not be said then.
    pub(crate) fn is_refused(&self, long: &str) -> bool {
        self.refused.contains(&long)
    }

    /// Where the value was given; of a list, the first.
    pub fn origin(&self, long: &str) -> Origin {
        self.given(long)
            .first()
            .map_or(Origin::Default, |given| given.origin.clone())
    }

    /// The value of a flag.
    pub fn flag(&self, long: &str) -> bool {
        self.one(long).unwrap_or(false)
    }

    /// The value of a number, or its default.
    pub fn number(&self, long: &str) -> Option<u64> {
        self.one(long)
    }

    /// The value of a port, or its default.
    pub fn port(&self, long: &str) -> Option<u16> {
        self.one(long)
    }

    /// The value of an address.
    pub fn address(&self, long: &str) -> Option<IpAddr> {
        self.one(long)
    }

    /// The value of a time, or its default.
    pub fn duration(&self, long: &str) -> Option<Duration> {
        self.one(long)
    }

    /// The value of a text, path, host or choice, or its default.
    pub fn text(&self, long: &str) -> Option<String> {
        self.one(long)
    }

    /// The value of a secret.
    pub fn secret(&self, long: &str) -> Option<Secret<String>> {
        self.one(long)
    }

    /// The values of a list of texts, paths or origins.
    pub fn texts(&self, long: &str) -> Vec<String> {
        self.list(long)
            .into_iter()
            .map(|given| given.value)
            .collect()
    }

    /// The values of a list of addresses with ports.
    pub fn endpoints(&self, long: &str) -> Vec<SocketAddr> {
        self.list(long)
            .into_iter()
            .map(|given| given.value)
            .collect()
    }

    /// The values of a list of secrets.
    pub fn secrets(&self, long: &str) -> Vec<Secret<String>> {
        self.list(long)
            .into_iter()
            .map(|given| given.value)
            .collect()
    }

    /// The value that counts, or the default.
    pub(crate) fn one<T: FromValue>(&self, long: &str) -> Option<T> {
        match self.given(long).last() {
            Some(given) => T::from_value(&given.value),
            None => self
                .registry
                .find(long)
                .and_then(default_value)
                .and_then(|value| T::from_value(&value)),
        }
    }

    /// All values of a list, in order.
    pub(crate) fn list<T: FromValue>(&self, long: &str) -> Vec<Given<T>> {
        self.given(long)
            .iter()
            .filter_map(|given| {
                Some(Given {
                    value: T::from_value(&given.value)?,
                    origin: given.origin.clone(),
                })
            })
            .collect()
    }

    pub(crate) fn given(&self, long: &str) -> &[Given<Value>] {
        self.given.get(long).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether an option means something else here than there. A flag that was turned off differs from one that nobody has
    /// mentioned, where its absence means more than "no"; for those that need a restart, a mere mention is no reason for one.
    pub(crate) fn differs(&self, other: &Values, spec: &'static OptionSpec) -> bool {
        let meant = |values: &Values| -> Vec<Value> {
            let given = values.given(spec.long).iter();
            let given: Vec<_> = given.map(|given| given.value.clone()).collect();
            if given.is_empty() {
                default_value(spec).into_iter().collect()
            } else {
                given
            }
        };
        let mentioned = |values: &Values| values.is_given(spec.long);
        let by_mention = spec.kind == Kind::Flag && spec.change == Change::Reload;
        meant(self) != meant(other) || by_mention && mentioned(self) != mentioned(other)
    }

    /// Takes the values of one option from elsewhere.
    pub(crate) fn take_from(&mut self, other: &Values, long: &'static str) {
        match other.given.get(long) {
            Some(given) => self.given.insert(long, given.clone()),
            None => self.given.remove(long),
        };
    }

    fn understand(
        &mut self,
        entry: Entry,
        resolve: Resolve<'_>,
        listed: &mut Listed,
        report: &mut Report,
    ) {
        let reading = meaning(&entry, resolve);
        let Entry { spec, origin, .. } = entry;
        match reading {
            Err(fault) => {
                self.refused.push(spec.long);
                report.problem(
                    origin,
                    format!("{}: {}", spec.long, fault.text),
                    fault.remedy,
                );
            }
            Ok(reading) => {
                for remark in reading.remarks {
                    report.warn(origin.clone(), format!("{}: {remark}", spec.long));
                }
                self.keep(
                    spec,
                    Given {
                        value: reading.value,
                        origin,
                    },
                    listed,
                    report,
                );
            }
        }
    }

    /// Settles repeats: a list keeps each value once, for all else the last value counts.
    fn keep(
        &mut self,
        spec: &'static OptionSpec,
        given: Given<Value>,
        listed: &mut Listed,
        report: &mut Report,
    ) {
        let kept = self.given.entry(spec.long).or_default();
        if spec.list {
            match listed.entry((spec.long, given.value.clone())) {
                Place::Occupied(earlier) => report.warn(
                    given.origin,
                    format!(
                        "{}: the same value as at {}; remove one of them",
                        spec.long,
                        earlier.get()
                    ),
                ),
                Place::Vacant(place) => {
                    place.insert(given.origin.clone());
                    kept.push(given);
                }
            }
            return;
        }
        if let Some(earlier) = kept
            .pop()
            .filter(|earlier| same_source(&earlier.origin, &given.origin))
        {
            report.warn(
                given.origin.clone(),
                format!(
                    "{}: replaces the value at {}; remove one of them",
                    spec.long, earlier.origin
                ),
            );
        }
        kept.push(given);
    }
}

fn meaning(entry: &Entry, resolve: Resolve<'_>) -> Result<value::Reading, value::Fault> {
    if entry.exact {
        value::read_exactly(entry.spec, &entry.text, resolve)
    } else {
        value::read(entry.spec, &entry.text, resolve)
    }
}

/// Warns of an option whose work is missing, unless it asks for what is the case anyway. True if it did.
fn warn_of_missing(
    entry: &Entry,
    reason: &str,
    first: bool,
    resolve: Resolve<'_>,
    report: &mut Report,
) -> bool {
    let long = entry.spec.long;
    match meaning(entry, resolve) {
        Err(fault) => {
            report.problem(
                entry.origin.clone(),
                format!("{long}: {}", fault.text),
                fault.remedy,
            );
            false
        }
        Ok(reading) if !first || value::is_default(entry.spec, &reading.value) => false,
        Ok(_) => {
            report.warn(
                entry.origin.clone(),
                format!("{long} has no effect yet: {reason}"),
            );
            true
        }
    }
}

/// The default of an option as a value.
pub(crate) fn default_value(spec: &'static OptionSpec) -> Option<Value> {
    match spec.default {
        Default::Value(text) => value::read(spec, text, &|_| None)
            .ok()
            .map(|reading| reading.value),
        Default::Unset(_) => None,
    }
}

/// Whether both stand in a file, or both on the command line. A flag over a file's value is what flags are for.
fn same_source(one: &Origin, other: &Origin) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
