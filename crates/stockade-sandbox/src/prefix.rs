//! Where a program is installed, found from the program itself: what it needs beside its own file
//! is in the same prefix (nvm, pyenv, uv, volta, a virtual environment). Never a home directory,
//! nor what holds more than one program's files there.
//!
//! The user names a program, and its own prefix is shown. Everything after that is said by files:
//! links, `#!` lines and `pyvenv.cfg`, which whoever wrote the program wrote. They may lead to what
//! is seen anyway, to what lies beside them, and to a program that is installed, and nowhere else.
//! What the server itself may write leads nowhere outside of the root that it is in.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::content::{self, Program};
use crate::home::Homes;
use crate::roots::NEVER;
use crate::script;
use crate::way::{Way, walk};
use crate::{Access, Error, Root};

/// A script names an interpreter, which may be a script again; more than this is a loop.
const HOPS_MAX: usize = 24;

/// A virtual environment says in a few lines what it is of.
const PYVENV_BYTES_MAX: u64 = 16 << 10;

/// Directories of programs within a prefix.
const PROGRAM_DIRS: &[&str] = &["bin", "sbin", "libexec", "shims"];

/// What a directory has that is a program's prefix, and not just a place with a `bin` in it.
const PREFIX_SIGNS: &[&str] = &["lib", "lib64", "libexec", "pyvenv.cfg", "versions", "tools"];

/// What the directory of a whole program has, as against one that a script just lies in.
const PROJECT_SIGNS: &[&str] = &[
    "package.json",
    "node_modules",
    "pyproject.toml",
    "setup.py",
    "requirements.txt",
    "deno.json",
    "Gemfile",
    "composer.json",
    "pom.xml",
];

/// What somebody works on has these as well. It is not what another program is installed in.
const WORK_SIGNS: &[&str] = &[".git", ".hg", ".jj", ".svn", "Cargo.toml", "go.mod", ".env"];

/// What the command needs of the machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    /// Directories and files, without links in their paths.
    pub(crate) places: Vec<PathBuf>,
    /// Links that lead to a program: where, and to what.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

/// The script that an interpreter is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Script<'c> {
    /// As the command has it.
    pub(crate) named: &'c Path,
    /// Where it is.
    pub(crate) file: PathBuf,
    /// What it is installed in: the nearest directory above that is a project's, or else its own,
    /// or else the script alone.
    pub(crate) place: PathBuf,
}

/// What decides where programs are found, and where they are not installed.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub(crate) path: &'a OsStr,
    pub(crate) homes: &'a Homes,
    /// What the server sees in any case.
    pub(crate) seen: &'a [PathBuf],
    /// What a prefix may not contain, since it would be hidden by it, or hide it.
    pub(crate) roots: &'a [Root],
}

/// Why something may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Led {
    /// The user named it.
    ByUser,
    /// It is seen anyway, or belongs to what names it.
    Home,
    /// It is a program that is installed.
    ToProgram,
}

impl Search<'_> {
    /// Follows a program through links and interpreters. One that is not there needs nothing.
    pub(crate) fn follow(&self, program: &Path) -> Result<Needed, Error> {
        let mut needed = Needed::default();
        let mut queue = vec![(program.to_owned(), None)];
        let mut hops = 0;
        while let Some((path, said_by)) = queue.pop() {
            hops += 1;
            if hops > HOPS_MAX {
                break;
            }
            let Ok(way) = walk(&path) else { continue };
            let said_by: Option<PathBuf> = said_by;
            let Some(led) = self.led(&way, said_by.as_deref())? else { continue };
            let Some(program) = content::program(&way.end) else { continue };
            let first = first_said(&way, said_by.as_deref());
            for (at, to) in way.links.iter().filter(|it| !is_of_machine(&it.0)) {
                if let Some(prefix) = self.prefix_of(at).filter(|it| self.may_show(it, first)) {
                    self.need(&mut needed, &prefix, &mut queue);
                } else if !self.is_seen(at) && !needed.links.iter().any(|it| it.0 == *at) {
                    needed.links.push((at.clone(), to.clone()));
                }
            }
            let prefix = self.prefix_of(&way.end).filter(|it| self.may_show(it, first));
            let is_alone = prefix.is_none();
            self.need(&mut needed, &prefix.unwrap_or_else(|| way.end.clone()), &mut queue);
            if is_alone && led == Led::ByUser {
                self.need_library_of_user(&mut needed, &way.end, &mut queue);
            }
            let interpreters = self.interpreters(&program);
            queue.extend(interpreters.into_iter().map(|it| (it, Some(way.end.clone()))));
        }
        Ok(needed)
    }

    /// A program's path, as a shell would find it.
    pub(crate) fn find(&self, program: &OsStr, cwd: &Path) -> Option<PathBuf> {
        if program.as_bytes().contains(&b'/') {
            return Some(cwd.join(program));
        }
        let places = self.path.as_bytes().split(|it| *it == b':').map(OsStr::from_bytes);
        let places = places.map(Path::new).filter(|it| it.is_absolute());
        places.map(|it| it.join(program)).find(|it| it.is_file())
    }

    /// The script that an interpreter is given, if it is given one.
    pub(crate) fn script<'c>(
        &self,
        command: &'c [OsString],
        cwd: &Path,
    ) -> Result<Option<Script<'c>>, Error> {
        let Some(named) = script::named_in(command, cwd) else { return Ok(None) };
        let Ok(way) = walk(&cwd.join(named)) else { return Ok(None) };
        if self.led(&way, None)?.is_none() {
            return Ok(None);
        }
        let file = way.end;
        let above = || file.ancestors().skip(1).filter(|it| !self.homes.is_of_many(it));
        // What a package of npm needs lies beside it, not in it.
        let packages = above().filter(|it| it.ends_with("node_modules")).last();
        let is_project = |it: &&Path| PROJECT_SIGNS.iter().any(|sign| it.join(sign).exists());
        let own = || above().find(|it| file.parent() == Some(it));
        let place = packages.or_else(|| above().find(is_project)).or_else(own);
        let place = place.unwrap_or(&file).to_owned();
        Ok(Some(Script { named, file, place }))
    }

    /// What is a root, or in one, is seen by that.
    pub(crate) fn is_in_a_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|it| path.starts_with(&it.path))
    }

    /// Why what is at the end of a way may be shown, if it may. What names it is a file, or else the
    /// user; each link on the way names it as well.
    fn led(&self, way: &Way, said_by: Option<&Path>) -> Result<Option<Led>, Error> {
        let links = || way.links.iter().map(|(at, _)| at.as_path());
        let is_of_kernel = |it: &Path| NEVER.iter().any(|never| it.starts_with(never));
        if links().chain([way.end.as_path()]).any(is_of_kernel) {
            return Ok(None);
        }
        if self.is_seen(&way.end) {
            return Ok(Some(Led::Home));
        }
        let Some(first) = first_said(way, said_by) else { return Ok(Some(Led::ByUser)) };
        // Here the server would choose what is shown to it when it starts again.
        let writable = || self.roots.iter().filter(|it| it.access == Access::Write);
        let leads_out = |by: &Path| {
            writable().any(|it| by.starts_with(&it.path) && !way.end.starts_with(&it.path))
        };
        let is_installed = self.is_installed(&way.end);
        if let Some(by) = said_by.into_iter().chain(links()).find(|it| leads_out(it)) {
            let (by, to) = (by.to_owned(), way.end.clone());
            return if is_installed { Err(Error::LedAstray { by, to }) } else { Ok(None) };
        }
        Ok(match (self.is_beside(first, &way.end), is_installed) {
            (true, _) => Some(Led::Home),
            (false, true) => Some(Led::ToProgram),
            (false, false) => None,
        })
    }

    /// Whether a file belongs to the same program as what names it.
    fn is_beside(&self, content: &Path, end: &Path) -> bool {
        let own = content.parent().filter(|it| !self.homes.is_of_many(it)).map(Path::to_owned);
        let places = [self.prefix_of(content), self.project_of(content), own];
        places.into_iter().flatten().any(|it| end.starts_with(it))
    }

    /// Whether it is a program in a place where such are installed. One that lies anywhere is shown
    /// alone, and only if there is nothing in it that a person wrote down.
    fn is_installed(&self, end: &Path) -> bool {
        match (content::program(end), self.prefix_of(end)) {
            (None, _) => false,
            (Some(_), Some(prefix)) => !is_work(&prefix),
            (Some(Program::Binary), None) => self.project_of(end).is_none(),
            (Some(Program::Script(_)), None) => false,
        }
    }

    /// A prefix is shown to what lies in it, and to others if it is no project of somebody's.
    fn may_show(&self, prefix: &Path, first: Option<&Path>) -> bool {
        first.is_none_or(|it| self.is_beside(it, prefix)) || !is_work(prefix)
    }

    fn project_of(&self, path: &Path) -> Option<PathBuf> {
        let mut above = path.ancestors().skip(1).filter(|it| !self.homes.is_of_many(it));
        above.find(|it| is_work(it)).map(Path::to_owned)
    }

    fn need(&self, needed: &mut Needed, place: &Path, queue: &mut Vec<(PathBuf, Option<PathBuf>)>) {
        if self.is_seen(place) || needed.places.iter().any(|it| place.starts_with(it)) {
            return;
        }
        needed.places.push(place.to_owned());
        // A virtual environment says where its interpreter is at home.
        let about = place.join("pyvenv.cfg");
        let text = content::head(&about, PYVENV_BYTES_MAX).unwrap_or_default();
        let home = String::from_utf8_lossy(&text).lines().find_map(|it| {
            let (name, value) = it.split_once('=')?;
            (name.trim() == "home").then(|| PathBuf::from(value.trim()))
        });
        queue.extend(home.map(|it| (it.join("python3"), Some(about))));
    }

    /// What `pip install --user` puts beside `~/.local/bin`.
    fn need_library_of_user(
        &self,
        needed: &mut Needed,
        path: &Path,
        queue: &mut Vec<(PathBuf, Option<PathBuf>)>,
    ) {
        for home in self.homes.known() {
            let lib = home.join(".local/lib");
            if path.starts_with(home.join(".local/bin")) && lib.is_dir() {
                self.need(needed, &lib, queue);
            }
        }
    }

    fn is_seen(&self, path: &Path) -> bool {
        self.seen.iter().any(|it| path.starts_with(it))
    }

    fn prefix_of(&self, program: &Path) -> Option<PathBuf> {
        let directory = program.parent()?;
        let name = directory.file_name()?.to_str()?;
        let top = directory.parent()?;
        let has_signs = || PREFIX_SIGNS.iter().any(|it| *it != name && top.join(it).exists());
        let is_prefix = PROGRAM_DIRS.contains(&name) && has_signs()
            || name == ".bin" && top.ends_with("node_modules");
        let holds_a_root = || self.roots.iter().any(|it| it.path.starts_with(top));
        (is_prefix && !self.homes.is_of_many(top) && !holds_a_root()).then(|| top.to_owned())
    }

    /// What the first line of a script names: the interpreter, and for `env` what that starts.
    fn interpreters(&self, program: &Program) -> Vec<PathBuf> {
        let Program::Script(line) = program else { return Vec::new() };
        let mut words = line.split(u8::is_ascii_whitespace).filter(|it| !it.is_empty());
        let Some(interpreter) = words.next().map(|it| Path::new(OsStr::from_bytes(it))) else {
            return Vec::new();
        };
        let mut found = vec![interpreter.to_owned()];
        if interpreter.file_name() == Some(OsStr::new("env")) {
            let started = words.find(|it| !it.starts_with(b"-") && !it.contains(&b'='));
            let started = started.map(OsStr::from_bytes);
            found.extend(started.and_then(|it| self.find(it, Path::new("/"))));
        }
        found
    }
}

/// The first file that says where the way leads; none if only the user does.
fn first_said<'w>(way: &'w Way, said_by: Option<&'w Path>) -> Option<&'w Path> {
    let links = way.links.iter().map(|(at, _)| at.as_path()).filter(|it| !is_of_machine(it));
    said_by.into_iter().chain(links).next()
}

/// Whether it is somebody's work in progress. A version manager is a clone of its own repository.
fn is_work(top: &Path) -> bool {
    let has = |it: &&str| top.join(it).symlink_metadata().is_ok();
    PROJECT_SIGNS.iter().chain(WORK_SIGNS).any(has) && !top.join("shims").is_dir()
}

/// Whether a link is one of the machine's own, such as `/home` to `/var/home`: it lies where only
/// root puts something.
fn is_of_machine(link: &Path) -> bool {
    let above = link.parent().filter(|it| it.components().count() <= 2);
    let about = above.and_then(|it| it.metadata().ok());
    about.is_some_and(|it| it.uid() == 0 && it.mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A tree of files and links, gone with the value. A name that ends with a slash is a
    /// directory; `a -> b` is a link; `a: text` is a file, which can be executed if it begins with
    /// `ELF` or `#!`.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, what: &[&str]) -> Self {
            let top = std::env::temp_dir().join(format!("stockade-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&top);
            fs::create_dir_all(&top).unwrap();
            let top = top.canonicalize().unwrap();
            for it in what {
                let above = |at: &str| fs::create_dir_all(top.join(at).parent().unwrap()).unwrap();
                if let Some((at, to)) = it.split_once(" -> ") {
                    above(at);
                    symlink(to.replace("TOP", top.to_str().unwrap()), top.join(at)).unwrap();
                } else if let Some((at, text)) = it.split_once(": ") {
                    above(at);
                    let text = text.replace("TOP", top.to_str().unwrap());
                    fs::write(top.join(at), text.replace("ELF", "\x7fELF")).unwrap();
                    if text.starts_with("ELF") || text.starts_with("#!") {
                        let all = fs::Permissions::from_mode(0o755);
                        fs::set_permissions(top.join(at), all).unwrap();
                    }
                } else {
                    fs::create_dir_all(top.join(it)).unwrap();
                }
            }
            Self(top)
        }

        fn follow(&self, program: &str, roots: &[&str]) -> Result<Needed, Error> {
            let path = self.0.join("home/.nvm/v20/bin");
            let roots: Vec<Root> = roots.iter().map(|it| self.root(it)).collect();
            let homes = self.homes();
            let search = Search {
                path: path.as_os_str(),
                homes: &homes,
                seen: &["/usr".into(), "/bin".into()],
                roots: &roots,
            };
            search.follow(&self.0.join(program))
        }

        fn check(&self, program: &str, roots: &[&str], places: &[&str], links: &[&str]) {
            let found = self.follow(program, roots).unwrap();
            let short = |it: &Path| it.strip_prefix(&self.0).unwrap().to_str().unwrap().to_owned();
            let found_places: Vec<String> = found.places.iter().map(|it| short(it)).collect();
            let found_links: Vec<String> = found.links.iter().map(|(it, _)| short(it)).collect();
            assert_eq!(found_places, places, "{program}");
            assert_eq!(found_links, links, "{program}");
        }

        fn homes(&self) -> Homes {
            Homes::new([self.0.join("home")], 0, &[])
        }

        /// With `:rw` behind it, a writable one.
        fn root(&self, root: &str) -> Root {
            match root.strip_suffix(":rw") {
                Some(path) => Root { path: self.0.join(path), access: Access::Write },
                None => Root { path: self.0.join(root), access: Access::Read },
            }
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_program_shows_its_prefix_and_never_a_home() {
        let tree = Tree::new(
            "prefix",
            &[
                "home/.ssh/id: secret",
                "home/lib/",
                "home/bin/mine: ELF",
                "home/.cargo/credentials.toml: secret",
                "home/.cargo/lib/",
                "home/.cargo/bin/rg: ELF",
                "home/.nvm/v20/bin/node: ELF",
                "home/.nvm/v20/bin/tool -> ../lib/node_modules/tool/cli.js",
                "home/.nvm/v20/lib/node_modules/tool/cli.js: #!/usr/bin/env -S node --x\n",
                "home/.local/share/uv/tools/s/bin/s: #!TOP/home/.local/share/uv/tools/s/bin/python\n",
                "home/.local/share/uv/tools/s/bin/python -> TOP/home/.local/share/uv/python/3/bin/python3",
                "home/.local/share/uv/tools/s/pyvenv.cfg: home = TOP/home/.local/share/uv/python/3/bin\n",
                "home/.local/share/uv/python/3/bin/python3 -> python3.12",
                "home/.local/share/uv/python/3/bin/python3.12: ELF",
                "home/.local/share/uv/python/3/lib/",
                "home/.local/bin/s -> ../share/uv/tools/s/bin/s",
                "home/.local/bin/user: #!/usr/bin/python3\n",
                "home/.local/lib/python3/",
                "home/.pyenv/shims/python3: #!/usr/bin/env bash\n",
                "home/.pyenv/versions/3/bin/python3: ELF",
                "home/.pyenv/versions/3/lib/",
                "home/.pyenv/.git/config: x",
                "home/.volta/bin/node -> volta-shim",
                "home/.volta/bin/volta-shim: ELF",
                "home/.volta/tools/",
                "work/.venv/pyvenv.cfg: home = TOP/home/.pyenv/versions/3/bin",
                "work/.venv/bin/python -> TOP/home/.pyenv/versions/3/bin/python3",
                "work/.venv/bin/mcp: #!TOP/work/.venv/bin/python\n",
                "work/.venv/bin/shim: #!TOP/home/.pyenv/shims/python3\n",
                "work/node_modules/.bin/tool -> ../tool/cli.js",
                "work/node_modules/tool/cli.js: #!/usr/bin/env node\n",
                "work/bin/server: ELF",
                "work/lib/",
                "work/loop -> loop",
            ],
        );
        tree.check("home/.nvm/v20/bin/node", &[], &["home/.nvm/v20"], &[]);
        tree.check("home/.nvm/v20/bin/tool", &[], &["home/.nvm/v20"], &[]);
        tree.check("home/.cargo/bin/rg", &[], &["home/.cargo/bin/rg"], &[]);
        tree.check("home/bin/mine", &[], &["home/bin/mine"], &[]);
        let uv = ["home/.local/share/uv/tools/s", "home/.local/share/uv/python/3"];
        tree.check("home/.local/bin/s", &[], &uv, &["home/.local/bin/s"]);
        let user = ["home/.local/bin/user", "home/.local/lib"];
        tree.check("home/.local/bin/user", &[], &user, &[]);
        tree.check("home/.pyenv/shims/python3", &[], &["home/.pyenv"], &[]);
        // What would hide a root, or be hidden by it, is only the program.
        tree.check("work/bin/server", &[], &["work"], &[]);
        tree.check("work/bin/server", &["work"], &["work/bin/server"], &[]);
        tree.check("work/bin/server", &["work/notes"], &["work/bin/server"], &[]);
        tree.check("work/loop", &[], &[], &[]);
        tree.check("home/.volta/bin/node", &[], &["home/.volta"], &[]);
        let venv = ["work/.venv", "home/.pyenv/versions/3"];
        tree.check("work/.venv/bin/python", &[], &venv, &[]);
        tree.check("work/.venv/bin/mcp", &[], &venv, &[]);
        tree.check("work/.venv/bin/mcp", &["work"], &venv, &[]);
        tree.check("work/.venv/bin/shim", &[], &["work/.venv", "home/.pyenv"], &[]);
        let packages = ["work/node_modules", "home/.nvm/v20"];
        tree.check("work/node_modules/.bin/tool", &[], &packages, &[]);
        tree.check("work/none", &[], &[], &[]);
    }

    #[test]
    fn a_script_shows_what_it_is_installed_in_and_never_a_home() {
        let tree = Tree::new(
            "script",
            &[
                "home/.ssh/id: secret",
                "home/one.py: x",
                "home/package.json: {}",
                "home/app/package.json: {}",
                "home/app/node_modules/@org/tool/package.json: {}",
                "home/app/node_modules/@org/tool/dist/index.js: x",
                "home/app/src/deep/main.ts: x",
                "work/loose/script.py: x",
                "work/link.py -> loose/script.py",
                "work/stolen.js -> TOP/home/.ssh/id",
                "data/notes.txt: x",
            ],
        );
        let check = |command: &[&str], roots: &[&str], expected: Option<&str>| {
            let roots: Vec<Root> = roots.iter().map(|it| tree.root(it)).collect();
            let homes = tree.homes();
            let search = Search { path: OsStr::new(""), homes: &homes, seen: &[], roots: &roots };
            let command: Vec<OsString> = command.iter().map(OsString::from).collect();
            let found = search.script(&command, &tree.0).unwrap().map(|it| it.place);
            assert_eq!(found, expected.map(|it| tree.0.join(it)), "{command:?}");
        };
        check(&["node", "home/app/src/deep/main.ts"], &[], Some("home/app"));
        check(&["/usr/bin/node", "--x", "home/app/src/deep/main.ts"], &[], Some("home/app"));
        let tool = "home/app/node_modules/@org/tool/dist/index.js";
        check(&["node", tool, "data/notes.txt"], &[], Some("home/app/node_modules"));
        check(&["python3.12", "work/loose/script.py"], &[], Some("work/loose"));
        check(&["python3", "work/link.py"], &[], Some("work/loose"));
        // A home is not shown because a script lies in it, nor because somebody made it a project.
        check(&["python3", "home/one.py"], &[], Some("home/one.py"));
        // A root in it is mounted on it.
        check(&["node", "home/app/src/deep/main.ts"], &["home/app/src"], Some("home/app"));
        check(&["node"], &[], None);
        check(&["node", "home/none.js"], &[], None);
        check(&["node", "data"], &[], None);
        check(&["cat", "data/notes.txt"], &[], None);
        // A link opens no directory of somebody else's, and leads out of no writable root.
        check(&["node", "work/stolen.js"], &[], None);
        check(&["node", "work/stolen.js"], &["work:rw"], None);
    }

    /// Whatever a project says, of what is outside of it only installed programs are shown.
    #[test]
    fn content_leads_to_programs_and_to_nothing_else() {
        let tree = Tree::new(
            "content",
            &[
                "home/.ssh/id: secret",
                "home/.bashrc: x",
                "home/.bash_history: x",
                "home/bin/deploy: #!/bin/sh\nTOKEN=x",
                "home/bin/tool: ELF",
                "home/other/bin/x: ELF",
                "home/other/lib/",
                "home/other/.git/config: x",
                "home/other/target/x: ELF",
                "home/data/bin/notes: secret",
                "home/data/lib/",
                "opt/tool/bin/x: ELF",
                "opt/tool/lib/",
                "p/venv/bin/server: #!/usr/bin/python3\n",
                "p/venv/bin/by-line: #!TOP/p/venv/h/python3\n",
                "p/venv/bin/by-line-far: #!TOP/home/.bash_history\n",
                "p/venv/bin/by-line-kernel: #!/proc/self/cwd/x\n",
                "p/venv/bin/by-link -> TOP/home/other/bin/x",
                "p/venv/bin/by-link-to-build -> TOP/home/other/target/x",
                "p/venv/bin/by-link-to-data -> TOP/home/data/bin/notes",
                "p/venv/bin/by-link-to-script -> TOP/home/bin/deploy",
                "p/venv/bin/by-link-to-tool -> TOP/home/bin/tool",
                "p/venv/bin/by-link-to-prefix -> TOP/opt/tool/bin/x",
                "p/venv/bin/by-kernel -> /proc/self/exe",
                "p/venv/h/python3 -> TOP/home/.ssh/id",
                "p/venv/pyvenv.cfg: home = TOP/p/venv/h",
                "p/k/bin/server: #!/usr/bin/python3\n",
                "p/k/pyvenv.cfg: home = /proc/self/cwd/p/venv/h",
                "p/linked -> TOP/home/other",
                "p/plain: secret",
                "p/package.json: {}",
            ],
        );
        for name in ["server", "by-line", "by-line-far", "by-line-kernel"] {
            tree.check(&format!("p/venv/bin/{name}"), &[], &["p/venv"], &[]);
        }
        tree.check("p/k/bin/server", &[], &["p/k"], &[]);
        for name in
            ["by-link", "by-link-to-build", "by-link-to-data", "by-link-to-script", "by-kernel"]
        {
            tree.check(&format!("p/venv/bin/{name}"), &[], &[], &[]);
        }
        tree.check("p/linked/bin/x", &[], &[], &[]);
        // What is no program is not shown as one, not even if the user names it.
        tree.check("p/plain", &[], &[], &[]);
        tree.check("home/.ssh/id", &[], &[], &[]);
        tree.check("p/venv/bin/by-link-to-tool", &[], &["p/venv", "home/bin/tool"], &[]);
        tree.check("p/venv/bin/by-link-to-prefix", &[], &["p/venv", "opt/tool"], &[]);

        // What the server can write leads nowhere, also where it would lead if another had written it.
        for name in ["by-link-to-tool", "by-link-to-prefix"] {
            let found = tree.follow(&format!("p/venv/bin/{name}"), &["p:rw"]);
            assert!(matches!(found, Err(Error::LedAstray { .. })), "{name}: {found:?}");
        }
        for name in ["server", "by-line", "by-line-far"] {
            tree.check(&format!("p/venv/bin/{name}"), &["p:rw"], &["p/venv"], &[]);
        }
    }

    /// A pipe would hold the guard, and a device has no end.
    #[test]
    fn what_is_no_file_is_not_read() {
        let tree = Tree::new(
            "no-file",
            &[
                "p/bin/server: #!/usr/bin/python3\n",
                "p/lib/",
                "p/pyvenv.cfg -> /dev/zero",
                "q/lib/",
            ],
        );
        tree.check("p/bin/server", &[], &["p"], &[]);
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            tree.0.join("q/pyvenv.cfg"),
            rustix::fs::Mode::from_raw_mode(0o755),
        )
        .unwrap();
        fs::create_dir(tree.0.join("q/bin")).unwrap();
        fs::rename(tree.0.join("p/bin/server"), tree.0.join("q/bin/server")).unwrap();
        tree.check("q/bin/server", &[], &["q"], &[]);
    }
}
