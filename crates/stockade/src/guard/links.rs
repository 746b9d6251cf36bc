//! Where the paths of a call lead on this machine: only the file system knows its links. A path that
//! is inside the roots by its text and has a link in it that leads out is found here, before the call
//! is judged and without the lock of a session.
//!
//! It is walked step by step from the root it is in, each step by a descriptor that opens nothing.
//! What is outside of every root is not touched, or a server would have the guard look up names for
//! it, such as those of an automounter: where a link leads out, the walk ends. So does it before an
//! automounter in a root. A moment later all of it may be different: the sandbox is what holds.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use stockade_core::leads::Leads;
use stockade_core::root::directories;
use stockade_kit::path::decode;

/// So many paths of one call are looked at. What has more of them is told so by the rule.
const PATHS_MAX: usize = 512;
/// So many steps are made for all of them.
const STEPS_MAX: usize = 16 * 1024;
/// As many as the kernel follows.
const LINKS_MAX: usize = 40;

/// Looks where these paths lead, as one that starts at any of the roots.
pub(crate) fn look(paths: BTreeSet<String>, roots: &[String]) -> Leads {
    let mut leads = Leads::default();
    if paths.is_empty() {
        return leads;
    }
    let roots = Roots::of(roots);
    let mut steps = STEPS_MAX;
    for path in paths.into_iter().take(PATHS_MAX) {
        let Some(file) = file(&path) else {
            leads.note(path, None);
            continue;
        };
        match roots.leads_out(Path::new(&file), &mut steps) {
            Ok(out) => leads.note(path, out),
            Err(TooFar) => break,
        }
    }
    leads
}

/// The path that a text names: that of a `file:` URI without its encoding.
fn file(text: &str) -> Option<String> {
    let is_uri = text.get(..5).is_some_and(|it| it.eq_ignore_ascii_case("file:"));
    if !is_uri {
        return Some(text.to_owned());
    }
    let rest = text.get(5..)?;
    let path = match rest.strip_prefix("//") {
        Some(of_host) => of_host.get(of_host.find('/')?..)?,
        None => rest,
    };
    decode(path).ok()
}

/// More steps than are made.
struct TooFar;

/// The roots, as they are called and as they really are.
struct Roots {
    each: Vec<(PathBuf, PathBuf)>,
}

impl Roots {
    fn of(roots: &[String]) -> Self {
        let each = directories(roots).into_iter().filter_map(|it| {
            let named = PathBuf::from(it);
            Some((named.clone(), named.canonicalize().ok()?))
        });
        Self { each: each.collect() }
    }

    /// The root that an absolute path is in, as it really is, and what is left of the path.
    fn find(&self, path: &Path) -> Option<(&Path, PathBuf)> {
        self.each.iter().find_map(|(named, real)| {
            let rest = path.strip_prefix(named).or_else(|_| path.strip_prefix(real)).ok()?;
            Some((real.as_path(), rest.to_owned()))
        })
    }

    /// The link that leads out, and where it says that it leads.
    fn leads_out(&self, path: &Path, steps: &mut usize) -> Result<Option<String>, TooFar> {
        if path.is_absolute() {
            return match self.find(path) {
                Some((root, rest)) => self.walk(root, &rest, steps),
                None => Ok(None),
            };
        }
        // Whichever root the server starts at.
        for (_, root) in &self.each {
            if let Some(out) = self.walk(root, path, steps)? {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }

    fn walk(&self, root: &Path, path: &Path, steps: &mut usize) -> Result<Option<String>, TooFar> {
        let mut at = root.to_owned();
        let mut ahead: Vec<std::ffi::OsString> = Vec::new();
        put_before(&mut ahead, path);
        let mut links = 0;
        let Some(mut walk) = Walk::begin(root) else { return Ok(None) };
        while let Some(name) = ahead.pop() {
            *steps = steps.checked_sub(1).ok_or(TooFar)?;
            if name == ".." {
                at.pop();
                // The text was found to stay inside; what climbs here was in a link.
                if !self.each.iter().any(|(_, root)| at.starts_with(root)) {
                    return Ok(Some(at.display().to_string()));
                }
                let Some(up) = Walk::to(self, &at) else { return Ok(None) };
                walk = up;
                continue;
            }
            match walk.step(&name) {
                // What is not there yet would be made here.
                Step::Nothing => return Ok(None),
                Step::There(next) => {
                    at.push(&name);
                    walk = next;
                }
                Step::Link(to) => {
                    links += 1;
                    let link = || format!("`{}` is `{}`", at.join(&name).display(), to.display());
                    if links > LINKS_MAX {
                        return Ok(Some(link()));
                    }
                    if to.is_absolute() {
                        let Some((root, rest)) = self.find(&to) else { return Ok(Some(link())) };
                        at = root.to_owned();
                        let Some(from) = Walk::begin(root) else { return Ok(None) };
                        walk = from;
                        put_before(&mut ahead, &rest);
                    } else {
                        put_before(&mut ahead, &to);
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The names of a path, the first of them on top.
fn put_before(ahead: &mut Vec<std::ffi::OsString>, path: &Path) {
    ahead.extend(path.components().rev().filter_map(|it| match it {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    }));
}

/// What a name in a directory is.
enum Step {
    /// Nothing that can be gone through.
    Nothing,
    There(Walk),
    Link(PathBuf),
}

/// A place on the way.
#[cfg(target_os = "linux")]
struct Walk(rustix::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Walk {
    fn begin(root: &Path) -> Option<Self> {
        use rustix::fs::{Mode, OFlags, open};
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open(root, flags, Mode::empty()).ok().map(Self)
    }

    /// A directory in a root, by its real path: no link was on the way to it a moment ago.
    fn to(roots: &Roots, at: &Path) -> Option<Self> {
        let (root, rest) = roots.find(at)?;
        rest.components().try_fold(Self::begin(root)?, |walk, name| {
            match walk.step(name.as_os_str()) {
                Step::There(next) => Some(next),
                Step::Nothing | Step::Link(_) => None,
            }
        })
    }

    fn step(&self, name: &std::ffi::OsStr) -> Step {
        use std::os::unix::ffi::OsStringExt;

        use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, openat, readlinkat};
        // To look up a name in an automounter's directory is to have it mounted.
        const AUTOFS: rustix::fs::FsWord = 0x0187;
        if fstatfs(&self.0).is_ok_and(|it| it.f_type == AUTOFS) {
            return Step::Nothing;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(next) = openat(&self.0, name, flags, Mode::empty()) else { return Step::Nothing };
        match fstat(&next).map(|it| FileType::from_raw_mode(it.st_mode)) {
            Ok(FileType::Symlink) => match readlinkat(&next, "", Vec::new()) {
                Ok(to) => Step::Link(std::ffi::OsString::from_vec(to.into_bytes()).into()),
                Err(_) => Step::Nothing,
            },
            Ok(_) => Step::There(Self(next)),
            Err(_) => Step::Nothing,
        }
    }
}

/// Elsewhere there is no way to look at a name without opening what it is.
#[cfg(not(target_os = "linux"))]
struct Walk;

#[cfg(not(target_os = "linux"))]
impl Walk {
    fn begin(_root: &Path) -> Option<Self> {
        None
    }

    fn to(_roots: &Roots, _at: &Path) -> Option<Self> {
        None
    }

    fn step(&self, _name: &std::ffi::OsStr) -> Step {
        Step::Nothing
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use stockade_core::leads::Lead;

    use super::*;

    #[test]
    fn a_link_that_leads_out_is_seen_wherever_it_is() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        let root = top.join("project");
        fs::create_dir_all(root.join("src/deep")).unwrap();
        fs::write(top.join("outside.txt"), "x").unwrap();
        fs::write(root.join("a.txt"), "x").unwrap();
        symlink(&root, top.join("alias")).unwrap();
        for (to, at) in [
            ("../outside.txt", "linked.txt"),
            ("../nothing.txt", "dangling.txt"),
            ("a.txt", "fine.txt"),
            ("linked.txt", "chain.txt"),
            ("chain.txt", "chain2.txt"),
            ("..", "up"),
            ("src/deep", "down"),
            ("loop", "loop"),
            ("../../a.txt", "src/deep/back.txt"),
        ] {
            symlink(to, root.join(at)).unwrap();
        }
        symlink(root.join("a.txt"), root.join("whole.txt")).unwrap();
        symlink(top.join("alias/a.txt"), root.join("aliased.txt")).unwrap();
        symlink("/etc/passwd", root.join("far.txt")).unwrap();
        let alias = top.join("alias").display().to_string();
        let cases = [
            ("linked.txt", true),
            ("dangling.txt", true),
            ("chain2.txt", true),
            ("far.txt", true),
            ("loop", true),
            ("up/outside.txt", true),
            ("src/../linked.txt", true),
            ("down/../../../outside.txt", true),
            ("fine.txt", false),
            ("whole.txt", false),
            ("aliased.txt", false),
            ("src/deep/back.txt", false),
            ("down/back.txt", false),
            ("down/../deep/new.txt", false),
            ("none/none.txt", false),
            ("a.txt/x", false),
            (".", false),
        ];
        let root = alias;
        let mut paths = BTreeSet::new();
        for (path, _) in cases {
            paths.extend([
                path.to_owned(),
                format!("{root}/{path}"),
                format!("file://{root}/{path}"),
            ]);
        }
        let leads = look(paths.clone(), std::slice::from_ref(&root));
        for (path, is_out) in cases {
            for path in [path.to_owned(), format!("{root}/{path}"), format!("file://{root}/{path}")]
            {
                let lead = leads.of(&path);
                assert_eq!(matches!(lead, Lead::Outside(_)), is_out, "{path}: {lead:?}");
            }
        }
        let many = (0..PATHS_MAX + 1).map(|it| format!("{it:04}"));
        let leads = look(many.collect(), &[root]);
        assert_eq!(leads.of("0000"), Lead::Inside);
        assert_eq!(leads.of(&format!("{PATHS_MAX:04}")), Lead::Unseen);
    }
}
