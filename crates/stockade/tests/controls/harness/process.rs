//! Processes, as `/proc` has them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// The processes that have `mark` on their command line and are not dead.
pub(crate) fn with_mark(mark: &str) -> Vec<i32> {
    all().filter(|pid| command_line(*pid).contains(mark) && !is_dead(*pid)).collect()
}

/// The children of a process that are not dead.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    all()
        .filter(|pid| status(*pid, "PPid:") == Some(parent.to_string()) && !is_dead(*pid))
        .collect()
}

/// Everything below a process, itself included.
pub(crate) fn tree(root: i32) -> Vec<i32> {
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next) {
        tree.extend(children(*pid));
        next += 1;
    }
    tree
}

/// Whether a process is gone, or only waits to be collected.
pub(crate) fn is_dead(pid: i32) -> bool {
    status(pid, "State:").is_none_or(|it| it.starts_with('Z') || it.starts_with('X'))
}

/// Ends a process without asking it.
pub(crate) fn kill(pid: i32) {
    // It may have ended by itself.
    let _gone = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

/// Asks a process to end.
pub(crate) fn ask_to_end(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _gone = kill_process(pid, Signal::TERM);
}

/// Has no file of a process become larger than this.
pub(crate) fn limit_files(pid: u32, bytes_max: u64) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let limit = Rlimit { current: Some(bytes_max), maximum: Some(bytes_max) };
    prlimit(Some(pid), Resource::Fsize, limit).unwrap();
}

/// The most memory that a process had at one time, in bytes.
pub(crate) fn peak_bytes(pid: u32) -> u64 {
    let text = status(i32::try_from(pid).unwrap(), "VmHWM:").unwrap();
    text.trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// Where a process waits for connections.
pub(crate) fn listens_on(pid: u32) -> Vec<SocketAddr> {
    const LISTEN: &str = "0A";
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = links.filter_map(|it| fs::read_link(it.ok()?.path()).ok());
    let sockets: Vec<String> = links.map(|it| it.to_string_lossy().into_owned()).collect();
    let tables = ["tcp", "tcp6"].map(|it| fs::read_to_string(format!("/proc/{pid}/net/{it}")));
    let lines: Vec<String> =
        tables.iter().flatten().flat_map(|it| it.lines().skip(1)).map(str::to_owned).collect();
    let mine = lines
        .iter()
        .map(|it| it.split_whitespace().collect::<Vec<_>>())
        .filter(|it| it[3] == LISTEN && sockets.contains(&format!("socket:[{}]", it[9])));
    mine.map(|it| socket_address(it[1])).collect()
}

/// An address as `/proc/net/tcp` writes it: words of four bytes, in the order of this machine.
fn socket_address(text: &str) -> SocketAddr {
    let (address, port) = text.split_once(':').unwrap();
    let words = address
        .as_bytes()
        .chunks(8)
        .map(|it| u32::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap().to_ne_bytes());
    let bytes: Vec<u8> = words.flatten().collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap())),
    };
    SocketAddr::new(ip, u16::from_str_radix(port, 16).unwrap())
}

fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
}

fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(pid: i32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|it| it.strip_prefix(field))?;
    Some(line.trim().to_owned())
}

/// The same command, that may have so many files open, and no more than `hard` of them.
pub(crate) fn limited(command: &Command, soft: usize, hard: usize) -> Command {
    let mut limited = Command::new("sh");
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    limited.args(["-c", &script]).arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    limited.current_dir(command.get_current_dir().unwrap());
    limited
}
