//! A bearer key of a listener. Only its hash is kept.

use subtle::ConstantTimeEq;

use super::Principal;

/// A key that whoever dials must present.
#[derive(Debug)]
pub struct Key {
    principal: Principal,
    hash: blake3::Hash,
}

impl Key {
    /// A new key of 256 random bits, which belongs to `name`, and its text, which is nowhere else.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random(name: &str) -> Result<(Self, String), getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let text = format!("sk_stockade_{}", hex(&bytes));
        Ok((Self::named(name, &text), text))
    }

    /// The key `text`, which belongs to `name`.
    pub fn named(name: &str, text: &str) -> Self {
        Self { principal: Principal(name.into()), hash: blake3::hash(text.as_bytes()) }
    }

    /// Who presents this `Authorization` header, when it carries the key. Hashes are compared, in
    /// constant time, so the time it takes says nothing about the key.
    pub(super) fn check(&self, authorization: Option<&str>) -> Option<Principal> {
        let (scheme, text) = authorization?.split_once(' ')?;
        let hash = blake3::hash(text.as_bytes());
        let same = bool::from(hash.as_bytes().ct_eq(self.hash.as_bytes()));
        (same && scheme.eq_ignore_ascii_case("bearer")).then(|| self.principal.clone())
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
