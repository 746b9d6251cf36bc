//! What tells a server that is a process from another with the same command: the programs that the
//! command names, as they are, and what the server is given and held by. What was allowed for later to
//! the one is not allowed to the other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stockade_sandbox::{Access, Spec};

use crate::code;

/// All of it, as a value that is the same each time.
pub(super) fn of(spec: &Spec) -> Value {
    let mut names: Vec<String> = spec.env.iter().map(|(name, _)| shown(name)).collect();
    names.sort();
    let held = spec.confine.as_deref().map(|it| {
        let roots = it.roots.iter().map(|it| {
            let writes = matches!(it.access, Access::Write);
            json!([it.path.to_string_lossy(), writes])
        });
        let network = it.network.destinations().iter().map(ToString::to_string);
        let engine = it
            .engine
            .as_ref()
            .map(|it| json!([it.program.name(), it.image.as_ref().map(ToString::to_string)]));
        json!({
            "engine": engine,
            "roots": roots.collect::<Vec<_>>(),
            "programs": it.programs.iter().map(|it| it.to_string_lossy()).collect::<Vec<_>>(),
            "network": network.collect::<Vec<_>>(),
            "secrets": it.secrets.iter().map(|it| &it.name).collect::<Vec<_>>(),
            "weaker": it.allow_weaker.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    json!({ "env": names, "programs": programs(spec), "held": held })
}

fn shown(text: &OsString) -> String {
    text.to_string_lossy().into_owned()
}

/// The programs and scripts that the command names, and what is in them. Its other files are what it
/// works on, and change. In a container names are looked for there, not here.
fn programs(spec: &Spec) -> BTreeMap<String, String> {
    let from = spec.cwd.clone().unwrap_or_default();
    let is_contained = spec.confine.as_deref().is_some_and(|it| it.engine.is_some());
    let path = spec.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| &**value);
    let named = code::named(&spec.command, &from, path.filter(|_| !is_contained));
    let read = |(name, file): (String, PathBuf)| {
        let about = fs::metadata(&file).ok()?;
        Some((name, content(&file, &about)))
    };
    named.into_iter().filter_map(read).collect()
}

/// A longer program is known by its file, which nobody changes without its being seen: to read an
/// interpreter of a hundred megabytes would make each start late.
const BYTES_MAX: u64 = 16 << 20;

/// The hash of a file; one that cannot be read is no other file's.
fn content(file: &Path, about: &Metadata) -> String {
    if about.len() > BYTES_MAX {
        let changed = (about.ctime(), about.ctime_nsec());
        return format!("{}:{} {} bytes {changed:?}", about.dev(), about.ino(), about.len());
    }
    let hash = || -> io::Result<String> {
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut File::open(file)?, &mut hasher)?;
        Ok(hasher.finalize().to_hex().to_string())
    };
    hash().unwrap_or_else(|error| format!("{} bytes: {error}", about.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_or_another_hold_is_another_server() {
        let top = tempfile::tempdir().unwrap();
        let script = top.path().join("server.py");
        let data = top.path().join("notes.db");
        fs::write(&script, "1").unwrap();
        fs::write(&data, "1").unwrap();
        let command = ["python3".into(), script.clone().into(), data.clone().into()];
        let mut spec = Spec { command: command.into(), ..Spec::default() };
        let first = of(&spec);
        fs::write(&data, "2").unwrap();
        assert_eq!(of(&spec), first, "what it works on changes");
        spec.env.push(("TOKEN".into(), "1".into()));
        let with_token = of(&spec);
        assert_ne!(with_token, first);
        spec.confine = Some(Box::default());
        let held = of(&spec);
        assert_ne!(held, with_token);
        fs::write(&script, "2").unwrap();
        assert_ne!(of(&spec), held);
    }

    #[test]
    fn a_program_that_is_looked_for_is_another_when_it_was_changed() {
        use std::os::unix::fs::PermissionsExt;
        let top = tempfile::tempdir().unwrap();
        let program = top.path().join("mysrv");
        fs::write(&program, "1").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let env = vec![("PATH".into(), top.path().into())];
        let spec = Spec { command: vec!["mysrv".into()], env, ..Spec::default() };
        let first = of(&spec);
        assert_eq!(of(&spec), first);
        fs::write(&program, "2").unwrap();
        assert_ne!(of(&spec), first);
    }
}
