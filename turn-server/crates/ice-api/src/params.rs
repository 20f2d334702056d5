//! What a request asks for, in whichever of the usual ways it says so.
//!
//! In: query, form and JSON. Not in: whether the caller may ask (`admission.rs`), limits of the values (`issuer.rs`).

use axum::body::{Body, to_bytes};
use axum::extract::{Form, FromRequest, Query, Request};
use axum::http::{HeaderMap, Uri, header};
use serde::Deserialize;
use serde_json::Value;

/// Bytes; a body has two short fields.
const MAX_BODY: usize = 4_096;

/// The fields that we know, of a query or of a form; others are ignored.
#[derive(Default, Deserialize)]
pub(crate) struct Fields {
    /// Seconds.
    pub(crate) ttl: Option<String>,
    /// The user's name in our dialect.
    pub(crate) user: Option<String>,
    /// The user's name in draft-uberti-behave-turn-rest.
    pub(crate) username: Option<String>,
    /// This run's token (quickstart).
    pub(crate) token: Option<String>,
    /// The API key in draft-uberti-behave-turn-rest.
    pub(crate) key: Option<String>,
    /// `turn` in draft-uberti-behave-turn-rest.
    pub(crate) service: Option<String>,
}

/// The request cannot be read; the text says what is wrong with it.
#[derive(Debug)]
pub(crate) struct BadParams(pub(crate) &'static str);

impl Fields {
    /// Reads the query of `uri`.
    pub(crate) fn of_query(uri: &Uri) -> Result<Fields, BadParams> {
        match Query::<Fields>::try_from_uri(uri) {
            Ok(Query(fields)) => Ok(fields),
            Err(_) => Err(BadParams("the query is malformed")),
        }
    }

    /// Reads the body of `request`, a form or a JSON object; an empty one has no fields.
    pub(crate) async fn of_body(request: Request) -> Result<Fields, BadParams> {
        let (parts, body) = request.into_parts();
        let bytes = to_bytes(body, MAX_BODY)
            .await
            .map_err(|_| BadParams("the body is too long"))?;
        if bytes.is_empty() {
            return Ok(Fields::default());
        }
        if is_form(&parts.headers) {
            let form =
                Form::<Fields>::from_request(Request::from_parts(parts, Body::from(bytes)), &())
                    .await;
            return form
                .map(|Form(fields)| fields)
                .map_err(|_| BadParams("the form is malformed"));
        }
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|_| BadParams("the body is neither a form nor JSON"))?;
        Ok(Fields {
            ttl: text(&json, "ttl"),
            user: text(&json, "user"),
            username: text(&json, "username"),
            ..Fields::default()
        })
    }

    /// The lifetime asked for, in seconds.
    pub(crate) fn ttl(&self) -> Result<Option<u64>, BadParams> {
        match self.ttl.as_deref() {
            None | Some("") => Ok(None),
            Some(digits) => digits
                .parse()
                .map(Some)
                .map_err(|_| BadParams("ttl must be a number of seconds")),
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    kind.to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded")
}

/// Numbers come as numbers or as text, depending on the client. Anything else is kept as its text, so that `ttl: {}` is an error.
fn text(json: &Value, field: &str) -> Option<String> {
    match json.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    }
}
