//! Keys that tokens are checked with: shared secrets, and the public keys of a JWK Set (RFC 7517).
//!
//! In: which key may have signed a token. Not in: fetching keys (`jwks.rs`), checking signatures (`signatures.rs`).

use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use turn_auth::Secret;

/// Keys of a set that are read; a set has two or three, and each may cost a signature check per token.
const MAX_KEYS: usize = 32;

/// One key, and what it may have signed with.
pub(crate) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(crate) key: DecodingKey,
}

impl Key {
    /// A shared secret.
    pub(crate) fn secret(secret: &[u8]) -> Key {
        // RFC 7518 §3.2: it is no shorter than the hash. Of HS256 its reader has seen to that.
        let longer = [(48, Algorithm::HS384), (64, Algorithm::HS512)];
        let long_enough = longer.iter().filter(|(bytes, _)| secret.len() >= *bytes);
        let longer = long_enough.map(|(_, algorithm)| *algorithm);
        Key {
            id: None,
            algorithms: [Algorithm::HS256].into_iter().chain(longer).collect(),
            key: DecodingKey::from_secret(secret),
        }
    }

    /// Says whether it may have signed with `algorithm` under the name `id`. A key without a name, and a token without one,
    /// go with all.
    pub(crate) fn may_be(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let named = self.id.as_deref().zip(id);
        self.algorithms.contains(&algorithm) && named.is_none_or(|(own, other)| own == other)
    }

    /// Reads one of a set; `None` for what is not for signatures or of a kind that we do not know (RFC 7517 §5: such are
    /// ignored). A secret has no business in a set that everybody can read.
    fn parse(jwk: &Jwk) -> Option<Key> {
        let common = &jwk.common;
        let usage = common.public_key_use.as_ref();
        let operations = common.key_operations.as_ref();
        let is_for_us = usage.is_none_or(|usage| *usage == PublicKeyUse::Signature)
            && operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let key = DecodingKey::from_jwk(jwk).ok()?;
        // A point of another length is none of its curve's (RFC 7518 §6.2.1, RFC 8037 §2).
        let algorithms = match (&jwk.algorithm, key.try_get_as_bytes().map(<[u8]>::len)) {
            (AlgorithmParameters::RSA(_), _) => AlgorithmFamily::Rsa.algorithms(),
            (AlgorithmParameters::EllipticCurve(point), Ok(length)) => match (&point.curve, length)
            {
                (EllipticCurve::P256, 65) => &[Algorithm::ES256],
                (EllipticCurve::P384, 97) => &[Algorithm::ES384],
                _ => return None,
            },
            (AlgorithmParameters::OctetKeyPair(point), Ok(32))
                if point.curve == EllipticCurve::Ed25519 =>
            {
                &[Algorithm::EdDSA]
            }
            _ => return None,
        };
        let algorithms = match common.key_algorithm {
            None => algorithms.to_vec(),
            Some(named) => {
                let named = Algorithm::try_from(named).ok()?;
                vec![*algorithms.iter().find(|one| **one == named)?]
            }
        };
        is_for_us.then_some(Key {
            id: common.key_id.clone(),
            algorithms,
            key,
        })
    }
}

/// Reads a JWK Set; keys that are of no use to us are left out, a set without any other is a mistake.
pub(crate) fn parse_set(json: &[u8]) -> Result<Vec<Key>, BadKeySet> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(json).map_err(|_| BadKeySet)?;
    let keys: Vec<Key> = set
        .keys
        .into_iter()
        .filter_map(|key| Key::parse(&serde_json::from_value(key).ok()?))
        .take(MAX_KEYS)
        .collect();
    if keys.is_empty() {
        Err(BadKeySet)
    } else {
        Ok(keys)
    }
}

/// What was fetched is no set of keys that tokens can be checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no JWK Set with a key for RS…, PS…, ES256, ES384 or EdDSA signatures")]
pub(crate) struct BadKeySet;

/// Shared secrets, which can be replaced while they are in use.
#[derive(Default)]
pub struct SecretKeys(RwLock<Arc<Vec<Key>>>);

impl SecretKeys {
    /// Takes the secrets of those who sign; several while one replaces another.
    pub fn new(secrets: &[Secret<String>]) -> SecretKeys {
        let keys = SecretKeys::default();
        keys.replace(secrets);
        keys
    }

    /// Takes these from now on. Who is here stays.
    pub fn replace(&self, secrets: &[Secret<String>]) {
        let keys = secrets
            .iter()
            .map(|secret| Key::secret(secret.expose().as_bytes()));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys.collect());
    }

    pub(crate) fn current(&self) -> Arc<Vec<Key>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::super::signatures;
    use super::*;

    /// The public key of RFC 8037 appendix A.2.
    const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    /// The public key of RFC 7515 appendix A.3.
    const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

    fn set(keys: &[&str]) -> Result<Vec<Key>, BadKeySet> {
        parse_set(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    #[test]
    fn the_tokens_of_the_rfcs_are_verified_with_their_keys() {
        let [ed25519, p256] = set(&[ED25519, P256]).unwrap().try_into().ok().unwrap();
        signatures::install();
        let check = |key: &Key, token: &str| {
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let verify = jsonwebtoken::crypto::verify;
            verify(signature, signed.as_bytes(), &key.key, key.algorithms[0]).unwrap()
        };
        // RFC 8037 appendix A.4.
        let eddsa = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert!(check(&ed25519, eddsa) && !check(&p256, eddsa));
        // RFC 7515 appendix A.3.
        let es256 = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert!(check(&p256, es256) && !check(&ed25519, es256));
    }

    #[test]
    fn a_key_is_of_one_algorithm_and_one_name() {
        let keys = set(&[ED25519, P256]).unwrap();
        assert!(keys[0].may_be(Algorithm::EdDSA, Some("e")));
        assert!(keys[0].may_be(Algorithm::EdDSA, None));
        assert!(!keys[0].may_be(Algorithm::EdDSA, Some("other")));
        for other in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256] {
            assert!(!keys[0].may_be(other, Some("e")), "{other:?}");
        }
        assert!(
            keys[1].may_be(Algorithm::ES256, Some("whatever")),
            "it has no name"
        );
        for (bytes, most) in [(32, 1), (47, 1), (48, 2), (64, 3)] {
            assert_eq!(
                Key::secret(&vec![1; bytes]).algorithms.len(),
                most,
                "{bytes}"
            );
        }
        assert!(!Key::secret(&[1; 64]).may_be(Algorithm::RS256, None));
    }

    #[test]
    fn keys_that_are_not_for_signatures_are_left_out() {
        let with = |field: &str| ED25519.replace(r#""kid""#, &format!(r#"{field},"kid""#));
        for odd in [
            with(r#""use":"enc""#),
            with(r#""key_ops":["sign"]"#),
            with(r#""alg":"HS256""#),
            ED25519.replace("Ed25519", "X25519"),
            ED25519.replace("11qY", ""),
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":5}"#.to_owned(),
            "null".to_owned(),
        ] {
            assert_eq!(set(&[&odd]).err(), Some(BadKeySet), "{odd}");
            assert_eq!(set(&[&odd, ED25519]).unwrap().len(), 1, "{odd}");
        }
        for fine in [
            with(r#""use":"sig""#),
            with(r#""key_ops":["verify"]"#),
            with(r#""alg":"EdDSA""#),
        ] {
            assert!(set(&[&fine]).is_ok(), "{fine}");
        }
        assert_eq!(set(&[ED25519; 100]).unwrap().len(), MAX_KEYS);
    }
}
