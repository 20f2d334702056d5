//! Options of `options/tls.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "cert",
        &["--cert=/c.pem", "--pkey=/k.pem"],
        "Tls { port: 5349, certificate: \"/c.pem\"",
    ),
    (
        "pkey",
        &["--cert=/c.pem", "--pkey=/k2.pem"],
        "key: \"/k2.pem\"",
    ),
    (
        "CA-file",
        &["--cert=/c.pem", "--pkey=/k.pem", "--CA-file=/ca.pem"],
        "client_authorities: Some(\"/ca.pem\")",
    ),
    (
        "cipher-list",
        &["--cert=/c.pem", "--pkey=/k.pem", "--cipher-list=HIGH"],
        "ciphers: Some(\"HIGH\")",
    ),
    (
        "ec-curve-name",
        &["--cert=/c.pem", "--pkey=/k.pem", "--ec-curve-name=X25519"],
        "groups: Some(\"X25519\")",
    ),
    (
        "no-tlsv1_2",
        &["--cert=/c.pem", "--pkey=/k.pem", "--no-tlsv1_2"],
        "tls12: false",
    ),
    (
        "key-copies",
        &["--cert=/c.pem", "--pkey=/k.pem", "--key-copies=/copies"],
        "copies: \"/copies\"",
    ),
    (
        "pkey-pwd",
        &["--cert=/c.pem", "--pkey=/k.pem", "--pkey-pwd=open"],
        "has_key_password: true",
    ),
];
