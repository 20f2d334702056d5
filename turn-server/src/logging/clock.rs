//! What a log line begins with: the time of day, or the seconds since the start.

use std::{fmt::Write as _, sync::OnceLock, time::Instant};

use jiff::{Zoned, fmt::strtime};

/// When the log began.
static BEGAN: OnceLock<Instant> = OnceLock::new();

/// How the time is written.
#[derive(Clone, Debug)]
pub(super) enum Clock {
    /// `12`, with what stands behind it in the shape of coturn before 4.17.
    SinceStart,
    /// As in `strftime`.
    TimeOfDay(Box<str>),
}

impl Clock {
    /// Counts from the first call on where it does not tell the time of day.
    pub(super) fn new(format: Option<&str>) -> Self {
        BEGAN.get_or_init(Instant::now);
        match format {
            Some(format) => Self::TimeOfDay(format.into()),
            None => Self::SinceStart,
        }
    }

    /// The present time.
    pub(super) fn now(&self) -> String {
        match self {
            Self::SinceStart => {
                let began = BEGAN.get_or_init(Instant::now);
                began.elapsed().as_secs().to_string()
            }
            Self::TimeOfDay(format) => written(format, &Zoned::now()),
        }
    }
}

/// A time in the local zone. What `strftime` does not know is left as it was written.
fn written(format: &str, time: &Zoned) -> String {
    let format = with_milliseconds(format, time);
    let mut text = String::new();
    let done = strtime::BrokenDownTime::from(time).format_with_config(
        &strtime::Config::new().lenient(true),
        &format,
        &mut text,
    );
    if done.is_err() {
        text.clear();
        // Writing to a string cannot fail.
        let _ = write!(text, "{time:.3}");
    }
    text
}

/// Puts milliseconds in the place of coturn's `%f`, which `strftime` has not; `%%f` is a percent sign and an f.
fn with_milliseconds(format: &str, time: &Zoned) -> String {
    let mut text = String::with_capacity(format.len() + 2);
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        match (character, character == '%') {
            (_, true) => match rest.next() {
                Some('f') => {
                    let _ = write!(text, "{:03}", time.millisecond());
                }
                Some(other) => text.extend(['%', other]),
                None => text.push_str("%%"),
            },
            (other, false) => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::Zoned;

    use super::{Clock, written};

    #[test]
    fn formats_of_coturn_and_of_strftime() {
        let time: Zoned = "2026-08-07T08:39:40.123456-07:00[-07:00]".parse().unwrap();
        for (format, expected) in [
            ("%FT%T.%f%z", "2026-08-07T08:39:40.123-0700"),
            ("%FT%T%z", "2026-08-07T08:39:40-0700"),
            ("%d/%b/%Y:%H:%M:%S %z", "07/Aug/2026:08:39:40 -0700"),
            ("%s.%f", "1786117180.123"),
            ("%e %I %p %j %a 100%% %%f", " 7 08 AM 219 Fri 100% %f"),
            ("now%", "now%"),
        ] {
            assert_eq!(written(format, &time), expected, "{format}");
        }
    }

    #[test]
    fn what_no_strftime_knows_does_no_harm() {
        let time: Zoned = "2026-08-07T08:39:40.123456-07:00[-07:00]".parse().unwrap();
        assert_eq!(written("%F %\u{7f}%!", &time), "2026-08-07 %\u{7f}%!");
    }

    #[test]
    fn the_seconds_since_the_start_are_a_number() {
        assert!(Clock::new(None).now().parse::<u64>().is_ok());
    }
}
