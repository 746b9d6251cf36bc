//! Packages for Python, by the user's own pip: it resolves into a report, and installs what is in
//! the report by its digests and nothing else. Only wheels: whatever has to be built would run code.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Found;
use super::error::Error;
use super::manifest::{Dependency, Interpreter, Made, Manifest, Program};
use super::registry::{Registry, comes_from, without_password};
use super::workshop::{Workshop, find, read_plain};
use stockade_kit::launch::{Package, Wanted, normal};

const GET_PYTHON: &str =
    "install Python 3.9 or newer with pip 22.2 or newer, from your distribution";
const TRY_AGAIN: &str = "check name, version and network; `--registry URL` names another index. A package without \
     a wheel for this machine would have to be built, which runs its code, and is refused";
const REPORT: &str = "report.json";
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Says which interpreter it is, whatever it was found by.
const ABOUT: &str =
    "import sys, platform, pip; print(sys.executable); print(platform.python_version())";

/// Where pip looks when nothing is configured, and where that keeps its archives, by its own word.
const HOSTS: &str = "from pip._internal.models.index import PyPI; \
     print(PyPI.netloc); print(PyPI.file_storage_domain)";

/// Starts one function of the packages beside it. The machine's own packages are not seen, and no
/// `.pth` file is executed, since the interpreter is started without `site`.
const START: &str = r#"import importlib, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "site"))
if __name__ == "__main__":
    module, attribute, *sys.argv = sys.argv[1:]
    found = importlib.import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    sys.exit(found())
"#;

#[derive(Debug)]
pub(super) struct Pypi {
    interpreter: Interpreter,
    options: Vec<OsString>,
    hosts: Vec<String>,
}

/// pip's report, as far as it is of interest.
#[derive(Debug, Deserialize)]
struct Report {
    install: Vec<Install>,
}

#[derive(Debug, Deserialize)]
struct Install {
    download_info: Download,
    #[serde(default)]
    is_direct: bool,
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Download {
    url: String,
    archive_info: Option<Archive>,
}

#[derive(Debug, Deserialize)]
struct Archive {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    hash: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

/// Where pip looks when nothing is configured.
pub(super) fn own_hosts(workshop: &Workshop) -> Result<Vec<String>, Error> {
    find("python3", GET_PYTHON)?;
    let ask = ["python3", "-I", "-c", HOSTS].map(OsString::from);
    let [said, _] = workshop.run(&ask, &[], GET_PYTHON)?;
    Ok(said.lines().map(|it| format!("{}:443", it.trim())).collect())
}

impl Pypi {
    pub(super) fn new(registry: &Registry, workshop: &Workshop) -> Result<Self, Error> {
        find("python3", GET_PYTHON)?;
        let [said, _] =
            workshop.run(&["python3", "-I", "-c", ABOUT].map(OsString::from), &[], GET_PYTHON)?;
        let mut lines = said.lines();
        let (Some(path), Some(version)) = (lines.next(), lines.next()) else {
            return Err(Error::Missing { program: "python3".to_owned(), remedy: GET_PYTHON });
        };
        let interpreter = Interpreter { path: path.into(), version: version.to_owned() };
        let mut options = registry.ca_option("--cert");
        options.extend(registry.url.iter().map(|it| format!("--index-url={it}").into()));
        Ok(Self { interpreter, options, hosts: registry.hosts.clone() })
    }

    pub(super) fn resolve(&self, package: &Package, workshop: &Workshop) -> Result<Found, Error> {
        let version = match &package.wanted {
            Wanted::Exact(version) => format!("=={version}"),
            Wanted::Range(range) => range.clone(),
        };
        let wanted = format!("{}{version}", package.requirement_name());
        let report = workshop.at(REPORT).into_os_string();
        let target = workshop.at("nothing").into_os_string();
        let report = ["--dry-run".into(), "--report".into(), report, "--target".into(), target];
        self.run(workshop, &[&report[..], &["--".into(), wanted.into()]].concat())?;
        let report: Report =
            serde_json::from_str(&workshop.read(REPORT)?).map_err(|it| garbled(it.to_string()))?;
        let all = report.install.iter().map(|it| it.dependency(&self.hosts));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let mut lock = String::new();
        for it in &all {
            let digest = it.integrity.replacen('-', ":", 1);
            let _ = writeln!(lock, "{}=={} --hash={digest}", it.name, it.version);
        }
        workshop.write("requirements.txt", &lock)?;
        let (itself, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|it| it.name == package.name);
        let [itself] = <[_; 1]>::try_from(itself)
            .map_err(|_| garbled("the package itself is not in it".to_owned()))?;
        Ok(Found { itself, others, scripts: Vec::new() })
    }

    pub(super) fn install(self, itself: &Dependency, workshop: &Workshop) -> Result<Made, Error> {
        let tree = workshop.at("tree");
        fs::create_dir(&tree).map_err(Error::file(&tree))?;
        let site = tree.join("site");
        let list = workshop.at("requirements.txt").into_os_string();
        let what = ["--require-hashes".into(), "--no-deps".into(), "--target".into()];
        let what = [&what[..], &[site.clone().into(), "-r".into(), list]].concat();
        self.run(workshop, &what)?;
        let start = tree.join("start.py");
        fs::write(&start, START).map_err(Error::file(&start))?;
        let report: Report =
            serde_json::from_str(&workshop.read(REPORT)?).map_err(|it| garbled(it.to_string()))?;
        let packages = report.install.iter().map(|it| it.dependency(&self.hosts));
        let mut packages = packages.collect::<Result<Vec<_>, _>>()?;
        packages.sort();
        let programs = programs(&site, &itself.name)?;
        Ok(Made { tree, packages, programs, interpreter: Some(self.interpreter) })
    }

    /// Without a build, and without anything that is configured for this user.
    fn run(&self, workshop: &Workshop, what: &[OsString]) -> Result<(), Error> {
        let mut command: Vec<OsString> = vec![self.interpreter.path.clone().into()];
        let always = [
            "-I",
            "-m",
            "pip",
            "install",
            "--isolated",
            "--only-binary=:all:",
            "--ignore-installed",
            "--no-compile",
            "--no-cache-dir",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
            "--retries=1",
            "--timeout=60",
            "--quiet",
        ];
        command.extend(always.map(OsString::from));
        command.extend(self.options.iter().cloned());
        command.extend(what.iter().cloned());
        workshop.run(&command, &self.hosts, TRY_AGAIN).map(|_| ())
    }
}

impl Install {
    /// The package, if it is a wheel of an index with a digest.
    fn dependency(&self, hosts: &[String]) -> Result<Dependency, Error> {
        let Metadata { name, version } = &self.metadata;
        let refused = |why: &str| {
            let package = format!("{name} {version}");
            Error::Refused { package, why: why.to_owned() }
        };
        let is_version =
            |it: &str| it.bytes().all(|it| it.is_ascii_alphanumeric() || b".+!-_".contains(&it));
        let name = normal(name).filter(|_| is_version(version));
        let name = name.ok_or_else(|| refused("has a name or version that is none"))?;
        let url = &self.download_info.url;
        let path = url.split(['#', '?']).next().unwrap_or_default();
        if self.is_direct || !comes_from(hosts, url) || !path.ends_with(".whl") {
            return Err(refused("comes from somewhere that is not the index, or is no wheel"));
        }
        let archive = self.download_info.archive_info.as_ref();
        let by_name = archive.and_then(|it| it.hashes.get("sha256").cloned());
        let digest =
            by_name.or_else(|| Some(archive?.hash.as_ref()?.strip_prefix("sha256=")?.to_owned()));
        let is_digest = |it: &String| it.len() == 64 && it.bytes().all(|it| it.is_ascii_hexdigit());
        let digest =
            digest.filter(is_digest).ok_or_else(|| refused("has no digest in the index"))?;
        let integrity = format!("sha256-{digest}");
        Ok(Dependency { name, version: version.clone(), integrity, url: without_password(path) })
    }
}

fn garbled(why: String) -> Error {
    Error::Garbled { program: "pip", file: REPORT, why }
}

/// The functions that a package says are its programs.
fn programs(site: &Path, name: &str) -> Result<BTreeMap<String, Program>, Error> {
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(site).map_err(Error::file(site))?.flatten() {
        let file = entry.file_name();
        let of = file.to_str().and_then(|it| it.strip_suffix(".dist-info"));
        let of = of.and_then(|it| normal(it.split_once('-')?.0));
        let list = entry.path().join("entry_points.txt");
        if of.as_deref() != Some(name) || !list.exists() {
            continue;
        }
        for (program, place) in console_scripts(&read_plain(&list, TEXT_BYTES_MAX)?) {
            let is_name = |it: &str| {
                !it.is_empty()
                    && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.".contains(&it))
            };
            let Some((module, attribute)) = place
                .split_once(':')
                .filter(|(module, attribute)| is_name(module) && is_name(attribute))
            else {
                let why =
                    format!("says that its program `{program}` is `{place}`, which is no function");
                return Err(Error::Refused { package: name.to_owned(), why });
            };
            let (module, attribute) = (module.to_owned(), attribute.to_owned());
            programs.insert(program.to_owned(), Program::EntryPoint { module, attribute });
        }
    }
    Ok(programs)
}

/// `name = module:function [extra]`, in the one section that is about programs.
fn console_scripts(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut is_in = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_in = line == "[console_scripts]";
        } else if let Some((name, place)) = line.split_once('=').filter(|_| is_in) {
            let place = place.split('[').next().unwrap_or_default();
            found.push((name.trim(), place.trim()));
        }
    }
    found
}

/// The command line that starts a function of a tree: without `site`, without what the environment
/// says to Python, and without writing anything beside the sources.
pub(super) fn command(
    tree: &Path,
    manifest: &Manifest,
    module: &str,
    attribute: &str,
    name: &str,
) -> Result<Vec<PathBuf>, Error> {
    let interpreter = manifest.interpreter.as_ref().filter(|it| it.path.is_file());
    let interpreter = interpreter.ok_or_else(|| Error::Missing {
        program: match &manifest.interpreter {
            Some(it) => format!("{} (Python {})", it.path.display(), it.version),
            None => "python3".to_owned(),
        },
        remedy: "the package was prepared for this interpreter: install it again, or prepare the package again",
    })?;
    let mut words: Vec<PathBuf> = vec![interpreter.path.clone()];
    words.extend(["-I", "-S", "-B"].map(PathBuf::from));
    words.push(tree.join("start.py"));
    words.extend([module, attribute, name].map(PathBuf::from));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_their_section_only() {
        let text = "[console_scripts]\na = pkg.cli:main\n b=pkg:run.it [extra]\n\n[gui_scripts]\nc = x:y\n";
        assert_eq!(console_scripts(text), [("a", "pkg.cli:main"), ("b", "pkg:run.it")]);
    }
}
