//! Servers from a registry, prepared: resolved to exact versions, installed with every script off
//! and in a sandbox, written down file by file, and read only from then on. What is started later
//! is this, without npm or pip and without a network, and only while no file of it has changed.
//!
//! Nothing here asks anybody: [`resolve`] says what would be installed, and [`Resolved::install`]
//! is called by whoever has the consent.

mod error;
mod manifest;
mod npm;
mod pypi;
mod registry;
mod store;
mod tree;
mod workshop;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use stockade_sandbox::Guarantee;

use stockade_kit::launch::{Ecosystem, Package};

pub use error::Error;
pub use manifest::{Dependency, Manifest};
pub use registry::Registry;
pub use store::{Checked, Entry, Store};

use manifest::{Made, Program};
use store::Staging;
use workshop::Workshop;

/// How a package is prepared.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A registry other than the one that the user's package manager has.
    pub registry: Option<String>,
    /// Hosts that the registry sends to for its archives, each with its port.
    pub hosts: Vec<String>,
    /// Variables that the package manager gets: a proxy, or a token of the registry.
    pub env: Vec<(OsString, OsString)>,
    /// What the sandbox around the package manager may hold less than fully.
    pub allow_weaker: Vec<Guarantee>,
    /// How long the package manager may take altogether, if not as long as usual.
    pub time: Option<Duration>,
}

/// What would be installed. Nothing of it has been unpacked.
#[derive(Debug)]
pub struct Resolved {
    package: Package,
    /// The package itself, at its exact version.
    pub itself: Dependency,
    /// All that it needs, as far as that is known before it is installed.
    pub others: Vec<Dependency>,
    /// Whom the package manager may reach.
    pub reaches: Vec<String>,
    /// Those with scripts that an ordinary installation runs.
    pub scripts: Vec<String>,
    plan: Plan,
    staging: Staging,
    workshop: Workshop,
}

/// How the installation goes on.
#[derive(Debug)]
enum Plan {
    Npm(npm::Npm),
    Pypi(pypi::Pypi),
}

/// Finds the exact versions. The package manager runs for that; nothing of a package does.
///
/// # Errors
/// When the package manager, the registry or the package is not there, or when anything of it
/// would come from somewhere else, or would have to be built.
pub fn resolve(store: &Store, package: &Package, options: &Options) -> Result<Resolved, Error> {
    let mut registry = Registry::of(package.ecosystem, options.registry.as_deref())?;
    let staging = store.stage()?;
    let workshop = Workshop::new(&staging, &registry, options)?;
    if registry.url.is_none() {
        // Where a package manager looks by itself, it knows best.
        registry.hosts.extend(match package.ecosystem {
            Ecosystem::Npm => npm::own_hosts(&workshop)?,
            Ecosystem::Pypi => pypi::own_hosts(&workshop)?,
        });
    }
    registry.hosts.extend(options.hosts.iter().cloned());
    registry.hosts = workshop::once(&registry.hosts);
    let (plan, found) = match package.ecosystem {
        Ecosystem::Npm => {
            let npm = npm::Npm::new(&registry)?;
            let found = npm.resolve(package, &workshop)?;
            (Plan::Npm(npm), found)
        }
        Ecosystem::Pypi => {
            let pypi = pypi::Pypi::new(&registry, &workshop)?;
            let found = pypi.resolve(package, &workshop)?;
            (Plan::Pypi(pypi), found)
        }
    };
    let Found { itself, others, scripts } = found;
    let package = package.clone();
    let reaches = registry.hosts;
    Ok(Resolved { package, itself, others, reaches, scripts, plan, staging, workshop })
}

/// What a package manager has found.
struct Found {
    itself: Dependency,
    others: Vec<Dependency>,
    scripts: Vec<String>,
}

impl Resolved {
    /// Installs it, and puts it into the store.
    ///
    /// # Errors
    /// When it cannot be installed, is not what was resolved, or has something in it that is not
    /// put into the store.
    pub fn install(self, store: &Store) -> Result<Entry, Error> {
        let Self { package, itself, scripts, plan, staging, workshop, .. } = self;
        let Made { tree, packages, programs, interpreter } = match plan {
            Plan::Npm(npm) => npm.install(&itself, &workshop)?,
            Plan::Pypi(pypi) => pypi.install(&itself, &workshop)?,
        };
        if programs.is_empty() {
            return Err(Error::NoProgram { package: itself.to_string() });
        }
        let files = tree::seal(&tree)?;
        let manifest = Manifest {
            format: manifest::FORMAT,
            ecosystem: package.ecosystem.name().to_owned(),
            name: package.name.clone(),
            extras: package.extras.clone(),
            version: itself.version,
            integrity: itself.integrity,
            url: itself.url,
            interpreter,
            programs,
            scripts_not_run: scripts,
            packages,
            files,
        };
        store.add(staging, &tree, &manifest, &package)
    }
}

impl Entry {
    /// The command line that starts a program of it. `named` is the one that was asked for; without,
    /// it is the one that the package's own runner would take.
    ///
    /// # Errors
    /// When there is no such program, or its interpreter is not there any more.
    pub fn command(&self, named: Option<&str>) -> Result<Vec<PathBuf>, Error> {
        let manifest = &self.manifest;
        let short = manifest.name.rsplit('/').next().unwrap_or_default();
        let programs = &manifest.programs;
        let only = || programs.values().next().filter(|_| programs.len() == 1);
        let program = match named {
            Some(named) => programs.get(named),
            None => programs.get(short).or_else(only),
        };
        let program = program.ok_or_else(|| Error::NoSuchProgram {
            package: manifest.id(),
            named: named.unwrap_or(short).to_owned(),
            programs: programs.keys().cloned().collect::<Vec<_>>().join("`, `"),
        })?;
        match program {
            Program::Script(script) => npm::command(&self.tree(), script),
            Program::EntryPoint { module, attribute } => {
                let name = named.unwrap_or(short);
                pypi::command(&self.tree(), manifest, module, attribute, name)
            }
        }
    }
}
