//! `stockade doctor`: what this machine can do for a sandbox, as a table or for a program, and which
//! lock servers would be held to. What is tried, and how, is in `stockade-sandbox`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{ContentArrangement, LineStyle, Table, presets};
use serde_json::{Value, json};
use stockade_sandbox::{Diagnosis, Feature, Guarantee, Strength, Works, examine};

use super::locked::{failed, shown};
use super::{Format, State};
use crate::engine::{Engine, found};
use crate::failure::{Exit, Failure};
use crate::lock::Place;

/// Where the terminal does not say how wide it is.
const WIDTH: u16 = 100;

/// Try what a sandbox is made of on this machine, and say what is missing and what to do
#[derive(Debug, Args)]
#[command(
    after_help = "Each feature is tried in a process of its own, which ends with it. The lock is the one that `run` would
read with the same options.

Exit codes: 0 when every guarantee is enforced that is by default; 97 when one is not."
)]
pub(super) struct Doctor {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Look at the lock beside this policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Look at this lock
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    #[command(flatten)]
    state: State,
}

impl Doctor {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let found = Findings { diagnosis: examine(), engines: found(), lock: self.pinned() };
        let page = match self.format {
            Format::Human => found.page(width()),
            Format::Json => format!("{}\n", found.json()),
        };
        super::printed(io::stdout().lock().write_all(page.as_bytes()))?;
        Ok(match found.diagnosis.is_whole() {
            true => ExitCode::SUCCESS,
            false => Exit::Unenforced.into(),
        })
    }

    /// What there is of a lock.
    fn pinned(&self) -> Pinned {
        let place = self.state.own();
        let place = place.map(|it| Place::new(self.lock.as_deref(), self.policy.as_deref(), &it));
        match place {
            Ok(place) => {
                let lock = place.read().map(|it| it.map(|it| it.servers.len()));
                let servers = lock.map_err(|it| told(&failed(&it)));
                Pinned { file: Some(place.path().to_owned()), servers }
            }
            Err(failure) => Pinned { file: None, servers: Err(told(&failure)) },
        }
    }
}

/// Which lock would be read, and how many servers it pins; none, where there is no lock.
struct Pinned {
    file: Option<PathBuf>,
    servers: Result<Option<usize>, String>,
}

fn told(failure: &Failure) -> String {
    let told = failure.to_string();
    told.strip_prefix("error: ").unwrap_or(&told).to_owned()
}

/// All that was found.
struct Findings {
    diagnosis: Diagnosis,
    engines: Vec<Engine>,
    lock: Pinned,
}

impl Findings {
    fn page(&self, width: u16) -> String {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width)
            .set_header(["feature", "works", "found", "needed for"]);
        for it in &self.diagnosis.features {
            table.add_row([it.name, works(it.works), &it.found, &names(it.needed_for)]);
        }
        for it in &self.engines {
            table.add_row([it.name, works(it.works), &it.found, "containers instead"]);
        }
        // The text of a profile is to be copied, so it stands outside of the table.
        let mut page = format!("{table}\n");
        for (names, remedy) in self.remedies() {
            page.push_str(&format!("\n{}: {remedy}\n", names.join(", ")));
        }
        format!("{page}\n{}\n\n{}\n", self.lock.line(), self.verdict())
    }

    /// What can be done, each said once with what it is about.
    fn remedies(&self) -> Vec<(Vec<&str>, &str)> {
        let mut remedies: Vec<(Vec<&str>, &str)> = Vec::new();
        for Feature { name, remedy, .. } in &self.diagnosis.features {
            let Some(remedy) = remedy else { continue };
            match remedies.iter_mut().find(|(_, it)| it == remedy) {
                Some((names, _)) => names.push(name),
                None => remedies.push((vec![name], remedy)),
            }
        }
        remedies
    }

    fn verdict(&self) -> String {
        let Diagnosis { containment, weaker, refused, .. } = &self.diagnosis;
        let (Some(containment), None) = (containment, refused) else {
            let why = refused.as_deref().unwrap_or_default();
            return format!("`stockade run` starts no server here: {why}");
        };
        let holds = |it: &&stockade_sandbox::Held| it.strength == Strength::Enforced;
        let held: Vec<Guarantee> =
            containment.0.iter().filter(holds).map(|it| it.guarantee).collect();
        if weaker.is_empty() {
            return format!("`stockade run` enforces here: {}", names(&held));
        }
        let flags: Vec<String> = weaker.iter().map(|it| format!("--allow-weaker {it}")).collect();
        let less = containment.0.iter().filter(|it| !holds(it));
        let less: Vec<String> =
            less.map(|it| format!("{} {} ({})", it.strength, it.guarantee, it.by)).collect();
        format!(
            "`stockade run` starts no server here as it is; with `{}` it does, and enforces: {}; \
             {}",
            flags.join(" "),
            names(&held),
            less.join("; ")
        )
    }

    fn json(&self) -> Value {
        let Diagnosis { features, containment, weaker, refused } = &self.diagnosis;
        let feature = |it: &Feature| {
            json!({
                "name": it.name,
                "works": works(it.works),
                "found": it.found,
                "needed_for": it.needed_for.iter().map(|it| it.name()).collect::<Vec<_>>(),
                "remedy": it.remedy,
            })
        };
        let engine =
            |it: &Engine| json!({ "name": it.name, "works": works(it.works), "found": it.found });
        let guarantees = containment.iter().flat_map(|it| &it.0).map(|it| {
            let strength = it.strength.to_string();
            json!({ "name": it.guarantee.name(), "strength": strength, "by": it.by })
        });
        json!({
            "whole": self.diagnosis.is_whole(),
            "features": features.iter().map(feature).collect::<Vec<_>>(),
            "engines": self.engines.iter().map(engine).collect::<Vec<_>>(),
            "guarantees": guarantees.collect::<Vec<_>>(),
            "allow_weaker": weaker.iter().map(|it| it.name()).collect::<Vec<_>>(),
            "refused": refused,
            "lock": self.lock.json(),
        })
    }
}

impl Pinned {
    fn line(&self) -> String {
        let file = self.file.as_ref().map(|it| shown(&it.to_string_lossy())).unwrap_or_default();
        match &self.servers {
            Ok(None) => format!("lock: there is none at `{file}`, so no server is pinned by it"),
            Ok(Some(1)) => format!("lock: `{file}` can be read, and pins 1 server"),
            Ok(Some(number)) => format!("lock: `{file}` can be read, and pins {number} servers"),
            Err(why) => format!("lock: {why}"),
        }
    }

    fn json(&self) -> Value {
        json!({
            "file": self.file.as_ref().map(|it| it.to_string_lossy()),
            "found": !matches!(self.servers, Ok(None)),
            "servers": self.servers.as_ref().ok().copied().flatten(),
            "error": self.servers.as_ref().err(),
        })
    }
}

fn works(works: Works) -> &'static str {
    match works {
        Works::Yes => "yes",
        Works::No => "no",
        Works::Unknown => "cannot tell",
    }
}

fn names(guarantees: &[Guarantee]) -> String {
    guarantees.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ")
}

fn width() -> u16 {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.map(|it| it.ws_col).ok().filter(|it| *it >= 60).unwrap_or(WIDTH)
}

#[cfg(test)]
mod tests {
    use stockade_sandbox::{Containment, Held};

    use super::*;

    fn findings() -> Findings {
        let feature = |name, works, remedy: Option<&str>| Feature {
            name,
            works,
            found: "EPERM".into(),
            needed_for: &[Guarantee::Files, Guarantee::Network],
            remedy: remedy.map(str::to_owned),
        };
        let held = |guarantee, strength, by: &str| Held { guarantee, strength, by: by.into() };
        let diagnosis = Diagnosis {
            features: vec![
                feature("one", Works::No, Some("do that")),
                feature("two", Works::No, Some("do that")),
                feature("three", Works::Yes, None),
            ],
            containment: Some(Containment(vec![
                held(Guarantee::Files, Strength::Enforced, "mounts"),
                held(Guarantee::Memory, Strength::Not, "no group"),
            ])),
            weaker: vec![Guarantee::Memory],
            refused: None,
        };
        let lock = Pinned { file: Some("/lock".into()), servers: Ok(Some(2)) };
        Findings { diagnosis, engines: Vec::new(), lock }
    }

    #[test]
    fn a_remedy_is_said_once_and_the_last_line_is_what_holds() {
        let page = findings().page(80);
        assert_eq!(page.matches("one, two: do that").count(), 1, "{page}");
        let last = page.lines().last().unwrap();
        assert_eq!(
            last,
            "`stockade run` starts no server here as it is; with `--allow-weaker memory` it does, \
             and enforces: files; not memory (no group)"
        );
        assert!(page.lines().all(|it| it == last || it.chars().count() <= 80), "{page}");
    }

    #[test]
    fn where_nothing_starts_it_is_said() {
        let mut found = findings();
        found.diagnosis.containment = None;
        found.diagnosis.refused = Some("no seccomp".into());
        assert_eq!(found.verdict(), "`stockade run` starts no server here: no seccomp");
        assert_eq!(found.json()["refused"], "no seccomp");
        assert!(!found.diagnosis.is_whole());
    }

    #[test]
    fn a_machine_where_all_holds_is_whole() {
        let mut found = findings();
        found.diagnosis.weaker.clear();
        assert!(found.diagnosis.is_whole());
        assert_eq!(found.verdict(), "`stockade run` enforces here: files");
    }
}
