//! What holds a process: the options that `run`, `serve` and `sandbox` have in common, and how it
//! is said that something cannot be held.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rustix::io::Errno;
use stockade_sandbox::{
    Confinement, EngineProgram, Error, Guarantee, Image, Network, NoDestination, Secret, Spec,
};

use crate::config::{Backend, Sandbox};
use crate::failure::{Exit, Failure};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub(super) struct Hold {
    /// What holds the process [default: native]
    #[arg(long = "sandbox", value_name = "HOW", value_enum)]
    backend: Option<Backend>,
    /// The image of a container, which must be there already. Without it, a container has this
    /// machine's programs, read only. What the image says of itself changes nothing
    #[arg(long, value_name = "NAME@sha256:DIGEST")]
    image: Option<Image>,
    /// Another place that programs are executed from, read only. May be repeated
    #[arg(long = "program", value_name = "DIR")]
    programs: Vec<PathBuf>,
    /// Whom it may reach, and nobody else: hosts by name or address, between commas. Without a port
    /// it is 443; `*.` in front means every name below; an address behind `=` is the name's, in place
    /// of what it resolves to, and may be a private one [default: none]
    #[arg(long = "net", value_name = "HOST[:PORT][=ADDR],…|none")]
    network: Option<Network>,
    /// Give it the value of this variable in a file that no other process sees, whose name is in
    /// NAME_FILE. May be repeated
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// Memory of all its processes together: bytes, or with K, M or G [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<u64>,
    /// Processors, such as 0.5 or 2 [default: not limited]
    #[arg(long, value_name = "N", value_parser = thousandths)]
    cpus: Option<u32>,
    /// Processes and threads [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=PIDS_MAX))]
    pids: Option<u32>,
    /// How long it may run, in seconds [default: not limited]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    time: Option<u64>,
    /// Start although this guarantee (files, processes, end, memory, pids or cpu) cannot be enforced.
    /// May be repeated
    #[arg(long, value_name = "GUARANTEE")]
    allow_weaker: Vec<Guarantee>,
    /// Say what would be done, and how far each guarantee would hold; start nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Hold {
    /// What was said here, and for the rest what held before.
    pub(super) fn over(&self, before: &Sandbox) -> Result<Sandbox, Failure> {
        let mut limits = before.limits.clone();
        limits.memory_bytes = self.memory.or(limits.memory_bytes);
        limits.cpu_thousandths = self.cpus.or(limits.cpu_thousandths);
        limits.pids = self.pids.unwrap_or(limits.pids);
        limits.time = self.time.map(Duration::from_secs).or(limits.time);
        let backend = self.backend.unwrap_or(before.backend);
        let image = self.image.clone().or(before.image.clone());
        match backend {
            Backend::Podman | Backend::Docker => {}
            Backend::Seatbelt => {
                return Err(Failure::new(Exit::Server, "`seatbelt` is the sandbox of macOS")
                    .help("on Linux there is `--sandbox native`"));
            }
            Backend::Native | Backend::None if image.is_some() => {
                return Err(Failure::new(Exit::Usage, "an image without a container")
                    .help("say what runs it: `--sandbox podman` or `--sandbox docker`"));
            }
            Backend::None => {
                // Of secrets it is said where they are kept, and nothing is as weak as none.
                let says_nothing = ["--secret", "--allow-weaker"];
                let given = self.of_a_process();
                if let Some(it) = given.filter(|it| !says_nothing.contains(it)) {
                    let says = format!("`{it}` without a sandbox to hold it to that");
                    return Err(Failure::new(Exit::Usage, says)
                        .help(format!("leave `--sandbox none` away, or `{it}`")));
                }
            }
            Backend::Native => {}
        }
        Ok(Sandbox {
            backend,
            image,
            programs: [before.programs.clone(), self.programs.clone()].concat(),
            network: self.network.clone().unwrap_or_else(|| before.network.clone()),
            limits,
            allow_weaker: [before.allow_weaker.clone(), self.allow_weaker.clone()].concat(),
            kill_overdue: before.kill_overdue,
        })
    }

    /// The names of the variables that are given in files.
    pub(super) fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// Whom the server may reach, where the command line says so.
    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// An option that is about a process, if one was given: there it holds nothing to say it of a
    /// remote server.
    pub(super) fn of_a_process(&self) -> Option<&'static str> {
        let held = self.backend.is_some_and(|it| it != Backend::None);
        let given = [
            (held, "--sandbox"),
            (self.image.is_some(), "--image"),
            (!self.programs.is_empty(), "--program"),
            (self.network.is_some(), "--net"),
            (!self.secrets.is_empty(), "--secret"),
            (self.memory.is_some(), "--memory"),
            (self.cpus.is_some(), "--cpus"),
            (self.pids.is_some(), "--pids"),
            (self.time.is_some(), "--time"),
            (!self.allow_weaker.is_empty(), "--allow-weaker"),
        ];
        given.into_iter().find_map(|(is_given, option)| is_given.then_some(option))
    }

    /// Puts the secrets into what holds the process, and where they are into its environment.
    pub(super) fn keep_secrets(
        &self,
        confine: Option<&mut Confinement>,
        env: &mut Vec<(OsString, OsString)>,
    ) -> Result<(), Failure> {
        let Some(confine) = confine else {
            return match self.secrets.first() {
                None => Ok(()),
                Some(name) => {
                    let says = format!("`--secret {name}` without a sandbox to keep it in");
                    Err(Failure::new(Exit::Usage, says)
                        .help(format!("leave `--sandbox none` away, or write `--env {name}`")))
                }
            };
        };
        for (place, name) in self.secrets.iter().enumerate() {
            if self.secrets.iter().take(place).any(|it| it == name) {
                return Err(Failure::new(Exit::Usage, format!("`--secret {name}` is there twice"))
                    .help("leave one of them away"));
            }
            let value = passed_on("--secret", name)?.into_encoded_bytes();
            let secret = Secret { name: name.clone(), value };
            env.retain(|(it, _)| *it != **name);
            env.push((format!("{name}_FILE").into(), secret.path().into()));
            confine.secrets.push(secret);
        }
        Ok(())
    }
}

/// What is said of roots that name more hosts than can be reached.
pub(super) fn too_many(error: &NoDestination) -> Failure {
    Failure::new(Exit::Usage, "the roots cannot all be reached")
        .from(error.clone())
        .help("name fewer addresses as roots, or fewer hosts in `--net`")
}

/// The value of a variable that is passed on by its name.
pub(super) fn passed_on(option: &str, name: &str) -> Result<OsString, Failure> {
    // What stands behind the sign is a value, perhaps a secret, and is not said again.
    if let Some((name, _)) = name.split_once('=') {
        let says = format!("`{option} {name}=` with a value: only the name is wanted");
        let help = format!("set `{name}` in the environment, and write `{option} {name}`");
        return Err(Failure::new(Exit::Usage, says).help(help));
    }
    std::env::var_os(name).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("there is no variable `{name}` to pass on"))
            .help(format!("set it, or leave `{option}` away"))
    })
}

/// Has a process see what is there now, and nothing that takes its place.
pub(super) fn hold(spec: &mut Spec) -> Result<(), Failure> {
    let held = spec.confine.as_deref_mut().map_or(Ok(()), Confinement::hold);
    held.map_err(|it| not_started(&it))
}

/// Why nothing was started, with what can be done about it.
pub(super) fn not_started(error: &Error) -> Failure {
    let failure = |exit| Failure::rendered(exit, format!("error: {}", chain(error)));
    match error {
        Error::CannotEnforce { remedy, .. } => failure(Exit::Unenforced).help(*remedy),
        Error::Place { path, source } => failure(Exit::Usage).help(place_help(path, source)),
        Error::Replaced { .. } => failure(Exit::Usage).help(
            "start it again if what is there now is what you mean: it is looked at once, and nothing \
             else is shown for as long as this runs",
        ),
        Error::NeverARoot { .. } => failure(Exit::Usage)
            .help("name directories of files that the server needs, one by one"),
        Error::MachineInside { .. } => failure(Exit::Usage)
            .help("unmount it, or name directories that do not hold it, one by one"),
        Error::NeverWritten { .. } => failure(Exit::Usage)
            .help("programs of the system are seen without a root; leave it away, or write `:ro`"),
        Error::Home { .. } => failure(Exit::Usage)
            .help("name the directory in it that the program is installed in, or make it a root"),
        Error::TwoAccesses { .. } => {
            failure(Exit::Usage).help("name it once, with `:ro` or with `:rw`")
        }
        Error::ByALink { real, link, .. } => failure(Exit::Usage).help(format!(
            "if that is what you mean, name where it leads now: `{}`; or a root that `{}` is not in",
            real.display(),
            link.display()
        )),
        Error::Reserved { .. } => failure(Exit::Usage)
            .help("name directories that hold none of its state and policies, one by one"),
        Error::NotKept { .. } => failure(Exit::Usage).help(
            "name roots that it is not in, or permit user namespaces (`stockade doctor` says how)",
        ),
        Error::Written { .. } => failure(Exit::Usage).help(
            "keep it outside of that root, in `~/.config/stockade`, or in a directory `.stockade` at \
             the top of the root, which is read only there",
        ),
        Error::SecretHidden { .. } => failure(Exit::Usage)
            .help("secrets are files in `/run/secrets`: leave that root away, or name one elsewhere"),
        Error::VariableName { .. } => failure(Exit::Usage)
            .help("letters, digits and underscores make a name, as in `API_TOKEN`"),
        Error::LedAstray { .. } => failure(Exit::Usage).help(
            "show it with `--program DIR`, or do not let the server write to the root (`:ro`)",
        ),
        Error::NoEngine { engine: EngineProgram::Podman } => failure(Exit::Server)
            .help("install it (Debian: `apt-get install podman runc`), or leave `--sandbox` away"),
        Error::NoEngine { engine: EngineProgram::Docker }
        | Error::Engine { engine: EngineProgram::Docker, .. } => failure(Exit::Server)
            .help("see that its daemon runs (`docker version`), or leave `--sandbox` away"),
        Error::Engine { engine: EngineProgram::Podman, .. } => failure(Exit::Server)
            .help("`--dry-run` shows the command; without `--sandbox`, no engine is needed"),
        Error::NotInContainer { remedy, .. } => failure(Exit::Usage).help(*remedy),
        Error::NoIds { remedy, .. } => {
            failure(Exit::Server).help(format!("{remedy}, or leave `--sandbox` away"))
        }
        Error::NoImage { .. } => failure(Exit::Server).help(
            "fetch it yourself (`podman pull`, `docker pull`): nothing is fetched to start a server",
        ),
        Error::Image { .. } => {
            failure(Exit::Server).help("use another image, or `--sandbox podman`")
        }
        Error::NoCommand
        | Error::ZeroByte
        | Error::TooLarge { .. }
        | Error::NotFound { .. }
        | Error::NotExecutable { .. }
        | Error::NoInterpreter { .. }
        | Error::Directory { .. }
        | Error::NotPermitted { .. }
        | Error::Start { .. }
        | Error::Wait { .. }
        | Error::StillThere { .. } => Failure::new(Exit::Server, chain(error)).help(
            "give the command as you would type it, after `--`; `--dry-run` says what it sees, \
             and `--program DIR` shows it more",
        ),
    }
}

fn place_help(path: &Path, source: &io::Error) -> String {
    let path = path.display();
    let is = |errno: Errno| source.raw_os_error() == Some(errno.raw_os_error());
    if is(Errno::MFILE) {
        "raise how many files may be open here (`ulimit -n`)".to_owned()
    } else if is(Errno::ACCESS) || is(Errno::PERM) {
        "this user may not read it: name a directory that you may read".to_owned()
    } else if is(Errno::NOENT) {
        format!("there is no `{path}`: name a directory that is there")
    } else {
        "name a directory that is there".to_owned()
    }
}

fn chain(error: &Error) -> String {
    let mut whole = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        whole = format!("{whole}: {it}");
        cause = it.source();
    }
    whole
}

/// The kernel has no more of them.
const PIDS_MAX: i64 = 4_000_000;

/// With less, not even the launcher of a process starts.
const MEMORY_MIN: u64 = 1 << 20;

fn memory(text: &str) -> Result<u64, String> {
    let bytes = size(text)?;
    if bytes < MEMORY_MIN {
        return Err("a process does not start with less than 1M".to_owned());
    }
    Ok(bytes)
}

fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match (text.strip_suffix(['M', 'm']), text.strip_suffix(['G', 'g'])) {
            (Some(digits), _) => (digits, 1 << 20),
            (_, Some(digits)) => (digits, 1 << 30),
            (None, None) => (text, 1),
        },
    };
    let bytes = digits.parse::<u64>().ok().and_then(|it| it.checked_mul(unit));
    bytes.filter(|it| *it > 0).ok_or_else(|| "a size is like 512M, or in bytes".to_owned())
}

fn thousandths(text: &str) -> Result<u32, String> {
    let wrong =
        || "a number of processors is like 2 or 0.5, with at most three decimals".to_owned();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.is_empty() || decimals.len() > 3 || !decimals.bytes().all(|it| it.is_ascii_digit())
    {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let decimals: u32 = format!("{decimals:0<3}").parse().map_err(|_| wrong())?;
    let share = whole.checked_mul(1000).and_then(|it| it.checked_add(decimals));
    // The kernel gives no less than a hundredth.
    share.filter(|it| *it >= 10).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares_are_exact_or_refused() {
        for (text, bytes) in [("1", 1), ("3K", 3 << 10), ("512M", 512 << 20), ("2g", 2 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "0", "M", "-1", "1.5G", "1T", "99999999999999999999", "18446744073709551615K"]
        {
            assert!(size(text).is_err(), "{text}");
        }
        for (text, share) in [("1", 1000), ("0.5", 500), ("2.25", 2250), ("0.010", 10)] {
            assert_eq!(thousandths(text), Ok(share), "{text}");
        }
        for text in ["", "0", ".", "1.", ".5", "-1", "0.001", "1.2345", "1.-5", "9999999999"] {
            assert!(thousandths(text).is_err(), "{text}");
        }
    }
}
