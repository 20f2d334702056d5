//! The web pages, carried in the binary.
//!
//! In: which path is which file, caching, and what browsers are told not to do. Not in: their content (`web/`).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

struct File {
    path: &'static str,
    media_type: &'static str,
    tag: &'static str,
    content: &'static [u8],
}

/// Sorted by path.
const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/web.rs"));

/// Everything from here, sockets besides; nothing inline, nothing framed.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self'; media-src 'self' blob: mediastream:; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Pages ask for revalidation each time: a new server must not meet an old page. `no-referrer`, because keys stand in
/// the addresses of pages.
const FIELDS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-cache"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
    ),
];

/// Answers with a file of `web/`.
pub(crate) fn serve(path: &str, request: &HeaderMap) -> Response {
    let Ok(index) = FILES.binary_search_by(|file| file.path.cmp(path)) else {
        return (StatusCode::NOT_FOUND, "There is no such page.\n").into_response();
    };
    let file = &FILES[index];
    let mut response = if is_known(request, file.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.media_type)], file.content).into_response()
    };
    let fields = response.headers_mut();
    fields.insert(header::ETAG, HeaderValue::from_static(file.tag));
    for (name, value) in FIELDS {
        fields.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Says whether the browser has this version (RFC 9110 §13.1.2).
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let fields = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    fields
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(response: &Response, name: HeaderName) -> &str {
        response.headers()[name].to_str().unwrap()
    }

    #[test]
    fn all_files_can_be_found() {
        assert!(FILES.is_sorted_by(|one, next| one.path < next.path));
        for file in FILES {
            assert_eq!(
                serve(file.path, &HeaderMap::new()).status(),
                StatusCode::OK,
                "{}",
                file.path
            );
        }
    }

    #[test]
    fn a_page_is_of_its_type_and_forbids_what_it_does_not_need() {
        let page = serve("index.html", &HeaderMap::new());
        assert_eq!(
            field(&page, header::CONTENT_TYPE),
            "text/html; charset=utf-8"
        );
        assert_eq!(field(&page, header::CACHE_CONTROL), "no-cache");
        assert_eq!(field(&page, header::REFERRER_POLICY), "no-referrer");
        let policy = field(&page, header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.starts_with("default-src 'self';") && !policy.contains("unsafe"),
            "{policy}"
        );
        let script = FILES
            .iter()
            .find(|file| file.path.ends_with(".js"))
            .unwrap();
        assert_eq!(
            field(&serve(script.path, &HeaderMap::new()), header::CONTENT_TYPE),
            "text/javascript; charset=utf-8"
        );
    }

    #[test]
    fn a_version_that_the_browser_has_is_not_sent_again() {
        let tag = field(&serve("index.html", &HeaderMap::new()), header::ETAG).to_owned();
        for (known, status) in [
            (tag.clone(), StatusCode::NOT_MODIFIED),
            (format!("\"x\", W/{tag}"), StatusCode::NOT_MODIFIED),
            ("\"x\"".to_owned(), StatusCode::OK),
        ] {
            let request = HeaderMap::from_iter([(header::IF_NONE_MATCH, known.parse().unwrap())]);
            assert_eq!(serve("index.html", &request).status(), status, "{known}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "",
            "nothing.html",
            "../Cargo.toml",
            "js/../index.html",
            "js",
        ] {
            assert_eq!(
                serve(path, &HeaderMap::new()).status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }

    #[test]
    fn pages_need_nothing_that_their_policy_forbids() {
        for file in FILES.iter().filter(|file| file.path.ends_with(".html")) {
            let text = std::str::from_utf8(file.content).unwrap();
            for forbidden in [
                "<style",
                " style=",
                " onclick=",
                " onload=",
                "javascript:",
                "https://",
                "http://",
            ] {
                assert!(
                    !text.contains(forbidden),
                    "{} contains {forbidden}",
                    file.path
                );
            }
            let inline = text
                .split("<script")
                .skip(1)
                .any(|script| !script.split('>').next().unwrap_or("").contains("src="));
            assert!(!inline, "{} has an inline script", file.path);
        }
    }
}
