//! Who a client is: what its token says, and who vouches for it.
//!
//! In: the three ways of knowing, and where a token may be written. Not in: who may connect at all (`gate.rs`), and what a
//! user may do (`hub`).

pub(crate) mod callout;
pub(crate) mod jwks;
pub(crate) mod keys;
mod signatures;
pub(crate) mod token;

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use tracing::{debug, warn};

use crate::chance;
use crate::hub::Name;

pub use callout::CallOut;
pub use jwks::{Freshness, KeySource};
pub use keys::SecretKeys;
pub use token::Expected;

/// The WebSocket subprotocol that we speak; a client that offers it may offer its token beside it.
pub(crate) const SUBPROTOCOL: &str = "turnpike";

/// How the offer begins that is a token and no subprotocol.
const OFFERED_TOKEN: &str = "token.";

/// Bytes of a token; one with a few roles in it has less than 2 KiB, and a head of a request is 16 KiB at most.
const MAX_TOKEN: usize = 8_192;

/// How users become known.
#[derive(Clone, Default)]
pub enum Identification {
    /// The token is the user's name, and whoever has none is a guest.
    #[default]
    Anonymous,
    /// The token is a JSON Web Token whose `sub` is the user's name.
    Tokens(Arc<Tokens>),
    /// Somebody else knows the tokens.
    CallOut(Arc<CallOut>),
}

/// What JSON Web Tokens are checked with.
pub struct Tokens {
    /// Secrets shared with whoever issues tokens.
    pub secrets: SecretKeys,
    /// Where the issuer publishes its keys.
    pub published: Option<KeySource>,
    /// What tokens have to say besides.
    pub expected: Expected,
}

/// A user who is who the token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) user: Name,
    /// What others are to see, if that is somebody else's to say than the user's.
    pub(crate) name: Option<Name>,
}

/// Why a user is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unproven {
    /// There is no token, or it is not a good one.
    Wrong,
    /// Nobody can say at the moment.
    Unavailable,
}

impl Identification {
    /// Says whether tokens prove something.
    pub(crate) fn proves(&self) -> bool {
        !matches!(self, Identification::Anonymous)
    }

    /// Says whose token this is. Why one is not taken is for the operator alone to read, and the token for nobody.
    pub(crate) async fn user_of(&self, token: Option<&str>) -> Result<Known, Unproven> {
        let Some(token) = token.filter(|token| (1..=MAX_TOKEN).contains(&token.len())) else {
            return Err(Unproven::Wrong);
        };
        let known = match self {
            Identification::Anonymous => Name::parse(token)
                .map(|user| Known { user, name: None })
                .ok_or(Unproven::Wrong)?,
            Identification::Tokens(tokens) => tokens.user_of(token).await?,
            Identification::CallOut(callout) => callout.user_of(token).await?,
        };
        // Guests are known to others by their names, and nobody else may have them.
        match known.user.as_str().starts_with(chance::GUEST) {
            true => Err(Unproven::Wrong),
            false => Ok(known),
        }
    }
}

impl Tokens {
    async fn user_of(&self, token: &str) -> Result<Known, Unproven> {
        let read = token::Token::parse(token).map_err(refused)?;
        let claims = match read.is_symmetric() {
            true => read.verify(&self.secrets.current(), &self.expected),
            false => match &self.published {
                Some(source) => source
                    .verify(&read, &self.expected)
                    .await
                    .map_err(|error| {
                        warn!(%error, "no token can be checked");
                        Unproven::Unavailable
                    })?,
                None => Err(token::Flaw::UnknownKey),
            },
        };
        let claims = claims.map_err(refused)?;
        let user = claims.user().ok_or(token::Flaw::NoUser).map_err(refused)?;
        Ok(Known {
            user,
            name: claims.display_name(),
        })
    }
}

fn refused(flaw: token::Flaw) -> Unproven {
    debug!(%flaw, "a token is refused");
    Unproven::Wrong
}

/// The token in the head of a request: `Authorization: Bearer TOKEN`, or, because pages cannot write that, the subprotocol
/// `token.TOKEN` beside [`SUBPROTOCOL`].
pub(crate) fn token_in(headers: &HeaderMap) -> Option<String> {
    bearer(headers).or_else(|| offered(headers))
}

/// The credentials of RFC 6750 §2.1; the scheme's case is free (RFC 9110 §11.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let field = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = field.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

fn offered(headers: &HeaderMap) -> Option<String> {
    let fields = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offers = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','));
    let token = offers.find_map(|offer| offer.trim().strip_prefix(OFFERED_TOKEN))?;
    Some(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_token_is_found_in_the_header_and_beside_the_subprotocol() {
        for (fields, token) in [
            (&[("authorization", "Bearer a.b.c")][..], Some("a.b.c")),
            (&[("authorization", "bearer  a.b.c")], Some("a.b.c")),
            (&[("authorization", "Basic YTpi")], None),
            (
                &[("sec-websocket-protocol", "turnpike, token.a.b.c")],
                Some("a.b.c"),
            ),
            (
                &[
                    ("sec-websocket-protocol", "turnpike"),
                    ("sec-websocket-protocol", "token.x"),
                ],
                Some("x"),
            ),
            (&[("sec-websocket-protocol", "turnpike")], None),
            (&[], None),
        ] {
            assert_eq!(token_in(&headers(fields)).as_deref(), token, "{fields:?}");
        }
    }

    #[tokio::test]
    async fn in_anonymous_the_token_is_the_name_of_anybody_but_a_guest() {
        let anonymous = Identification::default();
        let known = anonymous.user_of(Some("ann")).await.unwrap();
        assert_eq!((known.user.as_str(), known.name), ("ann", None));
        for token in [None, Some(""), Some("guest-1"), Some("a\u{0}b")] {
            assert_eq!(
                anonymous.user_of(token).await,
                Err(Unproven::Wrong),
                "{token:?}"
            );
        }
    }
}
