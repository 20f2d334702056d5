//! One event as one line: in the shapes of coturn's versions, or as an object of JSON.

use std::{
    fmt::{self, Write as _},
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};
use turn_config::settings::{LogShape, Logging};

use super::{clock::Clock, privacy::Privacy};

/// The target of events whose message is the line already, or in JSON the members of the object.
pub(crate) const RECORD: &str = "record";

/// Fields with the address of somebody.
const ADDRESSES: [&str; 4] = ["client", "peer", "from", "to"];

/// What lines look like.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// The shape of a line.
    pub(crate) shape: LogShape,
    /// How people are named.
    pub(crate) privacy: Privacy,
    clock: Clock,
}

impl Style {
    /// The style that these settings ask for.
    pub(crate) fn new(logging: &Logging) -> Self {
        Self {
            shape: logging.shape,
            privacy: Privacy(logging.privacy),
            clock: Clock::new(logging.time_of_day.as_deref()),
        }
    }

    /// Writes what stands before the message.
    fn begin(&self, level: Level, to: &mut impl fmt::Write) -> fmt::Result {
        let (time, name) = (self.clock.now(), name(level));
        match (self.shape, &self.clock) {
            (LogShape::Json | LogShape::Coturn417, _) => write!(to, "{time} {name} "),
            (LogShape::Coturn46, _) => {
                let thread = rustix::thread::gettid().as_raw_nonzero();
                write!(to, "{time}: ({thread}): {name}: ")
            }
            // In that age, what was not worth a word was information; the place between the colons was empty.
            (LogShape::Coturn45, clock) => {
                let gap = if matches!(clock, Clock::SinceStart) {
                    " :"
                } else {
                    ""
                };
                write!(to, "{time}:{gap} ")?;
                if level == Level::INFO {
                    return Ok(());
                }
                write!(to, "{name}: ")
            }
        }
    }
}

/// The level in coturn's words.
fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

/// Formats events in the present style.
pub(super) struct Line(pub(super) Arc<RwLock<Style>>);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let style = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (level, about) = (*event.metadata().level(), event.metadata().target());
        let mut said = Said::new(style.privacy);
        event.record(&mut said);
        if style.shape == LogShape::Json {
            let members = if about == RECORD {
                said.message
            } else {
                said.members()
            };
            let time = Value::from(style.clock.now());
            let level = name(level);
            return writeln!(
                writer,
                "{{\"time\":{time},\"level\":\"{level}\",{members}}}"
            );
        }
        style.begin(level, &mut writer)?;
        // One record, one line, whoever has chosen the words.
        let text = said.text().replace(['\n', '\r'], " ");
        writeln!(writer, "{text}")
    }
}

/// What an event says.
struct Said {
    privacy: Privacy,
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn new(privacy: Privacy) -> Self {
        Self {
            privacy,
            message: String::new(),
            fields: Map::new(),
        }
    }

    /// The message, and the fields behind it.
    fn text(self) -> String {
        let mut text = self.message;
        for (name, value) in self.fields {
            // Writing to a string cannot fail.
            let _ = match value {
                Value::String(value) => write!(text, " {name}={value}"),
                value => write!(text, " {name}={value}"),
            };
        }
        text
    }

    /// The members of an object.
    fn members(self) -> String {
        let mut members = Map::from_iter([("message".to_owned(), Value::from(self.message))]);
        members.extend(self.fields);
        let object = Value::Object(members).to_string();
        object[1..object.len() - 1].to_owned()
    }

    fn keep(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
            return;
        }
        let address = ADDRESSES
            .contains(&field.name())
            .then(|| text.parse::<SocketAddr>().ok());
        let text = address
            .flatten()
            .map_or(text, |address| self.privacy.address(address));
        self.keep(field, text.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.keep(field, value.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }
}
