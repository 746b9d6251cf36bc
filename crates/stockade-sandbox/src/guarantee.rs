//! What a sandbox guarantees, in the words of whoever demands it, and how far it holds. Nothing
//! here decides or enforces.

use std::fmt;
use std::str::FromStr;

/// One thing that a sandbox guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Only roots, and what programs need to run, can be read; only writable roots are written.
    Files,
    /// There is nobody to connect to, and no name to resolve, but what was named.
    Network,
    /// Processes of others are neither seen nor signalled nor traced.
    Processes,
    /// No uid of root, no capability, and no way to gain one.
    Privileges,
    /// The kernel's calls that servers do not need are refused.
    Calls,
    /// The environment is the listed one, and no descriptor is inherited but the standard three.
    Environment,
    /// Everything that is started goes with its guard.
    End,
    /// No more memory than this.
    Memory,
    /// No more processes and threads than this.
    Pids,
    /// No more of the processors than this.
    Cpu,
    /// No longer than this.
    Time,
}

impl Guarantee {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::Files,
        Self::Network,
        Self::Processes,
        Self::Privileges,
        Self::Calls,
        Self::Environment,
        Self::End,
        Self::Memory,
        Self::Pids,
        Self::Cpu,
        Self::Time,
    ];

    /// Those that [`Confinement::allow_weaker`](crate::Confinement::allow_weaker) may name. The
    /// others are either enforced or nothing is started.
    pub const WEAKER: [Self; 6] =
        [Self::Files, Self::Processes, Self::End, Self::Memory, Self::Pids, Self::Cpu];

    /// Its name, as it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Network => "network",
            Self::Processes => "processes",
            Self::Privileges => "privileges",
            Self::Calls => "calls",
            Self::Environment => "environment",
            Self::End => "end",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Time => "time",
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

impl FromStr for Guarantee {
    type Err = NoGuarantee;

    /// Finds those that may be weakened, and no other.
    fn from_str(name: &str) -> Result<Self, NoGuarantee> {
        let found = Self::WEAKER.into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| NoGuarantee { name: name.to_owned() })
    }
}

/// A name that is not one of a guarantee that may be weakened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is no guarantee that may be weakened: those are {}",
    Guarantee::WEAKER.map(Guarantee::name).join(", ")
)]
pub struct NoGuarantee {
    /// What was given.
    pub name: String,
}

/// How far a guarantee holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// It holds.
    Enforced,
    /// A part of it holds, or one wall of two stands.
    Partly,
    /// It does not hold.
    Not,
}

impl fmt::Display for Strength {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Enforced => "enforced",
            Self::Partly => "partly",
            Self::Not => "not",
        })
    }
}

/// How far one guarantee holds, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What was demanded.
    pub guarantee: Guarantee,
    /// How far it holds.
    pub strength: Strength,
    /// What enforces it, or why it is not enforced.
    pub by: String,
}

/// What holds a server: each guarantee that was demanded, once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Containment(pub Vec<Held>);

impl Containment {
    /// How far this guarantee holds; `None` when it was not demanded.
    pub fn of(&self, guarantee: Guarantee) -> Option<Strength> {
        self.0.iter().find(|it| it.guarantee == guarantee).map(|it| it.strength)
    }

    /// One line for a person: what is enforced, and what is not and why.
    pub fn in_brief(&self) -> String {
        let of = |strength| self.0.iter().filter(move |it| it.strength == strength);
        let names: Vec<&str> = of(Strength::Enforced).map(|it| it.guarantee.name()).collect();
        let mut parts = vec![format!("the sandbox enforces {}", names.join(", "))];
        for (strength, word) in [(Strength::Partly, "partly"), (Strength::Not, "not")] {
            parts.extend(of(strength).map(|it| format!("{word} {} ({})", it.guarantee, it.by)));
        }
        parts.join("; ")
    }
}

impl fmt::Display for Containment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Held { guarantee, strength, by } in &self.0 {
            writeln!(out, "  {guarantee:<12} {strength:<9} {by}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_weakened_is_found_by_name() {
        for guarantee in Guarantee::ALL {
            let found = guarantee.name().parse::<Guarantee>().ok();
            let expected = Guarantee::WEAKER.contains(&guarantee).then_some(guarantee);
            assert_eq!(found, expected, "{guarantee}");
        }
        assert!("".parse::<Guarantee>().is_err());
    }
}
