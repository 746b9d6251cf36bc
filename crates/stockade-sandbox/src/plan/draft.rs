//! What a server will see, drawn up from what was asked for.

mod reserve;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::process::{getegid, geteuid};

use crate::cell::{Cell, Door, Kind, Mount, Owner, Way, What};
use crate::cgroup::Possible;
use crate::engine::{self, PRELOAD};
use crate::held::{Found, Known};
use crate::home::Homes;
use crate::network::{GATE, GATE_DNS, GATE_PROXY};
use crate::prefix::{Needed, Script, Search};
use crate::roots::{self, NEVER};
use crate::server::PATH_DEFAULT;
use crate::{Access, Confinement, Error, Limits, Network, Root, SECRETS_DIR, Secret, Spec};

/// Who a server of root is, where its roots do not say: nobody.
pub(crate) const NOBODY: u32 = 65534;

/// What programs are made of, on every Linux. Where one is a link, the server sees the same link.
pub(crate) const SYSTEM: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// What programs read below `/etc` that says nothing about this machine's users and networks.
const ETC: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/etc/crypto-policies",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
];

/// How directories below `/etc` begin in which distributions keep what belongs to a runtime: without
/// its `java.security`, for example, Java does not start.
const ETC_OF_RUNTIMES: &[&str] = &["java", "python3", "perl"];

/// Where files are made up for the server.
const MADE_UP_DIR: &str = "/etc";

const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What covers a directory is empty, and stays so: the least that the kernel gives.
const COVER_BYTES: u64 = 4096;

/// A cell while it is drawn up.
pub(super) struct Draft<'a> {
    limits: &'a Limits,
    network: &'a Network,
    trace: bool,
    uid: u32,
    gid: u32,
    drops: bool,
    /// By path, so that parents come first and a path is mounted once; what is said later holds.
    mounts: BTreeMap<PathBuf, What>,
    known: Vec<Known>,
    links: Vec<(PathBuf, PathBuf)>,
    home: Option<PathBuf>,
    cwd: PathBuf,
    /// Whether what programs are made of is an image's.
    image: bool,
    /// Something of the guard's own that is covered, or not written.
    kept: Option<PathBuf>,
    /// A writable root that has more in it than could be looked through.
    too_much: Option<PathBuf>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(spec: &Spec, confinement: &'a Confinement) -> Result<Self, Error> {
        let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let (roots, found) = roots::real(&confinement.roots, &confinement.as_found, &here)?;
        let (uid, gid, drops) = identity(&roots, &found);
        let home = variable(spec, "HOME").map(PathBuf::from).filter(|it| is_plain(it));
        let mut draft = Self {
            limits: &confinement.limits,
            network: &confinement.network,
            trace: confinement.trace,
            uid,
            gid,
            drops,
            mounts: BTreeMap::new(),
            known: found.iter().map(known).collect(),
            links: Vec::new(),
            home,
            cwd: PathBuf::new(),
            image: confinement.engine.as_ref().is_some_and(|it| it.image.is_some()),
            kept: None,
            too_much: None,
        };
        if !draft.image {
            draft.system();
        }
        draft.devices();
        draft.scratch(&roots);
        for ((root, asked), found) in roots.iter().zip(&confinement.roots).zip(&found) {
            draft.root(root, found, &roots);
            draft.alias(&here.join(&asked.path), &root.path);
        }
        draft.cwd = working_directory(spec, &roots, &here);
        draft.programs(spec, confinement, &roots, &here)?;
        if confinement.engine.is_some() {
            for (from, at) in engine::ours(draft.image)? {
                draft.bind(&at, from, Kind::Read, None);
            }
        }
        draft.reserve(confinement, &roots, &here)?;
        draft.hold_in_place(&roots);
        if draft.cwd.as_os_str().is_empty() {
            let home = draft.home.clone().filter(|it| draft.mounts.contains_key(it));
            draft.cwd = home.unwrap_or_else(|| "/tmp".into());
        }
        Ok(draft)
    }

    pub(super) fn finish(
        mut self,
        secrets: &[Secret],
        possible: Possible,
        landlock: bool,
        namespaces: bool,
    ) -> Result<Cell, Error> {
        // What was asked for goes before what is made up.
        let hidden = |at: &Path| self.mounts.keys().find(|it| at.starts_with(it));
        let mut files = self.etc();
        files.retain(|(at, _)| hidden(at).is_none());
        if let Some((secret, by)) = secrets.iter().find_map(|it| Some((it, hidden(&it.path())?))) {
            return Err(Error::SecretHidden { name: secret.name.clone(), by: by.clone() });
        }
        files.extend(secrets.iter().map(|it| (it.path(), it.value.clone())));
        if let Some(path) = self.kept.take_if(|_| !namespaces) {
            // Nothing can be covered, nor be read only in what is written.
            return Err(Error::NotKept { path });
        }
        if !namespaces {
            // Nothing can be put anywhere: what there is, is what the machine has.
            self.mounts.retain(|_, it| matches!(it, What::Bind { .. }));
            self.links.clear();
            files.clear();
            if !self.cwd.is_dir() {
                self.cwd = "/".into();
            }
        }
        let mut mounts: Vec<Mount> =
            self.mounts.into_iter().map(|(at, what)| Mount { at, what }).collect();
        mounts.sort_by_key(|it| it.at.components().count());
        Ok(Cell {
            uid: self.uid,
            gid: self.gid,
            drops: self.drops,
            mounts,
            known: self.known,
            files,
            links: self.links,
            cwd: self.cwd,
            pids: self.limits.pids,
            open_files: self.limits.open_files,
            file_bytes: self.limits.file_bytes,
            time: self.limits.time,
            landlock,
            namespaces,
            image: self.image,
            groups: possible.groups,
            doors: doors(self.network),
            addresses: addresses(self.network),
            trace: self.trace,
        })
    }

    fn system(&mut self) {
        for at in SYSTEM.iter().chain(ETC).map(Path::new) {
            let Ok(about) = fs::symlink_metadata(at) else { continue };
            match fs::read_link(at) {
                // A link out of what is shown leads nowhere, so it is followed here.
                Ok(to) if leads_to_system(at, &to) => self.links.push((at.to_owned(), to)),
                Ok(_) => {
                    if let Ok(real) = at.canonicalize() {
                        self.bind(at, real, Kind::Read, None);
                    }
                }
                Err(_) if about.is_dir() || about.is_file() => {
                    self.bind(at, at.to_owned(), Kind::Read, None);
                }
                Err(_) => {}
            }
        }
        for entry in fs::read_dir("/etc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let begins = |it: &&str| name.as_bytes().starts_with(it.as_bytes());
            if ETC_OF_RUNTIMES.iter().any(begins) && entry.file_type().is_ok_and(|it| it.is_dir()) {
                self.bind(&entry.path(), entry.path(), Kind::Read, None);
            }
        }
    }

    /// Devices that are nobody's, and a view of the server's own processes.
    fn devices(&mut self) {
        for at in DEVICES.iter().map(Path::new).filter(|it| it.exists()) {
            self.bind(at, at.to_owned(), Kind::Device, None);
        }
        for (at, to) in [
            ("/dev/fd", "/proc/self/fd"),
            ("/dev/stdin", "/proc/self/fd/0"),
            ("/dev/stdout", "/proc/self/fd/1"),
            ("/dev/stderr", "/proc/self/fd/2"),
            ("/var/tmp", "/tmp"),
        ] {
            self.links.push((at.into(), to.into()));
        }
        self.mounts.insert("/proc".into(), What::Proc);
    }

    /// Nobody else's temporary files, and a home that is empty.
    fn scratch(&mut self, roots: &[Root]) {
        let bytes = self.limits.scratch_bytes;
        for at in ["/tmp", "/dev/shm"] {
            self.mounts.insert(at.into(), What::Scratch { bytes, mode: 0o1777 });
        }
        let Some(home) = self.home.clone() else { return };
        // A root that holds the home was asked for, and so is the home in it. And nothing is put
        // over what programs are made of, nor over what is made up for the server.
        let is_shown = roots.iter().any(|it| home.starts_with(&it.path));
        let made_up = [MADE_UP_DIR, SECRETS_DIR];
        let is_system = SYSTEM.iter().chain(NEVER).chain(&made_up).any(|it| home.starts_with(it));
        let hides = made_up.iter().any(|it| Path::new(it).starts_with(&home));
        if !is_shown && !is_system && !hides && !self.mounts.contains_key(&home) {
            self.mounts.insert(home, What::Scratch { bytes, mode: 0o700 });
        }
    }

    fn root(&mut self, root: &Root, found: &Found, roots: &[Root]) {
        // As root, a server that is somebody else must still be able to use what it is there for:
        // whose files these are is mapped to who the server is.
        let owner = (self.drops && found.owner.uid != self.uid).then_some(found.owner);
        let kind = match root.access {
            Access::Read => Kind::Read,
            Access::Write => Kind::Write,
        };
        self.bind(&root.path, root.path.clone(), kind, owner);
        if root.access == Access::Write {
            let trusted = roots::trusted(&root.path, roots);
            for path in trusted.places {
                self.bind(&path, path.clone(), Kind::Read, owner);
            }
            if !trusted.all {
                self.too_much.get_or_insert_with(|| root.path.clone());
            }
        }
    }

    /// What is read only inside of a writable root stays where it is: the directories on the way are
    /// mounted on themselves, since a directory that something is mounted on cannot be moved away
    /// for another to take its place. Each is what it was before: what holds for it is said by the
    /// nearest place around it.
    fn hold_in_place(&mut self, roots: &[Root]) {
        for root in roots.iter().filter(|it| it.access == Access::Write) {
            let inside: Vec<PathBuf> = self.mounts.keys().cloned().collect();
            for path in inside.iter().filter(|it| it.starts_with(&root.path)) {
                let above = path.ancestors().skip(1);
                for above in above.take_while(|it| it.starts_with(&root.path) && *it != root.path) {
                    if self.mounts.contains_key(above) {
                        continue;
                    }
                    if let Some((kind, owner)) = self.around(above) {
                        self.bind(above, above.to_owned(), kind, owner);
                    }
                }
            }
        }
    }

    /// What may be done at a place by what is mounted there, or else nearest around it; nothing if
    /// that is no place of the machine.
    fn around(&self, path: &Path) -> Option<(Kind, Option<Owner>)> {
        match path.ancestors().find_map(|it| self.mounts.get(it))? {
            What::Bind { kind, owner, .. } => Some((*kind, *owner)),
            What::Scratch { .. } | What::Proc => None,
        }
    }

    /// What the command is installed in, and what was named beside it.
    fn programs(
        &mut self,
        spec: &Spec,
        confinement: &Confinement,
        roots: &[Root],
        here: &Path,
    ) -> Result<(), Error> {
        let path = variable(spec, "PATH").unwrap_or(OsStr::new(PATH_DEFAULT));
        let words: Vec<PathBuf> = spec.command.iter().map(|it| here.join(it)).collect();
        let words: Vec<&Path> = words.iter().map(PathBuf::as_path).collect();
        let homes = self.home.iter().cloned().chain(env::home_dir());
        let homes = Homes::new(homes, self.uid, &words);
        let mut named = Vec::new();
        for path in &confinement.programs {
            let found = roots::program(path, &confinement.as_found, here, roots)?;
            if homes.is_home(found.real()) {
                return Err(Error::Home { path: path.clone() });
            }
            named.push(found.real().to_owned());
            self.known.push(known(&found));
        }
        let mut seen: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        let readable = roots.iter().filter(|it| it.access == Access::Read);
        seen.extend(readable.map(|it| it.path.clone()));
        seen.extend(named.iter().cloned());
        let search = Search { path, homes: &homes, seen: &seen, roots };
        let program = spec.command.first().filter(|_| !self.image);
        let at = if spec.cwd.is_some() { &self.cwd } else { here };
        let program = program.and_then(|it| search.find(it, at));
        let needed = program.map(|it| search.follow(&it)).transpose()?.unwrap_or_default();
        let Needed { places, links } = needed;
        for place in places.into_iter().chain(named) {
            let owner = self.around(&place).and_then(|(_, owner)| owner);
            self.bind(&place, place.clone(), Kind::Read, owner);
        }
        // Who names a program or a script by a path means it from where the command is typed.
        let mut is_from_here = spec.command.first().is_some_and(|it| is_relative(it));
        if let Some(Script { named, file, place }) = search.script(&spec.command, here)? {
            if !search.is_in_a_root(&place) {
                self.bind(&place, place.clone(), Kind::Read, None);
            }
            if let Some((Kind::Write, owner)) = self.around(&file) {
                self.bind(&file, file.clone(), Kind::Read, owner);
            }
            is_from_here |= named.is_relative();
        }
        if is_from_here && spec.cwd.is_none() {
            self.start_in(here);
        }
        // A link that something is mounted below, or on, would only be in the way.
        let is_free = |at: &Path| self.mounts.keys().all(|it| !it.starts_with(at));
        let links: Vec<_> = links.into_iter().filter(|(at, _)| is_free(at)).collect();
        self.links.extend(links);
        Ok(())
    }

    /// What was named relative to this directory must be found there, also where nothing of the
    /// directory itself is seen.
    fn start_in(&mut self, here: &Path) {
        let real = here.canonicalize().unwrap_or_default();
        let is_there = |it: &PathBuf| real.starts_with(it) || it.starts_with(&real);
        if !self.mounts.keys().any(is_there) {
            let bytes = self.limits.scratch_bytes;
            self.mounts.insert(real.clone(), What::Scratch { bytes, mode: 0o700 });
        }
        self.cwd = real;
    }

    /// A root that was named by another path is found there too.
    fn alias(&mut self, asked: &Path, real: &Path) {
        if asked != real && is_plain(asked) {
            self.links.push((asked.to_owned(), real.to_owned()));
        }
    }

    fn bind(&mut self, at: &Path, from: PathBuf, kind: Kind, owner: Option<Owner>) {
        self.mounts.insert(at.to_owned(), What::Bind { from, kind, owner });
    }

    /// Who and where the server is, as far as it needs to know.
    fn etc(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let home = self.home.as_deref().unwrap_or(Path::new("/")).display();
        let (uid, gid) = (self.uid, self.gid);
        let (hosts, resolver) = if self.network.is_empty() {
            ("files", String::new())
        } else {
            ("files dns", format!("nameserver {GATE}\n"))
        };
        let mut files: Vec<(PathBuf, Vec<u8>)> = [
            (
                "/etc/passwd",
                format!(
                    "root:x:0:0:root:/:/bin/false\nserver:x:{uid}:{gid}:server:{home}:/bin/sh\n"
                ),
            ),
            ("/etc/group", format!("root:x:0:\nserver:x:{gid}:\n")),
            ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()),
            ("/etc/nsswitch.conf", format!("passwd: files\ngroup: files\nhosts: {hosts}\n")),
            ("/etc/resolv.conf", resolver),
        ]
        .map(|(at, text)| (PathBuf::from(at), text.into_bytes()))
        .into();
        if self.image {
            // Over what an image has there, which would be loaded into our own first process.
            files.push((PRELOAD.into(), Vec::new()));
        }
        files
    }
}

/// What is listened on for a server that may reach somebody. Each port is taken at every address,
/// so that the guard sees under which of its made-up addresses a name was connected to, however
/// many names there are.
fn doors(network: &Network) -> Vec<Door> {
    if network.is_empty() {
        return Vec::new();
    }
    let ports = network.ports();
    let gates = [GATE_DNS, GATE_PROXY].into_iter().filter(|it| !ports.contains(&it.port()));
    let everywhere = ports.iter().map(|it| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, *it));
    let connections = gates.chain(everywhere).map(|at| Door { kind: Way::Connections, at });
    [Door { kind: Way::Datagrams, at: GATE_DNS }].into_iter().chain(connections).collect()
}

/// Destinations that are addresses are found by programs that know nothing of proxies, if they are
/// addresses inside. All of `127.0.0.0/8` are; those of sixteen bytes are for the proxy alone.
fn addresses(network: &Network) -> Vec<Ipv4Addr> {
    let all = network.destinations().iter().filter_map(|it| match it.address()? {
        IpAddr::V4(address) if !address.is_loopback() => Some(address),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    });
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether the link is one within what every server sees.
fn leads_to_system(at: &Path, to: &Path) -> bool {
    let to = at.parent().unwrap_or(Path::new("/")).join(to);
    let plain = to.components().all(|it| it != Component::ParentDir);
    plain && (to.starts_with("/usr") || SYSTEM.iter().any(|it| to.starts_with(it)))
}

/// Who the server is. Root's servers are whoever owns their first writable root.
fn identity(roots: &[Root], found: &[Found]) -> (u32, u32, bool) {
    if !geteuid().is_root() {
        return (geteuid().as_raw(), getegid().as_raw(), false);
    }
    let written = roots.iter().zip(found).find(|(it, _)| it.access == Access::Write);
    let (uid, gid) = written.map_or((0, 0), |(_, it)| (it.owner.uid, it.owner.gid));
    let or_nobody = |id| if id == 0 { NOBODY } else { id };
    (or_nobody(uid), or_nobody(gid), true)
}

fn known(found: &Found) -> Known {
    Known { path: found.real().to_owned(), which: found.which }
}

/// The directory that the server starts in; empty where nothing says one.
fn working_directory(spec: &Spec, roots: &[Root], here: &Path) -> PathBuf {
    if let Some(cwd) = &spec.cwd {
        return here.join(cwd);
    }
    let real = here.canonicalize().unwrap_or_default();
    if roots.iter().any(|it| real.starts_with(&it.path)) {
        return real;
    }
    let first = roots.iter().find(|it| it.path.is_dir());
    first.map(|it| it.path.clone()).unwrap_or_default()
}

fn variable<'a>(spec: &'a Spec, name: &str) -> Option<&'a OsStr> {
    spec.env.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_os_str())
}

/// Whether a program is looked for in a directory, and neither in `PATH` nor at a whole path.
fn is_relative(program: &OsStr) -> bool {
    program.as_bytes().contains(&b'/') && Path::new(program).is_relative()
}

/// An absolute path without `..`, other than `/`.
fn is_plain(path: &Path) -> bool {
    let mut parts = path.components();
    parts.next() == Some(Component::RootDir)
        && parts.clone().count() > 0
        && parts.all(|it| matches!(it, Component::Normal(_)))
}
