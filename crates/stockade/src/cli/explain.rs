//! `stockade explain RULE`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use stockade_core::check;

use super::printed;
use crate::failure::{Exit, Failure};

/// Print a rule's page
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade explain
  stockade explain hidden_unicode
  stockade explain path_prefix")]
pub(super) struct Explain {
    /// The rule; without it, the list of them
    rule: Option<String>,
}

/// A rule of either kind: of what is said, and of what is written in a source.
struct Page {
    id: &'static str,
    severity: &'static str,
    title: &'static str,
    text: &'static str,
}

fn pages() -> impl Iterator<Item = Page> {
    let said = check::rules().map(|it| Page {
        id: it.id,
        severity: it.severity.name(),
        title: it.title(),
        text: it.page,
    });
    let written = stockade_audit::rules().iter().map(|it| Page {
        id: it.id,
        severity: it.severity.name(),
        title: it.title(),
        text: it.page,
    });
    said.chain(written)
}

impl Explain {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let Some(id) = &self.rule else {
            let longest = pages().map(|it| it.id.len()).max().unwrap_or_default();
            let line = |it: Page| format!("{:longest$}  {:8}  {}\n", it.id, it.severity, it.title);
            let of_sources = stockade_audit::rules().len();
            let of_messages = pages().count().saturating_sub(of_sources);
            let said: String = pages().take(of_messages).map(line).collect();
            let written: String = pages().skip(of_messages).map(line).collect();
            let both = format!("{said}\nOf sources (`stockade scan SOURCE`):\n{written}");
            printed(io::stdout().write_all(both.as_bytes()))?;
            return Ok(ExitCode::SUCCESS);
        };
        let Some(page) = pages().find(|it| it.id == id) else {
            let near = pages().max_by(|a, b| {
                strsim::jaro_winkler(a.id, id).total_cmp(&strsim::jaro_winkler(b.id, id))
            });
            let near =
                near.map(|it| format!("did you mean `{}`? `stockade explain` lists all", it.id));
            return Err(Failure::new(Exit::Usage, format!("there is no rule `{id}`"))
                .help(near.unwrap_or_default()));
        };
        printed(writeln!(io::stdout(), "{}", page.text.trim_end()))?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rules_have_one_name() {
        let mut names: Vec<&str> = pages().map(|it| it.id).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
