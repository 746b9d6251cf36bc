//! What is not the server's although it lies in its roots: what is the guard's own, and what could
//! not be looked for.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::{COVER_BYTES, Draft};
use crate::cell::{Kind, What};
use crate::mounted::Mounted;
use crate::plan::promise::{Refusal, TOO_MUCH_REMEDY};
use crate::roots::{NAMES_MAX, REPOSITORIES_MAX};
use crate::way::walk_as_far;
use crate::{Access, Confinement, Containment, Error, Guarantee, Keep, Reserved, Root, Strength};

impl Draft<'_> {
    /// Keeps from the server what is the guard's own: with the key of the ledger, or the policy, it
    /// could undo what holds it, with a package that was prepared it could be another server, and
    /// with the guard's program it would be the guard.
    pub(super) fn reserve(
        &mut self,
        confinement: &Confinement,
        roots: &[Root],
        here: &Path,
    ) -> Result<(), Error> {
        if confinement.reserved.is_empty() {
            return Ok(());
        }
        let mounted = Mounted::read()?;
        let way = |it: &Reserved| walk_as_far(&here.join(&it.path));
        let ways: Vec<_> = confinement.reserved.iter().map(|it| (it, way(it))).collect();
        for (it, way) in &ways {
            for own in mounted.everywhere(&way.end) {
                let asked = confinement.roots.iter().zip(roots);
                let mut taken = asked.filter(|(_, root)| root.path.starts_with(&own));
                let is_taken =
                    |root: &Root| it.keep == Keep::Hidden || root.access == Access::Write;
                if let Some((asked, _)) = taken.find(|(_, root)| is_taken(root)) {
                    return Err(Error::Reserved { path: asked.path.clone() });
                }
                // Programs are seen as well, where nothing is made in time.
                let is_in_a_root = roots.iter().any(|root| own.starts_with(&root.path));
                if is_in_a_root || own.exists() {
                    self.keep(it, own)?;
                }
            }
        }
        // What can be written is known only now. Whoever may change the way to a place need not
        // touch the place.
        for (it, way) in &ways {
            let turn = way.turns().find(|turn| self.is_the_servers(turn, &mounted));
            if let Some(link) = turn {
                let (path, link, real) = (it.path.clone(), link.clone(), way.end.clone());
                return Err(Error::ByALink { path, link, real });
            }
        }
        Ok(())
    }

    fn keep(&mut self, it: &Reserved, own: PathBuf) -> Result<(), Error> {
        let above = self.mounts.iter().filter(|(at, _)| own.starts_with(at));
        let nearest = above.max_by_key(|(at, _)| at.components().count());
        let Some((_, What::Bind { kind, owner, .. })) = nearest else { return Ok(()) };
        let (kind, owner) = (*kind, *owner);
        match it.keep {
            Keep::Hidden => {
                // A file of it that is mounted somewhere else cannot be covered by a directory.
                if fs::symlink_metadata(&own).is_ok_and(|it| !it.is_dir()) {
                    return Err(Error::Reserved { path: own });
                }
                let cover = What::Scratch { bytes: COVER_BYTES, mode: 0o700 };
                self.mounts.insert(own.clone(), cover);
                self.kept = Some(own);
            }
            Keep::Unwritten if kind == Kind::Write && own.exists() => {
                self.bind(&own, own.clone(), Kind::Read, owner);
                self.kept = Some(own);
            }
            Keep::Elsewhere if kind == Kind::Write => {
                return Err(Error::Written { path: it.path.clone() });
            }
            Keep::Unwritten | Keep::Elsewhere => {}
        }
        Ok(())
    }

    /// Whether the server could take this away, by any path at which it is seen.
    fn is_the_servers(&self, turn: &Path, mounted: &Mounted) -> bool {
        let (Some(above), Some(name)) = (turn.parent(), turn.file_name()) else { return false };
        mounted.everywhere(above).into_iter().map(|it| it.join(name)).any(|at| {
            let above = at.parent().and_then(|it| self.around(it));
            // What is mounted on stays where it is.
            !self.mounts.contains_key(&at) && matches!(above, Some((Kind::Write, _)))
        })
    }

    /// Where there was too much to look through, `files` holds less, if that was accepted.
    pub(in crate::plan) fn weaken(
        &self,
        containment: &mut Containment,
        allow_weaker: &[Guarantee],
    ) -> Result<(), Error> {
        let Some(root) = &self.too_much else { return Ok(()) };
        let cause =
            format!("it has more than {NAMES_MAX} names or {REPOSITORIES_MAX} repositories in it");
        if !allow_weaker.contains(&Guarantee::Files) {
            let feature = "that repositories in a writable root are read only";
            let cause = format!("`{}`: {cause}", root.display());
            return Err(Refusal { feature, cause, remedy: TOO_MUCH_REMEDY }.of(Guarantee::Files));
        }
        for held in containment.0.iter_mut().filter(|it| it.guarantee == Guarantee::Files) {
            let root = root.display();
            held.strength = Strength::Partly;
            held.by = format!("{}; repositories below `{root}` can be written: {cause}", held.by);
        }
        Ok(())
    }
}

impl Confinement {
    /// Whether a place lies in a root, by whatever path, and what the server may do there.
    pub fn shows(&self, place: &Path) -> Option<Access> {
        let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let real = |path: &Path| walk_as_far(&here.join(path)).end;
        let of_root = |it: &Path| self.as_found.real(it).map_or_else(|| real(it), Path::to_owned);
        let roots = self.roots.iter().map(|it| (of_root(&it.path), it.access));
        let roots: Vec<(PathBuf, Access)> = roots.collect();
        if roots.is_empty() {
            return None;
        }
        let place = real(place);
        let everywhere = Mounted::read().map(|it| it.everywhere(&place));
        let everywhere = everywhere.unwrap_or_else(|_| vec![place]);
        let access = |at: &PathBuf| {
            let around = roots.iter().filter(|(root, _)| at.starts_with(root));
            around.max_by_key(|(root, _)| root.components().count()).map(|(_, access)| *access)
        };
        let found: Vec<Access> = everywhere.iter().filter_map(access).collect();
        found.iter().find(|it| **it == Access::Write).or(found.first()).copied()
    }
}
