//! The checks. Each is one file here, one page beside it, and two lines below: its module, which the
//! formatter does not find within a macro, and what is done about it.
//!
//! A check observes. What is done about what it sees is up to the policy.

mod arguments_schema;
mod canary;
mod capability_not_negotiated;
mod command_injection;
mod confusable;
mod contact_sent;
mod context_parameter;
mod control_characters;
mod data_sent;
mod error_detail;
mod header_parameter;
mod header_secret;
mod hidden_unicode;
mod image_with_data;
mod irreversible;
mod link_with_data;
mod links;
mod media_type;
mod mixed_script;
mod observed;
mod output_schema;
mod oversized_content;
mod path_outside_roots;
mod prompt_injection;
mod reply_data;
mod sampling_request;
mod schema_unusable;
mod script_link;
mod secret;
mod secret_question;
mod shell_line;
mod sql_definition;
mod sql_injection;
mod sql_statement;
mod tool_name;
mod tool_poisoning;
mod undeclared_argument;
mod upstream_argument;
mod url_not_public;
mod url_question;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;

pub(crate) use self::observed::observed;
use crate::argument::{Argument, Called};
use crate::finding::{At, Defaults, FINDINGS_MAX, Finding, Findings, Rule, Severity};
use crate::policy::Action;
use crate::subject::{Facts, Subject};

/// Looks at subjects and says what it sees.
pub trait Check: Sync {
    /// The rule it is the eyes of.
    fn rule(&self) -> &'static Rule;

    /// Looks at one string that a person or a model will read, or at a name.
    fn text(&self, _text: Text<'_>, _facts: &Facts<'_>, _out: &mut Findings<'_>) {}

    /// Looks at one text in the arguments of a call, knowing what it is taken for.
    fn argument(&self, _argument: &Argument<'_>, _facts: &Facts<'_>, _out: &mut Findings<'_>) {}

    /// Looks at a subject as a whole.
    fn subject(&self, _subject: Subject<'_>, _facts: &Facts<'_>, _out: &mut Findings<'_>) {}
}

/// Those who look at the same things, one after the other.
trait Eyes {
    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>);
    fn argument(&self, it: &Argument<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>);
    fn text(&self, text: Text<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>);
}

/// Every check: [`ALL`].
struct Every;

impl Eyes for &dyn Check {
    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>) {
        Check::subject(*self, subject, facts, &mut Findings::new(self.rule(), found));
    }

    fn argument(&self, it: &Argument<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>) {
        Check::argument(*self, it, facts, &mut Findings::new(self.rule(), found));
    }

    fn text(&self, text: Text<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>) {
        Check::text(*self, text, facts, &mut Findings::new(self.rule(), found));
    }
}

/// One string of a subject, and what one look at its bytes tells about it. Most text is plain, and a
/// check that knows so has nothing to do.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Where it is.
    pub at: At<'a>,
    /// What it says.
    pub str: &'a str,
    /// The subject it is part of.
    pub subject: Subject<'a>,
    /// Whether all of it is ASCII.
    pub is_ascii: bool,
    /// Whether it has ASCII control characters besides line feeds and tabs.
    pub has_control: bool,
}

impl<'a> Text<'a> {
    fn look(at: At<'a>, str: &'a str, subject: Subject<'a>) -> Self {
        // No early exit and no branches: the compiler makes vector instructions of this.
        let (mut high, mut control) = (0, 0);
        for &byte in str.as_bytes() {
            high |= byte;
            let is_control = (byte < 0x20) & (byte != b'\n') & (byte != b'\t') | (byte == 0x7f);
            control |= u8::from(is_control);
        }
        Self { at, str, subject, is_ascii: high < 0x80, has_control: control != 0 }
    }

    /// Whether it is a name and not a value.
    pub fn is_name(&self) -> bool {
        matches!(self.at, At::Name(_))
    }

    /// The name that it is the value of.
    pub fn label(&self) -> Option<&'a str> {
        match self.at {
            At::Name(_) => None,
            At::Value(it) => it.name(),
        }
    }
}

macro_rules! checks {
    ($($name:ident $severity:ident client: $client:ident server: $server:ident,)*) => {
        mod rules {
            use super::*;
            $(#[allow(non_upper_case_globals, reason = "named after its module")]
            pub(super) static $name: Rule = Rule {
                id: stringify!($name),
                severity: Severity::$severity,
                default: Defaults { from_client: Action::$client, from_server: Action::$server },
                page: include_str!(concat!("check/", stringify!($name), ".md")),
            };)*
        }
        /// Every check.
        pub static ALL: &[&dyn Check] = &[$(&$name::This,)*];

        // Each by its own name: a compiler leaves out those that do not look at such a thing.
        impl Eyes for Every {
            fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>) {
                $($name::This.subject(subject, facts, &mut Findings::new(&rules::$name, found));)*
            }

            fn argument(&self, it: &Argument<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>) {
                $($name::This.argument(it, facts, &mut Findings::new(&rules::$name, found));)*
            }

            fn text(&self, text: Text<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>) {
                $($name::This.text(text, facts, &mut Findings::new(&rules::$name, found));)*
            }
        }
    };
}

checks! {
    hidden_unicode High client: Fix server: Fix,
    control_characters Medium client: Fix server: Fix,
    confusable Medium client: Deny server: Fix,
    mixed_script Low client: Allow server: Allow,
    oversized_content Medium client: Deny server: Fix,
    capability_not_negotiated Medium client: Deny server: Deny,
    error_detail Medium client: Allow server: Fix,
    secret High client: Allow server: Fix,
    schema_unusable Medium client: Deny server: Fix,
    arguments_schema Medium client: Deny server: Deny,
    tool_name High client: Deny server: Deny,
    path_outside_roots High client: Deny server: Allow,
    sql_statement High client: Deny server: Allow,
    sql_definition High client: Ask server: Allow,
    sql_injection High client: Deny server: Allow,
    command_injection High client: Deny server: Allow,
    shell_line High client: Ask server: Allow,
    irreversible High client: Ask server: Allow,
    url_not_public High client: Deny server: Allow,
    upstream_argument High client: Deny server: Allow,
    undeclared_argument Medium client: Deny server: Allow,
    context_parameter Medium client: Allow server: Allow,
    data_sent High client: Deny server: Allow,
    contact_sent Low client: Allow server: Allow,
    header_parameter Medium client: Deny server: Fix,
    header_secret Medium client: Allow server: Allow,
    canary High client: Deny server: Allow,
    tool_poisoning High client: Allow server: Fix,
    prompt_injection High client: Allow server: Fix,
    output_schema Medium client: Allow server: Deny,
    image_with_data High client: Allow server: Fix,
    link_with_data Low client: Allow server: Allow,
    script_link High client: Allow server: Fix,
    media_type High client: Allow server: Fix,
    secret_question High client: Allow server: Deny,
    url_question High client: Allow server: Deny,
    sampling_request High client: Allow server: Fix,
    reply_data High client: Deny server: Allow,
}

/// Stands for a check that failed: a rule that cannot look is a rule that was broken.
pub static BROKEN: Rule = Rule {
    id: "broken_check",
    severity: Severity::High,
    default: Defaults { from_client: Action::Deny, from_server: Action::Deny },
    page: include_str!("check/broken_check.md"),
};

/// Stands for all that was not written down any more.
pub static FLOOD: Rule = Rule {
    id: "too_many_findings",
    severity: Severity::High,
    default: Defaults { from_client: Action::Deny, from_server: Action::Deny },
    page: include_str!("check/too_many_findings.md"),
};

/// Stands for what a tool was seen to do and its server says that it does not. Nobody can see that
/// in a message: see `check/observed.rs`.
pub static OBSERVED: Rule = Rule {
    id: "observed_not_declared",
    severity: Severity::High,
    default: Defaults { from_client: Action::Allow, from_server: Action::Allow },
    page: include_str!("check/observed_not_declared.md"),
};

/// Stands for a call that would say in public what was read before. Nobody can see that in a message:
/// see `session/flow.rs`.
pub static FLOW: Rule = Rule {
    id: "toxic_flow",
    severity: Severity::High,
    default: Defaults { from_client: Action::Allow, from_server: Action::Allow },
    page: include_str!("check/toxic_flow.md"),
};

/// The rule that goes by `id`.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().find(|it| it.id == id)
}

/// Every rule.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    ALL.iter().map(|it| it.rule()).chain([&OBSERVED, &FLOW, &BROKEN, &FLOOD])
}

/// The rule about names that read as those of others.
pub(crate) fn tool_name() -> &'static Rule {
    &rules::tool_name
}

/// The paths in some subjects that are inside the roots by their texts.
pub(crate) fn paths(subjects: &[Subject<'_>], facts: &Facts<'_>) -> BTreeSet<String> {
    path_outside_roots::inside(subjects, facts)
}

/// Whether a name says that its value is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    secret::is_secret_name(name)
}

/// `text` without the secrets in it.
pub fn redacted(text: &str) -> std::borrow::Cow<'_, str> {
    secret::redact(text)
}

/// A value without the secrets in its texts, of which each is read with the name that it stands under,
/// and in its names.
pub fn redacted_value(value: &Value) -> Value {
    within("", value)
}

fn within(name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => secret::redact_named(text, name).into(),
        Value::Array(items) => items.iter().map(|it| within(name, it)).collect(),
        Value::Object(members) => {
            let each =
                members.iter().map(|(name, it)| (redacted(name).into_owned(), within(name, it)));
            each.collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A JSON pointer (RFC 6901) without the secrets in its names. Where a slash is in one, it is written
/// as something else there.
pub fn redacted_pointer(pointer: &str) -> String {
    let step = |it: &str| {
        let name = it.replace("~1", "/").replace("~0", "~");
        redacted(&name).replace('~', "~0").replace('/', "~1")
    };
    pointer.split('/').map(step).collect::<Vec<_>>().join("/")
}

/// The beginning of `text`, without the secrets in it. Cut first, it would keep the beginning of a
/// secret that was cut.
pub fn clipped(text: &str, chars_max: usize) -> String {
    redacted(text).chars().take(chars_max).collect()
}

/// `text` for a terminal: it does nothing there but being read, and hides nothing.
pub fn visible(text: &str) -> String {
    text.chars().map(|it| if is_seen(it) { it } else { '\u{fffd}' }).collect()
}

/// A text in JSON, in which what does not show itself is written as what it is: a terminal obeys
/// some of it, and direction overrides have a reader see another text. It means the same.
pub fn escaped(json: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(json.len());
    for it in json.chars() {
        if is_seen(it) || it == '\n' {
            out.push(it);
            continue;
        }
        for unit in it.encode_utf16(&mut [0; 2]) {
            let _infallible = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// Names one after the other in a line: what could be taken for more than one, or for words of whoever
/// lists them, is in quotation marks.
pub fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

fn quoted(name: &str) -> String {
    let is_plain = |it: char| !it.is_whitespace() && !matches!(it, ',' | ';' | '"');
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    let escaped = name.chars().flat_map(|it| {
        let special = matches!(it, '"' | '\\');
        special.then_some('\\').into_iter().chain([it])
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Whether nobody sees a character.
pub(crate) fn is_ignorable(it: char) -> bool {
    hidden_unicode::is_ignorable(it)
}

/// Whether a character only shows.
pub(crate) fn is_seen(it: char) -> bool {
    !it.is_control() && !matches!(it, '\u{2028}' | '\u{2029}') && !hidden_unicode::is_ignorable(it)
}

/// Runs every check over some subjects.
pub fn run<'a>(subjects: &[Subject<'a>], facts: &Facts<'_>) -> Vec<Finding> {
    run_all(&Every, ALL, subjects, facts)
}

/// What `eyes` see, which are those of `checks`.
fn run_all(
    eyes: &impl Eyes,
    checks: &[&dyn Check],
    subjects: &[Subject<'_>],
    facts: &Facts<'_>,
) -> Vec<Finding> {
    let mut found = match look(eyes, subjects, facts) {
        Some(found) => found,
        // Some check failed. Which one is known when each looks alone.
        None => checks.iter().flat_map(|it| look_alone(*it, subjects, facts)).collect(),
    };
    if let Some(first) = subjects.first()
        && found.len() >= FINDINGS_MAX
    {
        found.truncate(FINDINGS_MAX - 1);
        let says = format!("{FINDINGS_MAX} findings or more");
        Findings::new(&FLOOD, &mut found).add(At::Value(first.json), says);
    }
    found
}

fn look_alone(check: &dyn Check, subjects: &[Subject<'_>], facts: &Facts<'_>) -> Vec<Finding> {
    look(&check, subjects, facts).unwrap_or_else(|| {
        let mut found = Vec::new();
        if let Some(first) = subjects.first() {
            Findings::new(&BROKEN, &mut found).add(At::Value(first.json), check.rule().id);
        }
        found
    })
}

/// Shows every subject and every text in them. Nothing, when who looks fails.
fn look(eyes: &impl Eyes, subjects: &[Subject<'_>], facts: &Facts<'_>) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        for subject in subjects {
            eyes.subject(*subject, facts, &mut found);
            if let Some(call) = Called::of(*subject, facts) {
                call.each(&mut |it| eyes.argument(it, facts, &mut found));
            }
            subject.each_text(&mut |at, text| {
                eyes.text(Text::look(at, text, *subject), facts, &mut found);
            });
        }
    }));
    ran.is_ok().then_some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::argument::{Kind, Kinds};
    use crate::canary::Canaries;
    use crate::catalog::Definition;
    use crate::json::{Document, Json};
    use crate::message::Side;
    use crate::policy::{
        Commands, InputRule, InputRules, Pattern, Permitted, Reading, Sampling, Sql,
    };
    use crate::subject::{Capabilities, Channel};

    /// A rule's page holds its tests: blocks under "Fires" and "Quiet", of JSON of some subject.
    #[test]
    fn pages() {
        for check in ALL {
            let rule = check.rule();
            let (_, examples) = rule.page.split_once("## Fires").expect(rule.id);
            let (fires, quiet) = examples.split_once("## Quiet").expect(rule.id);
            for (part, expected) in [(fires, true), (quiet, false)] {
                let blocks: Vec<&str> = part.split("```").skip(1).step_by(2).collect();
                assert!(!blocks.is_empty(), "{}: no examples", rule.id);
                for block in blocks {
                    let found = example(block);
                    let fired = found.iter().any(|it| it.rule == rule);
                    assert_eq!(fired, expected, "{}: {block} {found:?}", rule.id);
                }
            }
        }
    }

    /// What a page says about a rule is in the same places for each.
    #[test]
    fn pages_say_what_is_done() {
        for rule in rules() {
            assert!(rule.page.starts_with("# "), "{}", rule.id);
            assert!(rule.page.contains(&format!("{} = \"", rule.id)), "{}", rule.id);
            for (side, action) in
                [("client", rule.default.from_client), ("server", rule.default.from_server)]
            {
                let name = format!("{action:?}").to_lowercase();
                let line = format!("from a {side}: {name}");
                assert!(rule.page.contains(&line), "{}: {line}", rule.id);
            }
        }
    }

    /// A block's first line is the kind of its subject. `json with` has facts beside the subject:
    /// `{ "with": { … }, "call": { … } }`.
    fn example(block: &str) -> Vec<Finding> {
        let (kind, json) = block.split_once('\n').unwrap();
        let value: Value = serde_json::from_str(json).expect(json);
        match kind.strip_prefix("json ").unwrap() {
            "with" => {
                let mut parts = value.as_object().unwrap().clone();
                let with = parts.remove("with").unwrap();
                assert_eq!(parts.len(), 1, "{block}");
                let (kind, value) = parts.into_iter().next().unwrap();
                look_at(&kind, &value, &with)
            }
            kind => look_at(kind, &value, &json!({})),
        }
    }

    fn look_at(kind: &str, value: &Value, with: &Value) -> Vec<Finding> {
        let (channel, from) = match kind {
            "call" => (Channel::Call, Side::Client),
            "argument" => (Channel::Argument, Side::Client),
            "uri" => (Channel::Uri, Side::Client),
            "reply" => (Channel::Reply, Side::Client),
            "tool" => (Channel::Tool, Side::Server),
            "prompt" => (Channel::Prompt, Side::Server),
            "resource" => (Channel::Resource, Side::Server),
            "instructions" => (Channel::Instructions, Side::Server),
            "content" => (Channel::Content, Side::Server),
            "sampling" => (Channel::Sampling, Side::Server),
            "elicitation" => (Channel::Elicitation, Side::Server),
            "roots" => (Channel::Roots, Side::Server),
            "log" => (Channel::Log, Side::Server),
            "progress" => (Channel::Progress, Side::Server),
            "error" => (Channel::Error, Side::Server),
            "other" => (Channel::Other, Side::Server),
            "structured" => (Channel::Content, Side::Server),
            "task" => (Channel::Task, Side::Server),
            kind => panic!("unknown subject {kind}"),
        };
        let document = Document::from_value(value).unwrap();
        let json = document.root();
        let json = if kind == "structured" { json.get("structuredContent").unwrap() } else { json };
        let with = Document::from_value(with).unwrap();
        let tool = with.root().get("tool").and_then(|it| it.get("name")).and_then(Json::str);
        let tool = tool.unwrap_or("example");
        let subject = Subject { channel, json, tool: Some(tool) };
        let roots: Vec<String> = with.root().get("roots").map_or_else(Vec::new, |it| {
            it.items().map(|it| it.str().unwrap().to_owned()).collect()
        });
        let definition = with.root().get("tool").map(|it| Definition::read(it).unwrap());
        let limit = with.root().get("text_bytes_max").and_then(crate::json::Json::i64);
        let canaries = with.root().get("canaries").into_iter().flat_map(Json::items);
        let canaries = canaries.map(|it| ("a canary".to_owned(), it.str().unwrap().to_owned()));
        let canaries = Canaries::new(canaries);
        let said = input_rules(with.root());
        let inputs = said.about("", tool);
        let facts = Facts {
            canaries: &[&canaries],
            inputs: &inputs,
            reference: "r-1",
            definition: definition.as_ref(),
            reads_as: with.root().get("reads_as").and_then(crate::json::Json::str),
            client_can: Capabilities::read(with.root().get("client_can")),
            sampling: &sampling(with.root()),
            roots: &roots,
            text_bytes_max: limit.map_or(usize::MAX, |it| usize::try_from(it).unwrap()),
            ..Facts::alone(from)
        };
        run(&[subject], &facts)
    }

    /// What a policy says of questions to a model: `sampling`, as in the file.
    fn sampling(with: crate::json::Json<'_>) -> Sampling {
        let said = |name| with.get("sampling").and_then(|it| it.get(name));
        let is = |name| said(name).and_then(crate::json::Json::bool).unwrap_or_default();
        let models = said("models").map(|it| {
            it.items().map(|it| Pattern::parse(it.str().unwrap(), Reading::Narrow).unwrap())
        });
        let most = said("max_tokens").and_then(crate::json::Json::i64);
        let usual = Sampling::default();
        Sampling {
            tools: is("tools"),
            include_context: is("include_context"),
            max_tokens: most.map_or(usual.max_tokens, |it| it.try_into().unwrap()),
            models: models.map(Iterator::collect),
            ..usual
        }
    }

    /// What a policy says of arguments: `arguments` and `hosts`, as in the file.
    fn input_rules(with: crate::json::Json<'_>) -> InputRules {
        let any = Pattern::parse("*", Reading::Wide).unwrap();
        let hosts = with.get("hosts").into_iter().flat_map(|it| it.items());
        let hosts = hosts.map(|it| Permitted::parse(it.str().unwrap()).unwrap()).collect();
        let Some(said) = with.get("arguments") else {
            return InputRules { rules: Vec::new(), hosts };
        };
        let text = |name| said.get(name).and_then(crate::json::Json::str);
        let kinds = said.get("kinds").into_iter().flat_map(|it| it.fields());
        let kinds = kinds.map(|(name, it)| {
            let kind = Kind::ALL.iter().find(|(known, _)| Some(*known) == it.str());
            (name.to_owned(), kind.map_or(Kinds::PLAIN, |(_, it)| (*it).into()))
        });
        let rule = InputRule {
            origin: crate::policy::Origin::built_in("arguments"),
            servers: vec![any.clone()],
            tools: vec![any],
            kinds: kinds.collect(),
            sql: text("sql").map(|it| Sql::ALL.iter().find(|(name, _)| *name == it).unwrap().1),
            dialect: None,
            commands: text("commands")
                .map(|it| Commands::ALL.iter().find(|(name, _)| *name == it).unwrap().1),
            strict: said.get("strict").and_then(crate::json::Json::bool).unwrap_or_default(),
        };
        InputRules { rules: vec![rule], hosts }
    }

    impl Eyes for [&dyn Check; 2] {
        fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>) {
            self.iter().for_each(|eyes| eyes.subject(subject, facts, found));
        }
        fn argument(&self, it: &Argument<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>) {
            self.iter().for_each(|eyes| eyes.argument(it, facts, found));
        }
        fn text(&self, text: Text<'_>, facts: &Facts<'_>, found: &mut Vec<Finding>) {
            self.iter().for_each(|eyes| eyes.text(text, facts, found));
        }
    }

    struct Fails;
    impl Check for Fails {
        fn rule(&self) -> &'static Rule {
            &rules::hidden_unicode
        }
        fn text(&self, _: Text<'_>, _: &Facts<'_>, _: &mut Findings<'_>) {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_check_that_fails_is_a_finding_and_the_others_are_heard() {
        let document = Document::from_value(&json!(["a\u{200b}b"])).unwrap();
        let subject = Subject { channel: Channel::Other, json: document.root(), tool: None };
        let checks: [&dyn Check; 2] = [&Fails, &hidden_unicode::This];
        let found = run_all(&checks, &checks, &[subject], &Facts::alone(Side::Server));
        let ids: Vec<_> = found.iter().map(|it| it.rule.id).collect();
        assert_eq!(ids, ["broken_check", "hidden_unicode"]);
    }

    #[test]
    fn a_flood_of_findings_is_one() {
        let many = vec!["a\u{200b}b"; FINDINGS_MAX * 2];
        let document = Document::from_value(&json!(many)).unwrap();
        let subject = Subject { channel: Channel::Other, json: document.root(), tool: None };
        let found = run(&[subject], &Facts::alone(Side::Server));
        assert_eq!(found.len(), FINDINGS_MAX);
        assert_eq!(found.last().unwrap().rule, &FLOOD);
    }
}
