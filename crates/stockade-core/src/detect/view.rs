//! A text as a model reads it: what nobody sees left out, letters that look like others or that are
//! written in other widths as those, no accents, lower case, one blank between words; cut into
//! sentences.

use std::ops::Range;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::harmless;
use super::hidden::Disguise;
use super::lexicon::{self, Class, Hit};
use super::quotes::{Parts, Quotes};
use super::{Of, Said};
use crate::bytes::leading;
use crate::check::is_ignorable;
use crate::name;

/// A sentence is not longer than this, so that what is asked of it stays linear in the text.
const SENTENCE_MAX: usize = 400;

/// More characters than this that nobody sees are no accident.
const UNSEEN_MAX: usize = 3;

/// One reading of a text.
#[derive(Debug)]
pub(super) struct View {
    bytes: Vec<u8>,
    /// Where each sentence ends.
    ends: Vec<usize>,
    hits: Vec<Hit>,
    disguise: Option<Disguise>,
    quotes: Quotes,
    /// The lines that begin with `>`.
    lines: Vec<Range<usize>>,
}

impl View {
    pub(super) fn of(text: &str, said: Said<'_>) -> Self {
        let mut view = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            hits: Vec::new(),
            disguise: None,
            quotes: Quotes::default(),
            lines: Vec::new(),
        };
        let parts;
        let text = if said.of == Of::Name {
            parts = apart(text);
            &parts
        } else {
            text
        };
        if text.is_ascii() {
            view.lay_out(text.as_bytes());
        } else {
            let folded = Folded::of(text);
            view.disguise = folded.disguise();
            view.lay_out(folded.text.as_bytes());
        }
        view.find(said.is_own);
        if matches!(said.of, Of::Content | Of::Description) {
            let parts = Parts { lines: &view.lines, ends: &view.ends };
            view.quotes = Quotes::of(&view.bytes, &parts, &view.hits, said.of);
        }
        view
    }

    /// What was encoded in another text: nobody sees it there, so none of it is a quotation.
    pub(super) fn hidden(text: &str, said: Said<'_>) -> Self {
        Self { quotes: Quotes::none(), ..Self::of(text, said) }
    }

    /// A text without gaps, which says what it says only to who looks for whole words in it.
    pub(super) fn dense(text: &str) -> Self {
        let bytes = lexicon::dense(&text.to_ascii_lowercase()).into_bytes();
        let ends = (0..=bytes.len()).step_by(SENTENCE_MAX).skip(1).chain([bytes.len()]).collect();
        let mut hits = Vec::new();
        lexicon::each_dense(&bytes, &mut |it| hits.push(it));
        hits.sort_unstable_by_key(|it| it.start);
        Self { bytes, ends, hits, disguise: None, quotes: Quotes::default(), lines: Vec::new() }
    }

    fn find(&mut self, is_own: &dyn Fn(&str) -> bool) {
        let (hits, is_ascii) = (&mut self.hits, self.bytes.is_ascii());
        lexicon::each(&self.bytes, is_ascii, &mut |it| hits.push(it));
        let has_names = memchr::memchr2(b'_', b'`', &self.bytes).is_some();
        if has_names && !hits.is_empty() {
            names(&self.bytes, is_own, &mut |it| hits.push(it));
        }
        let bytes = &self.bytes;
        hits.retain(|it| !harmless::is(bytes, it));
        hits.sort_unstable_by_key(|it| it.start);
    }

    /// Whether a word of this meaning is anywhere in it.
    pub(super) fn has(&self, class: Class) -> bool {
        self.hits.iter().any(|it| it.class == class)
    }

    /// Whether a word of one of these meanings is.
    pub(super) fn has_one(&self, classes: &[Class]) -> bool {
        self.hits.iter().any(|it| classes.contains(&it.class))
    }

    pub(super) fn disguise(&self) -> Option<Disguise> {
        self.disguise
    }

    pub(super) fn quotes(&self) -> &Quotes {
        &self.quotes
    }

    /// Where its sentences are.
    pub(super) fn sentences(&self) -> impl Iterator<Item = Range<usize>> + use<'_> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied()).map(|(start, end)| start..end)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// The words of a sentence, by where they begin.
    pub(super) fn hits(&self, sentence: &Range<usize>) -> &[Hit] {
        let first = self.hits.partition_point(|it| it.start < sentence.start);
        let last = self.hits.partition_point(|it| it.start < sentence.end);
        self.hits.get(first..last).unwrap_or_default()
    }

    /// Lower case, one blank, sentences.
    fn lay_out(&mut self, text: &[u8]) {
        let mut quoted = text.starts_with(b">").then_some(0);
        self.bytes.reserve(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let len = leading(rest, |it| (it > b' ') & (it != b'\\'));
            let (word, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            self.push_word(word);
            // A text in JSON in a text has its line feeds as two characters.
            let is_escaped = after.starts_with(b"\\n");
            rest = after.get(if is_escaped { 2 } else { 1 }..).unwrap_or_default();
            match after.first() {
                None => {}
                Some(b'\\') if !is_escaped => self.push_word(b"\\"),
                Some(it) if it.is_ascii_whitespace() || is_escaped => {
                    self.push_gap(*it == b'\n', is_escaped, rest.first().copied());
                    if *it == b'\n' || is_escaped {
                        let end = self.bytes.len();
                        self.lines.extend(quoted.take().map(|start| start..end));
                        quoted = rest.starts_with(b">").then_some(end);
                    }
                }
                Some(it) => self.push_word(&[*it]),
            }
        }
        let end = self.bytes.len();
        self.lines.extend(quoted.map(|start| start..end));
        self.end();
    }

    fn push_word(&mut self, word: &[u8]) {
        // A sentence that is too long ends before the word with which it would be.
        let room = SENTENCE_MAX.saturating_sub(self.bytes.len() - self.start());
        if word.len() > room {
            self.end();
        }
        for part in word.chunks(SENTENCE_MAX) {
            let from = self.bytes.len();
            self.bytes.extend_from_slice(part);
            self.bytes.get_mut(from..).unwrap_or_default().make_ascii_lowercase();
            if part.len() == SENTENCE_MAX {
                self.end();
            }
        }
    }

    /// What is between words: a blank, and perhaps the end of a sentence. `next` comes after it.
    fn push_gap(&mut self, is_feed: bool, is_escaped: bool, next: Option<u8>) {
        let last = self.bytes.last().copied().unwrap_or(b' ');
        if last != b' ' {
            self.bytes.push(b' ');
        }
        let stops = matches!(last, b'.' | b'!' | b'?' | b';');
        // What stands below a tag or a mark is what it is about.
        let is_break = (is_feed || is_escaped) && !matches!(last, b'>' | b']' | b':');
        // A line that goes on in lower case is the same sentence.
        let goes_on = next.is_some_and(|it| it.is_ascii_lowercase() || it >= 0x80)
            || next == Some(b' ') && !stops;
        if stops || is_break && !goes_on {
            self.end();
        }
    }

    /// Where the sentence begins that has not ended.
    fn start(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    fn end(&mut self) {
        if self.bytes.len() > self.start() {
            self.ends.push(self.bytes.len());
        }
    }
}

/// Names of functions: `read_file`, or anything between backticks.
fn names(text: &[u8], is_own: &dyn Fn(&str) -> bool, found: &mut dyn FnMut(Hit)) {
    let is_name = |it: &u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(skip) = rest.iter().position(is_name) else { return };
        let start = at + skip;
        let word = text.get(start..).unwrap_or_default();
        let len = word.iter().position(|it| !is_name(it)).unwrap_or(word.len());
        let end = start + len;
        let name = word.get(..len).unwrap_or_default();
        let ticked =
            start > 0 && text.get(start - 1) == Some(&b'`') && text.get(end) == Some(&b'`');
        let snake = name.iter().skip(1).any(|it| *it == b'_');
        if (ticked || snake) && name.first().is_some_and(u8::is_ascii_alphabetic) {
            if !std::str::from_utf8(name).is_ok_and(is_own) {
                found(Hit { start, end, class: Class::Other, width: 1 });
            }
            if snake {
                found(Hit { start, end, class: Class::Call, width: 1 });
            }
        }
        at = end;
    }
}

/// A name as the words that it is made of.
fn apart(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    let mut before = ' ';
    for it in name.chars() {
        if before.is_lowercase() && it.is_uppercase() {
            words.push(' ');
        }
        words.push(if matches!(it, '_' | '-' | '.') { ' ' } else { it });
        before = it;
    }
    words
}

/// A letter that stands for more of them is read as itself: U+FDFA is a sentence of eighteen, and a text
/// of nothing else would be six times as long as it is.
const EXPANDS_MAX: usize = 4;

/// A text in the letters that it is read as.
struct Folded {
    text: String,
    /// How many characters nobody sees.
    unseen: usize,
    /// How many words have letters of two scripts and read as one.
    mixed: usize,
}

impl Folded {
    fn of(text: &str) -> Self {
        let mut folded = Self { text: String::with_capacity(text.len()), unseen: 0, mixed: 0 };
        let mut word = Word::default();
        for it in text.chars() {
            if it.is_ascii_alphanumeric() || it == '_' {
                word.push(it, Some(it));
            } else if it.is_ascii() {
                folded.end(&mut word);
                folded.text.push(it);
            } else if is_ignorable(it) {
                folded.unseen += 1;
            } else if is_foreign(it) {
                word.foreign = true;
                word.push(it, ascii(it));
            } else if is_own_script(it) {
                folded.end(&mut word);
                folded.push_own(it);
            } else if it.nfkd().nth(EXPANDS_MAX).is_some() {
                word.push(it, None);
            } else {
                for it in it.nfkd().filter(|it| !is_combining_mark(*it)) {
                    if it.is_alphanumeric() {
                        word.push(it, it.is_ascii().then_some(it));
                    } else {
                        folded.end(&mut word);
                        folded.text.push(it);
                    }
                }
            }
        }
        folded.end(&mut word);
        folded
    }

    /// The scripts that have no upper case and look like no other; their stops are stops.
    fn push_own(&mut self, it: char) {
        match it {
            '。' | '．' | '｡' => self.text.push_str(". "),
            '！' => self.text.push_str("! "),
            '？' => self.text.push_str("? "),
            '；' => self.text.push_str("; "),
            '\u{ff01}'..='\u{ff5e}' => self.text.extend(it.nfkc()),
            '\u{3000}' => self.text.push(' '),
            it => self.text.push(it),
        }
    }

    fn end(&mut self, word: &mut Word) {
        if word.written.is_empty() {
            return;
        }
        // All of it or none: one letter of a Russian word may look like one of ASCII.
        if word.foreign && word.reads_ascii {
            self.mixed += usize::from(word.has_ascii);
            self.text.push_str(&word.read);
        } else {
            self.text.push_str(&word.written);
        }
        *word = Word::default();
    }

    fn disguise(&self) -> Option<Disguise> {
        if self.unseen > UNSEEN_MAX {
            Some(Disguise::Unseen)
        } else {
            (self.mixed > 0).then_some(Disguise::Letters)
        }
    }
}

/// A text in the letters that it is read as.
pub(super) fn undisguised(text: &str) -> String {
    Folded::of(text).text
}

struct Word {
    written: String,
    read: String,
    foreign: bool,
    has_ascii: bool,
    reads_ascii: bool,
}

impl Default for Word {
    fn default() -> Self {
        let (written, read) = (String::new(), String::new());
        Self { written, read, foreign: false, has_ascii: false, reads_ascii: true }
    }
}

impl Word {
    fn push(&mut self, it: char, read: Option<char>) {
        self.has_ascii |= it.is_ascii_alphabetic();
        self.written.extend(it.to_lowercase());
        match read {
            Some(it) => self.read.push(it),
            None => self.reads_ascii = false,
        }
    }
}

/// Scripts whose letters look like those of Latin.
fn is_foreign(it: char) -> bool {
    matches!(it, '\u{250}'..='\u{2af}' | '\u{370}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}' | '\u{1d00}'..='\u{1d7f}')
}

/// Scripts that are read as they are.
fn is_own_script(it: char) -> bool {
    matches!(it, '\u{590}'..='\u{109f}' | '\u{1100}'..='\u{139f}' | '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{d7ff}' | '\u{ff00}'..='\u{ffef}')
}

/// The letter of ASCII that a letter of another script looks like.
fn ascii(it: char) -> Option<char> {
    static LOOKS: LazyLock<Vec<Option<char>>> = LazyLock::new(|| {
        ('\0'..'\u{590}').map(|it| name::ascii(it).filter(char::is_ascii_alphanumeric)).collect()
    });
    match LOOKS.get(usize::try_from(u32::from(it)).unwrap_or(usize::MAX)) {
        Some(known) => *known,
        None => name::ascii(it).filter(char::is_ascii_alphanumeric),
    }
}
