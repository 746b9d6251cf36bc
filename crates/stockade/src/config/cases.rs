//! A file of cases for `stockade policy test`, as a user writes it: calls, and what a policy is to do
//! with each. What comes of them is worked out in [`crate::rehearsal`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use stockade_core::policy::Action;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::read::{At, Key, OneOrMany, Reader, Said, table};
use super::source::{line, text};
use super::{ConfigError, Problem, Problems};

table! {
    /// Calls, and what a policy is to do with each. Unknown keys are errors.
    CasesFile {
        /// The policy that is tested, from where this file is.
        policy: String = r#""stockade.toml""#,
        /// The server of the policy that is called, by its name there.
        server: String = r#""files""#,
        /// The roots, in place of those of the policy: whole paths, as on a command line.
        roots: Vec<At<String>> = r#"["/srv/docs:rw"]"#,
        /// The tools that the server lists: a file, from where this one is, with a result of
        /// `tools/list` or a tool in each line, or the tools themselves. Without, a call is judged as
        /// that of a tool that was not listed.
        tools: Json = r#""tools.json""#,
        /// What the client calls itself, where a case does not say.
        client: String = r#""desk""#,
        /// Who is signed in, where a case does not say. Without, `local`.
        principal: String = r#""ada""#,
        /// The cases.
        cases: Vec<At<CaseTable>> = "",
    }
}

table! {
    /// A call, and what is to come of it.
    CaseTable {
        /// What it shows. Without, what is called.
        name: String = r#""a file outside of the roots is not read""#,
        /// The tool that is called.
        tool: String = r#""read_file""#,
        /// Its arguments: a table, or a text in JSON.
        args: Json = r#"{ path = "/etc/passwd" }"#,
        /// What the client calls itself.
        client: String = r#""desk""#,
        /// Who is signed in.
        principal: String = r#""ada""#,
        /// What is done with it: `allow`, `fix` (it goes on, and not as it came), `ask` or `deny`.
        expect: Action = r#""deny""#,
        /// The rule that decides, of the policy or of the checks; of a call that is mended or asked
        /// about, one of those. Of several, any.
        rule: OneOrMany = r#""path_outside_roots""#,
        /// The arguments that it goes on with: a table, or a text in JSON.
        mended: Json = r#"{ path = "/srv/docs/a" }"#,
        /// What the server answers, if the call goes on or was approved: a result, or its text.
        answer: Json = r#""the text of the file""#,
        /// What is done with the answer.
        arrives: Action = r#""allow""#,
        /// The rule that decides about the answer.
        arrives_rule: OneOrMany = r#""secret""#,
    }
}

/// Whatever TOML can say, as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub Value);

impl Said for Json {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        plain(value, reader).map(Self)
    }
}

fn plain(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Value> {
    match value.get_ref() {
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|it| plain(it, reader)).collect();
            items.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
        }
        DeValue::Table(table) => {
            let each = table.iter().map(|(key, value)| {
                Some((key.get_ref().clone().into_owned(), plain(value, reader)?))
            });
            each.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => Value::read(value, reader),
    }
}

/// A file of cases, read.
#[derive(Clone, Debug)]
pub struct Cases {
    /// The policy, if the file names one.
    pub policy: Option<PathBuf>,
    /// The server of the policy.
    pub server: Option<String>,
    /// The roots, in place of the policy's.
    pub roots: Vec<String>,
    /// What the server lists.
    pub tools: Tools,
    /// The cases, in the order of the file.
    pub list: Vec<Case>,
}

/// Where the tools are.
#[derive(Clone, Debug)]
pub enum Tools {
    /// Nothing is listed.
    None,
    /// In a file.
    File(PathBuf),
    /// These.
    These(Vec<Value>),
}

/// A call, and what is to come of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The line that it begins in.
    pub line: usize,
    /// The tool.
    pub tool: String,
    /// Its arguments, as JSON.
    pub arguments: String,
    /// What the client calls itself.
    pub client: Option<String>,
    /// Who is signed in.
    pub principal: Option<String>,
    /// What is to be done with the call.
    pub expect: Action,
    /// By one of these, if any are said.
    pub rules: Vec<String>,
    /// The arguments that are to be sent, if that is said.
    pub mended: Option<Value>,
    /// What the server answers.
    pub answer: Option<Value>,
    /// What is to be done with that.
    pub arrives: Option<Action>,
    /// By one of these, if any are said.
    pub arrives_rules: Vec<String>,
}

impl Cases {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// When it cannot be read, or everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = text(path)?;
        let mut reader = Reader::default();
        let cases = made(&text, path, &mut reader);
        match cases {
            Some(it) if reader.problems.is_empty() => Ok(it),
            Some(_) | None => {
                let (path, text, mut list) =
                    (path.display().to_string(), Arc::from(text), reader.problems);
                list.sort_by_key(|it: &Problem| it.span.start);
                Err(ConfigError::Problems(Problems { path, text, list }))
            }
        }
    }
}

fn made(text: &str, path: &Path, reader: &mut Reader) -> Option<Cases> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or_default();
        reader.wrong(span, "this is not TOML".to_owned(), error.message());
    }
    if !reader.problems.is_empty() {
        return None;
    }
    let root = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
    let file = CasesFile::read(&root, reader)?;
    // What is written wrong is told first, or it would be told as missing too.
    if !reader.problems.is_empty() {
        return None;
    }
    let beside = |name: &String| path.parent().unwrap_or(Path::new("")).join(name);
    let value = |it: &Option<At<String>>| it.as_ref().map(|it| it.value.clone());
    let tools = match &file.tools {
        None => Tools::None,
        Some(At { value: Json(Value::String(name)), .. }) => Tools::File(beside(name)),
        Some(At { value: Json(Value::Array(tools)), .. }) => Tools::These(tools.clone()),
        Some(it) => {
            let says = "the name of a file or a list of tools is wanted here".to_owned();
            reader.wrong(it.span.clone(), says, "neither");
            Tools::None
        }
    };
    if file.cases.is_none() {
        reader.wrong(0..0, "there are no `[[cases]]`".to_owned(), "nothing is tested");
    }
    let (client, principal) = (value(&file.client), value(&file.principal));
    let tables = file.cases.iter().flat_map(|it| &it.value);
    let list = tables.filter_map(|it| case(it, text, reader)).map(|it| Case {
        client: it.client.or_else(|| client.clone()),
        principal: it.principal.or_else(|| principal.clone()),
        ..it
    });
    let list = list.collect();
    let roots = file.roots.iter().flat_map(|it| &it.value).map(|it| it.value.clone());
    Some(Cases {
        policy: value(&file.policy).as_ref().map(beside),
        server: value(&file.server),
        roots: roots.collect(),
        tools,
        list,
    })
}

fn case(at: &At<CaseTable>, text: &str, reader: &mut Reader) -> Option<Case> {
    let case = &at.value;
    let head = text.get(at.span.start..).and_then(|it| it.lines().next()).map_or(0, str::len);
    let head = at.span.start..at.span.start + head;
    let mut missing = |key: &str, help: &str| {
        reader.wrong(head.clone(), format!("`{key}` is missing"), "in this case");
        reader.help(format!("`{key}` is {help}"));
    };
    if case.tool.is_none() {
        missing("tool", "the tool that is called");
    }
    if case.expect.is_none() {
        missing("expect", "`allow`, `fix`, `ask` or `deny`");
    }
    if let (None, Some(it)) = (&case.answer, &case.arrives) {
        let says = "there is no answer that could arrive".to_owned();
        reader.wrong(it.span.clone(), says, "write `answer`");
    }
    if let (None, Some(it)) = (&case.arrives, &case.arrives_rule) {
        let says = "what is done with the answer is not said".to_owned();
        reader.wrong(it.span.clone(), says, "write `arrives`");
    }
    let arguments = match &case.args {
        None => Some(Value::Object(Map::new()).to_string()),
        // As it is: its numbers and the order of its names may matter.
        Some(At { value: Json(Value::String(json)), .. }) => Some(json.clone()),
        Some(it) => Some(it.value.0.to_string()),
    };
    let mended = case.mended.as_ref().and_then(|it| object(it, reader));
    let answer = case.answer.as_ref().map(|it| &it.value.0);
    let answer = answer.map(|it| match it.as_str() {
        Some(text) => json!({ "content": [{ "type": "text", "text": text }] }),
        None => it.clone(),
    });
    let words = |it: &Option<At<OneOrMany>>| {
        let each = it.iter().flat_map(|it| &it.value.0).map(|it| it.value.clone());
        each.collect::<Vec<_>>()
    };
    let tool = case.tool.as_ref()?.value.clone();
    let name = case.name.as_ref().map(|it| it.value.clone());
    Some(Case {
        name: name.unwrap_or_else(|| tool.clone()),
        line: line(text, at.span.start),
        arguments: arguments?,
        client: case.client.as_ref().map(|it| it.value.clone()),
        principal: case.principal.as_ref().map(|it| it.value.clone()),
        expect: case.expect.as_ref()?.value,
        rules: words(&case.rule),
        mended,
        answer,
        arrives: case.arrives.as_ref().map(|it| it.value),
        arrives_rules: words(&case.arrives_rule),
        tool,
    })
}

/// Arguments, as a table or as a text in JSON.
fn object(at: &At<Json>, reader: &mut Reader) -> Option<Value> {
    let value = match at.value.0.as_str() {
        Some(json) => serde_json::from_str(json).unwrap_or_default(),
        None => at.value.0.clone(),
    };
    if !value.is_object() {
        reader.wrong(at.span.clone(), "arguments are a table".to_owned(), "this is none");
        return None;
    }
    Some(value)
}
