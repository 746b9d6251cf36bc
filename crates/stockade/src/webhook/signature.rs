//! Signatures as Standard Webhooks has them, for both directions: HMAC-SHA256 over the name, the time
//! and the bytes of what is said.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How old what is said may be, or how much later than now: a clock may be wrong by a little, and what
/// was recorded on the way is not good for long.
pub const FRESH_S: u64 = 300;

/// The bytes of a secret.
const SECRET_BYTES_MIN: usize = 24;

/// So many signatures may be given of one thing: for a secret that is being replaced by another.
const SIGNATURES_MAX: usize = 8;

/// What a secret in Base64 begins with.
const PREFIX: &str = "whsec_";

/// What a signature begins with that is made this way.
const VERSION: &str = "v1,";

/// A secret that both sides have.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It could be guessed.
    #[error("it has fewer than {SECRET_BYTES_MIN} bytes")]
    Short,
    /// What is behind `whsec_` is no Base64.
    #[error("what is behind `{PREFIX}` is no Base64")]
    NotBase64,
}

/// Why what is said is not taken for what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrue {
    /// Too old, or of later.
    #[error("its time is not within {FRESH_S} s of now")]
    Stale,
    /// No signature of it is made with the secret.
    #[error("its signature is not made with the secret")]
    Forged,
}

impl Key {
    /// A secret: `whsec_` and Base64, or any other text as it is.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = match text.strip_prefix(PREFIX) {
            Some(it) => STANDARD.decode(it).map_err(|_| KeyError::NotBase64)?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(KeyError::Short);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The signature of what is said under this name at this time.
    pub fn sign(&self, name: &str, at_s: u64, body: &[u8]) -> String {
        let tag = hmac::sign(&self.0, &signed(name, at_s, body));
        format!("{VERSION}{}", STANDARD.encode(tag))
    }

    /// Whether it was said by somebody who has the secret, and just now. `signatures` is what stands in
    /// the header: one, or several with spaces between them.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        name: &str,
        at_s: u64,
        body: &[u8],
        signatures: &str,
        now_s: u64,
    ) -> Result<(), Untrue> {
        let signed = signed(name, at_s, body);
        let given = signatures.split(' ').filter_map(|it| it.strip_prefix(VERSION));
        let is_true = given.take(SIGNATURES_MAX).filter_map(|it| STANDARD.decode(it).ok()).any(
            // In a time that says nothing about the right one.
            |it| hmac::verify(&self.0, &signed, &it).is_ok(),
        );
        if !is_true {
            return Err(Untrue::Forged);
        }
        if at_s.abs_diff(now_s) > FRESH_S {
            return Err(Untrue::Stale);
        }
        Ok(())
    }
}

fn signed(name: &str, at_s: u64, body: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b".", at_s.to_string().as_bytes(), b".", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT_S: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key() -> Key {
        Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    #[test]
    fn it_signs_as_the_examples_of_the_standard_do() {
        assert_eq!(key().sign(NAME, AT_S, BODY), SIGNATURE);
        let two = format!("v1,AAAA v1a,AAAA {SIGNATURE}");
        assert_eq!(key().verify(NAME, AT_S, BODY, &two, AT_S + 299), Ok(()));
    }

    #[test]
    fn what_is_not_signed_so_is_not_true() {
        let verify = |name, at_s, body, signature: &str| {
            key().verify(name, at_s, body, signature, AT_S).unwrap_err()
        };
        let other = Key::parse("another secret of somebody else").unwrap();
        let others = other.sign(NAME, AT_S, BODY);
        for untrue in [
            verify("msg_other", AT_S, BODY, SIGNATURE),
            verify(NAME, AT_S + 1, BODY, SIGNATURE),
            verify(NAME, AT_S, b"{}", SIGNATURE),
            verify(NAME, AT_S, BODY, &SIGNATURE.replace("v1", "v2")),
            verify(NAME, AT_S, BODY, &SIGNATURE.replace("g0", "g1")),
            verify(NAME, AT_S, BODY, ""),
            verify(NAME, AT_S, BODY, "v1,"),
            verify(NAME, AT_S, BODY, &others),
        ] {
            assert_eq!(untrue, Untrue::Forged);
        }
    }

    #[test]
    fn what_is_old_or_of_later_is_not_taken() {
        let at = |now_s| key().verify(NAME, AT_S, BODY, SIGNATURE, now_s);
        assert_eq!((at(AT_S + 300), at(AT_S - 300)), (Ok(()), Ok(())));
        assert_eq!(at(AT_S + 301), Err(Untrue::Stale));
        assert_eq!(at(AT_S - 301), Err(Untrue::Stale));
    }

    #[test]
    fn what_could_be_guessed_is_no_secret() {
        assert_eq!(Key::parse("whsec_c2hvcnQ=").unwrap_err(), KeyError::Short);
        assert_eq!(Key::parse("whsec_?").unwrap_err(), KeyError::NotBase64);
        assert_eq!(Key::parse("too short").unwrap_err(), KeyError::Short);
        assert!(Key::parse("this one is long enough to be one").is_ok());
    }
}
