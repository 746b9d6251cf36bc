//! The rules. Each is a page: what it is, why, what to write instead, examples that are its tests,
//! and, at its end, the calls that it is about.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::flow::value::Set;
use crate::language::Language;

/// How bad it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// A habit to lose.
    Low,
    /// An attack that needs something else too.
    Medium,
    /// An attack.
    High,
    /// An attack that ends in control of the machine.
    Critical,
}

impl Severity {
    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A rule of the audit.
#[derive(Debug)]
pub struct Rule {
    /// How findings, policies and baselines name it.
    pub id: &'static str,
    /// Its page.
    pub page: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The number of the weakness.
    pub cwe: u32,
    /// What to write instead, in a sentence.
    pub fix: String,
    pub(crate) class: Set,
    pub(crate) sinks: Vec<Sink>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    severity: Severity,
    cwe: u32,
    #[serde(default)]
    class: String,
    fix: String,
    #[serde(default)]
    sinks: Vec<Sink>,
}

/// Calls that a value must be safe for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sink {
    pub(crate) language: String,
    /// `os.system` is that; `.execute` is a method of anything; `eval` is nobody's method.
    pub(crate) calls: Vec<String>,
    #[serde(default = "first")]
    pub(crate) args: Vec<Place>,
    #[serde(default)]
    pub(crate) form: Form,
    /// It must look like a database, or the text like SQL.
    #[serde(default)]
    pub(crate) database: bool,
    /// Arguments with values that make it one, as `name=value`.
    #[serde(default)]
    pub(crate) with: Vec<String>,
    /// Words in the call's text that make it harmless.
    #[serde(default)]
    pub(crate) without: Vec<String>,
    /// Only for what is put together, not for what is passed on whole.
    #[serde(default)]
    pub(crate) built: bool,
    /// Redirects are not followed.
    #[serde(default)]
    pub(crate) direct: bool,
}

fn first() -> Vec<Place> {
    vec![Place::Number(0)]
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Place {
    Number(usize),
    /// By its name; `self` is the receiver, `*` is each of them.
    Name(String),
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    #[default]
    Plain,
    /// A program and its arguments, as one list.
    Argv,
    /// A program, then its arguments.
    Program,
    /// The arguments of a program that the receiver has.
    More,
}

/// Where rules keep the calls they are about.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) rules: Vec<Rule>,
    calls: Calls,
}

/// By language and the last part of a name: rule, sink, and the pattern.
type Calls = FxHashMap<(&'static str, String), Vec<(usize, usize, String)>>;

macro_rules! pages {
    ($($name:ident)*) => {
        &[$((stringify!($name), include_str!(concat!("rules/", stringify!($name), ".md")))),*]
    };
}

static PAGES: &[(&str, &str)] = pages! {
    path_escape path_prefix archive_escape
    sql_from_caller query_injection
    command_from_caller option_injection
    ssrf ssrf_redirect
    unsafe_deserialisation code_evaluation template_evaluation name_from_caller
    xml_entities regex_from_caller line_injection unbounded_size
    secret_in_error error_passed_on token_in_code
    missing_validation missing_timeout missing_annotations
    shell_use tls_not_verified
    symlink_in_root dangling_symlink check_then_open hard_link
    missing_origin empty_list
    invisible_characters duplicate_names hidden_tools
};

static BOOK: LazyLock<Book> = LazyLock::new(|| {
    let rules = PAGES.iter().filter_map(|(id, page)| Rule::read(id, page).ok()).collect();
    Book::index(rules)
});

/// Every rule.
pub fn rules() -> &'static [Rule] {
    &BOOK.rules
}

/// The rule of that name.
pub fn rule(id: &str) -> Option<&'static Rule> {
    BOOK.rule(id)
}

pub(crate) fn book() -> &'static Book {
    &BOOK
}

impl Rule {
    fn read(id: &'static str, page: &'static str) -> Result<Self, toml::de::Error> {
        let head = page.split("```toml rule\n").nth(1).unwrap_or("");
        let head = head.split("```").next().unwrap_or("");
        let Head { severity, cwe, class, fix, sinks } = toml::from_str(head)?;
        Ok(Self { id, page, severity, cwe, fix, class: Set::named(&class), sinks })
    }

    /// The title of its page.
    pub fn title(&self) -> &'static str {
        self.page.lines().next().unwrap_or("").trim_start_matches("# ")
    }
}

impl Book {
    fn index(rules: Vec<Rule>) -> Self {
        let mut calls = Calls::default();
        for (rule, it) in rules.iter().enumerate() {
            for (sink, it) in it.sinks.iter().enumerate() {
                for call in &it.calls {
                    let last = call.rsplit('.').next().unwrap_or(call).to_owned();
                    for language in ["python", "js", "go", "rust"] {
                        if it.language == language {
                            let found = calls.entry((language, last.clone())).or_default();
                            found.push((rule, sink, call.clone()));
                        }
                    }
                }
            }
        }
        Self { rules, calls }
    }

    pub(crate) fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|it| it.id == id)
    }

    /// The sinks that a call of this name is. `qualified` is the whole name, as far as it is known.
    pub(crate) fn sinks(
        &self,
        language: Language,
        qualified: &str,
    ) -> impl Iterator<Item = (&Rule, &Sink)> {
        let last = qualified.rsplit('.').next().unwrap_or(qualified).to_owned();
        let found = self.calls.get(&(language.name(), last)).map(Vec::as_slice).unwrap_or_default();
        let fitting = found.iter().filter(|(_, _, pattern)| fits(pattern, qualified));
        fitting.filter_map(|(rule, sink, _)| {
            let rule = self.rules.get(*rule)?;
            Some((rule, rule.sinks.get(*sink)?))
        })
    }
}

/// Whether a name is what a pattern is about.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    if pattern == name {
        return true;
    }
    if let Some(method) = pattern.strip_prefix('.') {
        return name.rsplit_once('.').is_some_and(|it| it.1 == method);
    }
    pattern.contains('.') && name.strip_suffix(pattern).is_some_and(|it| it.ends_with(['.', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_can_be_read() {
        for (id, page) in PAGES {
            let read = Rule::read(id, page);
            assert!(read.is_ok(), "{id}: {:?}", read.err());
        }
    }
}
