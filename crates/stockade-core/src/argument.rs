//! What the arguments of a tool are: paths, URLs, SQL, command lines. A schema says `string` of all of
//! them, so it is inferred, from the schema's format and pattern, the name and the description, once
//! for each definition of a tool; and a policy may say otherwise. Of a tool that was never listed, the
//! names alone tell.
//!
//! What an argument is taken for widens nothing: it says which rules look at it.

mod infer;
mod place;
mod statements;
mod traits;

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::check;
use crate::finding::At;
use crate::json::Json;
use crate::policy::input::Inputs;
use crate::role::Roles;
use crate::subject::{Channel, Facts, Subject};

pub(crate) use infer::{is_ambiguous, last_word};
pub(crate) use place::Place;
pub(crate) use statements::Read;
pub use traits::Traits;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A path, or a list of them.
    Path,
    /// A URL that is fetched.
    Url,
    /// A URL or a host that decides whom a server talks to for everything else.
    Upstream,
    /// A statement for a database.
    Sql,
    /// A line for a shell, or its words.
    Command,
    /// Words of a command line.
    Words,
    /// One word that ends up on a command line: a branch, a host.
    Word,
    /// An e-mail address.
    Email,
    /// A password, a key or a token.
    Secret,
}

impl Kind {
    /// Every kind, by the names that a policy has for them.
    pub const ALL: &[(&str, Self)] = &[
        ("path", Self::Path),
        ("url", Self::Url),
        ("upstream", Self::Upstream),
        ("sql", Self::Sql),
        ("command", Self::Command),
        ("words", Self::Words),
        ("word", Self::Word),
        ("email", Self::Email),
        ("secret", Self::Secret),
    ];
}

/// What an argument is: nothing in particular, one thing, or several ("a path or a URL").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    /// Nothing in particular.
    pub const PLAIN: Self = Self(0);

    /// Whether this is among them.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// Whether it is nothing in particular.
    pub fn is_plain(self) -> bool {
        self == Self::PLAIN
    }

    /// These, and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        Self(1 << kind as u16)
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Kind::ALL.iter().filter(|(_, it)| self.has(*it)).map(|(name, _)| *name);
        let names: Vec<&str> = names.collect();
        out.write_str(if names.is_empty() { "plain" } else { "" })?;
        out.write_str(&names.join(" or "))
    }
}

/// Why an argument is taken for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A policy says so.
    Policy,
    /// Its schema has a `format`.
    Format,
    /// Its schema has a `pattern`.
    Pattern,
    /// What it is called.
    Name,
    /// What its tool is called, or said to do.
    Tool,
    /// How it is described.
    Description,
    /// What it looks like.
    Looks,
    /// Nothing says anything of it.
    Nothing,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Policy => "by the policy",
            Self::Format => "by its format",
            Self::Pattern => "by its pattern",
            Self::Name => "by its name",
            Self::Tool => "by its tool",
            Self::Description => "by its description",
            Self::Looks => "by its looks",
            Self::Nothing => "by nothing",
        })
    }
}

/// What is known of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What it is.
    pub kinds: Kinds,
    /// Why that is thought.
    pub why: Why,
}

/// What is known of the parameters of a tool, as its server has described it.
#[derive(Debug, Default)]
pub struct Parameters {
    /// By name, at any depth. A name that stands for two things is both.
    by_name: HashMap<Box<str>, Parameter>,
    /// The names at the top.
    declared: HashSet<Box<str>>,
    /// What is said of values whose names the schema leaves open.
    unnamed: Option<Parameter>,
    traits: Traits,
}

impl Parameters {
    /// Reads the definition of a tool.
    pub fn read(tool: Json<'_>, roles: Roles) -> Self {
        infer::parameters(tool, roles)
    }

    /// What this parameter is taken for; nothing where the schema has none of that name.
    pub fn find(&self, name: &str) -> Option<Parameter> {
        self.by_name.get(name).copied().or_else(|| {
            let unnamed = self.unnamed?;
            let by_name = infer::by_name(name);
            Some(Parameter { kinds: by_name.kinds.and(unnamed.kinds), ..unnamed })
        })
    }

    /// Whether the schema has this name at the top.
    pub fn declares(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    /// The names that the schema has at the top, in order.
    pub fn declared(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.declared.iter().map(|it| &**it).collect();
        names.sort_unstable();
        names
    }

    /// What the tool does.
    pub fn traits(&self) -> &Traits {
        &self.traits
    }
}

/// A call, with what is known of its tool.
#[derive(Debug)]
pub struct Called<'a> {
    /// The arguments.
    pub arguments: Json<'a>,
    /// What the tool's definition says, where it was listed.
    pub parameters: Option<&'a Parameters>,
    /// What the policy says of its arguments.
    pub inputs: &'a Inputs<'a>,
    tool: &'a str,
    /// It has the name of one argument, and the value beside it.
    completes: bool,
    /// Of a tool that was not listed, by its name.
    unlisted: OnceCell<Traits>,
    /// For a message that is looked at by several.
    shared: Option<&'a OnceCell<Traits>>,
    /// The numbers of the values that are judged together with others.
    together: OnceCell<HashSet<u32>>,
    statements: statements::Statements,
}

/// One text in the arguments of a call.
#[derive(Debug)]
pub struct Argument<'a> {
    /// Where it is.
    pub at: At<'a>,
    /// What it says.
    pub str: &'a str,
    /// What holds it is called this. In a list, what holds the list.
    pub name: &'a str,
    /// What it is taken for. A name is nothing in particular.
    pub kinds: Kinds,
    /// Why.
    pub why: Why,
    /// What it is an argument of.
    pub call: &'a Called<'a>,
}

impl<'a> Called<'a> {
    /// Reads a subject, if it has arguments.
    pub fn of(subject: Subject<'a>, facts: &'a Facts<'a>) -> Option<Self> {
        matches!(subject.channel, Channel::Call | Channel::Argument).then(|| Self {
            arguments: subject.json,
            parameters: facts.definition.map(|it| &it.parameters),
            inputs: facts.inputs,
            tool: subject.tool.unwrap_or_default(),
            completes: facts.method == "completion/complete",
            unlisted: OnceCell::new(),
            shared: facts.unlisted,
            together: OnceCell::new(),
            statements: statements::Statements::default(),
        })
    }

    /// What its tool does.
    pub fn traits(&self) -> &Traits {
        match self.parameters {
            Some(it) => it.traits(),
            None => {
                let cell = self.shared.unwrap_or(&self.unlisted);
                cell.get_or_init(|| Traits::of_name(self.tool))
            }
        }
    }

    /// The words of its tool's name.
    pub(crate) fn words_of_tool(&self) -> Vec<String> {
        infer::words(self.tool)
    }

    /// Whether it is given an argument of this name at the top, or may be.
    fn has(&self, name: &str) -> bool {
        self.parameters.is_some_and(|it| it.declares(name)) || self.arguments.get(name).is_some()
    }

    /// The values that are judged together with others, by their numbers; found once.
    pub(crate) fn together(&self, find: impl FnOnce() -> HashSet<u32>) -> &HashSet<u32> {
        self.together.get_or_init(find)
    }

    /// The SQL in it.
    pub(crate) fn statements(&self) -> &statements::Statements {
        &self.statements
    }

    /// What a parameter of this name is.
    pub fn parameter(&self, name: &str) -> Parameter {
        if let Some(kinds) = self.inputs.kinds(name) {
            return Parameter { kinds, why: Why::Policy };
        }
        let known = self.parameters.and_then(|it| it.find(name));
        known.unwrap_or_else(|| infer::by_name(name))
    }

    /// Visits every text in it, names included.
    pub fn each(&self, visit: &mut dyn FnMut(&Argument<'_>)) {
        let name = self.arguments.get("name").and_then(Json::str).filter(|_| self.completes);
        if let Some((value, name)) = self.arguments.get("value").zip(name) {
            self.look(value, name, visit);
        }
        self.look(self.arguments, "", visit);
    }

    fn look(&self, json: Json<'_>, name: &str, visit: &mut dyn FnMut(&Argument<'_>)) {
        if let Some(str) = json.str() {
            let Parameter { kinds, why } = self.parameter(name);
            visit(&Argument { at: At::Value(json), str, name, kinds, why, call: self });
            return;
        }
        for (name, value) in json.fields() {
            let (kinds, why) = (Kinds::PLAIN, Why::Nothing);
            visit(&Argument { at: At::Name(value), str: name, name, kinds, why, call: self });
            self.look(value, name, visit);
        }
        for item in json.items() {
            self.look(item, name, visit);
        }
    }
}

impl Argument<'_> {
    /// Whether it is a name and not a value.
    pub fn is_name(&self) -> bool {
        matches!(self.at, At::Name(_))
    }

    /// Whether it is taken for this.
    pub fn is(&self, kind: Kind) -> bool {
        self.kinds.has(kind)
    }

    /// Where it leads, if it is a path.
    pub(crate) fn place(&self) -> Place {
        place::of(self.name, &self.call.words_of_tool(), |it| self.call.has(it))
    }

    /// What was seen, with what it is taken for and why. Some of `what` may be words of the message.
    pub fn says(&self, kind: Kind, what: impl fmt::Display) -> String {
        let why = if self.is(kind) { self.why } else { Why::Looks };
        let text = format!("{}, {why}: {what}", Kinds::from(kind));
        check::redacted(&text).into_owned()
    }
}

#[cfg(test)]
mod tests;
