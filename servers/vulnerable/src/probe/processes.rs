//! Other processes, and privileges.

use std::ffi::c_long;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

use super::raw::{self, call_of};
use super::{Area, Came, Outcome, Plan, Probe, Severity};

use Severity::{Critical, High, Low, Medium};

/// Calls that are about another process: its number goes first.
const ABOUT_ANOTHER: &[(&str, Severity, &str, c_long, [c_long; 3])] = &[
    ("seize", Critical, "another process does what it is told", libc::SYS_ptrace, [0; 3]),
    ("signal-asked", High, "it can end another process", libc::SYS_kill, [0, 0, 0]),
    ("handle", High, "it has a handle on another process", libc::SYS_pidfd_open, [0; 3]),
    ("limits", High, "another process has other limits", libc::SYS_prlimit64, [7, 0, 0]),
    ("priority", Medium, "another process is slower", libc::SYS_setpriority, [0; 3]),
    ("scheduler", Medium, "another process is slower", libc::SYS_sched_setscheduler, [0; 3]),
    ("affinity", Low, "where another process runs", libc::SYS_sched_getaffinity, [0; 3]),
    ("io-priority", Low, "another process is slower", libc::SYS_ioprio_set, [0; 3]),
    ("session", Low, "another process is there", libc::SYS_getsid, [0; 3]),
    ("group", Low, "another process is there", libc::SYS_getpgid, [0; 3]),
    ("memory-moved", Medium, "another process's memory is known", libc::SYS_move_pages, [0; 3]),
    ("compared", Medium, "what another process has open", libc::SYS_kcmp, [0; 3]),
];

/// What `/proc` says about another process.
const SAID: &[(&str, Severity, &str)] = &[
    ("environ", Critical, "another process's secrets"),
    ("maps", High, "where another process's memory is"),
    ("cmdline", Medium, "what another process was started with"),
    ("status", Low, "another process is there"),
    ("fd", High, "what another process has open"),
    ("task", Low, "another process is there"),
    ("stack", Medium, "where another process is in the kernel"),
    ("auxv", Medium, "where another process's memory is"),
    ("mountinfo", Low, "what another process sees"),
    ("ns/net", High, "another process's network"),
];

/// What pid 1 must not tell, where it is somebody else or what holds this process.
const SAID_OF_1: &[&str] = &["environ", "maps", "mem", "auxv", "fd", "ns/mnt"];

pub(super) fn probes() -> Vec<Probe> {
    let about = ABOUT_ANOTHER.iter().map(|(name, severity, means, number, rest)| {
        probe(&format!("victim.{name}"), *severity, means, move |plan| {
            Ok(of_another(name, *number, *rest, plan.number("victim")?))
        })
    });
    let said = SAID.iter().map(|(name, severity, means)| {
        probe(&format!("victim.proc-{}", name.replace('/', "-")), *severity, means, move |plan| {
            let at = format!("/proc/{}/{name}", plan.number("victim")?);
            Ok(look(Path::new(&at)))
        })
    });
    let said_of_1 = SAID_OF_1.iter().map(|name| {
        let means = "what holds this process tells its secrets";
        probe(&format!("first.proc-{}", name.replace('/', "-")), High, means, move |_| {
            Ok(look(Path::new(&format!("/proc/1/{name}"))))
        })
    });
    about.chain(said).chain(said_of_1).chain(others()).chain(privileges()).collect()
}

fn probe(
    id: &str,
    severity: Severity,
    means: &'static str,
    attempt: impl Fn(&Plan) -> Came + 'static,
) -> Probe {
    Probe::new(id, Area::Processes, severity, means, attempt)
}

/// Whether there is something to read or to list, or a link to follow.
fn look(at: &Path) -> Outcome {
    if at.is_dir() {
        return match fs::read_dir(at).map(Iterator::count) {
            Ok(0) => Outcome::held("empty"),
            other => Outcome::of(other),
        };
    }
    match File::open(at).and_then(|mut it| io::Read::read(&mut it, &mut [0])) {
        // Nothing is read at address 0 of a process's memory, and the opening is what counts.
        Err(error) if at.ends_with("mem") && error.raw_os_error() == Some(libc::EIO) => {
            Outcome::done("opened")
        }
        Ok(0) => Outcome::held("empty"),
        other => Outcome::of(other),
    }
}

fn of_another(name: &str, number: c_long, rest: [c_long; 3], victim: i64) -> Outcome {
    let [b, c, d] = rest;
    let own = c_long::from(std::process::id());
    let mut memory = [0_u64; 128];
    Outcome::of(match name {
        // PTRACE_SEIZE does not stop it, and ends with this process.
        "seize" => call_of(number, [0x4206, victim, 0, 0]),
        "limits" => call_of(number, [victim, b, 0, raw::memory(&mut memory)]),
        "priority" => call_of(number, [0, victim, 1]),
        "scheduler" => call_of(number, [victim, 3, raw::memory(&mut memory)]),
        "affinity" => call_of(number, [victim, 128, raw::memory(&mut memory)]),
        "io-priority" => call_of(number, [1, victim, 0x4007]),
        "compared" => call_of(number, [own, victim, 1, 0, 0]),
        _ => call_of(number, [victim, b, c, d]),
    })
}

fn others() -> Vec<Probe> {
    vec![
        probe("victim.signal", Critical, "another process is signalled", |plan| {
            let victim = plan.number("victim")?;
            Ok(Outcome::of(call_of(libc::SYS_kill, [victim, libc::SIGUSR1.into()])))
        }),
        probe("victim.signal-of-thread", Critical, "another process is signalled", |plan| {
            let victim = plan.number("victim")?;
            Ok(Outcome::of(call_of(libc::SYS_tgkill, [victim, victim, libc::SIGUSR1.into()])))
        }),
        probe("victim.signal-by-owner", Critical, "another process is signalled", |plan| {
            let victim = plan.number("victim")?;
            let Ok((reader, mut writer)) = io::pipe() else {
                return Ok(Outcome::untried("no pipe"));
            };
            let fd = reader.as_raw_fd().into();
            let set =
                |command: i32, value: i64| call_of(libc::SYS_fcntl, [fd, command.into(), value]);
            let came = set(libc::F_SETOWN, victim)
                .and_then(|_| set(10, libc::SIGUSR1.into()))
                .and_then(|_| set(libc::F_SETFL, libc::O_ASYNC.into()));
            let _ = writer.write_all(b"x");
            Ok(Outcome::of(came))
        }),
        probe("victim.read-memory", Critical, "another process's memory", |plan| {
            let victim = plan.number("victim")?;
            Ok(vm(libc::SYS_process_vm_readv, victim))
        }),
        probe("victim.write-memory", Critical, "another process does what it is told", |plan| {
            let victim = plan.number("victim")?;
            Ok(vm(libc::SYS_process_vm_writev, victim))
        }),
        probe("victim.take-descriptor", Critical, "what another process has open", |plan| {
            let handle = call_of(libc::SYS_pidfd_open, [plan.number("victim")?, 0]);
            Ok(Outcome::of(handle.and_then(|it| call_of(libc::SYS_pidfd_getfd, [it, 0, 0]))))
        }),
        probe("victim.enter-network", Critical, "another process's network", |plan| {
            Ok(enter(plan.number("victim")?, "net"))
        }),
        probe("victim.enter-mounts", Critical, "another process's files", |plan| {
            Ok(enter(plan.number("victim")?, "mnt"))
        }),
        probe("victim.enter-user", Critical, "another process's privileges", |plan| {
            Ok(enter(plan.number("victim")?, "user"))
        }),
        probe("guard.signal-asked", High, "it can end its guard", |plan| {
            Ok(Outcome::of(call_of(libc::SYS_kill, [plan.number("guard")?, 0])))
        }),
        probe("guard.group-asked", High, "it can end its guard", |plan| {
            Ok(Outcome::of(call_of(libc::SYS_kill, [-plan.number("guard")?, 0])))
        }),
        probe("first.signal-asked", Medium, "it can signal what holds it", |_| {
            Ok(Outcome::of(call_of(libc::SYS_kill, [1, 0])))
        }),
        probe("first.limits", Low, "what holds it has other limits", |_| {
            let mut limit = [0_u64; 2];
            Ok(Outcome::of(call_of(libc::SYS_prlimit64, [1, 7, 0, raw::memory(&mut limit)])))
        }),
        probe("processes.secrets", Critical, "secrets of other processes", |plan| {
            Ok(anywhere(plan.text("secret")?, "environ"))
        }),
        probe("processes.words", High, "what other processes were started with", |plan| {
            Ok(anywhere(plan.text("secret")?, "cmdline"))
        }),
        probe("processes.parent-environment", Critical, "secrets of who started it", |plan| {
            let secret = plan.text("secret")?;
            let mut pid = std::process::id();
            let mut found = false;
            for _ in 0..16 {
                pid = parent(pid);
                if pid == 0 {
                    break;
                }
                for file in ["environ", "cmdline"] {
                    let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                    found |= String::from_utf8_lossy(&text).contains(secret);
                }
            }
            Ok(Outcome::unless(found, "a secret of an ancestor was read"))
        }),
        probe("processes.others", Medium, "which processes there are", |plan| {
            let guard = plan.number("guard")?;
            let there = Path::new(&format!("/proc/{guard}/stat")).exists();
            Ok(Outcome::unless(there, "the guard is seen"))
        }),
        probe("processes.survivor", High, "a process is left when all is over", |plan| {
            let name = plan.text("survivor")?;
            let came = Command::new("setsid")
                .args(["sh", "-c", "exec sleep \"$0\"", name])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            // Whoever planted all this looks whether it is still there at the end.
            Ok(match came {
                Ok(_) => Outcome::untried("it is looked for from outside"),
                Err(error) => Outcome::held(error),
            })
        }),
    ]
}

fn vm(number: c_long, victim: i64) -> Outcome {
    let mut byte = 0_u64;
    let mut here = [raw::memory(&mut byte), 8];
    let mut there = [0x1000_i64, 8];
    let (here, there) = (raw::memory(&mut here), raw::memory(&mut there));
    // Nothing is at that address, which is said only to whom it may be said.
    match call_of(number, [victim, here, 1, there, 1, 0]) {
        Err(error) if error.raw_os_error() != Some(libc::EFAULT) => Outcome::held(error),
        _ => Outcome::done("it may"),
    }
}

fn enter(victim: i64, namespace: &str) -> Outcome {
    let at = File::open(format!("/proc/{victim}/ns/{namespace}"));
    match at.and_then(|it| call_of(libc::SYS_setns, [it.as_raw_fd().into(), 0])) {
        // It is in that user namespace already, and nothing was gained.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Outcome::held(error),
        other => Outcome::of(other),
    }
}

fn parent(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("PPid:"));
    line.and_then(|it| it.trim().parse().ok()).unwrap_or(0)
}

/// Whether a secret is in what `/proc` says about any process but this and its kin.
fn anywhere(secret: &str, file: &str) -> Outcome {
    let places = fs::read_dir("/proc").into_iter().flatten().flatten();
    for place in places.filter(|it| it.file_name().to_string_lossy().parse::<u32>().is_ok()) {
        let text = fs::read(place.path().join(file)).unwrap_or_default();
        if String::from_utf8_lossy(&text).contains(secret) {
            return Outcome::done(place.path().join(file).display());
        }
    }
    Outcome::held("it is nowhere")
}

/// A line of `/proc/self/status`, and whether its value is a bad one.
type Field = (&'static str, Severity, &'static str, fn(&str) -> bool);

fn has_some(set: &str) -> bool {
    !set.trim_matches('0').is_empty()
}

fn privileges() -> Vec<Probe> {
    let fields: [Field; 5] = [
        ("CapEff", High, "it has privileges", has_some),
        ("CapPrm", High, "it can have privileges", has_some),
        ("CapBnd", Medium, "what it executes can have privileges", has_some),
        ("NoNewPrivs", Medium, "what it executes can have privileges", |it| it != "1"),
        ("Seccomp", Medium, "every call of the kernel is open", |it| it == "0"),
    ];
    let fields = fields.map(|(name, severity, means, bad)| {
        probe(&format!("privileges.{}", name.to_lowercase()), severity, means, move |_| {
            let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
            let value = status.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':'));
            let Some(value) = value.map(str::trim) else {
                return Ok(Outcome::untried("no /proc"));
            };
            Ok(Outcome::unless(bad(value), value))
        })
    });
    let others = [
        probe("privileges.root", High, "it is root", |_| {
            Ok(Outcome::unless(rustix::process::geteuid().is_root(), "its uid is 0"))
        }),
        probe("privileges.root-outside", High, "it is root outside", |_| {
            let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            let outside = map.lines().any(|it| it.split_whitespace().nth(1) == Some("0"));
            let root = rustix::process::geteuid().is_root();
            Ok(Outcome::unless(outside && root, "uid 0 of the machine"))
        }),
        probe("privileges.become-root", Critical, "it becomes root", |_| {
            Ok(Outcome::of(call_of(libc::SYS_setresuid, [0, 0, 0])))
        }),
        probe("privileges.become-group", High, "it gets the files of a group", |_| {
            Ok(Outcome::of(call_of(libc::SYS_setresgid, [0, 0, 0])))
        }),
        probe("privileges.groups", High, "it gets the files of groups", |_| {
            let mut none = 0_u32;
            Ok(Outcome::of(call_of(libc::SYS_setgroups, [0, raw::memory(&mut none)])))
        }),
        probe(
            "privileges.groups-of-guard",
            Medium,
            "it has the files of its guard's groups",
            |plan| {
                let group = plan.number("extra_group")?;
                let groups = rustix::process::getgroups().unwrap_or_default();
                let has = groups.iter().any(|it| i64::from(it.as_raw()) == group);
                Ok(Outcome::unless(has, "the guard's extra group is its own"))
            },
        ),
        probe("privileges.raise", Critical, "it takes privileges", |_| {
            let mut header = [0x2008_0522_u32, 0];
            let mut all = [u32::MAX, u32::MAX, 0, 0x1ff, 0x1ff, 0];
            let arguments = [raw::memory(&mut header), raw::memory(&mut all)];
            Ok(Outcome::of(call_of(libc::SYS_capset, arguments)))
        }),
        probe("privileges.setuid-program", High, "a setuid program in a root raises it", |plan| {
            let said = Command::new(plan.text("setuid_program")?).arg("-u").output();
            Ok(match said {
                Ok(it) => {
                    let uid = String::from_utf8_lossy(&it.stdout).trim().to_owned();
                    let own = rustix::process::getuid().as_raw().to_string();
                    Outcome::unless(!uid.is_empty() && uid != own, format!("it is {uid}"))
                }
                Err(error) => Outcome::held(error),
            })
        }),
        probe("privileges.real-time", Medium, "nothing else runs", |_| {
            let mut priority = 1_i32;
            let arguments = [0, 1, raw::memory(&mut priority)];
            Ok(Outcome::of(call_of(libc::SYS_sched_setscheduler, arguments)))
        }),
        probe("privileges.deadline", Medium, "nothing else runs", |_| {
            let mut how = [56_u64 | (6 << 32), 0, 0, 1_000_000, 10_000_000, 10_000_000, 0];
            Ok(Outcome::of(call_of(libc::SYS_sched_setattr, [0, raw::memory(&mut how), 0])))
        }),
        probe("privileges.nice", Medium, "everything else is slower", |_| {
            Ok(Outcome::of(call_of(libc::SYS_setpriority, [0, 0, -20])))
        }),
        probe("privileges.io-real-time", Low, "everything else is slower", |_| {
            Ok(Outcome::of(call_of(libc::SYS_ioprio_set, [1, 0, 0x2000])))
        }),
        probe("privileges.never-killed", Medium, "others are killed for its memory", |_| {
            Ok(Outcome::of(fs::write("/proc/self/oom_score_adj", "-1000")))
        }),
    ];
    fields.into_iter().chain(others).collect()
}
