//! A plan as a page for a person.

use std::ffi::OsStr;
use std::fmt;

use super::Plan;
use crate::cell::{Kind, Mount, Owner, What};
use crate::cgroup::IN_SCOPE;
use crate::network::GATE_PROXY;
use crate::seccomp;

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(cell) = &self.cell else {
            writeln!(out, "no sandbox\n\nguarantees")?;
            return self.containment.fmt(out);
        };
        let from = if cell.drops { "; the guard is root, the server is not" } else { "" };
        writeln!(out, "runs as uid {}, gid {}{from}", cell.uid, cell.gid)?;
        writeln!(out, "starts in {}", shown(&cell.cwd))?;
        if !cell.namespaces {
            writeln!(out, "has no namespaces of its own, and so none of the files made for it")?;
        }
        writeln!(out, "\nsees")?;
        for Mount { at, what } in &cell.mounts {
            let name = shown(at);
            match what {
                What::Bind { from, kind, owner } => {
                    let kind = match kind {
                        Kind::Read => "read only",
                        Kind::Write => "read, write",
                        Kind::Device => "device",
                    };
                    write!(out, "  {kind:<12} {name}")?;
                    if from != at {
                        write!(out, " (which is {})", shown(from))?;
                    }
                    match owner {
                        Some(Owner { uid, .. }) => writeln!(out, " (uid {uid} is the server)")?,
                        None => writeln!(out)?,
                    }
                }
                What::Scratch { bytes, .. } => {
                    writeln!(out, "  empty        {name} (in memory, {bytes} bytes)")?;
                }
                What::Proc => writeln!(out, "  processes    {name} (its own, where permitted)")?,
            }
        }
        for (at, _) in &cell.files {
            writeln!(out, "  made up      {}", shown(at))?;
        }
        for (at, to) in &cell.links {
            writeln!(out, "  link         {} to {}", shown(at), shown(to))?;
        }
        writeln!(out, "\nreaches")?;
        for it in self.network.destinations() {
            writeln!(out, "  {it}")?;
        }
        match self.network.ports().iter().map(u16::to_string).collect::<Vec<_>>().join(", ") {
            ports if ports.is_empty() => writeln!(out, "  nobody")?,
            ports => writeln!(
                out,
                "  by name or by the proxy {GATE_PROXY}; the ports {ports} are taken inside"
            )?,
        }
        writeln!(out, "\nmay use")?;
        writeln!(out, "  {} processes and threads", cell.pids)?;
        writeln!(out, "  {} descriptors a process", cell.open_files)?;
        writeln!(out, "  {} bytes a file", cell.file_bytes)?;
        if let Some(scope) = &self.scope {
            writeln!(out, "  {} ({IN_SCOPE})", scope.names())?;
        }
        for group in &cell.groups {
            for setting in &group.settings {
                let below = shown(&group.below);
                writeln!(out, "  {} {} (a cgroup in {below})", setting.file, setting.value)?;
            }
        }
        if let Some(client) = &self.client {
            writeln!(out, "\nis started in a container by")?;
            for word in &client.spec.command {
                writeln!(out, "  {}", shown(word))?;
            }
        }
        if cell.trace {
            writeln!(out, "\nis watched: what it opens, changes, starts and connects to is noted")?;
        }
        writeln!(out, "\nis refused these calls of the kernel")?;
        let more = seccomp::refused_without_namespaces().filter(|_| !cell.namespaces);
        let traced = seccomp::refused_if_traced().filter(|_| cell.trace);
        for refused in seccomp::refused().chain(more).chain(traced) {
            let name = refused.name.trim_start_matches("SYS_");
            let sometimes = if refused.is_always() { "" } else { ", with some arguments" };
            writeln!(out, "  {name}{sometimes}: {}", refused.why)?;
        }
        writeln!(out, "\nguarantees")?;
        self.containment.fmt(out)
    }
}

/// A name as a person may see it: a server may have made it, with line ends and commands of a
/// terminal in it.
fn shown(name: impl AsRef<OsStr>) -> String {
    let name = name.as_ref().to_string_lossy();
    name.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_forges_no_line() {
        for (name, seen) in [
            ("/srv/Bob's \"files\"/वि/é", "/srv/Bob's \"files\"/वि/é"),
            ("a\nreaches", "a\\nreaches"),
            ("\u{1b}]0;x\u{7}", "\\u{1b}]0;x\\u{7}"),
            ("\u{9b}\u{202e}\u{2028}\u{7f}", "\\u{9b}\\u{202e}\\u{2028}\\u{7f}"),
        ] {
            assert_eq!(shown(name), seen);
        }
    }
}
