//! The calls of one tool: one case after the other, and where one has come to what it should not, the
//! same again with less, until nothing can be left out.

use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use stockade_core::record::Kind;

use super::cases::{MADE, arguments};
use crate::cli::asked::Seen;
use crate::cli::test::expect::Came;
use crate::cli::test::file::{Outcome, Severity};

/// How often a case is made smaller.
const STEPS_MAX: u32 = 200;

/// A tool that has hung so often is called no more: each time takes all the time that there is.
const HANGS_MAX: u32 = 6;

/// The first line of a file that every system has.
const PASSWD: &str = "root:x:0:0:";

/// Rules that say of an answer that it gives away what it should not.
const LEAKS: [&str; 3] = ["secret", "error_detail", "canary"];

/// What is shorter is in an answer by chance, in bytes.
const QUOTED_MIN: usize = 4;

/// The rule by which arguments are held against the schema of their tool.
const SCHEMA: &str = "arguments_schema";

/// What should never come of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server ended.
    Crash,
    /// It did not answer in time.
    Hang,
    /// The answer breaks the protocol.
    Violation,
    /// The result does not match what the server says of it.
    OutputSchema,
    /// The answer has in it what this rule finds.
    Leak(&'static str),
    /// What was an argument was run, or read as a template or a statement.
    Interpreted,
    /// A file was read that is in no root.
    Outside,
    /// What the schema forbids was taken.
    Accepted,
}

impl Trouble {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Violation => "violation",
            Self::OutputSchema => "output-schema",
            Self::Leak(_) => "leak",
            Self::Interpreted => "interpreted",
            Self::Outside => "outside",
            Self::Accepted => "accepted",
        }
    }

    pub(super) fn severity(&self) -> Severity {
        match self {
            Self::Accepted => Severity::Warning,
            Self::Crash
            | Self::Hang
            | Self::Violation
            | Self::OutputSchema
            | Self::Leak(_)
            | Self::Interpreted
            | Self::Outside => Severity::Error,
        }
    }

    fn says(&self, came: &Came) -> String {
        let why = if came.why.is_empty() { String::new() } else { format!(": {}", came.why) };
        match self {
            Self::Crash => format!("the server ended{why}"),
            Self::Hang => format!("it did not answer in time{why}"),
            Self::Violation => format!("its answer breaks the protocol{why}"),
            Self::OutputSchema => "its result does not match its `outputSchema`".to_owned(),
            Self::Leak(rule) => {
                let found = came.records.iter().flat_map(|it| &it.findings);
                let says = found.filter(|it| it.rule == *rule).map(|it| it.says.as_str()).next();
                format!("its answer has what `{rule}` finds: {}", says.unwrap_or_default())
            }
            Self::Interpreted => "it makes of an argument what only an interpreter does".to_owned(),
            Self::Outside => "it reads /etc/passwd".to_owned(),
            Self::Accepted => "it takes what its schema forbids".to_owned(),
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug)]
pub(super) struct Find {
    pub(super) trouble: Trouble,
    pub(super) says: String,
    /// The smallest arguments that do it.
    pub(super) arguments: Value,
}

/// The calls of a tool.
pub(super) struct Hunt {
    strategy: BoxedStrategy<Value>,
    runner: TestRunner,
    tree: Option<Box<dyn ValueTree<Value = Value>>>,
    /// What is being made smaller, and how often it was.
    smaller: Option<(Find, u32)>,
    left: u32,
    calls: u32,
    hangs: u32,
    found: Vec<Find>,
}

impl Hunt {
    pub(super) fn new(name: &str, schema: &Value, cases: u32, seed: u64) -> Self {
        // Each tool has cases of its own, whatever other tools there are.
        let seed = blake3::derive_key("stockade test fuzz", format!("{seed} {name}").as_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let runner = TestRunner::new_with_rng(Config::default(), rng);
        let (tree, smaller, found) = (None, None, Vec::new());
        let strategy = arguments(schema);
        Self { strategy, runner, tree, smaller, left: cases, calls: 0, hangs: 0, found }
    }

    /// The next arguments; nothing, when it was enough.
    pub(super) fn next(&mut self) -> Option<Value> {
        if self.hangs >= HANGS_MAX {
            self.left = 0;
            self.found.extend(self.smaller.take().map(|(find, _)| find));
        }
        if self.smaller.is_none() {
            self.left = self.left.checked_sub(1)?;
            // A schema may have no value that is made here.
            self.tree = self.strategy.new_tree(&mut self.runner).ok();
        }
        self.calls += 1;
        self.tree.as_ref().map(|it| it.current())
    }

    pub(super) fn is_over(&self) -> bool {
        self.left == 0 && self.smaller.is_none()
    }

    /// What came of the last arguments.
    pub(super) fn came(&mut self, came: &Came) {
        self.hangs += u32::from(came.outcome == Outcome::Timeout);
        let Some(tree) = self.tree.as_mut() else { return };
        let arguments = tree.current();
        let troubles = troubles(came, &arguments);
        let (find, steps, more) = match self.smaller.take() {
            Some((mut find, steps)) => {
                let more = match troubles.contains(&find.trouble) {
                    true => {
                        find.says = find.trouble.says(came);
                        find.arguments = arguments;
                        tree.simplify()
                    }
                    false => tree.complicate(),
                };
                (find, steps + 1, more)
            }
            None => {
                let is_known = |it: &Trouble| self.found.iter().any(|known| known.trouble == *it);
                let Some(trouble) = troubles.into_iter().find(|it| !is_known(it)) else { return };
                let says = trouble.says(came);
                (Find { trouble, says, arguments }, 0, tree.simplify())
            }
        };
        match more && steps < STEPS_MAX {
            true => self.smaller = Some((find, steps)),
            false => self.found.push(find),
        }
    }

    /// The server has ended by itself, and so.
    pub(super) fn left(&mut self, how: &str) {
        let smaller = self.smaller.as_mut().map(|(find, _)| find);
        let last = smaller.or_else(|| self.found.last_mut());
        if let Some(find) = last.filter(|it| it.trouble == Trouble::Crash) {
            find.says = format!("the server ended: {how}");
        }
    }

    /// How many calls there were, and what was found.
    pub(super) fn end(mut self) -> (u32, Vec<Find>) {
        self.found.extend(self.smaller.map(|(find, _)| find));
        (self.calls, self.found)
    }
}

/// What of that should not come of a call.
fn troubles(came: &Came, arguments: &Value) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    match came.outcome {
        Outcome::Lost => troubles.push(Trouble::Crash),
        Outcome::Timeout => troubles.push(Trouble::Hang),
        Outcome::Violation => troubles.push(Trouble::Violation),
        Outcome::Result
        | Outcome::ToolError
        | Outcome::Error
        | Outcome::Denied
        | Outcome::Question => {}
    }
    let seen = Seen { records: &came.records, method: "tools/call" };
    if seen.is_of_another_schema() {
        troubles.push(Trouble::OutputSchema);
    }
    let answer = came.answer.to_string();
    if answer.contains(PASSWD) {
        troubles.push(Trouble::Outside);
    }
    if answer.contains(MADE) {
        troubles.push(Trouble::Interpreted);
    }
    let answers = came.records.iter().filter(|it| it.kind == Kind::Outcome);
    let found: Vec<&str> = answers.flat_map(|it| &it.findings).map(|it| it.rule).collect();
    // A path that was an argument, in an error that quotes it, is no path of the server's.
    let is_quoted = texts(arguments).iter().any(|it| {
        it.len() >= QUOTED_MIN && texts(&came.answer).iter().any(|answer| answer.contains(it))
    });
    let leaks = LEAKS.into_iter().filter(|it| !is_quoted && found.contains(it));
    troubles.extend(leaks.map(Trouble::Leak));
    if came.outcome == Outcome::Result && seen.findings().any(|it| it.rule == SCHEMA) {
        troubles.push(Trouble::Accepted);
    }
    troubles
}

/// The texts in a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
