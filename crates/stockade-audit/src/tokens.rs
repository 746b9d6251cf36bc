//! Tokens and passwords that are written into the code.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// Forms that only keys have.
static FORMS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?-u)(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60}|glpat-[A-Za-z0-9_-]{20}",
        r"|sk-(?:proj-|ant-)?[A-Za-z0-9_-]{24}|[sr]k_live_[A-Za-z0-9]{20}|xox[abprs]-[A-Za-z0-9-]{16}|AIza[0-9A-Za-z_-]{35}",
        r"|npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{30}|SG\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{16}|-----BEGIN [A-Z ]{0,20}PRIVATE KEY",
        r"|[a-z]{3,12}://[A-Za-z0-9_.-]{1,64}:[^\s:@/{}$<>'\x22`%*]{3,64}@[A-Za-z0-9_.-]{3,})",
    ))
    .ok()
});

/// Names that are given a text.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i-u)\b[a-z0-9_]{0,40}(?:api_?key|secret|token|passw(?:or)?d|passwd|access_?key|auth_?key|private_?key|credential)[a-z0-9_]{0,20}",
        r"(?:\s*:\s*[&'a-z<> ]{1,20})?\s*(?::=|=|:)\s*[\x22'`]([^\x22'`\s]{8,200})[\x22'`]",
    ))
    .ok()
});

/// The lines that have one.
pub(crate) fn lines(text: &str) -> Vec<u32> {
    let bytes = text.as_bytes();
    let mut at = Vec::new();
    if let Some(forms) = FORMS.as_ref() {
        at.extend(
            forms.find_iter(bytes).filter(|it| !is_example(it.as_bytes())).map(|it| it.start()),
        );
    }
    if let Some(named) = NAMED.as_ref() {
        for found in named.captures_iter(bytes) {
            let Some(value) = found.get(1) else { continue };
            if is_random(value.as_bytes()) && !is_example(value.as_bytes()) {
                at.push(value.start());
            }
        }
    }
    let line = |at: usize| {
        let before = bytes.get(..at).unwrap_or_default().iter().filter(|it| **it == b'\n').count();
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    };
    let mut out = at.into_iter().map(line).collect::<Vec<_>>();
    out.sort_unstable();
    out.dedup();
    out
}

fn is_example(value: &[u8]) -> bool {
    let value = String::from_utf8_lossy(value).to_ascii_lowercase();
    const WORDS: &[&str] = &[
        "example",
        "your",
        "xxxx",
        "changeme",
        "change_me",
        "placeholder",
        "dummy",
        "****",
        "....",
        "<",
        "${",
        "{{",
        "insert",
        "replace",
        "user:pass@",
        "username:password",
        "todo",
        "redacted",
        "process.env",
        "user:password@",
        "postgres:postgres@",
        "localhost",
        "test-",
        "test_",
        "sample",
        "fake",
        "foobar",
        "abcdef",
    ];
    WORDS.iter().any(|it| value.contains(it))
}

/// Letters and digits mixed, as nobody writes words.
fn is_random(value: &[u8]) -> bool {
    let digits = value.iter().filter(|it| it.is_ascii_digit()).count();
    let letters = value.iter().filter(|it| it.is_ascii_alphabetic()).count();
    let odd = value
        .iter()
        .filter(|it| !it.is_ascii_alphanumeric() && !matches!(it, b'-' | b'_' | b'.'))
        .count();
    let separate = value.iter().filter(|it| matches!(it, b'-' | b'_' | b'.' | b'/' | b':')).count();
    (digits >= 2 && letters >= 3 || odd > 0 && letters >= 3 && digits >= 1)
        && separate * 3 < value.len()
}
