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

use std::path::Component;

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let path = Path::new(&request.arguments["path"]);
    if path.components().any(|it| !matches!(it, Component::Normal(_))) {
        return Err("outside".into());
    }
    let bytes = std::fs::read(root().join(path)).map_err(|_| "cannot read")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
