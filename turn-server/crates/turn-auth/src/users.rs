//! The static users, found so that the time it takes does not tell whether there is one of that name.
//!
//! A user is looked for by USERHASH, which is as long for every name, in as many steps for every hash; and there is always one
//! found, the nearest, whose key is tried in place of the keys of a user that does not exist. What is left to tell them apart
//! is a comparison in constant time.

use std::sync::OnceLock;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::credentials::User;
use crate::long_term::{KeyAlgorithm, LongTermKey, userhash};

/// The users of one realm.
pub(crate) struct Users {
    realm: String,
    entries: Vec<Entry>,
    /// Made when somebody is looked for.
    index: OnceLock<Index>,
    /// What is found where there is nobody.
    nobody: Entry,
}

/// What is known of all users together.
struct Index {
    /// Where the entries are, by the first half of their hash.
    order: Vec<(u128, usize)>,
    all_have_sha256: bool,
}

struct Entry {
    name: String,
    hash: [u8; 32],
    keys: Keys,
}

/// The keys of one static user.
pub(crate) struct Keys {
    md5: Option<LongTermKey>,
    /// Absent where only an MD5 key was given: no other key can be made from it.
    sha256: Option<LongTermKey>,
}

/// The user nearest to the one that was looked for.
pub(crate) struct Nearest<'a> {
    /// The name of this one.
    pub(crate) name: &'a str,
    /// The key to try.
    pub(crate) key: Option<&'a LongTermKey>,
    /// Whether it is the one. Only to be asked when the key has been tried.
    pub(crate) is_meant: bool,
}

impl Users {
    /// Nobody, in a realm.
    pub(crate) fn new(realm: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            entries: Vec::new(),
            index: OnceLock::new(),
            nobody: Entry {
                name: String::new(),
                hash: [0; 32],
                keys: Keys::derive("", realm, ""),
            },
        }
    }

    /// Adds a user; the last of several of one name counts.
    pub(crate) fn insert(&mut self, name: &str, keys: Keys) {
        self.entries.push(Entry {
            name: name.to_owned(),
            hash: userhash(name, &self.realm),
            keys,
        });
        self.index = OnceLock::new();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Tells whether every user has a key by SHA-256.
    pub(crate) fn all_have_sha256(&self) -> bool {
        self.index().all_have_sha256
    }

    /// Finds the user that a request names, or another one.
    pub(crate) fn nearest(&self, user: User<'_>, algorithm: KeyAlgorithm) -> Nearest<'_> {
        let hash = match user {
            User::Name(name) => userhash(name, &self.realm),
            User::Hash(hash) => *hash,
        };
        let (order, wanted) = (&self.index().order, front_of(&hash));
        // The last that is not above, among `size` from `base` on: how many steps that takes, and which, depends on the number
        // of users alone.
        let (mut base, mut size) = (0_u64, order.len());
        while size > 1 {
            let half = size / 2;
            let middle = base + half as u64;
            let at = order.get(middle as usize).map_or(u128::MAX, |(at, _)| *at);
            let is_not_above = Choice::from(u8::from(at <= wanted));
            base.conditional_assign(&middle, is_not_above);
            size -= half;
        }
        let base = base as usize;
        let place = order.get(base).map(|(_, place)| *place);
        let entry = place.and_then(|place| self.entries.get(place));
        let entry = entry.unwrap_or(&self.nobody);
        Nearest {
            name: &entry.name,
            key: entry
                .keys
                .by(algorithm)
                .or_else(|| self.nobody.keys.by(algorithm)),
            is_meant: place.is_some()
                & bool::from(entry.hash.ct_eq(&hash))
                & entry.keys.by(algorithm).is_some(),
        }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let all = self.entries.iter().enumerate();
            // Later ones first, of which the first is kept.
            let mut order: Vec<_> = all
                .rev()
                .map(|(place, entry)| (front_of(&entry.hash), place))
                .collect();
            order.sort_by_key(|(front, _)| *front);
            order.dedup_by_key(|(front, _)| *front);
            let mut counting = order
                .iter()
                .filter_map(|(_, place)| self.entries.get(*place));
            let all_have_sha256 = counting.all(|entry| entry.keys.sha256.is_some());
            Index {
                order,
                all_have_sha256,
            }
        })
    }
}

impl Keys {
    pub(crate) fn derive(name: &str, realm: &str, password: &str) -> Self {
        let by = |algorithm| LongTermKey::derive_by(algorithm, name, realm, password);
        Self {
            md5: Some(by(KeyAlgorithm::Md5)),
            sha256: Some(by(KeyAlgorithm::Sha256)),
        }
    }

    fn by(&self, algorithm: KeyAlgorithm) -> Option<&LongTermKey> {
        match algorithm {
            KeyAlgorithm::Md5 => self.md5.as_ref(),
            KeyAlgorithm::Sha256 => self.sha256.as_ref(),
        }
    }
}

impl From<LongTermKey> for Keys {
    fn from(key: LongTermKey) -> Self {
        match key.algorithm() {
            KeyAlgorithm::Md5 => Self {
                md5: Some(key),
                sha256: None,
            },
            KeyAlgorithm::Sha256 => Self {
                md5: None,
                sha256: Some(key),
            },
        }
    }
}

/// The first half of a hash, which no two users share.
fn front_of(hash: &[u8; 32]) -> u128 {
    hash.iter()
        .take(16)
        .fold(0, |front, byte| front << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::{KeyAlgorithm, Keys, LongTermKey, User, Users, userhash};

    fn users(count: u32) -> Users {
        let mut users = Users::new("r");
        for number in 0..count {
            let name = number.to_string();
            users.insert(&name, Keys::derive(&name, "r", "p"));
        }
        users
    }

    #[test]
    fn every_user_is_found_by_name_and_by_hash_and_nobody_else_is() {
        for count in [0, 1, 2, 3, 7, 8, 9, 100] {
            let users = users(count);
            for number in 0..count + 20 {
                let name = number.to_string();
                let hash = userhash(&name, "r");
                for user in [User::Name(&name), User::Hash(&hash)] {
                    let found = users.nearest(user, KeyAlgorithm::Md5);
                    assert_eq!(found.is_meant, number < count, "{number} of {count}");
                    assert!(found.key.is_some());
                    assert!(!found.is_meant || found.name == name);
                }
            }
        }
    }

    #[test]
    fn the_last_of_one_name_counts() {
        let mut users = users(5);
        let key = LongTermKey::from_bytes([7; 16]);
        users.insert("3", Keys::from(key));
        let found = users.nearest(User::Name("3"), KeyAlgorithm::Md5);
        assert!(found.is_meant && found.key.unwrap().as_bytes() == [7; 16]);
        assert!(!users.all_have_sha256());
        users.insert("3", Keys::derive("3", "r", "p"));
        assert!(users.all_have_sha256());
    }

    #[test]
    fn a_user_without_a_key_of_that_kind_is_not_meant_and_costs_a_try() {
        let mut users = Users::new("r");
        users.insert("a", Keys::from(LongTermKey::from_bytes([7; 16])));
        let found = users.nearest(User::Name("a"), KeyAlgorithm::Sha256);
        assert!(!found.is_meant && found.key.is_some());
    }

    #[test]
    fn nobody_is_meant_by_a_hash_of_zeroes() {
        let found = users(0);
        let found = found.nearest(User::Hash(&[0; 32]), KeyAlgorithm::Md5);
        assert!(!found.is_meant && found.key.is_some());
    }
}
