//! Which of the roots that a client says count, and why the others do not.

use std::fs;
use std::path::{Path, PathBuf};

use stockade_core::check::{redacted, visible};
use stockade_core::policy::Origin;
use stockade_core::root::{self, Admission, Admitted};
use stockade_kit::path::inside;
use stockade_sandbox::{Access, Confinement, Plan, Spec, led_by, plan};

use super::Reserve;
use crate::config::Root;
use crate::config::resolve::with_hosts;

/// What came of a list.
#[derive(Debug, Default)]
pub(super) struct Considered {
    /// Those that count and are none yet, as a policy has its own.
    pub(super) roots: Vec<String>,
    /// What is written down of each, and whether it counts.
    pub(super) told: Vec<(bool, String)>,
    /// How a process is started that has them, if the server is one.
    pub(super) spec: Option<Spec>,
    /// What is done to start it so.
    pub(super) plan: Option<Plan>,
}

impl Considered {
    /// What holds it, in brief.
    pub(super) fn held(&self) -> String {
        self.plan.as_ref().map(|it| it.containment().in_brief()).unwrap_or_default()
    }
}

/// Looks at each root that the client has `said`. It counts where the policy admits it (`by`) and a
/// process can have it; `first` is how the server is started without any of them, and `own` what
/// the policy gives it in any case.
pub(super) fn consider(
    said: &[String],
    by: &[Admission],
    own: &[String],
    first: Option<&Spec>,
    reserve: &Reserve,
) -> Considered {
    let mut considered = Considered { spec: first.cloned(), ..Considered::default() };
    let mut granted: Vec<Root> = Vec::new();
    for uri in said {
        let shown = visible(&redacted(uri));
        let mut tell =
            |counts, says: &str| considered.told.push((counts, format!("`{shown}` {says}")));
        let root = match admitted(uri, by) {
            Ok(it) => it,
            Err(why) => {
                tell(false, &format!("does not count: {why}"));
                continue;
            }
        };
        let same = |it: &str| it == root.path || !root.is_uri() && real(it) == real(&root.path);
        if own.iter().any(|it| same(it)) || granted.iter().any(|it| same(&it.path)) {
            tell(true, "is a root already");
            continue;
        }
        granted.push(root);
        match widened(first, &granted, reserve) {
            Ok((spec, plan)) => {
                let mode = match granted.last() {
                    Some(it) if it.is_uri() => "",
                    Some(it) if it.write => ", to be read and written",
                    Some(_) | None => ", to be read",
                };
                tell(true, &format!("counts{mode}"));
                (considered.spec, considered.plan) = (spec, plan);
            }
            Err(why) => {
                granted.pop();
                tell(false, &format!("does not count: {why}"));
            }
        }
    }
    if granted.is_empty() {
        considered.plan = widened(first, &[], reserve).ok().and_then(|(_, plan)| plan);
    }
    considered.roots = granted.into_iter().map(|it| it.path).collect();
    considered
}

/// A root of the client, if the policy has a place for it.
fn admitted(uri: &str, by: &[Admission]) -> Result<Root, String> {
    let origin = Origin { id: "client_roots".to_owned(), place: "the client".to_owned() };
    let nowhere = || Err("it is in no place that the policy admits (`client_roots`)".to_owned());
    if root::scheme(uri).is_some() {
        let path = root::uri(uri).map_err(|it| it.to_string())?;
        let fits = |it: &Admission| match &it.place {
            Admitted::Uri(place) => root::uri_within(std::slice::from_ref(place), &path).is_ok(),
            Admitted::Directory(_) | Admitted::Anywhere => false,
        };
        return match by.iter().any(fits) {
            true => Ok(Root { path, write: false, origin }),
            false => nowhere(),
        };
    }
    if !uri.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("file:/")) {
        return Err("it is no URI of a directory".to_owned());
    }
    let path = inside(&["/"], uri).map_err(|it| it.to_string())?;
    let there = fs::metadata(&path).map_err(|it| it.to_string())?;
    if !there.is_dir() {
        return Err("it is not a directory".to_owned());
    }
    let real = real(&path).ok_or_else(|| "nobody knows where it is".to_owned())?;
    let led = |it: &Admission| match &it.place {
        Admitted::Directory(place) => led_by(Path::new(place)).ok().flatten(),
        Admitted::Anywhere | Admitted::Uri(_) => None,
    };
    // The policy is from before, and what it says must not have become something else.
    if let Some(link) = by.iter().filter_map(led).find(|it| real.starts_with(&it.real)) {
        let (at, real) = (link.at.display(), link.real.display());
        return Err(format!(
            "the policy names its place by the link `{at}`, which a server may have made; if that is \
             what it means, it is to say `{real}`"
        ));
    }
    // The longer place knows more of it: a directory in another may be read only.
    let fits = |it: &Admission| match &it.place {
        Admitted::Anywhere => Some((0, it.write)),
        Admitted::Directory(place) => {
            let place = self::real(place).filter(|it| real.starts_with(it))?;
            Some((place.components().count(), it.write))
        }
        Admitted::Uri(_) => None,
    };
    match by.iter().filter_map(fits).max_by_key(|(length, write)| (*length, !write)) {
        Some((_, write)) => Ok(Root { path, write, origin }),
        None => nowhere(),
    }
}

/// How a process is started with these roots as well, and what is done for that.
fn widened(
    first: Option<&Spec>,
    roots: &[Root],
    reserve: &Reserve,
) -> Result<(Option<Spec>, Option<Plan>), String> {
    let mut spec = first.cloned();
    let mut nothing = Confinement::default();
    let held = spec.as_mut().and_then(|it| it.confine.as_deref_mut());
    let is_held = held.is_some();
    let confine = held.unwrap_or(&mut nothing);
    let directories = roots.iter().filter(|it| !it.is_uri()).map(|it| stockade_sandbox::Root {
        path: PathBuf::from(&it.path),
        access: if it.write { Access::Write } else { Access::Read },
    });
    confine.roots.extend(directories);
    confine.network = with_hosts(&confine.network, roots).map_err(|it| it.to_string())?;
    (reserve.keep)(confine)?;
    let Some(held) = spec.as_ref().filter(|_| is_held) else {
        // No plan looks at these: nothing holds the server, or it is elsewhere.
        let places = roots.iter().filter(|it| !it.is_uri()).filter_map(|it| real(&it.path));
        let own: Vec<PathBuf> =
            nothing.reserved.iter().filter_map(|it| it.path.canonicalize().ok()).collect();
        let never = |it: &PathBuf| {
            let machine = ["/proc", "/sys", "/dev"].iter().any(|no| it.starts_with(no));
            it.parent().is_none() || machine || own.iter().any(|own| it.starts_with(own))
        };
        return match places.into_iter().find(never) {
            Some(it) => Err(format!("`{}` cannot be a root", it.display())),
            None => Ok((spec, None)),
        };
    };
    let plan = plan(held).map_err(|it| it.to_string())?;
    Ok((spec, Some(plan)))
}

fn real(path: impl AsRef<Path>) -> Option<PathBuf> {
    path.as_ref().canonicalize().ok()
}
