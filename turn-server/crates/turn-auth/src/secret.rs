//! A value that must not end up in a log.

/// Holds a secret; it has neither `Debug` nor `Display`, and is seen only where [`Secret::expose`] is written.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Takes a value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Shows the value.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_seen_where_it_is_exposed() {
        assert_eq!(Secret::from("north").expose(), &"north");
    }
}
