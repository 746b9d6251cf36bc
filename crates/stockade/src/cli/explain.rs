//! `stockade explain RULE`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use stockade_core::check;
use stockade_core::finding::Rule;

use super::printed;
use crate::failure::{Exit, Failure};

/// Print a rule's page
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stockade explain\n  stockade explain hidden_unicode")]
pub(super) struct Explain {
    /// The rule; without it, the list of them
    rule: Option<String>,
}

impl Explain {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let Some(id) = &self.rule else {
            let longest = check::rules().map(|it| it.id.len()).max().unwrap_or_default();
            let line = |it: &Rule| {
                format!("{:longest$}  {:6}  {}\n", it.id, it.severity.name(), it.title())
            };
            let lines: String = check::rules().map(line).collect();
            printed(io::stdout().write_all(lines.as_bytes()))?;
            return Ok(ExitCode::SUCCESS);
        };
        let Some(rule) = check::rule(id) else {
            let near = check::rules().max_by(|a, b| {
                strsim::jaro_winkler(a.id, id).total_cmp(&strsim::jaro_winkler(b.id, id))
            });
            let near =
                near.map(|it| format!("did you mean `{}`? `stockade explain` lists all", it.id));
            return Err(Failure::new(Exit::Usage, format!("there is no rule `{id}`"))
                .help(near.unwrap_or_default()));
        };
        printed(writeln!(io::stdout(), "{}", rule.page.trim_end()))?;
        Ok(ExitCode::SUCCESS)
    }
}
