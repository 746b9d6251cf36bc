//! Which of its limits a server ran into, as far as the kernel or the warden can tell: what a
//! person needs to know who sees a server that was killed.

use std::fmt;

use crate::{Exit, Limits};

/// The kernel's number of the signal for a file that would become too long.
const SIGXFSZ: i32 = 25;

/// A limit that a server ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It needed more memory than this, and something of it was killed.
    Memory {
        /// The most of all its processes together.
        bytes: u64,
    },
    /// It was refused a process or thread. Told only where a control group counts them.
    Pids {
        /// The most at once.
        most: u32,
    },
    /// A file would have become longer than this, and it was killed for it.
    FileBytes {
        /// The most in one file.
        bytes: u64,
    },
    /// It was ended when its time was over.
    Time {
        /// How long it had.
        seconds: u64,
    },
}

impl fmt::Display for Reached {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { bytes } => {
                let most = Size(*bytes);
                write!(out, "something of it was killed at its limit of {most} of memory")
            }
            Self::Pids { most } => {
                write!(out, "it was refused more than its limit of {most} processes and threads")
            }
            Self::FileBytes { bytes } => {
                write!(out, "it was killed at its limit of {} a file", Size(*bytes))
            }
            Self::Time { seconds } => write!(out, "its time of {seconds} s was over"),
        }
    }
}

/// A number of bytes in the largest unit that needs no fraction.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let fits = |(shift, _): &(u32, &str)| self.0 != 0 && self.0.trailing_zeros() >= *shift;
        match units.into_iter().find(fits) {
            Some((shift, unit)) => write!(out, "{} {unit}", self.0 >> shift),
            None => write!(out, "{} bytes", self.0),
        }
    }
}

/// The limits that only keeper and warden see being reached, as they tell the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Memory,
    Pids,
    Time,
}

impl Limit {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Time];
}

/// Puts together what was told and what the exit itself says.
pub(crate) fn reached(told: &[Limit], exit: Exit, limits: &Limits) -> Vec<Reached> {
    let told = told.iter().map(|it| match it {
        Limit::Memory => Reached::Memory { bytes: limits.memory_bytes.unwrap_or(u64::MAX) },
        Limit::Pids => Reached::Pids { most: limits.pids },
        Limit::Time => Reached::Time { seconds: limits.time.unwrap_or_default().as_secs() },
    });
    let file =
        (exit == Exit::Signal(SIGXFSZ)).then_some(Reached::FileBytes { bytes: limits.file_bytes });
    told.chain(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_is_said_with_its_limit() {
        let limits = Limits { memory_bytes: Some(3 << 20), pids: 7, ..Limits::default() };
        let said = |told: &[Limit], exit| {
            let reached = reached(told, exit, &limits);
            reached.iter().map(Reached::to_string).collect::<Vec<_>>()
        };
        assert!(said(&[], Exit::Signal(9)).is_empty());
        assert_eq!(
            said(&[Limit::Memory, Limit::Pids], Exit::Signal(SIGXFSZ)),
            [
                "something of it was killed at its limit of 3 MiB of memory",
                "it was refused more than its limit of 7 processes and threads",
                "it was killed at its limit of 1 GiB a file",
            ]
        );
    }

    #[test]
    fn a_size_is_exact() {
        for (bytes, said) in
            [(0, "0 bytes"), (1025, "1025 bytes"), (1536 << 10, "1536 KiB"), (1 << 40, "1024 GiB")]
        {
            assert_eq!(Size(bytes).to_string(), said);
        }
    }
}
