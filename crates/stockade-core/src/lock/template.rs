//! What a template of resources stands for (RFC 6570, levels 1 to 3): which URIs can be made of it.
//!
//! An approved template approves what is filled in between what it says itself, and nothing else: no
//! other host, and no other directory by way of `..`. What cannot be read approves nothing.

use percent_encoding::percent_decode_str;
use regex::{Regex, RegexBuilder, escape};

/// A template, ready to hold URIs against.
#[derive(Debug)]
pub(super) struct Template {
    expands_to: Regex,
    /// It says itself that an authority follows its scheme.
    has_authority: bool,
}

/// Schemes whose authority is a host, which another word makes another one.
const HOSTS: &[&str] = &["http", "https", "ws", "wss", "ftp", "ftps", "sftp", "ssh", "smb", "file"];

/// What a variable is, where nothing else may be filled in. `\` is a `/` to browsers and to Windows.
const WORD: &str = r"[^/?#\\]*";

/// What can stand for a part of a host.
const LABEL: &str = "[A-Za-z0-9_-]*";

/// A part of a template.
#[derive(Clone, Copy, Debug)]
enum Piece<'t> {
    Literal(&'t str),
    /// An operator, if there is one, and the names of variables with their modifiers.
    Variables(Option<char>, &'t str),
}

impl Template {
    /// Reads a template; nothing, where it cannot be read or does not say its scheme.
    pub(super) fn parse(template: &str) -> Option<Self> {
        let (scheme, rest) = template.split_once(':')?;
        let is_scheme = |it: u8| it.is_ascii_alphanumeric() || b"+-.".contains(&it);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return None;
        }
        let mut pattern = format!("^{}:", escape(scheme));
        let (path, has_authority) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = split(rest);
                pattern.push_str("//");
                pattern.push_str(&host(scheme, &pieces(authority)?)?);
                (path, true)
            }
            None => (rest, false),
        };
        let mut begins = false;
        for piece in pieces(path)? {
            match piece {
                Piece::Literal(text) => {
                    pattern.push_str(&escape(text));
                    begins = text.ends_with('/');
                }
                Piece::Variables(operator, names) => {
                    pattern.push_str(&expansion(operator, names, begins)?);
                    begins = false;
                }
            }
        }
        pattern.push('$');
        // A template may be as long as a server likes.
        let expands_to = RegexBuilder::new(&pattern).size_limit(1 << 20).build().ok()?;
        Some(Self { expands_to, has_authority })
    }

    /// Whether a URI can be made of it. None that is made of a template has a control character as it
    /// is; and who reads URLs drops some of them wherever they are, so that `.<TAB>.` is `..` (WHATWG
    /// URL, 4.4).
    pub(super) fn fits(&self, uri: &str) -> bool {
        if uri.contains(char::is_control) {
            return false;
        }
        let names_host = uri.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//"));
        self.expands_to.is_match(uri) && (self.has_authority || !names_host)
    }
}

/// Whether a part of a URI leads up, as it stands or once what is encoded in it is decoded: one or
/// several times, since nobody knows how often a server does. Control characters are dropped, as by who
/// reads URLs; a NUL ends what C reads, and spaces around a name are none of it to Windows.
pub(super) fn leads_up(uri: &str) -> bool {
    let mut text = uri.to_owned();
    for _ in 0..4 {
        let separates =
            |it: char| matches!(it, '/' | '\\' | '?' | '#' | '&' | '=' | ';' | ':' | '\0');
        let shown: String = text.chars().filter(|it| *it == '\0' || !it.is_control()).collect();
        if shown.split(separates).any(|it| matches!(it.trim_matches(' '), "." | "..")) {
            return true;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    true
}

/// The authority of what follows `//`, and what is behind it. It ends where a path, a query or a
/// fragment begins, by itself or by the operator of a variable.
fn split(rest: &str) -> (&str, &str) {
    let mut is_inside = false;
    let end = rest.char_indices().find(|(at, it)| match it {
        '{' => {
            is_inside = true;
            rest.get(at + 1..).is_some_and(|it| it.starts_with(['/', '?', '#']))
        }
        '}' => {
            is_inside = false;
            false
        }
        it => !is_inside && matches!(it, '/' | '?' | '#'),
    });
    rest.split_at_checked(end.map_or(rest.len(), |(at, _)| at)).unwrap_or((rest, ""))
}

/// What an authority expands to. Where it is one variable, it is whatever that is; else what the
/// template says of it stays, and variables are words in it.
fn host(scheme: &str, pieces: &[Piece<'_>]) -> Option<String> {
    if let [Piece::Variables(operator, _)] = pieces {
        return match operator {
            None => Some(r"[^/?#\\@]*".to_owned()),
            Some('+') => Some(".*".to_owned()),
            Some(_) => None,
        };
    }
    let is_host = HOSTS.iter().any(|it| it.eq_ignore_ascii_case(scheme));
    let mut pattern = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(text) => pattern.push_str(&escape(text)),
            // `a.example{x}` is any host that begins so, and `{x}.a.example` is one of a.example.
            Piece::Variables(None, _) => {
                let after = pieces.get(at + 1..).unwrap_or_default();
                let has_domain = after.iter().any(|it| {
                    matches!(it, Piece::Literal(text) if text.trim_start_matches('.').contains('.'))
                });
                if !is_host || has_domain {
                    pattern.push_str(LABEL);
                }
            }
            // With all that is reserved, it is the path that follows the host.
            Piece::Variables(Some('+'), _) if at + 1 == pieces.len() => {
                pattern.push_str(r"(?:[/?#].*)?");
            }
            Piece::Variables(Some(_), _) => return None,
        }
    }
    Some(pattern)
}

/// What an expression expands to. `begins`: it is the beginning of a segment.
fn expansion(operator: Option<char>, names: &str, begins: bool) -> Option<String> {
    let names: Vec<&str> = names.split(',').collect();
    let is_open = names.iter().any(|it| it.ends_with('*'));
    let bare = |it: &str| escape(it.trim_end_matches('*').split(':').next().unwrap_or_default());
    let of_name = || match is_open {
        true => r"[^=&;#/\\]*".to_owned(),
        false => format!("(?:{})", names.iter().map(|it| bare(it)).collect::<Vec<_>>().join("|")),
    };
    let times = if is_open { "*".to_owned() } else { format!("{{0,{}}}", names.len()) };
    Some(match operator {
        // An encoded `/` at the beginning of a segment makes it the root, to who decodes and joins.
        None if begins => format!("(?:{NOT_SLASH}{WORD})?"),
        None => WORD.to_owned(),
        Some('+') if begins => format!("(?:{NOT_SLASH}.*)?"),
        Some('+') => ".*".to_owned(),
        Some('#') => "(?:#.*)?".to_owned(),
        Some('.') => format!(r"(?:\.{WORD}){times}"),
        Some('/') => format!("(?:/{NOT_SLASH}{WORD}){times}"),
        Some(';') => format!("(?:;{}(?:={WORD})?){times}", of_name()),
        Some('?') => {
            let pair = format!("{}(?:=[^&#]*)?", of_name());
            format!(r"(?:\?(?:{pair}(?:&{pair})*)?)?")
        }
        Some('&') => format!("(?:&{}(?:=[^&#]*)?){times}", of_name()),
        Some(_) => return None,
    })
}

/// A character that is no `/` or `\`, nor the first of one that is encoded.
const NOT_SLASH: &str = r"(?:[^/?#\\%]|%(?:[013-46-9A-Fa-f]|2[0-9A-Ea-e]|5[0-9ABD-Fabd-f]))";

/// The parts of a template; nothing, where its braces do not match or a name is none.
fn pieces(template: &str) -> Option<Vec<Piece<'_>>> {
    const OPERATORS: &[char] = &['+', '#', '.', '/', ';', '?', '&', '=', ',', '!', '@', '|'];
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        let (inside, behind) = after.split_once('}')?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let operator = inside.chars().next().filter(|it| OPERATORS.contains(it));
        let names = operator.and_then(|it| inside.strip_prefix(it)).unwrap_or(inside);
        let is_name = |it: &str| {
            let plain = |it: char| it.is_alphanumeric() || matches!(it, '_' | '.' | '%' | '-');
            let (name, length) = it.split_once(':').unwrap_or((it, "1"));
            let name = name.strip_suffix('*').unwrap_or(name);
            !name.is_empty() && name.chars().all(plain) && length.parse::<u16>().is_ok()
        };
        if !names.split(',').all(is_name) {
            return None;
        }
        pieces.push(Piece::Variables(operator, names));
        rest = behind;
    }
    if rest.contains('}')
        || pieces.iter().any(|it| matches!(it, Piece::Literal(text) if text.contains('}')))
    {
        return None;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, uris: &[&str], others: &[&str]) {
        let template = Template::parse(template).unwrap();
        let approves = |it: &str| template.fits(it) && !leads_up(it);
        for uri in uris {
            assert!(approves(uri), "{uri}: {template:?}");
        }
        for uri in others {
            assert!(!approves(uri), "{uri}: {template:?}");
        }
    }

    #[test]
    fn a_word_is_filled_in_for_a_variable() {
        check(
            "file:///notes/{path}",
            &[
                "file:///notes/a",
                "file:///notes/a%20b.md",
                "file:///notes/a%2Fb",
                "file:///notes/..a",
            ],
            &[
                "file:///notes/../etc/passwd",
                "file:///notes/%2e%2e/etc/passwd",
                "file:///notes/..%2fetc",
                "file:///notes/%252e%252e%252fetc",
                "file:///notes/..\\etc",
                "file:///notes/..",
                "file:///notes/%2Fetc",
                "file:///notes//etc",
                "file:///notes/a/b",
                "file:///etc/passwd",
                "file://host/notes/a",
                "x:file:///notes/a",
            ],
        );
        check(
            "book://{name}",
            &["book://x", "book://a b"],
            &["book://x/y", "book://x@y", "pen://x"],
        );
        check("a:{b}", &["a:c"], &["a://evil.example", "a:c/d"]);
        check("table://of-{name}/rows", &["table://of-users/rows"], &["table://users/rows"]);
        check("log://{day}/{+rest}", &["log://1/a/b?c"], &["log://1//etc", "log://1/a/../b"]);
    }

    #[test]
    fn nothing_that_a_parser_drops_hides_a_way_up() {
        let hidden = [
            ".\t./private.txt",
            ".\n./private.txt",
            ".\r./private.txt",
            "\t../private.txt",
            "x/.\t./.\t./private.txt",
            ".%09./private.txt",
            "..%0D%0A/private.txt",
            "%2e%250a%2e/private.txt",
            "..%00/private.txt",
            "..%00x",
            "..%20/private.txt",
            ".. ",
            "\t/etc/passwd",
            "a\u{85}b",
        ];
        let of = |folder: &str| hidden.map(|it| format!("{folder}{it}"));
        let others = of("file:///notes/");
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        check(
            "file:///notes/{+path}",
            &[
                "file:///notes/a b",
                "file:///notes/a%09b",
                "file:///notes/x/...",
                "file:///notes/..a",
            ],
            &others,
        );
        check("file:///notes/{path}", &["file:///notes/a%0Ab"], &others);
        check("a:{b}", &["a:c"], &["a:\t//evil.example", "a:/\n/evil.example"]);
    }

    #[test]
    fn no_variable_makes_another_host() {
        for template in ["https://a.example{path}", "https://a.example{+path}"] {
            check(
                template,
                &["https://a.example"],
                &[
                    "https://a.example.evil.com/x",
                    "https://a.example@evil.com/x",
                    "https://a.examplex",
                    "https://a.example:1@evil.com",
                ],
            );
        }
        check("https://a.example{+path}", &["https://a.example/x/y?z"], &[]);
        check(
            "https://{tenant}.a.example/{x}",
            &["https://t.a.example/1"],
            &[
                "https://evil.com/.a.example/1",
                "https://t@u.a.example/1",
                "https://evil.com#.a.example/1",
            ],
        );
        check("https://{host}/x", &["https://b.example:8/x"], &["https://u@b.example/x"]);
        check("x:{+y}", &["x:a/b"], &["x://evil.example/a"]);
    }

    #[test]
    fn every_operator_takes_what_it_makes() {
        check("docs:///{+path}", &["docs:///a/b", "docs:///"], &["docs:////etc", "docs://h/a"]);
        check("a:///x{/y,z}", &["a:///x", "a:///x/1", "a:///x/1/2"], &["a:///x/1/2/3", "a:///x1"]);
        check("a:///x{/y*}", &["a:///x/1/2/3"], &["a:///x//1"]);
        check("a:///x{.ext}", &["a:///x.md", "a:///x"], &["a:///xmd", "a:///x.md/b"]);
        check("a:///x{?q,n}", &["a:///x?q=1&n=2", "a:///x"], &["a:///x?p=1", "a:///x/y?q=1"]);
        check("a:///x?k=1{&q}", &["a:///x?k=1&q=2"], &["a:///x?k=2", "a:///x?k=1&p=2"]);
        check("a:///x{;q}", &["a:///x;q=1"], &["a:///x;p=1"]);
        check("a:///x{#s}", &["a:///x#s"], &["a:///x/s"]);
        check("a://h{/y}", &["a://h/1"], &["a://h1"]);
    }

    #[test]
    fn what_cannot_be_read_approves_nothing() {
        for template in
            ["{+uri}", "{scheme}://x", "notes", "a:{b", "a:b}", "a:{}", "a:{=x}", ":x", "a:{b:x}"]
        {
            assert!(Template::parse(template).is_none(), "{template}");
        }
    }
}
