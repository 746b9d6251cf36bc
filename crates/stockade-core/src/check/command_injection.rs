#![doc = include_str!("command_injection.md")]

use std::borrow::Cow;

use stockade_kit::command::known;
use stockade_kit::command::line;
use stockade_kit::command::starts;

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Called, Kind, Kinds, Why, last_word};
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
        if let Some((kind, why)) = argument(it, facts)
            && !(kind == Kind::Command && is_shell(it.call))
        {
            out.add_told(it.at, it.says(kind, why));
        }
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        let Some(call) = Called::of(subject, facts).filter(|it| !is_shell(it)) else { return };
        for (list, why) in lists(&call, facts) {
            out.add_told(At::Value(list), why);
        }
    }
}

/// Whether a tool is a shell: what needs one is a matter of whoever is asked, and not of this rule.
pub(super) fn is_shell(call: &Called<'_>) -> bool {
    may(call) == Commands::Plain && call.traits().is_shell
}

/// What is wrong with one text, and what it is taken for.
pub(super) fn argument(it: &Argument<'_>, facts: &Facts<'_>) -> Option<(Kind, String)> {
    if it.is_name() || may(it.call) == Commands::Any {
        return None;
    }
    let is_listed = is_listed(it);
    let (kind, judged) = if is_program(it) && !is_listed {
        // With words beside it, it is judged with them.
        match is_judged_together(it) {
            true => return None,
            false => (Kind::Command, of_line(it.str, may(it.call), facts.roots)),
        }
    } else if it.is(Kind::Words) && !is_listed {
        (Kind::Words, of_words_in_line(it.str))
    } else if it.is(Kind::Word) {
        // What is a branch by its name alone, where nothing is run, ends up on no command line that
        // anybody knows of: what cannot be honest is refused all the same.
        let may_be_run = it.why != Why::Name || it.call.traits().runs;
        (Kind::Word, of_word(it.str, may_be_run).and_then(|()| of_make(it)))
    } else if it.is(Kind::Email) {
        (Kind::Email, of_other(it.str).and_then(|()| substitutes(it.str)))
    } else if it.is(Kind::Path) || it.is(Kind::Url) {
        let may_be_option = it.is(Kind::Url) || it.call.traits().runs;
        let judged = no_option(it.str, may_be_option).and_then(|()| of_other(it.str));
        (Kind::Word, judged.and_then(|()| of_make(it)))
    } else if it.call.traits().runs && it.kinds.is_plain() && is_searched(it.name) {
        // In what is searched for, a `$(` is a pattern.
        (Kind::Word, no_option(it.str, !is_listed).and_then(|()| of_other(it.str)))
    } else if is_untold(it) {
        // Words beside a program are looked at with it, and may well be its options.
        match is_listed && is_judged_together(it) {
            true => return None,
            false => {
                let judged = no_option(it.str, !is_listed && !it.str.contains(' '))
                    .and_then(|()| of_make(it));
                (
                    Kind::Word,
                    judged.and_then(|()| of_other(it.str)).and_then(|()| substitutes(it.str)),
                )
            }
        }
    } else {
        return None;
    };
    judged.err().map(|why| (kind, why))
}

/// Why a person is asked about a command that this rule has nothing against: it starts a program of
/// the project, which may have to be fetched.
pub(super) fn of_project(it: &Argument<'_>) -> Option<String> {
    let is_whole = !is_listed(it) && is_program(it) && !is_judged_together(it);
    if !is_whole || may(it.call) != Commands::Plain {
        return None;
    }
    starts::asks(&line::words_with_variables(it.str).ok()?)
}

/// The same of the command lines that are in lists.
pub(super) fn lists_of_project<'a>(call: &Called<'a>) -> Vec<(Json<'a>, String)> {
    if may(call) != Commands::Plain {
        return Vec::new();
    }
    let lines = lines(call).unwrap_or_default().into_iter();
    let found = lines.filter_map(|line| {
        let why = starts::asks(&line.words)?;
        let text = format!("{}, {}: {why}", line.kind, line.why);
        Some((line.list, super::redacted(&text).into_owned()))
    });
    found.collect()
}

/// Whether nothing is known of an argument of a tool that runs programs. That it has the name of
/// something says nothing: of a container, a program, a branch.
fn is_untold(it: &Argument<'_>) -> bool {
    let is_name = || it.kinds.is_plain() && it.why == Why::Name && is_bare_name(it.name);
    it.call.traits().runs && (it.why == Why::Nothing || is_name())
}

/// What a program such as `rg` searches for, and reads as an option where it begins like one.
fn is_searched(name: &str) -> bool {
    matches!(last_word(name).as_str(), "pattern" | "patterns" | "regex")
}

fn is_bare_name(name: &str) -> bool {
    last_word(name) == "name"
}

/// `SHELL=./x` in the place of what is to be made, which sets a variable.
fn of_make(it: &Argument<'_>) -> Result<(), String> {
    if !it.call.traits().makes {
        return Ok(());
    }
    let words: Vec<&str> = std::iter::once("make").chain(it.str.split_whitespace()).collect();
    starts::why(&words).map_or(Ok(()), Err)
}

/// `-uCOMMAND`, in the place of something that does not begin so.
fn no_option(text: &str, may_be_option: bool) -> Result<(), String> {
    let letter = text.strip_prefix('-').and_then(|it| it.chars().next());
    match may_be_option && letter.is_some_and(|it| it.is_ascii_alphabetic()) {
        true => Err("it would be read as an option".to_owned()),
        false => Ok(()),
    }
}

/// Words of a list are looked at together.
pub(super) fn is_listed(it: &Argument<'_>) -> bool {
    matches!(it.at, At::Value(json) if json.name().is_none())
}

fn is_program(it: &Argument<'_>) -> bool {
    it.is(Kind::Command) || is_untold(it) && names_program(it.name)
}

/// Whether a parameter is called as what is run. With nothing beside it, it may be that of a theatre.
fn names_program(name: &str) -> bool {
    let last = last_word(name);
    matches!(
        last.as_str(),
        "program" | "executable" | "exe" | "binary" | "bin" | "interpreter" | "argv0"
    )
}

fn names_words(name: &str) -> bool {
    let last = last_word(name);
    matches!(
        last.as_str(),
        "arguments" | "parameters" | "params" | "options" | "opts" | "words" | "switches"
    )
}

/// What is wrong with the lists of a call: command lines, and their words.
pub(super) fn lists<'a>(call: &Called<'a>, facts: &Facts<'_>) -> Vec<(Json<'a>, String)> {
    if may(call) == Commands::Any || !has_lists(call) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let Some(lines) = lines(call) else {
        return vec![(call.arguments, "more command lines than are looked at".to_owned())];
    };
    for line in lines {
        let words: Vec<&str> = line.words.iter().map(AsRef::as_ref).collect();
        let judged = of_words(&words, may(call), facts.roots).and_then(|()| {
            if let Some(it) = words.iter().find(|it| is_operator(it)) {
                return Err(format!("`{it}` may mean something to a shell"));
            }
            // Of what nobody calls words it is not known that no shell gets them.
            match line.why == Why::Nothing && call.traits().runs {
                true => words.iter().try_for_each(|it| substitutes(it)),
                false => Ok(()),
            }
        });
        if let Err(why) = judged {
            let text = format!("{}, {}: {why}", line.kind, line.why);
            found.push((line.list, super::redacted(&text).into_owned()));
        }
    }
    found
}

/// A word that no program is given, and a shell that gets all of them as one line takes for its own.
fn is_operator(word: &str) -> bool {
    const WHOLE: &[&str] = &["&", ">", ">>", "<", "<<", "2>", "2>&1", "&>"];
    const BEGINS: &[&str] = &[";", "|", "&&", "$(", "`"];
    WHOLE.contains(&word) || BEGINS.iter().any(|it| word.starts_with(it))
}

/// Whether anything in it is a list of texts, or may be the words of a command line in one.
pub(super) fn has_lists(call: &Called<'_>) -> bool {
    call.arguments.all().any(|it| it.is_array() && it.name().is_some())
        || call.arguments.all().any(|it| it.str().is_some() && it.name().is_some_and(names_words))
}

/// A command line that a call has in a list, with the program that is beside it.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// Where it is.
    pub(super) list: Json<'a>,
    /// All of it.
    pub(super) words: Vec<Cow<'a, str>>,
    program: Option<Json<'a>>,
    kind: Kinds,
    why: Why,
}

/// Whether a value is judged with those beside it.
fn is_judged_together(it: &Argument<'_>) -> bool {
    let numbers = it.call.together(|| {
        let lines = lines(it.call).unwrap_or_default();
        let each = lines.iter().filter(|it| it.program.is_some());
        each.flat_map(|it| it.program.into_iter().chain(it.list.items()))
            .map(Json::number)
            .collect()
    });
    numbers.contains(&it.at.json().number())
}

/// So many programs that are elsewhere in a call are each put before a list.
const ELSEWHERE_MAX: usize = 8;
/// So many words are put together for one call.
const WORDS_MAX: usize = 100_000;

/// The command lines of a call. Nothing, where there are too many of them to look at.
pub(super) fn lines<'a>(call: &Called<'a>) -> Option<Vec<Line<'a>>> {
    let programs = |holder: Json<'a>| {
        let is_program =
            |name: &str| call.parameter(name).kinds.has(Kind::Command) || names_program(name);
        // `name` beside words, of a tool that runs programs and where nothing else is one.
        let is_words =
            |name: &str| call.parameter(name).kinds.has(Kind::Words) || names_words(name);
        let is_by_name = call.traits().runs
            && holder.fields().any(|(name, _)| is_words(name))
            && !holder.fields().any(|(name, _)| is_program(name));
        holder.fields().filter_map(move |(name, value)| {
            let is_one = is_program(name) || is_by_name && is_bare_name(name);
            value.str().filter(|_| is_one).map(|text| (value, text))
        })
    };
    let holders = || call.arguments.all().filter(|it| it.is_object());
    let elsewhere: Vec<(Json<'a>, &str)> =
        holders().flat_map(programs).take(ELSEWHERE_MAX).collect();
    let mut lines = Vec::new();
    let mut left = WORDS_MAX;
    for holder in holders() {
        let beside: Vec<(Json<'a>, &str)> = programs(holder).collect();
        // What is beside a list of arguments is the program that gets them; else it is elsewhere.
        let programs = if beside.is_empty() { &elsewhere } else { &beside };
        for (name, list) in holder.fields() {
            let parameter = call.parameter(name);
            let is_words = parameter.kinds.has(Kind::Words);
            let is_line = parameter.kinds.has(Kind::Command);
            let words: Vec<Cow<'a, str>> = if list.is_array() {
                list.items().filter_map(Json::str).map(Cow::Borrowed).collect()
            } else if let Some(text) = list.str().filter(|_| is_words || names_words(name)) {
                let Ok(words) = line::words(&format!("program {text}")) else { continue };
                words.into_iter().skip(1).map(Cow::Owned).collect()
            } else {
                continue;
            };
            let why = parameter.why;
            let kind = if is_words { parameter.kinds } else { Kind::Command.into() };
            if is_line {
                lines.push(Line { list, words, program: None, kind, why });
                continue;
            }
            if !is_words && !names_words(name) && why != Why::Nothing {
                continue;
            }
            let mut is_alone = true;
            for (program, text) in programs {
                let Ok(own) = line::words(text) else { continue };
                left = left.checked_sub(words.len() + own.len() + 1)?;
                let whole = own.into_iter().map(Cow::Owned).chain(words.iter().cloned());
                let words = whole.collect();
                lines.push(Line { list, words, program: Some(*program), kind, why });
                is_alone = false;
            }
            if is_alone && is_words && list.is_array() {
                lines.push(Line { list, words, program: None, kind, why });
            }
        }
    }
    Some(lines)
}

pub(super) fn may(call: &Called<'_>) -> Commands {
    call.inputs.commands().unwrap_or(Commands::Plain)
}

fn of_line(line: &str, may: Commands, roots: &[String]) -> Result<(), String> {
    if line.trim().is_empty() {
        return Ok(());
    }
    let words = match may {
        Commands::Read => line::words(line),
        Commands::Plain | Commands::Any => line::words_with_variables(line),
    };
    match words {
        Err(why) => Err(why.to_string()),
        Ok(words) => {
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
    let bare = name.trim_end_matches(".exe").trim_end_matches(".cmd");
    if BUILTINS.contains(&bare) {
        return Err(format!("`{bare}` is a part of a shell"));
    }
    if !program.is_empty() && !program.starts_with('-') {
        return match starts::why(words) {
            // A person is asked about it, by `shell_line`.
            Some(_) if starts::asks(words).is_some() => Ok(()),
            Some(why) => Err(why),
            // Of a program that is known, other options mean something else.
            None if starts::is_known(program) => Ok(()),
            None => words.iter().try_for_each(|it| starts_another(it, IN_ANY)),
        };
    }
    words.iter().try_for_each(|it| starts_another(it, STARTS))?;
    let has_code = words.windows(2).any(|it| matches!(it, [flag, _] if CODE.contains(flag)));
    match has_code {
        true => Err("an option of it may run what comes next".to_owned()),
        false => Ok(()),
    }
}

fn of_words_in_line(text: &str) -> Result<(), String> {
    // Behind a program, where `a=b` is an argument.
    let words = line::words(&format!("program {text}")).map_err(|it| it.to_string())?;
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    words.iter().try_for_each(|it| starts_another(it, STARTS))?;
    match words.iter().any(|it| CODE.contains(it)) {
        true => Err("an option of it may run what comes next".to_owned()),
        false => Ok(()),
    }
}

/// A word of a command line that somebody else has written: a branch, a host.
fn of_word(word: &str, may_be_run: bool) -> Result<(), String> {
    if word.starts_with('-') && word.len() > 1 {
        return Err("it would be read as an option".to_owned());
    }
    substitutes(word)?;
    if !may_be_run {
        return starts_another(word, STARTS);
    }
    let mut before = ' ';
    let mut depth = 0_usize;
    let mut rest = word;
    while let Some(it) = rest.chars().next() {
        rest = rest.get(it.len_utf8()..).unwrap_or_default();
        match it {
            // `HEAD@{2 days ago}`, `HEAD^{commit}`
            '{' if matches!(before, '@' | '^') => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ' ' | '/' | ':' if depth > 0 => {}
            // `:/fix bug`, a commit by its message: what a shell makes more words of is no option.
            ' ' if word.starts_with(":/") && !rest.starts_with(['-', ' ']) => {}
            // `fix(parser)/x`: to a shell a mistake, and nothing that it would do.
            '(' if before.is_ascii_alphanumeric() => match scope(rest) {
                Some(after) => rest = after,
                None => return Err("`(` may mean something to a shell".to_owned()),
            },
            ';' | '|' | '&' | '<' | '>' | '$' | '`' | '\'' | '"' | '(' | ')' | '{' | '}' | '\\'
            | '\t' | ' ' => {
                return Err(format!("`{it}` may mean something to a shell"));
            }
            _ => {}
        }
        before = it;
    }
    starts_another(word, STARTS)
}

/// What is behind the `word)` of a scope, which is one word and not nothing: `()` begins a function.
fn scope(text: &str) -> Option<&str> {
    let (inner, after) = text.split_once(')')?;
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./".contains(it);
    (!inner.is_empty() && inner.chars().all(is_plain)).then_some(after)
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
        !name.is_empty()
            && name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
    };
    if is_long(option) {
        return Err("it would be read as an option".to_owned());
    }
    starts_another(text, STARTS)
}

/// What a shell puts something else in the place of, or reads as the end of a line.
fn substitutes(text: &str) -> Result<(), String> {
    if let Some(it) = text.chars().find(|it| it.is_control() && *it != '\t') {
        return Err(format!("`{}` ends a line", it.escape_default()));
    }
    let begins = ["$(", "${", "`", "<(", ">("].iter().find(|it| text.contains(**it));
    begins.map_or(Ok(()), |it| Err(format!("`{it}` may mean something to a shell")))
}

/// Options by which programs that are harmless otherwise start another, or write where they are told:
/// also cut short, as long as they say more than an ordinary one, and settings in any letter case.
fn starts_another(word: &str, options: &[&str]) -> Result<(), String> {
    let option = word.split(['=', ' ']).next().unwrap_or_default();
    let is_short_of = |whole: &&str| {
        let first = whole.trim_start_matches('-').split('-').next().unwrap_or_default();
        option.len() > first.len() + 3 && whole.starts_with("--") && whole.starts_with(option)
    };
    let lower = word.get(..SETTING_BYTES_MAX).unwrap_or(word).to_ascii_lowercase();
    let is_listed = options.contains(&option)
        || !HONEST.contains(&option) && options.iter().any(is_short_of)
        || GLUED.iter().any(|it| lower.starts_with(it))
        || SETTINGS.iter().any(|it| lower.starts_with(it)) && word.contains('=');
    match is_listed {
        true => Err(format!("`{option}` starts another program, or writes a file")),
        false => Ok(()),
    }
}

/// No setting that is listed is longer.
const SETTING_BYTES_MAX: usize = 40;

/// Options of others that are the beginning of one that starts something.
const HONEST: &[&str] = &["--output-d", "--checkpoint", "--no-index"];

/// Words that a shell does something about itself.
const BUILTINS: &[&str] = &["eval", "source", ".", "exec", "command", "builtin", "trap", "alias"];

/// Where the program is not said.
const STARTS: &[&str] = &[
    "--upload-pack",
    "--receive-pack",
    "--exec",
    "--exec-path",
    "--output",
    "--open-files-in-pager",
    "--ext-diff",
    "--config-env",
    "--template",
    "-exec",
    "-execdir",
    "-ok",
    "-okdir",
    "-fprint",
    "-fprint0",
    "-fprintf",
    "-fls",
    "-delete",
    "--to-command",
    "--checkpoint-action",
    "--use-compress-program",
    "--rsh",
    "--rsh-command",
    "--rmt-command",
    "--info-script",
    "--new-volume-script",
    "--pre",
    "--hostname-bin",
    "--use-askpass",
    "--output-document",
    "--post-file",
    "--eval",
    "--require",
    "--import",
    "--node-options",
    "--script-shell",
    "--compress-program",
    "--filter",
    "--proxycommand",
    "--unzip-command",
    "--log-file",
];

/// Where the program is said, and is none that is known: `--output` and `--filter` mean many things.
const IN_ANY: &[&str] = &[
    "--upload-pack",
    "--receive-pack",
    "--exec-path",
    "--open-files-in-pager",
    "--ext-diff",
    "--config-env",
    "-exec",
    "-execdir",
    "-ok",
    "-okdir",
    "-fprint",
    "-fprint0",
    "-fprintf",
    "-fls",
    "--to-command",
    "--checkpoint-action",
    "--use-compress-program",
    "--rsh",
    "--rsh-command",
    "--rmt-command",
    "--info-script",
    "--new-volume-script",
    "--hostname-bin",
    "--use-askpass",
    "--node-options",
    "--script-shell",
    "--compress-program",
    "--proxycommand",
    "--unzip-command",
];

/// Settings whose names go on behind this. Without a value they may be those of files.
const SETTINGS: &[&str] = &["alias.", "build.rustc"];

/// In small letters, since whoever reads them does not tell the case.
const GLUED: &[&str] = &[
    "-oproxycommand",
    "-olocalcommand",
    "-opermitlocalcommand",
    "-oknownhostscommand",
    "-omatch",
    "-oinclude",
    "-opkcs11provider",
    "-ccore.",
    "-cprotocol.",
    "-calias.",
    "ext::",
    "core.sshcommand=",
    "core.pager=",
    "core.fsmonitor=",
    "core.hookspath=",
    "core.editor=",
    "protocol.ext.allow=",
    "diff.external=",
    "credential.helper=",
    "proxycommand=",
    "localcommand=",
    "permitlocalcommand=",
    "knownhostscommand=",
];

/// Options behind which comes a program's text.
const CODE: &[&str] = &["-c", "-e", "-p", "-r", "-S", "--eval", "--command", "--call", "--print"];
