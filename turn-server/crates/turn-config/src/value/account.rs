//! Static accounts: `NAME:PASSWORD` or `NAME:0xKEY`. No message shows what stands behind the colon.

use super::Fault;
use crate::diagnostics::quote;
use crate::secret::Secret;
use crate::settings::{Password, User};

pub(super) fn account(text: &str) -> Result<User, Fault> {
    const REMEDY: &str =
        "Write NAME:PASSWORD, or NAME:0x and the 32 hex digits that `turnadmin -k` prints.";
    if text.is_empty() {
        return Err(Fault::new("an account is missing", REMEDY));
    }
    let (name, password) = text
        .split_once(':')
        .ok_or_else(|| Fault::new("the account has no colon", REMEDY))?;
    let password = password.trim_start_matches([' ', '\t']);
    if name.is_empty() {
        return Err(Fault::new("the account has no name", REMEDY));
    }
    if password.is_empty() {
        return Err(Fault::new(
            format!("the account {} has no password", quote(name)),
            REMEDY,
        ));
    }
    super::text::refuse_placeholder(password)?;
    let password = match password.strip_prefix("0x") {
        None => Password::Plain(Secret::new(password.to_owned())),
        Some(digits) => Password::Key(Secret::new(key(digits).ok_or_else(|| {
            Fault::new(
                format!(
                    "the key of {} does not have 32 hex digits behind 0x",
                    quote(name)
                ),
                REMEDY,
            )
        })?)),
    };
    Ok(User {
        name: name.to_owned(),
        password,
    })
}

fn key(digits: &str) -> Option<[u8; 16]> {
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}
