#![doc = include_str!("media_type.md")]

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};

use super::{Check, Facts, Findings, Rule, rules};
use crate::finding::At;
use crate::json::Json;
use crate::message::Side;
use crate::subject::Subject;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::media_type
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if facts.from != Side::Server {
            return;
        }
        for json in subject.json.all() {
            if json.name() == Some("icons") {
                json.items().for_each(|it| icon(it, out));
            } else if let Some((data, declared)) = media(json)
                && let Some(is) = disguised(data, declared)
            {
                out.add_fixable(
                    At::Value(json),
                    format!("{is}, and not {declared}"),
                    instead(json, declared, is),
                );
            }
        }
    }
}

/// The bytes of a block or of a resource, in Base64, and what they are said to be.
fn media(json: Json<'_>) -> Option<(&str, &str)> {
    let declared = json.get("mimeType")?.str()?;
    let data = json.get("blob").or_else(|| json.get("data"))?.str()?;
    Some((data, declared))
}

/// What stands for what is not shown: a block of text, or a resource that is one.
fn instead(json: Json<'_>, declared: &str, is: &str) -> Value {
    let shown: String = declared.chars().filter(|it| it.is_ascii_graphic()).take(64).collect();
    let text = format!("[withheld by Stockade: it says {shown} and is {is}]");
    match json.get("uri") {
        Some(uri) => json!({ "uri": uri.to_value(), "mimeType": "text/plain", "text": text }),
        None => json!({ "type": "text", "text": text }),
    }
}

/// An icon is shown without anybody asking for it.
fn icon(icon: Json<'_>, out: &mut Findings<'_>) {
    let Some(src) = icon.get("src").and_then(Json::str) else { return };
    let src = src.trim();
    let scheme = src.split_once(':').map(|(it, _)| it.to_ascii_lowercase());
    let says = match scheme.as_deref() {
        Some("https") => return,
        Some("data") => {
            let declared = icon.get("mimeType").and_then(Json::str);
            match in_url(src, declared) {
                Some(is) => format!("an icon that is {is}"),
                None => return,
            }
        }
        _ => "an icon from what is neither https nor data".to_owned(),
    };
    out.add_removable(At::Value(icon), says);
}

/// What is wrong with a `data:` URL (RFC 2397) that is to be a picture.
fn in_url(url: &str, declared: Option<&str>) -> Option<&'static str> {
    let (head, body) = url.split_once(':')?.1.split_once(',')?;
    let mut parameters = head.split(';').map(str::trim);
    let own = parameters.next().unwrap_or_default();
    if !own.to_ascii_lowercase().starts_with("image/") {
        return Some("no picture");
    }
    if parameters.any(|it| it.eq_ignore_ascii_case("base64")) {
        return disguised(body, own).or_else(|| disguised(body, declared?));
    }
    let is_svg = own.to_ascii_lowercase().starts_with("image/svg");
    (is_svg && is_active(body.as_bytes())).then_some(ACTIVE)
}

const ACTIVE: &str = "an SVG that runs or fetches something";

/// What the bytes are, where they are something else than what they are said to be.
fn disguised(data: &str, declared: &str) -> Option<&'static str> {
    /// Where files say what they are.
    const HEAD_LETTERS: usize = 1024;
    let declared = declared.to_ascii_lowercase();
    let class = declared.split(['/', ';']).next().unwrap_or_default();
    if !matches!(class, "image" | "audio" | "video" | "text") {
        return None;
    }
    if declared.starts_with("image/svg") {
        return is_active(&decoded(data)).then_some(ACTIVE);
    }
    let head = data.get(..data.floor_char_boundary(HEAD_LETTERS)).unwrap_or_default();
    let head = decoded(head);
    let kind = infer::get(&head);
    if class == "text" {
        // What is said to be text is often something else, and harms nobody by it.
        let runs = kind.is_some_and(|it| it.matcher_type() == infer::MatcherType::App);
        return runs.then_some("a program");
    }
    if let Some(kind) = kind {
        let is = kind.mime_type();
        let found = is.split('/').next().unwrap_or_default();
        let is_sound = |it: &str| matches!(it, "audio" | "video");
        let same = found == class || is_sound(found) && is_sound(class);
        return (!same).then_some(is);
    }
    let has_svg = memchr::memmem::find(&head, b"<svg").is_some();
    match (is_text(&head), has_svg) {
        (_, true) => Some("image/svg+xml"),
        (true, false) => Some("text"),
        (false, false) => None,
    }
}

/// Whether bytes are text for the most part. A control character, or a letter of another encoding, makes
/// no picture of it.
fn is_text(bytes: &[u8]) -> bool {
    const LETTERS_FOR_EACH: usize = 12;
    let text = String::from_utf8_lossy(bytes);
    let is_odd = |it: &char| {
        *it == char::REPLACEMENT_CHARACTER || it.is_control() && !it.is_ascii_whitespace()
    };
    let odd = text.chars().filter(is_odd).count();
    !bytes.is_empty() && odd * LETTERS_FOR_EACH <= text.chars().count()
}

/// As much of it as is Base64. A part of a long one may end anywhere.
fn decoded(data: &str) -> Vec<u8> {
    let letters: Vec<u8> = data.bytes().filter(|it| !it.is_ascii_whitespace()).collect();
    let end = letters.iter().position(|it| *it == b'=').unwrap_or(letters.len());
    let whole = end - usize::from(end % 4 == 1);
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(&STANDARD, config);
    engine.decode(letters.get(..whole).unwrap_or_default()).unwrap_or_default()
}

/// Whether an SVG does more than to be seen: it is a document, and runs where it is not shown as a
/// picture.
fn is_active(svg: &[u8]) -> bool {
    let lower = svg.to_ascii_lowercase();
    let has = |it: &str| memchr::memmem::find(&lower, it.as_bytes()).is_some();
    let words = [
        "<script",
        "%3cscript",
        "javascript:",
        "<foreignobject",
        "%3cforeignobject",
        "<iframe",
        "<!entity",
        "href=\"http",
        "href='http",
        "href=\"//",
        "href='//",
        "url(http",
        "url(//",
        "@import",
        "<handler",
    ];
    words.iter().any(|it| has(it)) || has_handler(&lower)
}

/// ` onload=`, and every other attribute that is a program.
fn has_handler(lower: &[u8]) -> bool {
    memchr::memmem::find_iter(lower, b"on").any(|at| {
        let before = at.checked_sub(1).and_then(|it| lower.get(it));
        let rest = lower.get(at + 2..).unwrap_or_default();
        let letters = rest.iter().take(20).take_while(|it| it.is_ascii_lowercase()).count();
        let after = rest.get(letters..).unwrap_or_default().trim_ascii_start();
        let is_apart = before.is_some_and(|it| it.is_ascii_whitespace() || b"\"'/".contains(it));
        is_apart && letters > 2 && after.first() == Some(&b'=')
    })
}
