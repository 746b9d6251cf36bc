//! `stockade policy init`: a policy to begin with, for a server that many use.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use stockade_core::check::visible;
use toml_edit::{DocumentMut, Item, Value};

use super::columns;
use crate::cli::printed;
use crate::config::{ConfigError, Flags, Resolved, Source};
use crate::failure::{Exit, Failure};

/// A policy to begin with.
struct Starter {
    name: &'static str,
    text: &'static str,
}

macro_rules! starters {
    ($($name:literal,)+) => {
        const STARTERS: &[Starter] = &[$(Starter {
            name: $name,
            text: include_str!(concat!("../../../policies/", $name, ".toml")),
        }),+];
        const NAMES: &[&str] = &[$($name),+];
    };
}

starters![
    "filesystem",
    "git",
    "fetch",
    "memory",
    "sqlite",
    "time",
    "sequential-thinking",
    "everything",
    "playwright",
    "github",
];

/// Prints a policy to begin with: the least that a server needs which many use. Each is tested against
/// that server. Without a name it lists them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  stockade policy init
  stockade policy init filesystem --root ~/notes > notes.toml
  stockade policy init fetch --net docs.python.org --write ~/policies/fetch.toml

Read it before you use it: its first lines say what it is for, and how the server is started with it.")]
pub(super) struct InitArgs {
    /// The server.
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(NAMES))]
    name: Option<String>,
    /// The directory that the server is there for, in place of the one in the policy. With ":ro"
    /// behind it, the server may not write there.
    #[arg(long, value_name = "DIR[:ro|rw]", requires = "name")]
    root: Option<String>,
    /// Whom the server may reach, in place of those in the policy. May be repeated.
    #[arg(long, value_name = "HOST[:PORT]", requires = "name", value_delimiter = ',')]
    net: Vec<String>,
    /// Write the policy to this file, which must not be there yet.
    #[arg(long, value_name = "FILE", requires = "name")]
    write: Option<PathBuf>,
}

impl InitArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let named = self.name.as_deref();
        let Some(starter) = STARTERS.iter().find(|it| Some(it.name) == named) else {
            let rows = STARTERS.iter().map(|it| vec![it.name.to_owned(), it.about()]);
            let mut out = Vec::new();
            printed(columns(rows.collect(), &mut out).and_then(|()| io::stdout().write_all(&out)))?;
            return Ok(ExitCode::SUCCESS);
        };
        let text = self.fitted(starter)?;
        let source = Source { path: starter.name.into(), text: text.as_str().into() };
        let resolved = Resolved::new(Some(source), &Flags::default());
        let resolved = resolved.map_err(|it: ConfigError| {
            Failure::rendered(Exit::Usage, it.render(true))
                .help("mend what was given with `--root` or `--net`")
        })?;
        if self.root.is_none()
            && let Some(root) = resolved.roots.first()
        {
            let root = visible(&root.path);
            anstream::eprintln!(
                "note: `{root}` stands for a directory of yours: name it with `--root DIR`"
            );
        }
        match &self.write {
            None => {
                printed(io::stdout().write_all(text.as_bytes()))?;
            }
            Some(path) => {
                let failed = |error: io::Error| {
                    let says = format!("cannot write the policy to `{}`", path.display());
                    Failure::new(Exit::Usage, says)
                        .from(error)
                        .help("name a file that can be made and is not there yet")
                };
                let mut file = File::create_new(path).map_err(failed)?;
                file.write_all(text.as_bytes()).map_err(failed)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The policy, with the roots and hosts that were given.
    fn fitted(&self, starter: &Starter) -> Result<String, Failure> {
        let broken = |it: toml_edit::TomlError| {
            Failure::new(Exit::Usage, "the policy that is built in is no TOML").from(it)
        };
        let mut policy: DocumentMut = starter.text.parse().map_err(broken)?;
        let mut text_of_roots = None;
        if let Some(root) = &self.root {
            let roots = policy.get_mut("roots").and_then(Item::as_array_mut).ok_or_else(|| {
                Failure::new(Exit::Usage, format!("`{}` needs no directory", starter.name))
                    .help("leave `--root` away")
            })?;
            let (given, mode) = match root.rsplit_once(':') {
                Some((path, mode @ ("ro" | "rw"))) => (path, Some(mode)),
                Some(_) | None => (root.as_str(), None),
            };
            // Where it leads depends on links, and on where one stands.
            if Path::new(given).components().any(|it| it == Component::ParentDir) {
                let says = format!("cannot use the root `{}`: it has `..` in it", visible(given));
                return Err(Failure::new(Exit::Usage, says).help("name the directory itself"));
            }
            let whole = std::path::absolute(given).map_err(|it| {
                Failure::new(Exit::Usage, format!("cannot use the root `{given}`")).from(it)
            })?;
            let whole = whole.to_str().ok_or_else(|| {
                Failure::new(Exit::Usage, format!("cannot use the root `{given}`: it is not UTF-8"))
            })?;
            let whole = whole.trim_end_matches('/');
            if whole.chars().any(char::is_control) {
                let says =
                    format!("cannot use the root `{}`: it has control characters", visible(given));
                return Err(Failure::new(Exit::Usage, says).help("name another directory"));
            }
            let held = roots.get(0).and_then(Value::as_str).unwrap_or_default();
            let held = held.trim_end_matches(":rw").to_owned();
            for root in roots.iter_mut() {
                let written = root.as_str().unwrap_or_default();
                let rest = written.strip_prefix(&held).unwrap_or_default();
                let rest = if mode == Some("ro") { rest.trim_end_matches(":rw") } else { rest };
                let decor = root.decor().clone();
                *root = Value::from(format!("{whole}{rest}"));
                *root.decor_mut() = decor;
            }
            text_of_roots = Some((held, whole.to_owned()));
        }
        if !self.net.is_empty() {
            let sandbox = policy.get_mut("sandbox").and_then(Item::as_table_mut);
            let net = sandbox.and_then(|it| it.get_mut("net")).and_then(Item::as_array_mut);
            let net = net.ok_or_else(|| {
                Failure::new(Exit::Usage, format!("`{}` needs no network", starter.name))
                    .help("leave `--net` away")
            })?;
            *net = self.net.iter().collect();
        }
        let text = policy.to_string();
        Ok(match text_of_roots {
            // What the comments say of it.
            Some((held, whole)) => {
                let lines = text.split_inclusive('\n').map(|it| match it.starts_with('#') {
                    true => it.replace(&held, &whole),
                    false => it.to_owned(),
                });
                lines.collect()
            }
            None => text,
        })
    }
}

impl Starter {
    /// What it is for: its first sentence.
    fn about(&self) -> String {
        let words = self.text.lines().map_while(|it| it.strip_prefix("# "));
        let words = words.collect::<Vec<_>>().join(" ");
        let first = words.split(". ").next().unwrap_or_default();
        first.trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_policy_that_denies_what_it_does_not_name() {
        for starter in STARTERS {
            let source = Source { path: starter.name.into(), text: starter.text.into() };
            let resolved = Resolved::new(Some(source), &Flags::default())
                .unwrap_or_else(|it| panic!("{}", it.render(false)));
            let tools = &resolved.policy.tools;
            assert_eq!(tools.default, stockade_core::policy::Effect::Deny, "{}", starter.name);
            assert!(starter.about().starts_with("For "), "{}", starter.about());
            assert!(!resolved.policy.shadow, "{}", starter.name);
        }
    }

    #[test]
    fn roots_and_hosts_are_those_that_were_given() {
        let fitted = |name: &str, root: Option<&str>, net: &[&str]| {
            let args = InitArgs {
                name: Some(name.to_owned()),
                root: root.map(str::to_owned),
                net: net.iter().map(|it| (*it).to_owned()).collect(),
                write: None,
            };
            let starter = STARTERS.iter().find(|it| it.name == name).unwrap();
            args.fitted(starter).map_err(|it| it.to_string())
        };
        let git = fitted("git", Some("/home/ada/my \"code\"/"), &[]).unwrap();
        assert!(git.contains("'/home/ada/my \"code\"/.git:rw'"), "{git}");
        let git = fitted("git", Some("/a:ro"), &[]).unwrap();
        assert!(git.contains("roots = [\"/a\", \"/a/.git\"]"), "{git}");
        assert!(git.contains("--repository /a\n"), "{git}");
        let fetch = fitted("fetch", None, &["docs.python.org", "b.example:8443"]).unwrap();
        assert!(fetch.contains("net = [\"docs.python.org\", \"b.example:8443\"]"), "{fetch}");
        for root in ["../x", "/a/../b", "x/..:ro"] {
            assert!(fitted("git", Some(root), &[]).unwrap_err().contains("`..`"), "{root}");
        }
        assert!(fitted("time", Some("/a"), &[]).unwrap_err().contains("`time` needs no directory"));
        assert!(fitted("time", None, &["a"]).unwrap_err().contains("`time` needs no network"));
    }
}
