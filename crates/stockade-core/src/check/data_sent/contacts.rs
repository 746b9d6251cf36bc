//! Where people are reached: e-mail addresses and telephone numbers.

/// How many e-mail addresses there are in a text. Those that are there for examples do not count.
pub(in crate::check) fn emails(text: &str) -> usize {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'@', bytes).filter(|at| is_email(bytes, *at)).count()
}

fn is_email(bytes: &[u8], at: usize) -> bool {
    let is_local = |it: &&u8| it.is_ascii_alphanumeric() || b"._%+-".contains(it);
    let is_domain = |it: &&u8| it.is_ascii_alphanumeric() || b".-".contains(it);
    let before = bytes.get(..at).unwrap_or_default().iter().rev().take_while(is_local).count();
    let behind = bytes.get(at + 1..).unwrap_or_default();
    let length = behind.iter().take(255).take_while(is_domain).count();
    let domain =
        behind.get(..length).and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default();
    let domain = domain.trim_end_matches(['.', '-']).to_ascii_lowercase();
    let Some((name, top)) = domain.rsplit_once('.') else { return false };
    let is_top = top.len() >= 2 && top.bytes().all(|it| it.is_ascii_alphabetic());
    // `git@host:path`
    let is_place = behind.get(length) == Some(&b':');
    let is_example = name == "example"
        || name.ends_with(".example")
        || matches!(top, "example" | "test" | "invalid" | "localhost");
    before > 0 && !name.is_empty() && is_top && !is_place && !is_example
}

/// Whether there is a telephone number in a text, in the form of the whole world or of North America.
pub(in crate::check) fn has_phone(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr2_iter(b'+', b'(', bytes).any(|at| {
        let joins = at.checked_sub(1).and_then(|it| bytes.get(it));
        if joins.is_some_and(u8::is_ascii_alphanumeric) {
            return false;
        }
        let rest = bytes.get(at + 1..).unwrap_or_default();
        let run =
            rest.iter().take(24).take_while(|it| it.is_ascii_digit() || b" -().".contains(it));
        let number: Vec<u8> = run.filter(|it| it.is_ascii_digit()).copied().collect();
        let digits = number.len();
        if is_fictional(&number, bytes.get(at) == Some(&b'+')) {
            return false;
        }
        match bytes.get(at) {
            Some(b'+') => {
                let begins = matches!(rest.first(), Some(b'1'..=b'9'));
                begins && (9..=15).contains(&digits)
            }
            _ => {
                let is_area = |it: &[u8]| it.iter().take(3).all(u8::is_ascii_digit);
                digits == 10 && is_area(rest) && rest.get(3) == Some(&b')')
            }
        }
    })
}

/// `555-0100` to `555-0199`, which in North America are nobody's.
fn is_fictional(number: &[u8], has_country: bool) -> bool {
    let number = if has_country { number.strip_prefix(b"1") } else { Some(number) };
    number.is_some_and(|it| it.len() == 10 && it.get(3..8) == Some(b"55501"))
}
