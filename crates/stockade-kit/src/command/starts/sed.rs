//! Scripts of `sed`.

use super::Item;
use super::texts::Found;

pub(super) fn sed(items: &[Item<'_>]) -> Found {
    const VALUED: &[&str] = &["--expression", "--file", "--line-length"];
    let mut scripts: Vec<&str> = Vec::new();
    let mut places: Vec<&str> = Vec::new();
    let (mut has_file, mut is_over) = (false, false);
    let mut rest = items.iter();
    while let Some(item) = rest.next() {
        match item {
            // Behind either nothing is an option, the first where `POSIXLY_CORRECT` is set or the program
            // is another; what looks like one is no script.
            Item::Word(it) => {
                places.push(it);
                is_over = true;
            }
            Item::Long("--", None) => is_over = true,
            Item::Long("--sandbox", None) if !is_over => return None,
            Item::Letter('e', value) => scripts.extend(*value),
            Item::Letter('f', _) => has_file = true,
            Item::Long(name, value) => {
                let Some(option) = VALUED.iter().find(|it| name.len() > 2 && it.starts_with(name))
                else {
                    continue;
                };
                // The next word is its value whatever it looks like. One that looks like an option
                // is no script that `sed` would take.
                let next = if value.is_none() { rest.next() } else { None };
                match *option {
                    "--expression" => scripts.extend(value.or_else(|| next.and_then(Item::word))),
                    "--file" => has_file = true,
                    _ => {}
                }
            }
            Item::Letter(..) => {}
        }
    }
    if scripts.is_empty() && !has_file {
        // To some, an empty one is what `-i` puts behind a name.
        scripts.extend(places.iter().find(|it| !it.is_empty()));
    }
    // Of several the end of one is the end of a line.
    let script = scripts.join("\n");
    // Within brackets, the end of an expression is one of its letters to BSD and busybox.
    let mut readings = [false, true].into_iter().flat_map(|heeds_brackets| {
        [Label::Word, Label::Brace, Label::Line].map(|label| (label, heeds_brackets))
    });
    let wrong = readings.find_map(|(label, heeds)| script_of_sed(&script, label, heeds))?;
    Some(format!("{wrong} of `sed` starts another program, or writes a file"))
}

/// Where a label ends. What is behind it is commands to one `sed`, and its name to another, so each
/// way is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    /// At a blank or a `;`, as for GNU since 4.3.
    Word,
    /// At a `}` as well.
    Brace,
    /// At the end of the line.
    Line,
}

impl Label {
    fn goes_on(self, it: char) -> bool {
        match self {
            Self::Word => !it.is_whitespace() && it != ';',
            Self::Brace => !it.is_whitespace() && !matches!(it, ';' | '}'),
            Self::Line => it != '\n',
        }
    }
}

/// The first command of a script that runs something or writes. What is no command that is known is
/// one as well.
fn script_of_sed(script: &str, label: Label, heeds_brackets: bool) -> Found {
    let mut rest = Script { rest: script.chars().peekable(), heeds_brackets };
    loop {
        rest.skip(|it| it.is_whitespace() || matches!(it, ';' | '{' | '}' | '!'));
        let it = rest.rest.next()?;
        match it {
            // Addresses, and what stands between two.
            '0'..='9' | '$' | ',' | '+' | '~' => {}
            '/' => rest.regex('/'),
            '\\' => {
                let delimiter = rest.rest.next()?;
                rest.regex(delimiter);
            }
            // Flags of an address, where no command can be.
            'I' | 'M' => {}
            '#' => rest.skip(|it| it != '\n'),
            's' => {
                let delimiter = rest.rest.next()?;
                rest.regex(delimiter);
                rest.part(delimiter);
                while let Some(flag) =
                    rest.rest.next_if(|it| !it.is_whitespace() && !matches!(it, ';' | '}' | '#'))
                {
                    if matches!(flag, 'e' | 'w') {
                        return Some(format!("`s///{flag}`"));
                    }
                }
            }
            'y' => {
                let delimiter = rest.rest.next()?;
                rest.part(delimiter);
                rest.part(delimiter);
            }
            'a' | 'i' | 'c' => rest.text(),
            'r' | 'R' => rest.skip(|it| it != '\n'),
            ':' | 'b' | 't' | 'T' => {
                rest.skip(|it| it != '\n' && it.is_whitespace());
                rest.skip(|it| label.goes_on(it));
            }
            '=' | 'd' | 'D' | 'F' | 'g' | 'G' | 'h' | 'H' | 'l' | 'L' | 'n' | 'N' | 'p' | 'P'
            | 'q' | 'Q' | 'v' | 'x' | 'z' => {}
            other => return Some(format!("`{other}`")),
        }
    }
}

struct Script<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    heeds_brackets: bool,
}

impl Script<'_> {
    fn skip(&mut self, is: impl Fn(char) -> bool) {
        while self.rest.next_if(|it| is(*it)).is_some() {}
    }

    /// To the end of a part of `s` or `y`, which a line's end does not end.
    fn part(&mut self, delimiter: char) {
        while let Some(it) = self.rest.next() {
            match it {
                '\\' => drop(self.rest.next()),
                it if it == delimiter => return,
                _ => {}
            }
        }
    }

    fn regex(&mut self, delimiter: char) {
        while let Some(it) = self.rest.next() {
            match it {
                '\\' => drop(self.rest.next()),
                '[' if self.heeds_brackets => self.class(),
                it if it == delimiter => return,
                _ => {}
            }
        }
    }

    /// To the end of what is between brackets. A `]` that comes first is one of its letters.
    fn class(&mut self) {
        let _ = self.rest.next_if_eq(&'^');
        let _ = self.rest.next_if_eq(&']');
        self.skip(|it| it != ']');
        let _ = self.rest.next();
    }

    /// To the end of a text, whose lines but the last end with a backslash.
    fn text(&mut self) {
        // The backslash of `a\`, and the end of its line.
        self.skip(|it| it == ' ');
        while let Some(it) = self.rest.next() {
            match it {
                '\\' => drop(self.rest.next()),
                '\n' => return,
                _ => {}
            }
        }
    }
}
