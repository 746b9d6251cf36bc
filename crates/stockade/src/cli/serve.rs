//! `stockade serve`: the quick forms, one server on loopback.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use stockade_core::check::visible;
use stockade_core::record::Kind;
use stockade_core::session::Parties;
use tokio::net::TcpListener;

use super::printed;
use super::run::{Ready, Shared, Where, ended, last, note, runtime, seal, stop, unrecorded, watch};
use crate::approvals::desk::Desk;
use crate::approvals::place::Place;
use crate::edge::{Door, Key};
use crate::failure::{Exit, Failure};
use crate::guard::gateway::{Gateway, ROUTES, Upstream, local, remote};

/// Guard one server for many clients, over HTTP on this machine
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockade serve --listen 127.0.0.1:8420 --upstream https://mcp.example.com/mcp
  stockade serve --root . -- uvx mcp-server-git --repository .")]
pub(super) struct Serve {
    /// Listen here. Loopback only
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8420", value_parser = address)]
    listen: SocketAddr,
    /// Guard the remote server at this address instead of a command. Over https, it must prove who
    /// it is by a certificate that this machine trusts, or one of those in $SSL_CERT_FILE
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    upstream: Option<String>,
    /// How clients show who they are
    #[arg(long, value_enum, default_value_t)]
    auth: Auth,
    /// A key for this person: rules, limits, grants and questions are by the name. May be repeated
    /// [default: one key, by the name `key`]
    #[arg(long = "key", value_name = "NAME", value_parser = named)]
    keys: Vec<String>,
    /// Print every route, and end
    #[arg(long)]
    print_routes: bool,
    #[command(flatten)]
    shared: Shared,
    /// The server's command
    #[arg(last = true, help_heading = None, value_name = "CMD")]
    command: Vec<OsString>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address and a port, as in `127.0.0.1:8420`".to_owned())
}

fn named(text: &str) -> Result<String, String> {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "._@-".contains(it);
    if text.is_empty() || text.len() > 64 || !text.chars().all(is_plain) {
        return Err("a name of at most 64 letters, digits, `.`, `_`, `@` and `-`".to_owned());
    }
    // What is allowed there would be allowed here.
    if ["local", "anonymous"].contains(&text) {
        return Err("the name of whoever has no key".to_owned());
    }
    Ok(text.to_owned())
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// By a bearer key, which is printed once at start
    #[default]
    Key,
    /// Not at all: every program on this machine may use the server
    None,
}

impl Serve {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        if self.print_routes {
            let all: Vec<_> =
                ROUTES.iter().map(|(method, path, _)| format!("{method} {path}\n")).collect();
            printed(write!(io::stdout(), "{}", all.concat()))?;
            return Ok(ExitCode::SUCCESS);
        }
        if !self.listen.ip().is_loopback() {
            let says = format!("`{}` is not an address of this machine alone", self.listen);
            return Err(Failure::new(Exit::Usage, says).help(
                "only loopback is served, since there is no TLS and no identity yet: listen on \
                 127.0.0.1 or [::1]",
            ));
        }
        let mut names: Vec<&String> = self.keys.iter().collect();
        names.sort();
        if names.windows(2).any(|it| matches!(it, [one, other] if one == other)) {
            let says = "two keys by one name";
            return Err(Failure::new(Exit::Usage, says).help("name each person once"));
        }
        if self.auth == Auth::None && !self.keys.is_empty() {
            let says = "`--key` with `--auth none`, where nobody shows a key";
            return Err(Failure::new(Exit::Usage, says).help("leave one of them away"));
        }
        let ready = self.shared.ready(self.upstream.as_deref(), &self.command, &[])?;
        let Some(ready) = ready else { return Ok(ExitCode::SUCCESS) };
        let told = Arc::clone(&ready.guard);
        if let Some(blocked) = ready.guard.server.blocked() {
            last(&told);
            let says = format!("the server was not started: {}", visible(&blocked.why));
            return Err(Failure::new(Exit::Denied, says).help(visible(&blocked.release)));
        }
        if !ready.resolved.policy.client_roots.is_empty() {
            anstream::eprintln!("note: roots of clients count behind `stockade run` alone");
        }
        // Two at least: while one judges what is very large, the other sessions go on.
        let threads = std::thread::available_parallelism().map_or(2, |it| it.get().max(2));
        let end = ended(runtime(threads)?, self.serve(ready));
        last(&told);
        end
    }

    async fn serve(&self, ready: Ready) -> Result<ExitCode, Failure> {
        let Ready { guard, resolved, server, held, kept, follows, show_stderr, state, .. } = ready;
        let failed = |it| {
            Failure::new(Exit::Usage, format!("cannot listen on `{}`", self.listen))
                .from(it)
                .help("choose another port with `--listen`; port 0 takes a free one")
        };
        let listener = TcpListener::bind(self.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let no_key =
            |it| Failure::new(Exit::Usage, "the system has no randomness to give").from(it);
        let (keys, access) = match (self.auth, &self.keys[..]) {
            (Auth::None, _) => {
                let open = "no key: every program on this machine may use this server".to_owned();
                (None, vec![open])
            }
            (Auth::Key, []) => {
                let (key, text) = Key::random("key").map_err(no_key)?;
                (Some(vec![key]), vec![format!("key {text}")])
            }
            (Auth::Key, names) => {
                let keys = names.iter().map(|name| {
                    let (key, text) = Key::random(name)?;
                    Ok((key, format!("key {name} {text}")))
                });
                let (keys, texts) =
                    keys.collect::<Result<Vec<_>, _>>().map_err(no_key)?.into_iter().unzip();
                (Some(keys), texts)
            }
        };
        let door = Door::new(address, &resolved.http.hosts, &resolved.http.origins, keys);
        let parties = Parties { session: "".into(), principal: "".into() };
        watch(&guard, kept, follows)?;
        let says = format!("listening on {address}; {}", server.told(&held));
        note(&guard, &parties, Kind::Start, says)?;
        let about = Arc::new(server.for_a_person(&held));
        // Each conversation says for itself who hears what is answered in it.
        let (desk, _) = Desk::open(Place::below(state), about);
        let upstream = match server {
            Where::Here(it) => {
                anstream::eprintln!("note: {held}");
                Upstream::Local(local::Upstream::new(it.spec, it.prepared, show_stderr))
            }
            Where::There(http) => Upstream::Remote(remote::Upstream::new(http)),
        };
        desk.asks_elsewhere(&guard);
        let gateway = Gateway::new(Arc::clone(&guard), door, upstream, desk);
        let mut out = io::stdout();
        let told = writeln!(out, "listening on http://{address}/mcp\n{}", access.join("\n"));
        if !printed(told.and_then(|()| out.flush()))? {
            return Err(Failure::new(Exit::Usage, "nobody reads the address and the key")
                .help("they are on standard output: read it, or send it to a file"));
        }
        gateway.serve(listener, stop()).await.map_err(unrecorded)?;
        guard.settle().map_err(unrecorded)?;
        note(&guard, &parties, Kind::Stop, "asked to end".to_owned())?;
        seal(&guard)?;
        Ok(ExitCode::SUCCESS)
    }
}
