//! Numbers of cards and accounts, by their check digits.

use std::ops::Range;

use super::{Run, digits, groups, luhn, runs};

/// What there is of it in a text.
pub(super) fn find(text: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    // A stop may end a sentence as well, so it stands between the groups only where nothing else does.
    let ways: [&'static [u8]; 3] = [b" -", b".", b"/ "];
    if ways.iter().any(|it| runs(text, it).any(|run| has_card(text, &run))) {
        found.push("the number of a card");
    }
    if has_iban(text) {
        found.push("the number of an account");
    }
    found
}

fn has_card(text: &str, run: &Run) -> bool {
    /// So many numbers of four digits are a table, and by chance some four of them would be a card.
    const TABLE_MIN: usize = 12;
    if run.groups.len() < TABLE_MIN || run.groups.iter().any(|it| it.len() != 4) {
        return run.numbers(text).any(|(at, it)| is_card(text, at, it));
    }
    let (fours, _) = run.groups.as_chunks::<4>();
    let is_one = |[first, .., last]: &&[Range<usize>; 4]| {
        text.get(first.start..last.end).is_some_and(|it| is_card(text, first.start, it))
    };
    2 * fours.iter().filter(is_one).count() >= fours.len()
}

fn is_card(text: &str, at: usize, run: &str) -> bool {
    let number = digits(run);
    let head = |count: usize| number.iter().take(count).fold(0, |all, it| all * 10 + it);
    let is_brand = match number.len() {
        13 | 19 => head(1) == 4,
        14 => matches!(head(2), 36 | 38) || matches!(head(3), 300..=305),
        15 => matches!(head(2), 34 | 37),
        16 => {
            matches!(head(1), 4)
                || matches!(head(2), 51..=55 | 65 | 35)
                || matches!(head(4), 2221..=2720 | 6011)
        }
        _ => false,
    };
    // A long number behind one of these is a part of an address or of a name.
    let before = at.checked_sub(1).and_then(|it| text.as_bytes().get(it));
    let is_part = before.is_some_and(|it| b"/-#.".contains(it));
    is_brand && !is_part && is_grouped(run) && luhn(&number) && !is_of_manual(&number)
}

/// Numbers that networks and those who process payments have published for tests. No card has them.
fn is_of_manual(number: &[u32]) -> bool {
    const PUBLISHED: &[&str] = &[
        "4111111111111111",
        "4242424242424242",
        "4012888888881881",
        "4000056655665556",
        "4222222222222",
        "4000000000000002",
        "4000000000000077",
        "4000000000003220",
        "4000002500003155",
        "4000002760003184",
        "4000000000009995",
        "4000000000009987",
        "4000000000000069",
        "4000000000000127",
        "4000000000000119",
        "4917610000000000",
        "4005519200000004",
        "4009348888881881",
        "4500600000000061",
        "4012000033330026",
        "5555555555554444",
        "5105105105105100",
        "5200828282828210",
        "5454545454545454",
        "5500000000000004",
        "5424000000000015",
        "2223003122003222",
        "2223000048400011",
        "2222400070000005",
        "378282246310005",
        "371449635398431",
        "378734493671000",
        "370000000000002",
        "340000000000009",
        "6011111111111117",
        "6011000990139424",
        "6011000000000004",
        "6011981111111113",
        "30569309025904",
        "38520000023237",
        "3056930009020004",
        "36227206271667",
        "30000000000004",
        "3530111333300000",
        "3566002020360505",
        "3566000020000410",
        "6555900000604105",
    ];
    let is = |it: &&str| it.bytes().map(|it| u32::from(it - b'0')).eq(number.iter().copied());
    PUBLISHED.iter().any(is)
}

/// As people write it: without a break, or in groups of one kind.
fn is_grouped(run: &str) -> bool {
    match groups(run).as_slice() {
        [_] => true,
        [4, middle @ .., last] => {
            (middle.iter().all(|it| *it == 4) && *last <= 4) || (middle == [6] && *last <= 5)
        }
        _ => false,
    }
}

/// ISO 13616.
fn has_iban(text: &str) -> bool {
    let bytes = text.as_bytes();
    let starts = bytes.windows(4).enumerate().filter(|(at, it)| {
        let joins = at.checked_sub(1).and_then(|it| bytes.get(it));
        let is_country = |a: &u8, b: &u8| {
            a.is_ascii_uppercase() && b.is_ascii_uppercase()
                || a.is_ascii_lowercase() && b.is_ascii_lowercase()
        };
        !joins.is_some_and(u8::is_ascii_alphanumeric)
            && matches!(it, [a, b, c, d] if is_country(a, b) && c.is_ascii_digit() && d.is_ascii_digit())
    });
    starts.into_iter().any(|(at, _)| bytes.get(at..).is_some_and(is_iban))
}

fn is_iban(bytes: &[u8]) -> bool {
    let country = bytes.get(..2).and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default();
    let is_small = country.bytes().all(|it| it.is_ascii_lowercase());
    let country = country.to_ascii_uppercase();
    let Some((_, length)) = LENGTHS.iter().find(|(it, _)| *it == country) else { return false };
    let mut number = Vec::new();
    let mut rest = bytes.iter().peekable();
    while number.len() < *length {
        match rest.next() {
            Some(it) if it.is_ascii_digit() || it.is_ascii_uppercase() => number.push(*it),
            Some(it) if is_small && it.is_ascii_lowercase() => number.push(it.to_ascii_uppercase()),
            Some(b' ' | b'-') if number.len().is_multiple_of(4) => {}
            _ => return false,
        }
    }
    if rest.peek().is_some_and(|it| it.is_ascii_alphanumeric()) {
        return false;
    }
    // In small letters it may be a name in hexadecimal: of letters, there is at most the bank's.
    let of_bank = number.iter().skip(4).take_while(|it| it.is_ascii_alphabetic()).count();
    let has_other = number.iter().skip(4 + of_bank).any(u8::is_ascii_alphabetic);
    if is_small && (has_other || !matches!(of_bank, 0 | 4))
        || OF_MANUALS.contains(&number.as_slice())
    {
        return false;
    }
    number.rotate_left(4);
    let value = |it: u8| match it {
        b'0'..=b'9' => u32::from(it - b'0'),
        _ => u32::from(it - b'A') + 10,
    };
    let rest = number
        .into_iter()
        .map(value)
        .fold(0, |rest, it| (rest * if it > 9 { 100 } else { 10 } + it) % 97);
    rest == 1
}

/// What explanations of the form have in them, of banks that there are not.
const OF_MANUALS: &[&[u8]] = &[b"GB82WEST12345698765432", b"GB29NWBK60161331926819"];

const LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("XK", 20),
];
