//! A path as the kernel walks it: where it ends, and which links lead there. Whoever may change one
//! of those chooses the end.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

/// As many as the kernel follows.
const LINKS_MAX: usize = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    /// What is there, without a link in its path.
    pub(crate) end: PathBuf,
    /// Every link that is passed, in order: where it really lies, and what it says.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// Every directory that is left by `..`: moved elsewhere, it would lead elsewhere.
    pub(crate) left: Vec<PathBuf>,
}

impl Way {
    /// What would lead elsewhere if it were moved away, and something else put in its place.
    pub(crate) fn turns(&self) -> impl Iterator<Item = &PathBuf> {
        self.links.iter().map(|(at, _)| at).chain(&self.left)
    }
}

/// Walks an absolute path to something that is there.
pub(crate) fn walk(path: &Path) -> io::Result<Way> {
    let (way, stopped) = walk_on(path);
    stopped.map_or(Ok(way), Err)
}

/// Walks an absolute path as far as something is there. From then on the names are as they were
/// given: so it would be found if it were made.
pub(crate) fn walk_as_far(path: &Path) -> Way {
    walk_on(path).0
}

/// The way, and why the rest of it was not looked at.
fn walk_on(path: &Path) -> (Way, Option<io::Error>) {
    let mut way = Way { end: PathBuf::from("/"), links: Vec::new(), left: Vec::new() };
    if !path.is_absolute() {
        return (way, Some(Errno::INVAL.into()));
    }
    let mut stopped: Option<io::Error> = None;
    let mut ahead = Vec::new();
    put_before(&mut ahead, path);
    while let Some(name) = ahead.pop() {
        if name == ".." {
            way.left.push(way.end.clone());
            way.end.pop();
            continue;
        }
        let next = way.end.join(&name);
        if stopped.is_some() {
            way.end = next;
            continue;
        }
        match fs::read_link(&next) {
            Ok(_) if way.links.len() == LINKS_MAX => {
                stopped = Some(Errno::LOOP.into());
                way.end = next;
            }
            Ok(to) => {
                if to.is_absolute() {
                    way.end = PathBuf::from("/");
                }
                put_before(&mut ahead, &to);
                way.links.push((next, to));
            }
            // It is there and no link.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                way.end = next;
            }
            Err(error) => {
                stopped = Some(error);
                way.end = next;
            }
        }
    }
    (way, stopped)
}

/// The names of a path, the first of them on top.
fn put_before(ahead: &mut Vec<OsString>, path: &Path) {
    let names = path.components().rev().filter_map(|it| match it {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    ahead.extend(names);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_is_told() {
        let top = std::env::temp_dir().join(format!("stockade-way-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        fs::create_dir_all(top.join("a/b")).unwrap();
        let top = top.canonicalize().unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        symlink("a/../a/b", top.join("dir")).unwrap();
        symlink(top.join("dir/file"), top.join("far")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        let way = walk(&top.join("a/../far")).unwrap();
        assert_eq!(way.end, top.join("a/b/file"));
        let at: Vec<PathBuf> = way.links.into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, [top.join("far"), top.join("dir")]);
        assert_eq!(walk(&top.join("a/b")).unwrap().links, []);
        for path in ["none", "loop", "a/b/file/x"] {
            assert!(walk(&top.join(path)).is_err(), "{path}");
        }
        assert!(walk(Path::new("relative")).is_err());
        let way = walk(&top.join("a/b/../../dir/file")).unwrap();
        assert_eq!(way.end, top.join("a/b/file"));
        let turns: Vec<PathBuf> = way.turns().cloned().collect();
        assert_eq!(turns, ["dir", "a/b", "a", "a"].map(|it| top.join(it)));
        let way = walk_as_far(&top.join("dir/none/file"));
        assert_eq!(way.end, top.join("a/b/none/file"));
        assert_eq!(way.turns().next(), Some(&top.join("dir")));
        let inside = walk(Path::new("/proc/self/root/usr")).unwrap();
        assert_eq!(inside.links.first().unwrap().0, Path::new("/proc/self"));
        fs::remove_dir_all(&top).unwrap();
    }
}
