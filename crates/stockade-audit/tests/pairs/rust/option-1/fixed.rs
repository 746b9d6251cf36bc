// rule: option_injection
// attack: ["call_tool", {"file": "--output=../pwned"}]

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
    let file = &request.arguments["file"];
    let out = Command::new("sort").args(["--", file.as_str()]).current_dir(root()).output();
    Ok(String::from_utf8_lossy(&out.map_err(|e| e.to_string())?.stdout).into_owned())
}
