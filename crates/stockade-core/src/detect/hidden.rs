//! What a text says to who decodes it.
//!
//! A model reads base64, hexadecimal digits, percent signs, entities, tag characters, rot13 and what
//! is written backwards or with digits for letters, and some do what they read there. All decoding is
//! bounded: so much of a text, so many pieces, one level inside another.

use data_encoding::{BASE32, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};

use super::Said;
use super::encodings;
use super::lexicon::Class;
use super::view::View;
use crate::bytes::{count, is_hex, is_text_in_hex, leading, run};

/// How something was hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disguise {
    Unseen,
    Letters,
    Tags,
    Base64,
    Base32,
    Hex,
    Numbers,
    Escapes,
    Rot13,
    Backwards,
    Digits,
    Gaps,
}

impl Disguise {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unseen => "between characters that nobody sees",
            Self::Letters => "in letters of another script",
            Self::Tags => "in tag characters",
            Self::Base64 => "in base64",
            Self::Base32 => "in base32",
            Self::Hex => "in hexadecimal digits",
            Self::Numbers => "in numbers",
            Self::Escapes => "in escapes",
            Self::Rot13 => "in rot13",
            Self::Backwards => "backwards",
            Self::Digits => "with digits for letters",
            Self::Gaps => "in letters apart or without gaps",
        }
    }
}

/// What is shorter says nothing.
const PIECE_MIN: usize = 20;
const HEX_MIN: usize = 32;
/// Text has so many bytes in a row somewhere that are no control characters.
const LETTERS_MIN: usize = 8;
const NUMBERS_MIN: usize = 8;
/// So often something that is encoded may be encoded again.
const DEPTH_MAX: usize = 2;
/// Fewer escapes than this are what they are in any text.
const ESCAPES_MIN: usize = 3;

/// Shows every other reading of a text, until told that it is enough. `plain` is the one that was
/// seen already.
pub(super) fn each(said: Said<'_>, plain: &View, visit: &mut dyn FnMut(&View, Disguise) -> bool) {
    let text = said.text;
    let mut again =
        |text: String, how: Disguise| text.is_empty() || visit(&view(&text, how, said), how);
    let shape = Shape::of(text);
    let _ = again(tags(text), Disguise::Tags)
        && pieces(text, &shape, 0, &mut again)
        && (!shape.escapes || again(unescaped(text), Disguise::Escapes))
        && (!plain.has(Class::Rot) || again(text.chars().map(rot13).collect(), Disguise::Rot13))
        && (!plain.has(Class::Back) || again(text.chars().rev().collect(), Disguise::Backwards))
        && (!shape.digits || again(text.chars().map(letter).collect(), Disguise::Digits))
        && (!shape.gaps && !shape.digits || {
            visit(&View::dense(&without_gaps(text, &shape)), Disguise::Gaps)
        });
}

/// The same of a text that is one digest or dump, of which no plain reading says anything.
pub(super) fn each_in_digest(said: Said<'_>, visit: &mut dyn FnMut(&View, Disguise) -> bool) {
    let text = said.text;
    let mut again =
        |text: String, how: Disguise| text.is_empty() || visit(&view(&text, how, said), how);
    let digits = count(text.as_bytes(), |it| it.is_ascii_digit()) == text.len();
    let numbers = digits && text.len() >= 8 * NUMBERS_MIN;
    pieces(text, &Shape { runs: true, numbers, ..Shape::default() }, 0, &mut again);
}

/// A reading of it. What was encoded by itself is seen by nobody; the others are all of the text.
fn view(text: &str, how: Disguise, said: Said<'_>) -> View {
    match how {
        Disguise::Tags
        | Disguise::Base64
        | Disguise::Base32
        | Disguise::Hex
        | Disguise::Numbers => View::hidden(text, said),
        Disguise::Unseen
        | Disguise::Letters
        | Disguise::Escapes
        | Disguise::Rot13
        | Disguise::Backwards
        | Disguise::Digits
        | Disguise::Gaps => View::of(text, said),
    }
}

/// What one look at the words of a text tells of what may be in it.
#[derive(Debug, Default)]
struct Shape {
    /// A long run of the letters of base64 and its kin.
    runs: bool,
    numbers: bool,
    escapes: bool,
    /// Many words have digits among their letters.
    digits: bool,
    /// Letters that stand alone, or words without end.
    gaps: bool,
    /// Most of its words are single letters.
    apart: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let swapped = count(bytes, |it| it.is_ascii_digit() | matches!(it, b'@' | b'$'));
        let is_plain = swapped < MIXED_MIN;
        let (mut words, mut single, mut mixed, mut numbers) = (0_usize, 0, 0, 0_usize);
        let mut shape = Self { escapes: escapes(bytes), ..Self::default() };
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = leading(rest, |it| !it.is_ascii_whitespace());
            let word = rest.get(..len).unwrap_or_default();
            rest = rest.get(len + 1..).unwrap_or_default();
            let Some(first) = word.first() else { continue };
            words += 1;
            // Most words are short and of letters, and tell nothing.
            if word.len() < WORD_MIN && is_plain && kind(*first) & MORSE == 0 {
                single += usize::from(word.len() == 1 && kind(*first) & (LETTER | DIGIT) != 0);
                numbers = 0;
                continue;
            }
            if is_digest(word) {
                let digits = count(word, |it| it.is_ascii_digit());
                numbers = if digits == word.len() { numbers + 1 } else { 0 };
                let is_long = digits == word.len() && digits >= 8 * NUMBERS_MIN;
                shape.numbers |= numbers >= NUMBERS_MIN || is_long;
                shape.runs = true;
                continue;
            }
            let word = Kinds::of(word);
            single += usize::from(word.len == 1 && word.letters + word.digits == 1);
            mixed += usize::from(word.len > 2 && word.letters > 0 && word.swapped > 0);
            let is_number = word.digits > 0 && word.letters == 0 && word.marks <= 1;
            numbers = if is_number || word.morse == word.len { numbers + 1 } else { 0 };
            shape.numbers |= numbers >= NUMBERS_MIN || word.digits >= 8 * NUMBERS_MIN;
            shape.runs |= word.longest >= PIECE_MIN;
            shape.gaps |= word.has_gaps();
        }
        shape.digits = mixed >= MIXED_MIN && 3 * mixed >= words;
        shape.apart = single >= 10 && 10 * single >= 6 * words;
        shape.gaps |= shape.apart;
        shape
    }
}

/// Whether it is a digest or a dump: what it is made of makes no words, and is looked at as what it is.
pub(super) fn is_digest(word: &[u8]) -> bool {
    word.len() >= HEX_MIN && leading(word, is_hex) == word.len()
}

/// So many words have digits among their letters where digits stand for letters.
const MIXED_MIN: usize = 3;
/// A word that is shorter is not many words.
const WORD_MIN: usize = 8;

const SPACE: u8 = 1;
const LETTER: u8 = 1 << 1;
const DIGIT: u8 = 1 << 2;
/// Digits and signs that are written for letters.
const SWAPPED: u8 = 1 << 3;
const MARK: u8 = 1 << 4;
const MORSE: u8 = 1 << 5;
/// What base64 and its kin are written with.
const SIXTYFOUR: u8 = 1 << 6;

/// The kinds of each byte: every byte of every text is looked up here.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0_u8;
    loop {
        let flags = [
            (byte.is_ascii_whitespace(), SPACE),
            (byte.is_ascii_alphabetic(), LETTER),
            (byte.is_ascii_digit(), DIGIT),
            (matches!(byte, b'0' | b'1' | b'3' | b'4' | b'5' | b'7' | b'@' | b'$'), SWAPPED),
            (byte.is_ascii_punctuation(), MARK),
            (matches!(byte, b'.' | b'-' | b'/'), MORSE),
            (byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'), SIXTYFOUR),
        ];
        let mut at = 0;
        while at < flags.len() {
            #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
            if flags[at].0 {
                kinds[byte as usize] |= flags[at].1;
            }
            at += 1;
        }
        if byte == u8::MAX {
            break kinds;
        }
        byte += 1;
    }
};

fn kind(byte: u8) -> u8 {
    KINDS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// How many bytes of which kind are in a word.
#[derive(Default)]
struct Kinds {
    len: usize,
    letters: usize,
    digits: usize,
    swapped: usize,
    marks: usize,
    morse: usize,
    /// How long the longest part is that is written with what base64 is written with.
    run: usize,
    longest: usize,
    /// The same, of letters and digits only.
    plain_run: usize,
    plain_longest: usize,
}

impl Kinds {
    fn push(&mut self, kind: u8) {
        let is = |flag: u8| usize::from(kind & flag != 0);
        self.len += 1;
        self.letters += is(LETTER);
        self.digits += is(DIGIT);
        self.swapped += is(SWAPPED);
        self.marks += is(MARK);
        self.morse += is(MORSE);
        self.run = (self.run + 1) * is(SIXTYFOUR);
        self.plain_run = (self.plain_run + 1) * is(LETTER | DIGIT);
        if self.run > self.longest {
            self.longest = self.run;
        }
        if self.plain_run > self.plain_longest {
            self.plain_longest = self.plain_run;
        }
    }

    fn of(word: &[u8]) -> Self {
        let mut kinds = Self::default();
        word.iter().for_each(|it| kinds.push(kind(*it)));
        kinds
    }

    /// Whether this is more than one word: without end, or with a mark after each letter.
    fn has_gaps(&self) -> bool {
        self.plain_longest >= 2 * PIECE_MIN
            || self.letters >= 6 && self.plain_longest <= 2 && 5 * self.marks >= 2 * self.len
    }

    /// The same, of a shorter word beside such: `a-l-l`.
    fn is_apart(&self) -> bool {
        self.letters >= 2 && self.plain_longest == 1 && self.marks + 1 >= self.letters
    }
}

/// The same as [`SIXTYFOUR`], for many bytes at a time.
#[inline]
fn is_sixtyfour(it: u8) -> bool {
    it.is_ascii_alphanumeric() | matches!(it, b'+' | b'/' | b'-' | b'_')
}

/// What is written in the tag characters of a text.
fn tags(text: &str) -> String {
    if memchr::memmem::find(text.as_bytes(), b"\xf3\xa0").is_none() {
        return String::new();
    }
    let tags = text.chars().filter(|it| matches!(it, '\u{e0020}'..='\u{e007e}'));
    tags.filter_map(|it| char::from_u32(u32::from(it) & 0x7f)).collect()
}

type Decoder = fn(&[u8]) -> Option<Vec<u8>>;

/// Everything that decodes to text, one kind after the other, each kind as one text.
fn pieces(
    text: &str,
    shape: &Shape,
    depth: usize,
    again: &mut dyn FnMut(String, Disguise) -> bool,
) -> bool {
    if shape.numbers && !again(numbers(text), Disguise::Numbers) {
        return false;
    }
    if !shape.runs {
        return true;
    }
    const DECODERS: [(Disguise, usize, Decoder); 3] = [
        (Disguise::Hex, HEX_MIN, hex),
        (Disguise::Base32, HEX_MIN, base32),
        (Disguise::Base64, PIECE_MIN, base64),
    ];
    let mut found = [const { String::new() }; DECODERS.len()];
    let (bytes, mut from) = (text.as_bytes(), 0);
    while let Some(place) = run(bytes, from, PIECE_MIN, is_sixtyfour) {
        from = place.end;
        let run = bytes.get(place).unwrap_or_default();
        for ((_, min, decode), found) in DECODERS.iter().zip(&mut found) {
            let decoded = Some(run).filter(|it| it.len() >= *min).and_then(decode);
            if let Some(decoded) = decoded.and_then(readable) {
                found.push_str(&decoded);
                found.push_str(".\n");
            }
        }
    }
    for ((how, ..), found) in DECODERS.into_iter().zip(found) {
        if found.is_empty() {
            continue;
        }
        let inner = Shape::of(&found);
        let deeper = depth < DEPTH_MAX && (inner.runs || inner.numbers);
        if deeper && !pieces(&found, &inner, depth + 1, again) || !again(found, how) {
            return false;
        }
    }
    true
}

fn hex(run: &[u8]) -> Option<Vec<u8>> {
    let (pairs, _) = run.as_chunks::<2>();
    if !is_text_in_hex(pairs, LETTERS_MIN) {
        return None;
    }
    HEXLOWER_PERMISSIVE.decode(run).ok()
}

fn base32(run: &[u8]) -> Option<Vec<u8>> {
    let whole = run.len() - run.len() % 8;
    run.get(..whole).and_then(|it| BASE32.decode(it).ok())
}

fn base64(run: &[u8]) -> Option<Vec<u8>> {
    // Twenty-two letters of sixty-four make no text.
    if is_digest(run) {
        return None;
    }
    // What is left of a group that was cut says nothing, and a path that precedes it even less.
    let whole = if run.len() % 4 == 1 { run.len() - 1 } else { run.len() };
    let run = run.get(..whole)?;
    BASE64_NOPAD.decode(run).or_else(|_| BASE64URL_NOPAD.decode(run)).ok().or_else(|| {
        let whole = run.len() - run.len() % 4;
        BASE64_NOPAD.decode(run.get(..whole)?).ok()
    })
}

/// Text, if it is that for the most part: a colour of a terminal in it makes nothing else of it.
fn readable(bytes: Vec<u8>) -> Option<String> {
    const LETTERS_FOR_EACH: usize = 12;
    let is_odd = |it: char| {
        it == char::REPLACEMENT_CHARACTER || it.is_control() && !matches!(it, '\n' | '\t' | '\r')
    };
    let text = encodings::text(bytes)?;
    let odd = text.chars().filter(|it| is_odd(*it)).count();
    if odd == 0 {
        return Some(text);
    }
    let is_text = odd * LETTERS_FOR_EACH <= text.chars().count();
    is_text.then(|| text.replace(is_odd, " "))
}

/// What numbers stand for: characters in binary or decimal, or Morse.
fn numbers(text: &str) -> String {
    let mut found = String::new();
    for word in text.split_ascii_whitespace() {
        let word = word.trim_end_matches(',');
        if word.is_empty() {
            continue;
        }
        if word.len() >= 8
            && word.len().is_multiple_of(8)
            && word.bytes().all(|it| matches!(it, b'0' | b'1'))
        {
            for byte in word.as_bytes().chunks(8) {
                let code = byte.iter().fold(0_u8, |code, it| (code << 1) | (it & 1));
                found.push(printable(code));
            }
        } else if word.bytes().all(|it| matches!(it, b'.' | b'-' | b'/')) {
            found.push(morse(word));
        } else if let Ok(code) = word.parse::<u8>() {
            found.push(printable(code));
        } else {
            found.push(' ');
        }
    }
    found
}

fn printable(code: u8) -> char {
    let it = char::from(code);
    if it.is_ascii_graphic() { it } else { ' ' }
}

fn morse(word: &str) -> char {
    const LETTERS: [&str; 26] = [
        ".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..", ".---", "-.-", ".-..", "--",
        "-.", "---", ".--.", "--.-", ".-.", "...", "-", "..-", "...-", ".--", "-..-", "-.--",
        "--..",
    ];
    let letters = ('a'..='z').zip(LETTERS);
    letters.into_iter().find(|(_, it)| *it == word).map_or(' ', |(letter, _)| letter)
}

/// Whether there are escapes to resolve.
fn escapes(text: &[u8]) -> bool {
    memchr::memchr3_iter(b'%', b'&', b'\\', text)
        .filter(|at| text.get(*at..).is_some_and(|it| escape(it).is_some()))
        .take(ESCAPES_MIN)
        .count()
        == ESCAPES_MIN
}

/// The byte or character that an escape stands for, and how long the escape is.
fn escape(text: &[u8]) -> Option<(u32, usize)> {
    let digits = |from: usize, len: usize, base: u32| {
        let digits = text.get(from..from + len)?;
        let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()?;
        Some((code, from + len))
    };
    match text {
        [b'%', ..] => digits(1, 2, 16),
        [b'\\', b'x', ..] => digits(2, 2, 16),
        [b'\\', b'u', b'{', ..] => {
            let len = text.iter().take(10).skip(3).position(|it| *it == b'}')?;
            digits(3, len, 16).map(|(code, end)| (code, end + 1))
        }
        [b'\\', b'u', ..] => digits(2, 4, 16),
        [b'&', b'#', rest @ ..] => {
            let len = rest.iter().take(9).position(|it| *it == b';')?;
            let (from, base) = if matches!(rest, [b'x' | b'X', ..]) { (3, 16) } else { (2, 10) };
            digits(from, (len + 2).checked_sub(from)?, base).map(|(code, end)| (code, end + 1))
        }
        _ => None,
    }
}

/// A text with its escapes resolved.
pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(first) = rest.first() {
        match escape(rest) {
            // A percent sign stands for a byte, the others for a character.
            Some((code, len)) => {
                match (first, u8::try_from(code), char::from_u32(code)) {
                    (b'%', Ok(byte), _) => bytes.push(byte),
                    (_, _, Some(it)) => bytes.extend(it.encode_utf8(&mut [0; 4]).as_bytes()),
                    _ => {}
                }
                rest = rest.get(len..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = rest.get(1..).unwrap_or_default();
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn rot13(it: char) -> char {
    match it {
        'a'..='m' | 'A'..='M' => char::from_u32(u32::from(it) + 13).unwrap_or(it),
        'n'..='z' | 'N'..='Z' => char::from_u32(u32::from(it) - 13).unwrap_or(it),
        it => it,
    }
}

/// What is written with letters apart or without gaps, in letters only.
fn without_gaps(text: &str, shape: &Shape) -> String {
    let letters = |word: &str| -> String { word.chars().map(letter).collect() };
    let text = text.get(..text.floor_char_boundary(GAPS_BYTES_MAX)).unwrap_or_default();
    if shape.apart || shape.digits {
        return letters(text);
    }
    let words = text.split_ascii_whitespace().filter(|it| {
        let kinds = Kinds::of(it.as_bytes());
        kinds.has_gaps() || kinds.is_apart()
    });
    words.map(letters).collect()
}

/// No model reads words out of more than this.
const GAPS_BYTES_MAX: usize = 16 << 10;

/// The letter that a digit or a sign is written for.
fn letter(it: char) -> char {
    match it {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        it => it,
    }
}
