//! What is mounted where on this machine: what shows the machine, and where one place is seen twice.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::roots::NEVER;

/// File systems that show the machine wherever they are mounted.
const OF_KERNEL: &[&str] = &[
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "cgroup",
    "cgroup2",
    "securityfs",
    "debugfs",
    "tracefs",
    "configfs",
    "efivarfs",
    "fusectl",
    "binfmt_misc",
    "bpf",
    "pstore",
    "mqueue",
    "nsfs",
];

/// Everything that is mounted, in the order in which it was.
pub(crate) struct Mounted(Vec<One>);

struct One {
    at: PathBuf,
    /// The file system, as the kernel numbers it, and what kind it is of.
    device: Vec<u8>,
    kind: String,
    /// The directory of the file system that is seen there.
    top: PathBuf,
}

impl Mounted {
    pub(crate) fn read() -> Result<Self, Error> {
        let about = "/proc/self/mountinfo";
        let place = |source| Error::Place { path: about.into(), source };
        Ok(Self::parse(&fs::read(about).map_err(place)?))
    }

    pub(crate) fn parse(lines: &[u8]) -> Self {
        let one = |line: &[u8]| {
            let mut words = line.split(|it| *it == b' ').skip(2);
            let device = words.next()?.to_owned();
            let (top, at) = (unescaped(words.next()?), unescaped(words.next()?));
            let kind = words.skip_while(|it| *it != b"-").nth(1)?;
            Some(One { at, device, kind: String::from_utf8_lossy(kind).into_owned(), top })
        };
        Self(lines.split(|it| *it == b'\n').filter_map(one).collect())
    }

    /// Refuses what shows the machine: by its path, or by what is mounted there or further down.
    pub(crate) fn check(&self, asked: &Path, real: &Path) -> Result<(), Error> {
        let never = NEVER.iter().map(Path::new);
        if never.into_iter().any(|it| it.starts_with(real) || real.starts_with(it)) {
            return Err(Error::NeverARoot { path: asked.to_owned() });
        }
        let is_of_kernel = |it: &&One| OF_KERNEL.contains(&it.kind.as_str());
        let inside = self.0.iter().filter(|it| it.at.starts_with(real));
        match self.around(real).into_iter().chain(inside).find(is_of_kernel) {
            None => Ok(()),
            Some(One { at, kind, .. }) => Err(Error::MachineInside {
                path: asked.to_owned(),
                kind: kind.clone(),
                at: at.clone(),
            }),
        }
    }

    /// What shows the machine below a place, and is mounted there.
    pub(crate) fn of_kernel_below<'a>(&'a self, place: &'a Path) -> impl Iterator<Item = &'a Path> {
        let of_kernel = self.0.iter().filter(|it| OF_KERNEL.contains(&it.kind.as_str()));
        of_kernel.filter_map(move |it| it.at.strip_prefix(place).ok())
    }

    /// What a path is in. Of two at one place, the later lies over the other.
    fn around(&self, path: &Path) -> Option<&One> {
        let around = self.0.iter().filter(|it| path.starts_with(&it.at));
        around.max_by_key(|it| it.at.components().count())
    }

    /// Every path at which this place, or a part of it, is seen: a directory can be mounted a second
    /// time, and then what is kept from somebody at one path is open at the other. It need not be
    /// there yet. The first is the path itself, which has no link in it.
    pub(crate) fn everywhere(&self, path: &Path) -> Vec<PathBuf> {
        let mut all = vec![path.to_owned()];
        let there = path.ancestors().find(|it| it.symlink_metadata().is_ok()).unwrap_or(path);
        let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
        let Some(around) = self.around(there) else { return all };
        let Ok(below) = there.strip_prefix(&around.at) else { return all };
        let inside = around.top.join(below);
        for other in self.0.iter().filter(|it| it.device == around.device) {
            let (here, seen) = if let Ok(below) = inside.strip_prefix(&other.top) {
                (there.to_owned(), further(&other.at, below))
            } else if let Ok(below) = other.top.strip_prefix(&inside)
                && rest.as_os_str().is_empty()
            {
                (further(there, below), other.at.clone())
            } else {
                continue;
            };
            // Something else may be mounted over it.
            let seen = if is_same(&here, &seen) { further(&seen, rest) } else { continue };
            if !all.contains(&seen) {
                all.push(seen);
            }
        }
        all
    }
}

/// The same as `join`, and without a slash behind it where there is nothing further.
fn further(path: &Path, rest: &Path) -> PathBuf {
    path.components().chain(rest.components()).collect()
}

fn is_same(one: &Path, other: &Path) -> bool {
    let which = |it: &Path| it.symlink_metadata().map(|it| (it.dev(), it.ino())).ok();
    which(one).is_some_and(|it| Some(it) == which(other))
}

/// Blanks and the like are in octal there.
fn unescaped(path: &[u8]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *byte == b'\\');
        let octal = octal.and_then(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*byte));
        rest = after.get(if octal.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_the_machine_is_not_mounted_in_a_root() {
        let mounted = Mounted::parse(
            b"1 0 0:1 / / rw - ext4 /dev/a rw\n\
              2 1 0:2 / /srv/my\\040jail/proc rw shared:1 - proc proc rw\n\
              3 1 0:3 / /srv/data rw - tmpfs tmpfs rw\n\
              4 1 0:4 / /srv/data/machine rw master:1 - sysfs sysfs rw\n",
        );
        for (path, inside) in [
            ("/srv/my jail", true),
            ("/srv/my jail/etc", false),
            ("/srv/my jail/proc/1", true),
            ("/srv/data", true),
            ("/srv/data/mine", false),
            ("/srv", true),
            ("/home", false),
        ] {
            let refused = mounted.check(Path::new(path), Path::new(path));
            let is_refused = matches!(refused, Err(Error::MachineInside { .. }));
            assert_eq!(is_refused, inside, "{path}: {refused:?}");
        }
    }

    #[test]
    fn a_place_is_seen_wherever_it_is_mounted() {
        let top = tempfile();
        for directory in ["home/state/ledger", "again/state/ledger", "inner/x"] {
            fs::create_dir_all(top.join(directory)).unwrap();
        }
        let top = top.canonicalize().unwrap();
        let lines = |at: &str| {
            let (top, home) = (top.display(), top.join("home").display().to_string());
            format!("1 0 0:1 / / rw - ext4 a rw\n2 1 0:1 {home} {top}/{at} rw - ext4 a rw\n")
        };
        let everywhere = |at: &str, path: &str| {
            let found = Mounted::parse(lines(at).as_bytes()).everywhere(&top.join(path));
            let short = found.iter().map(|it| it.strip_prefix(&top).unwrap().to_owned());
            short.map(|it| it.display().to_string()).collect::<Vec<_>>()
        };
        // What `mountinfo` says is looked at: here nothing is really mounted.
        assert_eq!(everywhere("again", "home/state"), ["home/state"]);
        std::os::unix::fs::symlink("home", top.join("linked")).unwrap();
        assert_eq!(everywhere("linked", "home/state"), ["home/state", "linked/state"]);
        let not_yet = ["home/state/none/x", "linked/state/none/x"];
        assert_eq!(everywhere("linked", "home/state/none/x"), not_yet);
        fs::remove_dir_all(&top).unwrap();
    }

    fn tempfile() -> PathBuf {
        let top = std::env::temp_dir().join(format!("stockade-mounted-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        top
    }
}
