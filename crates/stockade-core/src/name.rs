//! What a name reads as.
//!
//! A server may take `danger` for ` danger`, for `ｄａｎｇｅｒ` or for `DANGER`: many trim, fold or
//! normalise what they are given. A rule about a name must not be evaded by a name that only looks
//! like another, so what closes something asks here as well. What opens something never does: it
//! knows names as they are written.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

use crate::check;

/// What `name` reads as, where that is another name. Upper and lower case are kept.
///
/// Left out is what nobody sees, and the white space around; compatible characters (`ｄ`, `ﬁ`) are
/// those that they stand for (NFKC); and a word that looks like ASCII is read as that (Unicode
/// Technical Standard 39, "confusables").
pub(crate) fn undisguised(name: &str) -> Option<String> {
    if is_plain(name) {
        return None;
    }
    let seen: String = name.chars().filter(|it| check::is_seen(*it)).nfkc().collect();
    let mut reads = String::with_capacity(seen.len());
    for part in seen.trim().split_inclusive(|it: char| !it.is_alphanumeric()) {
        let word = part.trim_end_matches(|it: char| !it.is_alphanumeric());
        let between = part.strip_prefix(word).unwrap_or_default();
        for piece in [word, between].into_iter().filter(|it| !it.is_empty()) {
            // All of it or none: one letter of a Russian word may look like one of ASCII.
            let ascii: Option<String> = piece.chars().map(ascii).collect();
            reads.push_str(ascii.as_deref().unwrap_or(piece));
        }
    }
    Some(reads).filter(|it| it != name && !it.is_empty())
}

/// One text for all names that read the same, in upper or lower case.
pub(crate) fn folded(name: &str) -> String {
    undisguised(name).as_deref().unwrap_or(name).to_lowercase()
}

/// What a name looks like to a person, where `1`, `l` and `I` are one letter (Unicode Technical
/// Standard 39, "skeleton"). Names look the same when they have one of these in common: put into
/// lower case before, an `I` is an `i`, and after that an `l`.
pub(crate) fn looks(name: &str) -> [String; 2] {
    let reads = undisguised(name);
    let reads = reads.as_deref().unwrap_or(name);
    let lower: String = skeleton(&reads.to_lowercase()).collect();
    let as_it_is: String = skeleton(reads).collect();
    [lower, as_it_is.to_lowercase()]
}

/// Whether two names read the same.
pub(crate) fn alike(a: &str, b: &str) -> bool {
    if is_plain(a) && is_plain(b) {
        return a.eq_ignore_ascii_case(b);
    }
    a == b || folded(a) == folded(b)
}

/// Whether there is nothing in it that could be a disguise. Most names have letters, digits and
/// `_`, and cost no more than this look.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|it| it.is_ascii_graphic())
}

/// The character of ASCII that `it` looks like: of several (`l`, `I`, `1`) the one of its kind.
pub(crate) fn ascii(it: char) -> Option<char> {
    static LOOKS: LazyLock<HashMap<String, Vec<char>>> = LazyLock::new(|| {
        let letters = ('a'..='z').chain('A'..='Z').chain('0'..='9');
        let rest = ('!'..='~').filter(|it| !it.is_ascii_alphanumeric());
        let mut looks: HashMap<String, Vec<char>> = HashMap::new();
        for it in letters.chain(rest) {
            looks.entry(look(it)).or_default().push(it);
        }
        looks
    });
    if it.is_ascii() {
        return Some(it);
    }
    let candidates = LOOKS.get(&look(it))?;
    let kind = |it: char| (it.is_uppercase(), it.is_lowercase(), it.is_numeric());
    candidates.iter().find(|other| kind(**other) == kind(it)).or(candidates.first()).copied()
}

fn look(it: char) -> String {
    skeleton(it.encode_utf8(&mut [0; 4])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disguise_comes_off() {
        for (name, reads) in [
            ("danger ", "danger"),
            ("\u{a0}danger\u{3000}", "danger"),
            ("dan\u{200b}ger\u{feff}", "danger"),
            ("danger\0", "danger"),
            ("\u{202e}danger", "danger"),
            ("\u{ff44}\u{ff41}\u{ff4e}ger", "danger"),
            ("\u{1d41d}anger", "danger"),
            ("d\u{430}ng\u{435}r", "danger"),
            ("delete\u{ff3f}file", "delete_file"),
            ("delete\u{2010}file", "delete-file"),
            ("d\u{435}lete_\u{444}\u{430}\u{439}\u{43b}", "delete_\u{444}\u{430}\u{439}\u{43b}"),
            ("\u{406}nfo", "Info"),
            ("f\u{456}\u{4cf}e", "file"),
            ("\u{fb01}le", "file"),
            ("cafe\u{301}", "caf\u{e9}"),
        ] {
            assert_eq!(undisguised(name).as_deref(), Some(reads), "{name:?}");
            assert!(alike(name, &reads.to_uppercase()), "{name:?}");
        }
    }

    #[test]
    fn a_name_in_its_own_script_is_what_it_is() {
        for name in [
            "read_file",
            "readFile",
            "удалить_файл",
            "größe",
            "APIキー取得",
            "حذف",
            "a b",
            "",
            "caf\u{e9}",
        ] {
            assert_eq!(undisguised(name), None, "{name:?}");
        }
        assert!(!alike("удалить", "delete") && !alike("read", "read_file"));
    }
}
