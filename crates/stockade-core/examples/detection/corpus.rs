//! The corpora: rows of tools and of texts, each an attack or not.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use stockade_core::detect::{self, Of, Said};
use stockade_core::json::Document;
use stockade_core::subject::{Channel, Subject};

pub(crate) struct Corpus {
    pub(crate) rows: Vec<Row>,
    /// Of the files, in their order.
    pub(crate) hash: String,
}

/// So many parts, for cross-validation by row.
pub(crate) const TENTHS: usize = 10;

/// A tool or a text.
pub(crate) struct Row {
    pub(crate) id: String,
    /// Where it comes from, and in which style where it was generated.
    pub(crate) source: String,
    pub(crate) style: String,
    pub(crate) is_tool: bool,
    pub(crate) is_attack: bool,
    /// What the model sees.
    pub(crate) document: Document,
}

const FILES: [(&str, bool, bool); 4] = [
    ("malicious_tools.jsonl", true, true),
    ("benign_tools.jsonl", true, false),
    ("injection_text.jsonl", false, true),
    ("benign_text.jsonl", false, false),
];

impl Corpus {
    /// Where they are when nobody says.
    pub(crate) fn place() -> PathBuf {
        let beside =
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora"));
        std::env::var_os("STOCKADE_CORPORA").map_or_else(beside, PathBuf::from)
    }

    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let (mut rows, mut hasher) = (Vec::new(), blake3::Hasher::new());
        for (file, is_tool, is_attack) in FILES {
            let text = std::fs::read_to_string(directory.join(file))?;
            hasher.update(text.as_bytes());
            for line in text.lines() {
                let row: Map<String, Value> = serde_json::from_str(line)?;
                rows.extend(Row::read(&row, is_tool, is_attack));
            }
        }
        Ok(Self { rows, hash: hasher.finalize().to_hex().to_string() })
    }
}

impl Row {
    fn read(row: &Map<String, Value>, is_tool: bool, is_attack: bool) -> Option<Self> {
        let text =
            |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let tier = text("tier");
        let style = match (tier.as_str(), text("category")) {
            ("" | "injection", category) => category,
            (tier, _) => tier.to_owned(),
        };
        let seen = if is_tool {
            let fields = ["name", "description", "inputSchema"];
            let fields =
                fields.iter().filter_map(|it| Some((it.to_string(), row.get(*it)?.clone())));
            Value::Object(fields.filter(|(_, it)| !it.is_null()).collect())
        } else {
            Value::String(text("description"))
        };
        let document = Document::from_value(&seen).ok()?;
        let (id, source) = (text("id"), text("source"));
        Some(Self { id, source, style, is_tool, is_attack, document })
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        let channel = if self.is_tool { Channel::Tool } else { Channel::Content };
        Subject { channel, json: self.document.root(), tool: None }
    }

    /// From so many thirds of a point on it is suspicious.
    pub(crate) fn found(&self) -> i32 {
        if self.is_tool { Of::Description.found() } else { Of::Content.found() }
    }

    /// Everything in it that is read.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(Said<'_>)) {
        detect::each(self.subject(), &mut |_, said| visit(said));
    }

    /// Whether its attack is in what a model reads, and has some mark of one.
    pub(crate) fn is_fair(&self) -> bool {
        const UNFAIR: [&str; 4] = ["code_only", "overt_function", "context_only", "param_only"];
        let has_no_mark = self.is_attack && self.source == "bipia";
        !has_no_mark && !UNFAIR.contains(&self.style.as_str())
    }

    /// Whether it was generated, and how hard its style is.
    pub(crate) fn generated(&self) -> Option<&'static str> {
        if self.source != "synthetic-graft" {
            return None;
        }
        Some(match self.style.as_str() {
            "base64" | "homoglyph" | "unicode_tags" | "zero_width" => "obfuscated",
            style if style.starts_with("mcptox") => "hijack",
            "line_jump_context_lie" | "telemetry_addition" => "hijack",
            _ => "plain",
        })
    }

    /// Which tenth of all rows it is in, by its name.
    pub(crate) fn tenth(&self) -> usize {
        usize::from(blake3::hash(self.id.as_bytes()).as_bytes()[0]) % TENTHS
    }

    /// What is kept apart in cross-validation: all of a source, or of a generated style.
    pub(crate) fn fold(&self) -> String {
        if self.generated().is_some() {
            format!("{}: {}", self.source, self.style)
        } else {
            self.source.clone()
        }
    }
}
