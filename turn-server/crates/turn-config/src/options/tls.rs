//! Options: TLS and DTLS.

use crate::option::{Group, Kind, flag, option};

const OLD_TLS: &str = "no such old protocol is offered";
const NO_DH: &str = "finite-field Diffie-Hellman is not offered";

pub(super) static GROUP: Group = Group {
    title: "TLS and DTLS",
    options: &[
        option(
            "cert",
            Kind::Path,
            "PEM file with the certificate and its chain; with pkey, clients are served over TLS, and with dtls over DTLS.",
        )
        .unset("turn_server_cert.pem where configuration files are searched, else TLS is off")
        .example("/etc/letsencrypt/live/turn.example.org/fullchain.pem")
            .reloads(),
        option("pkey", Kind::Path, "PEM file with the private key; its password, if it has one, is pkey-pwd.")
            .unset("turn_server_pkey.pem where configuration files are searched, else TLS is off")
            .example("/etc/letsencrypt/live/turn.example.org/privkey.pem")
            .reloads(),
        option(
            "key-copies",
            Kind::Path,
            "Folder in which --prepare-for leaves copies of certificate and key; the server reads a copy where it may not read \
             the file.",
        )
        .default("/run/turnserver-keys")
        .example("/run/turnserver-keys")
        .ours(),
        option("pkey-pwd", Kind::Secret, "Password of the private key.")
            .unset("the key has none")
            .example("replace-this")
            .reloads(),
        option(
            "cipher-list",
            Kind::Text,
            "Cipher suites to offer, in OpenSSL's notation; only ECDHE with AES-GCM or ChaCha20 can be chosen.",
        )
        .unset("all of them")
        .example("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
            .reloads(),
        option(
            "CA-file",
            Kind::Path,
            "PEM file of authorities; every client over TLS or DTLS must show a certificate that one of them signed.",
        )
        .unset("no client is asked for a certificate")
        .example("/etc/turnserver/ca.pem")
            .reloads(),
        option("ec-curve-name", Kind::Text, "Groups for the key exchange: X25519, prime256v1, secp384r1.")
            .unset("all of them")
            .example("prime256v1")
            .reloads(),
        flag("raw-public-keys", "Offer raw public keys (RFC 7250).")
            .no_effect("clients are shown the certificate: with bare keys on offer, none that wants a certificate could be served"),
        flag("tlsv1", "Offer TLS 1.0.").no_effect(OLD_TLS),
        flag("tlsv1_1", "Offer TLS 1.1.").no_effect(OLD_TLS),
        flag("no-tlsv1_2", "Offer nothing below TLS 1.3; dtls needs 1.2.")
            .reloads(),
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
