//! What a text about attacks says outside of what it quotes: whether it explains or gives orders.

use std::ops::Range;

use super::quotes;

/// So many sentences of its own has a text that explains something.
const SENTENCES_MIN: usize = 2;
/// A line with fewer words is a heading or a label.
const WORDS_MIN: usize = 5;

/// Stands for a quotation.
const QUOTE: u8 = 1;
/// Stands for the end of a sentence.
const END: u8 = 2;

/// A text without its quotations.
pub(super) struct Prose {
    text: Vec<u8>,
    /// Where in it each quotation was.
    places: Vec<usize>,
}

impl Prose {
    pub(super) fn of(text: &[u8], ranges: &[Range<usize>], ends: &[usize]) -> Self {
        let mut prose = Self { text: Vec::with_capacity(text.len()), places: Vec::new() };
        let mut at = 0;
        for range in ranges {
            prose.push(text, at..range.start, ends);
            prose.places.push(prose.text.len());
            prose.text.push(QUOTE);
            at = range.end;
        }
        prose.push(text, at..text.len(), ends);
        prose
    }

    fn push(&mut self, text: &[u8], range: Range<usize>, ends: &[usize]) {
        let first = ends.partition_point(|it| *it <= range.start);
        let mut at = range.start;
        for end in ends.iter().skip(first).take_while(|it| **it <= range.end) {
            self.text.extend_from_slice(text.get(at..*end).unwrap_or_default());
            self.text.push(END);
            at = *end;
        }
        self.text.extend_from_slice(text.get(at..range.end).unwrap_or_default());
    }

    fn sentences(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|it| *it == END)
    }

    /// Whether it says to do something: `do this now`, `execute the following`.
    pub(super) fn has_order(&self) -> bool {
        self.sentences().any(is_order)
    }

    /// The quotations that are there as examples: where the text explains something in sentences of its
    /// own, those that are introduced as such; and those that a test hands to what it tests.
    pub(super) fn examples(&self, text: &[u8], ranges: &[Range<usize>]) -> Vec<Range<usize>> {
        let hides =
            HIDING.iter().any(|it| memchr::memmem::find(&self.text, it.as_bytes()).is_some());
        if hides || self.has_order() {
            return Vec::new();
        }
        let explains = self.sentences().filter(|it| explains(it)).count() >= SENTENCES_MIN;
        let mut before = false;
        let mut examples = Vec::new();
        for (range, place) in ranges.iter().zip(&self.places) {
            let is_introduced = self.introduces(*place).unwrap_or(before);
            before = is_introduced;
            if explains && is_introduced || is_tested(text, range) {
                examples.push(range.clone());
            }
        }
        examples
    }

    /// Whether what stands around a quotation says that it is an example. Nothing, where only the one
    /// before it is close.
    fn introduces(&self, place: usize) -> Option<bool> {
        let before = self.text.get(..place).unwrap_or_default();
        let is_letter = |it: &u8| it.is_ascii_alphanumeric() || *it >= 0x80 || *it == QUOTE;
        let last = before.iter().rposition(is_letter).map_or(0, |it| it + 1);
        let before = before.get(..last).unwrap_or_default();
        let from = before.iter().rposition(|it| matches!(*it, QUOTE | END)).map_or(0, |it| it + 1);
        let lead = before.get(from.max(last.saturating_sub(LEAD_MAX))..).unwrap_or_default();
        let after = self.text.get(place + 1..).unwrap_or_default();
        let end = after.iter().take(LEAD_MAX).position(|it| matches!(*it, QUOTE | END));
        let tail = after.get(..end.unwrap_or(after.len().min(LEAD_MAX))).unwrap_or_default();
        if lead.len() <= LINK_MAX && from > 0 && before.get(from - 1) == Some(&QUOTE) {
            return None;
        }
        let has = |text: &[u8], words: &[&str]| words.iter().any(|it| has_words(text, it));
        let speaks = |text: &[u8]| has(text, ADDRESSING) || has(text, MEANT);
        Some((has(lead, LEADS) || has(tail, TAILS)) && !speaks(lead) && !speaks(tail))
    }
}

/// So much before and behind a quotation is about it.
const LEAD_MAX: usize = 120;
/// No more than this is between two that belong together.
const LINK_MAX: usize = 6;

const LEADS: &[&str] = &[
    "such as",
    "e.g",
    "for example",
    "for instance",
    "example",
    "examples",
    "like",
    "says",
    "said",
    "saying",
    "may say",
    "might say",
    "could say",
    "may read",
    "might read",
    "mail read",
    "page read",
    "message read",
    "text read",
    "issue read",
    "comment read",
    "it read",
    "reads",
    "write",
    "writes",
    "wrote",
    "written",
    "contained",
    "contains",
    "containing",
    "included",
    "includes",
    "inserted",
    "embedded",
    "injected",
    "attacker",
    "attackers",
    "payload",
    "payloads",
    "phrase",
    "phrases",
    "pattern",
    "patterns",
    "string",
    "strings",
    "sample",
    "samples",
    "detects",
    "flags",
    "catches",
    "blocks",
    "beispiel",
    "ejemplo",
    "exemple",
    "esempio",
];
const TAILS: &[&str] = &[
    "is an example",
    "are examples",
    "is a typical",
    "is a classic",
    "is what attackers",
    "is what an attacker",
    "is flagged",
    "are flagged",
    "is blocked",
    "is an attack",
    "are attacks",
    "is a prompt injection",
    "are prompt injections",
];
/// Who is spoken to.
const ADDRESSING: &[&str] = &["you", "your", "yours", "yourself", "please", "agents", "developer"];
/// What says that no example follows.
const MEANT: &[&str] =
    &["now", "no example", "not an example", "not examples", "real", "actual", "must"];

/// What hides a part of a page from whoever looks at it.
const HIDING: &[&str] = &[
    "display:none",
    "display: none",
    "visibility:hidden",
    "visibility: hidden",
    "font-size:0",
    "font-size: 0",
    "opacity:0",
    "opacity: 0",
    "aria-hidden",
    "<template",
    "[//]: #",
    "[comment]: ",
];

/// Whether a sentence explains something, and speaks to nobody.
fn explains(sentence: &[u8]) -> bool {
    !sentence.trim_ascii_start().starts_with(b"#")
        && words(sentence).count() >= WORDS_MIN
        && !ADDRESSING.iter().chain(["must", "now"].iter()).any(|it| has_words(sentence, it))
}

/// A verb, and soon behind it what is to be done. What somebody else may do is no order, and neither is
/// what nobody is to do.
fn is_order(sentence: &[u8]) -> bool {
    let mut before: [&[u8]; 3] = [b""; 3];
    let words: Vec<&[u8]> = words(sentence).collect();
    for (at, word) in words.iter().enumerate() {
        let is = |list: &[&str], it: &[u8]| list.iter().any(|known| known.as_bytes() == it);
        if is(VERBS, word) && !before.iter().any(|it| is(OTHERWISE, it)) {
            let mut next = words.iter().skip(at + 1).take(WINDOW);
            if next.any(|it| is(OBJECTS, it)) {
                return true;
            }
        }
        before.rotate_left(1);
        if let Some(last) = before.last_mut() {
            *last = word;
        }
    }
    false
}

const WINDOW: usize = 4;
const VERBS: &[&str] = &[
    "do",
    "execute",
    "perform",
    "obey",
    "run",
    "follow",
    "implement",
    "complete",
    "carry",
    "act",
    "comply",
    "proceed",
    "handle",
    "treat",
    "heed",
    "fulfil",
    "fulfill",
    "enact",
];
const OBJECTS: &[&str] = &[
    "this",
    "it",
    "these",
    "them",
    "following",
    "below",
    "above",
    "step",
    "steps",
    "block",
    "quote",
    "quotes",
    "quotation",
    "quoted",
    "instruction",
    "instructions",
    "line",
    "lines",
    "what",
    "order",
    "orders",
    "example",
    "text",
];
const OTHERWISE: &[&str] = &[
    "not",
    "never",
    "don't",
    "doesn't",
    "didn't",
    "cannot",
    "can't",
    "won't",
    "no",
    "without",
    "could",
    "can",
    "may",
    "might",
    "would",
    "will",
    "models",
    "agents",
    "attackers",
    "attacker",
    "that",
    "they",
    "does",
    "did",
];

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_part = |it: &u8| it.is_ascii_alphanumeric() || *it >= 0x80 || *it == b'\'';
    text.split(move |it| !is_part(it)).filter(|it| !it.is_empty())
}

/// Whether a text has these words, and not as parts of others.
fn has_words(text: &[u8], known: &str) -> bool {
    memchr::memmem::find_iter(text, known.as_bytes()).any(|at| {
        let is_part = |it: Option<&u8>| it.is_some_and(u8::is_ascii_alphanumeric);
        let before = at.checked_sub(1).and_then(|it| text.get(it));
        !is_part(before) && !is_part(text.get(at + known.len()))
    })
}

/// What tests are known by.
const TESTS: [&str; 6] = ["assert", "expect(", "is_flagged", "def test_", "#[test]", "fn test_"];

/// Whether a quotation is what a test hands to what it tests: `assert is_flagged("…")`. In a block of
/// code that is all that is quoted in it.
fn is_tested(text: &[u8], range: &Range<usize>) -> bool {
    let inside = text.get(range.clone()).unwrap_or_default();
    let is_test =
        |text: &[u8]| TESTS.iter().any(|it| memchr::memmem::find(text, it.as_bytes()).is_some());
    let is_block =
        range.start.checked_sub(3).is_some_and(|it| text.get(it..range.start) == Some(b"```"));
    if !is_block {
        let around =
            text.get(range.start.saturating_sub(LEAD_MAX)..range.start).unwrap_or_default();
        return is_handed(text, range.start) && is_test(around);
    }
    if !is_test(inside) {
        return false;
    }
    let quoted = quotes::ranges(inside, &[]);
    let prose = Prose::of(inside, &quoted, &[]);
    let is_code = |it: &[u8]| words(it).count() <= CODE_WORDS_MAX;
    quoted.iter().all(|it| it.len() < QUOTED_MIN || is_handed(inside, it.start))
        && is_code(&prose.text)
}

/// A test of a few lines has no more words outside of its quotations.
const CODE_WORDS_MAX: usize = 200;
/// What is shorter is a name.
const QUOTED_MIN: usize = 24;

fn is_handed(text: &[u8], start: usize) -> bool {
    let before = text.get(..start.saturating_sub(1)).unwrap_or_default().trim_ascii_end();
    before.last().is_some_and(|it| matches!(it, b'(' | b'[' | b','))
}
