//! From what a session needs to the text of a policy: the one in force, with its own words, narrowed.
//! Nothing that it denies or asks about is opened, since those rules stay as they are.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use stockade_core::check::visible;
use stockade_core::policy::{CallFacts, Effect, Outcome};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value, value};

use super::profile::Profile;
use super::session::Session;
use crate::config::Resolved;

/// The text of the policy.
pub(super) fn propose(session: &Session, profile: &Profile, in_force: &Resolved) -> String {
    let text = in_force.source.as_ref().map(|it| it.text.as_ref()).unwrap_or_default();
    // It was read as a policy before, which is more than that it is TOML.
    let mut policy = text.parse::<DocumentMut>().unwrap_or_default();
    let mut notes = Vec::new();
    if in_force.server.is_some() {
        alone(&mut policy, &session.server, &mut notes);
    }
    roots(&mut policy, session, profile, in_force, &mut notes);
    sandbox(&mut policy, profile, in_force);
    tools(&mut policy, session, in_force);
    notes.extend(profile.left.iter().map(|it| format!("Not in it: {it}.")));
    if session.more > 0 {
        notes.push(format!(
            "{} things more were touched and not kept by name: this may be too little, or a root \
             whole because of them.",
            session.more
        ));
    }
    notes.extend(session.refused.iter().map(|it| format!("Refused, and not in it: {it}")));
    let mut said = format!(
        "# Proposed by `stockade policy learn` from the session {} with `{}`. Names that were only\n\
         # looked at, and not opened, were not seen.\n",
        visible(&session.name),
        visible(&session.server)
    );
    let policy = policy.to_string();
    said.push_str(policy.trim_start_matches('\n'));
    if !said.ends_with('\n') {
        said.push('\n');
    }
    if !notes.is_empty() {
        said.push('\n');
    }
    for note in notes {
        // What was touched has the names that the server gave it, with line ends if it likes.
        let _infallible = writeln!(said, "# {}", visible(&note));
    }
    said
}

/// A session was with one server: of the others nothing was learnt.
fn alone(policy: &mut DocumentMut, server: &str, notes: &mut Vec<String>) {
    let Some(servers) = policy.get_mut("servers").and_then(Item::as_table_like_mut) else { return };
    let others: Vec<String> =
        servers.iter().map(|(name, _)| name.to_owned()).filter(|it| it != server).collect();
    for other in others {
        servers.remove(&other);
        notes.push(format!("Not in it: the server `{other}`, which the session was not with."));
    }
}

fn roots(
    policy: &mut DocumentMut,
    session: &Session,
    profile: &Profile,
    in_force: &Resolved,
    notes: &mut Vec<String>,
) {
    let mut roots = profile.roots.clone();
    if roots.is_empty() {
        // Without any, nothing would bound the arguments of calls: that is not less.
        roots = session.roots.iter().map(|(path, _)| (path.clone(), false)).collect();
        if !roots.is_empty() {
            notes.push(
                "Nothing in the roots was touched; without any, arguments would be about \
                        anything, so they are kept, to be read."
                    .to_owned(),
            );
        }
    }
    if roots.is_empty() {
        return;
    }
    for (path, writes) in &roots {
        let given = in_force.roots.iter().any(|it| {
            let real = Path::new(&it.path).canonicalize();
            let at = real.as_deref().unwrap_or(Path::new(&it.path));
            (it.write || !writes) && path.starts_with(at)
        });
        if !given && !in_force.roots.is_empty() {
            let path = path.display();
            notes.push(format!(
                "More than the policy in force gives: {path}, of the command line or the client."
            ));
        }
    }
    let mode = |writes: bool| if writes { "rw" } else { "ro" };
    let list = roots.iter().map(|(path, writes)| format!("{}:{}", path.display(), mode(*writes)));
    // Addresses are never seen by a trace, and without them nothing would bound those in arguments.
    let uris = in_force.roots.iter().filter(|it| it.is_uri()).map(|it| it.path.clone());
    let list: Array = list.chain(uris).collect();
    // Those of a server stand for those of all.
    match own(policy, in_force).filter(|it| it.contains_key("roots")) {
        Some(own) => put(own, "roots", list),
        None => put(policy.as_table_mut(), "roots", list),
    }
}

/// Puts a value where one was, with the comment that is beside it, or where none was.
fn put(table: &mut dyn TableLike, key: &str, to: impl Into<Value>) {
    let mut to = to.into();
    if let Some(before) = table.get(key).and_then(Item::as_value) {
        *to.decor_mut() = before.decor().clone();
    }
    table.insert(key, Item::Value(to));
}

/// The table of the server, if the policy has one.
fn own<'d>(policy: &'d mut DocumentMut, in_force: &Resolved) -> Option<&'d mut dyn TableLike> {
    let name = &in_force.server.as_ref()?.name;
    policy.get_mut("servers")?.get_mut(name.as_str())?.as_table_like_mut()
}

/// The sandbox of the session, which is the only one that something was learnt in.
fn sandbox(policy: &mut DocumentMut, profile: &Profile, in_force: &Resolved) {
    let narrow = |sandbox: &mut dyn TableLike| {
        if sandbox.get("backend").and_then(Item::as_str) == Some("none") {
            put(sandbox, "backend", "native");
        }
        sandbox.remove("programs");
        sandbox.remove("net");
    };
    policy.get_mut("sandbox").and_then(Item::as_table_like_mut).map(narrow);
    let own = own(policy, in_force).and_then(|it| it.get_mut("sandbox"));
    own.and_then(Item::as_table_like_mut).map(narrow);
    let programs: Array = profile.programs.iter().map(|it| it.display().to_string()).collect();
    let net: Array = profile.net.iter().map(String::as_str).collect();
    for (key, list) in [("programs", programs), ("net", net)] {
        if list.is_empty() {
            continue;
        }
        let sandbox = policy.entry("sandbox").or_insert_with(|| Item::Table(Table::new()));
        if let Some(sandbox) = sandbox.as_table_like_mut() {
            put(sandbox, key, list);
        }
    }
}

/// What is allowed becomes what was called; what is denied or asked about stays so.
fn tools(policy: &mut DocumentMut, session: &Session, in_force: &Resolved) {
    let mut left: BTreeSet<&str> = session.tools.iter().map(String::as_str).collect();
    narrow(policy.as_table_mut(), "tools", session, in_force, &mut left);
    if let Some(own) = own(policy, in_force) {
        let prefix = format!("servers.{}.tools", session.server);
        narrow(own, &prefix, session, in_force, &mut left);
    }
    // What no rule allows was allowed by the default, or by what holds without any rule.
    if in_force.policy.tools.default == Effect::Allow && !left.is_empty() {
        let mut rule = Table::new();
        rule.insert("effect", value("allow"));
        rule.insert("tool", value(left.iter().map(|it| literal(it)).collect::<Array>()));
        let none = || Item::ArrayOfTables(ArrayOfTables::new());
        let rules = policy.entry("tools").or_insert_with(none);
        if let Some(rules) = rules.as_array_of_tables_mut() {
            rules.push(rule);
        }
    }
    put(policy.as_table_mut(), "default", "deny");
}

/// Has each rule that allows be about the tools that were called, and takes those away for which
/// there are none.
fn narrow(
    table: &mut dyn TableLike,
    prefix: &str,
    session: &Session,
    in_force: &Resolved,
    left: &mut BTreeSet<&str>,
) {
    let Some(Ok(mut rules)) = table.remove("tools").map(Item::into_array_of_tables) else { return };
    let mut unused = Vec::new();
    for (place, rule) in rules.iter_mut().enumerate() {
        if rule.get("effect").and_then(Item::as_str) != Some("allow") {
            continue;
        }
        let id = format!("{prefix}[{place}]");
        let is_about = |tool: &&String| {
            let call = CallFacts {
                tool: tool.as_str(),
                arguments: None,
                client: None,
                principal: None,
                roots: &[],
            };
            in_force.policy.weigh(&call).any(|(rule, outcome)| {
                let elsewhere = matches!(outcome, Outcome::OtherServer | Outcome::OtherTool);
                rule.origin.id == id && !elsewhere
            })
        };
        let called: Vec<&String> = session.tools.iter().filter(is_about).collect();
        for tool in &called {
            left.remove(tool.as_str());
        }
        if called.is_empty() {
            unused.push(place);
        } else {
            put(rule, "tool", called.iter().map(|it| literal(it)).collect::<Array>());
        }
    }
    for place in unused.into_iter().rev() {
        rules.remove(place);
    }
    if !rules.is_empty() {
        table.insert("tools", Item::ArrayOfTables(rules));
    }
}

/// A glob that is this name and no other.
fn literal(name: &str) -> String {
    let escaped = name.chars().flat_map(|it| {
        let special = matches!(it, '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!');
        special.then_some('\\').into_iter().chain([it])
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Source};

    fn in_force(text: &str, server: Option<&str>) -> Resolved {
        let source = Source { path: "in force".into(), text: text.into() };
        let flags = Flags { server: server.map(str::to_owned), ..Flags::default() };
        Resolved::new((!text.is_empty()).then_some(source), &flags).unwrap()
    }

    fn session() -> Session {
        Session {
            name: "s1".into(),
            server: "files".into(),
            tools: ["read_file".into(), "odd[*]".into()].into(),
            ..Session::default()
        }
    }

    fn profile() -> Profile {
        Profile { roots: vec![("/srv/a".into(), true)], ..Profile::default() }
    }

    /// What is proposed, which is a policy, and without its first two lines.
    fn proposed(text: &str, server: Option<&str>) -> String {
        let said = propose(&session(), &profile(), &in_force(text, server));
        let policy = in_force(&said, server).policy;
        for tool in ["read_file", "odd[*]", "odd*", "write_file", "rm"] {
            let call =
                CallFacts { tool, arguments: None, client: None, principal: None, roots: &[] };
            let before = in_force(text, server).policy.call(&call).verdict.name();
            let after = policy.call(&call).verdict.name();
            assert!(after == before || after == "deny", "{tool}: {before}, then {after}: {said}");
        }
        said.lines().skip(2).map(|it| format!("{it}\n")).collect()
    }

    #[test]
    fn without_a_policy_what_was_called_is_allowed() {
        insta::assert_snapshot!(proposed("", None), @r#"
        roots = ["/srv/a:rw"]
        default = "deny"

        [[tools]]
        effect = "allow"
        tool = ['odd\[\*\]', "read_file"]
        "#);
    }

    #[test]
    fn rules_that_allow_are_narrowed_and_all_others_stay() {
        let text = "# mine\ndefault = \"ask\"\nroots = [\"/srv\"] # all\n[[tools]]\neffect = \
            \"allow\" # why\ntool = \"read_*\"\nwhen = \"true\"\n[[tools]]\neffect = \"allow\"\n\
            tool = [\"write_*\"]\n[[tools]]\neffect = \"deny\"\ntool = \"rm*\"\n";
        insta::assert_snapshot!(proposed(text, None), @r#"
        default = "deny"
        roots = ["/srv/a:rw"] # all
        [[tools]]
        effect = "allow" # why
        tool = ["read_file"]
        when = "true"
        [[tools]]
        effect = "deny"
        tool = "rm*"

        # More than the policy in force gives: /srv/a, of the command line or the client.
        "#);
    }

    #[test]
    fn a_policy_of_many_servers_becomes_that_of_one() {
        let text = "default = \"allow\"\nroots = [\"/srv\"]\n[sandbox]\nbackend = \"none\"\n\
            [servers.files]\ncommand = [\"a\"]\nroots = [\"/srv/a:rw\"]\n[[servers.files.tools]]\n\
            effect = \"allow\"\ntool = \"*\"\n[servers.other]\nurl = \"https://a.example/\"\n";
        insta::assert_snapshot!(proposed(text, Some("files")), @r#"
        default = "deny"
        roots = ["/srv"]
        [sandbox]
        backend = "native"
        [servers.files]
        command = ["a"]
        roots = ["/srv/a:rw"]
        [[servers.files.tools]]
        effect = "allow"
        tool = ['odd\[\*\]', "read_file"]

        # Not in it: the server `other`, which the session was not with.
        "#);
    }

    #[test]
    fn what_was_refused_or_left_is_said_and_cannot_become_more_than_a_comment() {
        let session =
            Session { refused: ["read /a\nroots = [\"/\"]".into()].into(), more: 3, ..session() };
        let left = ["/x\u{2028}y is in no root", "192.0.2.1:80 was reached"];
        let net = ["a.example:443".to_owned()].into();
        let profile = Profile { left: left.map(str::to_owned).into(), net, ..profile() };
        let said = propose(&session, &profile, &in_force("", None));
        assert_eq!(in_force(&said, None).roots.len(), 1, "{said}");
        assert_eq!(in_force(&said, None).sandbox.network.to_string(), "a.example:443");
        let notes: Vec<&str> = said.lines().filter(|it| it.starts_with("# ")).collect();
        assert_eq!(notes.len(), 6, "{said}");
        assert!(notes[5].starts_with("# Refused, and not in it: read /a"), "{said}");
    }

    #[test]
    fn untouched_roots_still_bound_arguments() {
        let session = Session { roots: vec![("/srv".into(), true)], ..session() };
        let said = propose(&session, &Profile::default(), &in_force("", None));
        let roots = in_force(&said, None).roots;
        assert_eq!((roots[0].path.as_str(), roots[0].write), ("/srv", false));
    }
}
