//! Reading what is in no root.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::plan::Missing;
use super::raw::{self, call_of};
use super::{Area, Came, Outcome, Plan, Probe, Severity};

use Severity::{Critical, High, Low, Medium};

/// Files and directories that every machine has: where, and what is in there.
const OF_THE_MACHINE: &[(&str, Severity, &str)] = &[
    ("/etc/shadow", Critical, "passwords of the machine's users"),
    ("/etc/gshadow", High, "passwords of the machine's groups"),
    ("/etc/sudoers", Medium, "who may become root"),
    ("/etc/ssl/private", High, "keys of the machine's services"),
    ("/etc/ssh", High, "keys of the machine"),
    ("/etc/machine-id", Low, "which machine this is"),
    ("/etc/fstab", Low, "what the machine's disks are"),
    ("/root", High, "files of root"),
    ("/home", Medium, "which users there are"),
    ("/boot", Low, "the kernel's image, with its addresses"),
    ("/var/log", Medium, "what happened on the machine"),
    ("/var/lib", Medium, "data of the machine's services"),
    ("/run", Medium, "sockets of the machine's services"),
    ("/opt", Low, "what else is installed"),
    ("/sys/kernel", Medium, "the kernel's settings"),
    ("/sys/class/net", Low, "the machine's network"),
    ("/sys/kernel/debug", High, "the kernel's inside"),
    ("/sys/kernel/tracing", High, "what every process does"),
    ("/sys/fs/bpf", Medium, "programs that are loaded into the kernel"),
    ("/sys/fs/cgroup", Medium, "which services run, with which limits"),
    ("/proc/kcore", Critical, "all memory of the machine"),
    ("/proc/kallsyms", Low, "names in the kernel"),
    ("/proc/config.gz", Low, "how the kernel was built"),
    ("/proc/version", Low, "which kernel this is"),
    ("/proc/cmdline", Low, "what the kernel was started with"),
    ("/proc/modules", Low, "what is loaded into the kernel"),
    ("/proc/sys/kernel/random/boot_id", Low, "which run of the machine this is"),
    ("/proc/keys", Low, "which keys the user has"),
    ("/proc/sysvipc/shm", Low, "what others share"),
    ("/proc/timer_list", Medium, "the kernel's addresses"),
    ("/proc/diskstats", Low, "what the machine's disks do"),
    ("/proc/interrupts", Low, "what is typed, by its times"),
];

pub(super) fn probes() -> Vec<Probe> {
    let of_the_machine = OF_THE_MACHINE.iter().map(|(path, severity, means)| {
        probe(&format!("read{}", path.replace('/', "-")), *severity, means, move |_| {
            Ok(if Path::new(path).is_dir() {
                match fs::read_dir(path).map(Iterator::count) {
                    // An empty place was put there for the sandbox.
                    Ok(0) => Outcome::held("empty"),
                    other => Outcome::of(other),
                }
            } else {
                Outcome::of(File::open(path).and_then(|mut it| it.read_exact(&mut [0])))
            })
        })
    });
    let by_a_way = [
        ("canary", (|plan| plan.at("outside", "canary")) as Way, "a file outside of the roots"),
        ("by-dots", |plan| plan.at("rw", "../outside/canary"), "a file outside, by its way up"),
        ("by-dots-of-cwd", |_| Ok("../outside/canary".into()), "a file outside, from where it is"),
        ("by-planted-link", |plan| plan.at("rw", "link"), "a link in a root leads out"),
        ("by-planted-link-of-ro", |plan| plan.at("ro", "link"), "a link in a root leads out"),
        ("by-planted-directory-link", |plan| plan.at("rw", "linked/canary"), "a link leads out"),
        ("by-link-to-proc", |plan| plan.at("rw", "to-proc/canary"), "a link by /proc leads out"),
        ("by-own-root", |plan| through("/proc/self/root", plan), "the root is the machine's"),
        ("by-own-cwd", |plan| beside("/proc/self/cwd", plan), "a way up from the directory"),
        ("by-root-of-1", |plan| through("/proc/1/root", plan), "pid 1 sees what it does not"),
        ("by-cwd-of-1", |plan| beside("/proc/1/cwd", plan), "pid 1 is where it is not"),
        (
            "by-root-of-thread",
            |plan| through("/proc/thread-self/root", plan),
            "the root is not its own",
        ),
        ("by-root-of-victim", |plan| through_victim("root", plan), "another process's files"),
        (
            "by-cwd-of-victim",
            |plan| Ok(through_victim("cwd", plan)?.join("canary")),
            "another process's directory",
        ),
        ("ssh-key", |plan| plan.at("home", ".ssh/id_ed25519"), "the user's key"),
        ("cloud-key", |plan| plan.at("home", ".aws/credentials"), "the user's key"),
        ("shell-history", |plan| plan.at("home", ".bash_history"), "what the user typed"),
        ("client-config", |plan| plan.at("home", ".cursor/mcp.json"), "keys of other servers"),
        ("browser-cookies", |plan| plan.at("home", ".mozilla/cookies.sqlite"), "the user's logins"),
        ("other-root", |plan| plan.at("other", "file"), "what another server is there for"),
        ("hosts-tmp", |plan| plan.at("host_tmp", "file"), "other programs' temporary files"),
        ("ledger", |plan| plan.at("state", "key"), "the guard's key"),
    ];
    let by_a_way = by_a_way.map(|(name, way, means)| {
        probe(&format!("read.{name}"), Critical, means, move |plan| Ok(read(plan, &way(plan)?)))
    });
    let listed = [
        ("outside", "which files there are outside"),
        ("home", "which files the user has"),
        ("other", "which files another server has"),
    ];
    let listed = listed.map(|(name, means)| {
        probe(&format!("list.{name}"), High, means, move |plan| {
            let strange = fs::read_dir(plan.text(name)?).map(Iterator::count);
            Ok(match strange {
                Ok(0) => Outcome::held("empty"),
                other => Outcome::of(other),
            })
        })
    });
    let others = [
        probe("read.by-own-link", Critical, "a link that it makes leads out", |plan| {
            let link = plan.at("rw", "own-link")?;
            let _ = symlink(plan.at("outside", "canary")?, &link);
            Ok(read(plan, &link))
        }),
        probe("read.by-own-hard-link", Critical, "a hard link that it makes leads out", |plan| {
            let link = plan.at("rw", "own-hard-link")?;
            let made = fs::hard_link(plan.at("outside", "canary")?, &link);
            let _ = fs::remove_file(&link);
            Ok(Outcome::of(made))
        }),
        probe("read.by-inherited-descriptor", Critical, "a descriptor leads out", |plan| {
            Ok(by_descriptor(plan.text("marker")?))
        }),
        probe("read.by-handle", High, "a file is opened without a path", |plan| {
            let name = raw::path(&plan.at("outside", "canary")?);
            let mut handle = [0_u32; 34];
            if let Some(bytes) = handle.first_mut() {
                *bytes = 128;
            }
            let mut mount = 0_i32;
            let arguments = [
                libc::AT_FDCWD.into(),
                raw::text(&name),
                raw::memory(&mut handle),
                raw::memory(&mut mount),
                0,
            ];
            Ok(Outcome::of(call_of(libc::SYS_name_to_handle_at, arguments)))
        }),
        probe("stat.outside", Medium, "whether a file is there", |plan| {
            Ok(Outcome::of(fs::symlink_metadata(plan.at("outside", "canary")?)))
        }),
        probe("list.parent-of-roots", Medium, "what is beside its roots", |plan| {
            let parent = plan.at("rw", "..")?;
            let names = fs::read_dir(parent).into_iter().flatten().flatten();
            let strange = names.filter(|it| it.file_name() == "outside").count();
            Ok(Outcome::unless(strange > 0, "`outside` is seen beside the root"))
        }),
        probe("read.hostname", Low, "which machine this is", |plan| {
            let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
            Ok(Outcome::unless(name == plan.text("hostname")?, "the machine's name is known"))
        }),
        probe("read.users", Low, "who the machine's users are", |plan| {
            let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
            Ok(Outcome::unless(users == plan.text("passwd")?, "the machine's users are known"))
        }),
        probe("watch.outside", Medium, "when others use a file", |plan| {
            let place = raw::path(Path::new(plan.text("outside")?));
            let watch = call_of(libc::SYS_inotify_init1, [0]);
            Ok(Outcome::of(watch.and_then(|watch| {
                call_of(libc::SYS_inotify_add_watch, [watch, raw::text(&place), 0x20])
            })))
        }),
    ];
    of_the_machine.chain(by_a_way).chain(listed).chain(others).collect()
}

type Way = fn(&Plan) -> Result<PathBuf, Missing>;

fn probe(
    id: &str,
    severity: Severity,
    means: &'static str,
    attempt: impl Fn(&Plan) -> Came + 'static,
) -> Probe {
    Probe::new(id, Area::Files, severity, means, attempt)
}

/// A planted file says so in its text.
fn read(plan: &Plan, path: &Path) -> Outcome {
    let marker = plan.text("marker").unwrap_or_default();
    match fs::read_to_string(path) {
        Ok(text) if text.contains(marker) => Outcome::done(format!("read {}", path.display())),
        Ok(_) => Outcome::held("another file is there"),
        Err(error) => Outcome::held(error),
    }
}

fn through(root: &str, plan: &Plan) -> Result<PathBuf, Missing> {
    let path = plan.at("outside", "canary")?;
    Ok(PathBuf::from(format!("{root}{}", path.display())))
}

fn beside(directory: &str, _plan: &Plan) -> Result<PathBuf, Missing> {
    Ok(PathBuf::from(format!("{directory}/../outside/canary")))
}

fn through_victim(link: &str, plan: &Plan) -> Result<PathBuf, Missing> {
    let at = format!("/proc/{}/{link}", plan.number("victim")?);
    if link == "root" { through(&at, plan) } else { Ok(at.into()) }
}

/// Any descriptor but the standard three, and below it the planted file.
fn by_descriptor(marker: &str) -> Outcome {
    for number in 3..1024 {
        let at = format!("/proc/self/fd/{number}");
        for below in ["outside/canary", "canary", "../outside/canary"] {
            let came = fs::read_to_string(format!("{at}/{below}"));
            if came.is_ok_and(|it| it.contains(marker)) {
                return Outcome::done(format!("descriptor {number}, {below}"));
            }
        }
        let name = c"outside/canary";
        let opened = call_of(libc::SYS_openat, [number, raw::text(name), 0]);
        if opened.is_ok() {
            return Outcome::done(format!("descriptor {number}"));
        }
    }
    Outcome::held(io::Error::from_raw_os_error(libc::EBADF))
}
