//! JSON Web Tokens (RFC 7519): whether one may be believed, and what it says of its user.
//!
//! In: what we demand of tokens. Not in: their format, which the `jsonwebtoken` crate reads, and where keys come from
//! (`jwks.rs`).

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, AlgorithmFamily, Header, Validation, decode, decode_header};
use serde::Deserialize;

use super::keys::Key;
use super::signatures;
use crate::hub::Name;

/// Seconds by which clocks of issuers may differ from ours (RFC 7519 §4.1.4: "usually no more than a few minutes").
const LEEWAY: u64 = 30;

/// What is wrong with a token.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("it has a critical extension, and none is understood")]
    Critical,
    #[error(
        "its key is not known: nothing in --jwt-secret-file or at --jwks-url is for its algorithm and kid"
    )]
    UnknownKey,
    #[error("its signature is wrong: it was made with another secret or key")]
    Signature,
    #[error("it names no user that can be one (sub)")]
    NoUser,
    /// Its form or its claims.
    #[error("{0}{hint}", hint = hint(.0))]
    Refused(#[from] Error),
}

/// Which option a claim was held against.
fn hint(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::InvalidAudience => ": its aud is not what --jwt-audience says",
        ErrorKind::InvalidIssuer => ": its iss is not what --jwt-issuer says",
        _ => "",
    }
}

/// A token whose signature is still to be checked; nothing of its claims can be read before.
pub(crate) struct Token<'a> {
    text: &'a str,
    header: Header,
}

impl<'a> Token<'a> {
    /// Reads the header. Of algorithms that are not known, `none` before all, no token can be made.
    pub(crate) fn parse(text: &'a str) -> Result<Token<'a>, Flaw> {
        let header = decode_header(text)?;
        // RFC 7515 §4.1.11: an extension that is not understood makes the token invalid.
        match header.crit {
            Some(_) => Err(Flaw::Critical),
            None => Ok(Token { text, header }),
        }
    }

    /// Says whether the key is a secret that both sides have.
    pub(crate) fn is_symmetric(&self) -> bool {
        self.header.alg.family() == AlgorithmFamily::Hmac
    }

    pub(crate) fn names_its_key(&self) -> bool {
        self.header.kid.is_some()
    }

    /// Gives out the claims if one of the keys has signed them, one with the token's `kid` if both have one, and if they are
    /// as expected.
    pub(crate) fn verify(&self, keys: &[Key], expected: &Expected) -> Result<Claims, Flaw> {
        signatures::install();
        let (algorithm, id) = (self.header.alg, self.header.kid.as_deref());
        let validation = expected.validation(algorithm);
        let mut flaw = Flaw::UnknownKey;
        for key in keys.iter().filter(|key| key.may_be(algorithm, id)) {
            match decode(self.text, &key.key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {
                    flaw = Flaw::Signature;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(flaw)
    }
}

/// What a token says of its user; unknown claims are ignored (RFC 7519 §4).
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    sub: Option<String>,
    name: Option<String>,
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
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        // One without an end would be a password that nobody can change.
        let mut required = vec!["exp"];
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::clock::unix_time;

    /// RFC 7515 appendix A.1, with its key; its claims ended in 2011.
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

    fn read(text: &str, key: &[Key], expected: &Expected) -> Result<Claims, Flaw> {
        Token::parse(text).and_then(|token| token.verify(key, expected))
    }

    /// What is wrong with claims in a token that is right otherwise.
    fn flaw(claims: &str, expected: &Expected) -> Option<String> {
        let text = token(r#"{"alg":"HS256"}"#, claims, b"k");
        let read = read(&text, &key(b"k"), expected);
        read.err().map(|flaw| flaw.to_string())
    }

    /// Claims that end in an hour, and more.
    fn lasting(more: &str) -> String {
        format!(r#"{{"exp":{},{more}}}"#, unix_time() + 3_600)
    }

    #[test]
    fn the_signature_of_rfc_7515_appendix_a_1_is_right() {
        let rfc_key = URL_SAFE_NO_PAD.decode(RFC_KEY).unwrap();
        let any = Expected::default();
        let ended = read(RFC_TOKEN, &key(&rfc_key), &any).unwrap_err();
        assert_eq!(ended, Flaw::Refused(ErrorKind::ExpiredSignature.into()));
        let forged = read(RFC_TOKEN, &key(b"another"), &any).unwrap_err();
        assert_eq!(forged, Flaw::Signature);
    }

    #[test]
    fn no_other_algorithm_is_understood() {
        for alg in [
            r#""none""#,
            r#""None""#,
            r#""HS1""#,
            r#""ES256K""#,
            r#""""#,
            "null",
            r#"["HS256"]"#,
        ] {
            let text = token(
                &format!(r#"{{"alg":{alg}}}"#),
                &lasting(r#""sub":"a""#),
                b"k",
            );
            assert!(Token::parse(&text).is_err(), "{alg}");
        }
        // RFC 7519 §6.1, an unsecured token: its signature is empty.
        let unsecured = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
        assert!(Token::parse(unsecured).is_err());
    }

    #[test]
    fn a_key_is_not_taken_for_one_of_another_algorithm() {
        let any = Expected::default();
        for alg in ["HS384", "HS512", "RS256", "ES256", "EdDSA"] {
            let header = format!(r#"{{"alg":"{alg}"}}"#);
            let text = token(&header, &lasting(r#""sub":"a""#), b"k");
            let refused = read(&text, &key(b"k"), &any).unwrap_err();
            assert_eq!(refused, Flaw::UnknownKey, "{alg}");
        }
    }

    #[test]
    fn a_critical_extension_and_a_repeated_member_make_a_token_invalid() {
        let claims = lasting(r#""sub":"a""#);
        let critical = token(
            r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            &claims,
            b"k",
        );
        assert_eq!(Token::parse(&critical).err(), Some(Flaw::Critical));
        let twice = token(r#"{"alg":"none","alg":"HS256"}"#, &claims, b"k");
        assert!(Token::parse(&twice).is_err());
        assert!(flaw(&lasting(r#""sub":"a","sub":"b""#), &Expected::default()).is_some());
    }

    #[test]
    fn what_is_not_three_parts_is_refused() {
        let any = Expected::default();
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
            let refused = read(text, &key(b"k"), &any).unwrap_err();
            assert!(matches!(refused, Flaw::Refused(_)), "{text}: {refused}");
        }
    }

    #[test]
    fn a_token_is_valid_between_its_nbf_and_its_exp() {
        let now = unix_time();
        let any = Expected::default();
        for (claims, right) in [
            (format!(r#"{{"exp":{}}}"#, now + 60), true),
            (format!(r#"{{"exp":{}}}"#, now - LEEWAY + 10), true),
            (format!(r#"{{"exp":{}}}"#, now - LEEWAY - 1), false),
            (format!(r#"{{"exp":{}.5}}"#, now + 60), true),
            (
                format!(r#"{{"exp":{},"nbf":{}}}"#, now + 600, now + LEEWAY),
                true,
            ),
            (
                format!(r#"{{"exp":{},"nbf":{}}}"#, now + 600, now + LEEWAY + 60),
                false,
            ),
            ("{}".to_owned(), false),
            (r#"{"exp":null}"#.to_owned(), false),
            (r#"{"exp":true}"#.to_owned(), false),
            (r#"{"exp":"4102444800"}"#.to_owned(), false),
            (r#"{"exp":-1}"#.to_owned(), false),
            (r#"{"exp":1e999}"#.to_owned(), false),
        ] {
            assert_eq!(flaw(&claims, &any).is_none(), right, "{claims}");
        }
    }

    #[test]
    fn issuer_and_audience_have_to_be_the_expected_ones() {
        let expected = Expected {
            issuer: Some("https://auth".to_owned()),
            audience: Some("calls".to_owned()),
        };
        for (claims, right) in [
            (r#""iss":"https://auth","aud":"calls""#, true),
            (r#""iss":"https://auth","aud":["mail","calls"]"#, true),
            (r#""iss":"https://auth","aud":["mail"]"#, false),
            (r#""iss":"https://auth""#, false),
            (r#""iss":"https://auth","aud":7"#, false),
            (r#""iss":"https://evil","aud":"calls""#, false),
            (r#""aud":"calls""#, false),
        ] {
            assert_eq!(
                flaw(&lasting(claims), &expected).is_none(),
                right,
                "{claims}"
            );
        }
        let any = Expected::default();
        assert!(flaw(&lasting(r#""aud":"mail""#), &any).is_some());
        assert!(flaw(&lasting(r#""iss":"anybody""#), &any).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".{0,80}", parts in "[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}") {
            for text in [text, parts] {
                proptest::prop_assert!(read(&text, &key(b"k"), &Expected::default()).is_err());
            }
        }

        #[test]
        fn a_changed_letter_is_noticed(at in 0usize..RFC_TOKEN.len(), letter in "[A-Za-z0-9_-]") {
            let mut text = RFC_TOKEN.to_owned();
            text.replace_range(at..=at, &letter);
            let rfc_key = URL_SAFE_NO_PAD.decode(RFC_KEY).unwrap();
            let expired = Flaw::Refused(ErrorKind::ExpiredSignature.into());
            // Changes of unused bits at the end of a part are refused by the decoder.
            let signed = read(&text, &key(&rfc_key), &Expected::default()).err() == Some(expired);
            proptest::prop_assert_eq!(signed, text == RFC_TOKEN);
        }
    }

    #[test]
    fn the_log_names_the_option_that_a_token_fails_at() {
        for (kind, option) in [
            (ErrorKind::InvalidAudience, "--jwt-audience"),
            (ErrorKind::InvalidIssuer, "--jwt-issuer"),
        ] {
            let said = Flaw::from(Error::from(kind)).to_string();
            assert!(said.contains(option), "{said}");
        }
        assert!(Flaw::UnknownKey.to_string().contains("--jwks-url"));
    }
}
