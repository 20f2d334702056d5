//! Keys that tokens are checked with: shared secrets, and the public keys of a JWK Set (RFC 7517).
//!
//! In: reading keys, checking signatures. Not in: fetching them (`jwks.rs`).

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use ring::{hmac, signature::VerificationAlgorithm};
use serde::Deserialize;
use turn_auth::Secret;

use super::token::Algorithm;

/// Keys of a set that are read; a set has two or three, and each may cost a signature check per token.
const MAX_KEYS: usize = 32;

/// One key, of one algorithm.
pub(crate) struct Key {
    id: Option<String>,
    material: Material,
}

enum Material {
    Secret(hmac::Key),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(UnparsedPublicKey<Vec<u8>>),
    Ed25519(UnparsedPublicKey<Vec<u8>>),
}

impl Key {
    /// A shared secret.
    pub(crate) fn secret(secret: &[u8]) -> Key {
        Key {
            id: None,
            material: Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)),
        }
    }

    /// Says whether it may have signed with `algorithm` under the name `id`. A key without a name, and a token without one,
    /// go with all.
    pub(crate) fn may_be(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let own = match &self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        };
        let named = self.id.as_deref().zip(id);
        own == algorithm && named.is_none_or(|(own, other)| own == other)
    }

    /// Checks a signature.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            // 2048 bits at least, as RFC 7518 §3.3 demands; ring refuses shorter ones.
            Material::Rsa(key) => {
                let algorithm = &signature::RSA_PKCS1_2048_8192_SHA256;
                key.verify(algorithm, message, signature).is_ok()
            }
            Material::P256(key) | Material::Ed25519(key) => key.verify(message, signature).is_ok(),
        }
    }

    /// Reads one of a set; `None` for what is not for signatures or of a kind that we do not know (RFC 7517 §5: such are
    /// ignored). A secret has no business in a set that everybody can read.
    fn parse(jwk: Jwk) -> Option<Key> {
        let is_for_us = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk
                .operations
                .is_none_or(|operations| operations.iter().any(|one| one == "verify"));
        let (material, algorithm) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (number(jwk.n?)?, number(jwk.e?)?);
                (Material::Rsa(RsaPublicKeyComponents { n, e }), "RS256")
            }
            // RFC 7518 §6.2.1: coordinates of the curve's full length; in front of them, what says "uncompressed".
            ("EC", Some("P-256")) => {
                let (x, y) = (exactly::<32>(jwk.x?)?, exactly::<32>(jwk.y?)?);
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                (
                    Material::P256(public(&signature::ECDSA_P256_SHA256_FIXED, point)),
                    "ES256",
                )
            }
            ("OKP", Some("Ed25519")) => {
                let point = exactly::<32>(jwk.x?)?.to_vec();
                (
                    Material::Ed25519(public(&signature::ED25519, point)),
                    "EdDSA",
                )
            }
            _ => return None,
        };
        let may_sign = jwk.alg.is_none_or(|alg| alg == algorithm);
        (is_for_us && may_sign).then_some(Key {
            id: jwk.kid,
            material,
        })
    }
}

fn public(
    algorithm: &'static dyn VerificationAlgorithm,
    point: Vec<u8>,
) -> UnparsedPublicKey<Vec<u8>> {
    UnparsedPublicKey::new(algorithm, point)
}

fn decode(text: String) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A number without leading zeros, as ring wants it (and RFC 7518 §2 writes it).
fn number(text: String) -> Option<Vec<u8>> {
    let bytes = decode(text)?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes.get(first..)?.to_vec())
}

fn exactly<const N: usize>(text: String) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

/// A key as it is published.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(rename = "key_ops")]
    operations: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
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
        .filter_map(|key| Key::parse(serde_json::from_value(key).ok()?))
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
#[error("no JWK Set with a key for RS256, ES256 or EdDSA")]
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
        let check = |key: &Key, token: &str| {
            let (signed, signature) = token.rsplit_once('.').unwrap();
            key.has_signed(signed.as_bytes(), &decode(signature.to_owned()).unwrap())
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
        assert!(keys[0].may_be(Algorithm::EdDsa, Some("e")));
        assert!(keys[0].may_be(Algorithm::EdDsa, None));
        assert!(!keys[0].may_be(Algorithm::EdDsa, Some("other")));
        for other in [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256] {
            assert!(!keys[0].may_be(other, Some("e")), "{other:?}");
        }
        assert!(
            keys[1].may_be(Algorithm::Es256, Some("whatever")),
            "it has no name"
        );
        assert!(!Key::secret(b"k").may_be(Algorithm::Rs256, None));
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
