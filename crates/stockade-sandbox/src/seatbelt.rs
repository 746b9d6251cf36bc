//! macOS: the profile and the command of its sandbox, seatbelt, for a [`Spec`]. It is text, and made
//! of text alone, so that it can be looked at on any system; only macOS can run it, and a start is
//! refused elsewhere. A profile bounds files, network and signals. It has no words for memory, for
//! the number of processes or for calls of the kernel, and what it cannot hold is said.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::guarantee::Held;
use crate::{Access, Confinement, Containment, Error, Guarantee, Spec, Strength, TRUSTED};

/// The program that reads a profile.
const PROGRAM: &str = "/usr/bin/sandbox-exec";

/// What programs are made of, read and executed.
const SYSTEM: &[&str] = &[
    "/usr/bin",
    "/usr/lib",
    "/usr/libexec",
    "/usr/local",
    "/usr/share",
    "/bin",
    "/sbin",
    "/usr/sbin",
    "/System",
    "/Library/Apple",
    "/opt/homebrew",
    "/private/var/db/dyld",
    "/private/var/db/timezone",
    "/private/etc/localtime",
    "/private/etc/ssl",
];

/// Devices that are nobody's.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// What would be done for a [`Spec`] on macOS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seatbelt {
    /// What is denied, which is everything, and what is allowed after that.
    pub profile: String,
    /// The command that starts the server behind it.
    pub command: Vec<OsString>,
    /// How far each guarantee would hold.
    pub containment: Containment,
}

/// Works out the profile. `scratch` is a directory that is the server's alone, for temporary files.
///
/// # Errors
/// When a path cannot be written in a profile, or a limit is demanded that no profile has and that
/// may not be weaker.
pub fn seatbelt(spec: &Spec, scratch: &Path) -> Result<Seatbelt, Error> {
    spec.check()?;
    let none = Confinement::default();
    let confinement = spec.confine.as_deref().unwrap_or(&none);
    let containment = containment(confinement)?;
    let profile = profile(confinement, scratch)?;
    let mut command: Vec<OsString> = [PROGRAM, "-p", &profile].map(Into::into).into();
    command.extend(spec.command.iter().cloned());
    Ok(Seatbelt { profile, command, containment })
}

fn profile(confinement: &Confinement, scratch: &Path) -> Result<String, Error> {
    let roots = |access| {
        let fit = confinement.roots.iter().filter(move |it| it.access == access);
        fit.map(|it| it.path.as_path())
    };
    let programs: Vec<&Path> = SYSTEM
        .iter()
        .map(Path::new)
        .chain(confinement.programs.iter().map(PathBuf::as_path))
        .chain(roots(Access::Read))
        .collect();
    let written: Vec<&Path> = roots(Access::Write).chain([scratch]).collect();
    let is_root = |it: &PathBuf| confinement.roots.iter().any(|root| root.path == *it);
    let trusted = roots(Access::Write).flat_map(|it| TRUSTED.iter().map(|name| it.join(name)));
    let trusted: Vec<PathBuf> = trusted.filter(|it| !is_root(it)).collect();
    let trusted: Vec<&Path> = trusted.iter().map(PathBuf::as_path).collect();
    let mut out = String::from("(version 1)\n(deny default)\n(allow process-fork)\n");
    out += "(allow signal (target same-sandbox))\n(allow sysctl-read)\n";
    out += "(allow file-read-metadata)\n(allow file-read* (literal \"/\"))\n";
    let devices: Vec<&Path> = DEVICES.iter().map(Path::new).collect();
    rule(&mut out, "allow file-read* file-write-data", "literal", &devices)?;
    rule(&mut out, "allow file-read* process-exec file-map-executable", "subpath", &programs)?;
    rule(&mut out, "allow file-read* file-write*", "subpath", &written)?;
    // The last rule that fits decides.
    rule(&mut out, "deny process-exec file-map-executable", "subpath", &written)?;
    rule(&mut out, "deny file-write*", "subpath", &trusted)?;
    out += "(deny file-write-setugid)\n(deny network*)\n(deny mach-lookup)\n";
    Ok(out)
}

fn rule(out: &mut String, what: &str, how: &str, paths: &[&Path]) -> Result<(), Error> {
    if paths.is_empty() {
        return Ok(());
    }
    let _ = write!(out, "({what}");
    for path in paths {
        let _ = write!(out, "\n  ({how} {})", quoted(path)?);
    }
    *out += ")\n";
    Ok(())
}

/// A path as a string of a profile. What is no text, or would end a line, is refused: another rule
/// could be written with it.
fn quoted(path: &Path) -> Result<String, Error> {
    let text = path.to_str().filter(|it| path.is_absolute() && !it.contains(char::is_control));
    let text = text.ok_or_else(|| Error::Place {
        path: path.to_owned(),
        source: io::ErrorKind::InvalidFilename.into(),
    })?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn containment(confinement: &Confinement) -> Result<Containment, Error> {
    let limits = &confinement.limits;
    let mut all = Vec::new();
    for guarantee in Guarantee::ALL {
        let (strength, by) = match guarantee {
            Guarantee::Files => (Strength::Enforced, "a seatbelt profile that denies by default"),
            Guarantee::Network => (Strength::Enforced, "a seatbelt profile without network"),
            Guarantee::Processes => {
                (Strength::Partly, "seatbelt: others are not signalled, but seen")
            }
            Guarantee::Privileges => (Strength::Partly, "the user's own uid; no setuid program"),
            Guarantee::Calls => (Strength::Not, "macOS has no filter for calls"),
            Guarantee::Environment => (Strength::Enforced, "execve"),
            Guarantee::End => (Strength::Partly, "the process group"),
            Guarantee::Memory if limits.memory_bytes.is_none() => continue,
            Guarantee::Cpu if limits.cpu_thousandths.is_none() => continue,
            Guarantee::Time if limits.time.is_none() => continue,
            Guarantee::Memory => (Strength::Not, "macOS does not limit the memory of a group"),
            Guarantee::Cpu => (Strength::Not, "macOS does not limit the processors of a group"),
            Guarantee::Pids => (Strength::Partly, "RLIMIT_NPROC, which all of a user share"),
            Guarantee::Time => (Strength::Enforced, "the guard"),
        };
        let may_be_weaker = confinement.allow_weaker.contains(&guarantee);
        if matches!(guarantee, Guarantee::Memory | Guarantee::Cpu) && !may_be_weaker {
            return Err(Error::CannotEnforce {
                guarantee,
                feature: "seatbelt".into(),
                source: io::Error::new(io::ErrorKind::Unsupported, by),
                remedy: "use a container, or allow the guarantee to be weaker",
            });
        }
        all.push(Held { guarantee, strength, by: by.to_owned() });
    }
    Ok(Containment(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Root};

    fn spec(path: &str) -> Spec {
        let root = |path: &str, access| Root { path: path.into(), access };
        let confine = Confinement {
            roots: vec![root(path, Access::Write), root("/Users/me/docs", Access::Read)],
            allow_weaker: vec![Guarantee::Memory],
            limits: Limits::default(),
            ..Confinement::default()
        };
        Spec {
            command: ["/usr/bin/node", "server.js"].map(Into::into).into(),
            confine: Some(Box::new(confine)),
            ..Spec::default()
        }
    }

    #[test]
    fn everything_is_denied_but_what_is_named() {
        let made = seatbelt(&spec("/Users/me/a \"b\\"), Path::new("/private/tmp/s")).unwrap();
        let programs = SYSTEM.iter().map(|it| format!("\n  (subpath \"{it}\")"));
        let programs = programs.collect::<String>();
        let trusted =
            TRUSTED.iter().map(|it| format!("\n  (subpath \"/Users/me/a \\\"b\\\\/{it}\")"));
        let trusted = trusted.collect::<String>();
        let expected = format!(
            r#"(version 1)
(deny default)
(allow process-fork)
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow file-read-metadata)
(allow file-read* (literal "/"))
(allow file-read* file-write-data
  (literal "/dev/null")
  (literal "/dev/zero")
  (literal "/dev/random")
  (literal "/dev/urandom"))
(allow file-read* process-exec file-map-executable{programs}
  (subpath "/Users/me/docs"))
(allow file-read* file-write*
  (subpath "/Users/me/a \"b\\")
  (subpath "/private/tmp/s"))
(deny process-exec file-map-executable
  (subpath "/Users/me/a \"b\\")
  (subpath "/private/tmp/s"))
(deny file-write*{trusted})
(deny file-write-setugid)
(deny network*)
(deny mach-lookup)
"#
        );
        assert_eq!(made.profile, expected);
        let words: Vec<_> = made.command.iter().map(|it| it.to_str().unwrap()).collect();
        assert_eq!(words, [PROGRAM, "-p", &expected, "/usr/bin/node", "server.js"]);
    }

    #[test]
    fn what_a_profile_does_not_hold_is_said() {
        let mut spec = spec("/Users/me/a");
        let scratch = Path::new("/private/tmp/s");
        let held = seatbelt(&spec, scratch).unwrap().containment;
        assert_eq!(held.of(Guarantee::Files), Some(Strength::Enforced));
        assert_eq!(held.of(Guarantee::Memory), Some(Strength::Not));
        assert_eq!(held.of(Guarantee::Pids), Some(Strength::Partly));
        assert_eq!(held.of(Guarantee::Calls), Some(Strength::Not));
        spec.confine.as_mut().unwrap().allow_weaker.clear();
        let refused = seatbelt(&spec, scratch);
        let memory = Guarantee::Memory;
        assert!(
            matches!(refused, Err(Error::CannotEnforce { guarantee, .. }) if guarantee == memory)
        );
    }

    #[test]
    fn a_path_cannot_write_a_rule() {
        for path in ["/a\n(allow default)", "relative", "/a\0"] {
            let made = seatbelt(&spec(path), Path::new("/private/tmp/s"));
            assert!(matches!(made, Err(Error::Place { .. })), "{path:?}");
        }
        let quote = quoted(Path::new("/a\") (allow default) (\"")).unwrap();
        assert_eq!(quote, r#""/a\") (allow default) (\"""#);
    }
}
