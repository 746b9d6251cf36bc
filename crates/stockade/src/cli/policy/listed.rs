//! The tools of a server, from a file that has them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use stockade_core::check::visible;

use crate::failure::{Exit, Failure};

/// What is longer is no list of tools.
const BYTES_MAX: u64 = 16 << 20;

/// Reads the tools of a file: a result of `tools/list`, or a message with one, a list, or a tool in
/// each line.
///
/// # Errors
/// When there are none to be read.
pub(super) fn tools(path: &Path) -> Result<Vec<Value>, Failure> {
    let failed = |says: String| {
        let path = visible(&path.display().to_string());
        Failure::new(Exit::Usage, format!("cannot read the tools in `{path}`: {says}"))
            .help("have a file with a result of `tools/list`, or with a tool in each line")
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|it| failed(it.to_string()))?;
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(|it| failed(it.to_string()))?;
    let tools = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Array(tools)) => tools,
        Ok(whole) => {
            let list = ["/tools", "/result/tools"].iter().find_map(|it| whole.pointer(it));
            match list.and_then(Value::as_array) {
                Some(tools) => tools.clone(),
                None => vec![whole],
            }
        }
        Err(_) => {
            let lines = text.lines().enumerate().filter(|(_, it)| !it.trim().is_empty());
            let each = lines.map(|(n, it)| {
                serde_json::from_str(it).map_err(|it| failed(format!("line {}: {it}", n + 1)))
            });
            each.collect::<Result<_, _>>()?
        }
    };
    match tools.iter().find(|it| it.get("name").and_then(Value::as_str).is_none()) {
        None if !tools.is_empty() => Ok(tools),
        None => Err(failed("there are none".to_owned())),
        Some(other) => {
            let other: String = other.to_string().chars().take(80).collect();
            Err(failed(format!("this is no tool, since it has no name: {}", visible(&other))))
        }
    }
}
