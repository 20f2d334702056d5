//! How much a session, a user, a network of clients and all together may have.

use crate::diagnostics::{Report, quote};
use crate::values::Values;

/// Limits one good of one holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// `session`, `user`, `network` or `total`.
    pub holder: &'static str,
    /// What is limited; see [`GOODS`].
    pub good: &'static str,
    /// How much of it there is; zero is without limit.
    pub amount: u64,
}

/// Who can be limited.
pub const HOLDERS: [&str; 4] = ["session", "user", "network", "total"];

/// What can be limited.
pub const GOODS: [&str; 6] = [
    "allocations",
    "permissions",
    "channels",
    "bytes-per-second",
    "packets-per-second",
    "connections",
];

/// Reads `limit`, and coturn's limits of bytes per second, which are two of them.
pub(super) fn build(values: &Values, report: &mut Report) -> Vec<Cap> {
    let mut caps = Vec::new();
    for given in values.list::<String>("limit") {
        match parse(&given.value) {
            Ok(cap) => caps.push(cap),
            Err(why) => report.problem(
                given.origin,
                format!("limit: {} {why}", quote(&given.value)),
                "Write HOLDER.GOOD=NUMBER, for example user.allocations=12 or session.bytes-per-second=3000000.",
            ),
        }
    }
    for (option, holder) in [("max-bps", "session"), ("bps-capacity", "total")] {
        let amount = values.number(option).filter(|amount| *amount > 0);
        caps.extend(amount.map(|amount| Cap {
            holder,
            good: "bytes-per-second",
            amount,
        }));
    }
    caps
}

fn parse(text: &str) -> Result<Cap, String> {
    let (name, amount) = text.split_once('=').ok_or("has no =")?;
    let (holder, good) = name.trim().split_once('.').ok_or("has no .")?;
    let known = |list: &[&'static str], word: &str| {
        let found = list.iter().find(|known| **known == word);
        found
            .copied()
            .ok_or(format!("names none of {}", list.join(", ")))
    };
    let (holder, good) = (known(&HOLDERS, holder)?, known(&GOODS, good)?);
    match (holder, good) {
        ("session", "allocations") => {
            return Err("says nothing: a session is one allocation".into());
        }
        ("session" | "user", "connections") => {
            return Err("cannot be told: connections come before their sessions and users".into());
        }
        _ => {}
    }
    let amount = amount.trim().parse();
    let amount = amount.map_err(|_| "needs a whole number behind the =".to_owned())?;
    Ok(Cap {
        holder,
        good,
        amount,
    })
}

#[cfg(test)]
mod tests {
    use super::{Cap, GOODS, HOLDERS, parse};

    #[test]
    fn every_holder_and_good_is_read_but_for_three_that_mean_nothing() {
        let mut refused = Vec::new();
        for holder in HOLDERS {
            for good in GOODS {
                let amount = 7;
                match parse(&format!("{holder}.{good}=7")) {
                    Ok(cap) => assert_eq!(
                        cap,
                        Cap {
                            holder,
                            good,
                            amount
                        }
                    ),
                    Err(_) => refused.push((holder, good)),
                }
            }
        }
        assert_eq!(
            refused,
            [
                ("session", "allocations"),
                ("session", "connections"),
                ("user", "connections")
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "user",
            "user.allocations",
            "user.allocations=",
            "user.allocations=-1",
            "user.allocations=many",
            "users.allocations=1",
            "user.phones=1",
            "allocations=1",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse(" user.allocations = 5 ").is_ok());
    }
}
