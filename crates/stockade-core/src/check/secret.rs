#![doc = include_str!("secret.md")]

use std::borrow::Cow;
use std::ops::Range;

use super::{Check, Facts, Findings, Rule, Text, rules};

mod context;
mod format;
mod placeholder;
mod token;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::secret
    }

    fn text(&self, text: Text<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        let secrets = secrets(text.str, text.label());
        let Some(first) = secrets.first() else { return };
        let says = match secrets.len() {
            1 => format!("a secret: {}", first.kind),
            count => format!("{count} secrets, the first: {}", first.kind),
        };
        if text.is_name() {
            out.add(text.at, says);
        } else {
            out.add_fixable(text.at, says, redacted(text.str, &secrets));
        }
    }
}

/// `text` without the secrets in it.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    match secrets(text, None) {
        found if found.is_empty() => text.into(),
        found => redacted(text, &found).into(),
    }
}

/// A secret in a text.
#[derive(Debug, PartialEq, Eq)]
struct Secret {
    at: Range<usize>,
    kind: &'static str,
}

/// The least that a secret has around it or is.
const BYTES_MIN: usize = 8;

/// The secrets in `text`, which is the value of `label`, in order and apart from each other.
fn secrets(text: &str, label: Option<&str>) -> Vec<Secret> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    if bytes.len() < BYTES_MIN {
        return found;
    }
    let real = |it: &Range<usize>| {
        bytes.get(it.clone()).is_some_and(|it| !placeholder::is_placeholder(it))
    };
    token::tokens(bytes, &mut |kind, at| {
        if real(&at) {
            found.push(Secret { at, kind });
        }
    });
    context::private_keys(bytes, &mut |kind, at| found.push(Secret { at, kind }));
    context::assigned(bytes, &mut |kind, at| found.push(Secret { at, kind }));
    if found.is_empty() && label.is_some_and(|it| context::is_secret_value(it, text)) {
        found.push(Secret { at: 0..text.len(), kind: "assigned-secret" });
    }
    // Where two overlap, the one that begins first is kept, and the longer of two that begin
    // together. A token says more than its place does: it comes first among equals.
    found.sort_by_key(|it| (it.at.start, std::cmp::Reverse(it.at.end)));
    found.dedup_by(|next, kept| {
        let overlaps = next.at.start < kept.at.end;
        if overlaps {
            kept.at.end = kept.at.end.max(next.at.end);
        }
        overlaps
    });
    found
}

fn redacted(text: &str, secrets: &[Secret]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for Secret { at, kind } in secrets {
        shown.push_str(text.get(from..at.start).unwrap_or_default());
        shown.push_str("[redacted:");
        shown.push_str(kind);
        shown.push(']');
        from = at.end;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

/// Whether a name says that its value is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    context::is_secret_name(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::format::{Class, FORMATS, Format, Part};
    use super::*;

    /// A token of a format, made here so that no file has one.
    fn sample(format: &Format, min: bool) -> String {
        let mut seed = 7_u32;
        let mut token = format.prefix.to_owned();
        for part in format.parts {
            match part {
                Part::Is(it) => token.push_str(it),
                Part::Run(class, least, most) => {
                    let most = (*most).min(300);
                    token.extend((0..if min { *least } else { most }).map(|_| letter(*class, &mut seed)));
                }
            }
        }
        token
    }

    fn letter(class: Class, seed: &mut u32) -> char {
        loop {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let it = u8::try_from(*seed >> 25).unwrap();
            if class.has(it) && it.is_ascii_alphanumeric() {
                return char::from(it);
            }
        }
    }

    fn clean(text: &str) -> String {
        redacted(text, &secrets(text, None))
    }

    #[test]
    fn every_kind_is_found_wherever_it_stands() {
        for format in FORMATS {
            for token in [sample(format, true), sample(format, false)] {
                for (before, after) in [("", ""), ("use ", " now"), ("k=\"", "\""), ("é_", "\n"),
                                        ("x ".repeat(50).as_str(), ", and the rest of the text")] {
                    let text = format!("{before}{token}{after}");
                    let expected = format!("{before}[redacted:{}]{after}", format.kind);
                    assert_eq!(clean(&text), expected, "{text}");
                }
            }
        }
    }

    #[test]
    fn too_short_or_too_long_is_none() {
        for format in FORMATS {
            let token = sample(format, true);
            let mut short = token.clone();
            short.pop();
            let kinds: Vec<_> = secrets(&short, None).iter().map(|it| it.kind).collect();
            assert!(!kinds.contains(&format.kind), "{short}");
            assert!(secrets(&format!("x{token}"), None).iter().all(|it| it.kind != format.kind));
        }
    }

    #[test]
    fn context_tells_what_is_secret() {
        let key = format!("{}\n{}\n{}", "-----BEGIN RSA PRIVATE KEY-----", "MIIEow".repeat(20),
            "-----END RSA PRIVATE KEY-----");
        let open = key.split_once("-----END").unwrap().0;
        let value = ["q8Zk", "2nVx", "7Lp0", "Rt5W"].concat();
        for (text, expected) in [
            (format!("a {key} b"), "a [redacted:private-key] b".to_owned()),
            (open.to_owned(), "[redacted:private-key]".to_owned()),
            (format!("postgres://app:{value}@db/x"),
             "postgres://app:[redacted:password-in-url]@db/x".to_owned()),
            (format!("https://u:p@ss{value}@h?q"),
             "https://u:[redacted:password-in-url]@h?q".to_owned()),
            (format!("DB_PASSWORD={value}\nX=1"), "DB_PASSWORD=[redacted:assigned-secret]\nX=1".to_owned()),
            (format!("\"apiKey\": \"{value}\","), "\"apiKey\": \"[redacted:assigned-secret]\",".to_owned()),
            (format!("{{\\\"secret\\\":\\\"{value}\\\"}}"), "{\\\"secret\\\":\\\"[redacted:assigned-secret]\\\"}".to_owned()),
            (format!("Authorization: Bearer {value}"), "Authorization: Bearer [redacted:assigned-secret]".to_owned()),
            (format!("AccountKey={value}==;Endpoint=x"), "AccountKey=[redacted:assigned-secret];Endpoint=x".to_owned()),
        ] {
            assert_eq!(clean(&text), expected);
        }
        assert_eq!(secrets(&value, Some("client_secret")).len(), 1);
        assert_eq!(secrets(&value, Some("name")).len(), 0);
    }

    #[test]
    fn what_only_looks_secret_is_quiet() {
        let aws = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
        let github = ["ghp_", &"x".repeat(36)].concat();
        let certificate = format!("-----BEGIN CERTIFICATE-----\n{}", "MIIEow".repeat(20));
        for text in [
            aws.as_str(),
            &github,
            &certificate,
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
            "password: your-password-1234",
            "api_key = \"YOUR_API_KEY_123\"",
            "token = ${GITHUB_TOKEN_2}",
            "token: process.env.GITHUB_TOKEN_2024",
            "let token = next_token(&mut input_2);",
            "secret = hashlib.sha256(b'a').hexdigest()",
            "password: String,",
            "token: Option<String>,",
            "nextPageToken: \"CAUQAA0f9dKq2\"",
            "password=secure%20password1, \"password\": \"secret123\", user_token == \"valid-token-12345\"",
            "generate_private_key: x25519_generate_private_key, password: MAX_PASSWORD_LEN_64_BYTES, \
             Credentials: MI_UserCredentials_0",
            "max_tokens=4096 tokens: 12345678901234567890",
            "postgres://user:password@localhost/db postgres://${USER}:${PASSWORD}@h/x",
            "http://localhost:8080/a@b and mailto:a:b@c",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "550e8400-e29b-41d4-a716-446655440000",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
            "sk-fading-circle sk-circle-fade-dot-and-more-of-the-same-kind",
        ] {
            assert_eq!(secrets(text, None), [], "{text}");
        }
    }
}
