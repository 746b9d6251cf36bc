//! Broken files, each with what a person sees; and whole ones, with what they come to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stockade_core::json::Document;
use stockade_core::policy::{CallFacts, Limits};
use stockade_core::root::{Admission, Admitted};
use stockade_store::{Keep, Options};

use super::*;

fn resolve_for(text: &str, flags: &Flags) -> Result<Resolved, ConfigError> {
    let source = Source { path: PathBuf::from("stockade.toml"), text: Arc::from(text) };
    Resolved::new(Some(source), flags)
}

fn resolve(text: &str) -> Resolved {
    resolve_for(text, &Flags::default()).unwrap_or_else(|it| panic!("{it}"))
}

fn broken(text: &str) -> String {
    match resolve_for(text, &Flags::default()) {
        Ok(_) => panic!("taken: {text}"),
        Err(it) => it.to_string(),
    }
}

#[test]
fn an_unknown_key_names_the_nearest() {
    insta::assert_snapshot!(broken(
r#"defualt = "deny"
zzz = 1
"#), @r#"
        error: there is no key `defualt`
         --> stockade.toml:1:1
          |
        1 | defualt = "deny"
          | ^^^^^^^ unknown key
          |
          = help: there is `default`

        error: there is no key `zzz`
         --> stockade.toml:2:1
          |
        2 | zzz = 1
          | ^^^ unknown key
          |
          = help: one of `preset`, `mode`, `default`, `roots`, `client_roots`, `lock`, `rules`, `severity`, `limits`, `approvals`, `alerts`, `metrics`, `traces`, `quotas`, `roles`, `risk`, `sampling`, `elicitation`, `canaries`, `http`, `sandbox`, `ledger`, `tools`, `arguments`, `hosts`, `servers`
    "#);
}

#[test]
fn an_unknown_rule_names_the_nearest() {
    insta::assert_snapshot!(broken(
r#"[rules]
hiden_unicode = "fix"
[severity]
critical = "deny"
"#), @r#"
        error: there is no rule `hiden_unicode`
         --> stockade.toml:2:1
          |
        2 | hiden_unicode = "fix"
          | ^^^^^^^^^^^^^ unknown rule
          |
          = help: there is `hidden_unicode`

        error: there is no severity `critical`
         --> stockade.toml:4:1
          |
        4 | critical = "deny"
          | ^^^^^^^^ unknown severity
          |
          = help: one of `low`, `medium`, `high`
    "#);
}

#[test]
fn an_unknown_action_names_the_others() {
    insta::assert_snapshot!(broken(
r#"[rules]
hidden_unicode = "x"
[severity]
high = "dney"
"#), @r#"
        error: there is no action `x`
         --> stockade.toml:2:18
          |
        2 | hidden_unicode = "x"
          |                  ^^^ unknown action
          |
          = help: one of `allow`, `fix`, `ask`, `deny`

        error: there is no action `dney`
         --> stockade.toml:4:8
          |
        4 | high = "dney"
          |        ^^^^^^ unknown action
          |
          = help: there is `deny`
    "#);
}

#[test]
fn a_wrong_type_says_what_is_wanted() {
    insta::assert_snapshot!(broken(
r#"default = 3
roots = "/srv"
[limits]
depth_max = "64"
sessions_max = -1
"#), @r#"
        error: a string is wanted here, not an integer
         --> stockade.toml:1:11
          |
        1 | default = 3
          |           ^ this is an integer

        error: a list is wanted here, not a string
         --> stockade.toml:2:9
          |
        2 | roots = "/srv"
          |         ^^^^^^ this is a string

        error: a whole number is wanted here, not a string
         --> stockade.toml:4:13
          |
        4 | depth_max = "64"
          |             ^^^^ this is a string

        error: the number is out of bounds
         --> stockade.toml:5:16
          |
        5 | sessions_max = -1
          |                ^^ this number
    "#);
}

#[test]
fn what_is_not_toml_is_shown() {
    insta::assert_snapshot!(broken(
r#"default = "deny
[[tools]]
effect = allow
"#), @r#"
        error: this is not TOML
         --> stockade.toml:1:16
          |
        1 | default = "deny
          |                ^ invalid basic string, expected `"`

        error: this is not TOML
         --> stockade.toml:3:10
          |
        3 | effect = allow
          |          ^^^^^ string values must be quoted, expected literal string
    "#);
}

#[test]
fn a_key_twice_is_refused() {
    insta::assert_snapshot!(broken(
r#"default = "deny"
default = "allow"
"#), @r#"
        error: this is not TOML
         --> stockade.toml:2:1
          |
        2 | default = "allow"
          | ^^^^^^^ duplicate key
    "#);
}

#[test]
fn an_expression_that_is_none_points_at_its_place() {
    insta::assert_snapshot!(broken(
r#"default = "deny"
[[tools]]
effect = "allow"
tool = "*"
when = "args.path == '/a' && arg.x == 1"
"#), @r#"
        error: this expression cannot be used
         --> stockade.toml:5:30
          |
        5 | when = "args.path == '/a' && arg.x == 1"
          |                              ^^^ there is no variable `arg`
    "#);
}

#[test]
fn an_expression_that_is_half_points_at_its_place() {
    insta::assert_snapshot!(broken(
r#"default = "deny"
[[tools]]
effect = "allow"
tool = "*"
when = "size(args.path) <"
"#), @r#"
        error: this expression cannot be used
         --> stockade.toml:5:26
          |
        5 | when = "size(args.path) <"
          |                          ^ Syntax error: mismatched input '<EOF>'
    "#);
}

#[test]
fn a_regular_expression_that_is_none_points_at_its_place() {
    insta::assert_snapshot!(broken(
r#"default = "deny"
[[tools]]
effect = "allow"
tool = "*"
args.path = { matches = "(a" }
"#), @r#"
        error: this is not a regular expression
         --> stockade.toml:5:25
          |
        5 | args.path = { matches = "(a" }
          |                         ^^^^ unclosed group
    "#);
}

#[test]
fn a_glob_that_is_none_points_at_its_place() {
    insta::assert_snapshot!(broken(
r#"default = "deny"
[[tools]]
effect = "allow"
tool = ["ok", "a[", ""]
"#), @r#"
        error: this is not a glob
         --> stockade.toml:4:15
          |
        4 | tool = ["ok", "a[", ""]
          |               ^^^^ unclosed character class; missing ']'

        error: this is not a glob
         --> stockade.toml:4:21
          |
        4 | tool = ["ok", "a[", ""]
          |                     ^^ a pattern cannot be empty; `*` is any name
    "#);
}

#[test]
fn a_rule_must_say_what_it_does_to_what() {
    insta::assert_snapshot!(broken(
r#"default = "deny"
[[tools]]
server = "fs"
"#), @r#"
        error: `effect` is missing
         --> stockade.toml:2:1
          |
        2 | [[tools]]
          | ^^^^^^^^^ in this rule
          |
          = help: `effect` is `allow`, `ask` or `deny`

        error: `tool` is missing
         --> stockade.toml:2:1
          |
        2 | [[tools]]
          | ^^^^^^^^^ in this rule
          |
          = help: `tool` is names of tools; `"*"` is any
    "#);
}

#[test]
fn rules_need_a_default() {
    insta::assert_snapshot!(broken(
r#"[[tools]]
effect = "allow"
tool = "read_*"
"#), @r#"
        error: what happens to calls that no rule is about is not said
         --> stockade.toml:1:1
          |
        1 | [[tools]]
          | ^^^^^^^^^ there are rules about tools
          |
          = help: write `default = "deny"` at the top of the file
    "#);
}

#[test]
fn a_limit_has_bounds() {
    insta::assert_snapshot!(broken(
r#"[limits]
calls_per_minute = 0
depth_max = 500
sessions = 3
"#), @r#"
        error: `calls_per_minute` is out of bounds
         --> stockade.toml:2:20
          |
        2 | calls_per_minute = 0
          |                    ^ between 1 and 1000000

        error: `depth_max` is out of bounds
         --> stockade.toml:3:13
          |
        3 | depth_max = 500
          |             ^^^ between 4 and 127

        error: there is no limit `sessions`
         --> stockade.toml:4:1
          |
        4 | sessions = 3
          | ^^^^^^^^ unknown limit
          |
          = help: there is `sessions_max`
    "#);
}

#[test]
fn a_server_is_a_command_or_a_url() {
    insta::assert_snapshot!(broken(
r#"[servers.fs]
env = { "A=B" = "x" }
[servers.git]
command = ["git-mcp"]
url = "https://a.example"
[servers.web]
url = "file:///etc/passwd"
"#), @r#"
        error: server `fs` needs one of `command` and `url`
         --> stockade.toml:1:10
          |
        1 | [servers.fs]
          |          ^^ this server

        error: server `git` needs one of `command` and `url`
         --> stockade.toml:3:10
          |
        3 | [servers.git]
          |          ^^^ this server

        error: this is not the URL of a server: it cannot be read
         --> stockade.toml:7:7
          |
        7 | url = "file:///etc/passwd"
          |       ^^^^^^^^^^^^^^^^^^^^ `https://HOST/PATH` is wanted
    "#);
}

#[test]
fn a_root_is_a_whole_path() {
    insta::assert_snapshot!(broken(
r#"roots = ["docs", "~/x", "/srv/../etc", "/srv:rw"]
"#), @r#"
        error: this is not a directory to work in
         --> stockade.toml:1:10
          |
        1 | roots = ["docs", "~/x", "/srv/../etc", "/srv:rw"]
          |          ^^^^^^ a whole path is wanted

        error: this is not a directory to work in
         --> stockade.toml:1:18
          |
        1 | roots = ["docs", "~/x", "/srv/../etc", "/srv:rw"]
          |                  ^^^^^ a whole path is wanted

        error: this is not a directory to work in
         --> stockade.toml:1:25
          |
        1 | roots = ["docs", "~/x", "/srv/../etc", "/srv:rw"]
          |                         ^^^^^^^^^^^^^ the path climbs out with `..`
    "#);
}

#[test]
fn a_condition_says_something_that_can_be() {
    insta::assert_snapshot!(broken(
r#"default = "deny"
[[tools]]
effect = "allow"
tool = "*"
[tools.args]
a = {}
b = { present = false, prefix = "x" }
c = { in_roots = false }
d = { equals = [1] }
"#), @r#"
        error: a string, a number, or `true` or `false` is wanted here, not an array
         --> stockade.toml:9:16
          |
        9 | d = { equals = [1] }
          |                ^^^ this is an array
    "#);
}

#[test]
fn a_rule_of_a_server_is_about_it() {
    insta::assert_snapshot!(broken(
r#"default = "deny"
[servers.fs]
command = ["fs"]
[[servers.fs.tools]]
effect = "allow"
tool = "*"
server = "git"
"#), @r#"
        error: a rule of a server cannot be about another
         --> stockade.toml:7:10
          |
        7 | server = "git"
          |          ^^^^^ of a server
          |
          = help: move the rule to `[[tools]]`
    "#);
}

/// CVE-2026-33032: an empty list that meant everyone.
#[test]
fn an_empty_list_is_refused_wherever_it_is() {
    for text in [
        "roots = []",
        "tools = []",
        "tools = []\ndefault = 'allow'",
        "default = 'allow'\n[[tools]]\neffect = 'deny'\ntool = []",
        "default = 'allow'\n[[tools]]\neffect = 'deny'\ntool = ''",
        "default = 'allow'\n[[tools]]\neffect = 'deny'\ntool = '*'\nserver = []",
        "default = 'allow'\n[[tools]]\neffect = 'deny'\ntool = '*'\nargs.a = { one_of = [] }",
        "http.hosts = []",
        "http.origins = []",
        "servers.a.command = []",
        "servers.a = { command = ['a'], roots = [] }",
        "servers.a = { command = ['a'], tools = [] }",
    ] {
        assert!(resolve_for(text, &Flags::default()).is_err(), "{text}");
    }
}

#[test]
fn the_ledger_is_kept_as_it_is_said() {
    let ledger = |text: &str| resolve(text).ledger;
    assert_eq!(ledger(""), Options::default());
    let all = "segment_bytes_max = 65536\nsegment_age_s = 60\nkeep_bytes = 70000\nkeep_days = 2";
    let keep = Keep { bytes: Some(70_000), age: Some(Duration::from_secs(2 * 86_400)) };
    let expected = Options {
        segment_bytes_max: 65_536,
        segment_age: Duration::from_secs(60),
        keep,
        ..Options::default()
    };
    assert_eq!(ledger(&format!("[ledger]\n{all}")), expected);
    assert_eq!(resolve("ledger.keep_days = 7").place("ledger.keep_days"), "stockade.toml:1");
    insta::assert_snapshot!(broken(
r#"[ledger]
segment_bytes_max = 65535
segment_age_s = 0
keep_bytes = 0
keep_days = 0
"#), @r#"
        error: `segment_bytes_max` is out of bounds
         --> stockade.toml:2:21
          |
        2 | segment_bytes_max = 65535
          |                     ^^^^^ between 65536 and 1073741824

        error: `segment_age_s` is out of bounds
         --> stockade.toml:3:17
          |
        3 | segment_age_s = 0
          |                 ^ between 60 and 31536000

        error: `keep_bytes` is out of bounds
         --> stockade.toml:4:14
          |
        4 | keep_bytes = 0
          |              ^ between 65536 and 1125899906842624

        error: `keep_days` is out of bounds
         --> stockade.toml:5:13
          |
        5 | keep_days = 0
          |             ^ between 1 and 36500
    "#);
}

#[test]
fn nobody_comes_in_without_a_name() {
    let http = |text: &str| resolve(text).http.hosts;
    assert!(http("").is_empty());
    assert_eq!(http("http.hosts = ['a.example']"), ["a.example"]);
    insta::assert_snapshot!(broken(
r#"[http]
hosts = ["*"]
origins = ["https://*.example"]
"#), @r#"
        error: any would let every web page in
         --> stockade.toml:2:10
          |
        2 | hosts = ["*"]
          |          ^^^ a whole name is wanted
          |
          = help: list the names that you need

        error: this is not a name
         --> stockade.toml:3:12
          |
        3 | origins = ["https://*.example"]
          |            ^^^^^^^^^^^^^^^^^^^ a whole name is wanted
          |
          = help: list the names that you need
    "#);
}

#[test]
fn an_origin_is_what_a_browser_sends() {
    let origins = |text: &str| resolve(text).http.origins;
    assert_eq!(origins("http.origins = ['https://a.example:8443']"), ["https://a.example:8443"]);
    for bad in ["foo", "a.example", "https://a.example/", "https://a.example/page"] {
        let says = broken(&format!("http.origins = ['{bad}']"));
        assert!(says.contains("this is not the origin of a page"), "{bad}: {says}");
    }
}

#[test]
fn a_root_of_the_command_line_is_made_whole() {
    let here = std::env::current_dir().unwrap();
    for (root, whole) in [("src:rw", here.join("src")), ("../stockade", here.clone())] {
        let flags = Flags { roots: vec![root.into()], ..Flags::default() };
        let roots = resolve_for("", &flags).unwrap().roots;
        assert_eq!(roots[0].path, whole.to_str().unwrap());
    }
}

#[test]
fn an_empty_file_is_what_is_built_in() {
    let (empty, none) = (resolve(""), Resolved::new(None, &Flags::default()).unwrap());
    assert_eq!(empty.settings, none.settings);
    assert_eq!(empty.policy.limits, Limits::default());
    assert_eq!(empty.policy.text_bytes_max, Some(Limits::default().text_bytes_max));
    assert_eq!(resolve("preset = 'transparent'").policy.text_bytes_max, None);
}

const WHOLE: &str = r#"
default = "ask"
roots = ["/srv/docs", "/srv/out:rw"]
[limits]
call_timeout_s = 5
[[tools]]
effect = "allow"
tool = ["read_*", "list_*"]
args.path = { in_roots = true }
[[tools]]
effect = "deny"
tool = "*"
server = "git"
[servers.fs]
command = ["mcp-fs"]
env = { LANG = "C" }
roots = ["/srv/fs/:ro"]
[[servers.fs.tools]]
effect = "deny"
tool = "rm"
[servers."a*"]
url = "https://mcp.example/mcp"
[[servers."a*".tools]]
effect = "deny"
tool = "*"
"#;

#[test]
fn every_decision_names_its_line() {
    let arguments = Document::from_value(&json!({"path": "/srv/docs/a"})).unwrap();
    for (server, tool, by) in [
        (None, "read_file", "tools[0] (stockade.toml:6) allows it"),
        (None, "write_file", "default (stockade.toml:2) asks"),
        (Some("fs"), "rm", "servers.fs.tools[0] (stockade.toml:18) denies it"),
        // The roots of this server are others.
        (Some("fs"), "read_file", "default (stockade.toml:2) asks"),
        (Some("a*"), "rm", "servers.a*.tools[0] (stockade.toml:23) denies it"),
        (None, "rm", "default (stockade.toml:2) asks"),
    ] {
        let flags = Flags { server: server.map(str::to_owned), ..Flags::default() };
        let policy = resolve_for(WHOLE, &flags).unwrap().policy;
        let arguments = Some(arguments.root());
        let roots = &policy.roots;
        let call = CallFacts { tool, arguments, client: None, principal: None, roots };
        assert_eq!(policy.call(&call).by.internal, by, "{server:?} {tool}");
    }
}

#[test]
fn every_value_remembers_where_it_came_from() {
    let flags = Flags { server: Some("fs".into()), call_timeout_s: Some(9), ..Flags::default() };
    let (file, flagged) = (resolve(WHOLE), resolve_for(WHOLE, &flags).unwrap());
    assert_eq!(file.place("limits.call_timeout_s"), "stockade.toml:5");
    assert_eq!(file.place("limits.depth_max"), "built in");
    assert_eq!(flagged.place("limits.call_timeout_s"), "--timeout");
    assert_eq!(flagged.policy.limits.call_timeout_s, 9);
    let server = flagged.server.unwrap();
    assert_eq!(server.target, Target::Command(vec!["mcp-fs".into()]));
    assert_eq!(server.origin.place, "stockade.toml:14");
    let roots = |it: &Resolved| -> Vec<_> {
        it.roots.iter().map(|it| (it.path.clone(), it.write, it.origin.place.clone())).collect()
    };
    let place = || "stockade.toml:3".to_owned();
    let two = vec![("/srv/docs".into(), false, place()), ("/srv/out".into(), true, place())];
    assert_eq!(roots(&file), two);
    let flags = Flags { roots: vec!["/tmp/x:rw".into()], ..Flags::default() };
    let named = resolve_for(WHOLE, &flags).unwrap();
    assert_eq!(roots(&named), [("/tmp/x".into(), true, "--root".into())]);
}

/// Where a link leads is looked at where all roots are known; `..` must not hide the link.
#[test]
fn a_root_of_the_command_line_keeps_its_links() {
    use std::os::unix::fs::symlink;
    let top = tempfile::tempdir().unwrap();
    let top = top.path().canonicalize().unwrap();
    for directory in ["rw/data", "other/deep"] {
        std::fs::create_dir_all(top.join(directory)).unwrap();
    }
    symlink(top.join("other/deep"), top.join("rw/link")).unwrap();
    let root = |path: &str| {
        let flags = Flags { roots: vec![top.join(path).display().to_string()], ..Flags::default() };
        let resolved = resolve_for("", &flags).map_err(|it| it.render(false));
        resolved.map(|it| Path::new(&it.roots[0].path).strip_prefix(&top).unwrap().to_owned())
    };
    for (path, whole) in [
        ("rw/link", "rw/link"),
        ("rw/data/../link", "rw/link"),
        ("rw/./data/..", "rw"),
        ("rw/data/../../other", "other"),
        // Another way to the same place, which the link does not decide.
        ("rw/link/../../rw/data", "rw/data"),
    ] {
        assert_eq!(root(path), Ok(whole.into()), "{path}");
    }
    for path in ["rw/link/..", "rw/link/../deep"] {
        let says = root(path).unwrap_err();
        assert!(says.contains("its `..` goes up from a link: it leads to `"), "{path}: {says}");
    }
    assert!(root("rw/none/..").unwrap_err().contains("No such file"));
}

#[test]
fn a_root_may_be_an_address_and_is_written_to_as_a_directory_only() {
    let flags = |roots: &[&str], client: &[&str]| {
        let all = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        Flags { roots: all(roots), client_roots: all(client), ..Flags::default() }
    };
    let text = "roots = ['HTTPS://Docs.Example:443/a', 'db://main', '/srv']\n\
                client_roots = ['*', '/srv/x:rw', 'https://docs.example/']";
    let file = resolve_for(text, &Flags::default()).unwrap();
    assert_eq!(file.policy.roots, ["https://docs.example/a", "db://main", "/srv"]);
    let admitted = |place, write| Admission { place, write };
    let all = [
        admitted(Admitted::Anywhere, false),
        admitted(Admitted::Directory("/srv/x".into()), true),
        admitted(Admitted::Uri("https://docs.example/".into()), false),
    ];
    assert_eq!(file.policy.client_roots, all);
    let confined = file.sandbox.confinement(&file.roots).unwrap().unwrap();
    assert_eq!(confined.network.to_string(), "docs.example:443");
    assert_eq!(confined.roots.len(), 1);
    // What was said about the host holds.
    let pinned = format!("{text}\n[sandbox]\nnet = ['docs.example=10.0.0.5']");
    let pinned = resolve_for(&pinned, &Flags::default()).unwrap();
    let confined = pinned.sandbox.confinement(&pinned.roots).unwrap().unwrap();
    assert_eq!(confined.network.to_string(), "docs.example:443=10.0.0.5");
    let named = resolve_for(text, &flags(&["https://x.example/"], &["*:rw"])).unwrap();
    assert_eq!(named.policy.roots, ["https://x.example/"]);
    assert_eq!(named.policy.client_roots, [admitted(Admitted::Anywhere, true)]);
    for wrong in
        ["https://a@b/", "https://b/../a", "https://b/:rw", "https://b/?q", "https://0.0.0.0/", "x"]
    {
        let text = format!("roots = ['{wrong}']");
        assert!(resolve_for(&text, &Flags::default()).is_err(), "{wrong}");
        let text = format!("client_roots = ['{wrong}']");
        assert!(resolve_for(&text, &Flags::default()).is_err(), "{wrong}");
        if wrong != "x" {
            assert!(resolve_for("", &flags(&[wrong], &[])).is_err(), "{wrong}");
            assert!(resolve_for("", &flags(&[], &[wrong])).is_err(), "{wrong}");
        }
    }
}

#[test]
fn a_flag_has_the_bounds_of_the_file() {
    let flags = Flags { call_timeout_s: Some(0), ..Flags::default() };
    let said = resolve_for(WHOLE, &flags).unwrap_err().render(false);
    assert_eq!(said, "error: `--timeout 0` is out of bounds\nhelp: between 1 and 86400");
    let flags = Flags { roots: vec![String::new()], ..Flags::default() };
    assert!(matches!(resolve_for(WHOLE, &flags), Err(ConfigError::Root { .. })));
}

/// Whatever is written, it is taken or told, and what is told moves no cursor.
#[test]
fn no_file_breaks_the_check() {
    let whole = WHOLE.replace("rm", "löschen");
    let starts = whole.char_indices().map(|(at, _)| at);
    for at in starts {
        let (before, rest) = whole.split_at(at);
        let after: String = rest.chars().skip(1).collect();
        for middle in ["", "\u{1b}[2J", "ß", "\"", "[", "= 1\n", "\\u001b", "\0", "\r"] {
            for text in [format!("{before}{middle}{after}"), format!("{before}{middle}")] {
                if let Err(error) = resolve_for(&text, &Flags::default()) {
                    let said = error.render(false);
                    assert!(!said.contains(['\u{1b}', '\r', '\0']), "{text:?}: {said:?}");
                    assert!(error.to_json().as_array().is_some_and(|it| !it.is_empty()));
                }
            }
        }
    }
}

#[test]
fn a_server_that_is_not_there_names_the_nearest() {
    let flags = Flags { server: Some("fss".into()), ..Flags::default() };
    let error = resolve_for(WHOLE, &flags).unwrap_err();
    let said = error.render(false);
    assert_eq!(said, "error: there is no server `fss` in the policy\nhelp: there is `fs`");
    assert!(resolve_for("", &flags).is_ok(), "a name for the rules only");
}

#[test]
fn only_the_named_file_or_the_users_own_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().to_owned();
    let within =
        |named: Option<&Path>| Search::within(named, Some("relative".into()), Some(home.clone()));
    let own = home.join(".config/stockade/stockade.toml");
    let search = within(None);
    assert_eq!(search, Search::Own(Some(own.clone())));
    assert_eq!(search.read().unwrap(), None);
    let project = home.join("stockade.toml");
    std::fs::write(&project, "preset = 'transparent'").unwrap();
    assert!(search.overlooks(&home).is_some_and(|it| it.contains("--policy")));
    assert_eq!(search.read().unwrap(), None);
    let named = within(Some(&project));
    assert!(named.overlooks(&home).is_none());
    assert!(named.read().unwrap().is_some());
    let homeless = Search::within(None, None, None);
    assert!(homeless.overlooks(&home).is_some_and(|it| it.contains("no policy is read")));
    let missing = within(Some(&home.join("no.toml")));
    assert!(matches!(missing.read(), Err(ConfigError::Read { .. })));
}

#[cfg(unix)]
#[test]
fn a_file_that_everybody_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let search = Search::Named(file.path().to_owned());
    assert!(matches!(search.read(), Err(ConfigError::Writable { .. })));
}
