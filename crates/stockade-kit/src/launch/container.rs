//! Containers: `docker run … IMAGE CMD`.

use super::flags::{Grammar, Piece};
use super::{Launch, arbitrary, read as read_command, unknown};

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
        "--env-file",
    ],
    code: &[
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

fn shows_machine(flag: &str, value: &str) -> bool {
    let is_volume = matches!(flag, "-v" | "--volume" | "--mount");
    let of_root =
        value.starts_with("/:") || value.split(',').any(|it| matches!(it, "src=/" | "source=/"));
    let is_host = matches!(flag, "--network" | "--net") && value == "host";
    is_host || is_volume && (of_root || value.contains(".sock"))
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
