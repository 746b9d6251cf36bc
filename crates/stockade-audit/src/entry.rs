//! Where what a caller says comes in: tools, resources and prompts, however they are registered.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::flow::Flow;
use crate::flow::call::Called;
use crate::flow::schema::schema_of;
use crate::flow::value::{AtomId, Kind, Schema, Set, Source, Value, Var};
use crate::ir::{Expr, Func, Param, Pat};
use crate::project::FuncRef;

/// A function that a client can have called.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'s> {
    pub(crate) func: FuncRef,
    pub(crate) name: String,
    pub(crate) kind: EntryKind,
    pub(crate) schema: Option<Rc<Schema>>,
    /// What is around it where it is registered.
    pub(crate) vars: Rc<FxHashMap<Var<'s>, Value>>,
    pub(crate) annotated: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EntryKind {
    Tool,
    /// A resource or a prompt.
    Other,
    /// A handler of raw requests.
    Raw,
    /// It only looks like one.
    Guess,
}

const REGISTER: &[&str] = &[
    "tool",
    "registerTool",
    "addTool",
    "add_tool",
    "register_tool",
    "AddTool",
    "RegisterTool",
    "AddTools",
    "resource",
    "registerResource",
    "addResource",
    "AddResource",
    "AddResourceTemplate",
    "RegisterResource",
    "addResourceTemplate",
    "prompt",
    "registerPrompt",
    "addPrompt",
    "AddPrompt",
    "setRequestHandler",
    "NewTypedToolHandler",
    "NewStructuredToolHandler",
    "from_function",
    "defineTool",
    "createTool",
    "RegisterPrompt",
    "server_tool",
    "ToolHandlerFunc",
    "addRequestHandler",
    "registerAppTool",
    "NewTool",
    "NewServerTool",
    "WithTool",
    "set_request_handler",
    "setToolHandler",
    "add_resource",
    "registerTools",
];

const HANDLERS: &[&str] = &[
    "handler", "execute", "run", "call", "callback", "cb", "load", "Handler", "handle", "func",
    "fn", "invoke",
];
const MARKS: &[&str] = &[
    "tool",
    "resource",
    "prompt",
    "call_tool",
    "read_resource",
    "get_prompt",
    "resource_template",
    "custom_route",
    "tools",
    "mcp_tool",
    "complete",
    "completion",
];

impl<'p, 's> Flow<'p, 's> {
    /// Notes what a call registers.
    pub(crate) fn registered(&mut self, called: &Called<'s>) {
        let method = called.method();
        if !REGISTER.contains(&method) {
            return;
        }
        // Tables of tools are noted where they are written.
        let func = called.args.iter().rev().find_map(|it| match it.value.kind {
            Kind::Func(file, func) => Some((file, func)),
            _ => None,
        });
        let Some(func) = func else { return };
        let first = called.arg(0);
        let name =
            match (first.text(), first.field("name"), first.field("Name"), called.positional(1)) {
                (Some(it), ..) => it.to_string(),
                (_, Some(it), ..) | (_, _, Some(it), _) => {
                    it.text().map_or(String::new(), |it| it.to_string())
                }
                (.., Some(it)) => {
                    let inner = it.field("Name").and_then(|it| it.text().cloned());
                    inner.map_or_else(String::new, |it| it.to_string())
                }
                _ => String::new(),
            };
        let kind = match method.to_ascii_lowercase() {
            it if it.contains("request") => EntryKind::Raw,
            it if it.contains("resource") || it.contains("prompt") => EntryKind::Other,
            _ => EntryKind::Tool,
        };
        let schema = called.args.iter().find_map(|it| of_arg(&it.value));
        let text = self.source_of(called.id);
        let annotated =
            text.contains("Hint") || text.contains("annotations") || text.contains("Annotations");
        let name = if name.is_empty() { self.named(func) } else { name };
        self.entry(func, name, kind, schema, annotated);
    }

    /// Notes a tool that is written as an object.
    pub(crate) fn tabled(&mut self, fields: &[(Rc<str>, Value)]) {
        let get = |name: &str| fields.iter().find(|it| &*it.0 == name).map(|it| &it.1);
        let described = [
            "inputSchema",
            "parameters",
            "schema",
            "description",
            "name",
            "Tool",
            "paramsSchema",
            "input_schema",
        ]
        .iter()
        .any(|it| get(it).is_some());
        if !described {
            return;
        }
        let func = HANDLERS.iter().find_map(|it| match get(it)?.kind {
            Kind::Func(file, func) => Some((file, func)),
            _ => None,
        });
        let Some(func) = func else { return };
        let schema = ["inputSchema", "parameters", "schema", "paramsSchema"]
            .iter()
            .find_map(|it| schema_of(get(it)?));
        let name = get("name")
            .and_then(|it| it.text().cloned())
            .map_or_else(|| self.named(func), |it| it.to_string());
        let annotated = get("annotations").is_some();
        self.entry(func, name, EntryKind::Tool, schema, annotated);
    }

    fn named(&self, func: FuncRef) -> String {
        self.project.func(func).map_or(String::new(), |it| it.name.to_owned())
    }

    fn entry(
        &mut self,
        func: FuncRef,
        name: String,
        kind: EntryKind,
        schema: Option<Schema>,
        annotated: bool,
    ) {
        if self.entries.iter().any(|it| it.func == func) {
            return;
        }
        let schema = schema.map(Rc::new);
        let vars = Rc::clone(&self.state.vars);
        self.entries.push(Entry { func, name, kind, schema, vars, annotated });
    }

    /// The functions of a file that a mark, a type or a name says are called by clients.
    pub(crate) fn marked(&mut self, file: usize) {
        let Some(it) = self.project.files.get(file) else { return };
        for (id, func) in (0..).zip(&it.funcs) {
            let marked = func.marks.iter().find_map(|mark| {
                let name = mark_name(it, *mark)?;
                MARKS.contains(&name).then_some((name, *mark))
            });
            let kind = match marked {
                Some(("tool" | "tools" | "mcp_tool", _)) => Some(EntryKind::Tool),
                Some(("call_tool", _)) => Some(EntryKind::Raw),
                Some(_) => Some(EntryKind::Other),
                None => self.by_shape(func, file),
            };
            let Some(kind) = kind else { continue };
            let text = marked.map_or("", |it| {
                self.file = file;
                self.source_of(it.1)
            });
            let annotated = text.contains("annotations") || text.contains("Hint");
            let top = self.top(file);
            self.file = file;
            self.state.vars = top;
            self.entry((file, id), func.name.to_owned(), kind, None, annotated);
        }
    }

    /// A handler by what it is given, or by whose method it is.
    fn by_shape(&self, func: &Func<'s>, file: usize) -> Option<EntryKind> {
        let request =
            ["CallToolRequest", "ReadResourceRequest", "GetPromptRequest", "CallToolParams"];
        if func.params.iter().any(|it| request.iter().any(|word| it.ty.contains(word))) {
            return Some(EntryKind::Raw);
        }
        if func.params.iter().any(|it| it.ty.starts_with("Parameters<")) {
            return Some(EntryKind::Tool);
        }
        let owner = func.owner?;
        let def = self.project.typedef(owner, file)?;
        let tool = owner.ends_with("Tool") || def.bases.contains("Tool");
        let runs = [
            "run",
            "execute",
            "_run",
            "_arun",
            "call",
            "invoke",
            "handle",
            "arun",
            "forward",
            "call_tool",
        ];
        (tool && runs.contains(&func.name)).then_some(EntryKind::Tool)
    }

    /// What a caller gives to an entry.
    pub(crate) fn given(&mut self, entry: &Entry<'s>) -> Vec<Value> {
        let Some(func) = self.project.func(entry.func) else { return Vec::new() };
        self.file = entry.func.0;
        let language = self.language();
        let mut out = Vec::new();
        let mut data = 0;
        for param in &func.params {
            if matches!(param.name, "self" | "cls" | "this") {
                continue;
            }
            let context = [
                "Context",
                "context.Context",
                "RequestContext",
                "ServerSession",
                "CancellationToken",
                "Peer<",
            ];
            if context.iter().any(|it| param.ty.contains(it)) && !param.ty.contains("Parameters<")
                || matches!(
                    param.name,
                    "ctx" | "context" | "extra" | "_" | "_extra" | "_ctx" | "_meta"
                )
            {
                out.push(Value::default());
                continue;
            }
            data += 1;
            let what = if param.name.is_empty() || param.name.starts_with('{') {
                "arguments"
            } else {
                param.name
            };
            let atom = self.source(Source::Caller, Set::default(), func.line, &shown(what));
            out.push(match language {
                "python" => self.typed(param.ty, atom, entry.func.0, 0),
                "js" => self.given_script(entry, atom, data),
                "go" => self.given_go(param, atom, entry.func.0),
                _ => self.given_rust(param, atom, entry.func.0),
            });
        }
        out
    }

    fn given_script(&mut self, entry: &Entry<'s>, atom: AtomId, at: usize) -> Value {
        match (&entry.schema, entry.kind) {
            (Some(schema), EntryKind::Tool) if at == 1 => self.shaped(schema, atom, ""),
            // What comes with a call, but not from it.
            (_, EntryKind::Tool | EntryKind::Raw) if at > 1 => Value::default(),
            _ => Value::atom(atom),
        }
    }

    fn given_go(&mut self, param: &Param<'s>, atom: AtomId, file: usize) -> Value {
        // `CallToolParamsFor[Args]`.
        if param.ty.contains("ParamsFor[") || param.ty.contains("ServerRequest[") {
            let inner = param.ty.rsplit('[').next().unwrap_or("").trim_end_matches(']');
            let typed = self.typed(inner, atom, file, 0);
            let inside = Value::of(Kind::Map(Rc::new(vec![("Arguments".into(), typed.clone())])));
            return Value::of(Kind::Map(Rc::new(vec![
                ("Arguments".into(), typed),
                ("Params".into(), inside),
            ])));
        }
        if param.ty.contains("Request") {
            return Value::atom(atom);
        }
        self.typed(param.ty, atom, file, 0)
    }

    fn given_rust(&mut self, param: &Param<'s>, atom: AtomId, file: usize) -> Value {
        let value = self.typed(param.ty, atom, file, 0);
        // `params.0`, where it is not taken apart.
        if param.ty.contains("Parameters<") && matches!(param.pat, Pat::Name(_)) {
            return Value::of(Kind::Map(Rc::new(vec![("0".into(), value)])));
        }
        value
    }

    /// Functions that look as if they were handlers, if nothing calls them.
    pub(crate) fn guesses(&mut self, file: usize, all: bool, visited: &dyn Fn(FuncRef) -> bool) {
        let Some(it) = self.project.files.get(file) else { return };
        for (id, func) in (0..).zip(&it.funcs) {
            if visited((file, id)) || func.nested || func.params.is_empty() {
                continue;
            }
            let named = [
                "args",
                "arguments",
                "params",
                "input",
                "request",
                "req",
                "tool_input",
                "tool_args",
            ];
            let handler = func.params.iter().any(|it| named.contains(&it.name))
                || func.name.starts_with("handle_")
                || func.name.starts_with("tool_");
            let open =
                all && !matches!(func.name, "main" | "new" | "__init__" | "constructor" | "init");
            if handler || open {
                let vars = self.top(file);
                self.state.vars = vars;
                self.entry((file, id), func.name.to_owned(), EntryKind::Guess, None, true);
            }
        }
    }
}

fn shown(name: &str) -> String {
    name.trim_start_matches("Parameters(").trim_end_matches(')').chars().take(40).collect()
}

/// The last part of the name of a decorator.
fn mark_name<'s>(file: &crate::ir::File<'s>, id: u32) -> Option<&'s str> {
    match file.expr(id) {
        Expr::Call { callee, .. } => mark_name(file, *callee),
        Expr::Attr(_, name) | Expr::Name(name) => Some(name),
        _ => None,
    }
}

/// The validator in one argument of a registration.
fn of_arg(value: &Value) -> Option<Schema> {
    for name in ["inputSchema", "parameters", "schema", "argsSchema", "paramsSchema"] {
        if let Some(it) = value.field(name) {
            return schema_of(it);
        }
    }
    match &value.kind {
        Kind::Schema(_) => schema_of(value),
        Kind::Map(fields) if fields.iter().any(|it| matches!(it.1.kind, Kind::Schema(_))) => {
            schema_of(value)
        }
        // No arguments at all.
        _ => None,
    }
}
