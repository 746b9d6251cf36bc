//! Programs that start the command behind their own words: `nice`, `timeout`. What is started is what
//! that command is, where the words in front of it are known.

use super::flags::{Grammar, Piece};
use super::{Launch, arbitrary, read, says_unknown};

/// A program that starts the command behind its own words, and is otherwise of no account.
#[derive(Debug)]
pub(super) struct Wrapper {
    names: &'static [&'static str],
    options: Grammar,
    /// What the one word in front of the command looks like, if it has one.
    own: Option<fn(&str) -> bool>,
}

const NONE: Grammar = Grammar { alone: &[], letters: "", valued: &[], code: &[] };

const WRAPPERS: &[Wrapper] = &[
    Wrapper { names: &["nohup", "command", "exec"], options: NONE, own: None },
    Wrapper {
        names: &["setsid"],
        options: Grammar { alone: &["--ctty", "--fork", "--wait"], letters: "cfw", ..NONE },
        own: None,
    },
    Wrapper {
        names: &["nice"],
        options: Grammar { valued: &["-n", "--adjustment"], ..NONE },
        own: None,
    },
    Wrapper {
        names: &["ionice"],
        options: Grammar {
            alone: &["--ignore"],
            letters: "t",
            valued: &["-c", "-n", "--class", "--classdata"],
            ..NONE
        },
        own: None,
    },
    Wrapper {
        names: &["chrt"],
        options: Grammar {
            alone: &["--batch", "--fifo", "--idle", "--other", "--rr"],
            letters: "bfior",
            ..NONE
        },
        own: Some(is_number),
    },
    Wrapper {
        names: &["taskset"],
        options: Grammar { alone: &["--cpu-list"], letters: "c", ..NONE },
        own: Some(is_set),
    },
    Wrapper {
        names: &["flock"],
        options: Grammar {
            alone: &["--shared", "--exclusive", "--nonblock", "--close", "--no-fork", "--verbose"],
            letters: "sxeno",
            valued: &["-w", "--timeout", "--wait", "-E", "--conflict-exit-code"],
            code: &["-c", "--command"],
        },
        own: Some(|_| true),
    },
    Wrapper {
        names: &["time"],
        options: Grammar {
            alone: &["--portability", "--verbose", "--append", "--quiet"],
            letters: "pvaq",
            valued: &["-f", "--format", "-o", "--output"],
            ..NONE
        },
        own: None,
    },
    Wrapper {
        names: &["stdbuf"],
        options: Grammar { valued: &["-i", "-o", "-e", "--input", "--output", "--error"], ..NONE },
        own: None,
    },
    Wrapper {
        names: &["timeout"],
        options: Grammar {
            alone: &["--foreground", "--preserve-status", "--verbose"],
            letters: "fpv",
            valued: &["-s", "--signal", "-k", "--kill-after"],
            ..NONE
        },
        own: Some(|it| it.starts_with(|it: char| it.is_ascii_digit())),
    },
];

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|it| it.is_ascii_digit())
}

/// Processors: a mask, or a list.
fn is_set(word: &str) -> bool {
    let word = word.strip_prefix("0x").unwrap_or(word);
    !word.is_empty() && word.bytes().all(|it| it.is_ascii_hexdigit() || b",-:".contains(&it))
}

impl Wrapper {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        WRAPPERS.iter().find(|it| it.names.contains(&name))
    }

    /// As the command, where nothing but the command is said.
    pub(super) fn read(&self, name: &str, words: &[&str], depth: usize) -> Launch {
        let launch = match self.behind(name, words) {
            Ok(command) => read(command, depth - 1),
            Err(why) => return arbitrary(why),
        };
        match &launch {
            Launch::Package(_) => arbitrary(format!("`{name}` around a package")),
            Launch::Program
            | Launch::Script(_)
            | Launch::Container { .. }
            | Launch::Arbitrary { .. } => launch,
        }
    }

    /// The command behind its own words, or why it is not known.
    pub(super) fn behind<'a>(
        &self,
        name: &str,
        words: &'a [&'a str],
    ) -> Result<&'a [&'a str], String> {
        let mut rest = words;
        loop {
            match self.options.next(rest) {
                Some((Piece::Alone(_) | Piece::Valued(..), after)) => rest = after,
                Some((Piece::End, after)) => {
                    rest = after;
                    break;
                }
                Some((Piece::Code(flag), _)) => {
                    return Err(format!("`{name} {flag}` runs what the command line says"));
                }
                Some((Piece::Unknown(flag), _)) => return Err(says_unknown(name, flag)),
                Some((Piece::Word(_), _)) | None => break,
            }
        }
        if let Some(is_own) = self.own {
            match rest {
                [own, after @ ..] if is_own(own) => rest = after,
                _ => return Err(format!("`{name}` with words that are not known here")),
            }
        }
        match rest.first().filter(|it| it.starts_with('-')) {
            Some(flag) => Err(says_unknown(name, flag)),
            None => Ok(rest),
        }
    }
}
