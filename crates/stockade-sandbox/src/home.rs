//! Which directories are somebody's home. Nothing shows one as a whole but a root: it holds keys,
//! histories and the files of every program.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::content;

/// What is directly below one of these is a home, whoever's.
const TOPS: &[&str] = &["/home", "/var/home", "/Users"];

/// What a home has, wherever it is.
const SIGNS: &[&str] = &[".ssh", ".gnupg", ".bashrc", ".profile"];

/// Below a home, these belong to many programs and hold credentials of some.
const SHARED: &[&str] =
    &[".local", ".local/share", ".local/state", ".cargo", ".config", ".cache", ".ssh", ".gnupg"];

/// More users than any file has that is read to its end.
const USERS_BYTES_MAX: u64 = 1 << 20;

/// The homes that are known by name, and the signs of the others.
#[derive(Debug)]
pub(crate) struct Homes(Vec<PathBuf>);

/// Whether a directory is somebody's home by where it is, or by what is in it.
pub(crate) fn looks_like_home(top: &Path) -> bool {
    let is_below = |it: &&str| top.parent() == Some(Path::new(it));
    TOPS.iter().any(is_below) || SIGNS.iter().any(|it| top.join(it).symlink_metadata().is_ok())
}

impl Homes {
    /// Those that are named, and what `/etc/passwd` has of the guard, of whom the server is, and of
    /// whom these files belong to. Users of a directory service are not in it.
    pub(crate) fn new(named: impl IntoIterator<Item = PathBuf>, server: u32, of: &[&Path]) -> Self {
        let owners = of.iter().filter_map(|it| it.metadata().ok()).map(|it| it.uid());
        let uids: Vec<u32> = owners.chain([geteuid().as_raw(), server]).collect();
        let users = content::head(Path::new("/etc/passwd"), USERS_BYTES_MAX).unwrap_or_default();
        let users = String::from_utf8_lossy(&users);
        let listed = users.lines().filter_map(|it| home_of(it, &uids));
        let mut homes: Vec<PathBuf> = named.into_iter().chain(listed).collect();
        let real: Vec<PathBuf> = homes.iter().filter_map(|it| it.canonicalize().ok()).collect();
        homes.extend(real);
        Self(homes)
    }

    pub(crate) fn known(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter()
    }

    pub(crate) fn is_home(&self, top: &Path) -> bool {
        self.0.iter().any(|it| it == top) || looks_like_home(top)
    }

    /// Whether it is a home, holds one, or is a place that many programs share.
    pub(crate) fn is_of_many(&self, top: &Path) -> bool {
        let is_shared = |it: &&str| {
            let home = top.ancestors().nth(Path::new(it).components().count());
            top.ends_with(it) && home.is_some_and(|it| self.is_home(it))
        };
        // `/opt` and the like are of many programs, `/tmp` of everybody.
        top.components().count() < 3
            || self.0.iter().any(|it| it.starts_with(top))
            || TOPS.iter().any(|it| Path::new(it).starts_with(top))
            || self.is_home(top)
            || SHARED.iter().any(is_shared)
    }
}

/// The home in a line of `/etc/passwd`, if it is one of these users'.
fn home_of(line: &str, uids: &[u32]) -> Option<PathBuf> {
    let mut fields = line.split(':').skip(2);
    let uid: u32 = fields.next()?.parse().ok()?;
    let home = Path::new(fields.nth(2)?);
    (uids.contains(&uid) && home.is_absolute() && home != Path::new("/")).then(|| home.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_home_is_known_by_name_by_place_and_by_what_is_in_it() {
        let top = std::env::temp_dir().join(format!("stockade-home-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        fs::create_dir_all(top.join("data/somebody/.ssh")).unwrap();
        fs::create_dir_all(top.join("data/app")).unwrap();
        let homes = Homes::new([PathBuf::from("/srv/people/me")], 0, &[]);
        for (path, home, many) in [
            ("/srv/people/me", true, true),
            ("/srv/people", false, true),
            ("/srv/people/me/.config", false, true),
            ("/srv/people/me/.local/share", false, true),
            ("/srv/people/me/.nvm", false, false),
            ("/root", true, true),
            ("/home", false, true),
            ("/home/anybody", true, true),
            ("/home/anybody/.cache", false, true),
            ("/home/anybody/app", false, false),
            ("/var/home/anybody", true, true),
            ("/var/home", false, true),
            ("/opt/tool", false, false),
        ] {
            assert_eq!(homes.is_home(Path::new(path)), home, "{path}");
            assert_eq!(homes.is_of_many(Path::new(path)), many, "{path}");
        }
        assert!(homes.is_home(&top.join("data/somebody")));
        assert!(homes.is_of_many(&top.join("data/somebody/.local")));
        assert!(!homes.is_of_many(&top.join("data/app")));
        fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn a_home_is_looked_up_by_the_number_of_its_user() {
        let line = "me:x:1000:1000:Me,,:/data/me:/bin/sh";
        assert_eq!(home_of(line, &[1000]), Some("/data/me".into()));
        for (line, uid) in [(line, 1), ("nobody:x:9:9::/:/bin/false", 9), ("x:y", 0), ("", 0)] {
            assert_eq!(home_of(line, &[uid]), None, "{line}");
        }
    }
}
