//! A server of the console, as the command line and the policy have it: what would be started and what
//! holds it, and then the conversation with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stockade_core::check::{escaped, redacted, visible};
use stockade_core::lock::Entry;
use stockade_core::record::Kind;
use stockade_core::revision::{Era, Revision};
use stockade_core::session::Parties;

use super::said::Wants;
use crate::cli::call::{Spoken, failed};
use crate::cli::locked::failed as unreadable;
use crate::cli::policy::judged;
use crate::cli::run::{
    Found, Ready, Shared, Where, ended, last, not_approved, note, runtime, seal, unrecorded, watch,
};
use crate::client::answers::Answers;
use crate::client::{ClientError, Manner, Way, converse, spoken};
use crate::failure::{Exit, Failure};
use crate::guard::Guard;
use crate::inspect::seat::Seat;
use crate::inspect::{Judged, Planned};

/// What was found.
pub(super) struct Wanted {
    wants: Wants,
    roots: Value,
    about: Value,
}

impl Wanted {
    /// Finds it. Nothing is started.
    pub(super) fn found(mut wants: Wants) -> Result<Self, Failure> {
        let roots = match (&wants.roots, wants.answers.remove("roots")) {
            (Some(roots), _) => roots.clone(),
            (None, Some(roots)) => roots,
            (None, None) => given_roots(&wants.shared)?,
        };
        let mut whole = wants.answers.clone();
        if !roots.is_null() {
            whole.insert("roots".to_owned(), roots.clone());
        }
        Answers::parse(&Value::Object(whole).to_string())
            .map_err(|it| Failure::new(Exit::Usage, format!("the answers cannot be used: {it}")))?;
        if let (Some(name), None, []) = (wants.shared.name(), &wants.upstream, &wants.command[..])
            && wants.shared.rules()?.server.is_none()
        {
            let says = format!("the policy has no server `{}`", visible(name));
            return Err(Failure::new(Exit::Usage, says)
                .help("name its command, its address, or one that `[servers]` of the policy has"));
        }
        let found = wants.shared.look(wants.upstream.as_deref(), &wants.command, &[])?;
        let about = about(&wants, &found);
        Ok(Self { wants, roots, about })
    }

    async fn speak(&self, ready: Ready, seat: &Seat) -> Result<String, Failure> {
        let Ready { guard, server, plan, held, show_stderr, kept, follows, .. } = ready;
        if let Some(blocked) = guard.server.blocked() {
            return Err(not_approved(&blocked));
        }
        watch(&guard, kept, follows)?;
        guard.tapped_by(seat.tap());
        seat.is_held(&held);
        let parties = Parties { session: guard.sessions().into(), principal: "local".into() };
        note(&guard, &parties, Kind::Start, format!("{}; {}", server.name(), server.told(&held)))?;
        let way = match server {
            Where::Here(it) => Way::Process(Box::new(it.spec), plan.map(Box::new)),
            Where::There(http) => Way::Remote(http.seen_by(seat.onlooker())),
        };
        let came = self.converse(&guard, &way, seat, show_stderr).await;
        guard.settle().map_err(unrecorded)?;
        note(&guard, &parties, Kind::Stop, String::new())?;
        seal(&guard)?;
        guard.check().map_err(unrecorded)?;
        came.map(|()| "it was ended".to_owned()).map_err(|it| failed(&guard, &it))
    }

    async fn converse(
        &self,
        guard: &Arc<Guard>,
        way: &Way,
        seat: &Seat,
        shows: bool,
    ) -> Result<(), ClientError> {
        let revision = match self.wants.era {
            Some(Spoken::This(it)) => it,
            None => Revision::V2025_11_25,
            Some(Spoken::Auto) => match spoken(guard, way).await? {
                Era::Modern => Revision::V2026_07_28,
                Era::Legacy => Revision::V2025_11_25,
            },
        };
        let manner = Manner {
            revision,
            has_tasks: true,
            // The guard itself ends what takes too long, and says so.
            patience: Some(guard.policy().limits.call_total() + Duration::from_secs(5)),
            approves: false,
            shows,
            declares: self.wants.declares.clone(),
        };
        let mut person = seat.person();
        let speaks = manner.clone();
        converse(guard, way, manner, &mut person, async |client| seat.drive(client, &speaks).await)
            .await
    }
}

impl Planned for Wanted {
    fn about(&self) -> Value {
        self.about.clone()
    }

    fn meta(&self) -> Map<String, Value> {
        self.wants.meta.clone()
    }

    fn answers(&self) -> (Map<String, Value>, Value) {
        (self.wants.answers.clone(), self.roots.clone())
    }

    fn run(&self, seat: &Seat) -> Result<String, Failure> {
        let Wants { shared, upstream, command, .. } = &self.wants;
        let Some(ready) = shared.ready(upstream.as_deref(), command, &[])? else {
            return Ok("nothing was to be started".to_owned());
        };
        let guard = Arc::clone(&ready.guard);
        let end = ended(runtime(1)?, self.speak(ready, seat));
        last(&guard);
        end
    }

    fn judge(&self, tools: &[Value], call: &Judged) -> Result<Value, Failure> {
        let resolved = self.wants.shared.rules()?;
        judged(&resolved, tools, (&call.tool, &call.arguments), call.answer.as_ref())
            .map_err(|it| Failure::new(Exit::Usage, it))
    }

    fn locked(&self) -> Result<(PathBuf, Option<Entry>), Failure> {
        let Wants { shared, upstream, command, .. } = &self.wants;
        let found = shared.look(upstream.as_deref(), command, &[])?;
        let lock = found.locked.place.read().map_err(|it| unreadable(&it))?;
        let entry = lock.and_then(|mut it| it.servers.remove(&found.locked.identity.name));
        Ok((found.locked.place.path().to_owned(), entry))
    }
}

/// The directories of the server, as a client names them.
fn given_roots(shared: &Shared) -> Result<Value, Failure> {
    let roots = shared.roots()?;
    if roots.is_empty() {
        return Ok(Value::Null);
    }
    let uris = roots.iter().filter_map(|it| {
        let path = it.strip_suffix(":rw").or_else(|| it.strip_suffix(":ro")).unwrap_or(it);
        let path = std::path::absolute(path).ok()?;
        let uri = url::Url::from_directory_path(path).ok()?;
        Some(json!({ "uri": uri.as_str().trim_end_matches('/') }))
    });
    Ok(Value::Array(uris.collect()))
}

/// What it is, for the page.
fn about(wants: &Wants, found: &Found) -> Value {
    let (transport, name, what) = match &found.server {
        Where::Here(it) => {
            let words = it.spec.command.iter().map(|it| it.to_string_lossy().into_owned());
            ("stdio", "command", json!(words.collect::<Vec<_>>()))
        }
        Where::There(http) => ("http", "url", json!(redacted(&http.address()))),
    };
    let label = wants.label.clone().unwrap_or_else(|| found.server.name());
    let (plan, notes) = found.in_words();
    let plan = notes.into_iter().chain([plan]).collect::<Vec<_>>().join("\n");
    json!({ "label": label, "transport": transport, name: what, "spec": wants.said,
        "plan": escaped(&redacted(&plan)) })
}
