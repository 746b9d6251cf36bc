//! What builds: variables of `make` that are programs, and what a compiler hands on to the linker.

use super::table::find;
use super::texts::{Found, said, words};
use super::{Item, judge_row};

/// Variables are programs, and what is in them is read by a shell.
pub(super) fn make(items: &[Item<'_>]) -> Found {
    let by_file = items.iter().enumerate().find_map(|(at, item)| {
        let file = match item {
            Item::Letter('f', value) => *value,
            Item::Long(name, value)
                if name.len() > 3
                    && ["--file", "--makefile"].iter().any(|it| it.starts_with(name)) =>
            {
                value.or_else(|| items.get(at + 1).and_then(Item::word))
            }
            Item::Long(..) | Item::Letter(..) | Item::Word(_) => return None,
        };
        let file = file.unwrap_or_default();
        (!is_makefile(file)).then(|| said(&format!("the file `{file}` of `make`"))).flatten()
    });
    by_file.or_else(|| make_variables(items))
}

/// One that is called as those that `make` reads by itself, in the project: who may write it may write
/// those.
fn is_makefile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_named = ["Makefile", "makefile", "GNUmakefile"].iter().any(|it| name.starts_with(it));
    is_named && is_of_the_project(path)
}

/// A path that stays below the working directory, by its text.
pub(super) fn is_of_the_project(path: &str) -> bool {
    crate::path::relative(path).is_ok() && !path.starts_with('~')
}

/// Variables that say what `make` itself starts or reads.
const ALWAYS: &[&str] = &[
    "SHELL",
    ".SHELLFLAGS",
    "MAKEFLAGS",
    "MAKEFILES",
    "MAKE",
    "MAKESHELL",
    "MAKEOVERRIDES",
    ".RECIPEPREFIX",
    "VPATH",
];

/// `make` gives what is on its line to all that it starts, as variables of theirs.
fn make_variables(items: &[Item<'_>]) -> Found {
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
            || own_tools(name).is_some_and(|tools| !is_own_tool(value, tools))
            || !IS_PROGRAM.contains(&name)
                && own_tools(name).is_none()
                && crate::launch::may_start(name)
                && !(name == "ENV" && is_plain(value))
            || name == "JAVA_HOME" && !is_of_the_system(value) && !value.is_empty()
            || flags(name, value).is_some();
        is_wrong.then(|| said(&format!("the variable `{name}` of `make`"))).flatten()
    })
}

const IS_PROGRAM: &[&str] = &[
    "CC", "CXX", "CPP", "LD", "AR", "AS", "RM", "FC", "PC", "YACC", "LEX", "INSTALL", "PYTHON",
    "NODE", "GO", "CARGO", "RANLIB", "STRIP", "MAKEINFO", "TEX", "CO", "GET", "HOSTCC", "HOSTCXX",
    "CCLD", "NM", "OBJCOPY", "OBJDUMP", "BISON", "FLEX", "TEXI2DVI", "LINT", "WEAVE", "CWEAVE",
    "TANGLE", "CTANGLE", "M2C",
];

/// Programs that `make` has no name for, and many projects do, with what stands there in an honest line.
const OWN_TOOLS: &[(&str, &str)] = &[
    ("AWK", "awk gawk mawk nawk"),
    ("BASH", "bash"),
    ("CAT", "cat gcat"),
    ("CMAKE", "cmake cmake3"),
    ("CP", "cp gcp"),
    ("CURL", "curl"),
    ("DOCKER", "docker podman nerdctl"),
    ("FIND", "find gfind"),
    ("GIT", "git"),
    ("GREP", "grep ggrep egrep"),
    ("JAVA", "java"),
    ("JAVAC", "javac"),
    ("LIBTOOL", "libtool glibtool"),
    ("LN", "ln gln"),
    ("MKDIR", "mkdir gmkdir"),
    ("MOC", "moc moc-qt"),
    ("MV", "mv gmv"),
    ("NINJA", "ninja samu"),
    ("NPM", "npm pnpm yarn bun"),
    ("NPX", "npx"),
    ("PANDOC", "pandoc"),
    ("PERL", "perl"),
    ("PG_CONFIG", "pg_config"),
    ("PIP", "pip"),
    ("PKG_CONFIG", "pkg-config pkgconf"),
    ("PNPM", "pnpm"),
    ("PROTOC", "protoc"),
    ("RUBY", "ruby"),
    ("RUSTC", "rustc"),
    ("SED", "sed gsed"),
    ("SH", "sh bash dash"),
    ("TAR", "tar gtar bsdtar"),
    ("UIC", "uic"),
    ("WGET", "wget"),
    ("WINDRES", "windres"),
    ("YARN", "yarn"),
];

fn own_tools(name: &str) -> Option<&'static str> {
    OWN_TOOLS.iter().find(|it| it.0 == name).map(|it| it.1)
}

/// Whether a text is one of these and nothing else, of the system where it is said where.
fn is_own_tool(value: &str, tools: &'static str) -> bool {
    let name = crate::launch::name_of(value);
    let is_one = |it: &str| it == name || it == crate::launch::bare(&name) || it == last(&name);
    value.is_empty()
        || super::list(tools).any(is_one) && (!value.contains('/') || is_of_the_system(value))
}

fn is_plain(value: &str) -> bool {
    value.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-')
}

/// Options that a variable hands to the tool it is called after.
fn flags(name: &str, value: &str) -> Found {
    let tool = match name {
        "RUSTFLAGS" => "rustc",
        "RUSTDOCFLAGS" => "rustdoc",
        "CARGOFLAGS" | "CARGO_FLAGS" => "cargo",
        "GOFLAGS" | "GO_FLAGS" | "GOBUILDFLAGS" => "go",
        "ARFLAGS" => "ar",
        _ if name.ends_with("FLAGS") || HANDED_ON.contains(&name) => "gcc",
        _ => return None,
    };
    judge_row(find(tool, tool), tool, &split(value))
}

/// What `make`'s own rules begin with, one for each kind of file: `COMPILE.c`, `LINK.o`.
fn is_rule(name: &str) -> bool {
    const RULES: &[&str] = &["COMPILE", "LINK", "YACC", "LEX", "LINT", "PREPROCESS"];
    name.split_once('.').is_some_and(|(rule, _)| RULES.contains(&rule))
}

/// What those rules hand to a compiler.
const HANDED_ON: &[&str] =
    &["LDLIBS", "LOADLIBES", "LDADD", "LIBS", "TARGET_ARCH", "TARGET_MACH", "OUTPUT_OPTION"];

/// Properties of Maven that name a program or load code, a plugin that is fetched from whoever has
/// published it, and settings that are not the project's or the user's.
pub(super) fn maven(items: &[Item<'_>]) -> Found {
    const PROPERTIES: &[&str] = &[
        "exec.executable",
        "exec.workingdir",
        "maven.ext.class.path",
        "maven.multimoduleprojectdirectory",
        "compiler.executable",
        "gpg.executable",
        "-djvm=",
        "surefire.debug",
        "failsafe.debug",
    ];
    /// Of those who make Maven, and plugins that nearly every project has.
    const GROUPS: &[&str] = &["org.apache.maven.plugins:", "org.codehaus.mojo:"];
    let all: Vec<&str> = words(items).collect();
    all.iter().enumerate().find_map(|(at, word)| {
        let lower = word.to_ascii_lowercase();
        let is_settings = |it: &str| {
            let is_users = it.starts_with("~/.m2/") && !it.contains("..");
            it.ends_with("settings.xml") && (is_users || is_of_the_project(it))
        };
        let is_long = |it: &str| {
            let whole = ["--settings", "--global-settings"];
            it.len() > 3 && whole.iter().any(|whole| whole.starts_with(it))
        };
        let settings = match lower.split_once('=') {
            Some((name, _)) if is_long(name) => word.split_once('=').map(|it| it.1),
            _ if matches!(lower.as_str(), "-s" | "-gs") || is_long(&lower) => {
                Some(all.get(at + 1).copied().unwrap_or_default())
            }
            _ => lower.strip_prefix("-s").filter(|it| !it.is_empty()),
        };
        let is_wrong = PROPERTIES.iter().any(|it| lower.contains(it))
            || lower.contains("argline") && loads_by_jvm(&lower)
            || settings.is_some_and(|it| !is_settings(it))
            || !word.starts_with('-')
                && word.matches(':').count() >= 2
                && !GROUPS.iter().any(|it| word.starts_with(it));
        is_wrong.then(|| said(&format!("`{word}` of `mvn`"))).flatten()
    })
}

/// Options of a Java machine that load code or start a program.
fn loads_by_jvm(options: &str) -> bool {
    const LOAD: &[&str] =
        &["agent", "onerror", "onoutofmemory", "bootclasspath", "xx:flags", "vmoptions", "@"];
    let lower = options.to_ascii_lowercase();
    LOAD.iter().any(|it| lower.contains(it))
}

/// Options for the machine that builds, and homes of settings that are not the project's.
pub(super) fn gradle(items: &[Item<'_>]) -> Found {
    let is_wrong = |it: &str| {
        let of_machine = it.contains("org.gradle.jvmargs") || it.contains("jvmArgs");
        of_machine && loads_by_jvm(it)
            || it.contains("org.gradle.java.home")
            || it.contains("gradle.user.home")
            || ["-g/", "-g.", "-g~"].iter().any(|begin| it.starts_with(begin))
    };
    words(items).find(|it| is_wrong(it)).and_then(|it| said(&format!("`{it}` of `gradle`")))
}

/// Loggers and adapters of `dotnet` that are files, and what its builds run before and after. Options
/// begin with one hyphen, two, or a slash.
pub(super) fn dotnet(items: &[Item<'_>]) -> Found {
    const RUN: &[&str] = &[
        "prebuildevent",
        "postbuildevent",
        "custombefore",
        "customafter",
        "csctoolpath",
        "csctoolexe",
        "vbctool",
        "directorybuildpropspath",
        "directorybuildtargetspath",
        "msbuildextensionspath",
        "runcommand",
    ];
    let all: Vec<&str> = words(items).collect();
    all.iter().enumerate().find_map(|(at, word)| {
        let lower = word.to_ascii_lowercase();
        let option = lower.trim_start_matches(['-', '/']);
        if option.len() == lower.len() && !lower.starts_with('@') {
            return None;
        }
        let (name, value) = match option.split_once([':', '=']) {
            Some((name, value)) => (name, value.to_owned()),
            None => (option, all.get(at + 1).copied().unwrap_or_default().to_ascii_lowercase()),
        };
        let is_wrong = match name {
            "logger" | "l" | "distributedlogger" | "dl" => value.contains([',', '/', '\\', '*']),
            "test-adapter-path" | "testadapterpath" => true,
            "p" | "property" => RUN.iter().any(|it| value.contains(it)),
            _ => lower.starts_with('@'),
        };
        is_wrong.then(|| said(&format!("`{word}` of `dotnet`"))).flatten()
    })
}

/// Code of `nim`, and its compilers. Letter case and `_` say nothing in its options.
pub(super) fn nim(items: &[Item<'_>]) -> Found {
    words(items).filter(|it| it.starts_with('-')).find_map(|word| {
        let lower = word.to_ascii_lowercase().replace('_', "");
        let (name, value) = lower.trim_start_matches('-').split_once([':', '='])?;
        let is_wrong = name == "eval"
            || [".exe", ".linkerexe", ".path"].iter().any(|it| name.ends_with(it))
            || matches!(name, "passc" | "t" | "passl" | "l") && compiler(&split(value)).is_some();
        is_wrong.then(|| said(&format!("`{word}` of `nim`"))).flatten()
    })
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
    for word in all.iter().filter(|it| it.contains("-extld") || it.contains("-extar")) {
        let inner: Vec<&str> =
            word.split(|it: char| it.is_whitespace() || matches!(it, '=' | '\'' | '"')).collect();
        let is_tool = |it: &&&str| matches!(it.trim_start_matches('-'), "extld" | "extar");
        if let Some(it) = inner.iter().find(is_tool) {
            return said(it);
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
