//! Answers that were judged already, byte for byte.
//!
//! A server's list of tools is large, rarely changes, and is asked for by every client. What was
//! judged clean once, under the same policy, need not be read again: the bytes are compared, all of
//! them but the id that the client chose. Only answers that passed unchanged and without a finding
//! are kept, so what is found here may go on as it is.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::Id;
use crate::policy::Policy;
use crate::revision::Revision;

/// Shorter answers are judged faster than they are looked up.
const BYTES_MIN: usize = 4 << 10;
/// Longer ones are not worth the memory.
const BYTES_MAX: usize = 1 << 20;
/// So many are kept.
const ENTRIES_MAX: usize = 8;

/// The answers that were judged, for all conversations with one server.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    policy: Option<Arc<Policy>>,
    answers: Vec<Arc<Answer>>,
}

#[derive(Debug)]
struct Answer {
    method: Box<str>,
    revision: Revision,
    head: Bytes,
    tail: Bytes,
}

impl Seen {
    /// The id of the request that `bytes` answer, and that request's method and revision, when the
    /// rest of them was judged under `policy`.
    pub(crate) fn find(
        &self,
        bytes: &Bytes,
        policy: &Arc<Policy>,
    ) -> Option<(Id, Box<str>, Revision)> {
        if !(BYTES_MIN..=BYTES_MAX).contains(&bytes.len()) {
            return None;
        }
        let answers = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.policy.as_ref().filter(|it| Arc::ptr_eq(it, policy))?;
            kept.answers.clone()
        };
        answers.iter().find_map(|it| Some((it.id(bytes)?, it.method.clone(), it.revision)))
    }

    /// Forgets every answer.
    pub(crate) fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).answers.clear();
    }

    /// Keeps an answer that passed unchanged.
    pub(crate) fn keep(
        &self,
        bytes: &Bytes,
        method: &str,
        revision: Revision,
        policy: &Arc<Policy>,
    ) {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow)]
            id: &'a RawValue,
        }
        if !method.ends_with("/list") || !(BYTES_MIN..=BYTES_MAX).contains(&bytes.len()) {
            return;
        }
        let Ok(Head { id }) = serde_json::from_slice(bytes) else { return };
        let id = bytes.slice_ref(id.get().as_bytes());
        let start = (id.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
        let answer = Arc::new(Answer {
            method: method.into(),
            revision,
            head: bytes.slice(..start),
            tail: bytes.slice(start + id.len()..),
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.policy.as_ref().is_some_and(|it| Arc::ptr_eq(it, policy)) {
            *kept = Kept { policy: Some(Arc::clone(policy)), answers: Vec::new() };
        }
        if kept.answers.len() >= ENTRIES_MAX {
            kept.answers.remove(0);
        }
        kept.answers.push(answer);
    }
}

impl Answer {
    /// The id in `bytes`, when all else is the same.
    fn id(&self, bytes: &Bytes) -> Option<Id> {
        let rest = bytes.strip_prefix(&self.head[..])?;
        let id = rest.strip_suffix(&self.tail[..])?;
        // An id and nothing but an id: a string without escapes, or an integer.
        match id {
            [b'"', text @ .., b'"']
                if !text.iter().any(|it| b"\"\\".contains(it) || *it < b' ') =>
            {
                Some(Id::Text(std::str::from_utf8(text).ok()?.to_owned()))
            }
            _ => {
                let digits = std::str::from_utf8(id).ok()?;
                let number: i64 = digits.parse().ok()?;
                (number.to_string() == digits).then_some(Id::Number(number))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_id_may_differ() {
        let seen = Seen::default();
        let policy = Arc::new(Policy::default());
        let filler = "x".repeat(BYTES_MIN);
        let list = |id: &str, name: &str| {
            Bytes::from(format!(
                r#"{{"result":{{"tools":[{{"name":"{name}{filler}"}}]}},"jsonrpc":"2.0","id":{id}}}"#
            ))
        };
        seen.keep(&list("1", "a"), "tools/list", Revision::V2025_11_25, &policy);
        let find = |id: &str, name: &str| seen.find(&list(id, name), &policy).map(|it| it.0);
        assert_eq!(find("7", "a"), Some(Id::Number(7)));
        assert_eq!(find("\"é\"", "a"), Some(Id::Text("é".to_owned())));
        assert_eq!(find("1", "b"), None);
        for bad in
            ["1,\"id\":2", "1.0", "+1", "01", "\"\\u0031\"", "\"a\",\"id\":\"b\"", "null", ""]
        {
            assert_eq!(find(bad, "a"), None, "{bad}");
        }
        let other = Arc::new(Policy::default());
        assert!(seen.find(&list("7", "a"), &other).is_none(), "another policy judges anew");
    }
}
