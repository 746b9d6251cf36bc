#![doc = include_str!("command_injection.md")]

use std::ffi::OsString;

use stockade_kit::command::known;
use stockade_kit::command::line;
use stockade_kit::launch::Launch;

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Called, Kind, Why};
use crate::finding::At;
use crate::json::Json;
use crate::policy::Commands;
use crate::subject::Subject;

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::command_injection
    }

    fn argument(&self, it: &Argument<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if it.is_name() || may(it.call) == Commands::Any {
            return;
        }
        // Words of a list are looked at together, below.
        let is_listed = matches!(it.at, At::Value(json) if json.name().is_none());
        let (kind, judged) = if it.is(Kind::Command) && !is_listed {
            (Kind::Command, of_line(it.str, may(it.call), facts.roots))
        } else if it.is(Kind::Words) && !is_listed {
            (Kind::Words, of_words_in_line(it.str))
        } else if it.is(Kind::Word) {
            (Kind::Word, of_word(it.str))
        } else if it.is(Kind::Email) {
            (Kind::Email, of_other(it.str).and_then(|()| substitutes(it.str)))
        } else if it.is(Kind::Path) || it.is(Kind::Url) {
            (Kind::Word, of_other(it.str))
        } else if it.why == Why::Nothing && it.call.traits().runs {
            (Kind::Word, of_other(it.str).and_then(|()| substitutes(it.str)))
        } else {
            return;
        };
        if let Err(why) = judged {
            out.add_told(it.at, it.says(kind, why));
        }
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let Some(call) = Called::of(subject, facts) else { return };
        let has_list = |it: &Json<'_>| it.is_array() && it.name().is_some();
        if !subject.json.all().any(|it| has_list(&it)) || may(&call) == Commands::Any {
            return;
        }
        for holder in subject.json.all().filter(|it| it.is_object()) {
            for (name, list) in holder.fields().filter(|(_, it)| it.is_array()) {
                let parameter = call.parameter(name);
                let mut words: Vec<&str> = list.items().filter_map(Json::str).collect();
                if parameter.kinds.has(Kind::Words) {
                    // What is beside a list of arguments is the program that gets them.
                    let mut beside = holder.fields();
                    let program =
                        beside.find(|(name, _)| call.parameter(name).kinds.has(Kind::Command));
                    let program = program.and_then(|(_, it)| it.str());
                    words.splice(0..0, program);
                } else if !parameter.kinds.has(Kind::Command) {
                    continue;
                }
                if let Err(why) = of_words(&words, may(&call), facts.roots) {
                    let kinds = parameter.kinds;
                    let text = format!("{kinds}, {}: {why}", parameter.why);
                    out.add_told(At::Value(list), super::redacted(&text));
                }
            }
        }
    }
}

fn may(call: &Called<'_>) -> Commands {
    call.inputs.commands().unwrap_or(Commands::Plain)
}

fn of_line(line: &str, may: Commands, roots: &[String]) -> Result<(), String> {
    if line.trim().is_empty() {
        return Ok(());
    }
    match (may, line::words(line)) {
        (_, Err(why)) => Err(why.to_string()),
        (may, Ok(words)) => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            of_words(&words, may, roots)
        }
    }
}

/// A command line, or its arguments where the program is not said.
fn of_words(words: &[&str], may: Commands, roots: &[String]) -> Result<(), String> {
    if may == Commands::Read {
        let judged = known::judge(words, &crate::root::directories(roots));
        return judged.map(drop).map_err(|it| it.to_string());
    }
    let program = words.first().copied().unwrap_or_default();
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let name = name.trim_end_matches(".exe").trim_end_matches(".cmd");
    let bare = name.trim_end_matches(|it: char| it.is_ascii_digit() || it == '.');
    if BUILTINS.contains(&bare) {
        return Err(format!("`{bare}` is a part of a shell"));
    }
    let asks_only = matches!(words, [_, "--version" | "-V" | "-v" | "--help" | "-h"]);
    if RUNNERS.contains(&bare) && !asks_only {
        let command: Vec<OsString> = words.iter().map(Into::into).collect();
        if let Launch::Arbitrary { why } = Launch::of(&command, []) {
            return Err(why);
        }
    }
    let runs = |marks: &[&str]| words.iter().any(|word| marks.iter().any(|it| word.contains(it)));
    let has_text = match bare {
        "awk" | "gawk" | "mawk" | "nawk" => runs(&["system", "getline", "|", "@load"]),
        "sed" | "gsed" => words.iter().any(|it| it.ends_with("/e") || it.starts_with("1e")),
        "sqlite" | "psql" | "mysql" => runs(&[".shell", ".system", ".load", "\\!", "system "]),
        _ => false,
    };
    if has_text {
        return Err(format!("what it tells `{bare}` starts another program"));
    }
    words.iter().try_for_each(|it| starts_another(it))?;
    let has_code = words.windows(2).any(|it| matches!(it, [flag, _] if CODE.contains(flag)));
    let is_program = words.first().is_some_and(|it| !it.starts_with('-'));
    match has_code && !is_program {
        true => Err("an option of it may run what comes next".to_owned()),
        false => Ok(()),
    }
}

fn of_words_in_line(text: &str) -> Result<(), String> {
    // Behind a program, where `a=b` is an argument.
    let words = line::words(&format!("program {text}")).map_err(|it| it.to_string())?;
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    words.iter().try_for_each(|it| starts_another(it))?;
    match words.iter().any(|it| CODE.contains(it)) {
        true => Err("an option of it may run what comes next".to_owned()),
        false => Ok(()),
    }
}

/// A word of a command line that somebody else has written: a branch, a host.
fn of_word(word: &str) -> Result<(), String> {
    if word.starts_with('-') && word.len() > 1 {
        return Err("it would be read as an option".to_owned());
    }
    substitutes(word)?;
    let mut before = ' ';
    let mut depth = 0_usize;
    for it in word.chars() {
        match it {
            // `HEAD@{2 days ago}`, `HEAD^{commit}`
            '{' if matches!(before, '@' | '^') => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ' ' | '/' | ':' if depth > 0 => {}
            ';' | '|' | '&' | '<' | '>' | '$' | '`' | '\'' | '"' | '(' | ')' | '{' | '}' | '\\'
            | '\t' | ' ' => {
                return Err(format!("`{it}` may mean something to a shell"));
            }
            _ => {}
        }
        before = it;
    }
    starts_another(word)
}

/// Something else that may end up on a command line: it is no option that starts a program, and no
/// address that does.
fn of_other(text: &str) -> Result<(), String> {
    let lower = text.get(..4).unwrap_or(text).to_ascii_lowercase();
    if lower.starts_with("ext:") || lower.starts_with("fd::") {
        return Err("`git` would start what it says".to_owned());
    }
    let option = text.split('=').next().unwrap_or_default();
    let is_long = |it: &str| {
        let name = it.strip_prefix("--").unwrap_or_default();
        !name.is_empty() && name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
    };
    if is_long(option) {
        return Err("it would be read as an option".to_owned());
    }
    starts_another(text)
}

/// What a shell puts something else in the place of, or reads as the end of a line.
fn substitutes(text: &str) -> Result<(), String> {
    if let Some(it) = text.chars().find(|it| it.is_control() && *it != '\t') {
        return Err(format!("`{}` ends a line", it.escape_default()));
    }
    let begins = ["$(", "${", "`", "<(", ">("].iter().find(|it| text.contains(**it));
    begins.map_or(Ok(()), |it| Err(format!("`{it}` may mean something to a shell")))
}

/// Options by which programs that are harmless otherwise start another, or write where they are told.
fn starts_another(word: &str) -> Result<(), String> {
    let option = word.split(['=', ' ']).next().unwrap_or_default();
    let is_listed = STARTS.contains(&option) || GLUED.iter().any(|it| word.starts_with(it));
    match is_listed {
        true => Err(format!("`{option}` starts another program, or writes a file")),
        false => Ok(()),
    }
}

/// Words that a shell does something about itself.
const BUILTINS: &[&str] = &["eval", "source", ".", "exec", "command", "builtin", "trap", "alias"];

/// Programs that are there to run what they are given: of these the whole line is read.
const RUNNERS: &[&str] = &[
    "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "cmd", "powershell",
    "pwsh", "nu", "xonsh", "busybox", "toybox", "python", "pypy",
    "ipython", "node", "nodejs", "deno", "bun", "tsx", "ts-node", "perl", "ruby", "irb", "php", "lua",
    "luajit", "tclsh", "expect", "osascript", "julia", "r", "rscript", "groovy", "scala", "elixir",
    "npx", "pnpx", "bunx", "uvx", "pipx", "env", "xargs", "parallel", "nohup", "timeout", "nice",
    "stdbuf", "setsid", "watch", "time", "sudo", "doas", "su", "pkexec", "chroot", "unshare",
    "nsenter", "bwrap", "script", "screen", "tmux", "at", "batch", "vim", "vi", "nvim", "ex", "ed",
    "emacs", "gdb", "strace", "socat", "nc", "ncat", "systemd-run", "start-stop-daemon", "setarch",
];

const STARTS: &[&str] = &[
    "--upload-pack", "--receive-pack", "--exec", "--exec-path", "--output", "--open-files-in-pager",
    "--ext-diff", "--config-env", "--template", "-exec", "-execdir", "-ok", "-okdir", "-fprint",
    "-fprint0", "-fprintf", "-fls", "-delete", "--to-command", "--checkpoint-action",
    "--use-compress-program", "--rsh", "--rsh-command", "--rmt-command", "--info-script",
    "--new-volume-script", "--pre", "--hostname-bin", "--use-askpass", "--output-document",
    "--post-file", "--eval", "--require", "--import", "--node-options", "--script-shell",
    "--compress-program", "--filter", "--proxycommand", "--unzip-command", "--log-file",
];

const GLUED: &[&str] = &[
    "-oProxyCommand", "-oLocalCommand", "-oPermitLocalCommand", "-oKnownHostsCommand", "-oMatch",
    "alias.", "build.rustc", "-ccore.", "-cprotocol.", "-calias.", "ext::", "core.sshCommand=", "core.pager=",
    "core.fsmonitor=", "core.hooksPath=", "core.editor=", "protocol.ext.allow=",
    "diff.external=", "credential.helper=", "ProxyCommand=",
];

/// Options behind which comes a program's text.
const CODE: &[&str] = &["-c", "-e", "-p", "-r", "-S", "--eval", "--command", "--call", "--print"];
