//! `stockade approvals watch`: what waits, one question after the other, in a terminal.
//!
//! It goes by lines, so that it works over any connection, can be read back, and can be scripted. An
//! answer is about the question that was shown last and nothing else, and what was typed before it
//! was shown is thrown away.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use rustix::termios::{QueueSelector, tcflush};
use stockade_core::check::{escaped, visible};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use super::{Service, bound, given, print, proposed, seconds};
use crate::approvals::grants::Bounds;
use crate::approvals::place::Place;
use crate::approvals::shown::{in_brief, in_full};
use crate::approvals::{Said, Shown, Told};
use crate::failure::Failure;

const HELP: &str =
    "a = allow once   d = deny   g = allow from now on   s = the next one   q = quit";

pub(super) async fn watch(place: &Place) -> Result<ExitCode, Failure> {
    let mut service = Service::of(place.connect_or_start().await)?;
    service.say(&Said::Watch).await?;
    let mut desk = Desk { waiting: Vec::new(), lines: BufReader::new(tokio::io::stdin()).lines() };
    print("waits for questions (q ends this)\n")?;
    loop {
        let before = desk.waiting.first().map(version);
        let now = tokio::select! {
            told = service.next() => {
                desk.told(told?)?;
                desk.waiting.first().map(version)
            }
            typed = desk.lines.next_line() => match typed {
                Ok(Some(typed)) => match desk.typed(&mut service, typed.trim()).await? {
                    // The same question once more, or another.
                    true => {
                        desk.show()?;
                        continue;
                    }
                    false => return Ok(ExitCode::SUCCESS),
                },
                Ok(None) | Err(_) => return Ok(ExitCode::SUCCESS),
            },
        };
        if before != now {
            desk.show()?;
        }
    }
}

/// What an answer would be about.
fn version(shown: &Shown) -> (String, usize) {
    (shown.id.clone(), shown.times)
}

struct Desk {
    /// The first is the one that was shown.
    waiting: Vec<Shown>,
    lines: Lines<BufReader<Stdin>>,
}

impl Desk {
    fn told(&mut self, told: Told) -> Result<(), Failure> {
        match told {
            Told::Waiting(waiting) => self.waiting = waiting,
            Told::Asked(shown) => match self.waiting.iter_mut().find(|it| it.id == shown.id) {
                Some(it) => *it = *shown,
                None => {
                    if !self.waiting.is_empty() {
                        print(&format!("\n+ {}\n", in_brief(&shown)))?;
                    }
                    self.waiting.push(*shown);
                }
            },
            Told::Settled { id, says } => {
                let before = self.waiting.len();
                self.waiting.retain(|it| it.id != id);
                if before != self.waiting.len() {
                    print(&format!("\n- {}  {}\n", visible(&id), visible(&says)))?;
                }
            }
            Told::Refused(says) => drop(print(&format!("! {}\n", visible(&says)))?),
            // What was done is told by what is settled.
            Told::Done(_)
            | Told::Grants(_)
            | Told::Answered { .. }
            | Told::Wanted(_)
            | Told::Opened { .. } => (),
        }
        Ok(())
    }

    /// Shows the question that comes next.
    fn show(&self) -> Result<(), Failure> {
        let Some(shown) = self.waiting.first() else {
            print("nothing waits\n")?;
            return Ok(());
        };
        let more = self.waiting.len() - 1;
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        print(&format!("\n{}{more}\n{}{HELP}\n> ", in_brief(shown), in_full(shown)))?;
        io::stdout().flush().ok();
        if io::stdin().is_terminal() {
            // It was about another question.
            let _unread = tcflush(io::stdin(), QueueSelector::IFlush);
        }
        Ok(())
    }

    /// Does what was typed. False, where that is to end.
    async fn typed(&mut self, service: &mut Service, typed: &str) -> Result<bool, Failure> {
        let Some(shown) = self.waiting.first().cloned() else { return Ok(typed != "q") };
        let (approved, grant) = match typed {
            "q" => return Ok(false),
            "a" => (true, None),
            "d" => (false, None),
            "g" => match self.bounds(&shown).await? {
                Some(bounds) => (true, Some(bounds)),
                None => return Ok(true),
            },
            "s" => {
                self.waiting.rotate_left(1);
                return Ok(true);
            }
            _ => return Ok(true),
        };
        service.say(&Said::Give(given(&shown, approved, grant, "terminal"))).await?;
        // It is settled when the service says so; until then the next may be shown.
        loop {
            let told = service.next().await?;
            let done = matches!(told, Told::Done(_) | Told::Refused(_));
            self.told(told)?;
            if done {
                return Ok(true);
            }
        }
    }

    /// Has the bounds of a grant be edited.
    async fn bounds(&mut self, shown: &Shown) -> Result<Option<Bounds>, Failure> {
        let mut bounds = match proposed(shown, super::DAY_S) {
            Ok(it) => it,
            Err(failure) => {
                print(&format!("! {failure}\n"))?;
                return Ok(None);
            }
        };
        loop {
            let mut text = String::from("\nfrom now on, where\n");
            for (name, bound) in &bounds.arguments {
                let bound = serde_json::to_value(bound).unwrap_or_default();
                text += &format!("  {} {}\n", visible(name), escaped(&bound.to_string()));
            }
            text += &format!(
                "for {} s, or until the tool changes\nNAME=any|within:DIR|matches:REGEX|equals:JSON \
                 or for=8h changes it, y grants it, n does not\n> ",
                bounds.for_s
            );
            print(&text)?;
            io::stdout().flush().ok();
            let Ok(Some(typed)) = self.lines.next_line().await else { return Ok(None) };
            match typed.trim() {
                "y" => return Ok(Some(bounds)),
                "n" | "" => return Ok(None),
                it => match it.strip_prefix("for=").map(seconds) {
                    Some(Ok(for_s)) => bounds.for_s = for_s,
                    Some(Err(why)) => drop(print(&format!("! {}\n", visible(&why)))?),
                    None => match bound(it) {
                        Ok((name, it)) => drop(bounds.arguments.insert(name, it)),
                        Err(why) => drop(print(&format!("! {}\n", visible(&why)))?),
                    },
                },
            }
        }
    }
}
