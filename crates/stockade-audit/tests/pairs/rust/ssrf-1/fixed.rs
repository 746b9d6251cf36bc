// rule: ssrf
// attack: ["call_tool", {"address": "{CANARY_HOST}"}]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct CallToolRequest {
    pub arguments: HashMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("ROOT").unwrap()).canonicalize().unwrap()
}

use std::io::{Read, Write};
use std::net::TcpStream;

const ADDRESSES: &[&str] = &["192.0.2.1:80"];

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let address = &request.arguments["address"];
    if !ADDRESSES.contains(&address.as_str()) {
        return Err("not allowed".into());
    }
    let mut stream = TcpStream::connect(address.as_str()).map_err(|e| e.to_string())?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").map_err(|e| e.to_string())?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|e| e.to_string())?;
    Ok(text)
}
