//! Roots as they really are: what they are refused for, and what stays read only in one that may be
//! written.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access as May, access};
use rustix::process::geteuid;

use crate::held::{AsFound, Found};
use crate::home::looks_like_home;
use crate::mounted::Mounted;
use crate::plan::SYSTEM;
use crate::way::Way;
use crate::{Access, Error, Root};

/// Places that are never a root: what they show is the machine, not files.
pub(crate) const NEVER: &[&str] = &["/proc", "/sys", "/dev"];

/// Files in a project, or a home, that other tools execute or trust. A server that could write them
/// would run outside of its sandbox as soon as somebody commits, logs in, opens an editor or changes
/// into the directory. Of a repository that is all of it: its configuration names programs, and what
/// is its configuration is said in many places.
pub(crate) const TRUSTED: &[&str] = &[
    ".git",
    ".gitmodules",
    ".hg",
    ".jj",
    ".husky",
    ".pre-commit-config.yaml",
    "lefthook.yml",
    "lefthook.yaml",
    ".lefthook.yml",
    ".github",
    ".gitlab-ci.yml",
    ".circleci",
    ".stockade",
    ".vscode",
    ".idea",
    ".zed",
    ".devcontainer",
    ".devcontainer.json",
    ".vim",
    ".vimrc",
    ".exrc",
    ".nvimrc",
    ".nvim.lua",
    ".lvimrc",
    ".config/nvim",
    ".config/vim",
    ".emacs",
    ".emacs.d",
    ".config/emacs",
    ".dir-locals.el",
    ".gdbinit",
    ".lldbinit",
    ".mcp.json",
    ".cursor",
    ".claude",
    ".claude.json",
    ".config/Claude",
    ".codex",
    ".gemini",
    ".windsurf",
    ".codeium",
    ".continue",
    ".roo",
    ".clinerules",
    ".kiro",
    ".amazonq",
    ".aws/amazonq",
    ".junie",
    "opencode.json",
    "opencode.jsonc",
    ".opencode",
    ".config/opencode",
    ".config/goose",
    ".config/zed",
    ".config/Code",
    ".config/Code - Insiders",
    ".config/VSCodium",
    ".config/Cursor",
    ".config/Windsurf",
    ".config/github-copilot",
    ".copilot",
    ".lmstudio",
    ".warp",
    ".config/mcp",
    ".docker",
    ".envrc",
    ".env",
    ".mise.toml",
    "mise.toml",
    ".config/mise",
    ".config/direnv",
    ".direnvrc",
    ".tool-versions",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pnpmfile.cjs",
    ".config/pip",
    ".pip",
    ".config/uv",
    ".gemrc",
    ".irbrc",
    ".Rprofile",
    ".cargo/config",
    ".cargo/config.toml",
    ".cargo/bin",
    ".cargo/env",
    ".gradle/init.gradle",
    ".gradle/init.d",
    ".m2/settings.xml",
    ".ipython",
    ".jupyter",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".xprofile",
    ".xsession",
    ".xsessionrc",
    ".xinitrc",
    ".pam_environment",
    ".tmux.conf",
    ".screenrc",
    ".config/tmux",
    ".config/fish",
    ".config/autostart",
    ".config/systemd",
    ".config/environment.d",
    ".local/share/systemd",
    ".local/share/applications",
    ".local/bin",
    ".gitconfig",
    ".config/git",
    ".ssh",
    ".gnupg",
];

/// The same, in a home directory alone: elsewhere it is a name like any other.
const TRUSTED_OF_HOME: &[&str] = &["bin"];

/// In a repository that is a writable root itself. It keeps what a mistake would change, and not a
/// server that means it: whoever may write a repository may have git execute something.
const TRUSTED_OF_GIT: &[&str] = &["hooks", "config", "config.worktree", "info/attributes"];

/// Repositories further down are looked for among so many names, and so many are mounted on
/// themselves: each costs the keeper a descriptor, and one for every directory on the way.
pub(crate) const NAMES_MAX: usize = 200_000;
pub(crate) const REPOSITORIES_MAX: usize = 128;

/// The roots without a link in their paths, and none that shows the machine or that the server
/// could have moved; and what each of them is.
pub(crate) fn real(
    roots: &[Root],
    as_found: &AsFound,
    here: &Path,
) -> Result<(Vec<Root>, Vec<Found>), Error> {
    let mounted = Mounted::read()?;
    let mut real: Vec<Root> = Vec::new();
    let mut all = Vec::new();
    for root in roots {
        let found = as_found.find(&root.path, here)?;
        let end = &found.way.end;
        mounted.check(&root.path, end)?;
        if root.access == Access::Write && is_of_programs(end) {
            return Err(Error::NeverWritten { path: root.path.clone() });
        }
        if real.iter().any(|it| it.path == *end && it.access != root.access) {
            return Err(Error::TwoAccesses { path: root.path.clone() });
        }
        readable(&found).map_err(|source| Error::Place { path: root.path.clone(), source })?;
        real.push(Root { path: end.clone(), access: root.access });
        all.push(found);
    }
    for (root, found) in roots.iter().zip(&all) {
        stays(&root.path, &found.way, &real)?;
    }
    Ok((real, all))
}

/// A place of programs that was named, like a root.
pub(crate) fn program(
    path: &Path,
    as_found: &AsFound,
    here: &Path,
    roots: &[Root],
) -> Result<Found, Error> {
    let found = as_found.find(path, here)?;
    Mounted::read()?.check(path, &found.way.end)?;
    readable(&found).map_err(|source| Error::Place { path: path.to_owned(), source })?;
    stays(path, &found.way, roots)?;
    Ok(found)
}

/// What is read only in a writable root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trusted {
    pub(crate) places: Vec<PathBuf>,
    /// Whether that is all. A server that may make directories could have made so many that others
    /// are not found any more.
    pub(crate) all: bool,
}

/// What is read only in a writable root, as far as it is there. A link is not followed: what it
/// leads to is not in this root, or is found by itself. What is a root itself is what was asked for.
pub(crate) fn trusted(root: &Path, roots: &[Root]) -> Trusted {
    let is_repository = root.file_name().is_some_and(|it| it == ".git");
    let names = if is_repository { TRUSTED_OF_GIT } else { TRUSTED };
    let is_there = |it: &PathBuf| it.canonicalize().is_ok_and(|real| real == *it);
    let of_home: &[&str] = if looks_like_home(root) { TRUSTED_OF_HOME } else { &[] };
    let here = names.iter().chain(of_home).map(|it| root.join(it)).filter(is_there);
    let below = if is_repository { Some(Vec::new()) } else { repositories_below(root) };
    let all = below.is_some();
    let places = here.chain(below.unwrap_or_default());
    let places = places.filter(|it| roots.iter().all(|root| root.path != *it)).collect();
    Trusted { places, all }
}

/// Repositories, and working trees of others, in the directories of a root; nothing where there is
/// too much to look through, or too many are found.
fn repositories_below(root: &Path) -> Option<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut ahead = VecDeque::from([root.to_owned()]);
    let mut names = 0;
    while let Some(directory) = ahead.pop_front() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            names += 1;
            if names > NAMES_MAX || found.len() > REPOSITORIES_MAX {
                return None;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name();
            if name == ".git" {
                if directory != root && !kind.is_symlink() {
                    found.push(entry.path());
                }
            } else if kind.is_dir() && name != "node_modules" {
                ahead.push_back(entry.path());
            }
        }
    }
    (found.len() <= REPOSITORIES_MAX).then_some(found)
}

/// Whether a place is, or is in, what other tools execute or trust, as far as `named` does not say so:
/// a path that it begins with, and that somebody has written down.
pub fn is_trusted(path: &Path, named: &Path) -> bool {
    let names = |it: &Path| it.iter().map(ToOwned::to_owned).collect::<Vec<OsString>>();
    let in_home = |it: &Path| TRUSTED_OF_HOME.iter().map(|name| it.join(name)).collect::<Vec<_>>();
    let mut of_homes = path.ancestors().filter(|it| looks_like_home(it)).flat_map(in_home);
    if of_homes.any(|it| path.starts_with(&it) && !named.starts_with(&it)) {
        return true;
    }
    let (path, named) = (names(path), names(named).len());
    let of_git = TRUSTED_OF_GIT.iter().map(|it| Path::new(".git").join(it));
    let trusted = TRUSTED.iter().map(PathBuf::from).chain(of_git);
    trusted.map(|it| names(&it)).any(|it| {
        let at = path.windows(it.len()).enumerate().filter(|(_, part)| *part == it);
        at.map(|(at, _)| at + it.len()).any(|end| end > named)
    })
}

/// Whether the directory of this could be a server's writable root, or in one. A server of root's
/// guard writes as whoever owns its root, so for root that is every directory that may be one.
pub(crate) fn is_open_to_servers(path: &Path) -> bool {
    path.parent().is_some_and(|it| {
        !is_of_programs(it) && (geteuid().is_root() || access(it, May::WRITE_OK).is_ok())
    })
}

/// A server that may write to a link on the way would choose what is shown when it starts again.
fn stays(asked: &Path, way: &Way, roots: &[Root]) -> Result<(), Error> {
    let writable = || roots.iter().filter(|it| it.access == Access::Write);
    let link = way.links.iter().find(|(at, _)| writable().any(|it| at.starts_with(&it.path)));
    let moved = |(link, _): &(PathBuf, PathBuf)| Error::ByALink {
        path: asked.to_owned(),
        link: link.clone(),
        real: way.end.clone(),
    };
    link.map(moved).map_or(Ok(()), Err)
}

/// Whether programs of the system could not be executed any more if it were a writable root.
fn is_of_programs(path: &Path) -> bool {
    let real = SYSTEM.iter().filter_map(|it| Path::new(it).canonicalize().ok());
    real.into_iter().any(|it| it.starts_with(path))
}

/// Whether this user may look into it. Root may look into everything.
fn readable(found: &Found) -> io::Result<()> {
    let look = if found.is_directory() { May::READ_OK | May::EXEC_OK } else { May::READ_OK };
    if geteuid().is_root() { Ok(()) } else { Ok(access(found.real(), look)?) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::Link;

    /// A directory that is gone with the value.
    struct Top(PathBuf);

    impl Top {
        fn new(name: &str, directories: &[&str]) -> Self {
            let top =
                std::env::temp_dir().join(format!("stockade-roots-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&top);
            for it in directories {
                fs::create_dir_all(top.join(it)).unwrap();
            }
            Self(top.canonicalize().unwrap())
        }

        fn root(&self, path: &str, access: Access) -> Root {
            Root { path: self.0.join(path), access }
        }
    }

    impl Drop for Top {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_shows_the_machine_is_never_a_root() {
        for path in ["/", "/proc", "/proc/self", "/sys/kernel", "/dev", "/dev/shm", "/usr/../proc"]
        {
            let root = Root { path: path.into(), access: Access::Read };
            let refused = real(&[root], &AsFound::default(), Path::new("/"));
            assert!(matches!(refused, Err(Error::NeverARoot { .. })), "{path}: {refused:?}");
            let refused = program(Path::new(path), &AsFound::default(), Path::new("/"), &[]);
            assert!(matches!(refused, Err(Error::NeverARoot { .. })), "{path}: {refused:?}");
        }
        let none = Root { path: "/no/such/place".into(), access: Access::Read };
        assert!(matches!(
            real(&[none], &AsFound::default(), Path::new("/")),
            Err(Error::Place { .. })
        ));
        for path in ["/usr", "/usr/bin"] {
            let root = Root { path: path.into(), access: Access::Write };
            let refused = real(&[root], &AsFound::default(), Path::new("/"));
            assert!(matches!(refused, Err(Error::NeverWritten { .. })), "{path}: {refused:?}");
        }
    }

    #[test]
    fn a_root_is_not_where_a_server_says_it_is() {
        let top = Top::new("moved", &["rw/data", "other"]);
        symlink(top.0.join("other"), top.0.join("rw/link")).unwrap();
        symlink(top.0.join("other"), top.0.join("own")).unwrap();
        let rw = || top.root("rw", Access::Write);
        for roots in [
            vec![rw(), top.root("rw/link", Access::Read)],
            vec![top.root("rw/link", Access::Read), rw()],
            vec![rw(), top.root("rw/link/../rw/data", Access::Write)],
        ] {
            let refused = real(&roots, &AsFound::default(), Path::new("/"));
            assert!(matches!(refused, Err(Error::ByALink { .. })), "{roots:?}: {refused:?}");
        }
        let (writable, _) = real(&[rw()], &AsFound::default(), Path::new("/")).unwrap();
        let refused =
            program(&top.0.join("rw/link"), &AsFound::default(), Path::new("/"), &writable);
        assert!(matches!(refused, Err(Error::ByALink { .. })), "{refused:?}");
        let roots = [rw(), top.root("own", Access::Read)];
        let (found, _) = real(&roots, &AsFound::default(), Path::new("/")).unwrap();
        assert_eq!(found, [rw(), top.root("other", Access::Read)]);
        let readable = [top.root("rw", Access::Read), top.root("rw/link", Access::Read)];
        assert!(real(&readable, &AsFound::default(), Path::new("/")).is_ok());
    }

    #[test]
    fn a_place_is_written_or_it_is_not() {
        let top = Top::new("twice", &["a"]);
        let (read, write) = (top.root("a", Access::Read), top.root("a", Access::Write));
        for roots in [[read.clone(), write.clone()], [write, top.root("a/.", Access::Read)]] {
            let refused = real(&roots, &AsFound::default(), Path::new("/"));
            assert!(matches!(refused, Err(Error::TwoAccesses { .. })), "{refused:?}");
        }
        assert!(real(&[read.clone(), read], &AsFound::default(), Path::new("/")).is_ok());
    }

    #[test]
    fn a_repository_is_read_only_wherever_it_is_in_a_root() {
        let top = Top::new(
            "git",
            &[
                ".git/hooks",
                ".github",
                "a/.git",
                "a/b/sub",
                "node_modules/x/.git",
                "c/.git/modules/.git",
            ],
        );
        fs::write(top.0.join("a/b/sub/.git"), "gitdir: x").unwrap();
        symlink("a/.git", top.0.join("linked")).unwrap();
        let found = |root: &str, roots: &[Root]| {
            let found = trusted(&top.0.join(root), roots);
            assert!(found.all);
            let short = found.places.iter().map(|it| it.strip_prefix(&top.0).unwrap().to_owned());
            let mut short: Vec<PathBuf> = short.collect();
            short.sort();
            short
        };
        let all = [".git", ".github", "a/.git", "a/b/sub/.git", "c/.git"].map(PathBuf::from);
        assert_eq!(found(".", &[]), all);
        let named = [top.root(".git", Access::Write), top.root("a/.git", Access::Write)];
        assert_eq!(found("", &named), [&all[1..2], &all[3..]].concat());
        assert_eq!(found(".git", &named), [PathBuf::from(".git/hooks")]);
    }
    #[test]
    fn more_repositories_than_are_protected_are_not_passed_over() {
        let top = Top::new("many", &["deep/down/.git"]);
        for it in 1..REPOSITORIES_MAX {
            fs::create_dir_all(top.0.join(format!("{it}/.git"))).unwrap();
        }
        let found = trusted(&top.0, &[]);
        assert!(found.all && found.places.contains(&top.0.join("deep/down/.git")));
        fs::create_dir_all(top.0.join("one/more/.git")).unwrap();
        assert_eq!(trusted(&top.0, &[]), Trusted { places: Vec::new(), all: false });
    }

    #[test]
    fn what_is_trusted_is_told_from_what_was_named() {
        for (path, named, is) in [
            ("/p/a", "/p", false),
            ("/p/a/.git", "/p", true),
            ("/p/a/.git/hooks/x", "/p", true),
            ("/p/a.git/hooks", "/p", false),
            ("/p/.vscode/sub", "/", true),
            ("/h/.local/share", "/h", false),
            ("/h/.local/bin/x", "/h/.local", true),
            ("/h/.local/bin/x", "/h/.local/bin", false),
            ("/p/.git/objects", "/p/.git", false),
            ("/p/.git/hooks", "/p/.git", true),
            ("/p/.git/hooks", "/p/.git/hooks", false),
            ("/h/.claude/x/.git", "/h/.claude", true),
            ("/home/u/bin/x", "/home/u", true),
            ("/home/u/bin/x", "/home/u/bin", false),
            ("/p/bin/x", "/p", false),
        ] {
            assert_eq!(is_trusted(Path::new(path), Path::new(named)), is, "{path} in {named}");
        }
    }

    #[test]
    fn a_link_that_a_server_may_have_made_is_told_from_one_of_the_system() {
        let top = Top::new("led", &["there"]);
        symlink(top.0.join("there"), top.0.join("link")).unwrap();
        let led_by = |path: &Path| Found::look(path).map(|it| it.link());
        let led = led_by(&top.0.join("link")).unwrap();
        assert_eq!(led, Some(Link { at: top.0.join("link"), real: top.0.join("there") }));
        assert_eq!(led_by(&top.0.join("there")).unwrap(), None);
        assert!(led_by(&top.0.join("none")).is_err());
        for link in ["/bin", "/lib", "/sbin"].map(Path::new) {
            if link.is_symlink() {
                assert_eq!(led_by(link).unwrap(), None, "{}", link.display());
            }
        }
    }
}
