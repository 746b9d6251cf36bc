//! Words that mean something else where they stand, and talk that harms nobody.

use memchr::memmem;

use super::lexicon::{Class, Hit};

/// Whether a word is not what it means elsewhere: `password` in `-u user:password`, the file of
/// `curl -d @secrets.json`, the instructions that are in `CONTRIBUTING.md`.
pub(super) fn is(text: &[u8], hit: &Hit) -> bool {
    let before = text.get(hit.start.saturating_sub(LOOK)..hit.start).unwrap_or_default();
    let after = text.get(hit.end..(hit.end + LOOK).min(text.len())).unwrap_or_default();
    let of = |classes: &[Class]| classes.contains(&hit.class);
    let follows = |list: &[&[u8]]| list.iter().any(|it| before.ends_with(it));
    let is_file = |at: &[u8]| NAMES.iter().any(|it| at.starts_with(it));
    if of(&[Class::Secret, Class::Path]) {
        let own = text.get(hit.start..).unwrap_or_default();
        follows(&USERS) || before.strip_suffix(b"@").is_some_and(ends_in_data) && is_file(own)
    } else if of(&[Class::Address]) {
        ends_in_data(before) && is_file(after)
    } else {
        of(&[Class::New, Class::Obey, Class::Follow, Class::Obeyed])
            && PAGES.iter().any(|it| memmem::find(after, it).is_some())
    }
}

fn ends_in_data(text: &[u8]) -> bool {
    DATA.iter().any(|it| text.ends_with(it))
}

const LOOK: usize = 24;

const USERS: [&[u8]; 4] = [b"-u user:", b"-u username:", b"--user user:", b"-u admin:"];
const DATA: [&[u8]; 4] = [b"-d ", b"-d", b"--data ", b"--data-binary "];
/// Files of a project. Those of a person's home are what they are everywhere.
const NAMES: [&[u8]; 4] = [b"secrets.json", b"secrets.yaml", b"credentials.json", b"secrets.yml"];
/// What a project asks of those who work on it.
const PAGES: [&[u8]; 4] = [b"contributing.md", b"readme.md", b"the readme", b"contributing guide"];

/// Whether a text is a log of what a person and a model have said.
pub(super) fn is_chat(text: &str) -> bool {
    let says = |who: &str| {
        text.lines().any(|it| {
            it.trim_start().get(..who.len()).is_some_and(|it| it.eq_ignore_ascii_case(who))
        })
    };
    text.len() <= CHAT_MAX && says("user:") && (says("assistant:") || says("bot:"))
}

/// A log that is longer has more in it than that.
const CHAT_MAX: usize = 4000;

/// What a text has in it that wants more than words.
pub(super) const HARM: [Class; 18] = [
    Class::Out,
    Class::Address,
    Class::Covert,
    Class::Path,
    Class::Strong,
    Class::Secret,
    Class::Talk,
    Class::Prompt,
    Class::Harm,
    Class::Redirect,
    Class::Call,
    Class::Send,
    Class::Become,
    Class::Token,
    Class::Money,
    Class::Image,
    Class::Decode,
    Class::Guard,
];
