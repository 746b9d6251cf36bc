//! What to start, as plain data. Not what it may do: that joins when there is a sandbox.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::Error;

/// The kernel takes at most 6 MiB of arguments and environment, so no larger spec could start.
pub(crate) const SPEC_BYTES_MAX: usize = 6 << 20;

/// One server's process: what to execute, with which environment, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// The program and its arguments. A program without a slash is looked for in the `PATH` of
    /// [`env`](Self::env); one with a slash is relative to [`cwd`](Self::cwd).
    pub command: Vec<OsString>,
    /// The whole environment of the server: nothing is added to it.
    pub env: Vec<(OsString, OsString)>,
    /// The server's working directory; the guard's own when there is none.
    pub cwd: Option<PathBuf>,
}

impl Spec {
    /// Says no to what the kernel could not represent, before any process is started for it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.command.first().is_none_or(|program| program.is_empty()) {
            return Err(Error::NoCommand);
        }
        let cwd = self.cwd.iter().map(|cwd| cwd.as_os_str());
        let values = self.env.iter().map(|(_, value)| value.as_os_str());
        let words = self.command.iter().map(OsString::as_os_str);
        if words.chain(values).chain(cwd).any(|it| it.as_bytes().contains(&0)) {
            return Err(Error::ZeroByte);
        }
        for (name, _) in &self.env {
            let bytes = name.as_bytes();
            if bytes.is_empty() || bytes.contains(&b'=') || bytes.contains(&0) {
                return Err(Error::VariableName { name: name.clone() });
            }
        }
        Ok(())
    }

    /// Counts and lengths first, then bytes. Read by [`decode`](Self::decode) of the same binary,
    /// so there is no version in it.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        put_count(&mut out, self.command.len())?;
        for word in &self.command {
            put(&mut out, word.as_bytes())?;
        }
        put_count(&mut out, self.env.len())?;
        for (name, value) in &self.env {
            put(&mut out, name.as_bytes())?;
            put(&mut out, value.as_bytes())?;
        }
        put_count(&mut out, self.cwd.iter().len())?;
        if let Some(cwd) = &self.cwd {
            put(&mut out, cwd.as_os_str().as_bytes())?;
        }
        if out.len() > SPEC_BYTES_MAX {
            return Err(Error::TooLarge { bytes_max: SPEC_BYTES_MAX });
        }
        Ok(out)
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let mut spec = Self::default();
        for _ in 0..take_count(from)? {
            spec.command.push(take(from)?);
        }
        for _ in 0..take_count(from)? {
            spec.env.push((take(from)?, take(from)?));
        }
        for _ in 0..take_count(from)? {
            spec.cwd = Some(take(from)?.into());
        }
        bytes.is_empty().then_some(spec)
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) -> Result<(), Error> {
    let count = u32::try_from(count).map_err(|_| Error::TooLarge { bytes_max: SPEC_BYTES_MAX })?;
    out.extend(count.to_le_bytes());
    Ok(())
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    put_count(out, bytes.len())?;
    out.extend(bytes);
    Ok(())
}

fn take_count(from: &mut &[u8]) -> Option<usize> {
    let (count, rest) = from.split_first_chunk::<4>()?;
    *from = rest;
    usize::try_from(u32::from_le_bytes(*count)).ok()
}

fn take(from: &mut &[u8]) -> Option<OsString> {
    let length = take_count(from)?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(OsString::from_vec(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec {
            command: vec!["node".into(), OsString::from_vec(vec![0xff, b' ', b'\n'])],
            env: vec![("PATH".into(), "/bin".into()), ("EMPTY".into(), "".into())],
            cwd: Some("/srv".into()),
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_refused() {
        let bytes = spec().encode().unwrap();
        for end in 0..bytes.len() {
            assert_eq!(Spec::decode(&bytes[..end]), None, "cut at {end}");
        }
        let longer = [bytes.as_slice(), b"x"].concat();
        assert_eq!(Spec::decode(&longer), None);
        assert_eq!(Spec::decode(&[0xff; 64]), None);
    }

    #[test]
    fn what_was_encoded_comes_back() {
        for spec in [spec(), Spec { cwd: None, ..spec() }, Spec::default()] {
            assert_eq!(Spec::decode(&spec.encode().unwrap()), Some(spec));
        }
    }

    #[test]
    fn what_the_kernel_cannot_represent_is_refused() {
        assert!(matches!(Spec::default().check(), Err(Error::NoCommand)));
        let zero = Spec { command: vec!["cat".into(), "a\0b".into()], ..Spec::default() };
        assert!(matches!(zero.check(), Err(Error::ZeroByte)));
        for name in ["", "A=B", "A\0"] {
            let spec = Spec { env: vec![(name.into(), "x".into())], ..spec() };
            assert!(matches!(spec.check(), Err(Error::VariableName { .. })), "{name:?}");
        }
        let large = Spec { cwd: Some("x".repeat(SPEC_BYTES_MAX).into()), ..spec() };
        assert!(matches!(large.encode(), Err(Error::TooLarge { .. })));
    }
}
