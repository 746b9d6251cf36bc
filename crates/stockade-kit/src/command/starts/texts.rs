//! What is no option, and starts a program all the same: scripts of `sed` and `awk`, commands within
//! databases, settings of `ssh`, variables of `make`.

use super::Item;

type Found = Option<String>;

fn said(what: &str) -> Found {
    Some(format!("{what} starts another program"))
}

fn words<'a>(items: &'a [Item<'a>]) -> impl Iterator<Item = &'a str> {
    items.iter().filter_map(Item::word)
}

/// Everything that is said: words, and the values of options.
fn values<'a>(items: &'a [Item<'a>]) -> impl Iterator<Item = &'a str> {
    items.iter().filter_map(|it| match it {
        Item::Word(it) => Some(*it),
        Item::Long(_, value) | Item::Letter(_, value) => *value,
    })
}

/// The first word may be letters without a hyphen; an archive may be on another machine.
pub(super) fn tar(items: &[Item<'_>]) -> Found {
    let first = match items.first() {
        Some(Item::Word(it)) => it,
        Some(Item::Long(..) | Item::Letter(..)) | None => return None,
    };
    first.contains(['I', 'F']).then(|| said(&format!("`{first}` of `tar`"))).flatten()
}

pub(super) fn sed(items: &[Item<'_>]) -> Found {
    if items.contains(&Item::Long("--sandbox", None)) {
        return None;
    }
    let is_expression = |it: &str| it.len() > 3 && "--expression".starts_with(it);
    let mut scripts: Vec<&str> = Vec::new();
    let mut has_script = false;
    for (at, item) in items.iter().enumerate() {
        match item {
            Item::Letter('e', value) => scripts.extend(*value),
            Item::Long(name, Some(value)) if is_expression(name) => scripts.push(value),
            Item::Long(name, None) if is_expression(name) => {
                scripts.extend(items.get(at + 1).and_then(Item::word));
            }
            Item::Letter('f', _) => has_script = true,
            Item::Long(..) | Item::Letter(..) | Item::Word(_) => {}
        }
    }
    if scripts.is_empty() && !has_script {
        scripts.extend(words(items).next());
    }
    // Of several the end of one is the end of a line.
    let wrong = script_of_sed(&scripts.join("\n"))?;
    Some(format!("{wrong} of `sed` starts another program, or writes a file"))
}

/// The first command of a script that runs something or writes. What is no command that is known is
/// one as well.
fn script_of_sed(script: &str) -> Found {
    let mut rest = Script(script.chars().peekable());
    loop {
        rest.skip(|it| it.is_whitespace() || matches!(it, ';' | '{' | '}' | '!'));
        let it = rest.0.next()?;
        match it {
            // Addresses, and what stands between two.
            '0'..='9' | '$' | ',' | '+' | '~' => {}
            '/' => rest.regex('/'),
            '\\' => {
                let delimiter = rest.0.next()?;
                rest.regex(delimiter);
            }
            // Flags of an address, where no command can be.
            'I' | 'M' => {}
            '#' => rest.skip(|it| it != '\n'),
            's' => {
                let delimiter = rest.0.next()?;
                rest.part(delimiter);
                rest.part(delimiter);
                while let Some(flag) =
                    rest.0.next_if(|it| !it.is_whitespace() && !matches!(it, ';' | '}' | '#'))
                {
                    if matches!(flag, 'e' | 'w') {
                        return Some(format!("`s///{flag}`"));
                    }
                }
            }
            'y' => {
                let delimiter = rest.0.next()?;
                rest.part(delimiter);
                rest.part(delimiter);
            }
            'a' | 'i' | 'c' => rest.text(),
            'r' | 'R' => rest.skip(|it| it != '\n'),
            ':' | 'b' | 't' | 'T' => rest.skip(|it| !matches!(it, '\n' | ';' | '}')),
            '=' | 'd' | 'D' | 'F' | 'g' | 'G' | 'h' | 'H' | 'l' | 'L' | 'n' | 'N' | 'p' | 'P'
            | 'q' | 'Q' | 'v' | 'x' | 'z' => {}
            other => return Some(format!("`{other}`")),
        }
    }
}

struct Script<'a>(std::iter::Peekable<std::str::Chars<'a>>);

impl Script<'_> {
    fn skip(&mut self, is: impl Fn(char) -> bool) {
        while self.0.next_if(|it| is(*it)).is_some() {}
    }

    /// To the end of a part of `s` or `y`, which a line's end does not end.
    fn part(&mut self, delimiter: char) {
        while let Some(it) = self.0.next() {
            match it {
                '\\' => drop(self.0.next()),
                it if it == delimiter => return,
                _ => {}
            }
        }
    }

    fn regex(&mut self, delimiter: char) {
        self.part(delimiter);
    }

    /// To the end of a text, whose lines but the last end with a backslash.
    fn text(&mut self) {
        // The backslash of `a\`, and the end of its line.
        self.skip(|it| it == ' ');
        while let Some(it) = self.0.next() {
            match it {
                '\\' => drop(self.0.next()),
                '\n' => return,
                _ => {}
            }
        }
    }
}

pub(super) fn awk(items: &[Item<'_>]) -> Found {
    let mut has_script = false;
    let mut texts: Vec<&str> = Vec::new();
    for item in items {
        match item {
            Item::Letter('f' | 'E', _) => has_script = true,
            Item::Letter('e', Some(value)) | Item::Long(_, Some(value)) => texts.push(value),
            Item::Letter(..) | Item::Long(..) | Item::Word(_) => {}
        }
    }
    if !has_script {
        texts.extend(words(items));
    }
    texts.iter().find_map(|text| {
        let text: String = text.chars().filter(|it| !it.is_whitespace()).collect();
        let text = text.replace("||", "");
        let names_function = || {
            let mut letters = text.chars();
            letters.by_ref().any(|it| it == '@') && letters.next().is_some_and(char::is_alphabetic)
        };
        let is_wrong = ["system(", "getline", "|", "/inet"].iter().any(|it| text.contains(it));
        (is_wrong || names_function()).then(|| said("what it tells `awk`")).flatten()
    })
}

/// `-o KEY=VALUE`, `-o "KEY VALUE"`, in any letter case and with blanks and quotation marks before.
pub(super) fn ssh(items: &[Item<'_>]) -> Found {
    const KEYS: &[&str] = &[
        "proxycommand",
        "localcommand",
        "permitlocalcommand",
        "knownhostscommand",
        "include",
        "match",
        "pkcs11provider",
        "smartcarddevice",
        "securitykeyprovider",
        "xauthlocation",
        "proxyusefdpass",
    ];
    items.iter().find_map(|it| {
        let Item::Letter('o', Some(setting)) = it else { return None };
        let key = setting.trim_start_matches(|it: char| it.is_whitespace() || it == '"');
        let key = key.split(|it: char| it.is_whitespace() || matches!(it, '=' | '"'));
        let key = key.into_iter().next().unwrap_or_default().to_ascii_lowercase();
        KEYS.contains(&key.as_str()).then(|| said(&format!("`-o {key}` of `ssh`"))).flatten()
    })
}

/// `-rTT`, behind other letters.
pub(super) fn zip(items: &[Item<'_>]) -> Found {
    let is = |it: &str| it.starts_with('-') && !it.starts_with("--") && it.contains("TT");
    let is_short = |it: &str| {
        it.len() > 3 && "--unzip-command".starts_with(it.split('=').next().unwrap_or(it))
    };
    words(items).find(|it| is(it) || is_short(it)).and_then(|it| said(&format!("`{it}` of `zip`")))
}

/// `+!sh`, `++!sh`: keys as they are pressed. A search and a place are none that start anything.
pub(super) fn less(items: &[Item<'_>]) -> Found {
    let is = |it: &str| {
        let keys = it.trim_start_matches('+');
        let moves =
            keys.starts_with(['/', '?', 'G', 'F']) || keys.bytes().all(|it| it.is_ascii_digit());
        keys.len() < it.len() && (!moves || keys.contains(char::is_control))
    };
    words(items).find(|it| is(it)).and_then(|it| said(&format!("`{it}` of `less`")))
}

/// Commands with a dot before, but for those that only show; and functions that reach out.
pub(super) fn sqlite(items: &[Item<'_>]) -> Found {
    const SHOWS: &[&str] = &[
        ".tables",
        ".schema",
        ".fullschema",
        ".headers",
        ".header",
        ".mode",
        ".indexes",
        ".indices",
        ".databases",
        ".help",
        ".width",
        ".nullvalue",
        ".separator",
        ".timer",
        ".explain",
        ".show",
        ".stats",
        ".version",
        ".print",
        ".quit",
        ".exit",
        ".dump",
        ".dbinfo",
        ".bail",
        ".echo",
        ".timeout",
        ".changes",
        ".eqp",
        ".lint",
        ".parameter",
    ];
    let mut names = words(items).filter(|it| !it.starts_with('-'));
    // The first is the file.
    let file = names.next();
    words(items).filter(|it| Some(*it) != file).find_map(|text| {
        let squeezed: String = text.to_lowercase().split_whitespace().collect();
        let reaches = ["load_extension(", "edit(", "writefile(", "readfile("];
        if reaches.iter().any(|it| squeezed.contains(it)) {
            return said("a function that it gives `sqlite3`");
        }
        text.lines().map(str::trim_start).find_map(|line| {
            let command = line.split_whitespace().next().unwrap_or_default();
            let is_command = command
                .strip_prefix('.')
                .is_some_and(|it| it.starts_with(|it: char| it.is_ascii_alphabetic()));
            let shows = SHOWS.contains(&command) && !line.contains('|');
            (is_command && !shows).then(|| said(&format!("`{command}` of `sqlite3`"))).flatten()
        })
    })
}

/// Commands with a backslash before, but for those that only show.
pub(super) fn psql(items: &[Item<'_>]) -> Found {
    const SHOWS: &[&str] = &[
        "l", "l+", "x", "q", "h", "timing", "conninfo", "c", "connect", "pset", "a", "t", "f", "H",
        "encoding", "echo", "z", "?", "sf", "sv", "set_x",
    ];
    let is_long = |it: &str, whole: &str| it.len() > 3 && whole.starts_with(it);
    for (at, item) in items.iter().enumerate() {
        let (name, value) = match item {
            Item::Letter(it, value) => (*it, *value),
            Item::Long(name, value) => {
                let value = value.or_else(|| items.get(at + 1).and_then(Item::word));
                match *name {
                    it if is_long(it, "--command") => ('c', value),
                    it if is_long(it, "--output") => ('o', value),
                    it if is_long(it, "--log-file") => ('L', value),
                    _ => continue,
                }
            }
            Item::Word(_) => continue,
        };
        let value = value.unwrap_or_default().trim_start();
        match name {
            'o' | 'L' if value.starts_with('|') => return said("what it gives its output to"),
            'c' if value.starts_with('\\') => {
                let shows = value.split('\\').filter(|it| !it.is_empty()).all(|it| {
                    let command = it.split_whitespace().next().unwrap_or_default();
                    command.starts_with('d') || SHOWS.contains(&command)
                });
                if !shows || value.contains(['`', '|', '!']) {
                    return said("a command that it gives `psql`");
                }
            }
            _ => {}
        }
    }
    None
}

pub(super) fn mysql(items: &[Item<'_>]) -> Found {
    values(items).find_map(|text| {
        let lower = text.to_ascii_lowercase();
        let begins = |it: &str| {
            let line = it.trim_start();
            ["system ", "source ", "pager ", "tee ", "edit"].iter().any(|it| line.starts_with(it))
        };
        let is_wrong = ["\\!", "\\.", "\\p ", "\\t ", "\\e"].iter().any(|it| lower.contains(it))
            || lower.split([';', '\n']).any(begins);
        is_wrong.then(|| said("a command that it gives `mysql`")).flatten()
    })
}

/// Variables are programs, and what is in them is read by a shell.
pub(super) fn make(items: &[Item<'_>]) -> Found {
    const ALWAYS: &[&str] = &[
        "SHELL",
        ".SHELLFLAGS",
        "MAKEFLAGS",
        "MAKEFILES",
        "MAKE",
        "MAKESHELL",
        ".RECIPEPREFIX",
        "VPATH",
    ];
    words(items).find_map(|word| {
        let (name, value) = word.split_once('=')?;
        let name = name.trim_end_matches(['?', '+', ':', '!', ' ']);
        let is_wrong = ALWAYS.contains(&name)
            || word.contains("!=")
            || value.contains(['$', '`', ';', '|', '&', '\n'])
            || name.bytes().all(|it| it.is_ascii_uppercase())
                && value.contains('/')
                && IS_PROGRAM.contains(&name);
        is_wrong.then(|| said(&format!("the variable `{name}` of `make`"))).flatten()
    })
}

const IS_PROGRAM: &[&str] = &[
    "CC", "CXX", "CPP", "LD", "AR", "AS", "RM", "FC", "PC", "YACC", "LEX", "INSTALL", "PYTHON",
    "NODE", "GO", "CARGO", "RANLIB", "STRIP", "MAKEINFO", "TEX", "CO", "GET",
];

/// `@FILE` has options in it.
pub(super) fn response_file(items: &[Item<'_>]) -> Found {
    words(items).find(|it| it.starts_with('@')).and_then(|it| said(&format!("`{it}`")))
}

/// `|COMMAND` in the place of a file.
pub(super) fn pipes(items: &[Item<'_>]) -> Found {
    let is = |it: &str| {
        it.contains("%pipe%") || it.trim_start().starts_with('|') || it.starts_with("msl:")
    };
    values(items).find(|it| is(it)).and_then(|it| said(&format!("`{it}`")))
}

/// `-C linker=PROGRAM`.
pub(super) fn rustc(items: &[Item<'_>]) -> Found {
    let is = |it: &str| it.starts_with("linker=") || it.starts_with('@');
    words(items).find(|it| is(it)).and_then(|it| said(&format!("`{it}` of `rustc`")))
}
