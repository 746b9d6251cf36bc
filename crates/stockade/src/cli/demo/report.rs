//! What is printed: a line a scene and why, for a person; an object a scene, for a program.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::super::Format;
use super::scene::{Outcome, Seen, Trouble};
use super::stage::Stage;

/// As narrow as terminals are.
const WIDTH: usize = 80;
/// How much of a line says what was tried, and what happened.
const TRIED: usize = 42;
const HAPPENED: usize = 8;

const HEADING: Style = Style::new().bold();
const ASIDE: Style = Style::new().dimmed();
const PASSED: Style = AnsiColor::Green.on_default();
const STOPPED: Style = AnsiColor::Yellow.on_default();
const WRONG: Style = AnsiColor::Red.on_default().bold();

#[derive(Debug)]
pub(super) struct Report {
    format: Format,
    part: &'static str,
    scenes: usize,
    unexpected: Vec<&'static str>,
}

impl Report {
    pub(super) fn new(format: Format) -> Self {
        Self { format, part: "", scenes: 0, unexpected: Vec::new() }
    }

    /// Whether every scene came out as it should.
    pub(super) fn is_as_expected(&self) -> bool {
        self.scenes > 0 && self.unexpected.is_empty()
    }

    /// Whether a scene came out otherwise.
    pub(super) fn is_wrong(&self) -> bool {
        !self.unexpected.is_empty()
    }

    /// Says what this is.
    pub(super) fn introduce(&self, text: &str) -> Result<(), Trouble> {
        self.human(&wrapped(text, 0))
    }

    /// Says what holds the servers, as the first guard has written it down.
    pub(super) fn held(&self, records: &[Value]) -> Result<(), Trouble> {
        let start = records.iter().find(|it| it.get("kind").is_some_and(|it| it == "start"));
        let says = start.and_then(|it| it.get("says")?.as_str()).unwrap_or_default();
        let held = says.split_once("; ").map_or(says, |(_, held)| held);
        if self.format == Format::Json {
            return printed(writeln!(io::stdout(), "{}", json!({ "held": held })));
        }
        let columns = format!("  {:TRIED$} {:HAPPENED$} by", "what was tried", "happened");
        let held = wrapped(&format!("For each of them, {held}."), 0);
        self.human(&format!("\n{held}\n\n{ASIDE}{columns}{ASIDE:#}"))
    }

    /// Begins a part.
    pub(super) fn part(&mut self, title: &'static str) -> Result<(), Trouble> {
        self.part = title;
        self.human(&format!("\n{HEADING}{title}{HEADING:#}"))
    }

    /// Tells what came of a scene.
    pub(super) fn tell(
        &mut self,
        name: &'static str,
        tried: &str,
        outcome: &Outcome,
    ) -> Result<(), Trouble> {
        self.scenes += 1;
        if outcome.is_err() {
            self.unexpected.push(name);
        }
        let (happened, by, why) = match outcome {
            Ok(Seen { happened, by, why }) => (*happened, *by, why),
            Err(instead) => ("WRONG", None, instead),
        };
        if self.format == Format::Json {
            let object = json!({
                "scene": name,
                "part": self.part,
                "tried": tried,
                "as_expected": outcome.is_ok(),
                "happened": if outcome.is_ok() { happened } else { "wrong" },
                "by": by,
                "why": why,
            });
            return printed(writeln!(io::stdout(), "{object}"));
        }
        let style = match outcome {
            Err(_) => WRONG,
            Ok(Seen { by: None, .. }) => PASSED,
            Ok(_) => STOPPED,
        };
        let by = by.unwrap_or_default();
        let line = format!("  {tried:TRIED$} {style}{happened:HAPPENED$}{style:#}");
        // What passed was stopped by nobody: there is room for what came back.
        let room = WIDTH.saturating_sub("  ".len() + TRIED + 1 + HAPPENED + 1);
        let end = if by.is_empty() && why.chars().count() <= room {
            format!(" {ASIDE}{}{ASIDE:#}", wrapped(why, 0))
        } else {
            format!(" {by}\n{ASIDE}{}{ASIDE:#}", wrapped(why, 4))
        };
        self.human(&format!("{line}{end}"))
    }

    /// Says what is not shown, and the verdict.
    pub(super) fn close(&self, text: &str, took: Duration) -> Result<(), Trouble> {
        let seconds = took.as_secs_f32();
        let (style, verdict) = match self.unexpected.as_slice() {
            [] => (
                PASSED,
                format!("All {} scenes came out as they should, in {seconds:.1} s.", self.scenes),
            ),
            names => {
                let names = names.join(", ");
                let verdict = format!(
                    "{} of {} scenes came out wrong: {names}.",
                    self.unexpected.len(),
                    self.scenes
                );
                (WRONG, verdict)
            }
        };
        let explain = "`stockade explain RULE` says more about a rule.";
        self.human(&format!("\n{}\n\n{explain}\n{style}{verdict}{style:#}", wrapped(text, 0)))
    }

    /// Says where the server is that goes on, and how to reach it.
    pub(super) fn keeps(
        &self,
        address: SocketAddr,
        key: &str,
        stage: &Stage,
    ) -> Result<(), Trouble> {
        let (root, state) = (stage.root(), stage.state());
        let (root, state) = (root.display(), state.display());
        let url = format!("http://{address}/mcp");
        if self.format == Format::Json {
            let kept = json!({ "url": url, "key": key, "root": root.to_string(),
                "state": state.to_string() });
            return printed(writeln!(io::stdout(), "{kept}"));
        }
        let server = json!({
            "type": "http",
            "url": url,
            "headers": { "Authorization": format!("Bearer {key}") },
        });
        let config = json!({ "mcpServers": { "stockade-demo": server } });
        self.human(&format!(
            "\n{HEADING}The careful server goes on behind the guard, until Ctrl-C{HEADING:#}
  address  {url}
  files    {root}
  key
  {key}

In a client's configuration (`mcp.json`):
{config:#}

With Claude Code:
  claude mcp add --transport http stockade-demo {url} \\
    --header \"Authorization: Bearer {key}\"

What it does is written down:
  stockade audit tail --follow --state {state}"
        ))
    }

    /// Colours are left out where they are not wanted.
    fn human(&self, text: &str) -> Result<(), Trouble> {
        match self.format {
            Format::Human => printed(writeln!(anstream::stdout(), "{text}")),
            Format::Json => Ok(()),
        }
    }
}

/// A reader that has gone is told apart from a guard that has.
fn printed(written: io::Result<()>) -> Result<(), Trouble> {
    written.map_err(|error| match error.kind() == io::ErrorKind::BrokenPipe {
        true => Trouble::Unread,
        false => error.into(),
    })
}

/// A text in lines that are narrow enough, and that does nothing to a terminal but being read.
fn wrapped(text: &str, indent: usize) -> String {
    let text: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let mut lines = vec![" ".repeat(indent)];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        let empty = line.len() == indent;
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("{}{word}", " ".repeat(indent)));
        } else {
            line.push_str(if empty { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_fits_the_screen() {
        let text = wrapped(&"a word ".repeat(40), 4);
        assert!(text.lines().count() > 3);
        assert!(text.lines().all(|it| it.starts_with("    ") && it.len() <= WIDTH), "{text}");
    }

    #[test]
    fn one_scene_that_goes_wrong_is_the_verdict() {
        let mut report = Report::new(Format::Json);
        assert!(!report.is_as_expected(), "nothing was played");
        let seen = Seen { happened: "passed", by: None, why: String::new() };
        report.tell("good", "", &Ok(seen)).unwrap();
        assert!(report.is_as_expected());
        report.tell("bad", "", &Err("not as expected".to_owned())).unwrap();
        assert!(!report.is_as_expected());
        assert_eq!(report.unexpected, ["bad"]);
    }

    #[test]
    fn a_text_does_nothing_to_a_terminal() {
        assert_eq!(wrapped("a\u{1b}[2Jb\nc", 0), "a [2Jb c");
    }
}
