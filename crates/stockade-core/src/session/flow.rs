//! What a model of a person has read, and whether it may still say something in public: the rule
//! [`check::FLOW`]. What was read in this conversation is known here; what was read elsewhere is
//! remembered by [`Memory`](super::Memory).

use super::effects::clipped;
use super::memory::Refused;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::check;
use crate::finding::{Finding, Place};
use crate::json::Json;
use crate::message::{Message, Side};
use crate::policy::Action;
use crate::role::{Role, Roles};

/// What was read in a conversation.
#[derive(Debug, Default)]
pub(super) struct Flow {
    untrusted: Option<Read>,
    private: Option<Read>,
}

#[derive(Debug)]
struct Read {
    /// By what, in words.
    by: String,
    /// When it was last written down for others.
    noted_ms: u64,
}

impl Flow {
    fn of(&mut self, role: Role) -> &mut Option<Read> {
        if role == Role::Untrusted { &mut self.untrusted } else { &mut self.private }
    }
}

impl Turn<'_> {
    /// What the tool or resource is that a request is about.
    pub(super) fn roles(&self, message: &Message, waiting: &Waiting) -> Roles {
        match &*waiting.method {
            "tools/call" => {
                let name = waiting.tool_name.as_deref().unwrap_or_default();
                let guessed = || match &waiting.tool {
                    Some(it) => it.roles,
                    None => Roles::of_name(name),
                };
                let given = || guessed().given(message.get("arguments"));
                self.policy.roles(name).unwrap_or_else(given)
            }
            "resources/read" => {
                let uri = message.get("uri").and_then(Json::str).unwrap_or_default();
                let starts =
                    |it: &str| uri.get(..it.len()).is_some_and(|uri| uri.eq_ignore_ascii_case(it));
                let is_web = starts("http:") || starts("https:");
                Roles::default().with(if is_web { Role::Untrusted } else { Role::Private })
            }
            _ => Roles::default(),
        }
    }

    /// Whether a request would say in public what was read before.
    pub(super) fn toxic(
        &mut self,
        roles: Roles,
        waiting: &Waiting,
    ) -> Result<Vec<Finding>, Box<Refused>> {
        if !roles.has(Role::Public) {
            return Ok(Vec::new());
        }
        let Some(untrusted) = self.was_read(Role::Untrusted)? else { return Ok(Vec::new()) };
        // What a tool reads itself it may say at once.
        let private = match roles.has(Role::Private) {
            true => Some(self.by(waiting)),
            false => self.was_read(Role::Private)?,
        };
        let Some(private) = private else { return Ok(Vec::new()) };
        let says = format!(
            "others can read what it is given, after {untrusted} gave what strangers wrote and \
             {private} what is private"
        );
        let place = Place::Value(String::new());
        Ok(vec![Finding {
            rule: &check::FLOW,
            severity: check::FLOW.severity,
            confidence: None,
            place,
            says,
            told: true,
            mend: None,
            number: 0,
        }])
    }

    /// Remembers what a request that is about to be sent on will read.
    pub(super) fn reads(&mut self, roles: Roles, waiting: &Waiting) -> Result<(), Box<Refused>> {
        // As long as it is remembered well before its time is over, once in a while is enough.
        let again_ms = self.window_s().saturating_mul(1000) / 8;
        for role in [Role::Untrusted, Role::Private].into_iter().filter(|it| roles.has(*it)) {
            let now_ms = self.now_ms;
            let before = self.session.flow.of(role).as_ref();
            if before.is_some_and(|it| now_ms.saturating_sub(it.noted_ms) < again_ms) {
                continue;
            }
            let by = self.by(waiting);
            if let Some(memory) = &self.session.memory {
                let who = &self.session.parties.principal;
                let noted = memory.note(who, role.name(), &by);
                self.or_forgotten(noted)?;
            }
            *self.session.flow.of(role) = Some(Read { by, noted_ms: now_ms });
        }
        Ok(())
    }

    /// By what something was read, here or elsewhere.
    fn was_read(&mut self, role: Role) -> Result<Option<String>, Box<Refused>> {
        if let Some(it) = self.session.flow.of(role) {
            return Ok(Some(it.by.clone()));
        }
        let Some(memory) = &self.session.memory else { return Ok(None) };
        let noted = memory.noted(&self.session.parties.principal, role.name(), self.window_s());
        self.or_forgotten(noted)
    }

    /// What cannot be remembered stops a request where the rule could stop one, and no other.
    fn or_forgotten<T: Default>(&self, noted: Result<T, String>) -> Result<T, Box<Refused>> {
        match noted {
            Err(_) if self.policy.stance(Side::Client, &check::FLOW) == Action::Allow => {
                Ok(T::default())
            }
            it => it.map_err(|it| Box::new(Refused::forgotten(&it))),
        }
    }

    fn window_s(&self) -> u64 {
        u64::try_from(self.policy.limits.flow_window_s).unwrap_or(u64::MAX)
    }

    fn by(&self, waiting: &Waiting) -> String {
        let given = &*self.policy.tools.server;
        let name = if given.is_empty() { &*self.session.server.name } else { given };
        let server = check::visible(&clipped(name));
        match waiting.tool_name.as_deref() {
            Some(tool) => format!("`{}` of `{server}`", check::visible(&clipped(tool))),
            None => format!("a resource of `{server}`"),
        }
    }
}
