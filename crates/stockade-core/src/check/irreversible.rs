#![doc = include_str!("irreversible.md")]

use stockade_kit::command::line;
use stockade_kit::query::Query;

use super::sql_statement::{is_statement, may, parse};
use super::{Check, Facts, Findings, Rule, command_injection, rules};
use crate::argument::{Argument, Called, Kind};
use crate::finding::At;
use crate::policy::{Commands, Sql};
use crate::subject::Subject;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::irreversible
    }

    fn argument(&self, it: &Argument<'_>, _facts: &Facts<'_>, out: &mut Findings<'_>) {
        if it.call.traits().takes_away || it.is_name() {
            return;
        }
        if is_statement(it) {
            let loss = (may(it.call) == Sql::Write)
                .then(|| {
                    parse(it.call, it.str).as_ref().as_ref().ok()?.iter().find_map(Query::loss)
                })
                .flatten();
            if let Some(loss) = loss {
                out.add_told(it.at, it.says(Kind::Sql, loss));
            }
        } else if it.is(Kind::Command)
            && !command_injection::is_listed(it)
            && command_injection::may(it.call) != Commands::Any
            && let Ok(words) = line::words(it.str)
            && let Some(what) = of_words(&words.iter().map(String::as_str).collect::<Vec<_>>())
        {
            out.add_told(it.at, it.says(Kind::Command, what));
        }
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let Some(call) = Called::of(subject, facts) else { return };
        if command_injection::may(&call) == Commands::Any || !command_injection::has_lists(&call) {
            return;
        }
        if call.traits().takes_away {
            return;
        }
        for line in command_injection::lines(&call).unwrap_or_default() {
            let words: Vec<&str> = line.words.iter().map(AsRef::as_ref).collect();
            if let Some(what) = of_words(&words) {
                let text = format!("command, by the words beside it: {what}");
                out.add_told(At::Value(line.list), super::redacted(&text));
            }
        }
    }
}

/// What a command line takes away, or takes out of this machine, for good.
fn of_words(words: &[&str]) -> Option<&'static str> {
    let (program, rest) = words.split_first()?;
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
    let has = |options: &[&str]| rest.iter().any(|it| options.contains(it));
    // `-rf`, `-fdx`
    let has_letter = |letters: &[char]| {
        let short = rest.iter().filter(|it| it.starts_with('-') && !it.starts_with("--"));
        short.into_iter().any(|it| it.contains(letters))
    };
    let starts =
        |begins: &[&str]| rest.iter().any(|it| begins.iter().any(|one| it.starts_with(one)));
    let subcommand = rest.iter().find(|it| !it.starts_with('-')).copied().unwrap_or_default();
    match name {
        "rm" if has_letter(&['r', 'R']) || has(&["--recursive"]) => Some("it removes a whole tree"),
        "find" if has(&["-delete"]) => Some("it removes every file that it finds"),
        "shred" | "wipefs" | "mkfs" | "fdisk" | "parted" | "blkdiscard" => {
            Some("it overwrites what is there")
        }
        _ if name.starts_with("mkfs.") => Some("it overwrites what is there"),
        "dd" if starts(&["of="]) => Some("it overwrites what is there"),
        "git"
            if subcommand == "push"
                && (has_letter(&['f']) || starts(&["--force", "--mirror", "--delete"])) =>
        {
            Some("it overwrites what others have")
        }
        "git" if subcommand == "reset" && has(&["--hard"]) => Some("it throws changes away"),
        "git" if subcommand == "clean" && has_letter(&['f']) => Some("it removes files"),
        "curl" if starts(&["-T", "--upload-file", "-F", "--form"]) || has_file(rest) => {
            Some("it sends files elsewhere")
        }
        "wget" if starts(&["--post-file", "--body-file"]) => Some("it sends files elsewhere"),
        "nc" | "ncat" | "netcat" | "socat" => {
            Some("it connects what it is given with another machine")
        }
        "scp" | "rsync" | "sftp" | "rclone" if rest.iter().any(|it| it.contains(':')) => {
            Some("it copies from or to another machine")
        }
        _ => None,
    }
}

/// `curl -d @file`, `--data-binary=@file`.
fn has_file(words: &[&str]) -> bool {
    let data =
        |it: &str| it.starts_with("-d") || it.starts_with("--data") || it.starts_with("--json");
    words.iter().any(|it| data(it) && it.contains('@'))
        || words
            .windows(2)
            .any(|it| matches!(it, [flag, file] if data(flag) && file.starts_with('@')))
}
