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
    if of(&[Class::Secret]) && is_header(before, text.get(hit.start..).unwrap_or_default())
        || of(&[Class::Path, Class::Strong, Class::Secret]) && is_put(text, hit.start)
        || of(&[Class::Must]) && is_forbidden(after)
        || of(&[Class::Quiet, Class::Off]) && is_ruled_out(text, hit.start)
    {
        return true;
    }
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

/// `-H 'Authorization: Bearer $TOKEN'`: how every manual has it that a service is asked. Who it is sent to
/// and what else goes there is asked as before.
fn is_header(before: &[u8], own: &[u8]) -> bool {
    const OPENS: [&[u8]; 8] = [
        b"-h '",
        b"-h \"",
        b"-h'",
        b"-h\"",
        b"--header '",
        b"--header \"",
        b"--header='",
        b"--header=\"",
    ];
    const NAMED: &[u8] = b"authorization: bearer ";
    /// What stands for a token and is none.
    const PLACES: [&[u8]; 6] = [b"$", b"<", b"{", b"your", b"...", b"xxx"];
    let is_place = |it: &[u8]| PLACES.iter().any(|place| it.starts_with(place));
    let is_open = |it: &[u8]| OPENS.iter().any(|open| it.ends_with(open));
    // The header, and the name of the variable in it.
    is_open(before) && own.strip_prefix(NAMED).is_some_and(is_place)
        || [&b"bearer $"[..], b"bearer ${", b"bearer <", b"bearer {", b"bearer {{"]
            .iter()
            .any(|it| before.strip_suffix(*it).is_some_and(|it| it.ends_with(b"authorization: ")))
}

/// `copy your key to ~/.ssh/id_ed25519`: where a key is put by whose it is. What is read there is what it was,
/// and so is what else may be written to that directory.
fn is_put(text: &[u8], at: usize) -> bool {
    const PLACES: [&[u8]; 5] = [b"key to ", b"key into ", b"key in ", b"key as ", b"key at "];
    const OWN: &[u8] = b".ssh/id_";
    let is_part = |it: &&u8| it.is_ascii_alphanumeric() || b"~/._-$`".contains(it);
    let near = text.get(at.saturating_sub(LOOK)..at).unwrap_or_default();
    let length = near.iter().rev().take_while(is_part).count();
    let start = at - length;
    let before = text.get(start.saturating_sub(LOOK)..start).unwrap_or_default();
    let path = text.get(start..(start + 2 * LOOK).min(text.len())).unwrap_or_default();
    let end = path.iter().take_while(is_part).count();
    PLACES.iter().any(|it| before.ends_with(it))
        && memmem::find(path.get(..end).unwrap_or_default(), OWN).is_some()
}

/// What is not to be done, behind `must` and within a prohibition.
const DONE: [&[u8]; 9] = [
    b"call ",
    b"run ",
    b"use ",
    b"invoke ",
    b"execute ",
    b"delete ",
    b"remove ",
    b"push ",
    b"commit ",
];

/// `must not call …`
fn is_forbidden(after: &[u8]) -> bool {
    let rest = after.strip_prefix(b" not ").or_else(|| after.strip_prefix(b" never "));
    rest.is_some_and(|rest| DONE.iter().any(|it| rest.starts_with(it)))
}

/// `must not call delete_file without confirmation`: what is not to be done quietly.
fn is_ruled_out(text: &[u8], at: usize) -> bool {
    const NEAR: usize = 64;
    let before = text.get(at.saturating_sub(NEAR)..at).unwrap_or_default();
    let is_end = |it: &u8| matches!(it, b'.' | b';' | b'!' | b'?' | b'\n');
    let clause = before.rsplit(is_end).next().unwrap_or_default();
    let negates = |word: &[u8]| {
        memmem::find_iter(clause, word).any(|it| {
            let rest = clause.get(it + word.len()..).unwrap_or_default();
            DONE.iter().any(|it| rest.starts_with(it))
        })
    };
    negates(b"not ") || negates(b"never ")
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
