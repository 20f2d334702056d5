//! A word to those who speak HTTP to a port of TURN: that it is none, or where to go with a challenge of ACME.

use std::sync::Arc;

/// Methods that a request may begin with (RFC 9110 §9.3).
const METHODS: [&[u8]; 7] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
];

/// Where authorities look for a token (RFC 8555 §8.3).
const CHALLENGE: &[u8] = b"GET /.well-known/acme-challenge/";

/// A token is 128 bits at least, in base64url; nobody has one that is longer than this.
const TOKEN: usize = 128;

/// Which requests are answered; the others find their connection closed.
#[derive(Clone, Debug, Default)]
pub struct HttpAnswers {
    /// Whatever is asked, with status 400.
    pub unsupported: bool,
    /// Challenges of ACME, by a redirection to this URL and the token.
    pub acme_redirect: Option<Arc<str>>,
}

impl HttpAnswers {
    /// Answers what a connection has begun with, if it is a request that is answered.
    pub(crate) fn answer(&self, begun: &[u8]) -> Option<Vec<u8>> {
        if !METHODS.iter().any(|method| begun.starts_with(method)) {
            return None;
        }
        if let (Some(url), Some(token)) = (&self.acme_redirect, token(begun)) {
            let location = format!("Location: {url}{token}\r\n");
            return Some(response(
                "301 Moved Permanently",
                &location,
                "The token is elsewhere.\n",
            ));
        }
        let words = "This port speaks STUN and TURN, and no HTTP.\n";
        (self.unsupported).then(|| response("400 Bad Request", "", words))
    }
}

/// The token that is asked for. What is in it goes into the answer: letters, digits, hyphens and underscores alone.
fn token(begun: &[u8]) -> Option<&str> {
    let rest = begun.strip_prefix(CHALLENGE)?;
    let length = rest.iter().take(TOKEN + 1).position(|byte| *byte == b' ')?;
    let (token, behind) = rest.split_at_checked(length)?;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let whole = !token.is_empty() && token.iter().all(is_token) && behind.starts_with(b" HTTP/1.");
    std::str::from_utf8(token).ok().filter(|_| whole)
}

fn response(status: &str, more: &str, words: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{more}Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{words}",
        words.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::HttpAnswers;

    fn answer(answers: &HttpAnswers, request: &str) -> Option<String> {
        let answer = answers.answer(request.as_bytes())?;
        Some(String::from_utf8(answer).unwrap())
    }

    #[test]
    fn a_token_is_sent_elsewhere_and_nothing_else_is() {
        let answers = HttpAnswers {
            unsupported: false,
            acme_redirect: Some("http://acme.example.org/.well-known/acme-challenge/".into()),
        };
        let begin = "GET /.well-known/acme-challenge/";
        let told = answer(
            &answers,
            &format!("{begin}a-B_9 HTTP/1.1\r\nHost: x\r\n\r\n"),
        )
        .unwrap();
        assert!(told.starts_with("HTTP/1.1 301 "), "{told}");
        let location = "\r\nLocation: http://acme.example.org/.well-known/acme-challenge/a-B_9\r\n";
        assert!(told.contains(location), "{told}");
        for odd in [
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            format!("{begin} HTTP/1.1\r\n\r\n"),
            format!("{begin}a/b HTTP/1.1\r\n\r\n"),
            format!("{begin}a\r\nSet-Cookie: x HTTP/1.1\r\n\r\n"),
            format!("{begin}{} HTTP/1.1\r\n\r\n", "a".repeat(500)),
            format!("{begin}unfinished"),
        ] {
            assert_eq!(answer(&answers, &odd), None, "{odd}");
        }
    }

    #[test]
    fn others_are_told_that_it_is_no_http() {
        let silent = HttpAnswers::default();
        let polite = HttpAnswers {
            unsupported: true,
            acme_redirect: None,
        };
        for request in ["GET / HTTP/1.1\r\n\r\n", "POST /x HTTP/1.0\r\n"] {
            assert_eq!(answer(&silent, request), None);
            let told = answer(&polite, request).unwrap();
            let (head, words) = told.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
            assert!(
                head.contains(&format!("Content-Length: {}", words.len())),
                "{head}"
            );
        }
        assert_eq!(answer(&polite, "SSH-2.0-OpenSSH"), None);
    }
}
