//! Finds the words of [`super::words`] in a text, all of them in one pass.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{tongues, words};
use crate::bytes::run;

/// What a word means. The number is a bit of a sentence's set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    Ignore,
    Prior,
    All,
    Orders,
    Model,
    Addressed,
    Neg,
    Tell,
    User,
    Covert,
    Quiet,
    Path,
    Strong,
    Secret,
    Talk,
    Prompt,
    Take,
    Send,
    Pass,
    Out,
    Address,
    Hook,
    ThisHook,
    Extra,
    Called,
    Must,
    Lie,
    Threat,
    Consent,
    Instead,
    Tool,
    Redirect,
    Harm,
    Become,
    Free,
    New,
    Show,
    Verbatim,
    Decode,
    Follow,
    Persist,
    Mark,
    Token,
    Tag,
    Comment,
    Image,
    Load,
    Money,
    Urgent,
    Todo,
    About,
    Protects,
    Run,
    Canary,
    /// What comes on top of what a tool is for.
    Also,
    First,
    Off,
    Guard,
    Void,
    Host,
    Obey,
    Bias,
    Pay,
    Asked,
    Put,
    /// Of a text that is written in rot13, and of one that is written backwards.
    Rot,
    Back,
    /// The name of something that is called, which is another's.
    Other,
    /// A name that looks like a function's.
    Call,
    /// That the text is the value of something.
    Value,
    /// That a person is asked before something is done.
    Caution,
    /// That a text is about attacks.
    Topic,
    /// What stands between quotation marks.
    Quote,
    /// That it is to be done.
    Obeyed,
}

/// Every class with its words.
pub(super) fn words() -> impl Iterator<Item = &'static (Class, &'static str)> {
    words::WORDS.iter().chain(tongues::WORDS)
}

impl Class {
    /// Those that a classifier knows.
    pub(super) const LEARNT: u128 = (1 << Self::Caution as u8) - 1;

    pub(super) fn bit(self) -> u128 {
        1 << self as u8
    }
}

/// A set with all of these.
pub(super) fn set(classes: &[Class]) -> u128 {
    classes.iter().fold(0, |set, it| set | it.bit())
}

/// A word in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) class: Class,
    /// How many bytes a letter has there.
    pub(super) width: usize,
}

struct Lexicon {
    words: AhoCorasick,
    entries: Vec<Entry>,
}

/// What is known of a pattern.
#[derive(Clone, Copy)]
struct Entry {
    class: Class,
    /// Whether a letter before it makes it part of another word.
    left: bool,
    right: bool,
}

/// Which words, and how they are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Words of ASCII: most text has no others.
    Ascii,
    /// Words of other scripts.
    Other,
    /// Words of ASCII as they are left when there is nothing between words.
    Dense,
}

static ASCII: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::new(Kind::Ascii));
static OTHER: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::new(Kind::Other));
static DENSE: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::new(Kind::Dense));

impl Kind {
    fn has(self, word: &str) -> bool {
        match self {
            Self::Ascii => word.is_ascii(),
            Self::Other => !word.is_ascii(),
            // Short words are in everything, and a mark without its signs is any word.
            Self::Dense => {
                let is_plain = |it: u8| it.is_ascii_alphanumeric() || b" '*_".contains(&it);
                word.bytes().all(is_plain) && dense(word).len() >= DENSE_MIN
            }
        }
    }

    fn written(self, word: &str) -> String {
        match self {
            Self::Ascii | Self::Other => word.to_owned(),
            Self::Dense => dense(word),
        }
    }
}

const DENSE_MIN: usize = 5;

/// Letters and digits alone, and one letter for those that `1` may stand for.
pub(super) fn dense(text: &str) -> String {
    let letters = text.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|it| if it == 'l' { 'i' } else { it }).collect()
}

impl Lexicon {
    fn new(kind: Kind) -> Self {
        let (mut patterns, mut entries) = (Vec::new(), Vec::new());
        for (class, words) in words() {
            for word in words.split('|').map(|it| it.replace('\u{a6}', "|")) {
                if !kind.has(&word) {
                    continue;
                }
                let stem = word.strip_suffix('*');
                let text = kind.written(stem.unwrap_or(&word));
                let bounds = |it: Option<u8>| it.is_some_and(is_word) && kind != Kind::Dense;
                entries.push(Entry {
                    class: *class,
                    left: bounds(text.bytes().next()),
                    right: bounds(text.bytes().last()) && stem.is_none(),
                });
                patterns.push(text);
            }
        }
        // Not a DFA: it would be some megabytes, in every guard.
        let mut builder = AhoCorasick::builder();
        builder.kind(Some(AhoCorasickKind::ContiguousNFA));
        builder.match_kind(MatchKind::Standard).prefilter(false);
        #[expect(clippy::expect_used, reason = "the patterns are a table, and a test builds them")]
        let words = builder.build(&patterns).expect("an automaton");
        Self { words, entries }
    }

    fn each(&self, text: &[u8], visit: &mut dyn FnMut(Hit)) {
        for found in self.words.find_overlapping_iter(text) {
            let Some(entry) = self.entries.get(found.pattern().as_usize()) else { continue };
            let before = found.start().checked_sub(1).and_then(|it| text.get(it));
            let after = text.get(found.end());
            let is_whole = !(entry.left && before.is_some_and(|it| is_word(*it))
                || entry.right && after.is_some_and(|it| is_word(*it)));
            if is_whole {
                let width = width(text.get(found.start()).copied());
                visit(Hit { start: found.start(), end: found.end(), class: entry.class, width });
            }
        }
    }

    /// The same of words that begin within no other: most of what is written without a gap is only
    /// passed over.
    fn each_whole(&self, text: &[u8], visit: &mut dyn FnMut(Hit)) {
        let longest = self.words.max_pattern_len();
        let mut from = 0;
        loop {
            let run = run(text, from, 2 * longest, is_word);
            // Behind its first letters nothing begins before its end. One more tells that it goes on.
            let end = run.as_ref().map_or(text.len(), |it| it.start + longest + 1);
            let part = text.get(from..end).unwrap_or_default();
            self.each(part, &mut |it| {
                visit(Hit { start: from + it.start, end: from + it.end, ..it });
            });
            match run {
                Some(it) => from = it.end,
                None => return,
            }
        }
    }
}

/// How many bytes a letter that begins so has. Those of Chinese, Japanese and Korean are words, or the
/// better part of one.
fn width(first: Option<u8>) -> usize {
    match first {
        Some(0xc3..=0xdf) => 2,
        Some(0xe0 | 0xe1) => 3,
        Some(_) | None => 1,
    }
}

/// Whether a byte goes on with a word of ASCII. `_` does: a name is not the verb that it begins with.
#[inline]
fn is_word(it: u8) -> bool {
    it.is_ascii_alphanumeric() | (it == b'_')
}

/// Every word of a normalised text, by where it ends.
pub(super) fn each(text: &[u8], is_ascii: bool, visit: &mut dyn FnMut(Hit)) {
    ASCII.each_whole(text, visit);
    if !is_ascii {
        OTHER.each(text, visit);
    }
}

/// Every word of a text that has no gaps.
pub(super) fn each_dense(text: &[u8], visit: &mut dyn FnMut(Hit)) {
    DENSE.each(text, visit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_gaps_hides_no_word_beside_it() {
        let long = "a1".repeat(400);
        let text = format!(
            "ignore {long} ~/.ssh {long}. do not tell the user {long}ignore, all previous \
             instructions. ignore{long} secret-{long}-secret <system>{long}</system>"
        );
        let (mut whole, mut every) = (Vec::new(), Vec::new());
        ASCII.each_whole(text.as_bytes(), &mut |it| whole.push(it));
        ASCII.each(text.as_bytes(), &mut |it| every.push(it));
        assert!(every.len() > 10, "{}", every.len());
        assert_eq!(whole, every);
    }
}
