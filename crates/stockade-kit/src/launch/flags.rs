//! Options, by a grammar: those that are known, and all others by the name of unknown.

/// The options of a program that change nothing about what it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grammar {
    /// Those without a value.
    pub(super) alone: &'static [&'static str],
    /// Letters of those, which can stand together behind one hyphen.
    pub(super) letters: &'static str,
    /// Those with a value, behind `=` or as the next word.
    pub(super) valued: &'static [&'static str],
    /// Options that have code in them, or load it. They are unknown with a better reason.
    pub(super) code: &'static [&'static str],
}

/// The next part of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// An option without a value, or several.
    Alone(&'a str),
    /// An option, and its value.
    Valued(&'a str, &'a str),
    /// No option.
    Word(&'a str),
    /// `--`: no option follows.
    End,
    /// An option that has code in it, or loads it.
    Code(&'a str),
    /// An option that is not known, or not written in a known way.
    Unknown(&'a str),
}

impl Grammar {
    /// The next piece, and the words behind it.
    pub(super) fn next<'a>(&self, words: &'a [&'a str]) -> Option<(Piece<'a>, &'a [&'a str])> {
        let (word, rest) = words.split_first()?;
        let word = *word;
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let piece = match value {
            _ if word == "--" => Piece::End,
            _ if word == "-" || !word.starts_with('-') => Piece::Word(word),
            None if self.alone.contains(&word) => Piece::Alone(word),
            None if self.valued.contains(&word) => {
                return Some(match rest.split_first() {
                    Some((value, rest)) => (Piece::Valued(word, value), rest),
                    None => (Piece::Unknown(word), rest),
                });
            }
            // With one hyphen, an equals sign may be a part of the value.
            Some(value) if name.starts_with("--") && self.valued.contains(&name) => {
                Piece::Valued(name, value)
            }
            _ if self.code.contains(&name) => Piece::Code(name),
            _ if word.starts_with("--") => Piece::Unknown(word),
            _ => self.together(word),
        };
        Some((piece, rest))
    }

    /// `-yq`, which is `-y -q`; and `-yc`, in which is `-c`.
    fn together<'a>(&self, word: &'a str) -> Piece<'a> {
        let letters = || word.chars().skip(1);
        let is_code = |it: char| self.code.iter().any(|code| code.chars().eq(['-', it]));
        if letters().all(|it| self.letters.contains(it)) {
            Piece::Alone(word)
        } else if letters().any(is_code) {
            Piece::Code(word)
        } else {
            Piece::Unknown(word)
        }
    }
}
