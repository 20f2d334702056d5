//! Options: TLS and DTLS.

use crate::option::{Group, Kind, flag, option};

const NOT_SERVED: &str =
    "TLS and DTLS are not served yet; clients are served over UDP and TCP only";
const OLD_TLS: &str = "no such old protocol is offered";
const NO_DH: &str = "finite-field Diffie-Hellman is not offered";

pub(super) static GROUP: Group = Group {
    title: "TLS and DTLS",
    options: &[
        option(
            "cert",
            Kind::Path,
            "PEM file with the certificate and its chain.",
        )
        .example("/etc/letsencrypt/live/turn.example.org/fullchain.pem")
        .not_yet(NOT_SERVED),
        option("pkey", Kind::Path, "PEM file with the private key.")
            .example("/etc/letsencrypt/live/turn.example.org/privkey.pem")
            .not_yet(NOT_SERVED),
        option("pkey-pwd", Kind::Secret, "Password of the private key.")
            .example("replace-this")
            .not_yet(NOT_SERVED),
        option(
            "cipher-list",
            Kind::Text,
            "Cipher suites in OpenSSL's notation.",
        )
        .example("HIGH")
        .not_yet(NOT_SERVED),
        option(
            "CA-file",
            Kind::Path,
            "Certificates of those who may sign client certificates.",
        )
        .example("/etc/turnserver/ca.pem")
        .not_yet(NOT_SERVED),
        option("ec-curve-name", Kind::Text, "Groups for the key exchange.")
            .example("prime256v1")
            .not_yet(NOT_SERVED),
        flag("raw-public-keys", "Offer raw public keys (RFC 7250).").not_yet(NOT_SERVED),
        flag("tlsv1", "Offer TLS 1.0.").no_effect(OLD_TLS),
        flag("tlsv1_1", "Offer TLS 1.1.").no_effect(OLD_TLS),
        flag("no-tlsv1_2", "Offer nothing below TLS 1.3.").not_yet(NOT_SERVED),
        flag("no-tlsv1", "Do not offer TLS 1.0.").removed(OLD_TLS),
        flag("no-tlsv1_1", "Do not offer TLS 1.1.").removed(OLD_TLS),
        flag("no-sslv2", "Do not offer SSL 2.").removed(OLD_TLS),
        flag("no-sslv3", "Do not offer SSL 3.").removed(OLD_TLS),
        option(
            "dh-file",
            Kind::Path,
            "PEM file with Diffie-Hellman parameters.",
        )
        .example("/etc/turnserver/dhp.pem")
        .no_effect(NO_DH),
        flag("dh566", "Use Diffie-Hellman parameters of 566 bits.").no_effect(NO_DH),
        flag("dh1066", "Use Diffie-Hellman parameters of 1066 bits.").no_effect(NO_DH),
        flag("dh2066", "Use Diffie-Hellman parameters of 2066 bits.").removed(NO_DH),
    ],
};
