//! From what a session touched to what it needs: each root narrowed to the directory that all of it
//! was in. Never to more than the root was, and never to the whole of a home directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use stockade_sandbox::{Destination, Host, Network};

use super::session::Session;

/// What a session needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    /// Directories, and whether they are written.
    pub(super) roots: Vec<(PathBuf, bool)>,
    pub(super) programs: Vec<PathBuf>,
    /// Whom it reaches.
    pub(super) net: BTreeSet<String>,
    /// What it touched and is not given by that, in words.
    pub(super) left: Vec<String>,
}

impl Profile {
    /// For this session, of a user who has these home directories.
    pub(super) fn of(session: &Session, homes: &[PathBuf]) -> Self {
        let mut profile = Self::default();
        for (root, writes) in &session.roots {
            profile.root(root, *writes, session, homes);
        }
        profile.roots.sort();
        profile.roots.dedup();
        // What is read only has no use in what is written; what is written, in what is read, has.
        let given = profile.roots.clone();
        profile.roots.retain(|(path, writes)| {
            let is_in = |(other, other_writes): &(PathBuf, bool)| {
                other != path && path.starts_with(other) && (*other_writes || !writes)
                    || other == path && *other_writes && !writes
            };
            !given.iter().any(is_in)
        });
        let programs = session.programs.iter();
        let used = |it: &&PathBuf| session.used.iter().any(|used| used.starts_with(it));
        profile.programs = programs.filter(used).cloned().collect();
        profile.programs.sort();
        profile.programs.dedup();
        profile.net(session);
        let is_outside =
            |it: &&String| !session.roots.iter().any(|(root, _)| Path::new(it).starts_with(root));
        let outside = session.read.iter().chain(&session.written).filter(is_outside);
        profile.left.extend(outside.map(|it| format!("{it} is in no root")));
        let unreadable = session.unreadable.iter();
        profile
            .left
            .extend(unreadable.map(|it| format!("{it}, whose name nobody could read in a policy")));
        profile
    }

    /// Leaves out what is not where it was. A server that may write around a directory can put a link
    /// in its place, and what is proposed would have the next one see whatever that leads to.
    pub(super) fn where_it_was(&mut self, session: &mut Session) {
        let mut left = BTreeSet::new();
        let mut is_there = |path: &Path| {
            let says = match path.canonicalize() {
                Ok(real) if real == path => return true,
                Ok(real) => format!("leads to {} now", real.display()),
                Err(error) => format!("is not there any more: {error}"),
            };
            left.insert(format!("{} {says}", path.display()));
            false
        };
        self.roots.retain(|(path, _)| is_there(path));
        self.programs.retain(|it| is_there(it));
        session.roots.retain(|(path, _)| is_there(path));
        self.left.extend(left);
    }

    /// Of whom it might have reached, those that it has: not every name that an entry is about.
    fn net(&mut self, session: &Session) {
        let given = session.net.iter().filter_map(|it| it.parse::<Destination>().ok());
        let given = Network::new(given).unwrap_or_default();
        for reached in &session.reached {
            let asked = Host::parse_with_port(reached).ok();
            match asked.and_then(|(host, port)| given.find(&host, port)) {
                Some(entry) => {
                    let pinned = entry.pinned().map(|it| format!("={it}")).unwrap_or_default();
                    self.net.insert(format!("{reached}{pinned}"));
                }
                None => {
                    self.left
                        .push(format!("{reached} was reached, and nothing said that it may be"));
                }
            }
        }
    }

    fn root(&mut self, root: &Path, writes: bool, session: &Session, homes: &[PathBuf]) {
        // The deepest root is whose it is.
        let is_here = |it: &&Path| {
            let roots = session.roots.iter().map(|(it, _)| it);
            let holds = roots.filter(|root| it.starts_with(root));
            holds.max_by_key(|it| it.components().count()).is_some_and(|it| it == root)
        };
        let places = |touched: &BTreeSet<String>| -> BTreeSet<PathBuf> {
            touched.iter().map(Path::new).filter(is_here).map(|it| place(it, root)).collect()
        };
        let (read, written) = (places(&session.read), places(&session.written));
        let (read, written) =
            if writes { (read, written) } else { (&read | &written, BTreeSet::new()) };
        for (places, writes) in [(read, false), (written, true)] {
            for narrowed in narrowed(&places, homes) {
                if is_too_much(&narrowed, homes) {
                    let path = narrowed.display();
                    self.left
                        .push(format!("{path} as a whole is never a root: name what is in it"));
                } else {
                    self.roots.push((narrowed, writes));
                }
            }
        }
    }
}

/// The directory that was needed to touch this.
fn place(touched: &Path, root: &Path) -> PathBuf {
    let is_directory = touched.as_os_str().as_encoded_bytes().ends_with(b"/");
    // `ROOT/**` is anything in the root.
    let needed = if is_directory { Some(touched) } else { touched.parent() };
    let needed = needed.filter(|it| it.starts_with(root)).unwrap_or(root);
    needed.components().collect()
}

/// The directory that all of these are in; where that would be too much, one for each part of it.
fn narrowed(places: &BTreeSet<PathBuf>, homes: &[PathBuf]) -> Vec<PathBuf> {
    let Some(common) = common(places) else { return Vec::new() };
    if !is_too_much(&common, homes) || places.contains(&common) {
        return vec![common];
    }
    let next = |it: &PathBuf| {
        let below = it.strip_prefix(&common).ok()?;
        below.components().next().map(|it| common.join(it))
    };
    let parts: BTreeSet<PathBuf> = places.iter().filter_map(next).collect();
    let of = |part: &PathBuf| places.iter().filter(|it| it.starts_with(part)).cloned().collect();
    parts.iter().flat_map(|part| narrowed(&of(part), homes)).collect()
}

fn common(places: &BTreeSet<PathBuf>) -> Option<PathBuf> {
    let mut places = places.iter();
    let first = places.next()?.clone();
    Some(places.fold(first, |common, it| {
        let both = common.components().zip(it.components());
        both.take_while(|(a, b)| a == b).map(|(it, _)| it).collect()
    }))
}

/// The machine, or a home directory, or what holds one.
fn is_too_much(path: &Path, homes: &[PathBuf]) -> bool {
    path.parent().is_none() || homes.iter().any(|it| it.starts_with(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(roots: &[&str], read: &[&str], written: &[&str]) -> Session {
        let root = |it: &&str| {
            let (path, mode) = it.split_once(':').unwrap();
            (PathBuf::from(path), mode == "rw")
        };
        let paths = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        Session {
            roots: roots.iter().map(root).collect(),
            read: paths(read),
            written: paths(written),
            ..Session::default()
        }
    }

    fn learnt(roots: &[&str], read: &[&str], written: &[&str]) -> Vec<String> {
        let profile = Profile::of(&session(roots, read, written), &["/home/me".into()]);
        let mode = |writes: bool| if writes { "rw" } else { "ro" };
        let roots =
            profile.roots.iter().map(|(it, writes)| format!("{}:{}", it.display(), mode(*writes)));
        roots.chain(profile.left).collect()
    }

    #[test]
    fn a_root_is_narrowed_to_what_was_used() {
        let root = ["/srv/p:rw"];
        assert!(learnt(&root, &[], &[]).is_empty());
        assert_eq!(learnt(&root, &["/srv/p/docs/a"], &[]), ["/srv/p/docs:ro"]);
        assert_eq!(learnt(&root, &["/srv/p/docs/"], &[]), ["/srv/p/docs:ro"]);
        assert_eq!(learnt(&root, &["/srv/p/docs/a", "/srv/p/b"], &[]), ["/srv/p:ro"]);
        assert_eq!(learnt(&root, &["/srv/p/**"], &[]), ["/srv/p:ro"]);
        assert_eq!(learnt(&root, &[], &["/srv/p/out/a/x", "/srv/p/out/b"]), ["/srv/p/out:rw"]);
        let both = learnt(&root, &["/srv/p/docs/a"], &["/srv/p/out/b"]);
        assert_eq!(both, ["/srv/p/docs:ro", "/srv/p/out:rw"]);
        assert_eq!(learnt(&root, &["/srv/p/a"], &["/srv/p/out/b"]), ["/srv/p:ro", "/srv/p/out:rw"]);
        assert_eq!(learnt(&root, &["/srv/p/out/a"], &["/srv/p/b"]), ["/srv/p:rw"]);
        assert_eq!(learnt(&root, &["/srv/p/a"], &["/srv/p/b"]), ["/srv/p:rw"]);
    }

    #[test]
    fn two_roots_do_not_become_what_holds_both() {
        let roots = ["/srv/a:ro", "/srv/b:rw", "/srv/b/deep:ro"];
        let learnt = learnt(&roots, &["/srv/a/x", "/srv/b/deep/y"], &["/srv/b/z"]);
        assert_eq!(learnt, ["/srv/a:ro", "/srv/b:rw"]);
    }

    #[test]
    fn what_may_only_be_read_is_not_learnt_to_be_written() {
        assert_eq!(learnt(&["/srv/a:ro"], &[], &["/srv/a/x"]), ["/srv/a:ro"]);
    }

    #[test]
    fn a_home_is_never_a_root_as_a_whole() {
        let home = ["/home/me:rw"];
        let two = learnt(&home, &["/home/me/a/x", "/home/me/b/c/y"], &[]);
        assert_eq!(two, ["/home/me/a:ro", "/home/me/b/c:ro"]);
        let whole = "/home/me as a whole is never a root: name what is in it";
        assert_eq!(learnt(&home, &["/home/me/x"], &[]), [whole]);
        assert_eq!(learnt(&home, &["/home/me/"], &["/home/me/a/x"]), ["/home/me/a:rw", whole]);
        let above = learnt(&["/home:ro"], &["/home/me/a/x", "/home/other/y"], &[]);
        assert_eq!(above, ["/home/me/a:ro", "/home/other:ro"]);
    }

    #[test]
    fn what_is_in_no_root_is_named_and_left() {
        assert_eq!(learnt(&["/srv/a:rw"], &[], &["/proc/7/fd/3"]), ["/proc/7/fd/3 is in no root"]);
    }

    #[test]
    fn a_root_that_is_a_file_stays_one() {
        assert_eq!(learnt(&["/srv/a/file:ro"], &["/srv/a/file"], &[]), ["/srv/a/file:ro"]);
    }

    #[test]
    fn whom_it_reached_is_named_one_by_one() {
        let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let net = ["*.example.com:443", "db.example.org:5432=10.0.0.5", "unused.example:443"];
        let reached = ["a.example.com:443", "db.example.org:5432", "192.0.2.1:80"];
        let session = Session {
            net: texts(&net),
            reached: texts(&reached).into_iter().collect(),
            ..Session::default()
        };
        let profile = Profile::of(&session, &[]);
        let net: Vec<String> = profile.net.into_iter().collect();
        assert_eq!(net, ["a.example.com:443", "db.example.org:5432=10.0.0.5"]);
        assert_eq!(profile.left, ["192.0.2.1:80 was reached, and nothing said that it may be"]);
    }

    #[test]
    fn programs_are_kept_that_were_used() {
        let session = Session {
            programs: vec!["/opt/a".into(), "/opt/b".into()],
            used: ["/opt/a/bin/x".into(), "/usr".into()].into(),
            ..Session::default()
        };
        assert_eq!(Profile::of(&session, &[]).programs, [Path::new("/opt/a")]);
    }
}
