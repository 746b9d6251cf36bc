//! Numbers that states give to people. A number whose form and check digits are its own is known
//! anywhere; one that any number could be, only where a word before it says so.

use super::{any_number, digits, groups, is_about, luhn};

/// What there is of it in a text that is called `name`.
pub(super) fn find(text: &str, name: &str) -> Option<&'static str> {
    let by_number = any_number(text, b" -.", |(at, run)| {
        let number = digits(run);
        let about = |words: &[&str]| is_about(text, at, name, words);
        is_ssn(run, &number, about)
            || is_cpf(run, &number)
            || is_chinese(&number)
            || number.len() == 9 && bsn(&number) && about(&["bsn", "burgerservice"])
            || number.len() == 11 && german(&number) && about(&["steuer", "tax id", "idnr", "tin"])
            || number.len() == 11 && pesel(&number) && about(&["pesel"])
            || number.len() == 12 && verhoeff(&number) && about(&["aadhaar", "aadhar"])
            || number.len() == 15 && nir(&number) && about(&["sécu", "secu", "nir", "insee"])
            || number.len() == 10 && luhn(&number) && about(&["personnummer", "personal number"])
    });
    let by_letters = || {
        words(text).any(|(at, word)| {
            is_codice_fiscale(word)
                || is_chinese_with_x(word)
                || is_spanish(word) && is_about(text, at, name, &["dni", "nie", "nif"])
                || is_british(word)
                    && is_about(text, at, name, &["national insurance", "nino", "ni number"])
        })
    };
    (by_number || by_letters()).then_some("the number of a person")
}

/// Words of letters and digits, with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |it: char| it.is_ascii_alphanumeric();
    let base = text.as_ptr() as usize;
    text.split(move |it| !is_part(it))
        .filter(|it| (9..=18).contains(&it.len()))
        .map(move |it| (it.as_ptr() as usize - base, it))
}

/// United States, "Randomization" of 2011: no area of 000, 666 or from 900 on.
fn is_ssn(run: &str, number: &[u32], about: impl Fn(&[&str]) -> bool) -> bool {
    let groups = groups(run);
    let value = |from: usize, to: usize| {
        number.get(from..to).unwrap_or_default().iter().fold(0, |all, it| all * 10 + it)
    };
    let is_valid = number.len() == 9
        && !matches!(value(0, 3), 0 | 666 | 900..)
        && value(3, 5) != 0
        && value(5, 9) != 0;
    let is_written_so = groups == [3, 2, 4] && run.contains('-');
    // Those that advertisements had, and the one that everybody writes for a form.
    let is_published =
        matches!(value(0, 9), 78_051_120 | 219_099_999 | 123_456_789 | 987_654_321..=987_654_329);
    is_valid && !is_published && (is_written_so || about(&["ssn", "social security"]))
}

/// Brazil: `ddd.ddd.ddd-dd`.
fn is_cpf(run: &str, number: &[u32]) -> bool {
    let groups = groups(run);
    let check = |count: usize| {
        let weights = (2_u32..).take(count);
        let sum: u32 = number.iter().take(count).rev().zip(weights).map(|(it, w)| it * w).sum();
        let rest = sum * 10 % 11;
        number.get(count) == Some(&if rest == 10 { 0 } else { rest })
    };
    groups == [3, 3, 3, 2] && run.contains('.') && check(9) && check(10)
}

/// China, GB 11643: 18 digits with a date.
fn is_chinese(number: &[u32]) -> bool {
    number.len() == 18 && chinese(number)
}

fn is_chinese_with_x(word: &str) -> bool {
    let Some(head) = word.strip_suffix(['X', 'x']) else { return false };
    let mut number = digits(head);
    number.push(10);
    head.len() == 17 && number.len() == 18 && chinese(&number)
}

fn chinese(number: &[u32]) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [u32; 11] = [1, 0, 10, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |from: usize, to: usize| {
        number.get(from..to).unwrap_or_default().iter().fold(0, |all, it| all * 10 + it)
    };
    let is_date = matches!(value(6, 10), 1900..=2099)
        && matches!(value(10, 12), 1..=12)
        && matches!(value(12, 14), 1..=31);
    let sum: u32 = number.iter().zip(WEIGHTS).map(|(it, weight)| it * weight).sum();
    let check = CHECKS.iter().zip(0_u32..).find(|(_, rest)| *rest == sum % 11);
    is_date && number.last() == check.map(|(it, _)| it)
}

/// The Netherlands.
fn bsn(number: &[u32]) -> bool {
    let weights = [9, 8, 7, 6, 5, 4, 3, 2];
    let sum: u32 = number.iter().zip(weights).map(|(it, weight)| it * weight).sum();
    sum % 11 == number.last().copied().unwrap_or_default() && sum > 0
}

/// Germany, ISO 7064 MOD 11,10.
fn german(number: &[u32]) -> bool {
    let product = number.iter().take(10).fold(10, |product, it| {
        let sum = (it + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    number.first() != Some(&0) && number.last() == Some(&((11 - product) % 10))
}

/// Poland.
fn pesel(number: &[u32]) -> bool {
    let weights = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3];
    let sum: u32 = number.iter().zip(weights).map(|(it, weight)| it * weight).sum();
    number.last() == Some(&((10 - sum % 10) % 10))
}

/// India.
fn verhoeff(number: &[u32]) -> bool {
    const PERMUTED: [[u32; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    // The group of the symmetries of a pentagon.
    let times = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let each = number.iter().rev().zip(PERMUTED.iter().cycle());
    let permuted = each
        .map(|(it, row)| row.iter().zip(0_u32..).find(|(_, at)| at == it).map_or(0, |(to, _)| *to));
    permuted.fold(0, times) == 0 && !matches!(number.first(), Some(0 | 1))
}

/// France.
fn nir(number: &[u32]) -> bool {
    let value = |from: usize, to: usize| {
        number
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .fold(0_u64, |all, it| all * 10 + u64::from(*it))
    };
    matches!(number.first(), Some(1 | 2)) && 97 - value(0, 13) % 97 == value(13, 15)
}

/// Spain: the letter is the number modulo 23.
fn is_spanish(word: &str) -> bool {
    const LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let word = word.to_ascii_uppercase();
    let Some((head, letter)) = word.split_at_checked(8) else { return false };
    let head = match head.as_bytes().first() {
        Some(b'X') => head.replacen('X', "0", 1),
        Some(b'Y') => head.replacen('Y', "1", 1),
        Some(b'Z') => head.replacen('Z', "2", 1),
        _ => head.to_owned(),
    };
    let number = head.parse::<usize>().ok();
    let expected = number.and_then(|it| LETTERS.get(it % 23));
    word.len() == 9 && expected.is_some() && letter.as_bytes().first() == expected
}

/// The United Kingdom. It has no check digit.
fn is_british(word: &str) -> bool {
    let is_prefix = |it: u8| it.is_ascii_uppercase() && !b"DFIQUV".contains(&it);
    match word.as_bytes() {
        [a, b, number @ .., last] => {
            word.len() == 9
                && is_prefix(*a)
                && is_prefix(*b)
                && number.iter().all(u8::is_ascii_digit)
                && (b'A'..=b'D').contains(last)
        }
        _ => false,
    }
}

/// Italy.
fn is_codice_fiscale(word: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    const FORM: &[u8] = b"LLLLLLDDLDDLDDDL";
    let bytes = word.as_bytes();
    let fits = |(it, form): (&u8, &u8)| match form {
        b'L' => it.is_ascii_uppercase(),
        _ => it.is_ascii_digit(),
    };
    if bytes.len() != FORM.len() || !bytes.iter().zip(FORM).all(fits) {
        return false;
    }
    let value = |it: u8| u32::from(if it.is_ascii_digit() { it - b'0' } else { it - b'A' });
    let odd = |it: u8| usize::try_from(value(it)).ok().and_then(|it| ODD.get(it)).copied();
    let each = bytes.iter().take(15).enumerate();
    let sum: u32 = each
        .map(|(n, it)| if n % 2 == 0 { odd(*it).unwrap_or_default() } else { value(*it) })
        .sum();
    bytes.last().map(|it| value(*it)) == Some(sum % 26)
}
