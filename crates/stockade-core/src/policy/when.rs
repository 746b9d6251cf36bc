//! `when = "…"`: what no table can say, in CEL (the Common Expression Language).
//!
//! An expression is bounded so that a call cannot make it expensive: its length, no loop in a loop,
//! regular expressions written out and compiled once, and only those arguments bound that it
//! mentions. Whatever goes wrong at the time of a call is a deny, whatever the rule's effect is.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::{Context, Env, ExecutionError, ParseErrors, Program, Value};
use regex::Regex;

use super::CallFacts;
use super::pattern;
use crate::json::Json;

/// The longest expression, in bytes.
pub const WHEN_BYTES_MAX: usize = 4096;

/// How deep brackets may nest: the parser takes up to 200 KB of stack for each.
const BRACKETS_MAX: usize = 12;

/// The stack of the parser.
const STACK_BYTES: usize = 32 << 20;

/// How deep an expression may be: the evaluation takes stack for each step.
const DEPTH_MAX: usize = 32;

/// How many values of the arguments an expression may be given.
const VALUES_MAX: usize = 10_000;

/// How much text of the arguments an expression may be given, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// How many values of the arguments times how many bytes of their text an expression with a loop may
/// be given: it may look through the text for each value.
const LOOKS_MAX: usize = 64 << 20;

/// What an expression may ask for.
pub const VARIABLES: &[&str] = &["tool", "server", "args", "client", "principal"];

/// What an expression may call: the standard functions, less what reads a clock.
pub const FUNCTIONS: &[&str] = &[
    "matches",
    "contains",
    "startsWith",
    "endsWith",
    "size",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "type",
    "dyn",
];

/// What names a type: `type(args.n) == int`.
const TYPES: &[&str] =
    &["int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type", "type"];

/// Without optional values: what is absent is to be asked for with `has`, or denies.
static ENV: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// Why an expression is not taken.
#[derive(Debug, thiserror::Error)]
pub enum WhenError {
    /// Longer than [`WHEN_BYTES_MAX`].
    #[error("{0} bytes are more than the limit of {WHEN_BYTES_MAX}")]
    TooLong(usize),
    /// Brackets in brackets, or a chain of operators, that would exhaust the stack.
    #[error("it is nested too deep")]
    TooDeep,
    /// Not CEL.
    #[error("{says}")]
    Syntax {
        /// What is wrong.
        says: String,
        /// Where, in bytes.
        at: usize,
    },
    /// It names something that no call has.
    #[error("there is no variable `{name}`")]
    Variable {
        /// The name.
        name: String,
        /// Where, in bytes.
        at: usize,
    },
    /// It calls something that is not there.
    #[error("there is no function `{name}`")]
    Function {
        /// The name.
        name: String,
        /// Where, in bytes.
        at: usize,
    },
    /// A loop in a loop takes a time that the caller chooses.
    #[error("a loop within a loop")]
    Nested {
        /// Where, in bytes.
        at: usize,
    },
    /// A regular expression that is made at the time of the call, or cannot be read.
    #[error("{says}")]
    Regex {
        /// What is wrong.
        says: String,
        /// Where, in bytes.
        at: usize,
    },
    /// The parser itself gave up.
    #[error("it cannot be read")]
    Parser,
}

impl WhenError {
    /// Where in the expression, in bytes, where that is known.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::TooLong(_) | Self::TooDeep | Self::Parser => None,
            Self::Syntax { at, .. }
            | Self::Variable { at, .. }
            | Self::Function { at, .. }
            | Self::Nested { at }
            | Self::Regex { at, .. } => Some(*at),
        }
    }
}

/// An expression, compiled. Copies share it.
#[derive(Clone)]
pub struct When {
    source: String,
    program: Arc<Program>,
    uses: Arc<Uses>,
    regexes: Arc<HashMap<String, Regex>>,
}

/// What of a call is bound.
#[derive(Debug, Default)]
struct Uses {
    variables: BTreeSet<String>,
    /// The arguments that are named one by one.
    arguments: BTreeSet<String>,
    /// `args` is used as a whole too.
    all_arguments: bool,
    /// There is a loop.
    loops: bool,
}

impl When {
    /// Reads an expression.
    ///
    /// # Errors
    /// See [`WhenError`].
    pub fn parse(source: &str) -> Result<Self, WhenError> {
        if source.len() > WHEN_BYTES_MAX {
            return Err(WhenError::TooLong(source.len()));
        }
        if brackets(source) > BRACKETS_MAX {
            return Err(WhenError::TooDeep);
        }
        let program = compile(source)?.map_err(|errors| {
            let first = errors.errors.first();
            let (line, column) = first.map_or((1, 1), |it| it.pos);
            let says = first.map_or("not an expression", |it| it.msg.as_str());
            // What would have been right instead is a list of everything that CEL has.
            let says = says.split(" expecting ").next().unwrap_or(says);
            WhenError::Syntax { says: says.to_owned(), at: offset(source, line, column) }
        })?;
        let mut walk = Walk {
            program: &program,
            uses: Uses::default(),
            regexes: HashMap::new(),
            locals: Vec::new(),
            in_loop: false,
            depth: 0,
        };
        walk.visit(program.expression())?;
        let Walk { uses, regexes, .. } = walk;
        let (source, program) = (source.to_owned(), Arc::new(program));
        Ok(Self { source, program, uses: Arc::new(uses), regexes: Arc::new(regexes) })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.source
    }

    /// Whether it depends on what the client calls itself.
    pub fn asks_for_client(&self) -> bool {
        self.uses.variables.contains("client")
    }

    /// Whether it is so, of this call.
    ///
    /// # Errors
    /// Why that cannot be said, in words that quote no argument.
    pub fn holds(&self, call: &CallFacts<'_>, server: &str) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        for name in &self.uses.variables {
            let value = match name.as_str() {
                "tool" => text(call.tool),
                "server" => text(server),
                "client" => text(call.client.unwrap_or_default()),
                "principal" => text(call.principal.unwrap_or_default()),
                _ => self.arguments(call.arguments)?,
            };
            context.add_variable_from_value(name.as_str(), value);
        }
        let regexes = Arc::clone(&self.regexes);
        let matches = move |cel::extractors::This(text): cel::extractors::This<Arc<String>>,
                            source: Arc<String>| {
            let unknown = || ExecutionError::function_error("matches", "not compiled");
            regexes.get(source.as_str()).map(|it| it.is_match(&text)).ok_or_else(unknown)
        };
        context.add_function("matches", matches).map_err(|it| it.to_string())?;
        let run = AssertUnwindSafe(|| self.program.execute(&context));
        match catch_unwind(run).map_err(|_| "it failed".to_owned())? {
            Ok(Value::Bool(it)) => Ok(it),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            Err(it) => Err(words(&it)),
        }
    }

    fn arguments(&self, json: Option<Json<'_>>) -> Result<Value, String> {
        let mut left = Left { values: VALUES_MAX, text_bytes: TEXT_BYTES_MAX };
        let fields = json.into_iter().flat_map(Json::fields);
        let used = fields
            .filter(|(name, _)| self.uses.all_arguments || self.uses.arguments.contains(*name));
        let bound = map(used, &mut left);
        let (values, bytes) = (VALUES_MAX - left.values, TEXT_BYTES_MAX - left.text_bytes);
        let fits = !self.uses.loops || values * bytes <= LOOKS_MAX;
        bound.filter(|_| fits).ok_or_else(|| "the arguments are too large for it".to_owned())
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("When").field(&self.source).finish()
    }
}

/// Compiles on a stack of its own: the parser takes more for a few brackets than a thread has.
fn compile(source: &str) -> Result<Result<Program, ParseErrors>, WhenError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, || ENV.compile(source));
        thread.map_err(|_| WhenError::Parser)?.join().map_err(|_| WhenError::Parser)
    })
}

/// What went wrong, without the values: they are a caller's, and may be secret.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others quote values, and may become more")]
fn words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no `{name}`"),
        ExecutionError::NoSuchOverload(it) => {
            format!("`{}` does not apply to ({})", it.function(), it.argument_types().join(", "))
        }
        ExecutionError::UndeclaredReference(name) => format!("there is no `{name}`"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero".to_owned()
        }
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        _ => "the values are of the wrong type".to_owned(),
    }
}

/// What may still be bound.
struct Left {
    values: usize,
    text_bytes: usize,
}

impl Left {
    fn take(&mut self, text_bytes: usize) -> Option<()> {
        self.values = self.values.checked_sub(1)?;
        self.text_bytes = self.text_bytes.checked_sub(text_bytes)?;
        Some(())
    }
}

fn text(it: &str) -> Value {
    Value::String(Arc::new(it.to_owned()))
}

fn map<'a>(fields: impl Iterator<Item = (&'a str, Json<'a>)>, left: &mut Left) -> Option<Value> {
    let mut entries: HashMap<String, Value> = HashMap::new();
    for (name, json) in fields {
        left.take(name.len())?;
        entries.insert(name.to_owned(), value(json, left)?);
    }
    Some(Value::Map(entries.into()))
}

fn value(json: Json<'_>, left: &mut Left) -> Option<Value> {
    left.take(json.str().map_or(0, str::len))?;
    if json.is_object() {
        return map(json.fields(), left);
    }
    if json.is_array() {
        let items: Option<Vec<Value>> = json.items().map(|it| value(it, left)).collect();
        return Some(Value::List(Arc::new(items?)));
    }
    Some(match (json.str(), json.bool(), json.f64()) {
        (Some(it), ..) => text(it),
        (_, Some(it), _) => Value::Bool(it),
        (_, _, Some(it)) => json.i64().map_or(Value::Float(it), Value::Int),
        (None, None, None) => Value::Null,
    })
}

/// The way through an expression before it is taken.
struct Walk<'p> {
    program: &'p Program,
    uses: Uses,
    regexes: HashMap<String, Regex>,
    locals: Vec<String>,
    in_loop: bool,
    depth: usize,
}

impl Walk<'_> {
    fn visit(&mut self, it: &IdedExpr) -> Result<(), WhenError> {
        if self.depth == DEPTH_MAX {
            return Err(WhenError::TooDeep);
        }
        self.depth += 1;
        let seen = self.look(it);
        self.depth -= 1;
        seen
    }

    fn look(&mut self, it: &IdedExpr) -> Result<(), WhenError> {
        match &it.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => {
                self.variable(name, it.id)?;
                self.uses.all_arguments |= name == "args";
                Ok(())
            }
            Expr::Select(select) => {
                if let Expr::Ident(name) = &select.operand.expr
                    && name == "args"
                    && !self.locals.contains(name)
                {
                    self.uses.arguments.insert(select.field.clone());
                    return self.variable(name, it.id);
                }
                self.visit(&select.operand)
            }
            Expr::Call(call) => {
                self.function(&call.func_name, it.id)?;
                if call.func_name == "matches" {
                    self.regex(call.args.last(), it.id)?;
                }
                let target = call.target.iter().map(|it| &**it);
                target.chain(&call.args).try_for_each(|it| self.visit(it))
            }
            Expr::List(list) => list.elements.iter().try_for_each(|it| self.visit(it)),
            Expr::Map(map) => map.entries.iter().try_for_each(|it| match &it.expr {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key)?;
                    self.visit(&entry.value)
                }
                EntryExpr::StructField(field) => self.visit(&field.value),
            }),
            Expr::Struct(it_struct) => {
                Err(WhenError::Function { name: it_struct.type_name.clone(), at: self.at(it.id) })
            }
            Expr::Comprehension(each) => {
                if self.in_loop {
                    return Err(WhenError::Nested { at: self.at(it.id) });
                }
                self.uses.loops = true;
                self.visit(&each.iter_range)?;
                let before = self.locals.len();
                self.locals.push(each.iter_var.clone());
                self.locals.push(each.accu_var.clone());
                self.locals.extend(each.iter_var2.clone());
                self.in_loop = true;
                let parts = [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result];
                parts.into_iter().try_for_each(|it| self.visit(it))?;
                self.in_loop = false;
                self.locals.truncate(before);
                Ok(())
            }
        }
    }

    fn variable(&mut self, name: &str, id: u64) -> Result<(), WhenError> {
        let local = self.locals.iter().any(|it| it == name);
        if local || name.starts_with('@') || TYPES.contains(&name) {
            return Ok(());
        }
        if !VARIABLES.contains(&name) {
            return Err(WhenError::Variable { name: name.to_owned(), at: self.at(id) });
        }
        self.uses.variables.insert(name.to_owned());
        Ok(())
    }

    /// Operators have names that nobody can write: `_&&_`, `!_`, `@in`.
    fn function(&self, name: &str, id: u64) -> Result<(), WhenError> {
        let written = name.chars().all(|it| it.is_alphanumeric() || it == '.');
        if written && !FUNCTIONS.contains(&name) {
            return Err(WhenError::Function { name: name.to_owned(), at: self.at(id) });
        }
        Ok(())
    }

    fn regex(&mut self, source: Option<&IdedExpr>, id: u64) -> Result<(), WhenError> {
        let at = self.at(source.map_or(id, |it| it.id));
        let Some(Expr::Literal(LiteralValue::String(text))) = source.map(|it| &it.expr) else {
            let says = "`matches` takes a regular expression that is written out".to_owned();
            return Err(WhenError::Regex { says, at });
        };
        let text = text.inner();
        let regex =
            pattern::regex(text).map_err(|it| WhenError::Regex { says: it.to_string(), at })?;
        self.regexes.insert(text.to_owned(), regex);
        Ok(())
    }

    fn at(&self, id: u64) -> usize {
        self.program.source_info().offset_for(id).map_or(0, |(start, _)| start as usize)
    }
}

/// How deep brackets nest, those in texts included.
fn brackets(source: &str) -> usize {
    let mut open: usize = 0;
    let depths = source.bytes().map(|it| {
        match it {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => (),
        }
        open
    });
    depths.max().unwrap_or_default()
}

/// The place in bytes of a line and a column, both from 1.
fn offset(source: &str, line: isize, column: isize) -> usize {
    let line = usize::try_from(line - 1).unwrap_or_default();
    let column = usize::try_from(column - 1).unwrap_or_default();
    let before: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    (before + column).min(source.len())
}
