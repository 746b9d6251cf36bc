//! Words that a shell does something about itself, on a line that needs none to be read. Most of them
//! are harmless, and a few run what is in an argument: a command behind an option, and a `$(…)` within
//! the index of an array, which is read as arithmetic however it was quoted.

use super::texts::{Found, said};
use crate::launch;

/// Those that are nothing but a way to run something.
const RUN: &[&str] =
    &["coproc", "fc", "sched", "emulate", "zmodload", "autoload", "eval", "source"];

/// Those that take the name of a variable, or arithmetic.
const NAMES: &[&str] = &[
    "test",
    "[",
    "[[",
    "let",
    "printf",
    "print",
    "declare",
    "typeset",
    "local",
    "export",
    "readonly",
    "integer",
    "float",
    "read",
    "unset",
    "mapfile",
    "readarray",
    "wait",
    "getopts",
    "set",
    "vared",
    "shift",
    "return",
    "exit",
    "ulimit",
    "enable",
    "hash",
    "compgen",
    "complete",
    "compopt",
    "jobs",
    "bind",
    "((",
];

/// Of those, the ones that set a variable which they name.
const SETS: &[&str] = &[
    "declare",
    "typeset",
    "local",
    "export",
    "readonly",
    "integer",
    "float",
    "read",
    "printf",
    "mapfile",
    "readarray",
    "getopts",
    "let",
    "vared",
    "wait",
];

/// Options that start a program or load code.
const OPTIONS: &[(&str, &str)] = &[
    ("compgen", "CFW"),
    ("complete", "CFW"),
    ("mapfile", "C"),
    ("readarray", "C"),
    ("jobs", "x"),
    ("enable", "f"),
    ("hash", "p"),
    ("bind", "xf"),
];

pub(super) fn judge(name: &str, words: &[&str]) -> Found {
    if RUN.contains(&name) {
        return said(&format!("`{name}`, a part of a shell,"));
    }
    if !NAMES.contains(&name) {
        return None;
    }
    if let Some((_, letters)) = OPTIONS.iter().find(|it| it.0 == name) {
        let is = |it: &&&str| it.starts_with('-') && it.chars().any(|it| letters.contains(it));
        if let Some(option) = words.iter().find(is) {
            return said(&format!("`{option}` of `{name}`"));
        }
    }
    if let Some(word) = words.iter().find(|it| substitutes_in_index(it)) {
        return said(&format!("`{word}`, an index that `{name}` works out,"));
    }
    let leads = |it: &&&str| {
        let end = |it: char| matches!(it, '=' | '[' | '+' | '-' | '*' | '/' | ' ');
        let variable = it.split(end).next().unwrap_or_default();
        is_of_programs(variable)
    };
    let set = words.iter().filter(|_| SETS.contains(&name)).find(leads);
    set.and_then(|it| said(&format!("a variable that `{name}` sets (`{it}`)")))
}

/// `a[$(…)]`, in whichever way a shell puts something in the place of it.
fn substitutes_in_index(word: &str) -> bool {
    word.split_once('[').is_some_and(|(_, index)| index.contains(['$', '`']))
}

/// Variables that say which programs are started, or have them run code.
fn is_of_programs(name: &str) -> bool {
    matches!(name, "PATH" | "IFS" | "SHELLOPTS" | "BASHOPTS") || launch::injects(name)
}
