//! The text of a question, opened in an editor: a file that nobody else can read, and that is gone
//! afterwards.

use std::fs;
use std::process::Command;

use serde_json::Value;
use stockade_core::check::visible;

use crate::approvals::Shown;
use crate::approvals::shown::pretty;
use crate::failure::{Exit, Failure};

/// What is used where nobody has said what they use.
const EDITOR: &str = "vi";

/// What somebody has made of what can be changed of a question. Whoever leaves it as it was has said
/// nothing: an editor that has not come up looks the same.
pub(super) fn edited(shown: &Shown) -> Result<Value, Failure> {
    let editable = Some(shown).filter(|it| !it.flood).and_then(|it| it.asked.question.editable());
    let Some(before) = editable else {
        return Err(Failure::new(Exit::Usage, "nothing of this question can be changed")
            .help("what a server asks of a model can be, and what goes back to a server"));
    };
    let failed =
        |it: std::io::Error| Failure::new(Exit::Usage, "cannot edit the question").from(it);
    // For this user alone, whatever the umask is.
    let directory = tempfile::Builder::new().prefix("stockade-").tempdir().map_err(failed)?;
    let file = directory.path().join("question.json");
    fs::write(&file, pretty(before) + "\n").map_err(failed)?;
    let named = |it| std::env::var_os(it).filter(|it| !it.is_empty());
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(named);
    let editor = editor.unwrap_or_else(|| EDITOR.into());
    // As git does it: what is named there may have options.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "eval \"$0 \\\"\\$1\\\"\""]).arg(&editor).arg(&file);
    let status = command.status().map_err(failed)?;
    if !status.success() {
        let editor = visible(&editor.to_string_lossy());
        let says = format!("`{editor}` has failed, and nothing is allowed");
        return Err(Failure::new(Exit::Usage, says));
    }
    let text = fs::read_to_string(&file).map_err(failed)?;
    let after: Value = serde_json::from_str(&text)
        .map_err(|it| Failure::new(Exit::Usage, "what was edited is no JSON").from(it))?;
    if !after.is_object() {
        return Err(Failure::new(Exit::Usage, "what was edited is not an object any more"));
    }
    if after == *before {
        let as_it_is =
            format!("`stockade approvals allow {}` allows it as it is", visible(&shown.id));
        return Err(Failure::new(Exit::Findings, "nothing was changed, so nothing is answered")
            .help(as_it_is));
    }
    Ok(after)
}
