//! JSON Web Tokens (RFC 7519) as JWS in compact form (RFC 7515): what they say, and whether that may be believed.
//!
//! In: parsing, claims. Not in: signatures (`keys.rs`), where keys come from (`jwks.rs`), the clock: time is an argument.
//!
//! Written on `ring`, which is in the tree, and not taken from a library: four algorithms are wanted, the claims are read after
//! the signature alone, and a key is of one algorithm by its type, so that none is ever taken for another's (RFC 8725 §2.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::keys::Key;
use crate::hub::Name;

/// Seconds by which clocks of issuers may differ from ours (RFC 7519 §4.1.4: "usually no more than a few minutes").
const LEEWAY: f64 = 30.0;

/// What a token is signed with. Others, `none` before all, have no name here and so are not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Algorithm {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519 (RFC 8037 §3.1).
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// Says whether the key is a secret that both sides have.
    pub(crate) fn is_symmetric(self) -> bool {
        self == Algorithm::Hs256
    }
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("it is not three parts of base64url and JSON")]
    Malformed,
    #[error("its algorithm is none of HS256, RS256, ES256 and EdDSA")]
    Algorithm,
    #[error("it has a critical extension, and none is understood")]
    Critical,
    #[error("its key is not known")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it does not say when it ends (exp)")]
    Endless,
    #[error("it has expired (exp)")]
    Expired,
    #[error("it is not valid yet (nbf)")]
    TooEarly,
    #[error("it is of another issuer (iss)")]
    Issuer,
    #[error("it is for another audience (aud)")]
    Audience,
    #[error("it names no user that can be one (sub)")]
    NoUser,
}

/// A token whose signature is still to be checked; nothing of its claims can be read before.
pub(crate) struct Token<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    /// What is signed (RFC 7515 §5.2 step 8).
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: serde_json::Value,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

impl<'a> Token<'a> {
    /// Reads header and signature.
    pub(crate) fn parse(text: &'a str) -> Result<Token<'a>, Flaw> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Flaw::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Flaw::Malformed)?;
        if payload.contains('.') {
            return Err(Flaw::Malformed);
        }
        let header: Header = json(header)?;
        // RFC 7515 §4.1.11: an extension that is not understood makes the token invalid.
        if header.crit.is_some() {
            return Err(Flaw::Critical);
        }
        Ok(Token {
            algorithm: Algorithm::deserialize(header.alg).map_err(|_| Flaw::Algorithm)?,
            key_id: header.kid,
            signed,
            payload,
            signature: bytes(signature)?,
        })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn names_its_key(&self) -> bool {
        self.key_id.is_some()
    }

    /// Gives out the claims if one of the keys has signed them: one with the token's `kid`, if both have one.
    pub(crate) fn verify(&self, keys: &[Key]) -> Result<Claims, Flaw> {
        let mut flaw = Flaw::UnknownKey;
        for key in keys
            .iter()
            .filter(|key| key.may_be(self.algorithm, self.key_id.as_deref()))
        {
            if key.has_signed(self.signed.as_bytes(), &self.signature) {
                return json(self.payload);
            }
            flaw = Flaw::Signature;
        }
        Err(flaw)
    }
}

fn bytes(part: &str) -> Result<Vec<u8>, Flaw> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Malformed)
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Flaw> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| Flaw::Malformed)
}

/// What a token says of its user; unknown claims are ignored (RFC 7519 §4).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Claims {
    sub: Option<String>,
    name: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
}

/// One, or several (RFC 7519 §4.1.3).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// Whose token it is (§4.1.2).
    pub(crate) fn user(&self) -> Option<Name> {
        Name::parse(self.sub.as_deref()?)
    }

    /// What others are to see (OpenID Connect Core §5.1).
    pub(crate) fn display_name(&self) -> Option<Name> {
        Name::parse(self.name.as_deref()?)
    }
}

/// What tokens have to say to be taken.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Who issued it; anybody whose key is known, without.
    pub issuer: Option<String>,
    /// Whom it is for. Without, only tokens that are for nobody in particular are taken.
    pub audience: Option<String>,
}

impl Expected {
    /// Judges claims whose signature was right, at a Unix time.
    pub(crate) fn judge(&self, claims: &Claims, now_unix: u64) -> Result<(), Flaw> {
        #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
        let now = now_unix as f64;
        // One without an end would be a password that nobody can change.
        let exp = claims
            .exp
            .filter(|exp| exp.is_finite())
            .ok_or(Flaw::Endless)?;
        // §4.1.4: "on or after which the JWT MUST NOT be accepted".
        if now >= exp + LEEWAY {
            return Err(Flaw::Expired);
        }
        // §4.1.5: "before which the JWT MUST NOT be accepted".
        if claims.nbf.is_some_and(|nbf| now < nbf - LEEWAY) {
            return Err(Flaw::TooEarly);
        }
        if self.issuer.is_some() && claims.iss != self.issuer {
            return Err(Flaw::Issuer);
        }
        // §4.1.3: whoever is not named in a claim that is there rejects the token.
        let meant = match (&claims.aud, &self.audience) {
            (None, None) => true,
            (Some(Audience::One(one)), Some(own)) => one == own,
            (Some(Audience::Several(several)), Some(own)) => several.contains(own),
            _ => false,
        };
        meant.then_some(()).ok_or(Flaw::Audience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515 appendix A.1, with its key and its claims, which it prints with line breaks.
    const RFC_TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const RFC_KEY: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

    fn key(secret: &[u8]) -> [Key; 1] {
        [Key::secret(secret)]
    }

    fn token(header: &str, claims: &str, secret: &[u8]) -> String {
        let encode = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
        let signed = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let signature = ring::hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", encode(signature.as_ref()))
    }

    fn flaw(header: &str, claims: &str) -> Option<Flaw> {
        let text = token(header, claims, b"k");
        Token::parse(&text)
            .and_then(|token| token.verify(&key(b"k")))
            .err()
    }

    fn judged(claims: &str, expected: &Expected) -> Result<(), Flaw> {
        expected.judge(&serde_json::from_str(claims).unwrap(), 1_000)
    }

    #[test]
    fn the_token_of_rfc_7515_appendix_a_1_is_believed() {
        let token = Token::parse(RFC_TOKEN).unwrap();
        let claims = token.verify(&key(&bytes(RFC_KEY).unwrap())).unwrap();
        assert_eq!(
            (claims.iss.as_deref(), claims.exp),
            (Some("joe"), Some(1_300_819_380.0))
        );
        let wrong = Token::parse(RFC_TOKEN).unwrap().verify(&key(b"another"));
        assert_eq!(wrong.err(), Some(Flaw::Signature));
    }

    #[test]
    fn no_other_algorithm_is_understood() {
        for alg in [
            r#""none""#,
            r#""None""#,
            r#""HS512""#,
            r#""ES384""#,
            r#""""#,
            "null",
            r#"["HS256"]"#,
        ] {
            let header = format!(r#"{{"alg":{alg}}}"#);
            assert_eq!(flaw(&header, "{}"), Some(Flaw::Algorithm), "{alg}");
        }
        // RFC 7519 §6.1, an unsecured token: its signature is empty.
        let unsecured = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
        assert_eq!(Token::parse(unsecured).err(), Some(Flaw::Algorithm));
    }

    #[test]
    fn a_critical_extension_and_a_repeated_member_make_a_token_invalid() {
        assert_eq!(
            flaw(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, "{}"),
            Some(Flaw::Critical)
        );
        assert_eq!(
            flaw(r#"{"alg":"none","alg":"HS256"}"#, "{}"),
            Some(Flaw::Malformed)
        );
        assert_eq!(
            flaw(r#"{"alg":"HS256"}"#, r#"{"sub":"a","sub":"b"}"#),
            Some(Flaw::Malformed)
        );
    }

    #[test]
    fn what_is_not_three_parts_is_malformed() {
        for text in [
            "",
            "a",
            "a.b",
            "a.b.c",
            "a.b.c.d",
            &RFC_TOKEN.replace('.', "_"),
            &format!("{RFC_TOKEN}="),
            &format!("{RFC_TOKEN}."),
        ] {
            assert_eq!(Token::parse(text).err(), Some(Flaw::Malformed), "{text}");
        }
    }

    #[test]
    fn a_token_is_valid_between_its_nbf_and_its_exp() {
        let any = Expected::default();
        for (claims, verdict) in [
            (r#"{"exp": 1001}"#, Ok(())),
            (r#"{"exp": 971}"#, Ok(())),
            (r#"{"exp": 970}"#, Err(Flaw::Expired)),
            (r#"{"exp": 1001.5, "nbf": 1030}"#, Ok(())),
            (r#"{"exp": 2000, "nbf": 1031}"#, Err(Flaw::TooEarly)),
            ("{}", Err(Flaw::Endless)),
        ] {
            assert_eq!(judged(claims, &any), verdict, "{claims}");
        }
        for odd in [
            r#"{"exp": "2000"}"#,
            r#"{"exp": true}"#,
            r#"{"exp": 1e999}"#,
        ] {
            assert!(serde_json::from_str::<Claims>(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn issuer_and_audience_have_to_be_the_expected_ones() {
        let expected = Expected {
            issuer: Some("https://auth".to_owned()),
            audience: Some("calls".to_owned()),
        };
        for (claims, verdict) in [
            (r#"{"exp":2e3,"iss":"https://auth","aud":"calls"}"#, Ok(())),
            (
                r#"{"exp":2e3,"iss":"https://auth","aud":["mail","calls"]}"#,
                Ok(()),
            ),
            (
                r#"{"exp":2e3,"iss":"https://auth","aud":["mail"]}"#,
                Err(Flaw::Audience),
            ),
            (r#"{"exp":2e3,"iss":"https://auth"}"#, Err(Flaw::Audience)),
            (
                r#"{"exp":2e3,"iss":"https://evil","aud":"calls"}"#,
                Err(Flaw::Issuer),
            ),
            (r#"{"exp":2e3,"aud":"calls"}"#, Err(Flaw::Issuer)),
        ] {
            assert_eq!(judged(claims, &expected), verdict, "{claims}");
        }
        let somebody_s = judged(r#"{"exp":2e3,"aud":"mail"}"#, &Expected::default());
        assert_eq!(somebody_s, Err(Flaw::Audience));
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".{0,80}", parts in "[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}") {
            for text in [text, parts] {
                if let Ok(token) = Token::parse(&text) {
                    let _ = token.verify(&key(b"k"));
                }
            }
        }

        #[test]
        fn a_changed_letter_is_noticed(at in 0usize..RFC_TOKEN.len(), letter in "[A-Za-z0-9_-]") {
            let mut text = RFC_TOKEN.to_owned();
            text.replace_range(at..=at, &letter);
            // Changes of unused bits at the end of a part are refused by the decoder.
            let believed = Token::parse(&text).is_ok_and(|token| token.verify(&key(&bytes(RFC_KEY).unwrap())).is_ok());
            proptest::prop_assert_eq!(believed, text == RFC_TOKEN);
        }
    }
}
