//! What is no option, and starts a program all the same: commands within databases, settings of
//! `ssh`, keys of `less`, words of programs with subcommands.

use super::Item;

pub(super) type Found = Option<String>;

/// Whether a word is in a text, in any letter case.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |it: char| it.is_alphanumeric() || it == '_';
    text.split(|it| !is_part(it)).any(|it| it.eq_ignore_ascii_case(word))
}

pub(super) fn said(what: &str) -> Found {
    Some(format!("{what} starts another program"))
}

pub(super) fn words<'a>(items: &'a [Item<'a>]) -> impl Iterator<Item = &'a str> {
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

/// `-e ssh`: the program that a copy goes through, which may be the usual one.
pub(super) fn rsync(items: &[Item<'_>]) -> Found {
    items.iter().enumerate().find_map(|(at, item)| {
        let value = match item {
            Item::Letter('e', value) => *value,
            Item::Long(name, value) if name.len() > 3 && "--rsh".starts_with(name) => {
                value.or_else(|| items.get(at + 1).and_then(Item::word))
            }
            Item::Long(..) | Item::Letter(..) | Item::Word(_) => return None,
        };
        let words: Vec<&str> = value.unwrap_or_default().split(' ').collect();
        let is_usual = matches!(words.first(), Some(&("ssh" | "/usr/bin/ssh")));
        // It has quotes of its own.
        let is_plain = !words.iter().any(|it| it.contains(['\'', '"', '\\', '\t', '\n']));
        match is_usual && is_plain {
            true => super::why(&words),
            false => said("what it tells `rsync` to go through"),
        }
    })
}

/// An interpreter that is started: `-p ./python`, `--python=./python`, `env use ./python`. One by its
/// version, or of the system, is what a user has.
pub(super) fn interpreter(items: &[Item<'_>]) -> Found {
    let is_wrong = |it: &&str| it.contains(['/', '\\']) && !super::build::is_of_the_system(it);
    let by_option = items.iter().enumerate().find_map(|(at, item)| {
        let value = match item {
            Item::Letter('p', value) => *value,
            Item::Long(name, value) if name.len() > 3 && "--python".starts_with(name) => {
                value.or_else(|| items.get(at + 1).and_then(Item::word))
            }
            Item::Long(..) | Item::Letter(..) | Item::Word(_) => None,
        };
        value.filter(is_wrong)
    });
    let all: Vec<&str> = words(items).collect();
    let by_word = || {
        let at = all.iter().position(|it| matches!(*it, "use" | "find" | "pin"))?;
        all.get(at + 1).copied().filter(is_wrong)
    };
    by_option.or_else(by_word).and_then(|it| said(&format!("the interpreter `{it}`")))
}

/// Subcommands that run something in one workspace, or each: `yarn workspace web exec id`.
pub(super) fn yarn(items: &[Item<'_>]) -> Found {
    let mut rest = words(items);
    rest.find(|it| matches!(*it, "workspace" | "workspaces"))?;
    let is_own = |it: &&str| !matches!(*it, "add" | "remove" | "run");
    let mut behind = rest.take_while(is_own).take(4);
    let run = behind.find(|it| matches!(*it, "dlx" | "exec" | "create" | "node"))?;
    said(&format!("`yarn {run}` in a workspace"))
}

/// A runtime by its path, and settings that are not the user's: programs that keep passwords, and
/// plugins, are named there.
pub(super) fn container(items: &[Item<'_>]) -> Found {
    let mut is_before = true;
    let mut is_value = false;
    items.iter().enumerate().find_map(|(at, item)| {
        let Item::Long(name, value) = item else {
            is_before &= is_value || item.word().is_none();
            is_value = item.word().is_none();
            return None;
        };
        is_value = value.is_none();
        let value = value.or_else(|| items.get(at + 1).and_then(Item::word)).unwrap_or_default();
        let is_wrong = match *name {
            "--runtime" => value.contains('/'),
            "--storage-opt" => value.contains("mount_program"),
            "--config" => is_before && (value.contains("..") || !value.contains("/.docker")),
            _ => false,
        };
        is_wrong.then(|| said(&format!("`{name} {value}`"))).flatten()
    })
}

/// What a copy goes through, what a search tries, and what merges.
pub(super) fn hg(items: &[Item<'_>]) -> Found {
    const REMOTE: &[&str] =
        &["clone", "pull", "push", "incoming", "outgoing", "identify", "in", "out"];
    let all: Vec<&str> = words(items).collect();
    let is_remote = all.iter().any(|it| REMOTE.contains(it));
    let is_bisect = all.iter().any(|it| it.len() > 2 && "bisect".starts_with(it));
    items.iter().enumerate().find_map(|(at, item)| {
        let is_wrong = match item {
            Item::Letter('e', _) => is_remote,
            Item::Letter('c', _) => is_bisect,
            Item::Long(name, _) if name.len() > 4 && "--command".starts_with(name) => is_bisect,
            Item::Long(name, value) if name.len() > 3 && "--tool".starts_with(name) => {
                let value = value.or_else(|| items.get(at + 1).and_then(Item::word));
                !value.is_some_and(|it| it.starts_with(':') || it.starts_with("internal:"))
            }
            Item::Letter(..) | Item::Long(..) | Item::Word(_) => false,
        };
        is_wrong.then(|| said("what it tells `hg` to start")).flatten()
    })
}

/// A file of settings of `kubectl` may name a program that is asked who somebody is. That of the user
/// is where it always is.
pub(super) fn kubeconfig(items: &[Item<'_>]) -> Found {
    let is_users =
        |it: &str| !it.contains("..") && (it.contains("/.kube/") || it.starts_with("/etc/"));
    let all: Vec<&str> = words(items).collect();
    let names_program =
        |it: &&&str| [".exec", ".auth-provider", ".command"].iter().any(|part| it.contains(part));
    let set = all.windows(2).position(|it| it == ["config", "set"]);
    let behind = set.and_then(|at| all.get(at + 2..)).unwrap_or_default();
    if let Some(it) = behind.iter().find(names_program) {
        return said(&format!("the setting `{it}`"));
    }
    items.iter().enumerate().find_map(|(at, item)| {
        let Item::Long("--kubeconfig", value) = item else { return None };
        let value = value.or_else(|| items.get(at + 1).and_then(Item::word)).unwrap_or_default();
        (!is_users(value)).then(|| said(&format!("what the settings in `{value}` name"))).flatten()
    })
}

/// `gh extension list` shows; its neighbours fetch and run, or change what a word means.
pub(super) fn gh(items: &[Item<'_>]) -> Found {
    // What is behind it `git clone` is given.
    if let Some(over) = items.iter().position(|it| it.word() == Some("--")) {
        let behind = items.get(over + 1..).unwrap_or_default();
        let line: Vec<&str> = std::iter::once("clone").chain(words(behind)).collect();
        if let Some(found) = super::git::judge(&line) {
            return Some(found);
        }
    }
    let all: Vec<&str> = words(items).filter(|it| !it.starts_with('-')).collect();
    if let ["config", "set", key @ ("editor" | "pager" | "browser"), value, ..] = all.as_slice()
        && !matches!(*value, "" | "cat" | "less")
    {
        return said(&format!("the {key} of `gh`"));
    }
    let mut rest = all.iter().copied();
    rest.find(|it| matches!(*it, "alias" | "extension" | "extensions" | "ext"))?;
    match rest.next() {
        Some("list" | "ls" | "search") => None,
        Some(_) | None => said("an extension or an alias of `gh`"),
    }
}

/// `npm init` asks questions; with a name behind it, it fetches and runs that. Of its settings many
/// name a program, and few are known to name none.
pub(super) fn npm(items: &[Item<'_>]) -> Found {
    const PLAIN: &[&str] = &[
        "registry",
        "fund",
        "audit",
        "loglevel",
        "progress",
        "save",
        "save-exact",
        "save-prefix",
        "package-lock",
        "engine-strict",
        "strict-ssl",
        "proxy",
        "https-proxy",
        "noproxy",
        "color",
        "fetch-retries",
        "fetch-timeout",
        "maxsockets",
        "legacy-peer-deps",
        "prefer-offline",
        "update-notifier",
        "init-license",
        "init-author-name",
        "init-author-email",
        "init-version",
    ];
    let all: Vec<&str> = words(items).collect();
    let is_short = |it: &str, whole: &str| it.len() > 2 && whole.starts_with(it);
    let begins = |it: &[&str]| match it {
        [of, "set"] => matches!(*of, "c" | "pk" | "pkg") || is_short(of, "config"),
        _ => false,
    };
    let set = match all.first() {
        Some(&"set") => Some(1),
        Some(_) | None => all.windows(2).position(begins).map(|it| it + 2),
    };
    if let Some(rest) = set.and_then(|it| all.get(it..)) {
        let key = |it: &str| it.split('=').next().unwrap_or_default().to_ascii_lowercase();
        let is_plain = |key: &str| {
            PLAIN.contains(&key)
                || key.starts_with('@') && key.ends_with(":registry")
                || key.starts_with("//")
                    && (key.ends_with(":_authtoken") || key.ends_with(":always-auth"))
        };
        let has_pairs = rest.first().is_some_and(|it| it.contains('='));
        let keys = rest.iter().step_by(if has_pairs { 1 } else { 2 });
        let is_config = !all.iter().any(|it| matches!(*it, "pk" | "pkg"));
        let wrong = keys.map(|it| key(it)).find(|it| !is_config || !is_plain(it));
        return wrong.and_then(|it| said(&format!("the setting `{it}` of `npm`")));
    }
    let mut rest = words(items);
    let is_init = |it: &str| {
        it == "cr" || ["init", "innit", "create"].iter().any(|whole| is_short(it, whole))
    };
    rest.find(|it| is_init(it))?;
    rest.next().and_then(|it| said(&format!("`npm init {it}`")))
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

/// Commands with a backslash before, but for those that only show.
pub(super) fn psql(items: &[Item<'_>]) -> Found {
    const SHOWS: &[&str] = &[
        "l", "l+", "x", "q", "h", "timing", "conninfo", "c", "connect", "pset", "a", "t", "f", "H",
        "encoding", "echo", "z", "?", "sf", "sv", "set_x",
    ];
    let is_long = |it: &str, whole: &str| it.len() > 2 && whole.starts_with(it);
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
            // The server starts it, and the statement says so in words that cannot be written in
            // another way.
            'c' if has_word(value, "copy") && has_word(value, "program") => {
                return said("a `COPY … PROGRAM` that it gives `psql`");
            }
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
            let (word, behind) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            matches!(word, "system" | "source" | "pager" | "tee") && !behind.trim_start().is_empty()
                || line.starts_with("edit")
        };
        let has_letter = |letter: &str| {
            let behind = |it: &str| it.strip_prefix(letter)?.chars().next();
            lower.split('\\').skip(1).filter_map(behind).any(char::is_whitespace)
        };
        let is_wrong = ["\\!", "\\.", "\\e"].iter().any(|it| lower.contains(it))
            || has_letter("p")
            || has_letter("t")
            || lower.split([';', '\n']).any(begins);
        is_wrong.then(|| said("a command that it gives `mysql`")).flatten()
    })
}

/// `|COMMAND` in the place of a file, also behind a format or an option; a script of ImageMagick.
pub(super) fn pipes(items: &[Item<'_>]) -> Found {
    let is = |it: &str| {
        let it = it.trim_start().to_ascii_lowercase();
        it.contains("%pipe%")
            || it.starts_with("msl:")
            || [":|", "=|"].iter().any(|behind| it.contains(behind))
            || it.starts_with('|')
    };
    values(items).find(|it| is(it)).and_then(|it| said(&format!("`{it}`")))
}
