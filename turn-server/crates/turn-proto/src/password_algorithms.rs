//! PASSWORD-ALGORITHMS: what challenges list, and what a request may make of it (RFC 8489 §9.2.4).

use turn_auth::KeyAlgorithm;
use turn_wire::PasswordAlgorithm;

/// The value that lists these algorithms, the best first.
pub(crate) fn listed(algorithms: &[KeyAlgorithm]) -> &'static [u8] {
    const MD5: [u8; 4] = PasswordAlgorithm::Md5.value();
    const BOTH: [u8; 8] = {
        let ([a, b, c, d], [e, f, g, h]) = (PasswordAlgorithm::Sha256.value(), MD5);
        [a, b, c, d, e, f, g, h]
    };
    if algorithms.contains(&KeyAlgorithm::Sha256) {
        &BOTH
    } else {
        &MD5
    }
}

/// The algorithm that a request has chosen; `None` if it must be refused.
///
/// `sent` is what the challenge listed; `listed` and `chosen` are what the request has.
pub(crate) fn chosen(
    listed: Option<&[u8]>,
    chosen: Option<&[u8]>,
    sent: &[u8],
) -> Option<KeyAlgorithm> {
    // A client that knows nothing of algorithms.
    if listed.is_none() && chosen.is_none() {
        return Some(KeyAlgorithm::Md5);
    }
    // (1) both are there, (2) the list is the one that was sent, (3) the choice is one of it.
    let (listed, chosen) = (listed?, chosen?);
    let (entries, []) = sent.as_chunks::<4>() else {
        return None;
    };
    if listed != sent || !entries.iter().any(|entry| entry == chosen) {
        return None;
    }
    match PasswordAlgorithm::from_value(chosen)? {
        PasswordAlgorithm::Md5 => Some(KeyAlgorithm::Md5),
        PasswordAlgorithm::Sha256 => Some(KeyAlgorithm::Sha256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[u8] = &[0, 2, 0, 0, 0, 1, 0, 0];

    #[test]
    fn lists_have_the_best_algorithm_first() {
        assert_eq!(listed(&[KeyAlgorithm::Sha256, KeyAlgorithm::Md5]), BOTH);
        assert_eq!(listed(&[KeyAlgorithm::Md5]), [0, 1, 0, 0]);
    }

    #[test]
    fn choices_are_taken_from_the_list_that_was_sent_and_from_no_other() {
        let (md5, sha256) = (&[0, 1, 0, 0][..], &[0, 2, 0, 0][..]);
        for (request, expected) in [
            ((None, None), Some(KeyAlgorithm::Md5)),
            ((Some(BOTH), Some(md5)), Some(KeyAlgorithm::Md5)),
            ((Some(BOTH), Some(sha256)), Some(KeyAlgorithm::Sha256)),
            ((Some(BOTH), None), None),
            ((None, Some(sha256)), None),
            ((Some(md5), Some(md5)), None),
            ((Some(&[0, 1, 0, 0, 0, 2, 0, 0][..]), Some(md5)), None),
            ((Some(BOTH), Some(&[0, 3, 0, 0][..])), None),
            ((Some(BOTH), Some(&[0, 1][..])), None),
            ((Some(BOTH), Some(&[][..])), None),
        ] {
            assert_eq!(chosen(request.0, request.1, BOTH), expected, "{request:?}");
        }
        // A challenge without a list leaves no choice.
        assert_eq!(chosen(Some(&[]), Some(&[]), &[]), None);
        assert_eq!(chosen(None, None, &[]), Some(KeyAlgorithm::Md5));
        assert_eq!(chosen(Some(md5), Some(sha256), md5), None);
    }
}
