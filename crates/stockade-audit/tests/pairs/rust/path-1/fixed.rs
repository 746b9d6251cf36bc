// rule: path_escape
// attack: ["call_tool", {"path": "../secret.txt"}]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct CallToolRequest {
    pub arguments: HashMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("ROOT").unwrap()).canonicalize().unwrap()
}

fn inside(path: &str) -> Result<PathBuf, String> {
    let full = root().join(path).canonicalize().map_err(|_| "not there".to_string())?;
    if !full.starts_with(root()) {
        return Err("outside".into());
    }
    Ok(full)
}

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let path = request.arguments.get("path").ok_or("no path")?;
    let full = inside(path)?;
    std::fs::read_to_string(full).map_err(|_| "cannot read".to_string())
}
