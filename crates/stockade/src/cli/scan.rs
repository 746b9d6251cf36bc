//! `stockade scan`: sources of servers, and, with `--tools` and `--text`, JSON Lines in and out.

mod sarif;
mod sources;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Map, Value, json};
use stockade_core::check::{self, visible};
use stockade_core::finding::{Finding, Severity};
use stockade_core::json::{Document, Json, Limits};
use stockade_core::message::Side;
use stockade_core::subject::{Channel, Facts, Subject};
use stockade_core::together::Together;

use self::sources::{As, Sources};
use super::printed;
use crate::failure::{Exit, Failure};

/// Judge the source of servers, tool definitions or texts, without a server
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade scan ~/servers/notes
  stockade scan src --format sarif --fail-on medium > stockade.sarif
  stockade scan --tools tools.jsonl
  some-program | stockade scan --text - --fail-on medium
  stockade scan --tools all-servers.jsonl --together

SOURCE is a file or directory of Python, JavaScript, TypeScript, Go or Rust. It is read and nothing
else: nothing of it is started, no link in it is followed, nothing is fetched. What is found is a
finding or, where it is no mistake by itself, a note, which fails nothing. `stockade explain RULE`
says why it matters and what to write instead.

With --tools and --text each line of the input is a JSON object: a tool as `tools/list` has it, or
`{\"id\": …, \"text\": …}`. For each there is one line, in order:
  {\"id\": …, \"findings\": [{\"rule\": …, \"severity\": …, \"place\": …, …}, …]}
A line that cannot be read is answered with `error` instead of `findings`.

Exit codes: 0 nothing found, 1 found something (--fail-on), 2 something could not be read.")]
pub(super) struct Scan {
    #[command(flatten)]
    input: Input,
    /// All the tools are for one client: report names and descriptions that collide across servers,
    /// and tools that could carry out together what is private
    #[arg(long, requires = "tools")]
    together: bool,
    /// How to print what is found in sources
    #[arg(long, value_enum, conflicts_with_all = ["tools", "text"], default_value_t)]
    format: As,
    /// Start nothing: of sources nothing ever is
    #[arg(long = "static", requires = "sources")]
    _static: bool,
    /// Read tests too, and what was built where its source lies beside it
    #[arg(long, requires = "sources")]
    all: bool,
    /// How bad a finding must be for exit code 1
    #[arg(long, value_name = "SEVERITY", default_value = "high")]
    fail_on: FailOn,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Input {
    /// Audit the source of servers: files and directories
    #[arg(value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Judge the tool definitions of a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,
    /// Judge the texts of a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FailOn {
    Low,
    Medium,
    High,
    /// Only findings in sources are that bad
    Critical,
}

impl FailOn {
    pub(super) fn severity(self) -> Option<Severity> {
        match self {
            Self::Low => Some(Severity::Low),
            Self::Medium => Some(Severity::Medium),
            Self::High => Some(Severity::High),
            Self::Critical => None,
        }
    }

    /// The same for findings in sources, of which some are worse still.
    fn of_source(self) -> stockade_audit::Severity {
        match self {
            Self::Low => stockade_audit::Severity::Low,
            Self::Medium => stockade_audit::Severity::Medium,
            Self::High => stockade_audit::Severity::High,
            Self::Critical => stockade_audit::Severity::Critical,
        }
    }
}

/// What is longer is not read: the longest message that the guard would judge.
const LINE_BYTES_MAX: u64 = 16 << 20;

impl Scan {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let (path, of) = match (&self.input.tools, &self.input.text) {
            (Some(path), _) => (path, Of::Tools),
            (None, Some(path)) => (path, Of::Texts),
            (None, None) => return self.sources(),
        };
        let input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            let cannot = || format!("cannot read `{}`", visible(&path.to_string_lossy()));
            Box::new(File::open(path).map_err(|it| Failure::new(Exit::Usage, cannot()).from(it))?)
        };
        let mut lines = BufReader::with_capacity(1 << 16, input);
        let mut out = BufWriter::new(io::stdout().lock());
        let (mut worst, mut bad) = (None, false);
        let mut together = self.together.then(Together::default);
        let mut line = Vec::new();
        for number in 1_u64.. {
            // Whoever writes one line and waits for its answer gets it.
            if lines.buffer().is_empty() && !printed(out.flush())? {
                break;
            }
            let whole = next(&mut lines, &mut line);
            let whole = whole.map_err(|it| Failure::new(Exit::Usage, "cannot read").from(it))?;
            let Some(whole) = whole else { break };
            let answer =
                if whole { of.judged(&line, together.as_mut()) } else { Err(Bad::TooLong) };
            let answer = match answer {
                Ok((id, findings)) => {
                    worst = worst.max(findings.iter().map(|it| it.severity).max());
                    Answer::found(id, number, &findings)
                }
                Err(why) => {
                    bad = true;
                    Answer::bad(number, &why)
                }
            };
            if !printed(answer.write(&mut out))? {
                break;
            }
        }
        printed(out.flush())?;
        Ok(if bad {
            Exit::Usage.into()
        } else if worst.zip(self.fail_on.severity()).is_some_and(|(it, least)| it >= least) {
            Exit::Findings.into()
        } else {
            ExitCode::SUCCESS
        })
    }
}

impl Scan {
    fn sources(&self) -> Result<ExitCode, Failure> {
        let read = Sources::read(&self.input.sources, self.all)?;
        printed(io::stdout().write_all(read.printed(self.format).as_bytes()))?;
        Ok(if !read.is_whole() {
            Exit::Usage.into()
        } else if read.worst().is_some_and(|it| it >= self.fail_on.of_source()) {
            Exit::Findings.into()
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Reads a line without its end. Whether all of it was read; nothing at the end of the input.
fn next(lines: &mut BufReader<Box<dyn Read>>, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.pop_if(|it| *it == b'\n').is_some() {
        return Ok(Some(true));
    }
    if (read as u64) < LINE_BYTES_MAX {
        return Ok(Some(true));
    }
    lines.skip_until(b'\n')?;
    Ok(Some(false))
}

/// Why a line has no findings.
#[derive(Debug, thiserror::Error)]
enum Bad {
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("{0}")]
    Json(#[from] stockade_core::json::JsonError),
    #[error("not an object")]
    NoObject,
    #[error("no `name`, and so no tool")]
    NoTool,
    #[error("no `text`")]
    NoText,
    #[error("`text` is not a string")]
    NotText,
}

#[derive(Clone, Copy)]
enum Of {
    Tools,
    Texts,
}

impl Of {
    /// What a line is called, and what was found in it.
    fn judged(
        self,
        line: &[u8],
        together: Option<&mut Together>,
    ) -> Result<(Option<Value>, Vec<Finding>), Bad> {
        let document = Document::parse(Bytes::copy_from_slice(line), &Limits::default())?;
        let root = document.root();
        if !root.is_object() {
            return Err(Bad::NoObject);
        }
        let id = root.get("id").filter(|it| !it.is_null());
        let name = || root.get("name").filter(|it| it.str().is_some());
        let findings = match self {
            Self::Tools => {
                name().ok_or(Bad::NoTool)?;
                let mut found = match definition(root)? {
                    Some(tool) => found(Channel::Tool, tool.root()),
                    None => found(Channel::Tool, root),
                };
                let server = root.get("server").and_then(Json::str).unwrap_or_default();
                found.extend(together.into_iter().flat_map(|it| it.add(server, root)));
                found
            }
            Self::Texts => {
                let given = |name| root.get(name).filter(|it| !it.is_null());
                let text = given("text").or_else(|| given("description")).ok_or(Bad::NoText)?;
                text.str().ok_or(Bad::NotText)?;
                found(Channel::Content, text)
            }
        };
        Ok((id.or_else(name).map(Json::to_value), findings))
    }
}

/// What a tool has, as the protocol describes it.
const DEFINITION: [&str; 9] = [
    "name",
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
    "icons",
    "execution",
    "_meta",
];

/// The tool of a row that says more than the tool does: which one it is, and where it is from. No
/// model sees that.
fn definition(row: Json<'_>) -> Result<Option<Document>, Bad> {
    let is_row = row.get("id").is_some() || row.get("server").is_some();
    let empty = |(_, it): &(&str, Json<'_>)| it.is_null();
    if !is_row && !row.fields().any(|it| empty(&it)) {
        return Ok(None);
    }
    let is_tool = |(name, _): &(&str, Json<'_>)| !is_row || DEFINITION.contains(name);
    let fields = row.fields().filter(|it| is_tool(it) && !empty(it));
    let tool: Map<String, Value> =
        fields.map(|(name, it)| (name.to_owned(), it.to_value())).collect();
    Ok(Some(Document::from_value(&Value::Object(tool))?))
}

fn found(channel: Channel, json: Json<'_>) -> Vec<Finding> {
    check::run(&[Subject { channel, json, tool: None }], &Facts::alone(Side::Server))
}

/// One line of the output.
#[derive(Serialize)]
struct Answer {
    id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
}

impl Answer {
    fn found(id: Option<Value>, number: u64, findings: &[Finding]) -> Self {
        let findings = findings.iter().map(|it| {
            let mut finding = json!({
                "rule": it.rule.id,
                "severity": it.severity.name(),
                "place": it.place.to_string(),
                "says": visible(&it.says),
            });
            if let (Some(confidence), Some(finding)) = (it.confidence, finding.as_object_mut()) {
                finding.insert("confidence".to_owned(), confidence.into());
            }
            finding
        });
        let id = id.unwrap_or_else(|| number.into());
        Self { id, findings: Some(findings.collect()), error: None, line: None }
    }

    fn bad(number: u64, why: &Bad) -> Self {
        let error = Some(visible(&why.to_string()));
        Self { id: Value::Null, findings: None, error, line: Some(number) }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}
