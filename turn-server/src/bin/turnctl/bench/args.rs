//! The command line of `turnctl bench`.

use super::load::MAX_BURST;
use super::operator::{Against, Login, Through};
use super::probe::PROBE_LEN;
use super::rows::{ROWS, Row};
use super::target::Contender;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
Measures TURN servers.

Usage: turnctl bench [OPTION]...
       turnctl bench --against=turn:HOST[:PORT] (--user=NAME --password=WORD | --secret=SECRET) [OPTION]...

The first form starts several servers on this machine, one core for the server and one for the generator, loads each in
turn over loopback with the same traffic, and prints processor time per packet, loss and latency side by side. Rounds
alternate between the servers; the first round is discarded; measurements that something else disturbed are repeated,
dropped and counted. It takes minutes, and the machine should do nothing else.

  --rounds=N           rounds that count (default 5)
  --row=NAME           only this row; may be repeated (default: all, see below)
  --servers=A,B,...    of ours, coturn, webrtc-rs, forwarder (default: all that are found)
  --seconds=S          measured time per server and round (default 1)
  --smoke              one short round of light load, which fails unless every server delivers with less than 5 % loss
  --json               print every round as JSON
  --resume=FILE        keep each row in FILE when it is done, and take from there those that are
  --hold=FILE          fail if the first server needs more than FILE allows, line by line: ROW FIGURE NUMBER
  --ours=PATH          our server (default: turnserver beside this program)
  --ours-arg=ARG       one more argument for our server; may be repeated
  --coturn=PATH        coturn's turnserver (default: /usr/bin/turnserver)
  --coturn-arg=ARG     one more argument for coturn; may be repeated
  --server-cpu=N       core of the server under test (default 0)
  --generator-cpu=N    core of the generator (default 1)
  --wait=SECONDS       how long to wait for another bench on this machine to end (default 0)

The second form measures a server anywhere, as a client of it: it sends to that server only, little unless told otherwise.

  --against=URL        turn:HOST[:PORT][?transport=udp]
  --user=NAME          user name; with --secret the name inside the time-limited user name
  --password=WORD      password of the long-term mechanism (or --password-file=FILE)
  --secret=SECRET      shared secret for time-limited credentials (or --secret-file=FILE)
  --rate=N             packets per second over all sessions (default 100)
  --sessions=N         sessions (default 1)
  --seconds=S          measured time (default 10)
  --payload=BYTES      bytes a peer gets in one packet (default 160)
  --burst=N            packets of one session sent back to back (default 1)
  --indications        Send indications instead of channels
  --through=echo|pair  echo: the peer is a socket of this program that sends everything back; needs an address that the
                       server can reach. pair: two allocations on the server send to each other; works behind a NAT.
                       (default: echo if the server sees this machine's own address, else pair)
  --json               print JSON

";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Compare(Options),
    Against(Against),
}

/// The side-by-side bench.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) servers: Vec<Contender>,
    /// Servers were named: then a missing one is an error.
    pub(crate) servers_named: bool,
    pub(crate) window: Duration,
    pub(crate) smoke: bool,
    pub(crate) json: bool,
    /// Where rows are kept that are done.
    pub(crate) resume: Option<PathBuf>,
    /// What must not grow.
    pub(crate) hold: Option<PathBuf>,
    pub(crate) ours: Option<PathBuf>,
    pub(crate) ours_args: Vec<String>,
    pub(crate) coturn: PathBuf,
    pub(crate) coturn_args: Vec<String>,
    pub(crate) server_core: usize,
    pub(crate) generator_core: usize,
    pub(crate) wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rounds: 5,
            rows: ROWS.to_vec(),
            servers: Contender::ALL.to_vec(),
            servers_named: false,
            window: Duration::from_secs(1),
            smoke: false,
            json: false,
            resume: None,
            hold: None,
            ours: None,
            ours_args: Vec::new(),
            coturn: PathBuf::from("/usr/bin/turnserver"),
            coturn_args: Vec::new(),
            server_core: 0,
            generator_core: 1,
            wait: Duration::ZERO,
        }
    }
}

/// A command line that cannot be understood, in words for its writer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsageError(pub(crate) String);

/// The text of `turnctl bench --help`.
pub(crate) fn help() -> String {
    let mut text = HELP.to_owned();
    text.push_str("Rows:\n");
    for row in ROWS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:<12} {}", row.name, row.what);
    }
    text
}

/// Reads the arguments behind `bench`.
///
/// # Errors
/// An unknown option, or a value out of range.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, UsageError> {
    let arguments: Vec<String> = arguments.into_iter().collect();
    if arguments
        .iter()
        .any(|argument| argument == "--help" || argument == "-h")
    {
        return Ok(Command::Help);
    }
    let mut words = Words {
        rest: arguments.clone().into_iter(),
    };
    if arguments
        .iter()
        .any(|argument| argument == "--against" || argument.starts_with("--against="))
    {
        return parse_against(&mut words).map(Command::Against);
    }
    parse_compare(&mut words).map(Command::Compare)
}

fn parse_compare(words: &mut Words) -> Result<Options, UsageError> {
    let mut options = Options::default();
    let mut rows = Vec::new();
    while let Some((name, value)) = words.next_option()? {
        let mut text = || words.value(&name, value.clone());
        match name.as_str() {
            "--rounds" => options.rounds = number(&name, &text()?, 1, 100)? as usize,
            "--row" => {
                let row = text()?;
                rows.push(Row::from_name(&row).ok_or_else(|| {
                    UsageError(format!("{name}: there is no row {row}; --help lists them"))
                })?);
            }
            "--servers" => {
                options.servers = contenders(&text()?)?;
                options.servers_named = true;
            }
            "--seconds" => options.window = seconds(&name, &text()?, 60.0)?,
            "--resume" => options.resume = Some(text()?.into()),
            "--hold" => options.hold = Some(text()?.into()),
            "--ours" => options.ours = Some(text()?.into()),
            "--ours-arg" => options.ours_args.push(text()?),
            "--coturn" => options.coturn = text()?.into(),
            "--coturn-arg" => options.coturn_args.push(text()?),
            "--server-cpu" => options.server_core = number(&name, &text()?, 0, 4095)? as usize,
            "--generator-cpu" => {
                options.generator_core = number(&name, &text()?, 0, 4095)? as usize
            }
            "--wait" => options.wait = seconds(&name, &text()?, 86_400.0)?,
            "--smoke" => options.smoke = flag(&name, value)?,
            "--json" => options.json = flag(&name, value)?,
            _ => return Err(unknown(&name)),
        }
    }
    if !rows.is_empty() {
        options.rows = rows;
    }
    Ok(options)
}

fn parse_against(words: &mut Words) -> Result<Against, UsageError> {
    let mut against = Against::default();
    let (mut user, mut password, mut secret) = (None, None, None);
    while let Some((name, value)) = words.next_option()? {
        let mut text = || words.value(&name, value.clone());
        match name.as_str() {
            "--against" => against.server = turn_url(&text()?)?,
            "--user" => user = Some(text()?),
            "--password" => password = Some(text()?),
            "--password-file" => password = Some(first_line(&name, &text()?)?),
            "--secret" => secret = Some(text()?),
            "--secret-file" => secret = Some(first_line(&name, &text()?)?),
            "--rate" => against.rate = number(&name, &text()?, 1, 1_000_000)?,
            "--sessions" => against.sessions = number(&name, &text()?, 1, 10_000)? as usize,
            "--seconds" => against.window = seconds(&name, &text()?, 600.0)?,
            "--payload" => {
                against.payload = number(&name, &text()?, PROBE_LEN as u64, 1_400)? as usize
            }
            "--burst" => against.burst = number(&name, &text()?, 1, MAX_BURST as u64)?,
            "--through" => against.through = Some(through(&text()?)?),
            "--indications" => against.indications = flag(&name, value)?,
            "--json" => against.json = flag(&name, value)?,
            _ => return Err(unknown(&name)),
        }
    }
    against.login = match (user, password, secret) {
        (user, None, Some(secret)) => Login::Secret {
            user: user.unwrap_or_default(),
            secret,
        },
        (Some(user), Some(password), None) => Login::Password { user, password },
        _ => {
            return Err(UsageError(
                "--against needs either --user and --password, or --secret".to_owned(),
            ));
        }
    };
    Ok(against)
}

/// The arguments still to be read.
struct Words {
    rest: std::vec::IntoIter<String>,
}

impl Words {
    /// The next option, with what follows its `=`.
    fn next_option(&mut self) -> Result<Option<(String, Option<String>)>, UsageError> {
        let Some(word) = self.rest.next() else {
            return Ok(None);
        };
        if !word.starts_with("--") {
            return Err(UsageError(format!("{word}: options begin with --")));
        }
        Ok(Some(match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        }))
    }

    /// The value of an option: behind its `=`, or the next word.
    fn value(&mut self, name: &str, attached: Option<String>) -> Result<String, UsageError> {
        attached
            .or_else(|| self.rest.next())
            .ok_or_else(|| UsageError(format!("{name} needs a value")))
    }
}

fn flag(name: &str, value: Option<String>) -> Result<bool, UsageError> {
    match value {
        None => Ok(true),
        Some(_) => Err(UsageError(format!("{name} takes no value"))),
    }
}

fn number(name: &str, text: &str, least: u64, most: u64) -> Result<u64, UsageError> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        UsageError(format!(
            "{name}: {text} is not a number from {least} to {most}"
        ))
    })
}

fn seconds(name: &str, text: &str, most: f64) -> Result<Duration, UsageError> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|seconds| (0.0..=most).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        UsageError(format!(
            "{name}: {text} is not a time of at most {most} seconds"
        ))
    })?;
    Ok(Duration::from_secs_f64(seconds))
}

fn contenders(text: &str) -> Result<Vec<Contender>, UsageError> {
    let contender = |name| {
        Contender::from_name(name).ok_or_else(|| {
            UsageError(format!(
                "--servers: {name} is none of ours, coturn, webrtc-rs, forwarder"
            ))
        })
    };
    text.split(',').map(contender).collect()
}

fn through(text: &str) -> Result<Through, UsageError> {
    match text {
        "echo" => Ok(Through::Echo),
        "pair" => Ok(Through::Pair),
        _ => Err(UsageError(format!(
            "--through: {text} is neither echo nor pair"
        ))),
    }
}

/// `turn:HOST[:PORT][?transport=udp]` (RFC 7065) as `HOST:PORT`.
fn turn_url(text: &str) -> Result<String, UsageError> {
    let bad = |why: &str| UsageError(format!("--against: {text}: {why}"));
    let rest = text
        .strip_prefix("turn:")
        .ok_or_else(|| bad("only turn: over UDP can be measured so far"))?;
    let (host, transport) = rest.split_once('?').unwrap_or((rest, "transport=udp"));
    if transport != "transport=udp" {
        return Err(bad("only transport=udp can be measured so far"));
    }
    if host.is_empty() || host.contains('/') {
        return Err(bad("expected turn:HOST or turn:HOST:PORT"));
    }
    let has_port = match host.rsplit_once(']') {
        Some((_, behind)) => behind.starts_with(':'),
        None => host.contains(':'),
    };
    Ok(if has_port {
        host.to_owned()
    } else {
        format!("{host}:3478")
    })
}

fn first_line(name: &str, path: &str) -> Result<String, UsageError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| UsageError(format!("{name}: {path}: {error}")))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn unknown(name: &str) -> UsageError {
    UsageError(format!("{name}: unknown option; see turnctl bench --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(line: &str) -> Options {
        match parse(line.split_whitespace().map(str::to_owned)) {
            Ok(Command::Compare(options)) => options,
            other => unreachable!("{line}: {other:?}"),
        }
    }

    fn against(line: &str) -> Against {
        match parse(line.split_whitespace().map(str::to_owned)) {
            Ok(Command::Against(against)) => against,
            other => unreachable!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        parse(line.split_whitespace().map(str::to_owned))
            .err()
            .map(|error| error.0)
            .unwrap_or_default()
    }

    #[test]
    fn without_arguments_everything_is_measured() {
        let options = compare("");
        assert_eq!(
            (options.rounds, options.rows.len(), options.servers.len()),
            (5, ROWS.len(), 4)
        );
        assert!(!options.smoke && !options.servers_named);
    }

    #[test]
    fn values_come_attached_or_as_the_next_word() {
        assert_eq!(compare("--rounds=7").rounds, 7);
        assert_eq!(compare("--rounds 7").rounds, 7);
    }

    #[test]
    fn rows_are_repeatable_and_in_the_order_asked() {
        let names: Vec<_> = compare("--row=alloc --row=voice-1")
            .rows
            .iter()
            .map(|row| row.name)
            .collect();
        assert_eq!(names, ["alloc", "voice-1"]);
        assert!(error("--row=nothing").contains("no row nothing"));
    }

    #[test]
    fn servers_are_a_list() {
        let options = compare("--servers=forwarder,coturn");
        assert_eq!(options.servers, [Contender::Forwarder, Contender::Coturn]);
        assert!(options.servers_named);
        assert!(error("--servers=nginx").contains("nginx"));
    }

    #[test]
    fn counts_and_times_are_bounded() {
        for line in [
            "--rounds=0",
            "--rounds=101",
            "--seconds=61",
            "--seconds=-1",
            "--seconds=NaN",
            "--rounds=x",
        ] {
            assert!(!error(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn unknown_options_are_named() {
        assert!(error("--frobnicate").contains("--frobnicate"));
        assert!(error("voice-1").contains("voice-1"));
        assert!(error("--smoke=yes").contains("takes no value"));
        assert!(error("--rounds").contains("needs a value"));
    }

    #[test]
    fn an_operators_defaults_are_modest() {
        let against = against("--against=turn:relay.example --user=u --password=p");
        assert_eq!(against.server, "relay.example:3478");
        assert_eq!((against.rate, against.sessions), (100, 1));
        assert_eq!(
            against.login,
            Login::Password {
                user: "u".into(),
                password: "p".into()
            }
        );
    }

    #[test]
    fn a_secret_needs_no_user() {
        let against = against("--against turn:[2001:db8::1]:5000?transport=udp --secret=s");
        assert_eq!(against.server, "[2001:db8::1]:5000");
        assert_eq!(
            against.login,
            Login::Secret {
                user: String::new(),
                secret: "s".into()
            }
        );
    }

    #[test]
    fn an_operator_must_say_who_he_is() {
        assert!(error("--against=turn:h").contains("--password"));
        assert!(error("--against=turn:h --user=u --password=p --secret=s").contains("either"));
    }

    #[test]
    fn only_turn_over_udp_is_taken() {
        for url in ["turns:h", "stun:h", "turn:h?transport=tcp", "turn:", "h"] {
            assert!(
                !error(&format!("--against={url} --secret=s")).is_empty(),
                "{url}"
            );
        }
    }

    #[test]
    fn an_ipv6_host_without_port_gets_the_default() {
        assert_eq!(turn_url("turn:[::1]"), Ok("[::1]:3478".to_owned()));
    }

    #[test]
    fn help_lists_every_row() {
        assert!(ROWS.iter().all(|row| help().contains(row.what)));
    }
}
