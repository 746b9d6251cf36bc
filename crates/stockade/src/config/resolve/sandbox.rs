//! What holds a server's process, from the policy file: `[sandbox]`, and key by key in its place
//! that of the server.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use stockade_core::root::destination;
use stockade_sandbox::{
    Access, Confinement, Destination, Engine, EngineProgram, Guarantee, Host, Image, Limits,
    Network, NoDestination,
};

use super::{Making, Root};
use crate::config::file::{At, Backend, File, SandboxTable, ServerTable};

/// What holds a server's process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// By what it is held.
    pub backend: Backend,
    /// What a container is of, where it is not this machine's programs.
    pub image: Option<Image>,
    /// More places that programs are executed from.
    pub programs: Vec<PathBuf>,
    /// Whom it may reach.
    pub network: Network,
    /// How much it may use.
    pub limits: Limits,
    /// What may hold less than fully.
    pub allow_weaker: Vec<Guarantee>,
    /// Whether it is ended when it lets a call take too long.
    pub kill_overdue: bool,
}

impl Sandbox {
    /// The same for the launcher, with what the server is there for: directories, and hosts of
    /// addresses; nothing where nothing is to hold it.
    ///
    /// # Errors
    /// When there are too many hosts.
    pub fn confinement(&self, roots: &[Root]) -> Result<Option<Box<Confinement>>, NoDestination> {
        let root = |it: &Root| stockade_sandbox::Root {
            path: PathBuf::from(&it.path),
            access: if it.write { Access::Write } else { Access::Read },
        };
        let engine = |program| Some(Engine { program, image: self.image.clone() });
        let engine = match self.backend {
            Backend::None => return Ok(None),
            Backend::Podman => engine(EngineProgram::Podman),
            Backend::Docker => engine(EngineProgram::Docker),
            // On this system there is no seatbelt, and whoever asks for it is told so before.
            Backend::Native | Backend::Seatbelt => None,
        };
        Ok(Some(Box::new(Confinement {
            roots: roots.iter().filter(|it| !it.is_uri()).map(root).collect(),
            programs: self.programs.clone(),
            network: with_hosts(&self.network, roots)?,
            reserved: Vec::new(),
            secrets: Vec::new(),
            limits: self.limits.clone(),
            allow_weaker: self.allow_weaker.clone(),
            trace: false,
            engine,
            ..Confinement::default()
        })))
    }
}

/// A network that reaches the hosts of these roots as well. What was said about such a host holds: it
/// may have an address of its own.
pub fn with_hosts(network: &Network, roots: &[Root]) -> Result<Network, NoDestination> {
    let named = roots.iter().filter_map(|it| destination(&it.path));
    let named = named.filter(|it| {
        let parsed = Host::parse_with_port(it);
        !parsed.is_ok_and(|(host, port)| network.find(&host, port).is_some())
    });
    let named = named.map(|it| it.parse()).collect::<Result<Vec<_>, _>>()?;
    Network::new(network.destinations().iter().cloned().chain(named))
}

/// Less, and hardly any program starts.
const MEMORY_BYTES: RangeInclusive<usize> = 1 << 20..=1 << 50;
/// The kernel gives no less than a hundredth.
const CPU_PERCENT: RangeInclusive<usize> = 1..=100_000;
const PIDS: RangeInclusive<usize> = 1..=4_000_000;
const TIME_S: RangeInclusive<usize> = 1..=31_536_000;
const OPEN_FILES: RangeInclusive<usize> = 8..=1 << 20;
const FILE_BYTES: RangeInclusive<usize> = 1 << 10..=1 << 50;
const SCRATCH_BYTES: RangeInclusive<usize> = 64 << 10..=1 << 40;

impl Making<'_> {
    pub(super) fn sandbox(&mut self, file: &File, server: Option<&ServerTable>) -> Sandbox {
        let mut sandbox = Sandbox::default();
        if let Some(it) = &file.sandbox {
            self.over(&mut sandbox, "sandbox", &it.value);
        }
        let own = server.and_then(|it| it.sandbox.as_ref());
        // Those of the other servers are not used now, but must be right all the same.
        for (name, table) in file.servers.iter().flat_map(|it| &it.value.0) {
            let Some(it) = &table.value.sandbox else { continue };
            let key = format!("servers.{}.sandbox", name.value);
            if own.is_some_and(|own| std::ptr::eq(own, it)) {
                self.over(&mut sandbox, &key, &it.value);
            } else {
                self.over(&mut Sandbox::default(), &key, &it.value);
            }
        }
        sandbox
    }

    /// Puts what a table says in place of what held before.
    fn over(&mut self, sandbox: &mut Sandbox, key: &str, table: &SandboxTable) {
        if let Some(it) = &table.backend {
            self.setting(&format!("{key}.backend"), it.value.name(), &it.span);
            sandbox.backend = it.value;
        }
        if let Some(it) = &table.image {
            self.setting(&format!("{key}.image"), &it.value, &it.span);
            sandbox.image = self.image(it);
        }
        if let Some(it) = &table.programs {
            sandbox.programs = it.value.iter().filter_map(|it| self.program(it)).collect();
        }
        if let Some(it) = &table.net {
            sandbox.network = self.network(&it.value, &it.span);
            self.setting(&format!("{key}.net"), &sandbox.network.to_string(), &it.span);
        }
        let limits = &mut sandbox.limits;
        let mut number = |name: &str, at, bounds| self.number(&format!("{key}.{name}"), at, bounds);
        if let Some(it) = number("memory_bytes", &table.memory_bytes, MEMORY_BYTES) {
            limits.memory_bytes = Some(it);
        }
        if let Some(it) = number("cpu_percent", &table.cpu_percent, CPU_PERCENT) {
            limits.cpu_thousandths = u32::try_from(it * 10).ok();
        }
        if let Some(it) = number("time_s", &table.time_s, TIME_S) {
            limits.time = Some(Duration::from_secs(it));
        }
        if let Some(it) = number("file_bytes", &table.file_bytes, FILE_BYTES) {
            limits.file_bytes = it;
        }
        if let Some(it) = number("scratch_bytes", &table.scratch_bytes, SCRATCH_BYTES) {
            limits.scratch_bytes = it;
        }
        for (name, at, bounds, place) in [
            ("pids", &table.pids, PIDS, &mut limits.pids),
            ("open_files", &table.open_files, OPEN_FILES, &mut limits.open_files),
        ] {
            *place = number(name, at, bounds).and_then(|it| it.try_into().ok()).unwrap_or(*place);
        }
        if let Some(it) = &table.kill_overdue {
            self.setting(&format!("{key}.kill_overdue"), &it.value.to_string(), &it.span);
            sandbox.kill_overdue = it.value;
        }
        if let Some(it) = &table.allow_weaker {
            sandbox.allow_weaker = it.value.iter().filter_map(|it| self.weaker(it)).collect();
            let names: Vec<_> = sandbox.allow_weaker.iter().map(|it| it.name()).collect();
            self.setting(&format!("{key}.allow_weaker"), &names.join(", "), &it.span);
        }
    }

    fn program(&mut self, at: &At<String>) -> Option<PathBuf> {
        let path = PathBuf::from(&at.value);
        if !path.is_absolute() {
            self.wrong(&at.span, "this is not a place of programs", "a whole path is wanted");
            return None;
        }
        Some(path)
    }

    /// `none` stands alone, and closes what another table has opened.
    fn network(&mut self, list: &[At<String>], span: &Range<usize>) -> Network {
        if let [only] = list
            && only.value == "none"
        {
            return Network::default();
        }
        let mut all = Vec::new();
        for at in list {
            match at.value.parse::<Destination>() {
                Ok(it) => all.push(it),
                Err(error) => {
                    let help = "write `HOST`, `HOST:PORT` or `HOST:PORT=ADDRESS`";
                    self.wrong(&at.span, &error.to_string(), help);
                }
            }
        }
        Network::new(all).unwrap_or_else(|error| {
            self.wrong(span, &error.to_string(), "this is about the whole list");
            Network::default()
        })
    }

    fn image(&mut self, at: &At<String>) -> Option<Image> {
        let found = at.value.parse::<Image>();
        if found.is_err() {
            let wanted = "an image is named with its digest: `NAME@sha256:DIGEST`";
            self.wrong(&at.span, "this is not one image for ever", wanted);
        }
        found.ok()
    }

    fn weaker(&mut self, at: &At<String>) -> Option<Guarantee> {
        let found = at.value.parse::<Guarantee>().ok();
        if found.is_none() {
            let known = Guarantee::WEAKER.map(Guarantee::name);
            self.reader.unknown("guarantee that may be weaker", at, known);
        }
        found
    }
}
