//! Who was let in. A code is good once and for a short while; it is in an address, and so may be seen.
//! What it is given for is a token, which is in no address: the page has it and sends it with each
//! request. It is no cookie, since those go to every port of this machine, also to one that somebody
//! else listens on.

use std::collections::VecDeque;

use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::edge::hex;

/// So many pages may have been let in. The first is let out for one more.
const PAGES_MAX: usize = 32;

/// So many refusals are written down in a minute.
const WRITTEN_MAX: u32 = 8;

/// A code that was given, the tokens that are good, and what was written down.
#[derive(Default)]
pub(crate) struct Access {
    code: Option<(Secret, Instant)>,
    tokens: VecDeque<Secret>,
    written: (u64, u32),
}

/// 256 random bits, of which only the hash is kept.
struct Secret(blake3::Hash);

impl Secret {
    fn random() -> Result<(Self, String), getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let text = hex(&bytes);
        Ok((Self(blake3::hash(text.as_bytes())), text))
    }

    fn is(&self, text: &str) -> bool {
        let hash = blake3::hash(text.as_bytes());
        bool::from(hash.as_bytes().ct_eq(self.0.as_bytes()))
    }
}

impl Access {
    /// A code, in the place of the one before.
    pub(crate) fn open(&mut self, until: Instant) -> Result<String, getrandom::Error> {
        let (code, text) = Secret::random()?;
        self.code = Some((code, until));
        Ok(text)
    }

    /// Whether there is no code, or none that is good any more.
    pub(crate) fn is_shut(&self) -> bool {
        self.code.as_ref().is_none_or(|(_, until)| *until <= Instant::now())
    }

    /// A token, for a code that is good. It is not, any more.
    pub(crate) fn enter(
        &mut self,
        code: &str,
        now: Instant,
    ) -> Option<Result<String, getrandom::Error>> {
        self.code.take_if(|(it, until)| it.is(code) && now < *until)?;
        let secret = Secret::random();
        Some(secret.map(|(token, text)| {
            if self.tokens.len() >= PAGES_MAX {
                self.tokens.pop_front();
            }
            self.tokens.push_back(token);
            text
        }))
    }

    /// Whether this header has a token that is good.
    pub(crate) fn is_in(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|it| it.strip_prefix("Bearer "));
        // Each is compared, so that the time says nothing of which it was.
        token.is_some_and(|token| self.tokens.iter().fold(false, |any, it| any | it.is(token)))
    }

    /// Whether one more refusal of this minute is to be written down.
    pub(crate) fn is_written(&mut self, minute: u64) -> bool {
        if self.written.0 != minute {
            self.written = (minute, 0);
        }
        self.written.1 = self.written.1.saturating_add(1);
        self.written.1 <= WRITTEN_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_code_is_good_once_and_for_a_while() {
        let (mut access, now) = (Access::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert!(access.enter("", now).is_none(), "there is none");
        let code = access.open(now + second).unwrap();
        assert!(access.enter("another", now).is_none());
        assert!(access.enter(&code, now + second).is_none(), "too late");
        let token = access.enter(&code, now).unwrap().unwrap();
        assert!(access.enter(&code, now).is_none(), "it was used");
        assert!(access.is_in(Some(&format!("Bearer {token}"))));
        for wrong in [None, Some(""), Some("Bearer "), Some(token.as_str())] {
            assert!(!access.is_in(wrong), "{wrong:?}");
        }
        assert!(!access.is_in(Some(&format!("Bearer {code}"))), "a code is no token");
        let first = access.open(now + second).unwrap();
        let code = access.open(now + second).unwrap();
        assert!(access.enter(&first, now).is_none(), "there is another by now");
        assert!(access.enter(&code, now).is_some());
    }
}
