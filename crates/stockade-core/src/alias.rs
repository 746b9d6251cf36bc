//! What the secrets of a conversation are called once they are taken out.
//!
//! A model that is shown two tokens has to be able to tell that they are two, and that the one it
//! sees now is the one it saw before. So each is numbered, in the conversation that it came up in
//! and nowhere else: a number that all conversations shared would tell one client what another has
//! seen.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// So many secrets are told apart. A server could make up as many as it likes.
const KNOWN_MAX: usize = 4096;

/// The numbers of the secrets in one conversation. It keeps none of them, but a hash under a key
/// that was never anywhere else.
#[derive(Debug, Default)]
pub struct Aliases {
    key: RandomState,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<(&'static str, u64), usize>,
    counts: HashMap<&'static str, usize>,
}

impl Aliases {
    /// The number of a secret among those of its kind, from one on; nothing, of one too many.
    pub(crate) fn number(&self, kind: &'static str, secret: &[u8]) -> Option<usize> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, self.key.hash_one(secret));
        if let Some(number) = known.numbers.get(&key) {
            return Some(*number);
        }
        if known.numbers.len() >= KNOWN_MAX {
            return None;
        }
        let count = known.counts.entry(kind).or_default();
        *count += 1;
        let number = *count;
        known.numbers.insert(key, number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_keeps_its_number() {
        let aliases = Aliases::default();
        assert_eq!(aliases.number("a", b"x"), Some(1));
        assert_eq!(aliases.number("a", b"y"), Some(2));
        assert_eq!(aliases.number("b", b"y"), Some(1));
        assert_eq!(aliases.number("a", b"x"), Some(1));
        let many = (0..2 * KNOWN_MAX).filter_map(|it| aliases.number("c", &it.to_le_bytes()));
        assert_eq!(many.count(), KNOWN_MAX - 3);
        assert_eq!(aliases.number("a", b"y"), Some(2));
    }
}
