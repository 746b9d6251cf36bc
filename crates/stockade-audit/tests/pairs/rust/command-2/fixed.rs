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
    let program = match line.as_str() {
        "date" => "date",
        "list" => "ls",
        _ => return Err("not allowed".into()),
    };
    let out = Command::new(program).current_dir(root()).output().map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
