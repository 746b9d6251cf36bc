//! One line a command line.

use super::*;

/// What a line of the table says of a launch.
fn short(launch: &Launch) -> String {
    match launch {
        Launch::Program => "program".to_owned(),
        Launch::Script(file) => format!("script {file}"),
        Launch::Package(it) => {
            let pinned = if matches!(it.wanted, Wanted::Exact(_)) { "pinned" } else { "open" };
            let bin = it.bin.iter().map(|it| format!(" bin={it}"));
            let env = it.env.iter().map(|(name, value)| format!(" {name}={value}"));
            let args = it.args.iter().map(|it| format!(" {it}"));
            let rest: String = bin.chain(env).chain(args).collect();
            format!("{pinned} {}{rest}", it.spec())
        }
        Launch::Container { image, pinned: true } => format!("pinned image {image}"),
        Launch::Container { image, pinned: false } => format!("image {image}"),
        Launch::Arbitrary { .. } => "arbitrary".to_owned(),
    }
}

/// The words of a line: split at spaces, but for what is between single quotes.
fn words(line: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    for (number, part) in line.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.into());
        } else {
            words.extend(part.split_whitespace().map(OsString::from));
        }
    }
    words
}

#[test]
fn every_line_is_what_the_table_says() {
    let (mut lines, mut wrong) = (0, Vec::new());
    for line in include_str!("table.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (command, expected) = line.split_once(" => ").expect(line);
        let found = short(&Launch::of(&words(command), []));
        if found != expected.trim() {
            wrong.push(format!("{line}, and is {found}"));
        }
        lines += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines >= 400, "{lines}");
}

#[test]
fn what_starts_another_is_not_what_is_started() {
    for (line, expected) in [
        ("./server.py a", Some("./server.py")),
        ("env A=b nice -n 5 ./server.py a", Some("./server.py")),
        ("timeout 5 /usr/bin/env ./server", Some("./server")),
        ("env", None),
        ("env -S x", None),
        ("", None),
    ] {
        assert_eq!(program(&words(line)), expected, "{line}");
    }
}

#[test]
fn variables_that_load_code_make_it_arbitrary() {
    let node = words("node server.js");
    for name in [
        "NODE_OPTIONS",
        "PYTHONSTARTUP",
        "PYTHONPLATLIBDIR",
        "LD_PRELOAD",
        "npm_config_script_shell",
        "BASH_ENV",
    ] {
        assert_eq!(short(&Launch::of(&node, [name])), "arbitrary", "{name}");
    }
    for name in ["API_KEY", "HOME", "NODE_ENV", "LANG", "PYTHONUNBUFFERED"] {
        assert_eq!(short(&Launch::of(&node, [name])), "script server.js", "{name}");
    }
}

#[test]
fn what_is_not_text_is_not_guessed_at() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(vec![0xff]);
    assert_eq!(short(&Launch::of(&["/srv/server".into(), odd.clone()], [])), "program");
    for program in ["npx", "sh", "python3"] {
        assert_eq!(
            short(&Launch::of(&[program.into(), odd.clone()], [])),
            "arbitrary",
            "{program}"
        );
    }
}

#[test]
fn a_package_is_named_in_one_way() {
    for (text, spec) in [
        ("npm:a", Some("npm:a")),
        ("npm:@s/a@1.2.3", Some("npm:@s/a@1.2.3")),
        ("npm:a@^1", Some("npm:a@^1")),
        ("pypi:Mcp_Server.Git==1.0", Some("pypi:mcp-server-git==1.0")),
        ("pypi:mcp[CLI]>=1,<2", Some("pypi:mcp[cli]>=1,<2")),
        ("npm:", None),
        ("npm:../a", None),
        ("npm:a@npm:b", None),
        ("npm:a@file:x", None),
        ("npm:user/repo", None),
        ("pypi:a @ https://x", None),
        ("pypi:a;x", None),
        ("pypi:-r", None),
        ("gem:a", None),
        ("a", None),
    ] {
        assert_eq!(Package::named(text).map(|it| it.spec()).as_deref(), spec, "{text}");
    }
}
