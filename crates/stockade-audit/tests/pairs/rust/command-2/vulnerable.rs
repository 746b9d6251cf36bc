// rule: command_from_caller
// attack: ["call_tool", {"command": "cat ../secret.txt"}]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct CallToolRequest {
    pub arguments: HashMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("ROOT").unwrap()).canonicalize().unwrap()
}

use std::process::Command;

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let line = request.arguments.get("command").cloned().unwrap_or_default();
    let mut words = line.split_whitespace();
    let program = words.next().ok_or("empty")?;
    let mut command = Command::new(program);
    command.args(words).current_dir(root());
    let out = command.output().map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
