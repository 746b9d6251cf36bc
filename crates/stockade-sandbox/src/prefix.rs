//! Where a program is installed, found from the program itself: what it needs beside its own file
//! is in the same prefix (nvm, pyenv, uv, volta, a virtual environment). Never a home directory,
//! nor what holds more than one program's files there.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A script names an interpreter, which may be a link or a script again; more than this is a loop.
const HOPS_MAX: usize = 24;

/// Directories of programs within a prefix.
const PROGRAM_DIRS: &[&str] = &["bin", "sbin", "libexec", "shims"];

/// What a directory has that is a program's prefix, and not just a place with a `bin` in it.
const PREFIX_SIGNS: &[&str] = &["lib", "lib64", "libexec", "pyvenv.cfg", "versions", "tools"];

/// How the names of programs begin whose first argument that is a file is what they run.
const INTERPRETERS: &[&str] = &[
    "node", "python", "pypy", "deno", "bun", "tsx", "ts-node", "ruby", "perl", "php", "lua",
    "java", "dotnet", "Rscript", "sh", "bash", "dash", "zsh",
];

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

/// Below a home directory, these belong to many programs and hold credentials of some.
const SHARED: &[&str] = &[".local", ".cargo", ".config", ".cache"];

/// What the command needs of the machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    /// Directories and files, without links in their paths.
    pub(crate) places: Vec<PathBuf>,
    /// Links that lead to a program: where, and to what.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

/// What decides where programs are found, and where they are not installed.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub(crate) path: &'a OsStr,
    pub(crate) homes: &'a [PathBuf],
    /// What the server sees in any case.
    pub(crate) seen: &'a [PathBuf],
    /// What a prefix may not contain, since it would be hidden by it, or hide it.
    pub(crate) roots: &'a [PathBuf],
}

impl Search<'_> {
    /// Follows a program through links and interpreters. One that is not there needs nothing.
    pub(crate) fn follow(&self, program: &Path) -> Needed {
        let mut needed = Needed::default();
        let mut queue = vec![program.to_owned()];
        let mut hops = 0;
        while let Some(next) = queue.pop() {
            hops += 1;
            if hops > HOPS_MAX {
                break;
            }
            let Some(path) = without_links_above(&next) else { continue };
            if let Ok(to) = fs::read_link(&path) {
                if let Some(prefix) = self.prefix_of(&path) {
                    self.need(&mut needed, &prefix, &mut queue);
                } else if !self.is_seen(&path) && !needed.links.iter().any(|it| it.0 == path) {
                    needed.links.push((path.clone(), to.clone()));
                }
                queue.extend(path.parent().map(|it| it.join(to)));
                continue;
            }
            if !path.is_file() {
                continue;
            }
            let place = self.prefix_of(&path).unwrap_or_else(|| path.clone());
            self.need(&mut needed, &place, &mut queue);
            if place == path && !self.is_seen(&path) {
                self.need_library_of_user(&mut needed, &path, &mut queue);
            }
            queue.extend(self.interpreters(&path));
        }
        needed
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

    /// The script that an interpreter is given, as it is named, and what it is installed in: the
    /// nearest directory above that is a project's, or else its own, or else the script alone.
    pub(crate) fn script<'c>(
        &self,
        command: &'c [OsString],
        cwd: &Path,
    ) -> Option<(&'c Path, PathBuf)> {
        let (program, arguments) = command.split_first()?;
        let name = Path::new(program).file_name()?.as_bytes();
        let is_interpreter = INTERPRETERS.iter().any(|it| name.starts_with(it.as_bytes()));
        let mut files = arguments.iter().map(Path::new);
        let named = files.find(|it| is_interpreter && cwd.join(it).is_file())?;
        let script = cwd.join(named).canonicalize().ok()?;
        let above = || script.ancestors().skip(1).filter(|it| !self.is_of_many(it));
        // What a package of npm needs lies beside it, not in it.
        let packages = above().filter(|it| it.ends_with("node_modules")).last();
        let is_project = |it: &&Path| PROJECT_SIGNS.iter().any(|sign| it.join(sign).exists());
        let own = || above().find(|it| script.parent() == Some(it));
        let place = packages.or_else(|| above().find(is_project)).or_else(own);
        let place = place.unwrap_or(&script).to_owned();
        Some((named, place))
    }

    /// What is a root, or in one, is seen by that.
    pub(crate) fn is_in_a_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|it| path.starts_with(it))
    }

    fn need(&self, needed: &mut Needed, place: &Path, queue: &mut Vec<PathBuf>) {
        if self.is_seen(place) || needed.places.iter().any(|it| place.starts_with(it)) {
            return;
        }
        needed.places.push(place.to_owned());
        // A virtual environment says where its interpreter is at home.
        let about = fs::read_to_string(place.join("pyvenv.cfg")).unwrap_or_default();
        let home = about.lines().find_map(|it| {
            let (name, value) = it.split_once('=')?;
            (name.trim() == "home").then(|| PathBuf::from(value.trim()))
        });
        queue.extend(home.map(|it| it.join("python3")));
    }

    /// What `pip install --user` puts beside `~/.local/bin`.
    fn need_library_of_user(&self, needed: &mut Needed, path: &Path, queue: &mut Vec<PathBuf>) {
        for home in self.homes {
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
        let is_prefix = PROGRAM_DIRS.contains(&name)
            && PREFIX_SIGNS.iter().any(|it| *it != name && top.join(it).exists());
        (is_prefix && self.may_be_shown(top)).then(|| top.to_owned())
    }

    fn is_of_many(&self, top: &Path) -> bool {
        let is_home = self.homes.iter().any(|home| {
            home.starts_with(top) || SHARED.iter().any(|it| home.join(it).starts_with(top))
        });
        // `/opt` and the like are of many programs, `/tmp` of everybody.
        is_home || top.components().count() < 3
    }

    fn may_be_shown(&self, top: &Path) -> bool {
        let holds_a_root = self.roots.iter().any(|it| it.starts_with(top));
        !self.is_of_many(top) && !holds_a_root
    }

    /// What the first line of a script names: the interpreter, and for `env` what that starts.
    fn interpreters(&self, script: &Path) -> Vec<PathBuf> {
        let mut start = Vec::new();
        let read = File::open(script).and_then(|it| it.take(512).read_to_end(&mut start));
        let line = match (read, start.strip_prefix(b"#!")) {
            (Ok(_), Some(rest)) => rest.split(|it| *it == b'\n').next().unwrap_or_default(),
            _ => return Vec::new(),
        };
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

/// The path with the links above it followed, and the last part as it is.
fn without_links_above(path: &Path) -> Option<PathBuf> {
    let name = path.components().next_back().filter(|it| matches!(it, Component::Normal(_)))?;
    Some(path.parent()?.canonicalize().ok()?.join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A tree of files and links, gone with the value. A name that ends with a slash is a
    /// directory; `a -> b` is a link; `a: text` is a file.
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
                    symlink(to, top.join(at)).unwrap();
                } else if let Some((at, text)) = it.split_once(": ") {
                    above(at);
                    fs::write(top.join(at), text.replace("TOP", top.to_str().unwrap())).unwrap();
                } else {
                    fs::create_dir_all(top.join(it)).unwrap();
                }
            }
            Self(top)
        }

        fn check(&self, program: &str, roots: &[&str], places: &[&str], links: &[&str]) {
            let path = self.0.join("home/.nvm/v20/bin");
            let roots: Vec<PathBuf> = roots.iter().map(|it| self.0.join(it)).collect();
            let search = Search {
                path: path.as_os_str(),
                homes: &[self.0.join("home")],
                seen: &["/usr".into(), "/bin".into()],
                roots: &roots,
            };
            let found = search.follow(&self.0.join(program));
            let short = |it: &Path| it.strip_prefix(&self.0).unwrap().to_str().unwrap().to_owned();
            let found_places: Vec<String> = found.places.iter().map(|it| short(it)).collect();
            let found_links: Vec<String> = found.links.iter().map(|(it, _)| short(it)).collect();
            assert_eq!(found_places, places, "{program}");
            assert_eq!(found_links, links, "{program}");
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
                "home/.local/share/uv/tools/s/bin/python -> TOP",
                "home/.local/share/uv/tools/s/pyvenv.cfg: home = TOP/home/.local/share/uv/python/3/bin\n",
                "home/.local/share/uv/python/3/bin/python3: ELF",
                "home/.local/share/uv/python/3/lib/",
                "home/.local/bin/s -> ../share/uv/tools/s/bin/s",
                "home/.local/bin/user: #!/usr/bin/python3\n",
                "home/.local/lib/python3/",
                "home/.pyenv/shims/python3: #!/usr/bin/env bash\n",
                "home/.pyenv/versions/3/bin/",
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
        tree.check("work/loop", &[], &[], &["work/loop"]);
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
                "data/notes.txt: x",
            ],
        );
        let check = |command: &[&str], roots: &[&str], expected: Option<&str>| {
            let roots: Vec<PathBuf> = roots.iter().map(|it| tree.0.join(it)).collect();
            let homes = [tree.0.join("home")];
            let search = Search { path: OsStr::new(""), homes: &homes, seen: &[], roots: &roots };
            let command: Vec<OsString> = command.iter().map(OsString::from).collect();
            let found = search.script(&command, &tree.0).map(|(_, place)| place);
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
    }
}
