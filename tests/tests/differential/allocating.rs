//! Allocate and Refresh (RFC 8656 §7, §8; RFC 8016).

use anyhow::Result;
use e2e::conversation::{Conversation, Signed, say};

use crate::Case;
use crate::words::*;

pub(crate) const CASES: &[Case] = &[
    ("an allocation", |c| {
        c.challenge()?;
        c.ask("allocate", &say(ALLOCATE).with(udp()))
    }),
    ("an allocation and its end", |c| {
        allocated(c)?;
        c.ask("end", &say(REFRESH).with(lifetime(0)))?;
        c.ask("refresh what is gone", &say(REFRESH).with(lifetime(600)))
    }),
    ("the end of what never was", |c| {
        c.challenge()?;
        c.ask("end", &say(REFRESH).with(lifetime(0)))
    }),
    ("Allocate without REQUESTED-TRANSPORT", |c| {
        c.ask("without credentials", &say(ALLOCATE).unsigned())?;
        c.challenge()?;
        c.ask("with credentials", &say(ALLOCATE))
    }),
    ("Allocate for transports that are none", |c| {
        c.ask(
            "without credentials",
            &say(ALLOCATE).unsigned().with(transport(99)),
        )?;
        c.challenge()?;
        c.ask("99", &say(ALLOCATE).with(transport(99)))?;
        c.ask("0", &say(ALLOCATE).with(transport(0)))
    }),
    ("Allocate for TCP", |c| {
        c.challenge()?;
        c.ask("allocate", &say(ALLOCATE).with(transport(6)))
    }),
    ("Allocate for TCP, with what only UDP has", |c| {
        c.challenge()?;
        c.ask(
            "EVEN-PORT",
            &say(ALLOCATE).with(transport(6)).with(even_port(false)),
        )?;
        c.ask(
            "DONT-FRAGMENT",
            &say(ALLOCATE).with(transport(6)).with(dont_fragment()),
        )?;
        c.ask(
            "RESERVATION-TOKEN",
            &say(ALLOCATE).with(transport(6)).with(token(vec![1; 8])),
        )
    }),
    ("REQUESTED-TRANSPORT of a wrong length", |c| {
        c.challenge()?;
        c.ask("1 byte", &say(ALLOCATE).with(plain(0x0019, &[17])))?;
        c.ask(
            "8 bytes",
            &say(ALLOCATE).with(plain(0x0019, &[17, 0, 0, 0, 0, 0, 0, 0])),
        )
    }),
    ("REQUESTED-TRANSPORT twice", |c| {
        c.challenge()?;
        c.ask(
            "UDP, then 99",
            &say(ALLOCATE).with(udp()).with(transport(99)),
        )
    }),
    ("Allocate twice with different transactions", |c| {
        allocated(c)?;
        c.ask("again", &say(ALLOCATE).with(udp()))
    }),
    ("Allocate retransmitted", |c| {
        c.challenge()?;
        c.ask("first", &say(ALLOCATE).with(udp()).id(7))?;
        let relayed = c.relayed()?;
        c.ask("the same transaction", &say(ALLOCATE).with(udp()).id(7))?;
        let same = c.relayed()? == relayed;
        c.note("the same relayed address", same.to_string());
        Ok(())
    }),
    ("Allocate retransmitted after the end", |c| {
        c.challenge()?;
        c.ask("first", &say(ALLOCATE).with(udp()).id(8))?;
        c.ask("end", &say(REFRESH).with(lifetime(0)))?;
        c.ask("the same transaction", &say(ALLOCATE).with(udp()).id(8))
    }),
    ("a new allocation after the end of one", |c| {
        allocated(c)?;
        c.ask("end", &say(REFRESH).with(lifetime(0)))?;
        c.ask("allocate", &say(ALLOCATE).with(udp()))
    }),
    ("an end retransmitted", |c| {
        allocated(c)?;
        c.ask("end", &say(REFRESH).with(lifetime(0)).id(9))?;
        c.ask(
            "the same transaction",
            &say(REFRESH).with(lifetime(0)).id(9),
        )
    }),
    ("lifetimes of an Allocate", |c| {
        for seconds in [1, 599, 600, 601, 3_600, 3_601, u32::MAX] {
            let mut other = c.another()?;
            other.challenge()?;
            let asked = say(ALLOCATE).with(udp()).with(lifetime(seconds));
            other.ask(&format!("{seconds} s"), &asked)?;
            c.note_all(other);
        }
        Ok(())
    }),
    ("Allocate with a lifetime of zero", |c| {
        c.challenge()?;
        c.ask("allocate", &say(ALLOCATE).with(udp()).with(lifetime(0)))
    }),
    ("lifetimes of a Refresh", |c| {
        allocated(c)?;
        for seconds in [1, 599, 600, 601, 3_600, 3_601, u32::MAX] {
            c.ask(
                &format!("{seconds} s"),
                &say(REFRESH).with(lifetime(seconds)),
            )?;
        }
        c.ask("none", &say(REFRESH))
    }),
    ("LIFETIME of a wrong length", |c| {
        c.challenge()?;
        c.ask(
            "Allocate, 2 bytes",
            &say(ALLOCATE).with(udp()).with(plain(0x000d, &[2, 88])),
        )?;
        allocated(c)?;
        c.ask(
            "Refresh, 2 bytes",
            &say(REFRESH).with(plain(0x000d, &[2, 88])),
        )?;
        c.ask(
            "Refresh, 8 bytes",
            &say(REFRESH).with(plain(0x000d, &[0, 0, 0, 0, 0, 0, 2, 88])),
        )
    }),
    ("families of an Allocate", |c| {
        for (name, number) in [("IPv4", 1), ("IPv6", 2), ("0", 0), ("3", 3)] {
            let mut other = c.another()?;
            other.challenge()?;
            other.ask(name, &say(ALLOCATE).with(udp()).with(family(number)))?;
            c.note_all(other);
        }
        Ok(())
    }),
    ("REQUESTED-ADDRESS-FAMILY of a wrong length", |c| {
        c.challenge()?;
        c.ask(
            "1 byte",
            &say(ALLOCATE).with(udp()).with(plain(0x0017, &[1])),
        )
    }),
    ("families of a Refresh", |c| {
        allocated(c)?;
        c.ask("the allocation's", &say(REFRESH).with(family(1)))?;
        c.ask("the other", &say(REFRESH).with(family(2)))?;
        c.ask("none that exists", &say(REFRESH).with(family(3)))?;
        c.ask(
            "end by the other",
            &say(REFRESH).with(family(2)).with(lifetime(0)),
        )?;
        c.ask(
            "end by the allocation's",
            &say(REFRESH).with(family(1)).with(lifetime(0)),
        )
    }),
    ("an allocation of both families", |c| {
        c.challenge()?;
        c.ask(
            "allocate",
            &say(ALLOCATE).with(udp()).with(additional_family(2)),
        )
    }),
    (
        "an allocation of both families, by the draft's number",
        |c| {
            c.challenge()?;
            c.ask(
                "allocate",
                &say(ALLOCATE).with(udp()).with(plain(0x8032, &[2, 0, 0, 0])),
            )
        },
    ),
    ("ADDITIONAL-ADDRESS-FAMILY of IPv4", |c| {
        c.challenge()?;
        c.ask(
            "allocate",
            &say(ALLOCATE).with(udp()).with(additional_family(1)),
        )
    }),
    ("ADDITIONAL-ADDRESS-FAMILY of no family", |c| {
        c.challenge()?;
        c.ask(
            "allocate",
            &say(ALLOCATE).with(udp()).with(additional_family(3)),
        )
    }),
    ("both family attributes", |c| {
        c.challenge()?;
        let both = say(ALLOCATE)
            .with(udp())
            .with(family(1))
            .with(additional_family(2));
        c.ask("allocate", &both)
    }),
    (
        "ADDITIONAL-ADDRESS-FAMILY with EVEN-PORT and a reservation",
        |c| {
            c.challenge()?;
            let both = say(ALLOCATE)
                .with(udp())
                .with(additional_family(2))
                .with(even_port(true));
            c.ask("allocate", &both)
        },
    ),
    ("one family of two is ended", |c| {
        c.challenge()?;
        c.ask(
            "allocate",
            &say(ALLOCATE).with(udp()).with(additional_family(2)),
        )?;
        c.ask("end IPv4", &say(REFRESH).with(family(1)).with(lifetime(0)))?;
        c.ask("refresh IPv6", &say(REFRESH).with(family(2)))?;
        c.ask("end all", &say(REFRESH).with(lifetime(0)))?;
        c.ask("refresh", &say(REFRESH))
    }),
    ("an even port", |c| {
        c.challenge()?;
        c.ask(
            "allocate",
            &say(ALLOCATE).with(udp()).with(even_port(false)),
        )?;
        let even = c.relayed()?.port().is_multiple_of(2);
        c.note("it is even", even.to_string());
        Ok(())
    }),
    ("a pair of ports", |c| {
        c.challenge()?;
        c.ask("allocate", &say(ALLOCATE).with(udp()).with(even_port(true)))?;
        let first = c.relayed()?.port();
        let mut other = c.another()?;
        other.challenge()?;
        other.ask(
            "the reserved one",
            &say(ALLOCATE).with(udp()).with(token(c.token())),
        )?;
        let next = other.relayed()?.port() == first + 1;
        c.note(
            "even and next",
            format!("{} {next}", first.is_multiple_of(2)),
        );
        c.note_all(other);
        Ok(())
    }),
    ("a token used twice", |c| {
        c.challenge()?;
        c.ask("allocate", &say(ALLOCATE).with(udp()).with(even_port(true)))?;
        for step in ["first use", "second use"] {
            let mut other = c.another()?;
            other.challenge()?;
            other.ask(step, &say(ALLOCATE).with(udp()).with(token(c.token())))?;
            c.note_all(other);
        }
        Ok(())
    }),
    ("a token that nobody has", |c| {
        c.challenge()?;
        c.ask(
            "allocate",
            &say(ALLOCATE).with(udp()).with(token(vec![0xab; 8])),
        )
    }),
    ("a token of a wrong length", |c| {
        c.challenge()?;
        c.ask(
            "4 bytes",
            &say(ALLOCATE).with(udp()).with(token(vec![0xab; 4])),
        )
    }),
    ("a token with what contradicts it", |c| {
        c.challenge()?;
        let asked = || say(ALLOCATE).with(udp()).with(token(vec![0xab; 8]));
        c.ask("EVEN-PORT", &asked().with(even_port(false)))?;
        c.ask("REQUESTED-ADDRESS-FAMILY", &asked().with(family(1)))?;
        c.ask(
            "ADDITIONAL-ADDRESS-FAMILY",
            &asked().with(additional_family(2)),
        )
    }),
    ("EVEN-PORT of a wrong length", |c| {
        c.challenge()?;
        c.ask(
            "4 bytes",
            &say(ALLOCATE)
                .with(udp())
                .with(plain(0x0018, &[0x80, 0, 0, 0])),
        )?;
        let relayed = c.relayed().is_ok();
        c.note("allocated", relayed.to_string());
        Ok(())
    }),
    ("EVEN-PORT in an IPv6 allocation", |c| {
        c.challenge()?;
        let asked = say(ALLOCATE)
            .with(udp())
            .with(family(2))
            .with(even_port(true));
        c.ask("allocate", &asked)
    }),
    ("DONT-FRAGMENT", |c| {
        c.challenge()?;
        c.ask("allocate", &say(ALLOCATE).with(udp()).with(dont_fragment()))
    }),
    ("a mobility ticket is asked for", |c| {
        c.challenge()?;
        c.ask(
            "allocate",
            &say(ALLOCATE).with(udp()).with(plain(0x8030, b"")),
        )
    }),
    ("a mobility ticket is brought to an Allocate", |c| {
        c.challenge()?;
        let brought = say(ALLOCATE)
            .with(udp())
            .with(plain(0x8030, b"a ticket of sorts"));
        c.ask("allocate", &brought)
    }),
    ("a client that moves", |c| {
        c.challenge()?;
        c.ask(
            "allocate",
            &say(ALLOCATE).with(udp()).with(plain(0x8030, b"")),
        )?;
        let mut elsewhere = c.another()?;
        elsewhere.challenge()?;
        let refresh = say(REFRESH).with(plain(0x8030, &c.ticket()));
        elsewhere.ask("refresh from elsewhere", &refresh)?;
        elsewhere.ask("and once more", &refresh)?;
        elsewhere.ask(
            "permission from elsewhere",
            &say(CREATE_PERMISSION).with(peer_at("127.0.0.1", 9)),
        )?;
        c.note_all(elsewhere);
        Ok(())
    }),
    ("another user with somebody's ticket", |c| {
        c.challenge()?;
        c.ask(
            "allocate",
            &say(ALLOCATE).with(udp()).with(plain(0x8030, b"")),
        )?;
        let mut thief = c.another()?;
        thief.challenge()?;
        let refresh = say(REFRESH).with(plain(0x8030, &c.ticket()));
        thief.ask("refresh", &refresh.signed(Signed::OtherUser))?;
        c.note_all(thief);
        Ok(())
    }),
    ("a mobility ticket that nobody has", |c| {
        c.challenge()?;
        c.ask(
            "refresh",
            &say(REFRESH).with(plain(0x8030, b"no such ticket, of any length!!!")),
        )
    }),
    ("another user's allocation", |c| {
        allocated(c)?;
        let by_other = |asked| say(asked).signed(Signed::OtherUser);
        c.ask("refresh", &by_other(REFRESH))?;
        c.ask("allocate", &by_other(ALLOCATE).with(udp()))?;
        c.ask(
            "permission",
            &by_other(CREATE_PERMISSION).with(peer_at("127.0.0.1", 9)),
        )?;
        let bind = by_other(CHANNEL_BIND)
            .with(channel(0x4000))
            .with(peer_at("127.0.0.1", 9));
        c.ask("channel", &bind)?;
        c.ask("end", &by_other(REFRESH).with(lifetime(0)))?;
        c.ask("refresh by its owner", &say(REFRESH))
    }),
];

/// Allocates and leaves the first steps out of the account.
pub(crate) fn allocated(c: &mut Conversation) -> Result<()> {
    c.challenge()?;
    c.ask("allocate", &say(ALLOCATE).with(udp()))
}
