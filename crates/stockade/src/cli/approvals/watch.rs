//! `stockade approvals watch`: what waits, one question after the other, in a terminal.
//!
//! It goes by lines, so that it works over any connection, can be read back, and can be scripted. An
//! answer is about the question that was shown last and nothing else. What was typed before that was
//! whole on the screen, and as long as nobody can have read a word of it, is thrown away and said to
//! be; an answer that names the question it is about needs no such time.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::{QueueSelector, tcflush};
use stockade_core::check::{escaped, visible};
use tokio::sync::mpsc;

use super::{Service, bound, given, print, proposed, seconds};
use crate::approvals::grants::Bounds;
use crate::approvals::place::Place;
use crate::approvals::shown::{in_brief, in_full};
use crate::approvals::{Said, Shown, Told};
use crate::failure::{Exit, Failure};

const HELP: &str = "a = allow once   d = deny   g = allow from now on   s = the next one   q = quit   (a \
                    REFERENCE, d REFERENCE, g REFERENCE answer that one and no other)";

/// So long after a question is whole on the screen nobody has read it. The page has the same.
const READING: Duration = Duration::from_millis(700);

/// So many lines that were typed may wait.
const LINES_MAX: usize = 64;

/// A line, and when it was typed.
type Typed = (Instant, String);

pub(super) async fn watch(place: &Place) -> Result<ExitCode, Failure> {
    let mut service = Service::of(place.connect_or_start().await)?;
    service.say(&Said::Watch).await?;
    let lines =
        typed().map_err(|it| Failure::new(Exit::Usage, "cannot read what is typed").from(it))?;
    let mut desk = Desk { waiting: Vec::new(), lines, shown_at: Instant::now() };
    print("waits for questions (q ends this)\n")?;
    loop {
        let before = desk.waiting.first().map(version);
        let now = tokio::select! {
            told = service.next() => {
                desk.told(told?)?;
                desk.waiting.first().map(version)
            }
            typed = desk.lines.recv() => match typed {
                Some(typed) => match desk.typed(&mut service, typed).await? {
                    // The same question once more, or another.
                    After::Show => {
                        desk.show()?;
                        continue;
                    }
                    After::Stay => continue,
                    After::End => return Ok(ExitCode::SUCCESS),
                },
                None => return Ok(ExitCode::SUCCESS),
            },
        };
        if before != now {
            desk.show()?;
        }
    }
}

/// What is typed, read as it comes by a thread of its own: while a slow terminal takes a long question,
/// nothing else here goes on, and a line that was typed meanwhile is to be known as one.
fn typed() -> io::Result<mpsc::Receiver<Typed>> {
    let (lines, receiver) = mpsc::channel(LINES_MAX);
    thread::Builder::new().name("typed".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send((Instant::now(), line)).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// What an answer would be about.
fn version(shown: &Shown) -> (String, usize) {
    (shown.id.clone(), shown.times)
}

/// What comes after something was typed.
enum After {
    Show,
    Stay,
    End,
}

struct Desk {
    /// The first is the one that was shown.
    waiting: Vec<Shown>,
    lines: mpsc::Receiver<Typed>,
    /// When the last of what was shown was taken by the terminal.
    shown_at: Instant,
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
    fn show(&mut self) -> Result<(), Failure> {
        let Some(shown) = self.waiting.first() else {
            print("nothing waits\n")?;
            return Ok(());
        };
        let more = self.waiting.len() - 1;
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        let text = format!("\n{}{more}\n{}{HELP}\n> ", in_brief(shown), in_full(shown));
        self.print_whole(&text)
    }

    /// Prints something that is to be answered.
    fn print_whole(&mut self, text: &str) -> Result<(), Failure> {
        print(text)?;
        io::stdout().flush().ok();
        if io::stdin().is_terminal() {
            // It was about something else.
            let _unread = tcflush(io::stdin(), QueueSelector::IFlush);
        }
        self.shown_at = Instant::now();
        Ok(())
    }

    /// Whether a line was typed before what it would answer can have been read.
    fn is_early(&self, at: Instant) -> bool {
        at < self.shown_at + READING
    }

    /// Says that a line was no answer.
    fn early(&self, typed: &str, or: &str) -> Result<(), Failure> {
        let typed = visible(typed).chars().take(40).collect::<String>();
        print(&format!("! `{typed}` came too early to be about this, and is no answer{or}\n> "))?;
        io::stdout().flush().ok();
        Ok(())
    }

    /// Does what was typed.
    async fn typed(&mut self, service: &mut Service, (at, line): Typed) -> Result<After, Failure> {
        let line = line.trim();
        let ended = || Ok(if line == "q" { After::End } else { After::Stay });
        let Some(shown) = self.waiting.first().cloned().filter(|_| line != "q") else {
            return ended();
        };
        let (word, named) = match line.split_once(' ') {
            Some((word, named)) => (word, Some(named.trim())),
            None => (line, None),
        };
        if named.is_some_and(|it| it != shown.id) {
            print("! that is not the question that is shown; nothing is answered\n")?;
            return Ok(After::Show);
        }
        if named.is_none() && self.is_early(at) {
            let again = format!(": type it again, or `{word} {}`", visible(&shown.id));
            self.early(line, if matches!(word, "a" | "d" | "g") { &again } else { "" })?;
            return Ok(After::Stay);
        }
        let (approved, grant) = match word {
            "a" => (true, None),
            "d" => (false, None),
            "g" => match self.bounds(&shown).await? {
                Some(bounds) => (true, Some(bounds)),
                None => return Ok(After::Show),
            },
            "s" => {
                self.waiting.rotate_left(1);
                return Ok(After::Show);
            }
            _ => return Ok(After::Show),
        };
        service.say(&Said::Give(given(&shown, approved, grant, "terminal"))).await?;
        // It is settled when the service says so; until then the next may be shown.
        loop {
            let told = service.next().await?;
            let done = matches!(told, Told::Done(_) | Told::Refused(_));
            self.told(told)?;
            if done {
                return Ok(After::Show);
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
            self.print_whole(&text)?;
            let typed = loop {
                let Some((at, typed)) = self.lines.recv().await else { return Ok(None) };
                // A yes to what was there before is no yes to this.
                if typed.trim() != "y" || !self.is_early(at) {
                    break typed;
                }
                self.early(&typed, "")?;
            };
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
