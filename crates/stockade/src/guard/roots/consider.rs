//! Which of the roots that a client says count, and why the others do not.

use std::path::{Path, PathBuf};

use stockade_core::check::{redacted, visible};
use stockade_core::policy::Origin;
use stockade_core::root::{self, Admission, Admitted};
use stockade_kit::path::inside;
use stockade_sandbox::{Access, Confinement, Found, Spec, is_trusted, plan};

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
}

impl Considered {
    /// None of them counts, and why.
    pub(super) fn none(spec: Option<Spec>, why: &str) -> Self {
        Self { told: vec![(false, why.to_owned())], spec, ..Self::default() }
    }
}

/// A root of the client that the policy has a place for.
#[derive(Clone, Debug)]
struct Granted {
    root: Root,
    /// What it was when the policy was asked, and what alone is shown; nothing, of a URI.
    found: Option<Found>,
    /// Others trust what is there, and the policy does not name it.
    trusted: bool,
}

impl Granted {
    fn real(&self) -> Option<&Path> {
        self.found.as_ref().map(Found::real)
    }
}

/// A directory in which the policy lets roots of clients count, as it is now.
#[derive(Debug)]
struct Place {
    found: Found,
    write: bool,
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
    let places = places(by);
    let mut granted: Vec<Granted> = Vec::new();
    for uri in said {
        let shown = visible(&redacted(uri));
        let mut tell =
            |counts, says: &str| considered.told.push((counts, format!("`{shown}` {says}")));
        let new = match admitted(uri, by, &places) {
            Ok(it) => it,
            Err(why) => {
                tell(false, &format!("does not count: {why}"));
                continue;
            }
        };
        let is_own = |it: &String| {
            *it == new.root.path || new.found.is_some() && real(it).as_deref() == new.real()
        };
        let is_granted = |it: &Granted| {
            it.root.path == new.root.path || new.found.is_some() && it.real() == new.real()
        };
        if own.iter().any(is_own) || granted.iter().any(is_granted) {
            tell(true, "is a root already");
            continue;
        }
        let mode = match &new {
            Granted { found: None, .. } => "",
            Granted { trusted: true, .. } => {
                ", to be read: others trust what is there, and `client_roots` does not name it"
            }
            Granted { root: Root { write: true, .. }, .. } => ", to be read and written",
            Granted { .. } => ", to be read",
        };
        granted.push(new);
        match widened(first, &granted, &places, reserve) {
            Ok(spec) => {
                tell(true, &format!("counts{mode}"));
                considered.spec = spec;
            }
            Err(why) => {
                granted.pop();
                tell(false, &format!("does not count: {why}"));
            }
        }
    }
    considered.roots = granted.into_iter().map(|it| it.root.path).collect();
    considered
}

fn places(by: &[Admission]) -> Vec<Place> {
    let place = |it: &Admission| match &it.place {
        Admitted::Directory(path) => {
            Some(Place { found: Found::look(Path::new(path)).ok()?, write: it.write })
        }
        Admitted::Anywhere | Admitted::Uri(_) => None,
    };
    by.iter().filter_map(place).collect()
}

/// A root of the client, if the policy has a place for it.
fn admitted(uri: &str, by: &[Admission], places: &[Place]) -> Result<Granted, String> {
    let origin = Origin { id: "client_roots".to_owned(), place: "the client".to_owned() };
    let nowhere = || Err("it is in no place that the policy admits (`client_roots`)".to_owned());
    if root::scheme(uri).is_some() {
        let path = root::uri(uri).map_err(|it| it.to_string())?;
        let fits = |it: &Admission| match &it.place {
            Admitted::Uri(place) => root::uri_within(std::slice::from_ref(place), &path).is_ok(),
            Admitted::Directory(_) | Admitted::Anywhere => false,
        };
        return match by.iter().any(fits) {
            true => {
                let root = Root { path, write: false, origin };
                Ok(Granted { root, found: None, trusted: false })
            }
            false => nowhere(),
        };
    }
    if !uri.get(..6).is_some_and(|it| it.eq_ignore_ascii_case("file:/")) {
        return Err("it is no URI of a directory".to_owned());
    }
    let path = inside(&["/"], uri).map_err(|it| it.to_string())?;
    // It is looked at once: what is judged here is what is shown, whatever a server puts in its place
    // by the time that another is started.
    let found = Found::look(Path::new(&path)).map_err(|it| it.to_string())?.and_nothing_else();
    if !found.is_directory() {
        return Err("it is not a directory".to_owned());
    }
    let real = found.real();
    // The policy is from before, and what it says must not have become something else.
    let led = places.iter().filter_map(|it| it.found.link());
    if let Some(link) = led.into_iter().find(|it| real.starts_with(&it.real)) {
        let (at, real) = (link.at.display(), link.real.display());
        return Err(format!(
            "the policy names its place by the link `{at}`, which a server may have made; if that is \
             what it means, it is to say `{real}`"
        ));
    }
    // The longer place knows more of it: a directory in another may be read only.
    let around = places.iter().map(|it| (it.found.real(), it.write));
    let around = around.filter(|(place, _)| real.starts_with(place));
    let anywhere = by.iter().filter(|it| it.place == Admitted::Anywhere);
    let all = around.chain(anywhere.map(|it| (Path::new("/"), it.write)));
    let Some((place, write)) = all.max_by_key(|(it, write)| (it.components().count(), !write))
    else {
        return nowhere();
    };
    // For a root on a command line, somebody has typed that. Here the client alone would say so.
    let trusted = write && is_trusted(real, place);
    let root = Root { path, write: write && !trusted, origin };
    Ok(Granted { root, found: Some(found), trusted })
}

/// How a process is started with these roots as well, if it can be.
fn widened(
    first: Option<&Spec>,
    granted: &[Granted],
    places: &[Place],
    reserve: &Reserve,
) -> Result<Option<Spec>, String> {
    let mut spec = first.cloned();
    let mut nothing = Confinement::default();
    let held = spec.as_mut().and_then(|it| it.confine.as_deref_mut());
    let is_held = held.is_some();
    let confine = held.unwrap_or(&mut nothing);
    for Granted { root, found, .. } in granted {
        let Some(found) = found else { continue };
        let access = if root.write { Access::Write } else { Access::Read };
        show(confine, Path::new(&root.path), found, access);
    }
    for place in read_only(granted, places) {
        // What was named as a root by itself is what it was named as.
        let is_a_root = |it: &stockade_sandbox::Root| {
            confine.found(&it.path).is_some_and(|it| it.real() == place.real())
        };
        if !confine.roots.iter().any(is_a_root) {
            show(confine, place.real(), place, Access::Read);
        }
    }
    let roots: Vec<Root> = granted.iter().map(|it| it.root.clone()).collect();
    confine.network = with_hosts(&confine.network, &roots).map_err(|it| it.to_string())?;
    (reserve.keep)(confine)?;
    let Some(held) = spec.as_ref().filter(|_| is_held) else {
        // No plan looks at these: nothing holds the server, or it is elsewhere.
        let own: Vec<PathBuf> =
            nothing.reserved.iter().filter_map(|it| it.path.canonicalize().ok()).collect();
        let never = |it: &&Path| {
            let machine = ["/proc", "/sys", "/dev"].iter().any(|no| it.starts_with(no));
            it.parent().is_none() || machine || own.iter().any(|own| it.starts_with(own))
        };
        return match granted.iter().filter_map(Granted::real).find(never) {
            Some(it) => Err(format!("`{}` cannot be a root", it.display())),
            None => Ok(spec),
        };
    };
    plan(held).map(drop).map_err(|it| it.to_string())?;
    Ok(spec)
}

/// Has a process see what was found at a path, and nothing else that is there later.
fn show(confine: &mut Confinement, path: &Path, found: &Found, access: Access) {
    confine.roots.push(stockade_sandbox::Root { path: path.to_owned(), access });
    confine.hold_to(path, found.clone());
}

/// What the policy admits to be read only, and lies in a root that may be written: the longer place
/// knows more of it there too.
fn read_only<'a>(granted: &'a [Granted], places: &'a [Place]) -> impl Iterator<Item = &'a Found> {
    let written: Vec<&Path> =
        granted.iter().filter(|it| it.root.write).filter_map(Granted::real).collect();
    let is_in = move |it: &&Place| {
        let real = it.found.real();
        !it.write && written.iter().any(|root| real.starts_with(root) && real != *root)
    };
    places.iter().filter(is_in).map(|it| &it.found)
}

fn real(path: impl AsRef<Path>) -> Option<PathBuf> {
    path.as_ref().canonicalize().ok()
}
