//! The files of the page: those that were built into the program, or others, for whoever works on them.
//! Where none were built, there is one that says so.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};
use rust_embed::RustEmbed;

use crate::browser::answers::{Answer, file, held_to, says};

/// What `make console` builds. A build on a machine without Node has nothing of it.
#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Built;

/// Stands in the page for what says of a style that the program has sent it.
const NONCE: &str = "__NONCE__";

const MISSING: &str = include_str!("page/missing.html");

/// Where the files of the page are.
#[derive(Debug)]
pub enum Pages {
    /// In the program.
    BuiltIn,
    /// In this directory.
    Directory(PathBuf),
}

impl Pages {
    /// In a word.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::BuiltIn if Built::get("index.html").is_none() => "missing",
            Self::BuiltIn => "built in",
            Self::Directory(_) => "of a directory",
        }
    }

    /// The file of this path.
    pub(super) fn answer(&self, path: &str) -> Answer {
        let path = path.trim_start_matches('/');
        let path = if path.is_empty() { "index.html" } else { path };
        let Some(bytes) = self.read(path) else {
            return match path {
                "index.html" => file("text/html; charset=utf-8", MISSING),
                _ => says(StatusCode::NOT_FOUND, "There is no such page."),
            };
        };
        let kind = kind(path);
        if path != "index.html" {
            return file(kind, bytes.into_owned());
        }
        let mut random = [0; 16];
        if getrandom::fill(&mut random).is_err() {
            return says(StatusCode::INTERNAL_SERVER_ERROR, "There is no randomness.");
        }
        let nonce = STANDARD.encode(random);
        let text = String::from_utf8_lossy(&bytes).replace(NONCE, &nonce);
        match HeaderValue::try_from(policy(&nonce)) {
            Ok(policy) => held_to(file(kind, text), policy),
            Err(_) => says(StatusCode::INTERNAL_SERVER_ERROR, "There is no page."),
        }
    }

    fn read(&self, path: &str) -> Option<Cow<'static, [u8]>> {
        match self {
            Self::BuiltIn => Built::get(path).map(|it| it.data),
            Self::Directory(directory) => {
                let path = Path::new(path);
                let is_below = path.components().all(|it| matches!(it, Component::Normal(_)));
                let file = directory.join(path);
                is_below.then(|| std::fs::read(file).ok()).flatten().map(Cow::Owned)
            }
        }
    }
}

/// What the page may do: run its own files, draw what a server has sent as a picture, and speak to this
/// program. It is in no frame, and has none.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' blob: \
         data:; media-src blob: data:; font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri \
         'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types default"
    )
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, it)| it).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_in_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("page");
        std::fs::create_dir_all(below.join("assets")).unwrap();
        std::fs::write(directory.path().join("secret"), "s").unwrap();
        std::fs::write(below.join("assets/a.js"), "a").unwrap();
        let pages = Pages::Directory(below);
        assert_eq!(pages.read("assets/a.js").as_deref(), Some(&b"a"[..]));
        for path in ["../secret", "assets/../../secret", "/etc/passwd", "", ".", "assets"] {
            assert_eq!(pages.read(path), None, "{path}");
        }
    }
}
