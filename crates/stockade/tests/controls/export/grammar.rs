//! Syslog and CEF as their grammars have them, so that a form is read by what did not write it.

use std::collections::HashMap;

/// A message of RFC 5424, read by its grammar.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) priority: u32,
    pub(super) id: String,
    pub(super) data: HashMap<String, String>,
    pub(super) says: String,
}

impl Message {
    pub(super) fn parse(text: &str) -> Self {
        let (priority, rest) = text.strip_prefix('<').unwrap().split_once(">1 ").expect(text);
        let mut head = rest.splitn(6, ' ');
        let mut next = || head.next().expect(text);
        let (at, _host, name, pid, id) = (next(), next(), next(), next(), next());
        assert!(at.len() == 24 && at.ends_with('Z'), "{text}");
        assert_eq!(name, "stockade", "{text}");
        assert!(pid.parse::<u32>().is_ok(), "{text}");
        let mut rest = next().strip_prefix("[stockade@32473").expect(text);
        let mut data = HashMap::new();
        while let Some(pair) = rest.strip_prefix(' ') {
            let (name, value) = pair.split_once("=\"").expect(text);
            assert!(name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_'), "{text}");
            let mut read = String::new();
            let mut letters = value.char_indices();
            let end = loop {
                match letters.next().expect(text) {
                    (at, '"') => break at + 1,
                    (_, '\\') => read.push(letters.next().expect(text).1),
                    (_, ']') => panic!("not escaped: {text}"),
                    (_, it) => read.push(it),
                }
            };
            assert!(data.insert(name.to_owned(), read).is_none(), "twice: {text}");
            rest = &value[end..];
        }
        let says = rest.strip_prefix("] \u{feff}").expect(text).to_owned();
        Self { priority: priority.parse().unwrap(), id: id.to_owned(), data, says }
    }
}

/// CEF, read by its grammar: the header, and the pairs of the extension.
pub(super) fn cef(line: &str) -> (Vec<String>, HashMap<String, String>) {
    let mut parts = vec![String::new()];
    let mut letters = line.chars();
    while let Some(it) = letters.next() {
        match it {
            '\\' if parts.len() < 8 => parts.last_mut().unwrap().push(letters.next().unwrap()),
            '|' if parts.len() < 8 => parts.push(String::new()),
            it => parts.last_mut().unwrap().push(it),
        }
    }
    let extension = parts.pop().unwrap();
    assert_eq!(parts.len(), 7, "{line}");
    let mut pairs = HashMap::new();
    let mut name = String::new();
    let mut value = String::new();
    let mut letters = extension.chars().peekable();
    while let Some(it) = letters.next() {
        match it {
            '\\' => value.push(match letters.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                it => it,
            }),
            // The last word before it is a name, and what is before that the value of the one before.
            '=' => {
                let (before, next) = value.rsplit_once(' ').unwrap_or(("", &value));
                let next = next.to_owned();
                if !name.is_empty() {
                    assert!(pairs.insert(name, before.to_owned()).is_none(), "twice: {line}");
                }
                (name, value) = (next, String::new());
            }
            it => value.push(it),
        }
    }
    pairs.insert(name, value);
    (parts, pairs)
}
