//! What it was given without being meant to have it.

use std::env;
use std::fs;
use std::path::Path;

use super::{Area, Came, Outcome, Plan, Probe, Severity};

use Severity::{Critical, High, Low, Medium};

pub(super) fn probes() -> Vec<Probe> {
    vec![
        probe("variables.secret", Critical, "a secret that is not its own", |plan| {
            let secret = plan.text("secret")?;
            let found = env::vars_os().find(|(_, it)| it.to_string_lossy().contains(secret));
            Ok(Outcome::unless(found.is_some(), "a secret is in a variable"))
        }),
        probe("variables.secret-in-proc", Critical, "a secret that is not its own", |plan| {
            let secret = plan.text("secret")?;
            let text = fs::read("/proc/self/environ").unwrap_or_default();
            let found = String::from_utf8_lossy(&text).contains(secret);
            Ok(Outcome::unless(found, "a secret is in its environment"))
        }),
        probe("variables.agent", High, "where a service of the user is", |_| {
            let names = ["SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "DISPLAY"];
            let found = names.iter().find(|it| env::var_os(it).is_some());
            Ok(Outcome::unless(found.is_some(), "a service is named"))
        }),
        probe("variables.loader", Medium, "its programs load other libraries", |_| {
            let names = ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "NODE_OPTIONS", "PYTHONPATH"];
            let found = names.iter().find(|it| env::var_os(it).is_some());
            Ok(Outcome::unless(found.is_some(), "the loader is told what to load"))
        }),
        probe("variables.others", Low, "variables that it was not given", |plan| {
            let given = plan.texts("variables")?;
            let strange = env::vars_os().map(|it| it.0.to_string_lossy().into_owned());
            let strange: Vec<String> = strange.filter(|it| !given.contains(&it.as_str())).collect();
            Ok(Outcome::unless(!strange.is_empty(), format!("{strange:?}")))
        }),
        probe("descriptors.directory", Critical, "a directory leads out", |_| {
            Ok(descriptor(|it| it.starts_with('/') && Path::new(it).is_dir()))
        }),
        probe("descriptors.socket", High, "a service of the user", |_| {
            Ok(descriptor(|it| it.starts_with("socket:")))
        }),
        probe("descriptors.any", Medium, "a descriptor that it was not given", |_| {
            // One pipe is this attempt's own, as is what `/proc` is listed by.
            Ok(descriptor(|it| !it.starts_with("pipe:") && !it.starts_with("/proc/")))
        }),
        probe("directory", Medium, "it starts where it has nothing to do", |plan| {
            let here = env::current_dir().unwrap_or_default();
            let roots = [plan.text("rw")?, plan.text("ro")?];
            let inside = roots.iter().any(|it| here.starts_with(it));
            Ok(Outcome::unless(!inside, format!("it is in {}", here.display())))
        }),
        probe("signals.ignored", Low, "it behaves as its guard's signals say", |_| {
            let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
            let ignored = status.lines().find_map(|it| it.strip_prefix("SigIgn:\t"));
            // A program in Rust ignores SIGPIPE from its start, and this one SIGXFSZ.
            let mask = ignored.and_then(|it| u64::from_str_radix(it, 16).ok()).unwrap_or(0);
            Ok(Outcome::unless(mask & !0x100_1000 != 0, format!("ignored: {mask:x}")))
        }),
        probe("group.path", Low, "which service holds it", |_| {
            let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
            let known = text.lines().any(|it| it.rsplit(':').next().is_some_and(|it| it.len() > 1));
            Ok(Outcome::unless(known, "the control group's path is known"))
        }),
    ]
}

fn probe(
    id: &str,
    severity: Severity,
    means: &'static str,
    attempt: impl Fn(&Plan) -> Came + 'static,
) -> Probe {
    Probe::new(id, Area::Environment, severity, means, attempt)
}

/// Whether a descriptor beyond the standard three is such a thing.
fn descriptor(strange: fn(&str) -> bool) -> Outcome {
    let found = (3..1024).find_map(|number| {
        let to = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
        let to = to.to_string_lossy().into_owned();
        strange(&to).then(|| format!("{number} is {to}"))
    });
    Outcome::unless(found.is_some(), found.unwrap_or_else(|| "there is one".into()))
}
