//! The trace that a request belongs to, as [W3C Trace Context][w3c] writes it: `traceparent`.
//!
//! [w3c]: https://www.w3.org/TR/trace-context/#traceparent-header

use std::fmt;

/// Whose part of which trace something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace. It is not zero.
    pub trace: u128,
    /// The span that it is a part of. It is not zero.
    pub span: u64,
    /// Whether whoever began the trace keeps it.
    pub sampled: bool,
}

impl Parent {
    /// Reads a `traceparent`. What is none is ignored, as the standard has it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |length| {
            let digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
            parts.next().filter(|it| it.len() == length && it.bytes().all(digit))
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // There is no version 255, and only a later one than this may have more behind it.
        if version == "ff" || version == "00" && parts.next().is_some() {
            return None;
        }
        let (trace, span) =
            (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
        let flags = u8::from_str_radix(flags, 16).ok()?;
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// The place of what a guard does with the exchange `call` in that trace. It is worked out and not
    /// remembered, since two ask for it: who sends the request on, and who tells of it.
    #[must_use]
    pub fn of_call(self, call: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.trace.to_be_bytes()).update(&self.span.to_be_bytes());
        hasher.update(call.as_bytes());
        let bytes: [u8; 8] = hasher.finalize().as_bytes().first_chunk().copied().unwrap_or([1; 8]);
        Self { span: u64::from_be_bytes(bytes).max(1), ..self }
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_written() {
        let parent = Parent::parse(RIGHT).unwrap();
        assert_eq!(parent.to_string(), RIGHT);
        assert!(parent.sampled);
        // Of a later version as much is read as this one knows.
        let later = format!("cc{}-what-comes", RIGHT.strip_prefix("00").unwrap());
        assert_eq!(Parent::parse(&later), Some(parent));
        let flags = RIGHT.replace("-01", "-fe");
        assert!(!Parent::parse(&flags).unwrap().sampled);
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let wrong = [
            String::new(),
            RIGHT.to_uppercase(),
            format!("{RIGHT}-x"),
            format!(" {RIGHT}"),
            RIGHT.replacen("00", "ff", 1),
            RIGHT.replace('-', "_"),
            RIGHT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            RIGHT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            RIGHT.replace("00f067aa0ba902b7", "+0f067aa0ba902b7"),
            RIGHT.replace("-01", "-1"),
            RIGHT.replace("-01", ""),
        ];
        wrong.iter().for_each(|it| assert_eq!(Parent::parse(it), None, "{it}"));
    }

    #[test]
    fn a_call_has_one_place_in_a_trace() {
        let parent = Parent::parse(RIGHT).unwrap();
        let one = parent.of_call("s1.1");
        assert_eq!((one.trace, one.sampled), (parent.trace, true));
        assert_eq!(one, parent.of_call("s1.1"));
        assert!(one.span != parent.span && one.span != parent.of_call("s1.2").span);
    }
}
