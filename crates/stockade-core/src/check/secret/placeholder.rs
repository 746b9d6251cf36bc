//! What stands where a secret would, in examples and templates.

/// Whether somebody wrote this instead of a secret.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 21] = [
        b"example",
        b"xxxx",
        b"your",
        b"placeholder",
        b"redacted",
        b"changeme",
        b"change_me",
        b"dummy",
        b"sample",
        b"fake",
        b"insert",
        b"replace",
        b"...",
        b"****",
        b"<",
        b"${",
        b"{{",
        b"%(",
        b"123456789",
        b"abcdefgh",
        b"test_key",
    ];
    const WHOLE: [&[u8]; 12] = [
        b"password",
        b"passwd",
        b"pass",
        b"pwd",
        b"secret",
        b"token",
        b"user",
        b"username",
        b"mypassword",
        b"none",
        b"null",
        b"undefined",
    ];
    /// Whoever writes a stand-in does not write more than this before it shows.
    const SHOWN_MAX: usize = 128;
    let value = value.get(..SHOWN_MAX).unwrap_or(value);
    let is = |it: &&[u8]| it.eq_ignore_ascii_case(value);
    let has = |it: &&[u8]| value.windows(it.len()).any(|part| part.eq_ignore_ascii_case(it));
    is_monotonous(value)
        || value.starts_with(b"$")
        || value.starts_with(b"%")
        || WHOLE.iter().any(is)
        || WORDS.iter().any(has)
}

/// A long text of few letters: `0000…`, `abcabcabc…`, `x-x-x-…`.
fn is_monotonous(value: &[u8]) -> bool {
    const LETTERS_MIN: u32 = 6;
    let (low, high) = value.iter().fold((0_u128, 0_u128), |(low, high), it| match it {
        0..128 => (low | 1 << it, high),
        _ => (low, high | 1 << (it - 128)),
    });
    value.len() >= 12 && low.count_ones() + high.count_ones() < LETTERS_MIN
}
