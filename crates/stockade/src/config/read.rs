//! Reads a policy file into the types of [`super::file`], and notes everything that is wrong with
//! it on the way. Deserialising would stop at the first.

use std::ops::Range;

use serde_json::Value;
use stockade_core::policy::input::DIALECTS;
use stockade_core::policy::{Action, Commands, Effect, Sql};
use stockade_kit::query::Dialect;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// Something that was said, and where.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// What.
    pub value: T,
    /// Where, in bytes.
    pub span: Range<usize>,
}

/// A key of a table that is ours.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What it means, in sentences.
    pub words: &'static str,
    /// What it could be, as it would be written.
    pub example: &'static str,
}

/// One of several spellings.
pub(super) trait Choice: Copy + 'static {
    /// What it is called.
    const KIND: &'static str;
    /// Every spelling.
    fn all() -> Vec<(&'static str, Self)>;
}

impl Choice for Effect {
    const KIND: &'static str = "effect";
    fn all() -> Vec<(&'static str, Self)> {
        Self::ALL.iter().map(|it| (it.name(), *it)).collect()
    }
}

impl Choice for Action {
    const KIND: &'static str = "action";
    fn all() -> Vec<(&'static str, Self)> {
        Self::ALL.iter().map(|it| (it.name(), *it)).collect()
    }
}

impl Choice for Sql {
    const KIND: &'static str = "sort of statements";
    fn all() -> Vec<(&'static str, Self)> {
        Self::ALL.to_vec()
    }
}

impl Choice for Commands {
    const KIND: &'static str = "sort of command lines";
    fn all() -> Vec<(&'static str, Self)> {
        Self::ALL.to_vec()
    }
}

impl Choice for Dialect {
    const KIND: &'static str = "dialect";
    fn all() -> Vec<(&'static str, Self)> {
        DIALECTS.to_vec()
    }
}

/// Something that can be read from a value of a file.
pub(super) trait Said: Sized {
    /// Reads it; notes what is wrong.
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self>;
}

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    /// Notes something.
    pub(super) fn wrong(&mut self, span: Range<usize>, says: String, label: impl Into<String>) {
        let (says, label) = (plain(&says), plain(&label.into()));
        self.problems.push(Problem { span, says, label, help: None });
    }

    /// The same, with what to do.
    pub(super) fn help(&mut self, help: String) {
        if let Some(last) = self.problems.last_mut() {
            last.help = Some(plain(&help));
        }
    }

    pub(super) fn at<T: Said>(&mut self, value: &Spanned<DeValue<'_>>) -> Option<At<T>> {
        Some(At { value: T::read(value, self)?, span: value.span() })
    }

    /// Something that goes by no known name.
    pub(super) fn unknown<'k>(
        &mut self,
        kind: &str,
        name: &At<String>,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let says = format!("there is no {kind} `{}`", name.value);
        self.wrong(name.span.clone(), says, format!("unknown {kind}"));
        match nearest(&name.value, known.iter().copied()) {
            Some(it) => self.help(format!("there is `{it}`")),
            None if known.is_empty() => (),
            None => self.help(format!("one of {}", list(&known))),
        }
    }

    pub(super) fn table<'v>(&mut self, value: &'v Spanned<DeValue<'_>>) -> Option<&'v DeTable<'v>> {
        let DeValue::Table(table) = value.get_ref() else {
            self.expected("a table", value);
            return None;
        };
        Some(table)
    }

    fn expected(&mut self, wanted: &str, value: &Spanned<DeValue<'_>>) {
        let found = match value.get_ref().type_str() {
            it @ ("integer" | "array") => format!("an {it}"),
            it => format!("a {it}"),
        };
        let says = format!("{wanted} is wanted here, not {found}");
        self.wrong(value.span(), says, format!("this is {found}"));
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.to_lowercase();
    let near = known.into_iter().map(|it| (strsim::jaro_winkler(&name, it), it));
    let near = near.filter(|(near, _)| *near > 0.8);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, it)| it)
}

/// Without what would move a terminal's cursor: a file that is only being checked may be anybody's.
fn plain(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

fn list(names: &[&str]) -> String {
    names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}

impl Said for String {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let DeValue::String(it) = value.get_ref() else {
            reader.expected("a string", value);
            return None;
        };
        Some(it.clone().into_owned())
    }
}

impl Said for bool {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Boolean(it) = value.get_ref() else {
            reader.expected("`true` or `false`", value);
            return None;
        };
        Some(*it)
    }
}

impl Said for usize {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Integer(it) = value.get_ref() else {
            reader.expected("a whole number", value);
            return None;
        };
        let number = Self::from_str_radix(it.as_str(), it.radix()).ok();
        if number.is_none() {
            reader.wrong(value.span(), "the number is out of bounds".to_owned(), "this number");
        }
        number
    }
}

impl<T: Choice> Said for T {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let name = At { value: String::read(value, reader)?, span: value.span() };
        let all = T::all();
        let found = all.iter().find(|(it, _)| *it == name.value).map(|(_, it)| *it);
        if found.is_none() {
            reader.unknown(T::KIND, &name, all.iter().map(|(it, _)| *it));
        }
        found
    }
}

/// A text, a number or a truth value.
impl Said for Value {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let found = match value.get_ref() {
            DeValue::String(it) => Some(Self::from(it.as_ref())),
            DeValue::Boolean(it) => Some(Self::from(*it)),
            DeValue::Integer(it) => {
                i64::from_str_radix(it.as_str(), it.radix()).ok().map(Self::from)
            }
            DeValue::Float(it) => it.as_str().parse::<f64>().ok().map(Self::from),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        };
        // JSON has neither infinity nor what is not a number.
        let found = found.filter(|it| !it.is_null());
        if found.is_none() {
            reader.expected("a string, a number, or `true` or `false`", value);
        }
        found
    }
}

/// A list of what is wanted. An empty list is refused: whether it means "nothing" or "anything" has
/// been guessed wrong too often (CVE-2026-33032).
impl<T: Said> Said for Vec<At<T>> {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let DeValue::Array(items) = value.get_ref() else {
            reader.expected("a list", value);
            return None;
        };
        if items.is_empty() {
            reader.wrong(value.span(), "an empty list allows nothing".to_owned(), "empty");
            reader.help("leave it away, or say what is meant".to_owned());
            return None;
        }
        // Each is read, so that each can be wrong.
        let each: Vec<Option<At<T>>> = items.iter().map(|it| reader.at(it)).collect();
        each.into_iter().collect()
    }
}

/// One string, or a list of them.
#[derive(Clone, Debug)]
pub struct OneOrMany(pub Vec<At<String>>);

impl Said for OneOrMany {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(_) => reader.at(value).map(|it| Self(vec![it])),
            DeValue::Array(_) => Vec::read(value, reader).map(Self),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                reader.expected("a string or a list of strings", value);
                None
            }
        }
    }
}

/// A table whose keys are the user's.
#[derive(Clone, Debug)]
pub struct Named<T>(pub Vec<(At<String>, At<T>)>);

impl<T: Said> Said for Named<T> {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let table = reader.table(value)?;
        let each: Vec<Option<_>> = table
            .iter()
            .map(|(key, value)| {
                let key = At { value: key.get_ref().clone().into_owned(), span: key.span() };
                Some((key, reader.at(value)?))
            })
            .collect();
        each.into_iter().collect::<Option<_>>().map(Self)
    }
}

/// A table whose keys are ours: a type, its reader and its part of the reference, from one text.
macro_rules! table {
    ($(#[doc = $words:literal])+ $name:ident {
        $($(#[doc = $key_words:literal])+ $key:ident: $type:ty = $example:literal,)+
    }) => {
        $(#[doc = $words])+
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $($(#[doc = $key_words])+ pub $key: Option<At<$type>>,)+
        }

        impl $name {
            /// What it means, in sentences.
            pub const WORDS: &str = concat!($($words, "\n"),+);
            /// What may be in it.
            pub const KEYS: &[Key] = &[$(Key {
                name: stringify!($key),
                words: concat!($($key_words, "\n"),+),
                example: $example,
            }),+];
        }

        impl Said for $name {
            fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
                let mut it = Self::default();
                for (key, value) in reader.table(value)?.iter() {
                    match key.get_ref().as_ref() {
                        $(stringify!($key) => it.$key = reader.at(value),)+
                        name => {
                            let name = At { value: name.to_owned(), span: key.span() };
                            reader.unknown("key", &name, Self::KEYS.iter().map(|it| it.name));
                        }
                    }
                }
                Some(it)
            }
        }
    };
}
pub(super) use table;
