//! Cipher suites and groups by the names that OpenSSL gives them, as coturn's options do.
//!
//! Only what is safe can be chosen: key exchange with forward secrecy, authenticated encryption. Names of anything else are
//! passed over, as OpenSSL passes over what it was built without; a list that leaves nothing is a mistake.

use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite, crypto::SupportedKxGroup};

use super::TlsError;

/// A suite, OpenSSL's name for it, and the words that choose it.
const SUITES: [(CipherSuite, &str, &[&str]); 9] = [
    (
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_AES_256_GCM_SHA384",
        &[],
    ),
    (
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_128_GCM_SHA256",
        &[],
    ),
    (
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_CHACHA20_POLY1305_SHA256",
        &[],
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        &["ECDSA", "AECDSA", "AES", "AES256", "AESGCM", "SHA384"],
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        &["ECDSA", "AECDSA", "AES", "AES128", "AESGCM", "SHA256"],
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        &["ECDSA", "AECDSA", "CHACHA20", "SHA256"],
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384",
        &["RSA", "ARSA", "AES", "AES256", "AESGCM", "SHA384"],
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256",
        &["RSA", "ARSA", "AES", "AES128", "AESGCM", "SHA256"],
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305",
        &["RSA", "ARSA", "CHACHA20", "SHA256"],
    ),
];

/// Words that choose every suite of TLS 1.2 here: all of them are strong, ephemeral and authenticated.
const ALL: [&str; 9] = [
    "ALL",
    "DEFAULT",
    "COMPLEMENTOFDEFAULT",
    "HIGH",
    "ECDH",
    "ECDHE",
    "EECDH",
    "KEECDH",
    "TLSV1.2",
];

/// OpenSSL's name for a suite.
pub(crate) fn name(suite: CipherSuite) -> Option<&'static str> {
    let found = SUITES.iter().find(|(known, ..)| *known == suite);
    found.map(|(_, name, _)| *name)
}

/// The suites that a list chooses out of `offered`, in the order of the list.
///
/// Suites of TLS 1.3 have no such words in OpenSSL: unless one is named, all of them stay.
pub(super) fn ciphers(
    list: &str,
    offered: Vec<SupportedCipherSuite>,
) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let mut chosen: Vec<CipherSuite> = Vec::new();
    let mut banned: Vec<CipherSuite> = Vec::new();
    for word in list
        .split([':', ',', ' ', ';'])
        .filter(|word| !word.is_empty())
    {
        if let Some(word) = word.strip_prefix('!') {
            banned.extend(matching(word));
        } else if let Some(word) = word.strip_prefix('-') {
            let gone: Vec<_> = matching(word).collect();
            chosen.retain(|suite| !gone.contains(suite));
        } else if let Some(word) = word.strip_prefix('+') {
            let moved: Vec<_> = matching(word)
                .filter(|suite| chosen.contains(suite))
                .collect();
            chosen.retain(|suite| !moved.contains(suite));
            chosen.extend(moved);
        } else {
            chosen.extend(
                matching(word)
                    .filter(|suite| !chosen.contains(suite))
                    .collect::<Vec<_>>(),
            );
        }
    }
    chosen.retain(|suite| !banned.contains(suite));
    let names_tls13 = chosen.iter().any(|suite| is_tls13(*suite));
    if chosen.is_empty() {
        let known = SUITES.map(|(_, name, _)| name).join(":");
        return Err(TlsError::Ciphers(format!(
            "{list:?} chooses no cipher suite that is offered; leave it out, or choose from {known}"
        )));
    }
    let find = |suite: &CipherSuite| {
        offered
            .iter()
            .find(|offered| offered.suite() == *suite)
            .copied()
    };
    let mut suites: Vec<_> = chosen.iter().filter_map(find).collect();
    if !names_tls13 {
        let of_tls13 = offered
            .iter()
            .filter(|suite| is_tls13(suite.suite()) && !banned.contains(&suite.suite()));
        suites.splice(0..0, of_tls13.copied());
    }
    Ok(suites)
}

/// The suites that a word chooses: a name, a word for a class, or several words that must all hold, joined by plus signs.
fn matching(word: &str) -> impl Iterator<Item = CipherSuite> {
    let word = word.to_ascii_uppercase();
    SUITES.iter().filter_map(move |(suite, name, classes)| {
        let is_class =
            |part: &str| !is_tls13(*suite) && (ALL.contains(&part) || classes.contains(&part));
        (*name == word || word.split('+').all(is_class)).then_some(*suite)
    })
}

fn is_tls13(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
    )
}

/// The groups that a list of names chooses, in its order.
pub(super) fn groups(
    list: &str,
    offered: &[&'static dyn SupportedKxGroup],
) -> Result<Vec<&'static dyn SupportedKxGroup>, TlsError> {
    let named = list.split([':', ',', ' ']).filter_map(|name| {
        let group = match name.to_ascii_lowercase().as_str() {
            "prime256v1" | "secp256r1" | "p-256" => NamedGroup::secp256r1,
            "secp384r1" | "p-384" => NamedGroup::secp384r1,
            "x25519" => NamedGroup::X25519,
            _ => return None,
        };
        offered
            .iter()
            .find(|offered| offered.name() == group)
            .copied()
    });
    let groups: Vec<_> = named.collect();
    if groups.is_empty() {
        return Err(TlsError::Groups(format!(
            "{list:?} chooses no group that is offered; leave it out, or choose from X25519:prime256v1:secp384r1"
        )));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use rustls::{NamedGroup, crypto::ring};

    use super::{SUITES, ciphers, groups};

    fn chosen(list: &str) -> Vec<&'static str> {
        let suites = ciphers(list, ring::default_provider().cipher_suites).unwrap_or_default();
        let name = |suite| SUITES.iter().find(|(known, ..)| *known == suite).unwrap().1;
        suites.iter().map(|suite| name(suite.suite())).collect()
    }

    const TLS13: [&str; 3] = [
        "TLS_AES_256_GCM_SHA384",
        "TLS_AES_128_GCM_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
    ];

    fn with_tls13(more: &[&'static str]) -> Vec<&'static str> {
        [&TLS13, more].concat()
    }

    #[test]
    fn lists_as_guides_have_them() {
        assert_eq!(chosen("HIGH").len(), 9);
        assert_eq!(chosen("ALL:!aNULL:!eNULL").len(), 9);
        assert_eq!(
            chosen(
                "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES256-GCM-SHA384"
            ),
            with_tls13(&[
                "ECDHE-RSA-AES128-GCM-SHA256",
                "ECDHE-ECDSA-AES256-GCM-SHA384"
            ])
        );
        // Nextcloud's: the old key exchange stands for the new one too, and the other half is not offered.
        assert_eq!(chosen("ECDH+AESGCM:DH+AESGCM").len(), 7);
        assert_eq!(
            chosen("EECDH+AESGCM+RSA:!AES128"),
            with_tls13(&["ECDHE-RSA-AES256-GCM-SHA384"])
        );
        assert_eq!(
            chosen("ecdhe+chacha20:@STRENGTH"),
            with_tls13(&[
                "ECDHE-ECDSA-CHACHA20-POLY1305",
                "ECDHE-RSA-CHACHA20-POLY1305"
            ])
        );
        assert_eq!(
            chosen("HIGH:-ECDSA:-AES"),
            with_tls13(&["ECDHE-RSA-CHACHA20-POLY1305"])
        );
    }

    #[test]
    fn naming_a_suite_of_tls_1_3_leaves_the_others_out() {
        assert_eq!(chosen("TLS_AES_128_GCM_SHA256"), ["TLS_AES_128_GCM_SHA256"]);
        assert_eq!(
            chosen("!TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256"),
            [
                "TLS_AES_256_GCM_SHA384",
                "TLS_CHACHA20_POLY1305_SHA256",
                "ECDHE-RSA-AES128-GCM-SHA256"
            ]
        );
    }

    #[test]
    fn a_list_that_leaves_nothing_is_a_mistake() {
        for list in ["", "RC4-MD5:DES-CBC3-SHA", "HIGH:!ECDHE", "aNULL"] {
            assert!(
                ciphers(list, ring::default_provider().cipher_suites).is_err(),
                "{list}"
            );
        }
    }

    #[test]
    fn groups_by_openssl_s_names() {
        let offered = ring::default_provider().kx_groups;
        let names = |list| {
            groups(list, &offered).map(|found| found.iter().map(|group| group.name()).collect())
        };
        assert_eq!(names("prime256v1"), Ok(vec![NamedGroup::secp256r1]));
        assert_eq!(
            names("X25519:P-384"),
            Ok(vec![NamedGroup::X25519, NamedGroup::secp384r1])
        );
        assert!(names("sect571r1").is_err());
    }
}
