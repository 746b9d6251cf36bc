//! What is the guard's own and no server's, and what a server may have had a hand in: places that it
//! must not see or write, and roots that are named by way of a link.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use stockade_sandbox::{Access, Confinement, Found, Keep, Plan, Reserved};

use super::{State, state_below};
use crate::config::{self, Resolved, Search};
use crate::failure::{Exit, Failure};

/// Keeps from a server what is the guard's own: what it writes below its state directories, the
/// policies, the files that are `read` (a policy, a lock), and its program. A server that may write
/// around them would make what is not there yet, and one that may read there would see what is made
/// later; so it is made, unless nothing is to be started.
pub(super) fn reserve(
    confine: Option<&mut Confinement>,
    state: &State,
    read: &[&Path],
    is_dry: bool,
) -> Result<(), Failure> {
    let Some(confine) = confine else { return Ok(()) };
    // The next guard may be started without `--state` and `--policy`, and by a program that does not
    // know of the variables that are set here.
    let home = config::home();
    let states = [state.base(), State::default().base()].into_iter().filter_map(Result::ok);
    let states = states.chain(home.iter().map(|it| state_below(it)));
    let searches = [Search::new(None), Search::within(None, None, home.clone())];
    let own = searches.iter().filter_map(|it| it.place()?.parent().map(Path::to_owned));
    let mut directories: Vec<PathBuf> = Vec::new();
    for directory in states.chain(own) {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    let mut reserved = Vec::new();
    for path in directories {
        let kept = match confine.shows(&path) {
            Some(access) if !is_dry && !path.is_dir() => made(&path, access)?,
            Some(_) | None => true,
        };
        if kept {
            reserved.push(Reserved { path, keep: Keep::Hidden });
        }
    }
    let read = read.iter().map(|it| Reserved { path: (*it).to_owned(), keep: Keep::Elsewhere });
    let programs = programs().into_iter().map(|path| Reserved { path, keep: Keep::Unwritten });
    confine.reserved = reserved.into_iter().chain(read).chain(programs).collect();
    Ok(())
}

/// Whether a directory could be made. What the server can only read, and this user cannot make, is
/// never there to be seen.
fn made(directory: &Path, access: Access) -> Result<bool, Failure> {
    match (DirBuilder::new().recursive(true).mode(0o700).create(directory), access) {
        (Ok(()), _) => Ok(true),
        (Err(_), Access::Read) => Ok(false),
        (Err(error), Access::Write) => {
            let says = format!("cannot make `{}`, to keep it from the server", directory.display());
            Err(Failure::new(Exit::Usage, says)
                .from(error)
                .help("name a root that it is not in, or another directory with `--state`"))
        }
    }
}

/// This program, and the path that it was started by: who may change either has something else
/// started the next time, in its place and outside of every sandbox.
fn programs() -> Vec<PathBuf> {
    let itself = env::current_exe().ok();
    let called = env::args_os().next().map(PathBuf::from).and_then(|name| {
        if name.components().count() > 1 || name.is_absolute() {
            return std::path::absolute(name).ok();
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let is_program = |it: &PathBuf| {
            it.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        };
        env::split_paths(&path).map(|it| it.join(&name)).find(is_program)
    });
    itself.into_iter().chain(called).filter(|it| it.exists()).collect()
}

/// What is to be told of roots that are named by way of a link, as they were found and are held to. A
/// server that had a root there before may have made it: on a command line somebody has just written
/// it, and is told where it leads; a policy is from before, and what it says must not have become
/// something else.
pub(super) fn led(resolved: &Resolved, confine: &Confinement) -> Result<Vec<String>, Failure> {
    let roots = resolved.roots.iter().filter(|it| !it.is_uri());
    let roots = roots.map(|it| (Path::new(&it.path), &*it.origin.place));
    let of_policy = resolved.source.iter().map(|it| it.path.display().to_string());
    let of_policy = of_policy.collect::<String>();
    let programs = resolved.sandbox.programs.iter().map(|it| (it.as_path(), &*of_policy));
    let mut told = Vec::new();
    for (path, place) in roots.chain(programs) {
        let Some(link) = confine.found(path).and_then(Found::link) else { continue };
        let (at, real) = (link.at.display(), link.real.display());
        if place != "--root" {
            let says = format!(
                "`{}` ({place}) passes the link `{at}`, which a server may have made",
                path.display()
            );
            return Err(Failure::new(Exit::Usage, says)
                .help(format!("if where it leads is what you mean, write that: `{real}`")));
        }
        told.push(leads(path, &link.real));
    }
    Ok(told)
}

/// The same of roots on a command line.
pub(super) fn leads(path: &Path, real: &Path) -> String {
    format!("the root `{}` leads to `{}`", path.display(), real.display())
}

/// What is kept from a server within what it may write, as it was when the server was started. When
/// somebody outside puts something else there, the kernel lets go of it, and the server may write
/// what is there then; so it is looked at again and again, and told.
#[derive(Debug, Default)]
pub(super) struct Kept {
    places: Vec<(PathBuf, Option<Which>)>,
    /// Where the policy really is.
    policy: Option<PathBuf>,
    /// What was replaced by the time that another server was started, and was not told yet.
    untold: Vec<PathBuf>,
    /// Whether the policy may be the server's by now.
    lost: bool,
}

/// A file or directory, whatever it is called.
type Which = (u64, u64);

impl Kept {
    pub(super) fn new(plan: &Plan, search: &Search) -> Self {
        let places = plan.kept().map(|it| (it.to_owned(), which(it))).collect();
        let policy = search
            .place()
            .and_then(|it| Some(it.parent()?.canonicalize().ok()?.join(it.file_name()?)));
        Self { places, policy, untold: Vec::new(), lost: false }
    }

    /// The same for a server that is started in the place of another. A policy that is lost stays so.
    pub(super) fn renew(&mut self, plan: &Plan) {
        self.untold = self.replaced();
        self.places = plan.kept().map(|it| (it.to_owned(), which(it))).collect();
    }

    /// What was replaced since the last look.
    pub(super) fn replaced(&mut self) -> Vec<PathBuf> {
        let mut replaced = std::mem::take(&mut self.untold);
        for (path, was) in &mut self.places {
            let is = which(path);
            if is != *was && is.is_some() {
                *was = is;
                self.lost |= self.policy.as_ref().is_some_and(|it| it.starts_with(&*path));
                replaced.push(path.clone());
            }
        }
        replaced
    }

    /// Whether a policy that is read now would be somebody's who is no server.
    pub(super) fn has_the_policy(&self) -> bool {
        !self.lost
    }
}

fn which(path: &Path) -> Option<Which> {
    path.symlink_metadata().ok().map(|it| (it.dev(), it.ino()))
}
