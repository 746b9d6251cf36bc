//! `stockade demo`: the main job in one command, on this machine alone.
//!
//! It starts both reference servers behind the guard, the way a client's configuration would, plays
//! the scenes of [`script`] as their client, and says of each what came of it. What is printed is
//! what was seen: an answer that came back, and what the ledger has of it. Nothing here judges or
//! mends anything.

mod client;
mod report;
mod scene;
mod script;
mod stage;
mod web;

use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use self::client::Client;
use self::report::Report;
use self::scene::{Evidence, Trouble};
use self::script::{Act, CLOSING, INTRODUCTION};
use self::stage::{Server, Stage, Watch};
use self::web::Web;
use super::Format;
use super::run::{runtime, stop};
use crate::failure::{Exit, Failure};

/// Play honest calls and attacks through the guard, and say what happened to each
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade demo
  stockade demo --keep --listen 127.0.0.1:8420")]
pub(super) struct Demo {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Leave a server running behind the guard, and say how to connect a client
    #[arg(long)]
    keep: bool,
    /// Where that server listens. Loopback only [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR", requires = "keep")]
    listen: Option<SocketAddr>,
}

impl Demo {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        runtime(1)?.block_on(self.play())
    }

    async fn play(&self) -> Result<ExitCode, Failure> {
        let mut stop = pin!(stop());
        // From here on, whoever wants this to end is heard, and what was started is cleared away.
        tokio::select! {
            biased;
            () = &mut stop => return Err(interrupted()),
            () = std::future::ready(()) => (),
        }
        let mut stage = Stage::new().map_err(failed)?;
        let mut report = Report::new(self.format);
        let played = tokio::select! {
            played = scenes(&mut stage, &mut report) => is_read(played),
            () = &mut stop => Err(interrupted()),
        };
        let kept = match played {
            Ok(true) if self.keep => tokio::select! {
                kept = self.keep(&mut stage, &mut report) => is_read(kept),
                () = &mut stop => Ok(true),
            },
            other => other,
        };
        let complaints = stage.complaints();
        stage.clear().await;
        let is_read = kept.map_err(|it| match complaints.is_empty() {
            true => it,
            false => it.help(complaints),
        })?;
        let is_fine = if is_read { report.is_as_expected() } else { !report.is_wrong() };
        Ok(if is_fine { ExitCode::SUCCESS } else { Exit::Findings.into() })
    }

    /// Serves until the guard ends, which it does not do by itself.
    async fn keep(&self, stage: &mut Stage, report: &mut Report) -> Result<(), Trouble> {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let web = Web::start(stage, self.listen.unwrap_or(free)).await?;
        report.keeps(web.address(), web.key(), stage)?;
        stage.last_ended().await;
        Err(Trouble::Ended)
    }
}

async fn scenes(stage: &mut Stage, report: &mut Report) -> Result<(), Trouble> {
    let began = Instant::now();
    report.introduce(INTRODUCTION)?;
    let mut careful = Client::start(stage, Server::Hardened, script::can_be_asked()).await?;
    let mut watch = Watch::new(stage)?;
    report.held(&watch.fresh()?)?;
    report.part("Honest calls, to the careful server")?;
    converse(&mut careful, &script::honest(), &mut watch, report).await?;

    let mut careless = Client::start(stage, Server::Vulnerable, script::can_nothing()).await?;
    report.part("Attacks on the careless server, by whoever commands its client")?;
    converse(&mut careless, &script::on_a_server(stage), &mut watch, report).await?;
    report.part("Attacks by the careless server, on its client")?;
    converse(&mut careless, &script::by_a_server(), &mut watch, report).await?;
    report.part("Attacks by the careless server's process, on this machine")?;
    let scenes = script::by_a_process(std::process::id());
    converse(&mut careless, &scenes, &mut watch, report).await?;

    let web = Web::start(stage, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    watch.fresh()?;
    report.part("Over HTTP, to the careful server")?;
    for scene in script::over_http() {
        let evidence = Evidence { records: Vec::new(), ..web.post(&scene.act).await? };
        let evidence = Evidence { records: watch.fresh()?, ..evidence };
        report.tell(scene.name, scene.tried, &scene.expects.judge(&evidence))?;
    }
    // The guards seal what they wrote when they end.
    drop((careful, careless, web));
    stage.end_guards().await;
    report.part("The ledger, where the guards wrote down all of this")?;
    let ledger = stage.ledger();
    report.tell("ledger", "check every record", &scene::whole(&ledger)?)?;
    let copy = stage.forged_copy()?;
    report.tell("ledger_edited", "change one byte of a copy", &scene::broken(&copy)?)?;
    report.close(CLOSING, began.elapsed())?;
    Ok(())
}

/// Plays scenes over standard input and output.
async fn converse(
    client: &mut Client,
    scenes: &[scene::Scene<Act>],
    watch: &mut Watch,
    report: &mut Report,
) -> Result<(), Trouble> {
    watch.fresh()?;
    let mut last = Evidence::default();
    for scene in scenes {
        let evidence = match &scene.act {
            Act::Ask { method, params } => client.request(method, params).await?,
            Act::Line(line) => client.line(line).await?,
            Act::Again => last,
        };
        last = match scene.act {
            Act::Again => evidence,
            Act::Ask { .. } | Act::Line(_) => Evidence { records: watch.fresh()?, ..evidence },
        };
        report.tell(scene.name, scene.tried, &scene.expects.judge(&last))?;
    }
    Ok(())
}

/// Whether somebody reads what is printed. One that closed the pipe has read enough.
fn is_read(done: Result<(), Trouble>) -> Result<bool, Failure> {
    match done {
        Ok(()) => Ok(true),
        Err(Trouble::Unread) => Ok(false),
        Err(trouble) => Err(failed(trouble)),
    }
}

fn failed(trouble: Trouble) -> Failure {
    Failure::new(Exit::Findings, "the demo cannot go on").from(trouble)
}

fn interrupted() -> Failure {
    Failure::new(Exit::Findings, "interrupted before the last scene")
}
