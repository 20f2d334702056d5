//! Certificates as clients will see them.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{Folder, SECRET, assert_says, assert_silent, good};

#[test]
fn a_certificate_without_its_chain() {
    let folder = Folder::new("chain");
    let made = Made::valid(0, 90);
    let key = folder.write("privkey.pem", &made.key);
    let alone = folder.write("cert.pem", &made.leaf);
    let with = |cert: &str| {
        [
            SECRET.to_owned(),
            format!("--cert={cert}"),
            format!("--pkey={key}"),
        ]
    };
    let flags = with(&alone);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert_says(
        &flags,
        &good(),
        &[
            "command line, --cert: cert",
            "one certificate",
            "append the certificates",
        ],
    );
    let full = folder.write("fullchain.pem", &format!("{}{}", made.leaf, made.authority));
    assert_says(
        &flags,
        &good(),
        &["cert.pem holds one certificate", &format!("name {full}")],
    );
    let flags = with(&full);
    assert_silent(
        &flags.iter().map(String::as_str).collect::<Vec<_>>(),
        &good(),
    );
    // One that signs itself has no chain.
    let itself = folder.write("own.pem", &made.authority);
    let flags = with(&itself);
    assert_silent(
        &flags.iter().map(String::as_str).collect::<Vec<_>>(),
        &good(),
    );
}

#[test]
fn a_certificate_whose_days_are_over_or_nearly_or_to_come() {
    let folder = Folder::new("days");
    for (begins, ends, says) in [
        (-90, -3, "expired 3 days ago; renew it"),
        (-80, 10, "days; look why it has not been renewed"),
        (2, 90, "is not valid yet; look at the clock"),
    ] {
        let made = Made::valid(begins, ends);
        let cert = folder.write("c.pem", &format!("{}{}", made.leaf, made.authority));
        let key = folder.write("k.pem", &made.key);
        let flags = [SECRET, &format!("--cert={cert}"), &format!("--pkey={key}")];
        assert_says(&flags, &good(), &["cert: ", says]);
        // That of the metrics, if it is another one.
        let own = [
            "--prometheus",
            "--prometheus-tls",
            &format!("--prometheus-cert={cert}"),
            &format!("--prometheus-key={key}"),
        ];
        let flags = [&[SECRET][..], &own].concat();
        assert_says(&flags, &good(), &["prometheus-cert: ", says]);
        // DTLS alone shows it as well.
        let flags = [
            SECRET,
            "--no-tls",
            "--dtls",
            &format!("--cert={cert}"),
            &format!("--pkey={key}"),
        ];
        assert_says(&flags, &good(), &["cert: ", says]);
    }
}

/// A certificate that an authority signed, all in PEM.
pub(crate) struct Made {
    pub(crate) leaf: String,
    pub(crate) authority: String,
    pub(crate) key: String,
}

impl Made {
    /// Valid from so many days from now until so many days from now.
    pub(crate) fn valid(begins: i64, ends: i64) -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["turn.example.org".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "turn.example.org");
        let day = |days: i64| SystemTime::now() + offset(days) - offset(-days);
        params.not_before = day(begins).into();
        params.not_after = day(ends).into();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        Self {
            leaf: leaf.pem(),
            authority: authority.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// The part of so many days that lies ahead.
fn offset(days: i64) -> Duration {
    Duration::from_secs(u64::try_from(days).unwrap_or(0) * 86_400)
}
