//! What one sentence says: which signals its words make.

use std::ops::Range;
use std::sync::LazyLock;

use super::lexicon::{Class, Hit, set};
use super::model::{self, Model};
use super::signals::{SIGNALS, Signal};
use super::view::View;
use super::{Of, Reason, Said};

/// More words than this are not looked at in one sentence.
const HITS_MAX: usize = 160;

/// The signals of a sentence.
#[derive(Clone, Debug)]
pub(super) struct Fired {
    /// Those that count in full, and those that count for a third, each a bit.
    full: u128,
    less: u128,
    /// Those that are quoted where a text is about attacks: a third, and together not more than
    /// [`QUOTED_MAX`].
    quoted: u128,
    /// What the classifier says, in thirds of a point.
    model: i32,
    sentence: Range<usize>,
    /// The classes of its words.
    meanings: u128,
    words: Vec<Reason>,
}

impl Fired {
    /// What a classifier is asked about.
    pub(super) fn features(&self, view: &View) -> Vec<(model::Of, usize)> {
        let mut found = Vec::new();
        let sentence = view.bytes(self.sentence.clone());
        model::features(sentence, self.meanings, &mut |of, it| found.push((of, it)));
        found
    }

    pub(super) fn reasons(&self) -> impl Iterator<Item = Reason> {
        self.words.iter().cloned()
    }

    pub(super) fn scored(self, view: &View, model: &Model) -> Self {
        let logit = model.score(view.bytes(self.sentence.clone()), self.meanings);
        // What only talks about such things is not made worse by the words that it takes.
        let most = if self.full == 0 { 0 } else { i32::MAX };
        Self { model: model_points(logit).min(most), ..self }
    }
}

/// The classifier may lower what the table says, or raise it, within bounds; to raise it takes more.
fn model_points(logit: f32) -> i32 {
    let thirds = (logit * 3.0 - MODEL_DOUBT).clamp(MODEL_MIN, MODEL_MAX);
    #[expect(clippy::cast_possible_truncation, reason = "it was clamped")]
    let thirds = thirds as i32;
    thirds
}
const MODEL_MIN: f32 = -6.0;
const MODEL_MAX: f32 = 6.0;
const MODEL_DOUBT: f32 = 3.0;

/// What sentences say together, in thirds of a point.
pub(super) fn points<'f>(fired: impl Iterator<Item = &'f Fired> + Clone, of: Of) -> i32 {
    let full = fired.clone().fold(0, |set, it| set | it.full);
    let less = fired.clone().fold(0, |set, it| set | it.less) & !full;
    let quoted = fired.clone().fold(0, |set, it| set | it.quoted) & !full & !less;
    let (mut table, mut of_quotes) = (0, 0);
    for (number, signal) in SIGNALS.iter().enumerate() {
        let is_in = |set: u128| set & (1 << number) != 0;
        if is_in(quoted) {
            of_quotes += signal.points(of);
        }
        table += if is_in(full) {
            3 * signal.points(of)
        } else if is_in(less) {
            signal.points(of)
        } else {
            0
        };
    }
    table + of_quotes.min(QUOTED_MAX) + fired.map(|it| it.model).max().unwrap_or_default()
}

/// Enough to be written down, and never of high severity by itself: who explains attacks quotes many.
const QUOTED_MAX: i32 = 24;

/// Signals that are looked for this far apart are looked for in the sentence before, too.
const WIDE: usize = 150;

/// The signals of a sentence, if it has any.
pub(super) fn fired(
    view: &View,
    before: Option<Range<usize>>,
    sentence: Range<usize>,
    said: Said<'_>,
) -> Option<Fired> {
    let near = Words::of(view, sentence.clone(), said.of);
    if near.hits.is_empty() {
        return None;
    }
    let start = before.map_or(sentence.start, |it| it.start);
    let wide = Words::of(view, start..sentence.end, said.of);
    let mut fired = Fired {
        full: 0,
        less: 0,
        quoted: 0,
        model: 0,
        sentence,
        meanings: near.set & Class::LEARNT,
        words: Vec::new(),
    };
    for (number, (signal, needs)) in SIGNALS.iter().zip(NEEDS.iter()).enumerate() {
        let words = if signal.within >= WIDE { &wide } else { &near };
        let may_be = needs.all.iter().all(|group| words.set & group != 0);
        if !may_be || signal.points(said.of) == 0 {
            continue;
        }
        let Some(found) = signal.find(&needs.words, words.hits) else { continue };
        let quotes = view.quotes();
        let is_about = words.set & Class::About.bit() != 0
            && said.of == Of::Content
            && quotes.mention(found.start, words.set)
            && is_quoted(view.bytes(words.range.clone()), found.start - words.range.start);
        // What is said outside of quotations is no quotation, though one stands beside it.
        let stands_in_quotes = |found: &Found| {
            let starts = found.ranges.iter().flatten().map(|it| it.start);
            quotes.have(starts) && {
                let open = words.hits.iter().filter(|it| quotes.at(it.start).is_none());
                signal.find(&needs.words, &open.copied().collect::<Vec<_>>()).is_none()
            }
        };
        if !quotes.are_meant() && (is_about || stands_in_quotes(&found)) {
            fired.quoted |= 1 << number;
        } else if words.set & needs.but != 0 {
            fired.less |= 1 << number;
        } else {
            fired.full |= 1 << number;
        }
        let words = found.ranges.iter().flatten();
        let words = words.map(|it| String::from_utf8_lossy(view.bytes(it.clone())).into_owned());
        fired.words.push((signal.name, words.collect()));
    }
    (fired.full | fired.less | fired.quoted != 0).then_some(fired)
}

/// The words of one sentence or of two.
struct Words<'v> {
    range: Range<usize>,
    hits: &'v [Hit],
    set: u128,
}

impl<'v> Words<'v> {
    fn of(view: &'v View, range: Range<usize>, of: Of) -> Self {
        let hits = view.hits(&range);
        let hits = hits.get(..HITS_MAX).unwrap_or(hits);
        let is_value = matches!(of, Of::Value | Of::Name);
        let value = if is_value { Class::Value.bit() } else { 0 };
        Self { range, hits, set: hits.iter().fold(value, |set, it| set | it.class.bit()) }
    }
}

/// Whether a place in a sentence is between quotation marks.
fn is_quoted(text: &[u8], at: usize) -> bool {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, &[]));
    let opens = before.iter().enumerate().rev().any(|(at, it)| {
        let is_first = at == 0 || before.get(at - 1).is_some_and(|it| !it.is_ascii_alphanumeric());
        matches!(it, b'"' | b'\'' | b'`') && is_first || *it >= 0x80
    });
    opens && after.iter().any(|it| matches!(it, b'"' | b'\'' | b'`') || *it >= 0x80)
}

/// Where the words of a signal are.
struct Found {
    start: usize,
    ranges: [Option<Range<usize>>; Signal::NEEDS_MAX],
}

impl Signal {
    const NEEDS_MAX: usize = 3;

    pub(super) fn points(&self, of: Of) -> i32 {
        match of {
            Of::Description | Of::Value | Of::Name => self.tool,
            Of::Content => self.text,
        }
    }

    /// One word of each group, all different and near each other. One sweep: of each group the last
    /// word is remembered, and the one before, since one word may stand for two groups.
    fn find(&self, needs: &[u128], hits: &[Hit]) -> Option<Found> {
        let mut last: [Option<Hit>; Self::NEEDS_MAX] = [None; Self::NEEDS_MAX];
        let mut before = last;
        for hit in hits {
            let mut is_new = false;
            for ((slot, before), group) in last.iter_mut().zip(&mut before).zip(needs) {
                if group & hit.class.bit() != 0 {
                    *before = slot.replace(*hit);
                    is_new = true;
                }
            }
            if !is_new {
                continue;
            }
            let last = last.get(..needs.len()).unwrap_or_default();
            let other = |number: usize| {
                let mut hits = last.to_vec();
                *hits.get_mut(number)? = *before.get(number)?;
                near(&hits, self.within)
            };
            let found = near(last, self.within);
            if let Some(found) = found.or_else(|| {
                let is_whole = last.iter().all(Option::is_some);
                (0..needs.len()).filter(|_| is_whole).find_map(other)
            }) {
                return Some(found);
            }
        }
        None
    }
}

/// The groups of each signal as sets. That a text is a value stands nowhere in it: it is no word
/// that would have to be near.
static NEEDS: LazyLock<Vec<Needs>> = LazyLock::new(|| {
    let groups = |it: &Signal| it.needs.iter().map(|it| set(it)).collect::<Vec<_>>();
    let needs = |it: &Signal| Needs {
        all: groups(it),
        words: groups(it).into_iter().filter(|it| *it != Class::Value.bit()).collect(),
        but: set(it.but),
    };
    SIGNALS.iter().map(needs).collect()
});

struct Needs {
    all: Vec<u128>,
    words: Vec<u128>,
    but: u128,
}

fn near(hits: &[Option<Hit>], within: usize) -> Option<Found> {
    let mut found = Found { start: usize::MAX, ranges: [const { None }; Signal::NEEDS_MAX] };
    let (mut last, mut width) = (0, 1);
    for (number, hit) in hits.iter().enumerate() {
        let hit = (*hit)?;
        let overlaps =
            |it: &Option<Hit>| it.is_some_and(|it| it.start < hit.end && hit.start < it.end);
        if hits.iter().take(number).any(overlaps) {
            return None;
        }
        found.start = found.start.min(hit.start);
        last = last.max(hit.start);
        width = width.max(hit.width);
        if let Some(range) = found.ranges.get_mut(number) {
            *range = Some(hit.start..hit.end);
        }
    }
    (last - found.start <= within * width).then_some(found)
}
