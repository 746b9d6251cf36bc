//! Changing what is not the server's, and executing what it wrote.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::plan::Missing;
use super::raw::{self, call_of};
use super::{Area, Came, Outcome, Plan, Probe, Severity};

use Severity::{Critical, High, Low, Medium};

/// Files of the machine that are opened for writing, and not written to.
const OF_THE_MACHINE: &[(&str, Severity, &str)] = &[
    ("/usr/bin/env", Critical, "programs of the machine are changed"),
    ("/etc/passwd", Critical, "somebody becomes root"),
    ("/etc/shadow", Critical, "somebody becomes root"),
    ("/etc/hosts", High, "names mean other machines"),
    ("/etc/resolv.conf", High, "names mean other machines"),
    ("/etc/ld.so.cache", Critical, "programs load other libraries"),
    ("/etc/crontab", Critical, "the machine runs a program"),
    ("/proc/sys/kernel/core_pattern", Critical, "the kernel runs a program when one crashes"),
    ("/proc/sys/kernel/modprobe", Critical, "the kernel runs a program to load a module"),
    ("/proc/sys/kernel/hostname", High, "the machine has another name"),
    ("/proc/sys/vm/overcommit_memory", High, "the machine's memory is managed otherwise"),
    ("/proc/sys/fs/binfmt_misc/register", Critical, "the machine runs programs with another"),
    ("/proc/sysrq-trigger", Critical, "the machine is restarted"),
    ("/proc/1/oom_score_adj", High, "another process is killed first"),
    ("/proc/1/mem", Critical, "pid 1 does what it is told"),
    ("/sys/kernel/uevent_helper", Critical, "the kernel runs a program for each device"),
    ("/sys/power/state", High, "the machine sleeps"),
    (
        "/sys/kernel/mm/transparent_hugepage/enabled",
        Medium,
        "the machine's memory is managed otherwise",
    ),
];

/// What others execute or trust in a root that may be written.
const TRUSTED: &[(&str, &str)] = &[
    (".git/hooks/pre-commit", "the next commit runs a program"),
    (".git/config", "the next use of git runs a program"),
    (".mcp.json", "a client starts another server"),
    (".envrc", "a shell runs a program in this directory"),
    (".vscode/tasks.json", "an editor runs a program"),
    (".husky/pre-commit", "the next commit runs a program"),
];

pub(super) fn probes() -> Vec<Probe> {
    let of_the_machine = OF_THE_MACHINE.iter().map(|(path, severity, means)| {
        probe(&format!("write{}", path.replace('/', "-")), *severity, means, move |_| {
            Ok(Outcome::of(OpenOptions::new().append(true).open(path)))
        })
    });
    let trusted = TRUSTED.iter().map(|(name, means)| {
        probe(&format!("write.trusted-{}", name.replace('/', "-")), High, means, move |plan| {
            Ok(Outcome::of(fs::write(plan.at("rw", name)?, "#!/bin/sh\n")))
        })
    });
    let setuid = [0o4755, 0o2755].map(|mode| {
        [
            probe(
                &format!("setuid.chmod-{mode:o}"),
                High,
                "a program runs as its owner",
                move |plan| {
                    let own = own_file(plan, "setuid")?;
                    Ok(Outcome::of(fs::set_permissions(own, fs::Permissions::from_mode(mode))))
                },
            ),
            probe(
                &format!("setuid.create-{mode:o}"),
                High,
                "a program runs as its owner",
                move |plan| {
                    let path = plan.at("rw", &format!("made-{mode:o}"))?;
                    let how = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
                    Ok(Outcome::of(how))
                },
            ),
            probe(
                &format!("setuid.nameless-{mode:o}"),
                High,
                "a program runs as its owner",
                move |plan| {
                    let mut how = OpenOptions::new();
                    how.write(true).custom_flags(libc::O_TMPFILE).mode(mode);
                    Ok(Outcome::of(how.open(plan.text("rw")?)))
                },
            ),
            probe(
                &format!("setuid.fchmodat2-{mode:o}"),
                High,
                "a program runs as its owner",
                move |plan| {
                    let own = raw::path(&own_file(plan, "setuid2")?);
                    let arguments = [libc::AT_FDCWD.into(), raw::text(&own), mode.into(), 0];
                    Ok(Outcome::of(call_of(452, arguments)))
                },
            ),
        ]
    });
    let devices = [("character", libc::S_IFCHR), ("block", libc::S_IFBLK)].map(|(name, kind)| {
        probe(
            &format!("mknod.{name}"),
            Critical,
            "a device of the machine is opened",
            move |plan| {
                let path = raw::path(&plan.at("rw", &format!("device-{name}"))?);
                // Number 1:3 is /dev/null as a character device, and no disk's as a block device.
                let arguments =
                    [libc::AT_FDCWD.into(), raw::text(&path), (kind | 0o600).into(), 0x103];
                Ok(Outcome::of(call_of(libc::SYS_mknodat, arguments)))
            },
        )
    });
    let executed = [
        ("rw", (|plan| plan.at("rw", "program")) as Way),
        ("tmp", |_| Ok(std::env::temp_dir().join("program"))),
        ("home", |_| Ok(std::env::home_dir().unwrap_or_default().join("program"))),
        ("shm", |_| Ok("/dev/shm/program".into())),
    ];
    let executed = executed.map(|(name, way)| {
        probe(
            &format!("execute.written-in-{name}"),
            Medium,
            "it runs a program of its own",
            move |plan| Ok(execute(&way(plan)?)),
        )
    });
    of_the_machine
        .chain(trusted)
        .chain(setuid.into_iter().flatten())
        .chain(devices)
        .chain(executed)
        .chain(outside())
        .chain(read_only())
        .chain(others())
        .collect()
}

type Way = fn(&Plan) -> Result<PathBuf, Missing>;

fn probe(
    id: &str,
    severity: Severity,
    means: &'static str,
    attempt: impl Fn(&Plan) -> Came + 'static,
) -> Probe {
    Probe::new(id, Area::Writes, severity, means, attempt)
}

fn append(path: &Path) -> Outcome {
    Outcome::of(OpenOptions::new().append(true).open(path))
}

fn own_file(plan: &Plan, name: &str) -> Result<PathBuf, Missing> {
    let path = plan.at("rw", name)?;
    let _ = fs::write(&path, "x");
    Ok(path)
}

/// Whoever planted all this looks whether anything of it changed.
fn outside() -> Vec<Probe> {
    vec![
        probe("write.outside-new", Critical, "a file is made outside", |plan| {
            Ok(Outcome::of(File::create_new(plan.at("outside", "made")?)))
        }),
        probe("write.outside-append", Critical, "a file outside is changed", |plan| {
            Ok(append(&plan.at("outside", "canary")?))
        }),
        probe("write.outside-remove", Critical, "a file outside is removed", |plan| {
            Ok(Outcome::of(fs::remove_file(plan.at("outside", "to-remove")?)))
        }),
        probe("write.outside-move-in", Critical, "a file outside is taken", |plan| {
            let to = plan.at("rw", "taken")?;
            Ok(Outcome::of(fs::rename(plan.at("outside", "to-take")?, to)))
        }),
        probe("write.outside-move-out", High, "a file is put outside", |plan| {
            let from = own_file(plan, "moved")?;
            Ok(Outcome::of(fs::rename(from, plan.at("outside", "moved")?)))
        }),
        probe("write.outside-link", High, "a link is put outside", |plan| {
            Ok(Outcome::of(symlink("/etc/passwd", plan.at("outside", "linked")?)))
        }),
        probe("write.by-planted-link", Critical, "a link in a root leads out", |plan| {
            Ok(append(&plan.at("rw", "link")?))
        }),
        probe("write.by-dangling-link", High, "a link that leads nowhere makes a file", |plan| {
            Ok(Outcome::of(File::create(plan.at("rw", "dangling")?)))
        }),
        probe("write.shell-start", Critical, "the user's shell runs a program", |plan| {
            Ok(append(&plan.at("home", ".bashrc")?))
        }),
        probe("write.ssh-login", Critical, "somebody logs in as the user", |plan| {
            let path = plan.at("home", ".ssh/authorized_keys")?;
            Ok(Outcome::of(File::create_new(path)))
        }),
        probe("write.ledger", Critical, "what was written down is changed", |plan| {
            Ok(append(&plan.at("state", "key")?))
        }),
        probe("write.other-root", High, "what another server is there for is changed", |plan| {
            Ok(append(&plan.at("other", "file")?))
        }),
        probe("write.own-program", High, "the next start runs another program", |_| {
            let path = fs::read_link("/proc/self/exe").unwrap_or_default();
            Ok(busy_or(OpenOptions::new().append(true).open(path)))
        }),
        probe("write.own-program-by-proc", High, "the next start runs another program", |_| {
            Ok(busy_or(OpenOptions::new().append(true).open("/proc/self/exe")))
        }),
        probe("write.beside-own-program", High, "the next start finds another program", |_| {
            let path = fs::read_link("/proc/self/exe").unwrap_or_default();
            Ok(append(&path.with_file_name("neighbour")))
        }),
        probe(
            "write.control-group",
            Critical,
            "the kernel runs a program when a group ends",
            |_| {
                let groups = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
                let places = groups.map(|it| it.path().join("release_agent"));
                let mut places =
                    places.filter(|it| OpenOptions::new().append(true).open(it).is_ok());
                Ok(Outcome::unless(places.next().is_some(), "a release agent can be set"))
            },
        ),
        probe("write.memory-of-victim", Critical, "another process does what it is told", |plan| {
            Ok(append(Path::new(&format!("/proc/{}/mem", plan.number("victim")?))))
        }),
    ]
}

/// A running program cannot be written to by anybody, which shows nothing.
fn busy_or<T>(came: io::Result<T>) -> Outcome {
    match came {
        Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => Outcome::untried(error),
        other => Outcome::of(other),
    }
}

fn read_only() -> Vec<Probe> {
    let high: [(&str, &'static str, Way2); 11] = [
        ("new", "a file is made", |plan| Ok(Outcome::of(File::create_new(plan.at("ro", "made")?)))),
        ("append", "a file is changed", |plan| Ok(append(&plan.at("ro", "file")?))),
        ("remove", "a file is removed", |plan| {
            Ok(Outcome::of(fs::remove_file(plan.at("ro", "to-remove")?)))
        }),
        ("rename", "a file has another name", |plan| {
            let to = plan.at("ro", "renamed")?;
            Ok(Outcome::of(fs::rename(plan.at("ro", "to-rename")?, to)))
        }),
        ("directory", "a directory is made", |plan| {
            Ok(Outcome::of(fs::create_dir(plan.at("ro", "directory")?)))
        }),
        ("link", "a link is made", |plan| {
            Ok(Outcome::of(symlink("file", plan.at("ro", "made-link")?)))
        }),
        ("hard-link", "a file is there as well", |plan| {
            let from = own_file(plan, "for-ro")?;
            Ok(Outcome::of(fs::hard_link(from, plan.at("ro", "made-hard-link")?)))
        }),
        ("hard-link-from", "a file can be written by another name", |plan| {
            let to = plan.at("rw", "from-ro")?;
            Ok(Outcome::of(fs::hard_link(plan.at("ro", "file")?, to)))
        }),
        ("mode", "a file has another mode", |plan| {
            let mode = fs::Permissions::from_mode(0o600);
            Ok(Outcome::of(fs::set_permissions(plan.at("ro", "file")?, mode)))
        }),
        ("by-descriptor", "a file that was opened to be read is written", |plan| {
            let file = File::open(plan.at("ro", "file")?);
            Ok(Outcome::of(file.and_then(|it| {
                let again = format!("/proc/self/fd/{}", it.as_raw_fd());
                OpenOptions::new().append(true).open(again)
            })))
        }),
        ("by-own-link", "a link in another root leads there", |plan| {
            let link = plan.at("rw", "to-ro")?;
            let _ = symlink(plan.at("ro", "file")?, &link);
            Ok(append(&link))
        }),
    ];
    let high = high
        .map(|(name, means, attempt)| probe(&format!("read-only.{name}"), High, means, attempt));
    let others = [
        probe("read-only.truncate", High, "a file is cut", |plan| {
            let path = raw::path(&plan.at("ro", "file")?);
            let length = fs::metadata(plan.at("ro", "file")?).map_or(0, |it| it.len());
            Ok(Outcome::of(call_of(libc::SYS_truncate, [raw::text(&path), length.cast_signed()])))
        }),
        probe("read-only.times", Medium, "a file looks older", |plan| {
            let path = raw::path(&plan.at("ro", "file")?);
            let arguments = [libc::AT_FDCWD.into(), raw::text(&path), 0, 0];
            Ok(Outcome::of(call_of(libc::SYS_utimensat, arguments)))
        }),
        probe("read-only.attribute", Medium, "a file has another attribute", |plan| {
            let path = raw::path(&plan.at("ro", "file")?);
            let (name, mut value) = (c"user.stockade", 1_u8);
            let arguments = [raw::text(&path), raw::text(name), raw::memory(&mut value), 1, 0];
            Ok(Outcome::of(call_of(libc::SYS_setxattr, arguments)))
        }),
        probe("read-only.mapped", High, "a file is changed in memory", |plan| {
            let file = File::open(plan.at("ro", "file")?);
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            Ok(Outcome::of(file.and_then(|it| {
                raw::map(16, protection, libc::MAP_SHARED, Some(it.as_raw_fd())).map(|_| ())
            })))
        }),
    ];
    high.into_iter().chain(others).collect()
}

type Way2 = fn(&Plan) -> Came;

fn others() -> Vec<Probe> {
    vec![
        probe("move.git-away", High, "another repository takes the place of this", |plan| {
            let (git, away) = (plan.at("rw", ".git")?, plan.at("rw", "git-away")?);
            let came = fs::rename(&git, &away);
            let _ = fs::rename(&away, &git);
            Ok(Outcome::of(came))
        }),
        probe("move.over-trusted", High, "a client starts another server", |plan| {
            let own = own_file(plan, "mcp")?;
            Ok(Outcome::of(fs::rename(own, plan.at("rw", ".mcp.json")?)))
        }),
        probe("execute.from-memory", Medium, "it runs a program of its own", |_| {
            Ok(from_memory(0))
        }),
        probe("execute.from-memory-as-asked", Medium, "it runs a program of its own", |_| {
            // MFD_EXEC
            Ok(from_memory(0x10))
        }),
        probe("execute.by-the-loader", Medium, "it runs a program of its own", |plan| {
            let path = plan.at("rw", "loaded")?;
            let _ = fs::copy("/bin/true", &path);
            let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
            let Some(loader) = loader.iter().find(|it| Path::new(it).exists()) else {
                return Ok(Outcome::untried("no loader here"));
            };
            Ok(match Command::new(loader).arg(&path).stderr(std::process::Stdio::null()).status() {
                Ok(it) if it.success() => Outcome::done("it ran"),
                Ok(it) => Outcome::held(it),
                Err(error) => Outcome::held(error),
            })
        }),
        probe("execute.mapped", Low, "it runs code of its own from a file", |plan| {
            let path = plan.at("rw", "mapped")?;
            let _ = fs::copy("/bin/true", &path);
            let protection = libc::PROT_READ | libc::PROT_EXEC;
            Ok(Outcome::of(File::open(path).and_then(|it| {
                raw::map(4096, protection, libc::MAP_PRIVATE, Some(it.as_raw_fd())).map(|_| ())
            })))
        }),
        probe("attribute.trusted", Medium, "a file is trusted by the machine", |plan| {
            attribute(plan, c"trusted.stockade", &[1])
        }),
        probe("attribute.capability", High, "a program has privileges", |plan| {
            // Version 2, effective, `cap_setuid`.
            let mut value = [0_u8; 20];
            for (place, byte) in value.iter_mut().zip([1, 0, 0, 2, 0x80]) {
                *place = byte;
            }
            attribute(plan, c"security.capability", &value)
        }),
        probe("attribute.immutable", Medium, "a file cannot be removed again", |plan| {
            let own = own_file(plan, "immutable")?;
            let file = File::open(own);
            Ok(Outcome::of(file.and_then(|it| {
                let mut flags: i64 = 0x10;
                let set = |flags: &mut i64| {
                    let arguments = [it.as_raw_fd().into(), 0x4008_6602, raw::memory(flags)];
                    call_of(libc::SYS_ioctl, arguments)
                };
                let came = set(&mut flags);
                flags = 0;
                let _ = set(&mut flags);
                came
            })))
        }),
        probe("owner.root", Medium, "a file belongs to somebody else", |plan| {
            let own = raw::path(&own_file(plan, "owned")?);
            let arguments = [libc::AT_FDCWD.into(), raw::text(&own), 0, 0, 0];
            Ok(Outcome::of(call_of(libc::SYS_fchownat, arguments)))
        }),
    ]
}

fn attribute(plan: &Plan, name: &'static std::ffi::CStr, value: &[u8]) -> Came {
    let own = raw::path(&own_file(plan, "attribute")?);
    let mut bytes = [0_u8; 64];
    for (place, byte) in bytes.iter_mut().zip(value) {
        *place = *byte;
    }
    let length = i64::try_from(value.len()).unwrap_or_default();
    let arguments = [raw::text(&own), raw::text(name), raw::memory(&mut bytes), length, 0];
    Ok(Outcome::of(call_of(libc::SYS_setxattr, arguments)))
}

fn execute(at: &Path) -> Outcome {
    if let Err(error) = fs::copy("/bin/true", at) {
        return Outcome::held(format!("cannot write: {error}"));
    }
    let _ = fs::set_permissions(at, fs::Permissions::from_mode(0o755));
    let came = Command::new(at).status();
    let _ = fs::remove_file(at);
    Outcome::of(came)
}

fn from_memory(flags: i64) -> Outcome {
    let name = c"program";
    let program = match call_of(libc::SYS_memfd_create, [raw::text(name), flags]) {
        Ok(number) => i32::try_from(number).unwrap_or(-1),
        Err(error) => return Outcome::held(error),
    };
    let at = format!("/proc/self/fd/{program}");
    let written = fs::read("/bin/true").and_then(|it| {
        OpenOptions::new().write(true).open(&at).and_then(|mut at| at.write_all(&it))
    });
    if let Err(error) = written {
        return Outcome::held(error);
    }
    // A program that is still open for writing cannot be executed; it is by another name by now.
    Outcome::of(Command::new(format!("/proc/{}/fd/{program}", std::process::id())).status())
}
