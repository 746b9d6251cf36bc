//! Bounds on what a tool reads and what it says: a file, a program's output or a row may be larger
//! than a model, or a client's memory, can take.

use std::io::{self, Read};

use thiserror::Error;

/// Why something was not read to its end.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It is longer than allowed.
    #[error("longer than {bytes_max} bytes")]
    TooLong {
        /// What was allowed.
        bytes_max: usize,
    },
    /// It could not be read.
    #[error("cannot read")]
    Io(#[from] io::Error),
}

/// Reads to the end, or fails when that is further than `bytes_max`. Never reads more than one
/// byte past the bound, so a file that grows or never ends costs no more than one that is too long.
pub fn read(source: impl Read, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    source.take(bound).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(ReadError::TooLong { bytes_max });
    }
    Ok(bytes)
}

/// The longest start of a text that fits in `bytes_max`, never cutting a character in two, and
/// whether anything was left out.
pub fn clip(text: &str, bytes_max: usize) -> (&str, bool) {
    let end = text.floor_char_boundary(bytes_max);
    let (start, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (start, !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_source_is_an_error() {
        assert!(matches!(read(io::repeat(b'x'), 10), Err(ReadError::TooLong { bytes_max: 10 })));
        assert_eq!(read(&b"exactly 10"[..], 10).unwrap(), b"exactly 10");
    }

    #[test]
    fn a_character_is_not_cut_in_two() {
        assert_eq!(clip("aé", 2), ("a", true));
        assert_eq!(clip("aé", 3), ("aé", false));
        assert_eq!(clip("", 0), ("", false));
    }
}
