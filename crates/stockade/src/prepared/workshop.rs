//! Where a package manager works: in a sandbox, with one directory to write in, no root, no secret,
//! an empty home, and nobody to reach but its registry.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use stockade_core::check::{redacted, visible};
use stockade_sandbox::{
    Access, Confinement, Doors, Exit, Guarantee, Limits, Network, NoDestination, Reached, Root,
    Spec, launch,
};
use tokio::runtime::Runtime;

use super::Options;
use super::error::Error;
use super::registry::Registry;
use super::store::Staging;
use crate::guard::egress::{Egress, Room, Shown};

/// A package manager waits for a registry that does not answer, and tries again; and has then
/// another package to ask for.
const TIME_MAX: Duration = Duration::from_secs(600);
/// Of what it says, so much is read; of what it leaves in a file, so much.
const SAID_BYTES_MAX: u64 = 1 << 20;
const LEFT_BYTES_MAX: u64 = 64 << 20;
/// Of what it said last, so many lines are shown.
const LAST_LINES: usize = 12;

/// A directory, and the sandbox around it.
#[derive(Debug)]
pub(super) struct Workshop {
    work: PathBuf,
    env: Vec<(OsString, OsString)>,
    shown: Vec<PathBuf>,
    allow_weaker: Vec<Guarantee>,
    time: Duration,
    /// What of it was spent.
    spent: Cell<Duration>,
}

impl Workshop {
    pub(super) fn new(
        staging: &Staging,
        registry: &Registry,
        options: &Options,
    ) -> Result<Self, Error> {
        let work = staging.work();
        let tmp = work.join("tmp");
        fs::create_dir_all(&tmp).map_err(Error::file(&tmp))?;
        let work = work.canonicalize().map_err(Error::file(&work))?;
        let variable = |name: &str| std::env::var_os(name).map(|it| (OsString::from(name), it));
        let mut env: Vec<_> = ["PATH", "HOME", "LANG"].into_iter().filter_map(variable).collect();
        env.push(("TMPDIR".into(), work.join("tmp").into()));
        env.extend(registry.env());
        env.extend(options.env.iter().cloned());
        let allow_weaker = options.allow_weaker.clone();
        let (time, spent) = (options.time.unwrap_or(TIME_MAX), Cell::default());
        Ok(Self { work, env, shown: registry.files(), allow_weaker, time, spent })
    }

    /// A path in the directory.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// Writes a file for a package manager.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        fs::write(self.at(name), text).map_err(Error::file(self.at(name)))
    }

    /// What a package manager has left in a file.
    pub(super) fn read(&self, name: &str) -> Result<String, Error> {
        read_plain(&self.at(name), LEFT_BYTES_MAX)
    }

    /// Runs a command to its end, and says what it wrote to its standard output and its standard
    /// error.
    pub(super) fn run(
        &self,
        command: &[OsString],
        hosts: &[String],
        remedy: &'static str,
    ) -> Result<[String; 2], Error> {
        let network = reaching(hosts)?;
        let root = Root { path: self.work.clone(), access: Access::Write };
        let (began, left) = (Instant::now(), self.time.saturating_sub(self.spent.get()));
        // It is in whole seconds, and none would be no limit.
        let time = Some(Duration::from_secs(left.as_secs().max(1)));
        let limits = Limits { memory_bytes: Some(4 << 30), time, ..Limits::default() };
        let confine = Confinement {
            roots: vec![root],
            programs: self.shown.clone(),
            network: network.clone(),
            limits,
            allow_weaker: self.allow_weaker.clone(),
            ..Confinement::default()
        };
        let spec = Spec {
            command: command.to_vec(),
            env: self.env.clone(),
            cwd: Some(self.work.clone()),
            confine: Some(Box::new(confine)),
        };
        let child = launch(&spec)?;
        drop(child.take_stdin());
        let way_out = child.take_doors().map(|it| WayOut::open(it, network)).transpose()?;
        let (output, errors) = (listen(child.take_stdout()), listen(child.take_stderr()));
        let exit = child.wait()?;
        drop(way_out);
        let [output, errors] = [output, errors].map(|it| it.join().unwrap_or_default());
        self.spent.set(self.spent.get() + began.elapsed());
        if exit == Exit::Code(0) {
            return Ok([output, errors]);
        }
        let program = command.first().map(|it| it.to_string_lossy().into_owned());
        let program = program.unwrap_or_default();
        if child.reached().iter().any(|it| matches!(it, Reached::Time { .. })) {
            return Err(Error::Late { program, time_s: self.time.as_secs() });
        }
        let words = [errors.as_str(), output.as_str()].into_iter().find(|it| !it.trim().is_empty());
        let lines: Vec<String> = words
            .unwrap_or_default()
            .lines()
            .filter(|it| !it.trim().is_empty())
            .map(|it| visible(&redacted(it)))
            .collect();
        let said = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
        let said = match said.is_empty() {
            true => format!("it ended with {exit}, and said nothing"),
            false => said.join("\n  "),
        };
        Err(Error::Failed { program, said, remedy })
    }
}

/// Each host once. One that was named with an address is that one, and not also whatever its name
/// leads to.
pub(super) fn once(hosts: &[String]) -> Vec<String> {
    let named: Vec<(&str, &str)> = hosts.iter().filter_map(|it| it.split_once('=')).collect();
    let is_named = |plain: &String| {
        let short = plain.strip_suffix(":443").unwrap_or(plain);
        named.iter().any(|(host, _)| *host == plain || *host == short)
    };
    let mut hosts: Vec<String> = hosts.iter().filter(|it| !is_named(it)).cloned().collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// Whom a package manager may reach.
fn reaching(hosts: &[String]) -> Result<Network, Error> {
    let hosts = once(hosts);
    if hosts.is_empty() {
        return Ok(Network::default());
    }
    let hosts = hosts.join(",");
    hosts.parse().map_err(|it: NoDestination| Error::Host { hosts, why: it.to_string() })
}

/// What connects a package manager to its registry, for as long as this is there.
struct WayOut {
    egress: Option<Egress>,
    shown: Arc<Shown>,
    runtime: Option<Runtime>,
}

impl WayOut {
    fn open(doors: Doors, network: Network) -> Result<Self, Error> {
        let failed = |source| Error::Network { source };
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().map_err(failed)?;
        // There is no ledger yet: what is refused is said on standard error.
        let shown = Arc::new(Shown::new(None));
        let witness = Arc::clone(&shown);
        let open = async { Egress::open(doors, network, witness, &Room::of_this_process()) };
        let egress = Some(runtime.block_on(open).map_err(failed)?);
        Ok(Self { egress, shown, runtime: Some(runtime) })
    }
}

impl Drop for WayOut {
    fn drop(&mut self) {
        drop(self.egress.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.shown.settle();
    }
}

/// Reads to the end, and keeps the beginning.
fn listen(pipe: Option<OwnedFd>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let Some(mut pipe) = pipe.map(File::from) else { return String::new() };
        let mut bytes = Vec::new();
        let _ = (&mut pipe).take(SAID_BYTES_MAX).read_to_end(&mut bytes);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The text of a file that is one, and no link to another.
pub(super) fn read_plain(path: &Path, bytes_max: u64) -> Result<String, Error> {
    let about = fs::symlink_metadata(path).map_err(Error::file(path))?;
    if !about.is_file() || about.len() > bytes_max {
        let source = std::io::Error::other("it is not a plain file of a sensible length");
        return Err(Error::file(path)(source));
    }
    fs::read_to_string(path).map_err(Error::file(path))
}

/// Whether a program is found in `PATH`.
pub(super) fn find(program: &str, remedy: &'static str) -> Result<PathBuf, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut found = places.into_iter().filter(|it| it.is_absolute()).map(|it| it.join(program));
    found
        .find(|it| it.is_file())
        .ok_or_else(|| Error::Missing { program: program.to_owned(), remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_an_address_stands_for_the_one_without() {
        let hosts = ["a.example:443", "b.example:443", "a.example=10.0.0.5", "b.example:443"];
        let hosts = hosts.map(str::to_owned);
        assert_eq!(once(&hosts), ["a.example=10.0.0.5", "b.example:443"]);
        assert!(reaching(&hosts).is_ok());
        assert_eq!(reaching(&[]).unwrap(), Network::default());
    }
}
