#![doc = include_str!("image_with_data.md")]

use base64::Engine;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use url::Url;

use super::links::{inert, targets};
use super::{Check, Facts, Findings, Rule, Text, rules};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::image_with_data
    }

    fn text(&self, text: Text<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if text.is_name() || !may_lead(text.str) {
            return;
        }
        let mut says = None;
        let mut all = targets(text.str);
        all.retain(|it| {
            let why = Some(it).filter(|it| it.fetched).and_then(|it| carries(&it.remote()?));
            says = says.or(why);
            why.is_some()
        });
        if let Some(why) = says {
            let says = format!("{} that would be fetched, the first with {why}", all.len());
            out.add_fixable(text.at, says, inert(text.str, all.iter()));
        }
    }
}

/// Whether there can be an address in it that leads out.
pub(super) fn may_lead(text: &str) -> bool {
    memchr::memchr3(b'(', b'<', b']', text.as_bytes()).is_some()
}

/// What makes pictures of what it is asked for, and shows nobody what that was.
const MAKERS: [&str; 14] = [
    "shields.io",
    "badgen.net",
    "badge.fury.io",
    "githubusercontent.com",
    "github.com",
    "gitlab.com",
    "codecov.io",
    "coveralls.io",
    "mermaid.ink",
    "kroki.io",
    "quickchart.io",
    "latex.codecogs.com",
    "wikimedia.org",
    "gstatic.com",
];

/// What of an address tells more than which picture it is.
pub(super) fn carries(url: &Url) -> Option<&'static str> {
    let host = url.host_str()?;
    let is_of = |maker: &&str| {
        host.strip_suffix(*maker).is_some_and(|it| it.is_empty() || it.ends_with('.'))
    };
    if MAKERS.iter().any(is_of) {
        return None;
    }
    let mut last = None;
    for (_, value) in url.query_pairs() {
        if let Some(why) = says(&value) {
            return Some(why);
        }
        last = Some(value.is_empty());
    }
    if last == Some(true) && url.as_str().ends_with('=') {
        return Some("a place for data at its end");
    }
    let path = url.path_segments().into_iter().flatten();
    let parts = path.chain(host.split('.')).chain(url.fragment());
    parts.into_iter().any(is_encoded).then_some("encoded text in it")
}

/// What a parameter tells.
fn says(value: &str) -> Option<&'static str> {
    /// A few words are a title.
    const WORDS_MIN: usize = 5;
    let is_mark = |open: char, close: char| {
        let inside = value.strip_prefix(open).and_then(|it| it.strip_suffix(close));
        inside.is_some_and(|it| {
            it.chars().any(char::is_alphabetic) && !it.contains(['{', '}', ':', '"', ','])
        })
    };
    if is_mark('{', '}') || is_mark('[', ']') || is_mark('<', '>') {
        return Some("a place for data");
    }
    let words = value.split_whitespace().filter(|it| it.chars().any(char::is_alphabetic));
    if words.count() >= WORDS_MIN {
        return Some("sentences in it");
    }
    is_encoded(value).then_some("encoded text in it")
}

/// Whether it is text in Base64 or in hexadecimal. What is signed or drawn at random is no text.
fn is_encoded(part: &str) -> bool {
    const BYTES_MIN: usize = 20;
    /// Pictures are asked for by way of others.
    const ADDRESS: &[u8] = b"http";
    let is_text = |it: Vec<u8>| {
        it.len() >= BYTES_MIN
            && !it.starts_with(ADDRESS)
            && std::str::from_utf8(&it).is_ok_and(|it| !it.contains(char::is_control))
    };
    if part.len() < BYTES_MIN * 4 / 3 {
        return false;
    }
    let hex = || -> Option<Vec<u8>> {
        let (pairs, rest) = part.as_bytes().as_chunks::<2>();
        let digit = |it: u8| u8::try_from(char::from(it).to_digit(16)?).ok();
        if !rest.is_empty() {
            return None;
        }
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
    };
    let base64 = || {
        let standard = part.replace('-', "+").replace('_', "/");
        let config = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(standard).ok()
    };
    hex().is_some_and(is_text) || base64().is_some_and(is_text)
}
