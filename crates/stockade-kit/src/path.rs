//! Is this path inside a root? Answered from the text alone, without a disk: what a guard can ask
//! about a path that somebody else is going to open.
//!
//! Paths are POSIX paths; what is written for another system is refused. It is a check, not an
//! enforcement. A symlink inside the root can still lead out; [`crate::Root`]
//! and the sandbox are for that. What can be decided by reading is decided strictly here: what two
//! programs could read differently (a backslash, `%2e`, `file://host/`, a trailing dot) is refused
//! instead of interpreted.

use thiserror::Error;

/// Why a path is not taken to be inside a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Escape {
    /// It names a place outside every root.
    #[error("the path is outside every root")]
    Outside,
    /// Its `..` climbs out of the root, even if it comes back later.
    #[error("the path climbs out with `..`")]
    Traversal,
    /// It has a NUL, where C programs stop reading.
    #[error("the path contains a NUL")]
    Nul,
    /// It has a line break or another control character.
    #[error("the path contains a control character")]
    Control,
    /// It is percent-encoded twice, wrongly, or in a way that changes its parts.
    #[error("the path is encoded ambiguously")]
    Encoded,
    /// It is a `file:` URI that names another machine.
    #[error("the URI names a host")]
    Host,
    /// It is a URI of a scheme other than `file:`.
    #[error("the URI is not a `file:` URI")]
    Scheme,
    /// It is a `file:` URI with a query or a fragment, which some programs cut off.
    #[error("the URI has a query or a fragment")]
    Query,
    /// It starts with `~`, which a shell or a library may expand.
    #[error("the path starts at a home directory")]
    Home,
    /// It starts with a shell variable.
    #[error("the path starts with a variable")]
    Variable,
    /// It has a backslash, a drive letter, a network share or a stream name.
    #[error("the path is written for another system")]
    Foreign,
    /// A part of it ends in a dot or a space, which some systems drop.
    #[error("a part of the path ends in a dot or a space")]
    Trailing,
    /// It has a character that Unicode normalisation turns into a separator or a dot.
    #[error("the path contains a character that looks like a separator")]
    Lookalike,
    /// It goes through one of the kernel's magic links, such as `/proc/self/root`.
    #[error("the path goes through a magic link")]
    Magic,
    /// It is absolute where a relative path was asked for.
    #[error("the path is absolute")]
    Absolute,
    /// It is empty.
    #[error("the path is empty")]
    Empty,
    /// It is longer than a system call would take.
    #[error("the path is too long")]
    TooLong,
}

/// The absolute, normalised form of `candidate`, if that lies in one of `roots`.
///
/// Roots and the candidate may be paths or `file:` URIs. A relative candidate starts at the first
/// root. No roots, or a root that is itself not a plain absolute path, means outside.
///
/// ```
/// use stockade_kit::path::{Escape, inside};
///
/// let roots = ["/proj"];
/// assert_eq!(inside(&roots, "/proj/src/../README.md"), Ok("/proj/README.md".to_owned()));
/// assert_eq!(inside(&roots, "notes.txt"), Ok("/proj/notes.txt".to_owned()));
/// assert_eq!(inside(&roots, "/proj-secret/key"), Err(Escape::Outside));
/// assert_eq!(inside(&roots, "file:///proj/%2e%2e/etc"), Err(Escape::Traversal));
/// ```
pub fn inside<R: AsRef<str>>(roots: &[R], candidate: &str) -> Result<String, Escape> {
    let roots = roots.iter().map(|it| root_parts(it.as_ref()));
    let roots: Vec<Vec<String>> = roots.collect::<Result<_, _>>()?;
    let path = plain(candidate)?;
    let start = match roots.first() {
        Some(first) if !path.starts_with('/') => first.clone(),
        _ => Vec::new(),
    };
    let within = |at: &[String]| roots.iter().any(|root| at.starts_with(root));
    let parts = walk(start, &path, within)?;
    if is_magic(&parts) {
        return Err(Escape::Magic);
    }
    if !within(&parts) {
        return Err(Escape::Outside);
    }
    Ok(format!("/{}", parts.join("/")))
}

/// The normalised form of a path that must be relative and stay below where it starts.
///
/// ```
/// use stockade_kit::path::{Escape, relative};
///
/// assert_eq!(relative("a/./b/../c.txt"), Ok("a/c.txt".to_owned()));
/// assert_eq!(relative("a/../../etc"), Err(Escape::Traversal));
/// assert_eq!(relative("/etc/passwd"), Err(Escape::Absolute));
/// ```
pub fn relative(candidate: &str) -> Result<String, Escape> {
    let path = plain(candidate)?;
    if path.starts_with('/') {
        return Err(Escape::Absolute);
    }
    let parts = walk(Vec::new(), &path, |_| true)?;
    if parts.is_empty() {
        return Ok(".".to_owned());
    }
    Ok(parts.join("/"))
}

fn root_parts(root: &str) -> Result<Vec<String>, Escape> {
    let path = plain(root)?;
    if !path.starts_with('/') {
        return Err(Escape::Outside);
    }
    walk(Vec::new(), &path, |_| false)
}

/// Takes the URI off, and refuses what cannot be read in one way only.
fn plain(candidate: &str) -> Result<String, Escape> {
    if candidate.len() > PATH_BYTES_MAX {
        return Err(Escape::TooLong);
    }
    let path = match candidate.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => from_file_uri(rest)?,
        // Anywhere, because `url:file:///etc` is one URI inside another.
        Some(_) if candidate.contains("://") => return Err(Escape::Scheme),
        Some(_) | None => {
            refuse_structural_escapes(candidate)?;
            candidate.to_owned()
        }
    };
    if path.is_empty() {
        return Err(Escape::Empty);
    }
    if path.contains('\0') {
        return Err(Escape::Nul);
    }
    if path.chars().any(char::is_control) {
        return Err(Escape::Control);
    }
    if path.chars().any(|it| LOOKALIKES.contains(&it)) {
        return Err(Escape::Lookalike);
    }
    if is_foreign(&path) {
        return Err(Escape::Foreign);
    }
    if path.starts_with('~') {
        return Err(Escape::Home);
    }
    if starts_with_variable(&path) {
        return Err(Escape::Variable);
    }
    Ok(path)
}

/// What follows `file:`. A host other than this machine is refused, and the path is decoded once.
fn from_file_uri(rest: &str) -> Result<String, Escape> {
    if rest.contains(['?', '#']) {
        return Err(Escape::Query);
    }
    let path = match rest.strip_prefix("//") {
        Some(authority) => {
            let (host, _) = authority.split_once('/').unwrap_or((authority, ""));
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                return Err(Escape::Host);
            }
            authority.strip_prefix(host).unwrap_or_default()
        }
        None => rest,
    };
    if !path.starts_with('/') {
        return Err(Escape::Scheme);
    }
    decode(path)
}

/// The path of a URI without its percent-encoding, which is taken off exactly once. What is still
/// encoded after that was encoded twice, which is done to get a `..` past a check that decodes less
/// often than the server. What the path leads to is the business of [`relative`] or [`inside`].
///
/// ```
/// use stockade_kit::path::{Escape, decode};
///
/// assert_eq!(decode("with%20space.txt"), Ok("with space.txt".to_owned()));
/// assert_eq!(decode("..%2fkey"), Err(Escape::Encoded));
/// assert_eq!(decode("%252e%252e"), Err(Escape::Encoded));
/// ```
pub fn decode(path: &str) -> Result<String, Escape> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let value = match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
            (Some(high), Some(low)) => high * 16 + low,
            _ => return Err(Escape::Encoded),
        };
        // A separator inside a part: some programs split before they decode, some after.
        if matches!(value, b'/' | b'\\') {
            return Err(Escape::Encoded);
        }
        decoded.push(value);
    }
    let decoded = String::from_utf8(decoded).map_err(|_| Escape::Encoded)?;
    if escapes(&decoded).next().is_some() {
        return Err(Escape::Encoded);
    }
    Ok(decoded)
}

/// In a plain path `%20` is three characters of a name. `%2e`, `%2f`, `%5c`, `%00`, `%25` and an
/// overlong `%c0` are refused all the same: they are only there for a server that decodes.
fn refuse_structural_escapes(path: &str) -> Result<(), Escape> {
    let structural = |byte| matches!(byte, 0 | b'.' | b'/' | b'\\' | b'%' | 0xc0 | 0xc1);
    if escapes(path).any(structural) {
        return Err(Escape::Encoded);
    }
    Ok(())
}

/// The values of all `%XX` in a text.
fn escapes(text: &str) -> impl Iterator<Item = u8> {
    text.as_bytes().windows(3).filter_map(|window| match window {
        [b'%', high, low] => Some(hex(*high)? * 16 + hex(*low)?),
        _ => None,
    })
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn is_foreign(path: &str) -> bool {
    let mut start = path.trim_start_matches('/').bytes();
    let drive = matches!((start.next(), start.next()), (Some(letter), Some(b':' | b'|'))
        if letter.is_ascii_alphabetic());
    drive
        || path.contains('\\')
        || path.starts_with("//")
        || path.contains(":$")
        || path.split('/').any(|it| is_device(it) || is_short(it))
}

/// A device of Windows, wherever a path ends in it.
fn is_device(name: &str) -> bool {
    let name = name.strip_suffix(':').unwrap_or(name).to_ascii_uppercase();
    let is_port = |it: &str| matches!(it.as_bytes(), [b'1'..=b'9']);
    let ports = ["COM", "LPT"].iter().filter_map(|it| name.strip_prefix(it));
    matches!(name.as_str(), "CON" | "PRN" | "NUL" | "CONIN$" | "CONOUT$")
        || ports.into_iter().any(is_port)
}

/// The short name that Windows gives to a long one: `SECRET~1.TXT`.
fn is_short(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let Some((before, number)) = stem.split_once('~') else { return false };
    let plain = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_';
    let is_number = matches!(number.as_bytes(), [b'1'..=b'9']);
    (1..=6).contains(&before.len()) && before.bytes().all(plain) && is_number
}

fn starts_with_variable(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    match first.strip_prefix('$') {
        Some(name) if name.starts_with(['{', '(']) => true,
        Some(name) => {
            !name.is_empty() && name.bytes().all(|it| it == b'_' || it.is_ascii_uppercase())
        }
        None => first.starts_with('`'),
    }
}

/// Follows a path part by part. `..` may only lead to where `within` holds: outside a root, a part
/// before it may be a link, and then `..` is not where the text says.
fn walk(
    start: Vec<String>,
    path: &str,
    within: impl Fn(&[String]) -> bool,
) -> Result<Vec<String>, Escape> {
    let mut parts = start;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() || !within(&parts) {
                    return Err(Escape::Traversal);
                }
            }
            name if name.ends_with(['.', ' ']) => return Err(Escape::Trailing),
            name if name.len() > PART_BYTES_MAX => return Err(Escape::TooLong),
            name => parts.push(name.to_owned()),
        }
    }
    Ok(parts)
}

/// Links that the kernel resolves to an open file or to another file system's root: inside by
/// their text, anywhere by their effect.
fn is_magic(parts: &[String]) -> bool {
    let mut parts = parts.iter().map(String::as_str);
    match (parts.next(), parts.next()) {
        (Some("proc"), Some(_)) => parts.any(|it| MAGIC_LINKS.contains(&it)),
        (Some("dev"), Some(name)) => {
            matches!(name, "fd" | "stdin" | "stdout" | "stderr")
        }
        _ => false,
    }
}

const MAGIC_LINKS: [&str; 6] = ["root", "cwd", "exe", "fd", "map_files", "ns"];

/// What NFKC turns into `/`, `\`, `.` or `..`.
const LOOKALIKES: [char; 5] = ['\u{ff0f}', '\u{ff3c}', '\u{ff0e}', '\u{2024}', '\u{2025}'];

/// `PATH_MAX` and `NAME_MAX` of Linux.
const PATH_BYTES_MAX: usize = 4096;
const PART_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    const ROOTS: [&str; 2] = ["/proj", "/data/sets/"];

    #[test]
    fn what_is_inside_is_normalised() {
        for (candidate, expected) in [
            ("/proj", "/proj"),
            ("/proj/", "/proj"),
            ("/proj/.", "/proj"),
            (".", "/proj"),
            ("./", "/proj"),
            ("/proj/a.txt", "/proj/a.txt"),
            ("/proj//a.txt", "/proj/a.txt"),
            ("/proj/a/b/../c", "/proj/a/c"),
            ("/proj/a/..", "/proj"),
            ("a/../b", "/proj/b"),
            ("a.txt", "/proj/a.txt"),
            ("./src/main.rs", "/proj/src/main.rs"),
            ("/data/sets/x.csv", "/data/sets/x.csv"),
            ("/proj/.git/config", "/proj/.git/config"),
            ("/proj/..hidden/x", "/proj/..hidden/x"),
            ("/proj/a..b", "/proj/a..b"),
            ("/proj/with space/x", "/proj/with space/x"),
            ("/proj/100%", "/proj/100%"),
            ("/proj/report%20final.pdf", "/proj/report%20final.pdf"),
            ("/proj/größe/日本.txt", "/proj/größe/日本.txt"),
            ("app/routes/$slug.tsx", "/proj/app/routes/$slug.tsx"),
            ("$types.ts", "/proj/$types.ts"),
            ("notes: monday", "/proj/notes: monday"),
            ("a/b~", "/proj/a/b~"),
            ("/proj/proc/self/root", "/proj/proc/self/root"),
            ("file:///proj/a.txt", "/proj/a.txt"),
            ("FILE:///proj/a.txt", "/proj/a.txt"),
            ("file://localhost/proj/a.txt", "/proj/a.txt"),
            ("file://LOCALHOST/proj/a.txt", "/proj/a.txt"),
            ("file:/proj/a.txt", "/proj/a.txt"),
            ("file:///proj/with%20space", "/proj/with space"),
            ("file:///proj/%61.txt", "/proj/a.txt"),
            ("file:///proj/a/%2e%2e/b", "/proj/b"),
            ("file:///proj/%C3%BC", "/proj/ü"),
        ] {
            assert_eq!(inside(&ROOTS, candidate).as_deref(), Ok(expected), "{candidate}");
        }
    }

    #[test]
    fn what_is_not_clearly_inside_is_refused() {
        use Escape::*;
        for (candidate, expected) in [
            ("", Empty),
            ("/", Outside),
            ("/etc/passwd", Outside),
            ("/proj-secret/key", Outside),
            ("/projsecret", Outside),
            ("/Proj/a", Outside),
            ("/data", Outside),
            ("/data/set", Outside),
            ("/data/sets2/x", Outside),
            ("//proj/a", Foreign),
            ("..", Traversal),
            ("../proj-secret/key", Traversal),
            ("../proj/a", Traversal),
            ("a/../../etc/passwd", Traversal),
            ("/proj/../etc/passwd", Traversal),
            ("/proj/../proj/a", Traversal),
            ("/proj/a/../../etc", Traversal),
            ("/etc/../proj/a", Traversal),
            ("/proj/../data/sets/x", Traversal),
            ("/..", Traversal),
            ("....//....//etc/passwd", Trailing),
            ("/proj/a\0.txt", Nul),
            ("file:///proj/a%00.txt", Nul),
            ("/proj/a\nb", Control),
            ("/proj/\u{1b}[2J", Control),
            ("/proj/%2e%2e/etc", Encoded),
            ("/proj/..%2fetc", Encoded),
            ("/proj/%252e%252e/etc", Encoded),
            ("/proj/%c0%ae%c0%ae/etc", Encoded),
            ("%2e%2e/etc", Encoded),
            ("file:///proj/%2e%2e/etc", Traversal),
            ("file:///proj/%252e%252e/etc", Encoded),
            ("file:///proj/..%2fetc", Encoded),
            ("file:///proj/..%5cetc", Encoded),
            ("file:///proj/%zz", Encoded),
            ("file:///proj/%2", Encoded),
            ("file:///proj/%ff", Encoded),
            ("file:///etc/passwd", Outside),
            ("file:///proj/../etc/passwd", Traversal),
            ("file:////server/share", Foreign),
            ("file://evil.example/proj/a", Host),
            ("file://127.0.0.1/proj/a", Host),
            ("file://proj/a", Host),
            ("file:a.txt", Scheme),
            ("file:", Scheme),
            ("file://", Scheme),
            ("file:///proj/a?x=/etc", Query),
            ("file:///proj/a#b", Query),
            ("http://localhost/proj/a", Scheme),
            ("smb://server/share", Scheme),
            ("ssh://proj", Scheme),
            ("url:file:///etc/passwd", Scheme),
            ("jar:file:///proj/a.jar!/x", Scheme),
            (" /etc/passwd", Trailing),
            ("~", Home),
            ("~/.ssh/id_ed25519", Home),
            ("~root/.ssh", Home),
            ("$HOME/.ssh", Variable),
            ("${HOME}/.ssh", Variable),
            ("$(pwd)/x", Variable),
            ("`pwd`/x", Variable),
            ("..\\..\\etc", Foreign),
            ("/proj\\..\\etc", Foreign),
            ("C:\\Windows\\win.ini", Foreign),
            ("c:/Windows/win.ini", Foreign),
            ("/C:/Windows", Foreign),
            ("file:///C:/Windows", Foreign),
            ("file:///c|/Windows", Foreign),
            ("\\\\server\\share", Foreign),
            ("\\\\?\\C:\\", Foreign),
            ("/proj/a.txt::$DATA", Foreign),
            ("/proj/secret.", Trailing),
            ("/proj/secret ", Trailing),
            ("/proj/dir. /x", Trailing),
            ("/proj/...", Trailing),
            ("/proj/\u{ff0e}\u{ff0e}/etc", Lookalike),
            ("/proj/..\u{ff0f}etc", Lookalike),
            ("/proj/\u{2025}/etc", Lookalike),
            ("/proc/self/root/etc/passwd", Magic),
            ("/proc/1/cwd/x", Magic),
            ("/proc/self/fd/3", Magic),
            ("/proc/self/task/1/root/etc", Magic),
            ("/dev/fd/0", Magic),
            ("/dev/stdin", Magic),
        ] {
            assert_eq!(inside(&ROOTS, candidate), Err(expected), "{candidate:?}");
        }
        assert_eq!(inside(&ROOTS, &"a/".repeat(3000)), Err(TooLong));
        assert_eq!(inside(&ROOTS, &"a".repeat(300)), Err(TooLong));
    }

    /// Every text of up to four of these pieces: what comes out is a plain path in a root, and
    /// reading it once more changes nothing, so a guard and a server cannot disagree about it.
    #[test]
    fn what_is_taken_to_be_inside_is_inside() {
        const PIECES: [&str; 16] = [
            "/",
            "..",
            ".",
            "proj",
            "-secret",
            "data/sets",
            "etc",
            "%2e",
            "%2F",
            "%25",
            "file:",
            "//",
            "\\",
            "~",
            ":",
            " ",
        ];
        let mut texts = vec![String::new()];
        let mut last = texts.clone();
        for _ in 0..4 {
            last = last
                .iter()
                .flat_map(|start| PIECES.iter().map(move |piece| format!("{start}{piece}")))
                .collect();
            texts.extend(last.iter().cloned());
        }
        let mut accepted = 0;
        for text in texts {
            let Ok(path) = inside(&ROOTS, &text) else {
                continue;
            };
            accepted += 1;
            let in_root = ["/proj", "/data/sets"].iter().any(|root| {
                path.strip_prefix(root).is_some_and(|it| it.is_empty() || it.starts_with('/'))
            });
            assert!(in_root, "{text:?} became {path:?}");
            assert!(path.split('/').all(|it| it != ".." && it != "."), "{text:?} became {path:?}");
            assert_eq!(inside(&ROOTS, &path), Ok(path.clone()), "{text:?}");
        }
        assert!(accepted > 100, "{accepted}");
    }

    #[test]
    fn a_root_must_be_plain_and_absolute() {
        let none: [&str; 0] = [];
        assert_eq!(inside(&none, "/proj/a"), Err(Escape::Outside));
        assert_eq!(inside(&none, "a"), Err(Escape::Outside));
        assert_eq!(inside(&["proj"], "a"), Err(Escape::Outside));
        assert_eq!(inside(&["/proj/.."], "/etc"), Err(Escape::Traversal));
        assert_eq!(inside(&["file:///proj"], "/proj/a"), Ok("/proj/a".to_owned()));
    }

    #[test]
    fn everything_is_inside_the_root_of_all_but_magic_links() {
        assert_eq!(inside(&["/"], "/etc/passwd"), Ok("/etc/passwd".to_owned()));
        assert_eq!(inside(&["/"], "/etc/../usr"), Ok("/usr".to_owned()));
        assert_eq!(inside(&["/"], "/.."), Err(Escape::Traversal));
        assert_eq!(inside(&["/"], "/proc/self/root/etc"), Err(Escape::Magic));
    }

    #[test]
    fn a_relative_path_stays_below() {
        assert_eq!(relative("."), Ok(".".to_owned()));
        assert_eq!(relative("a/.."), Ok(".".to_owned()));
        assert_eq!(relative("a/../.."), Err(Escape::Traversal));
        assert_eq!(relative("file:///a"), Err(Escape::Absolute));
        assert_eq!(relative("~/a"), Err(Escape::Home));
    }
}
