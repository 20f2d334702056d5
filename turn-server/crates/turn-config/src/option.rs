//! The declaration of one option, from which the readers, `--help`, the sample file and the reference are made.
//!
//! In: the types of a declaration and small builders that keep a table readable. Not in: any option (`options/`), and
//! how a value of each kind is read (`value.rs`).

/// Declares one option. Build it with [`flag`], [`number`], [`port`] or [`option`] and the methods below.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The key in a file, and the flag behind two dashes.
    pub long: &'static str,
    /// The flag behind one dash.
    pub short: Option<char>,
    /// Other long names for the same option.
    pub aliases: &'static [&'static str],
    /// What a value looks like.
    pub kind: Kind,
    /// Each value counts; otherwise the last one does.
    pub list: bool,
    /// The value when nobody gives one.
    pub default: Default,
    /// One sentence, with the unit of the value.
    pub help: &'static str,
    /// A value that an operator might write; empty for flags.
    pub example: &'static str,
    /// Whether it does anything.
    pub status: Status,
    /// coturn does not have it.
    pub ours: bool,
    /// It makes no sense in a file.
    pub command_line_only: bool,
    /// An empty value means "none" and is no mistake.
    pub may_be_empty: bool,
    /// When a changed value counts.
    pub change: Change,
}

/// Says what a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On without a value; otherwise yes or no, by the first letter.
    Flag,
    /// Digits; what follows them is ignored with a warning, as `atoi` does.
    Number(Number),
    /// A port from `lowest` to 65535.
    Port {
        /// 0 where the system may choose, otherwise 1.
        lowest: u16,
    },
    /// An IP address, or a host name that is resolved once.
    Address,
    /// `PUBLIC` or `PUBLIC/PRIVATE`, two addresses.
    External,
    /// `IP`, `IP-IP` or CIDR.
    Range,
    /// `RANGE`, `RANGE@PORT` or `RANGE@ADDRESS:PORT`.
    Clients,
    /// `ADDRESS:PORT`.
    Endpoint,
    /// `ADDRESS`, `NAME`, or one of them with `:PORT`.
    Server,
    /// `NAME:PASSWORD` or `NAME:0xKEY`.
    Account,
    /// One character.
    Character,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Digits and `us`, `ms` or `s`.
    Duration,
    /// `SCHEME://HOST[:PORT]`, or `*`.
    WebOrigin,
    /// A host name or IP address that is passed on unresolved.
    Host,
    /// The path of a file.
    Path,
    /// The path of a web page, from its slash on.
    UrlPath,
    /// Anything.
    Text,
    /// Anything, and never shown.
    Secret,
}

/// Bounds a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// The lowest value that is accepted.
    pub min: u64,
    /// The highest value that is accepted.
    pub max: u64,
    /// What is counted, for messages: "seconds", "bytes".
    pub unit: &'static str,
    /// The key may stand alone and then means the default; such a flag takes its value only behind `=`.
    pub optional: bool,
    /// A value above `max` is lowered with a warning instead of refused.
    pub clamp: bool,
}

/// Says what holds when nobody gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// This value, written as an operator would.
    Value(&'static str),
    /// No value; the words say what happens then.
    Unset(&'static str),
}

/// Says whether an option does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does what its help says.
    Works,
    /// Accepted; the reason says why it does and needs nothing here.
    NoEffect(&'static str),
    /// Accepted; the reason says what is missing.
    NotYet(&'static str),
    /// coturn, or a relative of it, had it once; the reason says what became of it.
    Removed(&'static str),
}

/// Says when a value that was changed counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// From the next reload on.
    Reload,
    /// From the next start on; a reload names the option and keeps the old value.
    Restart,
}

/// Holds the options of one subject.
#[derive(Debug)]
pub struct Group {
    /// A heading.
    pub title: &'static str,
    /// In the order in which they are shown.
    pub options: &'static [OptionSpec],
}

/// Holds all options of one program.
#[derive(Debug)]
pub struct Registry {
    /// The program's name.
    pub program: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// How it is called, one form per line.
    pub synopsis: &'static str,
    /// In the order in which they are shown.
    pub groups: &'static [&'static Group],
    /// Whether a line of its file that is not understood is passed over with a warning, as coturn does, and does not stop the start.
    pub lenient: bool,
    /// What is said besides.
    pub notes: Notes,
}

/// What generated texts say of a program besides its options.
#[derive(Debug)]
pub struct Notes {
    /// How options are given, for the reference (Markdown).
    pub reference: &'static str,
    /// The same for the manual page (macros of man(7)).
    pub manual: &'static str,
    /// The sections at the end of the manual page.
    pub manual_end: &'static str,
    /// Whether the reference tells for each option when a change counts.
    pub changes: bool,
}

impl Registry {
    /// All options, in order.
    pub fn options(&self) -> impl Iterator<Item = &'static OptionSpec> {
        self.groups.iter().flat_map(|group| group.options)
    }

    /// The option with this long name or alias.
    pub fn find(&self, name: &str) -> Option<&'static OptionSpec> {
        self.options().find(|option| option.is_named(name))
    }

    /// The option with this short name.
    pub fn find_short(&self, short: char) -> Option<&'static OptionSpec> {
        self.options().find(|option| option.short == Some(short))
    }
}

/// Declares a flag that is off by default.
pub const fn flag(long: &'static str, help: &'static str) -> OptionSpec {
    option(long, Kind::Flag, help).default("no")
}

/// Declares a number of `unit` between `min` and `max`.
pub const fn number(
    long: &'static str,
    min: u64,
    max: u64,
    unit: &'static str,
    help: &'static str,
) -> OptionSpec {
    option(
        long,
        Kind::Number(Number {
            min,
            max,
            unit,
            optional: false,
            clamp: false,
        }),
        help,
    )
}

/// Declares a port from `lowest` (0 or 1) to 65535.
pub const fn port(long: &'static str, lowest: u16, help: &'static str) -> OptionSpec {
    option(long, Kind::Port { lowest }, help)
}

/// Declares an option of any kind.
pub const fn option(long: &'static str, kind: Kind, help: &'static str) -> OptionSpec {
    OptionSpec {
        long,
        short: None,
        aliases: &[],
        kind,
        list: false,
        default: Default::Unset("not set"),
        help,
        example: "",
        status: Status::Works,
        ours: false,
        command_line_only: false,
        may_be_empty: false,
        change: Change::Restart,
    }
}

impl OptionSpec {
    /// Adds the flag behind one dash.
    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// Adds other long names.
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Lets each value count.
    pub const fn list(mut self) -> Self {
        self.list = true;
        self
    }

    /// Sets the value that holds when nobody gives one.
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Default::Value(value);
        self
    }

    /// Says what holds when nobody gives a value.
    pub const fn unset(mut self, words: &'static str) -> Self {
        self.default = Default::Unset(words);
        self
    }

    /// Shows a value.
    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// Lets the key of a number stand alone; it means the default then.
    pub const fn optional(mut self) -> Self {
        if let Kind::Number(mut number) = self.kind {
            number.optional = true;
            self.kind = Kind::Number(number);
        }
        self
    }

    /// Lowers a number above the highest instead of refusing it.
    pub const fn clamp(mut self) -> Self {
        if let Kind::Number(mut number) = self.kind {
            number.clamp = true;
            self.kind = Kind::Number(number);
        }
        self
    }

    /// Accepts an empty value as "none".
    pub const fn may_be_empty(mut self) -> Self {
        self.may_be_empty = true;
        self
    }

    /// Marks an option that needs nothing done.
    pub const fn no_effect(mut self, reason: &'static str) -> Self {
        self.status = Status::NoEffect(reason);
        self
    }

    /// Marks an option whose work is missing.
    pub const fn not_yet(mut self, reason: &'static str) -> Self {
        self.status = Status::NotYet(reason);
        self
    }

    /// Marks an option that is gone from coturn.
    pub const fn removed(mut self, reason: &'static str) -> Self {
        self.status = Status::Removed(reason);
        self
    }

    /// Marks an option that coturn does not have.
    pub const fn ours(mut self) -> Self {
        self.ours = true;
        self
    }

    /// Keeps an option out of files.
    pub const fn command_line_only(mut self) -> Self {
        self.command_line_only = true;
        self
    }

    /// Lets a changed value count from the next reload on. Without it, a reload keeps the old value and says so.
    pub const fn reloads(mut self) -> Self {
        self.change = Change::Reload;
        self
    }

    /// Whether the option does what its help says.
    pub fn works(&self) -> bool {
        self.status == Status::Works
    }

    /// Whether `name` is its long name or an alias.
    pub fn is_named(&self, name: &str) -> bool {
        self.long == name || self.aliases.contains(&name)
    }

    /// The long name and the aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.long).chain(self.aliases.iter().copied())
    }

    /// Whether a flag of this option takes the next word of the command line.
    pub(crate) fn takes_next_word(&self) -> bool {
        match self.kind {
            Kind::Flag => false,
            Kind::Number(number) => !number.optional,
            _ => true,
        }
    }

    /// Whether its values must never be shown.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Account)
    }
}
