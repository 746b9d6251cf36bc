//! Which files of a directory are read. Nothing is started, and no link is followed.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::language::Language;
use crate::report::{Failure, Skipped};
use crate::{Limits, report::Cause};

/// What was found, before anything of it is parsed.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) files: Vec<Source>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) failures: Vec<Failure>,
}

#[derive(Debug)]
pub(crate) struct Source {
    /// Below the root, with `/` between.
    pub(crate) path: String,
    pub(crate) language: Language,
    pub(crate) text: String,
}

/// Directories that hold what others wrote, what was made, or what is no part of the server.
const OTHERS: &[&str] = &[
    "node_modules",
    ".git",
    ".hg",
    ".svn",
    "venv",
    ".venv",
    "env",
    "site-packages",
    "__pycache__",
    "vendor",
    "target",
    ".tox",
    ".mypy_cache",
    ".next",
    "coverage",
    ".cache",
    "bower_components",
    ".eggs",
];
const TESTS: &[&str] = &["test", "tests", "__tests__", "testdata", "fixtures", "e2e", "spec"];

/// Names in one directory that are looked at, whatever they are.
const ENTRIES_MAX: usize = 200_000;

/// Looks for sources under `root`, which may also be a single file.
pub(crate) fn find(root: &Path, limits: &Limits, end: Instant) -> Found {
    let mut out = Found::default();
    let mut bytes = 0;
    let mut open: Vec<(PathBuf, u32)> = Vec::new();
    // Whoever names a link means what it leads to.
    match fs::metadata(root) {
        Ok(it) if it.is_file() => {
            out.take(root, root, limits, &mut bytes);
            return out;
        }
        Ok(_) => open.push((root.to_owned(), 0)),
        Err(_) => out.fail(root, root, Cause::Unreadable),
    }
    while let Some((directory, depth)) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            out.fail(root, &directory, Cause::Unreadable);
            continue;
        };
        let mut below = Vec::new();
        for entry in entries {
            if below.len() >= ENTRIES_MAX || Instant::now() > end {
                let late = Instant::now() > end;
                let cause = if late { Cause::OutOfTime } else { Cause::TooMany };
                out.fail(root, &directory, cause);
                break;
            }
            let Ok(entry) = entry else {
                out.fail(root, &directory, Cause::Unreadable);
                continue;
            };
            below.push(entry.path());
        }
        // The same order everywhere, so that a report can be compared with the one before.
        below.sort();
        for path in below {
            let Ok(it) = fs::symlink_metadata(&path) else {
                out.fail(root, &path, Cause::Unreadable);
                continue;
            };
            let name = path.file_name().and_then(|it| it.to_str()).unwrap_or("").to_owned();
            if it.is_symlink() {
                // Whatever it leads to is read where it is, or is not part of this.
                if Language::of(&path).is_some() || path.is_dir() {
                    out.skip(root, &path, "a link");
                }
            } else if it.is_dir() {
                let made = matches!(name.as_str(), "dist" | "build" | "out") && !limits.built;
                if OTHERS.contains(&name.as_str()) {
                    out.skip(root, &path, "what others wrote");
                } else if TESTS.contains(&name.as_str()) && !limits.tests {
                    out.skip(root, &path, "tests");
                } else if made && has_source(&directory) {
                    out.skip(root, &path, "made from the source beside it");
                } else if depth >= limits.depth {
                    out.fail(root, &path, Cause::TooDeep);
                } else {
                    open.push((path, depth + 1));
                }
            } else if it.is_file() {
                if out.files.len() >= limits.files || Instant::now() > end {
                    let cause =
                        if Instant::now() > end { Cause::OutOfTime } else { Cause::TooMany };
                    out.fail(root, &path, cause);
                    return out;
                }
                out.take(root, &path, limits, &mut bytes);
            } else if Language::of(&path).is_some() {
                out.skip(root, &path, "no file");
            }
        }
    }
    out.files.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// Whether a directory that was built lies beside what it was built from.
fn has_source(directory: &Path) -> bool {
    directory.join("src").is_dir() || directory.join("tsconfig.json").is_file()
}

impl Found {
    fn take(&mut self, root: &Path, path: &Path, limits: &Limits, bytes: &mut u64) {
        let Some(language) = Language::of(path) else { return };
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or("");
        if is_test(name) && !limits.tests {
            return self.skip(root, path, "tests");
        }
        if name.ends_with(".d.ts") || name.ends_with(".d.mts") || name.ends_with(".min.js") {
            return self.skip(root, path, "declarations or minified");
        }
        let Ok(file) = open(path, path == root) else {
            return self.fail(root, path, Cause::Unreadable);
        };
        let mut raw = Vec::new();
        if file.take(limits.file_bytes + 1).read_to_end(&mut raw).is_err() {
            return self.fail(root, path, Cause::Unreadable);
        }
        let size = raw.len() as u64;
        if size > limits.file_bytes {
            return self.fail(root, path, Cause::TooLarge);
        }
        *bytes += size;
        if *bytes > limits.bytes {
            return self.fail(root, path, Cause::TooMany);
        }
        let Ok(text) = String::from_utf8(raw) else { return self.fail(root, path, Cause::NotText) };
        if language.is_script() && is_minified(&text) {
            return self.skip(root, path, "declarations or minified");
        }
        self.files.push(Source { path: below(root, path), language, text });
    }

    fn skip(&mut self, root: &Path, path: &Path, why: &'static str) {
        self.skipped.push(Skipped { path: below(root, path), why });
    }

    fn fail(&mut self, root: &Path, path: &Path, cause: Cause) {
        self.failures.push(Failure { path: below(root, path), cause });
    }
}

/// Opens a file. One that has become a link or a pipe since it was looked at is not followed, and not
/// waited for.
fn open(path: &Path, named: bool) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::fs::OFlags;

        let links = if named { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | links;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn below(root: &Path, path: &Path) -> String {
    let it = path.strip_prefix(root).unwrap_or(path);
    let it = if it.as_os_str().is_empty() { path.file_name().map_or(path, Path::new) } else { it };
    it.to_string_lossy().replace('\\', "/")
}

fn is_test(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    stem.starts_with("test_")
        || stem.ends_with("_test")
        || name.contains(".test.")
        || name.contains(".spec.")
        || matches!(stem, "conftest" | "setup" | "jest" | "vitest")
}

/// Lines so long that nobody wrote them.
fn is_minified(text: &str) -> bool {
    text.len() > 2000 && text.lines().count() * 400 < text.len()
}
