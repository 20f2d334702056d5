//! Options: who may allocate, how much, and for how long.

use crate::option::{Group, Kind, flag, number, option};

const U32: u64 = u32::MAX as u64;
const NO_DATABASE: &str = "no database is read yet";
const ONE_HASH: &str = "the hash of the credentials is SHA-1, as every client expects";

pub(super) static GROUP: Group = Group {
    title: "Authentication and limits",
    options: &[
        flag("use-auth-secret", "Accept time-limited credentials made from static-auth-secret (TURN REST API).")
            .reloads(),
        option(
            "static-auth-secret",
            Kind::Secret,
            "Secret of time-limited credentials; turns use-auth-secret on; repeat it while secrets rotate.",
        )
        .list()
        .unset("none")
        .example("replace-this-by-the-output-of-openssl-rand-hex-32")
            .reloads(),
        option("rest-api-separator", Kind::Character, "Character between time and user in a time-limited name.")
            .short('C')
            .default(":")
            .example("|")
            .reloads(),
        flag("lt-cred-mech", "Accept the accounts given with user (long-term credentials).").short('a')
            .reloads(),
        option("user", Kind::Account, "Account NAME:PASSWORD, or NAME:0xKEY with the ready key, from which no SHA-256 key can be made: MD5 alone is offered then; repeatable.")
            .short('u')
            .list()
            .unset("none")
            .example("alice:replace-this")
            .reloads(),
        option("realm", Kind::Text, "Realm that clients are told; keys are made with it.")
            .short('r')
            .default("turnpike")
            .example("example.org")
            .reloads(),
        flag("no-auth", "Relay for anybody without credentials; for closed networks only.").short('z'),
        number("stale-nonce", 0, U32, "seconds", "Seconds for which a nonce is accepted; 0 is for ever.")
            .optional()
            .default("600")
            .example("600")
            .reloads(),
        number("user-quota", 0, U32, "allocations", "Allocations that one user may hold at once; 0 is unlimited.")
            .short('q')
            .default("0")
            .example("12")
            .reloads(),
        number("total-quota", 0, U32, "allocations", "Allocations that all users may hold at once; 0 is unlimited.")
            .short('Q')
            .default("0")
            .example("1200")
            .reloads(),
        number("max-allocate-lifetime", 1, U32, "seconds", "Longest lifetime in seconds that an allocation is granted.")
            .optional()
            .default("3600")
            .example("3600")
            .reloads(),
        number("channel-lifetime", 1, U32, "seconds", "Lifetime of a channel in seconds.")
            .optional()
            .default("600")
            .example("600")
            .reloads(),
        number("permission-lifetime", 1, U32, "seconds", "Lifetime of a permission in seconds.")
            .optional()
            .default("300")
            .example("300")
            .reloads(),
        number("max-bps", 0, u64::MAX, "bytes per second", "Bytes per second of one session, each direction; more are dropped, and of TCP relaying delayed; 0 is unlimited.")
            .short('s')
            .default("0")
            .example("3000000")
            .reloads(),
        number("bps-capacity", 0, u64::MAX, "bytes per second", "Bytes per second of all sessions, each direction; more are dropped, and of TCP relaying delayed; 0 is unlimited.")
            .short('B')
            .default("0")
            .example("100000000")
            .reloads(),
        number("max-allocate-timeout", 0, U32, "seconds", "Seconds that a TCP or TLS client may stay without an allocation, twice that at most; 0 is for ever.")
            .default("60")
            .example("60")
            .reloads(),
        flag(
            "unauthorized-ratelimit",
            "Take unauthorized-ratelimit-rps in place of unauth-reply-rate.",
        )
            .reloads(),
        number("unauthorized-ratelimit-rps", 1, U32, "answers per second", "As unauth-reply-rate, with unauthorized-ratelimit.")
            .optional()
            .default("10")
            .example("10")
            .reloads(),
        flag("stateless-nonce", "Keep no state before a client has authenticated.")
            .default("yes")
            .no_effect("nonces never need state here"),
        option(
            "stateless-nonce-secret",
            Kind::Secret,
            "Secret of the nonces: servers that share it accept each other's, and a restart makes none stale.",
        )
        .unset("each start makes a new one")
        .example("replace-this-by-the-output-of-openssl-rand-hex-32"),
        option("server-name", Kind::Text, "Name that OAuth tokens are made out to.")
            .unset("the realm")
            .example("turn.example.org")
            .reloads(),
        flag("oauth", "Accept OAuth tokens (RFC 7635) that the keys in oauth-keys-file open.")
            .reloads(),
        option(
            "oauth-keys-file",
            Kind::Path,
            "File with the keys of OAuth tokens, a line each: KID:A256GCM:BASE64 or KID:A128GCM:BASE64; turns oauth on.",
        )
        .unset("none")
        .example("/etc/turnpike/oauth-keys")
        .ours()
            .reloads(),
        flag("check-origin-consistency", "Expect the same ORIGIN in all requests of a session.")
            .no_effect("clients do not send ORIGIN, and no decision depends on it"),
        flag("no-auth-pings", "Do not ping the user database.").no_effect(NO_DATABASE),
        flag("no-dynamic-ip-list", "Do not read peer ranges from the database.").no_effect(NO_DATABASE),
        flag("no-dynamic-realms", "Do not read realms from the database.").no_effect(NO_DATABASE),
        option("secret-ts-exp-time", Kind::Text, "Age at which a time-limited name expired.")
            .example("86400")
            .removed("the time in the name is its expiry"),
        flag("st-cred-mech", "Short-term credentials.").removed("TURN has only long-term credentials"),
        flag("sha256", "SHA-256 instead of SHA-1.").removed(ONE_HASH),
        flag("sha384", "SHA-384 instead of SHA-1.").removed(ONE_HASH),
        flag("sha512", "SHA-512 instead of SHA-1.").removed(ONE_HASH),
        option(
            "static-auth-secret-file",
            Kind::Path,
            "File with such secrets, one per line (also a setting of NixOS); repeatable.",
        )
        .list()
        .unset("none")
        .ours()
        .reloads()
        .example("/etc/turnpike/secrets"),
        option(
            "static-users-file",
            Kind::Path,
            "File with accounts as of user, one per line; repeatable.",
        )
        .list()
        .unset("none")
        .ours()
        .reloads()
        .example("/etc/turnpike/users"),
        option("zrest", Kind::Text, "Credentials of a fork of coturn.").example("1").removed("only a fork of coturn has it"),
    ],
};
