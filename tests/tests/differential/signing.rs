//! Credentials, unknown attributes, framing (RFC 8489).

use e2e::conversation::{Signed, say};

use crate::Case;
use crate::allocating::allocated;
use crate::words::*;

/// Comprehension-required and assigned to nobody.
const REQUIRED: u16 = 0x7abc;
const OPTIONAL: u16 = 0xbabc;

pub(crate) const CASES: &[Case] = &[
    ("each method without credentials", |c| {
        c.ask("Allocate", &say(ALLOCATE).unsigned().with(udp()))?;
        c.ask("Refresh", &say(REFRESH).unsigned())?;
        let peer = || peer_at("127.0.0.1", 9);
        c.ask(
            "CreatePermission",
            &say(CREATE_PERMISSION).unsigned().with(peer()),
        )?;
        let bind = say(CHANNEL_BIND)
            .unsigned()
            .with(channel(0x4000))
            .with(peer());
        c.ask("ChannelBind", &bind)?;
        c.ask("Connect", &say(CONNECT).unsigned().with(peer()))?;
        let bind = say(CONNECTION_BIND)
            .unsigned()
            .with(plain(0x002a, &[0, 0, 0, 1]));
        c.ask("ConnectionBind", &bind)?;
        c.ask("a method that is none", &say(0x0037).unsigned())
    }),
    ("each method without credentials, with an allocation", |c| {
        allocated(c)?;
        c.ask("Allocate", &say(ALLOCATE).unsigned().with(udp()))?;
        c.ask("Refresh", &say(REFRESH).unsigned())?;
        let peer = || peer_at("127.0.0.1", 9);
        c.ask(
            "CreatePermission",
            &say(CREATE_PERMISSION).unsigned().with(peer()),
        )?;
        let bind = say(CHANNEL_BIND)
            .unsigned()
            .with(channel(0x4000))
            .with(peer());
        c.ask("ChannelBind", &bind)
    }),
    ("each method without an allocation", |c| {
        c.challenge()?;
        let peer = || peer_at("127.0.0.1", 9);
        c.ask("Refresh", &say(REFRESH))?;
        c.ask("CreatePermission", &say(CREATE_PERMISSION).with(peer()))?;
        c.ask(
            "ChannelBind",
            &say(CHANNEL_BIND).with(channel(0x4000)).with(peer()),
        )?;
        c.ask("Connect", &say(CONNECT).with(peer()))?;
        c.ask(
            "ConnectionBind",
            &say(CONNECTION_BIND).with(plain(0x002a, &[0, 0, 0, 1])),
        )?;
        c.ask("a method that is none", &say(0x0037))
    }),
    ("a wrong password", |c| {
        c.challenge()?;
        c.ask(
            "Allocate",
            &say(ALLOCATE).with(udp()).signed(Signed::WrongPassword),
        )?;
        allocated(c)?;
        c.ask("Refresh", &say(REFRESH).signed(Signed::WrongPassword))
    }),
    ("a user whom nobody knows", |c| {
        c.challenge()?;
        c.ask(
            "Allocate",
            &say(ALLOCATE).with(udp()).signed(Signed::Stranger),
        )?;
        allocated(c)?;
        c.ask("Refresh", &say(REFRESH).signed(Signed::Stranger))
    }),
    ("a wrong realm", |c| {
        c.challenge()?;
        c.ask(
            "Allocate",
            &say(ALLOCATE).with(udp()).signed(Signed::WrongRealm),
        )
    }),
    ("a nonce that was never issued", |c| {
        c.challenge()?;
        c.ask(
            "Allocate",
            &say(ALLOCATE).with(udp()).signed(Signed::WrongNonce),
        )?;
        allocated(c)?;
        c.ask("Refresh", &say(REFRESH).signed(Signed::WrongNonce))?;
        let permission = say(CREATE_PERMISSION).with(peer_at("127.0.0.1", 9));
        c.ask("CreatePermission", &permission.signed(Signed::WrongNonce))
    }),
    ("credentials with a part missing", |c| {
        c.challenge()?;
        for (step, signed) in [
            ("USERNAME", Signed::NoUsername),
            ("REALM", Signed::NoRealm),
            ("NONCE", Signed::NoNonce),
            ("MESSAGE-INTEGRITY", Signed::NoIntegrity),
        ] {
            c.ask(step, &say(ALLOCATE).with(udp()).signed(signed))?;
        }
        Ok(())
    }),
    ("a broken MESSAGE-INTEGRITY", |c| {
        c.challenge()?;
        c.ask(
            "its last bit",
            &say(ALLOCATE)
                .with(udp())
                .mangled(|bytes| *bytes.last_mut().unwrap() ^= 1),
        )
    }),
    ("an attribute behind MESSAGE-INTEGRITY is ignored", |c| {
        c.challenge()?;
        let ignored = say(ALLOCATE).with(udp()).behind_integrity(lifetime(1_200));
        c.ask("LIFETIME", &ignored)?;
        let mut other = c.another()?;
        other.challenge()?;
        other.ask(
            "one that must be understood",
            &say(ALLOCATE)
                .with(udp())
                .behind_integrity(plain(REQUIRED, b"")),
        )?;
        c.note_all(other);
        Ok(())
    }),
    ("an attribute that must be understood", |c| {
        c.ask(
            "Binding",
            &say(BINDING).unsigned().with(plain(REQUIRED, b"")),
        )?;
        c.ask(
            "Allocate without credentials",
            &say(ALLOCATE)
                .unsigned()
                .with(udp())
                .with(plain(REQUIRED, b"")),
        )?;
        c.challenge()?;
        c.ask(
            "Allocate",
            &say(ALLOCATE).with(udp()).with(plain(REQUIRED, b"abcd")),
        )?;
        allocated(c)?;
        c.ask("Refresh", &say(REFRESH).with(plain(REQUIRED, b"")))?;
        c.ask(
            "CreatePermission",
            &say(CREATE_PERMISSION)
                .with(peer_at("127.0.0.1", 9))
                .with(plain(REQUIRED, b"")),
        )
    }),
    ("two attributes that must be understood", |c| {
        c.challenge()?;
        c.ask(
            "Allocate",
            &say(ALLOCATE)
                .with(udp())
                .with(plain(REQUIRED, b""))
                .with(plain(REQUIRED + 1, b"")),
        )
    }),
    ("an attribute that need not be understood", |c| {
        c.ask(
            "Binding",
            &say(BINDING).unsigned().with(plain(OPTIONAL, b"abc")),
        )?;
        c.challenge()?;
        c.ask(
            "Allocate",
            &say(ALLOCATE).with(udp()).with(plain(OPTIONAL, b"abc")),
        )
    }),
    ("Binding", |c| {
        c.ask("plain", &say(BINDING).unsigned())?;
        c.ask(
            "with SOFTWARE",
            &say(BINDING).unsigned().with(plain(0x8022, b"a client")),
        )?;
        c.ask("with FINGERPRINT", &say(BINDING).unsigned().fingerprint())?;
        c.ask(
            "with a username only",
            &say(BINDING).unsigned().with(plain(0x0006, b"guest")),
        )?;
        c.ask(
            "with TURN's attributes",
            &say(BINDING).unsigned().with(udp()).with(lifetime(1)),
        )?;
        c.ask("an indication", &say(BINDING_INDICATION).unsigned())
    }),
    ("Binding with ICE's attributes", |c| {
        c.ask(
            "PRIORITY",
            &say(BINDING).unsigned().with(plain(0x0024, &[0, 0, 0, 1])),
        )?;
        c.ask(
            "USE-CANDIDATE",
            &say(BINDING).unsigned().with(plain(0x0025, b"")),
        )?;
        c.ask(
            "ICE-CONTROLLING",
            &say(BINDING).unsigned().with(plain(0x802a, &[0; 8])),
        )
    }),
    ("Binding with credentials", |c| {
        c.challenge()?;
        c.ask("right", &say(BINDING))?;
        c.ask("wrong", &say(BINDING).signed(Signed::WrongPassword))
    }),
    ("Binding with RFC 5780's attributes", |c| {
        c.ask(
            "CHANGE-REQUEST of nothing",
            &say(BINDING).unsigned().with(plain(0x0003, &[0; 4])),
        )?;
        c.ask(
            "CHANGE-REQUEST",
            &say(BINDING).unsigned().with(plain(0x0003, &[0, 0, 0, 6])),
        )?;
        c.ask(
            "PADDING",
            &say(BINDING).unsigned().with(plain(0x0026, &[0; 64])),
        )?;
        c.ask(
            "RESPONSE-PORT",
            &say(BINDING)
                .unsigned()
                .with(plain(0x0027, &[0x30, 0x39, 0, 0])),
        )
    }),
    ("a Binding request of RFC 3489, without the cookie", |c| {
        c.ask(
            "plain",
            &say(BINDING)
                .unsigned()
                .mangled(|bytes| bytes[4..8].fill(0x55)),
        )
    }),
    ("FINGERPRINT", |c| {
        c.challenge()?;
        c.ask("right", &say(ALLOCATE).with(udp()).fingerprint())?;
        c.ask("and none", &say(REFRESH))?;
        let wrong = say(REFRESH).fingerprint();
        c.ask(
            "wrong",
            &wrong.mangled(|bytes| *bytes.last_mut().unwrap() ^= 1),
        )
    }),
    ("responses to the server", |c| {
        c.ask("a success", &say(0x0101).unsigned())?;
        c.ask("an error", &say(0x0111).unsigned())?;
        c.ask("of Allocate", &say(0x0103).unsigned())
    }),
    ("an attribute longer than its message", |c| {
        c.ask(
            "by 4 bytes",
            &say(BINDING)
                .unsigned()
                .with(plain(OPTIONAL, &[0; 4]))
                .mangled(|bytes| bytes[23] = 8),
        )?;
        c.ask(
            "by 64 KiB",
            &say(BINDING)
                .unsigned()
                .with(plain(OPTIONAL, &[0; 4]))
                .mangled(|bytes| bytes[22] = 0xff),
        )
    }),
    ("an attribute header cut in two", |c| {
        // The length says 6 bytes of attributes, which is no multiple of 4.
        c.ask(
            "length 6",
            &say(BINDING)
                .unsigned()
                .with(plain(OPTIONAL, &[0; 4]))
                .mangled(|bytes| {
                    bytes[3] = 6;
                    bytes.truncate(26);
                }),
        )
    }),
    ("a datagram longer than its message", |c| {
        c.ask(
            "four more bytes",
            &say(BINDING)
                .unsigned()
                .mangled(|bytes| bytes.extend([0x80, 0x22, 0, 0])),
        )
    }),
    ("what is no STUN at all", |c| {
        c.ask_raw("the first two bits", &[0xc0; 24])
    }),
    ("a ChannelData message without an allocation", |c| {
        c.channel_data(0x4000, b"nobody");
        c.ask("and then Binding", &say(BINDING).unsigned())
    }),
];
