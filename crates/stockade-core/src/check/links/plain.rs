//! A target as a renderer reads it: without entities, and without what a browser leaves out.

/// The letters of a target.
pub(super) struct Plain<'t> {
    pub(super) rest: &'t str,
    /// A backslash takes its meaning from the sign behind it, as in Markdown.
    pub(super) is_escaped: bool,
}

impl<'t> Plain<'t> {
    pub(super) fn of(written: &'t str) -> Self {
        Self { rest: written, is_escaped: false }
    }
}

impl Iterator for Plain<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            let first = self.rest.chars().next()?;
            let next = self.rest.as_bytes().get(1);
            let (it, length) = match entity(self.rest) {
                Some(known) => known,
                None if self.is_escaped && first == '\\' => match next {
                    Some(sign) if sign.is_ascii_punctuation() => (char::from(*sign), 2),
                    _ => (first, 1),
                },
                None => (first, first.len_utf8()),
            };
            self.rest = self.rest.get(length..).unwrap_or_default();
            if !it.is_control() {
                return Some(it);
            }
        }
    }
}

/// Those that stand for a sign of an address.
const ENTITIES: &[(&str, char)] = &[
    ("colon;", ':'),
    ("sol;", '/'),
    ("bsol;", '\\'),
    ("Tab;", '\t'),
    ("NewLine;", '\n'),
    ("amp;", '&'),
    ("quest;", '?'),
    ("equals;", '='),
    ("period;", '.'),
    ("num;", '#'),
    ("percnt;", '%'),
    ("plus;", '+'),
    ("lowbar;", '_'),
    ("commat;", '@'),
    ("comma;", ','),
    ("semi;", ';'),
    ("excl;", '!'),
    ("dollar;", '$'),
    ("ast;", '*'),
    ("apos;", '\''),
    ("quot;", '"'),
    ("lpar;", '('),
    ("rpar;", ')'),
    ("lbrace;", '{'),
    ("lcub;", '{'),
    ("rbrace;", '}'),
    ("rcub;", '}'),
    ("lsqb;", '['),
    ("lbrack;", '['),
    ("rsqb;", ']'),
    ("rbrack;", ']'),
    ("lt;", '<'),
    ("gt;", '>'),
];

/// The character that an entity at the front stands for, and its length.
fn entity(text: &str) -> Option<(char, usize)> {
    let inside = text.strip_prefix('&')?;
    if let Some((name, known)) = ENTITIES.iter().find(|(name, _)| inside.starts_with(name)) {
        return Some((*known, name.len() + 1));
    }
    let number = inside.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let zeros = digits.bytes().take_while(|it| *it == b'0').count();
    let digits = digits.get(zeros..)?;
    let count = digits.chars().take(8).take_while(|it| it.is_digit(radix)).count();
    let code = match digits.get(..count)? {
        "" if zeros > 0 => 0,
        digits => u32::from_str_radix(digits, radix).ok()?,
    };
    let end = text.len() - digits.len() + count;
    let semicolon = usize::from(text.get(end..)?.starts_with(';'));
    Some((char::from_u32(code)?, end + semicolon))
}
