//! Signatures: the key of a ledger, and the signed checkpoints of its segments. A signed line is a
//! JSON object whose last name is `sig`, over the exact bytes of the object without it.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use blake3::Hash;
use serde::{Deserialize, Serialize};

use crate::chain::{self, End};
use crate::error::Error;
use crate::files::{self, Dir, Name};

const SIG_OPENS: &[u8] = br#","sig":""#;
const SIG_CLOSES: &[u8] = br#""}"#;
const SIG_DIGITS: usize = 128;

/// What signs. Made on first use; whoever can read the file can rewrite the ledger.
#[derive(Debug)]
pub(crate) struct Key(Ed25519KeyPair);

/// What verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey([u8; 32]);

/// A statement that a segment had, at a time, this record last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    pub(crate) segment: String,
    pub(crate) seq: u64,
    pub(crate) head: String,
    pub(crate) at: String,
}

impl Key {
    /// The key of a ledger. A ledger that already has a manifest must have its key: a new one would
    /// disown all that was signed.
    pub(crate) fn load_or_make(dir: &Dir, is_new: bool) -> Result<Self, Error> {
        let path = dir.key();
        if is_new && !path.exists() && !dir.public_key().exists() {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(Error::Random)?;
            files::replace(&path, format!("{}\n", hex(&seed)).as_bytes(), true)?;
        }
        let key = Self::load(dir)?;
        match PublicKey::load(dir)? {
            Some(public) if public == key.public() => {}
            Some(_) => return Err(Error::Key { path }),
            None => files::replace(&dir.public_key(), key.public().line().as_bytes(), true)?,
        }
        Ok(key)
    }

    /// The key, if it is there and nobody else may read it.
    pub(crate) fn load(dir: &Dir) -> Result<Self, Error> {
        let path = dir.key();
        let file = files::open(&path, files::options().read(true))?;
        let meta = file.metadata();
        let meta = meta.map_err(|source| files::read_failed(&path, source))?;
        files::private(&path, &meta)?;
        let mut digits = String::new();
        let read = file.take(65).read_to_string(&mut digits).ok();
        let seed: Option<[u8; 32]> = read.and_then(|_| unhex(digits.trim_end()));
        seed.and_then(|it| Ed25519KeyPair::from_seed_unchecked(&it).ok())
            .map(Self)
            .ok_or(Error::Key { path })
    }

    /// What says that whoever has this key has said `text`, as `what`. No line of the ledger begins like
    /// what is signed here.
    fn vouch(&self, what: &str, text: &[u8]) -> String {
        hex(self.0.sign(&[b"stockade ", what.as_bytes(), b"\n", text].concat()).as_ref())
    }

    pub(crate) fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// An object with its signature.
    pub(crate) fn sign(&self, object: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(object);
        let mut line = object.strip_suffix(b"}").unwrap_or(object).to_vec();
        line.extend_from_slice(SIG_OPENS);
        line.extend_from_slice(hex(signature.as_ref()).as_bytes());
        line.extend_from_slice(SIG_CLOSES);
        line
    }
}

/// What says, beside a text that is kept outside of a ledger, that whoever has the key of that ledger
/// has written it: a signature, which is the same each time (RFC 8032).
pub fn vouch(ledger: impl AsRef<Path>, what: &str, text: &[u8]) -> Result<String, Error> {
    Ok(Key::load(&Dir::existing(ledger.as_ref())?)?.vouch(what, text))
}

impl PublicKey {
    pub(crate) fn load(dir: &Dir) -> Result<Option<Self>, Error> {
        let path = dir.public_key();
        let Some(text) = files::read(&path)? else {
            return Ok(None);
        };
        let bytes = unhex(text.trim_end()).ok_or(Error::Key { path })?;
        Ok(Some(Self(bytes)))
    }

    /// The object of a signed line, if this key signed it.
    pub(crate) fn unsign(&self, line: &[u8]) -> Option<Vec<u8>> {
        let tail = SIG_OPENS.len() + SIG_DIGITS + SIG_CLOSES.len();
        let (object, tail) = line.split_at_checked(line.len().checked_sub(tail)?)?;
        let digits = tail.strip_prefix(SIG_OPENS)?.strip_suffix(SIG_CLOSES)?;
        let signature: [u8; 64] = unhex(std::str::from_utf8(digits).ok()?)?;
        let object = [object, b"}"].concat();
        UnparsedPublicKey::new(&ED25519, &self.0).verify(&object, &signature).ok()?;
        Some(object)
    }

    pub(crate) fn hex(&self) -> String {
        hex(&self.0)
    }

    fn line(&self) -> String {
        format!("{}\n", self.hex())
    }
}

impl Checkpoint {
    /// Of the last record before this end.
    pub(crate) fn before(end: &End, segment: &Name, at: String) -> Self {
        Self {
            segment: segment.as_str().to_owned(),
            seq: end.seq.saturating_sub(1),
            head: end.prev.to_string(),
            at,
        }
    }

    /// As it is stored: one signed line.
    pub(crate) fn seal(&self, key: &Key) -> Vec<u8> {
        // A struct of text and numbers always serialises.
        let object = serde_json::to_vec(self).unwrap_or_default();
        let mut line = key.sign(&object);
        line.push(b'\n');
        line
    }

    /// The checkpoint of a head file, if it was signed for this segment.
    pub(crate) fn open(text: &str, segment: &Name, key: &PublicKey) -> Option<Self> {
        let object = key.unsign(text.strip_suffix('\n')?.as_bytes())?;
        let checkpoint: Self = serde_json::from_slice(&object).ok()?;
        (checkpoint.segment == segment.as_str()).then_some(checkpoint)
    }

    pub(crate) fn head(&self) -> Option<Hash> {
        chain::hash(self.head.as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _infallible = write!(digits, "{byte:02x}");
    }
    digits
}

/// Exactly these bytes, from lower-case digits.
fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let pairs = digits.as_bytes().chunks(2);
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (hex(&bytes) == digits).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> Key {
        Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    #[test]
    fn only_the_key_that_signed_opens_a_line() {
        let line = key(1).sign(br#"{"a":1}"#);
        let public = key(1).public();
        assert_eq!(public.unsign(&line).as_deref(), Some(&br#"{"a":1}"#[..]));
        assert_eq!(key(2).public().unsign(&line), None);
        for at in 0..line.len() {
            let mut changed = line.clone();
            changed[at] ^= 0x20;
            assert_eq!(public.unsign(&changed), None, "byte {at}");
        }
    }

    #[test]
    fn a_checkpoint_is_for_one_segment() {
        let [here, there] = ["a", "b"].map(|it| Name::parse(it).unwrap());
        let mut end = End::after(chain::GENESIS);
        end.seq = 8;
        let checkpoint = Checkpoint::before(&end, &here, String::new());
        let sealed = String::from_utf8(checkpoint.seal(&key(1))).unwrap();
        let public = key(1).public();
        assert_eq!(checkpoint.seq, 7);
        assert_eq!(checkpoint.head(), Some(chain::GENESIS));
        assert_eq!(Checkpoint::open(&sealed, &here, &public), Some(checkpoint));
        assert_eq!(Checkpoint::open(&sealed, &there, &public), None);
    }

    #[test]
    fn digits_have_one_spelling() {
        assert_eq!(unhex("00ff"), Some([0, 255]));
        for digits in ["", "00", "00f", "00FF", "00ff00", "+0ff", "zzzz"] {
            assert_eq!(unhex::<2>(digits), None, "{digits}");
        }
    }
}
