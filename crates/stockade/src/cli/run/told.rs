//! Who is told at once what happens, who reads it in numbers, and by what ways people hear of what asks:
//! as the policy has it, before anything is started.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::alerts::Alerts;
use crate::alerts::post::Post;
use crate::alerts::sink::Sink;
use crate::config::Resolved;
use crate::failure::{Exit, Failure};
use crate::guard::Guard;
use crate::metrics::{Metrics, listen};
use crate::traces::Traces;
use crate::webhook::{Address, HookError, Secret};

/// How long a guard that ends still tells what it has seen. A client that has it end waits about as
/// long.
const LAST: Duration = Duration::from_secs(2);

/// The same where the ledger cannot be written: then it is all that anybody hears of it.
const LAST_OF_ALL: Duration = Duration::from_secs(5);

impl Shared {
    /// Who tells at once what happens, where the policy wants it. `is_held`: it is about a process that
    /// a sandbox holds.
    pub(super) fn alerts(
        &self,
        resolved: &Resolved,
        server: &str,
        is_held: bool,
    ) -> Result<Option<Arc<Alerts>>, Failure> {
        let ways = resolved.ways.webhook.iter();
        let told = resolved.alerts.iter().filter_map(|it| it.webhook.as_ref());
        for address in ways.chain(told).filter(|_| is_held) {
            unseen(address, resolved)?;
        }
        let Some(wanted) = &resolved.alerts else { return Ok(None) };
        let sinks = Sink::all(wanted).map_err(no_hook)?;
        let post = Post::open(sinks, wanted.again, self.state.below("shared")?);
        let post =
            post.map_err(|it| Failure::new(Exit::Usage, "the system gives no thread").from(it))?;
        Ok(Some(Arc::new(Alerts::new(server, wanted, post))))
    }
}

/// Has what happens be counted for whoever reads the numbers at `address`. Several guards have one
/// policy, and one of them has the port: that is no reason for the others not to guard.
pub(super) fn counted(address: Option<SocketAddr>, guard: &Arc<Guard>) {
    let Some(address) = address else { return };
    let metrics = Arc::new(Metrics::new(&guard.server.name));
    match listen::start(address, &metrics, guard) {
        Ok(at) => {
            guard.counted_by(&metrics);
            anstream::eprintln!("note: metrics at http://{at}/metrics");
        }
        Err(error) => anstream::eprintln!("note: no metrics of this guard at {address}: {error}"),
    }
}

/// Has calls be told to `endpoint` as parts of traces.
pub(super) fn traced(endpoint: Option<&str>, guard: &Guard) -> Result<(), Failure> {
    let Some(endpoint) = endpoint else { return Ok(()) };
    let traces = Traces::open(&guard.server.name, endpoint).map_err(|error| {
        Failure::new(Exit::Usage, "calls cannot be told as traces")
            .from(error)
            .help("`[traces]` in the policy says where they are told")
    })?;
    guard.traced_by(traces);
    Ok(())
}

/// A webhook that cannot be told anything.
pub(super) fn no_hook(error: HookError) -> Failure {
    let help = error.help();
    Failure::new(Exit::Usage, "a webhook of the policy cannot be used").from(error).help(help)
}

/// A server that sees the secret could answer in its name.
fn unseen(address: &Address, resolved: &Resolved) -> Result<(), Failure> {
    let Secret::File(path) = &address.secret else { return Ok(()) };
    let Ok(real) = fs::canonicalize(path) else { return Ok(()) };
    let roots = resolved.roots.iter().filter(|it| !it.is_uri());
    let mut roots = roots.filter_map(|it| fs::canonicalize(&it.path).ok());
    match roots.find(|root| real.starts_with(root)) {
        None => Ok(()),
        Some(root) => {
            let (path, root) = (path.display(), root.display());
            let says = format!("the secret in `{path}` is in the root `{root}` of the server");
            Err(Failure::new(Exit::Usage, says)
                .help("keep it beside the policy of this user, where no server looks"))
        }
    }
}

/// Tells that there is no ledger, and so no guard.
pub(super) fn unopened(alerts: Option<&Alerts>) {
    if let Some(alerts) = alerts {
        alerts.unwritten("it cannot be opened");
    }
    closed(alerts, LAST_OF_ALL);
}

/// Waits for what is still to be told, at the end of a guard, which writes it down until then.
pub(in crate::cli) fn last(guard: &Guard) {
    let patience = if guard.check().is_ok() { LAST } else { LAST_OF_ALL };
    closed(guard.alerts().map(|it| &**it), patience);
    if let Some(traces) = guard.traces() {
        traces.close();
    }
}

/// Tells that something is held up for so long that this ends.
pub(super) fn stuck(alerts: Option<&Alerts>) {
    if let Some(alerts) = alerts {
        alerts.stuck();
    }
    closed(alerts, LAST_OF_ALL);
}

fn closed(alerts: Option<&Alerts>, patience: Duration) {
    if let Some(alerts) = alerts {
        alerts.close(patience);
    }
}
