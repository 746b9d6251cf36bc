//! What a conversation may be about, and where a root of the client becomes part of it: from the
//! policy file, or from the command line in its place.

use std::path::{Component, Path};

use stockade_core::policy::Origin;
use stockade_core::root::{self, Admission, Admitted};

use super::super::file::{At, File, ServerTable};
use super::{ConfigError, Making};

/// A directory that a conversation may be about, or a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The whole path, or the URI.
    pub path: String,
    /// Whether it may be written to.
    pub write: bool,
    /// Who said so.
    pub origin: Origin,
}

impl Root {
    /// `--root DIR`, `DIR:ro` or `DIR:rw`: on a command line, a path is where the user is. Or a URI.
    ///
    /// # Errors
    /// When it is no path that could be one of a directory. Whether it is there is not looked at.
    pub fn from_flag(root: &str) -> Result<Self, ConfigError> {
        let (path, write) = split(root);
        let wrong = |why: String| ConfigError::Root { root: root.to_owned(), why };
        let origin = Origin { id: "roots".to_owned(), place: "--root".to_owned() };
        let path = if root::scheme(path).is_some() { uri(path, write) } else { whole(path) };
        Ok(Self { path: path.map_err(wrong)?, write, origin })
    }

    /// Whether it is a URI, and no directory.
    pub fn is_uri(&self) -> bool {
        root::scheme(&self.path).is_some()
    }
}

impl Making<'_> {
    pub(super) fn roots(
        &mut self,
        file: &File,
        server: Option<&ServerTable>,
    ) -> Result<Vec<Root>, ConfigError> {
        let everywhere = file.roots.iter().flat_map(|it| &it.value).map(|it| self.root(it));
        let everywhere: Vec<Root> = everywhere.collect::<Vec<_>>().into_iter().flatten().collect();
        if !self.flags.roots.is_empty() {
            return self.flags.roots.iter().map(|it| Root::from_flag(it)).collect();
        }
        match server.and_then(|it| it.roots.as_ref()) {
            // What is wrong with these was noted with the server.
            Some(own) => Ok(own.value.iter().filter_map(|it| self.quiet_root(it).ok()).collect()),
            None => Ok(everywhere),
        }
    }

    pub(super) fn client_roots(
        &mut self,
        file: &File,
        server: Option<&ServerTable>,
    ) -> Result<Vec<Admission>, ConfigError> {
        let key = "client_roots";
        let everywhere = file.client_roots.iter().flat_map(|it| &it.value);
        let everywhere: Vec<_> = everywhere.map(|it| self.admission(it)).collect();
        if !self.flags.client_roots.is_empty() {
            for it in &self.flags.client_roots {
                let place = "--client-root".to_owned();
                self.settings.push(super::Setting {
                    key: key.to_owned(),
                    value: it.clone(),
                    place,
                });
            }
            return self.flags.client_roots.iter().map(|it| admission_of_flag(it)).collect();
        }
        let said = server.and_then(|it| it.client_roots.as_ref());
        for it in said.or(file.client_roots.as_ref()).iter().flat_map(|it| &it.value) {
            self.setting(key, &it.value, &it.span);
        }
        match said {
            // What is wrong with these was noted with the server.
            Some(own) => Ok(own.value.iter().filter_map(|it| admission(&it.value).ok()).collect()),
            None => Ok(everywhere.into_iter().flatten().collect()),
        }
    }

    pub(super) fn root(&mut self, at: &At<String>) -> Option<Root> {
        let read = self.quiet_root(at);
        read.map_err(|why| self.wrong(&at.span, "this is not a directory to work in", why)).ok()
    }

    pub(super) fn admission(&mut self, at: &At<String>) -> Option<Admission> {
        let read = admission(&at.value);
        read.map_err(|why| self.wrong(&at.span, "this is not where roots can be", why)).ok()
    }

    fn quiet_root(&self, at: &At<String>) -> Result<Root, String> {
        let (path, write) = split(&at.value);
        let path = match root::scheme(path) {
            Some(_) => uri(path, write)?,
            None if !path.starts_with('/') => return Err("a whole path is wanted".to_owned()),
            None => directory(&at.value, path)?,
        };
        Ok(Root { path, write, origin: self.origin("roots", &at.span) })
    }
}

/// Where a root of the client counts, as a file has it.
fn admission(text: &str) -> Result<Admission, String> {
    let (path, write) = split(text);
    let place = match root::scheme(path) {
        _ if path == "*" => Admitted::Anywhere,
        Some(_) => Admitted::Uri(uri(path, write)?),
        None if !path.starts_with('/') => return Err("a whole path is wanted, or `*`".to_owned()),
        None => Admitted::Directory(directory(text, path)?),
    };
    Ok(Admission { place, write })
}

/// The same as `--client-root` has it: there, a path is where the user is.
fn admission_of_flag(text: &str) -> Result<Admission, ConfigError> {
    let (path, write) = split(text);
    let wrong = |why: String| ConfigError::ClientRoot { root: text.to_owned(), why };
    if path == "*" || root::scheme(path).is_some() {
        return admission(text).map_err(wrong);
    }
    Ok(Admission { place: Admitted::Directory(whole(path).map_err(wrong)?), write })
}

fn split(root: &str) -> (&str, bool) {
    match (root.strip_suffix(":rw"), root.strip_suffix(":ro")) {
        (Some(path), _) => (path, true),
        (None, Some(path)) => (path, false),
        (None, None) => (root, false),
    }
}

/// The path of what a file has, without a mode.
fn directory(said: &str, path: &str) -> Result<String, String> {
    match misspelled(said) {
        Some(mode) => Err(format!("`:{mode}` is neither `:ro` nor `:rw`")),
        None => plain(path),
    }
}

/// What looks like a mode and is none. A directory that is called so is written with `:ro` behind it.
fn misspelled(root: &str) -> Option<&str> {
    let (_, mode) = root.rsplit_once(':')?;
    let is_mode = |it: u8| b"rwxo".contains(&it.to_ascii_lowercase());
    let is_one = (1..=3).contains(&mode.len()) && mode.bytes().all(is_mode);
    (is_one && !matches!(mode, "ro" | "rw")).then_some(mode)
}

fn plain(path: &str) -> Result<String, String> {
    stockade_kit::path::inside(&[path], path).map_err(|it| it.to_string())
}

/// A path of the command line, as its user knows it. Links in it stay, since whoever may change one
/// must not choose a root, and that is looked at where they are seen (`ByALink`). So `..` is taken
/// away by the text, and only where that names the same directory.
fn whole(path: &str) -> Result<String, String> {
    let whole = std::path::absolute(path).map_err(|it| it.to_string())?;
    let climbs = whole.components().any(|it| it == Component::ParentDir);
    let text = |it: &Path| it.to_str().map(str::to_owned).ok_or_else(|| "not UTF-8".to_owned());
    if !climbs {
        return plain(&text(&whole)?);
    }
    let mut short = std::path::PathBuf::new();
    for part in whole.components() {
        if part == Component::ParentDir {
            short.pop();
        } else {
            short.push(part);
        }
    }
    let real = |it: &Path| std::fs::canonicalize(it).map_err(|it| it.to_string());
    let meant = real(&whole)?;
    if real(&short).ok().as_ref() != Some(&meant) {
        return Err(format!("its `..` goes up from a link: it leads to `{}`", meant.display()));
    }
    plain(&text(&short)?)
}

fn uri(text: &str, write: bool) -> Result<String, String> {
    if write {
        return Err("only a directory is written to".to_owned());
    }
    let whole = root::uri(text).map_err(|it| it.to_string())?;
    if let Some(it) = root::destination(&whole) {
        it.parse::<stockade_sandbox::Destination>().map_err(|it| it.to_string())?;
    }
    Ok(whole)
}
