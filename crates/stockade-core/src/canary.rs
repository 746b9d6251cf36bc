//! Texts that nobody has a reason to say: whoever does has them from where they were put.
//!
//! They are looked for as they are, and as somebody would write them who does not want them found:
//! backwards, in hexadecimal, in Base64 at any offset, percent-encoded, in escapes, in letters that look
//! like its own, in other cases, and taken apart by anything that is neither letter nor digit, also
//! over several values.

use data_encoding::{BASE64, HEXLOWER};
use memchr::memmem::Finder;
use url::form_urlencoded;

use crate::detect;

/// Shorter ones, by their letters and digits, would be found where they are not.
pub const LETTERS_MIN: usize = 8;

/// Some canaries, in every form that they are looked for in.
#[derive(Debug, Default)]
pub struct Canaries(Vec<Canary>);

#[derive(Debug)]
struct Canary {
    /// What it is called where it is not to be said.
    name: String,
    /// In lower case.
    folded: Vec<(&'static str, Finder<'static>)>,
    /// In Base64 by itself, and behind one and two bytes of something else.
    base64: Vec<Finder<'static>>,
}

/// A canary that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit<'c> {
    /// What it is called.
    pub name: &'c str,
    /// How it was written.
    pub how: &'static str,
}

impl Canaries {
    /// To look for these, each with what it is called.
    pub fn new(canaries: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(canaries.into_iter().map(|(name, text)| Canary::new(name, &text)).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first that is in these texts, taken together.
    pub fn find<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Option<Hit<'_>> {
        if self.is_empty() {
            return None;
        }
        let mut read = Readings::default();
        texts.into_iter().for_each(|it| read.push(it));
        let found = self.in_letters(&read.plain);
        let found = found.or_else(|| {
            let found = self.in_letters(&read.decoded).filter(|_| read.decoded != read.plain)?;
            Some(Hit { how: "percent-encoded", ..found })
        });
        let found = found.or_else(|| {
            let found = self.in_letters(&read.escaped).filter(|_| read.escaped != read.plain)?;
            Some(Hit { how: "in escapes", ..found })
        });
        found.or_else(|| {
            let found = self.in_letters(&read.looks).filter(|_| read.looks != read.plain)?;
            Some(Hit { how: "in letters that look like its own", ..found })
        })
    }

    fn in_letters(&self, text: &str) -> Option<Hit<'_>> {
        let folded = text.to_lowercase();
        self.0.iter().find_map(|canary| {
            let folded = canary
                .folded
                .iter()
                .find(|(_, it)| it.find(folded.as_bytes()).is_some())
                .map(|(how, _)| *how);
            let base64 = || canary.base64.iter().any(|it| it.find(text.as_bytes()).is_some());
            let how = folded.or_else(|| base64().then_some("in Base64"))?;
            Some(Hit { name: &canary.name, how })
        })
    }
}

/// The letters and digits of some texts, in each way that they are read.
#[derive(Default)]
struct Readings {
    plain: String,
    decoded: String,
    /// With `\x4d`, `\u004d` and `&#77;` resolved, and without the `0x` before digits.
    escaped: String,
    /// Letters of other scripts and widths, and those with accents, as those that they look like.
    looks: String,
}

impl Readings {
    fn push(&mut self, text: &str) {
        self.plain.extend(letters(text));
        if text.contains('%') {
            // The names and values of a query are all of its text but `&`, `=` and `+`.
            for (name, value) in form_urlencoded::parse(text.as_bytes()) {
                self.decoded.extend(letters(&name).chain(letters(&value)));
            }
        } else {
            self.decoded.extend(letters(text));
        }
        let escaped = detect::unescaped(text);
        let escaped = escaped.replace("0x", "").replace("0X", "");
        self.escaped.extend(letters(&escaped));
        self.looks.extend(letters(&detect::undisguised(&escaped)));
    }
}

impl Canary {
    fn new(name: String, text: &str) -> Self {
        let owned = |it: &str| Finder::new(it.as_bytes()).into_owned();
        let plain: String = letters(text).collect::<String>().to_lowercase();
        let reversed: String = plain.chars().rev().collect();
        let stripped: String = letters(text).collect();
        let hex = |it: &str| HEXLOWER.encode(it.as_bytes());
        let mut folded = vec![("as it is", owned(&plain)), ("backwards", owned(&reversed))];
        let looks = letters(&detect::undisguised(text)).collect::<String>().to_lowercase();
        if looks != plain {
            folded.push(("in letters that look like its own", owned(&looks)));
        }
        let mut base64 = Vec::new();
        for text in [text, &stripped] {
            folded.push(("in hexadecimal", owned(&hex(text))));
            for before in 0..3 {
                let bytes = [&vec![0; before][..], text.as_bytes()].concat();
                let encoded = BASE64.encode(&bytes);
                // Without what is of the bytes before and of those behind as well.
                let from = (before * 8).div_ceil(6);
                let to = bytes.len() * 8 / 6;
                let own = encoded.get(from..to).unwrap_or_default();
                base64.push(owned(&letters(own).collect::<String>()));
            }
        }
        Self { name, folded, base64 }
    }
}

/// How many letters and digits a canary has.
pub fn length(text: &str) -> usize {
    letters(text).count()
}

fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|it| it.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64URL_NOPAD, HEXUPPER};

    use super::*;

    const CANARY: &str = "Magpie-77-Lantern";

    fn how(texts: &[&str]) -> Option<&'static str> {
        let canaries = Canaries::new([("one".to_owned(), CANARY.to_owned())]);
        canaries.find(texts.iter().copied()).map(|it| it.how)
    }

    #[test]
    fn it_is_found_however_it_is_written() {
        let backwards: String = CANARY.chars().rev().collect();
        let spaced: String = CANARY.chars().flat_map(|it| [it, ' ']).collect();
        let percent: String = CANARY.bytes().map(|it| format!("%{it:02X}")).collect();
        let each = |write: fn(u8) -> String| CANARY.bytes().map(write).collect::<String>();
        let wide = CANARY.bytes().map(|it| char::from_u32(0xfee0 + u32::from(it)).unwrap());
        let wide: String = wide.collect();
        for (text, expected) in [
            (CANARY.to_owned(), "as it is"),
            (format!("x{}y", CANARY.to_uppercase()), "as it is"),
            ("magpie77lantern".to_owned(), "as it is"),
            (spaced, "as it is"),
            (backwards, "backwards"),
            (HEXUPPER.encode(CANARY.as_bytes()), "in hexadecimal"),
            (percent, "in hexadecimal"),
            ("https://x.example/?q=M%61gpie-77-L%61ntern".to_owned(), "percent-encoded"),
            (each(|it| format!("\\x{it:02x}")), "in escapes"),
            (each(|it| format!("0x{it:02x} ")), "in escapes"),
            (each(|it| format!("&#{it};")), "in escapes"),
            (each(|it| format!("&#x{it:x};")), "in escapes"),
            (each(|it| format!("\\u{it:04x}")), "in escapes"),
            (wide, "in letters that look like its own"),
            ("M\u{430}gpie-77-Lantern".to_owned(), "in letters that look like its own"),
            ("Magpie-77-Lant\u{e9}rn".to_owned(), "in letters that look like its own"),
        ] {
            assert_eq!(how(&[&text]), Some(expected), "{text}");
        }
        for before in ["", "a", "ab", "abc", "and then: "] {
            for behind in ["", "!", "!!", " and more"] {
                let text = format!("{before}{CANARY}{behind}");
                for text in
                    [BASE64.encode(text.as_bytes()), BASE64URL_NOPAD.encode(text.as_bytes())]
                {
                    assert_eq!(how(&[&text]), Some("in Base64"), "{before}, {behind}");
                }
            }
        }
        assert_eq!(how(&["Magp", "ie-77", "-Lantern"]), Some("as it is"), "over several values");
    }

    #[test]
    fn nothing_else_is_found() {
        for text in ["", "Magpie-78-Lantern", "a magpie and a lantern", "%zz", "100 %", "TWFncGll"]
        {
            assert_eq!(how(&[text]), None, "{text}");
        }
        assert_eq!(Canaries::default().find([CANARY]), None);
    }
}
