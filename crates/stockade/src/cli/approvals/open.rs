//! `stockade approvals open`: what waits, on a page in the browser.
//!
//! The page is served by the service; this only has it opened, and starts a browser. It ends at once:
//! a browser that were its child would be below a process of Stockade, as servers are.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use stockade_core::check::visible;

use super::{Service, misunderstood, print};
use crate::approvals::place::Place;
use crate::approvals::{Said, Told};
use crate::browser::opener::{address, browse, is_own};
use crate::failure::{Exit, Failure};

/// Open a page in the browser that shows what waits and what comes, and answer it there
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade approvals open
  stockade approvals open --no-open --listen 127.0.0.1:8421")]
pub(super) struct Open {
    /// Serve the page here. Loopback only; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", value_parser = address)]
    listen: SocketAddr,
    /// Start no browser: only print the address, which lets one browser in, within two minutes
    #[arg(long)]
    no_open: bool,
}

impl Open {
    pub(super) async fn open(&self, place: &Place) -> Result<ExitCode, Failure> {
        is_own(self.listen)?;
        let mut service = Service::of(place.connect_or_start().await)?;
        let told = service.ask(&Said::Open(self.listen)).await?;
        if let Told::Refused(why) = &told {
            return Err(Failure::new(Exit::Usage, format!("no page: {}", visible(why))));
        }
        let Told::Opened { url, file } = &told else { return Err(misunderstood(&told)) };
        let started = if self.no_open { Err("not wanted".to_owned()) } else { browse(file) };
        match started {
            Ok(()) => anstream::eprintln!(
                "note: the page opens in your browser; where it does not, open this there yourself, \
                 within two minutes:"
            ),
            Err(_) if self.no_open => (),
            Err(why) => anstream::eprintln!(
                "note: no browser was started ({why}): open this in one of this user's, within two \
                 minutes:"
            ),
        }
        print(&format!("{url}\n"))
    }
}
