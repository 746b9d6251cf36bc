#![doc = include_str!("image_with_data.md")]

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use data_encoding::HEXLOWER_PERMISSIVE;
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
        let all = targets(text.str, |it| {
            let why = Some(it).filter(|it| it.fetched).and_then(|it| carries(&it.remote()?));
            says = says.or(why);
            why.is_some()
        });
        if let Some(why) = says {
            let says = format!("{} that would be fetched, the first with {why}", all.len());
            out.add_fixable(text.at, says, inert(text.str, &all));
        }
    }
}

/// Whether there can be an address in it that leads out.
pub(super) fn may_lead(text: &str) -> bool {
    memchr::memchr3(b'(', b'<', b']', text.as_bytes()).is_some()
}

/// What makes pictures of what it is asked for, and shows nobody what that was.
const MAKERS: [&str; 15] = [
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
    // Its addresses say in Base64 which search has led to a picture (`ixid`).
    "images.unsplash.com",
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
    let mut all = String::new();
    for (_, value) in url.query_pairs() {
        if let Some(why) = says(&value) {
            return Some(why);
        }
        all.push_str(&value);
        last = Some(value.is_empty());
    }
    if last == Some(true) && url.as_str().ends_with('=') {
        return Some("a place for data at its end");
    }
    let path: Vec<Cow<'_, str>> = url.path_segments().into_iter().flatten().map(written).collect();
    let host: Vec<Cow<'_, str>> = host.split('.').map(written).collect();
    if path.iter().chain(&host).any(|it| is_place_in_path(it)) {
        return Some("a place for data");
    }
    if path.iter().any(|it| is_sentence_in_path(it)) {
        return Some("sentences in it");
    }
    let user = [Some(url.username()), url.password(), url.fragment()];
    let user: Vec<Cow<'_, str>> = user.into_iter().flatten().map(written).collect();
    let mut parts = path.iter().chain(&host).chain(&user);
    (is_encoded(&all) || parts.any(|it| is_encoded(it)) || is_encoded(&path.concat()))
        .then_some("encoded text in it")
}

/// A part of an address without the percent signs that it is written with.
fn written(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return Cow::Borrowed(part);
    }
    // Read as the name of a parameter, in which other signs have a meaning.
    let plain = part.replace('&', "%26").replace('+', "%2B").replace('=', "%3D");
    let name =
        url::form_urlencoded::parse(plain.as_bytes()).next().map(|(name, _)| name.into_owned());
    Cow::Owned(name.unwrap_or_default())
}

/// Whether it is a word that something else is to be put in the place of: `{data}`, `{{data}}`,
/// `${data}`, `<data>`.
fn is_place(value: &str) -> bool {
    let value = value.strip_prefix(['$', '#', '%']).unwrap_or(value);
    // What has a space in it (`{{ data }}`) is an address up to there.
    if matches!(value, "{{" | "{" | "<%" | "<%=") {
        return true;
    }
    let inside = |open: char, close: char| {
        let inside = value.trim_start_matches(open).trim_end_matches(close);
        let is_around = value.starts_with(open) && (value.ends_with(close) || open == '<');
        is_around
            && inside.chars().any(char::is_alphabetic)
            && !inside.contains(['{', '}', ':', '"', ',', '<', '='])
    };
    inside('{', '}') || inside('[', ']') || inside('<', '>')
}

/// The same in a path or a host, where it may be said which picture it is: `{z}/{x}/{y}.png`.
fn is_place_in_path(part: &str) -> bool {
    const PICTURES: &[&str] = &[
        "avatar", "branch", "code", "color", "country", "domain", "ext", "file", "filename",
        "format", "hash", "height", "icon", "image", "key", "lang", "locale", "name", "owner",
        "path", "project", "repo", "size", "slug", "style", "theme", "user", "username", "version",
        "width",
    ];
    /// `id`, `z`, `w`.
    const LETTERS_MAX: usize = 2;
    let stem = part.rsplit_once('.').map_or(part, |(stem, _)| stem);
    let name = stem.trim_matches(|it: char| !it.is_alphanumeric()).to_ascii_lowercase();
    let is_name = name.split(['.', '_', '-']).next_back();
    let is_picture = is_name
        .is_some_and(|it| it.len() <= LETTERS_MAX || PICTURES.contains(&it) || it.ends_with("id"));
    is_place(stem) && !stem.starts_with('[') && !is_picture
}

/// What a parameter tells.
fn says(value: &str) -> Option<&'static str> {
    /// A few words are a title.
    const WORDS_MIN: usize = 5;
    if is_place(value) {
        return Some("a place for data");
    }
    // Some are written as what is written in an address, once more.
    let again = written(value);
    let words = again.split_whitespace().filter(|it| it.chars().any(char::is_alphabetic));
    if words.count() >= WORDS_MIN || is_joined_sentence(&again) {
        return Some("sentences in it");
    }
    is_encoded(value).then_some("encoded text in it")
}

/// `the-balance-of-alice-is-42`, which names no file.
fn is_joined_sentence(value: &str) -> bool {
    const WORDS_MIN: usize = 5;
    /// The name of a thing has fewer of them.
    const SMALL_MIN: usize = 2;
    const ENDINGS: &[&str] = &[
        "jpg", "jpeg", "png", "gif", "svg", "webp", "avif", "bmp", "ico", "tif", "tiff", "heic",
        "pdf", "htm", "html", "php", "mp4", "webm", "mp3",
    ];
    const SMALL: &[&str] = &[
        "a", "an", "and", "are", "at", "be", "by", "for", "from", "has", "have", "he", "her",
        "his", "i", "in", "is", "it", "my", "not", "of", "on", "our", "she", "that", "the",
        "their", "they", "this", "to", "was", "we", "were", "will", "with", "you", "your",
    ];
    let is_between = |it: char| "-_.,;|+~".contains(it);
    let ending = value.rsplit_once('.').map_or("", |(_, it)| it);
    let is_file = ENDINGS.iter().any(|it| it.eq_ignore_ascii_case(ending));
    if is_file || value.contains('/') {
        return false;
    }
    let words = value.split(is_between).filter(|it| it.chars().any(char::is_alphabetic));
    let small = |it: &&str| SMALL.iter().any(|small| small.eq_ignore_ascii_case(it));
    words.clone().count() >= WORDS_MIN && words.filter(small).count() >= SMALL_MIN
}

/// Words with blanks between them that say something: what a picture is called has no verb.
fn is_sentence_in_path(part: &str) -> bool {
    const WORDS_MIN: usize = 5;
    const VERBS: &[&str] = &[
        "is", "are", "was", "were", "am", "has", "have", "had", "will", "says", "said", "ist",
        "sind", "hat", "est", "sont", "es", "son", "tiene",
    ];
    let words = part.split(|it: char| it.is_whitespace() || it == '+');
    let words = words.filter(|it| it.chars().any(char::is_alphabetic));
    let is_verb = |it: &str| VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(it));
    words.clone().count() >= WORDS_MIN && words.into_iter().any(is_verb)
}

/// The least that is text and no accident.
const BYTES_MIN: usize = 20;

/// Whether there is text in Base64 or in hexadecimal in it: all of it, what is between two signs, or
/// what is left without them. What is signed or drawn at random is no text.
fn is_encoded(part: &str) -> bool {
    if part.len() < BYTES_MIN * 4 / 3 || is_signed(part) {
        return false;
    }
    let is_letter = |it: char| it.is_ascii_alphanumeric();
    let is_of_base = |it: char| is_letter(it) || "+/-_".contains(it);
    // A `+` of Base64 is a space where an address is read.
    let whole = part.replace(' ', "+");
    is_text_in(&whole)
        || whole.split(|it| !is_of_base(it)).any(is_text_in)
        || whole.split(|it| !is_letter(it) && !"+-_".contains(it)).any(is_text_in)
        || is_text_in(&part.replace(|it| !is_of_base(it), ""))
        || is_text_in(&part.replace(|it| !is_letter(it), ""))
}

/// Whether it is a token with a signature behind what it says (RFC 7519): a picture that not
/// everybody may see has one in its address.
fn is_signed(part: &str) -> bool {
    let mut parts = part.split('.');
    let (Some(head), Some(_), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let says_how = base64(head).is_some_and(|it| memchr::memmem::find(&it, b"\"alg\"").is_some());
    says_how && signature.len() >= BYTES_MIN && !is_text_in(signature)
}

fn is_text_in(part: &str) -> bool {
    let decoded = || [HEXLOWER_PERMISSIVE.decode(part.as_bytes()).ok(), base64(part)];
    part.len() >= BYTES_MIN * 4 / 3 && decoded().iter().flatten().any(|it| is_text(it))
}

/// Whether bytes are text that is no address of a picture: in UTF-8, in UTF-16, or in an encoding of
/// one byte for a letter, nearly all of which are of English.
fn is_text(bytes: &[u8]) -> bool {
    if bytes.len() < BYTES_MIN {
        return false;
    }
    let is_hidden = |it: char| it.is_control() && !matches!(it, '\n' | '\r' | '\t');
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains(is_hidden)
    {
        // Pictures are asked for by way of others.
        let is_address = text.starts_with("http://") || text.starts_with("https://");
        let inner =
            Url::parse(text).ok().filter(|_| is_address && !text.contains(char::is_whitespace));
        return inner.is_none_or(|it| carries(&it).is_some());
    }
    let is_plain = |it: &&u8| {
        it.is_ascii_alphanumeric()
            || matches!(**it, b' ' | b'\n' | b',' | b'.' | b':' | b'=' | b'_' | b'-')
    };
    let are_plain = |of: &mut dyn Iterator<Item = &u8>| {
        let (mut all, mut plain) = (0_usize, 0_usize);
        for it in of {
            all += 1;
            plain += usize::from(is_plain(&it));
        }
        plain * 5 >= all * 4
    };
    let is_wide = |of: usize| {
        let mut zeros = bytes.iter().skip(1 - of).step_by(2);
        zeros.all(|it| *it == 0) && are_plain(&mut bytes.iter().skip(of).step_by(2))
    };
    let has_zero = bytes.contains(&0);
    has_zero && (is_wide(0) || is_wide(1)) || !has_zero && are_plain(&mut bytes.iter())
}

fn base64(part: &str) -> Option<Vec<u8>> {
    let standard = part.replace('-', "+").replace('_', "/");
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(standard).ok()
}
