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

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let path = request.arguments["path"].replace("..\\", "");
    let full = root().join(Path::new(&path));
    if !full.exists() {
        return Err("not there".into());
    }
    let bytes = std::fs::read(&full).map_err(|_| "cannot read")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
