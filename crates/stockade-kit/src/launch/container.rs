//! Containers: `docker run … IMAGE CMD`.

use super::flags::{Grammar, Piece};
use super::{Launch, arbitrary, read as read_command, table, unknown};

/// What changes nothing about whose code runs, and gives it nothing of the machine's own.
const RUN: Grammar = Grammar {
    alone: &["--rm", "--init", "--interactive", "--tty", "--read-only", "--detach", "--quiet"],
    letters: "itdq",
    valued: &[
        "-e",
        "--env",
        "-v",
        "--volume",
        "--mount",
        "--name",
        "--network",
        "--net",
        "-w",
        "--workdir",
        "-u",
        "--user",
        "-p",
        "--publish",
        "-l",
        "--label",
        "-m",
        "--memory",
        "--cpus",
        "--pids-limit",
        "--platform",
        "--pull",
        "--cap-drop",
        "--tmpfs",
        "-h",
        "--hostname",
    ],
    code: &[
        "--env-file",
        "--entrypoint",
        "--privileged",
        "--cap-add",
        "--device",
        "--pid",
        "--ipc",
        "--userns",
        "--security-opt",
        "--volumes-from",
    ],
};

pub(super) fn read(name: &str, words: &[&str], depth: usize) -> Launch {
    let ["run", rest @ ..] = words else {
        return arbitrary(format!("`{name}` with anything but `run` controls the engine"));
    };
    let mut rest = rest;
    loop {
        let Some((piece, after)) = RUN.next(rest) else {
            return arbitrary(format!("`{name} run` without an image"));
        };
        match piece {
            Piece::Alone(_) | Piece::End => {}
            Piece::Valued(flag, value) if shows_machine(flag, value) => {
                return arbitrary(format!("`{name} run {flag} {value}` gives away the machine"));
            }
            Piece::Valued("-e" | "--env", value) if injects(value) => {
                return arbitrary(format!("`{name} run -e {value}` has programs run code"));
            }
            Piece::Valued(..) => {}
            Piece::Code(flag) => {
                return arbitrary(format!(
                    "`{name} run {flag}` changes what runs, or what holds it"
                ));
            }
            Piece::Unknown(flag) => return unknown(&format!("{name} run"), flag),
            Piece::Word(image) => return image_of(name, image, after, depth),
        }
        rest = after;
    }
}

/// Whether a container gets something of the machine's own by this: a place that it is ruled from,
/// a socket, its network.
fn shows_machine(flag: &str, value: &str) -> bool {
    match flag {
        "-v" | "--volume" => {
            value.split_once(':').is_some_and(|(place, _)| is_machines(place))
                || value.contains(".sock")
        }
        "--mount" => !value.split(',').all(is_harmless) || value.contains(".sock"),
        "--network" | "--net" => {
            let is_name = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
            value == "host" || !value.bytes().all(is_name)
        }
        _ => false,
    }
}

/// A part of `--mount`. With quotes, options of a driver and whatever else there is, it can be any
/// place.
fn is_harmless(part: &str) -> bool {
    let (key, value) = part.split_once('=').unwrap_or((part, ""));
    match key.to_ascii_lowercase().as_str() {
        "type" => matches!(value, "bind" | "volume" | "tmpfs"),
        "source" | "src" => !is_machines(value) && !value.contains('"'),
        "destination" | "dst" | "target" | "readonly" | "ro" | "tmpfs-size" | "tmpfs-mode" => {
            !value.contains('"')
        }
        _ => false,
    }
}

/// Directories that say what a machine is and does. To write in one is to rule it.
const MACHINES: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib",
    "/var/run",
    "/var/spool",
];

/// Whether a place on the machine is one of these, above or below one, or leads upwards.
fn is_machines(place: &str) -> bool {
    if !place.starts_with('/') {
        return place.split('/').any(|it| it == "..");
    }
    let parts: Vec<&str> = place.split('/').filter(|it| !matches!(*it, "" | ".")).collect();
    let meets = |own: &&str| parts.iter().zip(own.split('/').skip(1)).all(|(it, own)| *it == own);
    parts.contains(&"..") || MACHINES.iter().any(meets)
}

/// Whether a variable, or one with its value, has programs run code.
fn injects(variable: &str) -> bool {
    table::injects(variable.split_once('=').map_or(variable, |(name, _)| name))
}

fn image_of(name: &str, image: &str, command: &[&str], depth: usize) -> Launch {
    match read_command(command, depth - 1) {
        Launch::Arbitrary { why } => arbitrary(format!("in `{name} run`: {why}")),
        Launch::Program | Launch::Script(_) | Launch::Package(_) | Launch::Container { .. } => {
            let digest = image.rsplit_once("@sha256:").map(|(_, it)| it);
            let pinned = digest
                .is_some_and(|it| it.len() == 64 && it.bytes().all(|it| it.is_ascii_hexdigit()));
            Launch::Container { image: image.to_owned(), pinned }
        }
    }
}
