//! What builds: variables of `make` that are programs, and what a compiler hands on to the linker.

use super::table::find;
use super::texts::{Found, said, words};
use super::{Item, judge_row};

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
        // Blanks may be around it, and words such as `override` before.
        let name = name.trim_end_matches(|it: char| it.is_whitespace() || "?+:!".contains(it));
        let name = name.rsplit(char::is_whitespace).next().unwrap_or_default();
        let is_wrong = ALWAYS.contains(&name)
            || word.contains("!=")
            || value.contains(['$', '`', ';', '|', '&', '\n', '<', '>', '(', ')'])
            || (IS_PROGRAM.contains(&name) || is_rule(name)) && !is_tool(value)
            || name == "CROSS_COMPILE" && value.contains('/') && !is_of_the_system(value)
            || (name.ends_with("FLAGS") || HANDED_ON.contains(&name))
                && compiler(&split(value)).is_some();
        is_wrong.then(|| said(&format!("the variable `{name}` of `make`"))).flatten()
    })
}

const IS_PROGRAM: &[&str] = &[
    "CC", "CXX", "CPP", "LD", "AR", "AS", "RM", "FC", "PC", "YACC", "LEX", "INSTALL", "PYTHON",
    "NODE", "GO", "CARGO", "RANLIB", "STRIP", "MAKEINFO", "TEX", "CO", "GET", "HOSTCC", "HOSTCXX",
    "CCLD", "NM", "OBJCOPY", "OBJDUMP", "BISON", "FLEX", "TEXI2DVI", "LINT", "WEAVE", "CWEAVE",
    "TANGLE", "CTANGLE", "M2C",
];

/// What `make`'s own rules begin with, one for each kind of file: `COMPILE.c`, `LINK.o`.
fn is_rule(name: &str) -> bool {
    const RULES: &[&str] = &["COMPILE", "LINK", "YACC", "LEX", "LINT", "PREPROCESS"];
    name.split_once('.').is_some_and(|(rule, _)| RULES.contains(&rule))
}

/// What those rules hand to a compiler.
const HANDED_ON: &[&str] =
    &["LDLIBS", "LOADLIBES", "LDADD", "LIBS", "TARGET_ARCH", "TARGET_MACH", "OUTPUT_OPTION"];

/// The program of a plugin of Maven that starts one.
pub(super) fn maven(items: &[Item<'_>]) -> Found {
    let starts = |it: &&str| it.contains("exec.executable") || it.contains("exec.workingdir");
    words(items).find(starts).and_then(|it| said(&format!("`{it}` of `mvn`")))
}

/// What stands in those variables of an honest line.
const TOOLS: &[&str] = &[
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "clang++",
    "gfortran",
    "tcc",
    "icc",
    "icx",
    "emcc",
    "cpp",
    "ld",
    "lld",
    "ld.lld",
    "ld.gold",
    "mold",
    "ar",
    "gcc-ar",
    "llvm-ar",
    "ranlib",
    "gcc-ranlib",
    "llvm-ranlib",
    "strip",
    "llvm-strip",
    "nm",
    "objcopy",
    "objdump",
    "as",
    "nasm",
    "yasm",
    "rm",
    "install",
    "python",
    "pypy",
    "node",
    "go",
    "cargo",
    "flex",
    "lex",
    "bison",
    "yacc",
    "byacc",
    "makeinfo",
    "tex",
    "pdftex",
    "pdflatex",
    "xelatex",
    "lualatex",
    "zig",
    "true",
    "echo",
];

/// Whether a text is a tool that is known, of the system where it is said where, and its options
/// start nothing else: `ccache gcc -m32`, `/usr/bin/gcc-13`.
fn is_tool(value: &str) -> bool {
    let mut words = split(value);
    if words.len() > 1 && matches!(words.first(), Some(&("ccache" | "sccache" | "distcc"))) {
        words.remove(0);
    }
    if matches!(words.as_slice(), ["zig", "cc" | "c++", ..]) {
        words.remove(0);
    }
    let Some((program, options)) = words.split_first() else { return true };
    let name = crate::launch::name_of(program);
    let is_known = |it: &str| TOOLS.contains(&it);
    (is_known(&name) || is_known(crate::launch::bare(&name)) || is_known(last(&name)))
        && (!program.contains('/') || is_of_the_system(program))
        && options.iter().all(|it| it.starts_with('-'))
        && (options.is_empty() || super::why(&words).is_none())
        && compiler(options).is_none()
}

pub(super) fn is_of_the_system(path: &str) -> bool {
    const PLACES: &[&str] = &["/usr/bin/", "/usr/local/bin/", "/bin/", "/opt/", "/usr/lib/"];
    PLACES.iter().any(|it| path.starts_with(it)) && !path.contains("..")
}

fn split(text: &str) -> Vec<&str> {
    let is_between = |it: char| it.is_whitespace() || matches!(it, '\'' | '"');
    text.split(is_between).filter(|it| !it.is_empty()).collect()
}

/// The tool in a name that begins with a machine: `x86_64-linux-gnu-gcc-13`.
pub(super) fn last(name: &str) -> &str {
    let is_version = |it: &str| it.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    name.rsplit('-').find(|it| !is_version(it)).unwrap_or_default()
}

/// What a compiler is told, with what it hands on: `-Wl,-plugin,x`, `-Xlinker -plugin`.
pub(super) fn compiler_items(items: &[Item<'_>]) -> Found {
    let all: Vec<&str> = words(items).collect();
    let linker = |it: &[&str]| judge_row(find("ld", "ld"), "ld", it);
    all.iter().enumerate().find_map(|(at, word)| {
        let next = || all.get(at + 1).copied();
        if word.starts_with('@') {
            return said(&format!("`{word}`"));
        }
        if let Some(handed) = word.strip_prefix("-Wl,") {
            return linker(&handed.split(',').collect::<Vec<_>>());
        }
        if let Some(handed) = word.strip_prefix("-Wp,") {
            return compiler(&handed.split(',').collect::<Vec<_>>());
        }
        if let Some(handed) = word.strip_prefix("-Wa,") {
            let has_file = handed.split(',').any(|it| it.starts_with('@'));
            return has_file.then(|| said(&format!("`{word}`"))).flatten();
        }
        match *word {
            "-Xlinker" | "--for-linker" => linker(&[next()?]),
            "-Xclang" | "-Xpreprocessor" if next()?.starts_with('@') => said("a file of options"),
            "-Xclang" if next()?.contains("plugin") => said("a plugin of `clang`"),
            _ => word.strip_prefix("--for-linker=").and_then(|it| linker(&[it])),
        }
    })
}

/// The same of words that end up there.
fn compiler(words: &[&str]) -> Found {
    judge_row(find("gcc", "gcc"), "gcc", words)
}

/// `@FILE` has options in it.
pub(super) fn response_file(items: &[Item<'_>]) -> Found {
    words(items).find(|it| it.starts_with('@')).and_then(|it| said(&format!("`{it}`")))
}

/// `-C linker=PROGRAM`, and what the linker is given, which is a compiler.
pub(super) fn rustc(items: &[Item<'_>]) -> Found {
    let is_file = |it: &&str| it.starts_with('@');
    let found = words(items).find(is_file).and_then(|it| said(&format!("`{it}` of `rustc`")));
    found.or_else(|| codegen(items))
}

/// The same behind `cargo rustc --`.
pub(super) fn codegen(items: &[Item<'_>]) -> Found {
    words(items).find_map(|word| {
        let setting = ["--codegen=", "--codegen", "-C"].iter().find_map(|it| word.strip_prefix(it));
        let (key, value) = setting.unwrap_or(word).split_once('=')?;
        match key {
            "linker" if !is_tool(value) => said(&format!("`{word}` of `rustc`")),
            "link-arg" | "link-args" | "pre-link-arg" | "pre-link-args" => compiler(&split(value)),
            "dlltool" | "linker-plugin-lto" if value.contains(['/', '\\']) => {
                said(&format!("`{word}` of `rustc`"))
            }
            _ => None,
        }
    })
}

/// Flags for the linker, tools that only show, packages that are fetched, and settings.
pub(super) fn go(items: &[Item<'_>]) -> Found {
    const SHOW: &[&str] =
        &["cover", "trace", "nm", "objdump", "addr2line", "test2json", "covdata", "buildid"];
    let all: Vec<&str> = words(items).collect();
    let said = |it: &str| said(&format!("`{it}` of `go`"));
    for word in all.iter().filter(|it| it.contains("-extld")) {
        let inner: Vec<&str> =
            word.split(|it: char| it.is_whitespace() || matches!(it, '=' | '\'' | '"')).collect();
        if inner.iter().any(|it| it.trim_start_matches('-') == "extld") {
            return said("-extld");
        }
        if let Some(found) = compiler(&inner) {
            return Some(found);
        }
    }
    let mut rest = all.iter().filter(|it| !it.starts_with('-'));
    match *rest.next()? {
        "tool" => rest.next().filter(|it| !SHOW.contains(it)).and_then(|it| said(it)),
        "run" => {
            let package = all.iter().find(|it| !it.starts_with('-') && it.contains('@'));
            package.and_then(|it| said(it))
        }
        "env" if all.contains(&"-w") || all.contains(&"--w") => {
            const PROGRAMS: &[&str] =
                &["CC", "CXX", "AR", "FC", "GCCGO", "PKG_CONFIG", "GOFLAGS", "GOTOOLCHAIN"];
            all.iter().find_map(|it| {
                let (name, value) = it.split_once('=')?;
                let is_wrong = PROGRAMS.contains(&name) && !is_tool(value)
                    || name == "GOCACHEPROG" && !value.is_empty()
                    || name == "GOAUTH" && !matches!(value, "" | "off" | "netrc")
                    || name.starts_with("CGO_") && compiler(&split(value)).is_some();
                is_wrong.then(|| said(it)).flatten()
            })
        }
        _ => None,
    }
}

/// Commands of `cmake` itself that start nothing, and what it hands to `make`.
pub(super) fn cmake(items: &[Item<'_>]) -> Found {
    const ORDINARY: &[&str] = &[
        "make_directory",
        "copy",
        "copy_if_different",
        "copy_directory",
        "touch",
        "echo",
        "echo_append",
        "cat",
        "compare_files",
        "md5sum",
        "sha1sum",
        "sha256sum",
        "sha512sum",
        "capabilities",
        "true",
        "false",
        "sleep",
        "tar",
    ];
    let all: Vec<&str> = words(items).collect();
    if let Some(at) = all.iter().position(|it| it.starts_with("-E")) {
        return match all.get(at..)? {
            ["-E", command, ..] if ORDINARY.contains(command) => None,
            _ => said("`-E` of `cmake`"),
        };
    }
    let over = all.iter().position(|it| *it == "--")?;
    judge_row(find("make", "make"), "make", all.get(over + 1..)?)
}
