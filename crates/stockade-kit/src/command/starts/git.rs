//! `git`: its options before the subcommand, settings on the command line, and what each subcommand
//! takes a program by.

use super::{Item, PLAIN, Row, items, list};

/// Those of every subcommand. `--output` writes where it is told.
const EVERY: Row = Row {
    starts: "--upload-pack --receive-pack --exec --exec-path --config-env --output --ext-diff \
             --open-files-in-pager --extcmd --smtp-server --to-cmd --cc-cmd --header-cmd \
             --sendmail-cmd",
    fine: "--to --cc --smtp",
    ..PLAIN
};

/// Those that have letters or words of their own for it.
const ROWS: &[Row] = &[
    Row { names: "clone", starts: "-u --template", valued: "obucj", ..PLAIN },
    Row { names: "init init-db", starts: "--template", valued: "b", ..PLAIN },
    Row { names: "grep", starts: "-O", valued: "efmABC", glued: "O", ..PLAIN },
    Row { names: "rebase", starts: "-x", valued: "xsXC", ..PLAIN },
    Row { names: "difftool", starts: "-x", valued: "xt", ..PLAIN },
];

/// Subcommands that run what they are told, or serve others.
const RUNS: &str = "filter-branch instaweb daemon shell remote-ext remote-fd for-each-repo cvsserver \
                    http-backend merge-index upload-archive upload-pack receive-pack web--browse difftool--helper \
                    submodule--helper fsmonitor--daemon filter-repo svn p4 archimport cvsimport";
const RUNS_BEHIND: &[(&str, &str)] =
    &[("bisect", "run"), ("submodule", "foreach"), ("hook", "run")];

/// Options before the subcommand whose value is the next word.
const VALUED: &str =
    "-C --git-dir --work-tree --namespace --super-prefix --attr-source --shallow-file";

pub(super) fn judge(words: &[&str]) -> Option<String> {
    let said = |it: &str| Some(format!("`{it}` of `git` starts another program, or writes a file"));
    if let Some(it) = words.iter().find(|it| names_helper(it)) {
        return said(it);
    }
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        rest = match *word {
            "-c" | "--config-env" => {
                let (setting, after) = after.split_first()?;
                if *word != "-c" || is_setting_of_program(setting) {
                    return said(&format!("{word} {setting}"));
                }
                after
            }
            it if it.starts_with("--exec-path=") || it.starts_with("--config-env=") => {
                return said(it);
            }
            it if list(VALUED).any(|valued| valued == it) => after.get(1..)?,
            it if it.starts_with('-') => after,
            _ => break,
        };
    }
    let (subcommand, rest) = rest.split_first()?;
    let behind = rest.iter().find(|it| !it.starts_with('-'));
    let is_behind = |(first, second): &(&str, &str)| first == subcommand && behind == Some(second);
    if list(RUNS).any(|it| it == *subcommand) || RUNS_BEHIND.iter().any(is_behind) {
        return Some(format!("`git {subcommand}` runs what comes next"));
    }
    let row = ROWS.iter().find(|row| list(row.names).any(|it| it == *subcommand));
    let row = row.unwrap_or(&EVERY);
    let name = format!("git {subcommand}");
    let found = row.judge(&name, rest).or_else(|| EVERY.judge(&name, rest));
    found.or_else(|| settings(subcommand, row, rest).and_then(|it| said(&it)))
}

/// A setting that a subcommand is given: `git clone -c KEY=VALUE`, `git config KEY VALUE`.
fn settings(subcommand: &str, row: &Row, words: &[&str]) -> Option<String> {
    match subcommand {
        "clone" => {
            let items = items(words, row.valued, row.glued);
            items.iter().enumerate().find_map(|(at, item)| {
                let setting = match item {
                    Item::Long(name, value) if name.len() > 3 && "--config".starts_with(name) => {
                        value.or_else(|| items.get(at + 1).and_then(Item::word))
                    }
                    Item::Letter('c', value) => *value,
                    Item::Long(..) | Item::Letter(..) | Item::Word(_) => None,
                };
                setting.filter(|it| is_setting_of_program(it)).map(str::to_owned)
            })
        }
        "config" if words.iter().any(|it| is_rename(it)) => {
            let section = |it: &str| it.split('.').next().unwrap_or_default().to_ascii_lowercase();
            let is = |it: &&&str| {
                let section = section(it);
                section == "submodule" || SECTIONS.contains(&section.as_str())
            };
            words.iter().find(is).map(|it| (*it).to_owned())
        }
        // What is only read has nothing behind its name.
        "config" => words.iter().enumerate().find_map(|(at, it)| {
            let value = words.get(at + 1)?;
            let is_off = OFF.contains(value) && !it.contains('=');
            let is_off = is_off || is_harmless_alias(it, value);
            (is_setting_of_program(it) && !is_off).then(|| (*it).to_owned())
        }),
        _ => None,
    }
}

/// `alias.st status`: another name for what `git` does anyway.
fn is_harmless_alias(key: &str, value: &str) -> bool {
    let is_alias = key.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("alias."));
    let is_plain = !value.contains(['!', '"', '\'', '\\', '$', '`', ';', '|', '&', '\n']);
    let words: Vec<&str> = value.split_whitespace().collect();
    let is_command = words.first().is_some_and(|it| !it.starts_with('-'));
    is_alias && is_plain && is_command && !key.contains('=') && judge(&words).is_none()
}

/// What a section is called by is what its settings mean, and those were written under another name.
fn is_rename(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    word == "rename-section" || name.len() > 4 && "--rename-section".starts_with(name)
}

/// A remote whose helper starts what the address says, or an address that is an option for `ssh`.
fn names_helper(word: &str) -> bool {
    let begins = |it: &str| {
        let head = it.trim_start().get(..5).unwrap_or_default().to_ascii_lowercase();
        head == "ext::" || head.starts_with("fd::")
    };
    // In an address there may be any number of equals signs.
    begins(word)
        || word.match_indices('=').any(|(at, _)| word.get(at + 1..).is_some_and(begins))
        || word.contains("://-")
}

/// Whether a setting names a program, or leads to settings that do. Sections and names are read in
/// any letter case; what is between them is not looked at.
fn is_setting_of_program(setting: &str) -> bool {
    const NAMES: &[&str] = &[
        "sshcommand",
        "pager",
        "editor",
        "fsmonitor",
        "hookspath",
        "gitproxy",
        "askpass",
        "alternaterefscommand",
        "external",
        "textconv",
        "driver",
        "clean",
        "smudge",
        "process",
        "helper",
        "program",
        "difffilter",
        "uploadpack",
        "receivepack",
        "vcs",
        "insteadof",
        "pushinsteadof",
        "packobjectshook",
        "tunnel",
        "templatedir",
        "httpd",
        "smtpserver",
        "browser",
    ];
    let (key, value) = setting.split_once('=').unwrap_or((setting, "?"));
    if OFF.contains(&value) {
        return false;
    }
    let key = key.trim().to_ascii_lowercase();
    let Some((section, rest)) = key.split_once('.') else { return false };
    let name = rest.rsplit('.').next().unwrap_or_default();
    SECTIONS.contains(&section)
        || NAMES.contains(&name)
        || name.ends_with("cmd")
        || name.ends_with("command")
        || section == "submodule" && name == "update"
}

/// Sections of which each setting is, or leads to, a program.
const SECTIONS: &[&str] = &[
    "alias",
    "pager",
    "include",
    "includeif",
    "filter",
    "difftool",
    "mergetool",
    "browser",
    "man",
    "guitool",
    "hook",
    "lfs",
    "protocol",
    "credential",
    "instaweb",
];

/// What turns a program off, or is one that does nothing, is what a careful user writes.
const OFF: &[&str] = &["", "false", "true", "cat", "never", "/dev/null", "0", "no", "off"];
