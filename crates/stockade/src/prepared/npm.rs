//! Packages for Node.js, by the user's own npm: it resolves into a lock, and installs what is in
//! the lock and nothing else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use stockade_core::check::visible;

use super::Found;
use super::error::Error;
use super::manifest::{Dependency, Made, Program};
use super::registry::{Registry, comes_from, host_of, without_password};
use super::workshop::{Workshop, find, read_plain};
use stockade_kit::launch::{Package, Wanted, is_npm_release, is_plain_name};

const GET_NODE: &str = "install Node.js 20 or newer with npm, from your distribution or nodejs.org";
const TRY_AGAIN: &str = "check name, version and network; `--registry URL` names another registry";
const LOCK: &str = "package-lock.json";
const JSON_BYTES_MAX: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Npm {
    options: Vec<OsString>,
    hosts: Vec<String>,
}

/// npm's lock, as far as it is of interest.
#[derive(Debug, Deserialize)]
struct Lock {
    packages: BTreeMap<String, Locked>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locked {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    in_bundle: bool,
    #[serde(default)]
    has_install_script: bool,
}

/// Where npm looks when nothing is configured, by its own word.
pub(super) fn own_hosts(workshop: &Workshop) -> Result<Vec<String>, Error> {
    find("node", GET_NODE)?;
    find("npm", GET_NODE)?;
    let mut command: Vec<OsString> = ["npm", "config", "get", "registry"].map(Into::into).into();
    command.extend(no_configuration(workshop));
    let [said, _] = workshop.run(&command, &[], GET_NODE)?;
    let host = host_of(said.trim()).ok_or_else(|| Error::Host {
        hosts: visible(said.trim()),
        why: "npm says that it looks there, and it is no address".to_owned(),
    })?;
    Ok(vec![host])
}

/// Nothing is read of what is configured for this user or directory.
fn no_configuration(workshop: &Workshop) -> [OsString; 4] {
    [
        "--userconfig".into(),
        workshop.at("no-npmrc").into(),
        "--globalconfig".into(),
        workshop.at("no-global-npmrc").into(),
    ]
}

impl Npm {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        find("node", GET_NODE)?;
        find("npm", GET_NODE)?;
        let mut options = registry.ca_option("--cafile");
        options.extend(registry.url.iter().map(|it| format!("--registry={it}").into()));
        let scopes = registry.scopes.iter();
        options.extend(scopes.map(|(scope, url)| format!("--{scope}:registry={url}").into()));
        Ok(Self { options, hosts: registry.hosts.clone() })
    }

    pub(super) fn resolve(&self, package: &Package, workshop: &Workshop) -> Result<Found, Error> {
        let wanted = match &package.wanted {
            Wanted::Range(range) if range.is_empty() => "latest",
            Wanted::Exact(it) | Wanted::Range(it) => it,
        };
        let project = json!({
            "name": "prepared", "version": "0.0.0", "private": true,
            "dependencies": { package.name.as_str(): wanted },
        });
        workshop.write("package.json", &project.to_string())?;
        self.run(workshop, &package.name, &self.hosts, &["install", "--package-lock-only"])?;
        let lock = read_lock(&workshop.read(LOCK)?)?;
        let mut scripts: Vec<String> = Vec::new();
        let mut all = Vec::new();
        for (place, locked) in lock.packages.iter().filter(|(place, _)| !place.is_empty()) {
            let dependency = locked.dependency(place, &self.hosts)?;
            if locked.has_install_script {
                scripts.push(dependency.to_string());
            }
            all.push((place.as_str(), dependency));
        }
        let own = place_of(&package.name);
        let (itself, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(it, _)| *it == own);
        let [(_, itself)] = <[_; 1]>::try_from(itself)
            .map_err(|_| garbled("the package itself is not in it".to_owned()))?;
        if itself.name != package.name {
            return Err(garbled(format!("`{}` is there as `{}`", package.name, itself.name)));
        }
        let others = others.into_iter().map(|(_, it)| it).collect();
        scripts.sort();
        Ok(Found { itself, others, scripts })
    }

    pub(super) fn install(&self, itself: &Dependency, workshop: &Workshop) -> Result<Made, Error> {
        self.run(workshop, &itself.name, &self.hosts, &["ci", "--omit=dev"])?;
        let modules = workshop.at("node_modules");
        // What npm says it has installed, and what it was told to.
        let hidden = modules.join(".package-lock.json");
        let installed = read_lock(&read_plain(&hidden, JSON_BYTES_MAX * 16)?)?;
        let lock = read_lock(&workshop.read(LOCK)?)?;
        let mut packages = Vec::new();
        for (place, locked) in &installed.packages {
            let dependency = locked.dependency(place, &self.hosts)?;
            let told =
                lock.packages.get(place).map(|it| it.dependency(place, &self.hosts)).transpose()?;
            if told.as_ref() != Some(&dependency) {
                let why = "is not what was resolved".to_owned();
                return Err(Error::Refused { package: dependency.to_string(), why });
            }
            packages.push(dependency);
        }
        packages.sort();
        fs::remove_file(&hidden).map_err(Error::file(&hidden))?;
        let tree = workshop.at("tree");
        fs::create_dir(&tree).map_err(Error::file(&tree))?;
        fs::rename(&modules, tree.join("node_modules")).map_err(Error::file(&modules))?;
        let programs = programs(&tree, &itself.name)?;
        Ok(Made { tree, packages, programs, interpreter: None })
    }

    /// Without scripts, links, and anything that is configured for this user or directory.
    fn run(
        &self,
        workshop: &Workshop,
        package: &str,
        hosts: &[String],
        what: &[&str],
    ) -> Result<(), Error> {
        let mut command: Vec<OsString> = vec!["npm".into()];
        command.extend(what.iter().map(OsString::from));
        let always = [
            "--ignore-scripts",
            "--no-bin-links",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--no-progress",
            "--install-strategy=hoisted",
            "--loglevel=warn",
            // By itself it waits for five minutes, three times, for each file.
            "--fetch-retries=1",
            "--fetch-retry-mintimeout=1000",
            "--fetch-retry-maxtimeout=5000",
            "--fetch-timeout=60000",
        ];
        command.extend(always.map(OsString::from));
        command.extend(["--cache".into(), workshop.at("cache").into()]);
        command.extend(no_configuration(workshop));
        command.extend(self.options.iter().cloned());
        let [_, errors] = workshop.run(&command, hosts, TRY_AGAIN)?;
        // npm goes on without a file that it cannot unpack, because it would be outside of the
        // package, or another's when it is executed.
        let Some(line) = errors.lines().find(|it| it.contains("TAR_ENTRY_ERROR")) else {
            return Ok(());
        };
        let why = format!("or a package that it needs is not unpacked whole: {}", visible(line));
        Err(Error::Refused { package: package.to_owned(), why })
    }
}

impl Locked {
    /// The package, if it is one of a registry with a digest that nobody can meet with another.
    fn dependency(&self, place: &str, hosts: &[String]) -> Result<Dependency, Error> {
        let by_place = place.rsplit("node_modules/").next().unwrap_or_default();
        let name = self.name.clone().unwrap_or_else(|| by_place.to_owned());
        let version = self.version.clone().unwrap_or_default();
        let refused = |why: &str| {
            let package = visible(&format!("{name} {version}"));
            Error::Refused { package, why: why.to_owned() }
        };
        if !is_npm_release(&name, &version) {
            return Err(refused("has a name or version that is none"));
        }
        if self.link || !place.starts_with("node_modules/") {
            return Err(refused("is a directory of the machine, and not of a registry"));
        }
        let url = self.resolved.clone().unwrap_or_default();
        let integrity = self.integrity.clone().unwrap_or_default();
        if !(comes_from(hosts, &url) || self.in_bundle && url.is_empty()) {
            let from = host_of(&url).unwrap_or_else(|| "no address".to_owned());
            let why = format!(
                "comes from {from}, which is not the registry; name it with `--net` if it is meant"
            );
            return Err(refused(&why));
        }
        if self.in_bundle {
            return Ok(Dependency { name, version, integrity: String::new(), url: String::new() });
        }
        if !["sha512-", "sha384-", "sha256-"].iter().any(|it| integrity.starts_with(it)) {
            return Err(refused("has no digest in the registry that could be checked"));
        }
        Ok(Dependency { name, version, integrity, url: without_password(&url) })
    }
}

fn place_of(name: &str) -> String {
    format!("node_modules/{name}")
}

fn read_lock(text: &str) -> Result<Lock, Error> {
    serde_json::from_str(text).map_err(|it| garbled(it.to_string()))
}

fn garbled(why: String) -> Error {
    Error::Garbled { program: "npm", file: LOCK, why }
}

/// The programs that a package says it has.
fn programs(tree: &Path, name: &str) -> Result<BTreeMap<String, Program>, Error> {
    let place = place_of(name);
    let about = tree.join(&place).join("package.json");
    let about: Value =
        serde_json::from_str(&read_plain(&about, JSON_BYTES_MAX)?).map_err(|it| {
            Error::Garbled { program: "npm", file: "package.json", why: it.to_string() }
        })?;
    let short = name.rsplit('/').next().unwrap_or_default();
    let listed: Vec<(&str, &str)> = match about.get("bin") {
        Some(Value::String(path)) => vec![(short, path)],
        Some(Value::Object(bins)) => {
            bins.iter().filter_map(|(name, path)| Some((name.as_str(), path.as_str()?))).collect()
        }
        _ => Vec::new(),
    };
    let mut programs = BTreeMap::new();
    for (program, path) in listed {
        let script = Path::new(&place).join(path.strip_prefix("./").unwrap_or(path));
        let stays = Path::new(path)
            .components()
            .all(|it| matches!(it, Component::Normal(_) | Component::CurDir));
        let is_file = fs::symlink_metadata(tree.join(&script)).is_ok_and(|it| it.is_file());
        let is_named = is_plain_name(program);
        let Some(script) = script.to_str().filter(|_| is_named && stays && is_file) else {
            let (program, path) = (visible(program), visible(path));
            let why = format!(
                "says that its program `{program}` is `{path}`, which is no name, or none of its files"
            );
            return Err(Error::Refused { package: name.to_owned(), why });
        };
        if is_for_node(&tree.join(script)) {
            programs.insert(program.to_owned(), Program::Script(script.to_owned()));
        }
    }
    Ok(programs)
}

/// Its first line names Node.js, or no interpreter at all.
fn is_for_node(script: &Path) -> bool {
    let bytes = fs::read(script).unwrap_or_default();
    let line = bytes.split(|it| *it == b'\n').next().unwrap_or_default();
    match line.strip_prefix(b"#!") {
        Some(line) => line
            .split(|it| it.is_ascii_whitespace() || *it == b'/')
            .any(|it| it == b"node" || it == b"nodejs"),
        None => !bytes.starts_with(b"\x7fELF"),
    }
}

/// The command line that starts a script of a tree.
pub(super) fn command(tree: &Path, script: &str) -> Result<Vec<PathBuf>, Error> {
    find("node", GET_NODE)?;
    Ok(vec!["node".into(), tree.join(script)])
}
