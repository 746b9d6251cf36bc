//! What is asked about by what a tool does, and what a server may ask of the client's model and of the
//! person there, from the policy file: `[risk]`, `[sampling]` and `[elicitation]`.

use std::ops::RangeInclusive;

use stockade_core::policy::{Effect, Elicitation, Origin, Pattern, Risks, Sampling, risk};
use stockade_core::risk::Act;

use super::Making;
use crate::config::file::{At, File, OneOrMany};

const TOKENS: RangeInclusive<usize> = 1..=1_000_000_000;
const BYTES: RangeInclusive<usize> = 1..=1 << 30;

impl Making<'_> {
    pub(super) fn risks(&mut self, file: &File) -> Option<Risks> {
        let at = file.risk.as_ref()?;
        let table = &at.value;
        let effects = Act::ALL.map(|act| {
            let said = match act {
                Act::Delete => &table.delete,
                Act::Pay => &table.pay,
                Act::Execute => &table.execute,
                Act::Send => &table.send,
                Act::Write => &table.write,
                Act::Read => &table.read,
            };
            let key = format!("risk.{}", act.name());
            match said {
                Some(it) => {
                    self.setting(&key, it.value.name(), &it.span);
                    (act, it.value, self.origin(&key, &it.span))
                }
                None => (act, risk::usual(act), self.origin(&key, &at.span)),
            }
        });
        Some(Risks { effects: effects.into() })
    }

    pub(super) fn sampling(&mut self, file: &File) -> Sampling {
        let usual = Sampling::default();
        let Some(table) = file.sampling.as_ref().map(|it| &it.value) else { return usual };
        let (effect, origin) = self.effect("sampling.effect", &table.effect, usual.origin);
        let (reply, reply_origin) = self.effect("sampling.reply", &table.reply, usual.reply_origin);
        let max_tokens = self.number("sampling.max_tokens", &table.max_tokens, TOKENS);
        let bytes_max = self.number("sampling.bytes_max", &table.bytes_max, BYTES);
        let bytes_max = bytes_max.and_then(|it| usize::try_from(it).ok());
        let models = table.models.as_ref().map(|it| {
            self.list("sampling.models", &it.value, &it.span);
            it.value
                .iter()
                .filter_map(|it| self.pattern(&it.value, &it.span, Effect::Allow))
                .collect()
        });
        Sampling {
            effect,
            origin,
            servers: self.servers_that_may("sampling.server", &table.server),
            reply,
            reply_origin,
            tools: self.switch("sampling.tools", &table.tools),
            include_context: self.switch("sampling.include_context", &table.include_context),
            max_tokens: max_tokens.unwrap_or(usual.max_tokens),
            bytes_max: bytes_max.unwrap_or(usual.bytes_max),
            models,
            tokens_per_day: self.number("sampling.tokens_per_day", &table.tokens_per_day, TOKENS),
            requests_per_day: self.number(
                "sampling.requests_per_day",
                &table.requests_per_day,
                TOKENS,
            ),
        }
    }

    pub(super) fn elicitation(&mut self, file: &File) -> Elicitation {
        let usual = Elicitation::default();
        let Some(table) = file.elicitation.as_ref().map(|it| &it.value) else { return usual };
        let (form, form_origin) = self.effect("elicitation.form", &table.form, usual.form_origin);
        let (url, url_origin) = self.effect("elicitation.url", &table.url, usual.url_origin);
        let servers = self.servers_that_may("elicitation.server", &table.server);
        Elicitation { form, form_origin, url, url_origin, servers }
    }

    fn effect(&mut self, key: &str, at: &Option<At<Effect>>, usual: Origin) -> (Effect, Origin) {
        let Some(at) = at else { return (Effect::Allow, usual) };
        self.setting(key, at.value.name(), &at.span);
        (at.value, self.origin(key, &at.span))
    }

    fn switch(&mut self, key: &str, at: &Option<At<bool>>) -> bool {
        at.as_ref().is_some_and(|it| {
            self.setting(key, &it.value.to_string(), &it.span);
            it.value
        })
    }

    /// Servers that may do something, so the words are read narrowly.
    fn servers_that_may(&mut self, key: &str, at: &Option<At<OneOrMany>>) -> Option<Vec<Pattern>> {
        at.as_ref().map(|it| {
            self.list(key, &it.value.0, &it.span);
            self.patterns(&it.value, Effect::Allow)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use stockade_core::policy::{CallFacts, Policy};

    use crate::config::{Flags, Resolved, Source};

    fn resolve(text: &str) -> Result<Arc<Policy>, String> {
        let source = Source { path: PathBuf::from("stockade.toml"), text: Arc::from(text) };
        let resolved = Resolved::new(Some(source), &Flags::default());
        resolved.map(|it| it.policy).map_err(|it| it.to_string())
    }

    fn decided(policy: &Policy, tool: &str) -> String {
        let call = CallFacts { tool, arguments: None, client: None, principal: None, roots: &[] };
        let decision = policy.call(&call);
        format!("{} {}", decision.verdict.name(), decision.by.rule)
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("[risk]\ndelet = \"ask\"", "there is no key `delet`"),
            ("[risk]\ndelete = \"fix\"", "there is no effect `fix`"),
            ("[sampling]\nmax_tokens = 0", "`max_tokens` is out of bounds"),
            ("[sampling]\nmodels = []", "an empty list"),
            ("[sampling]\nserver = \"[\"", "not a glob"),
            ("[elicitation]\nurl = true", "url"),
        ] {
            let found = resolve(text).unwrap_err();
            assert!(found.contains(says), "{text}: {found}");
        }
    }

    #[test]
    fn without_a_table_nothing_is_asked_for_what_a_tool_does() {
        let policy = resolve("").unwrap();
        assert_eq!(decided(&policy, "delete_file"), "allow default");
    }

    #[test]
    fn a_table_asks_where_no_rule_is_about_a_call() {
        let policy = resolve("[risk]").unwrap();
        for (tool, expected) in [
            ("delete_file", "ask risk.delete"),
            ("pay_bill", "ask risk.pay"),
            ("run_code", "ask risk.execute"),
            ("send_email", "ask risk.send"),
            ("write_file", "allow default"),
            ("read_file", "allow default"),
        ] {
            assert_eq!(decided(&policy, tool), expected, "{tool}");
        }
        let text = "default = \"allow\"\n[risk]\nread = \"deny\"\n
            [[tools]]\neffect = \"allow\"\ntool = [\"delete_tmp\", \"read_me\"]\n
            [[roles]]\ntool = \"drop_pin\"\ndoes = [\"write\"]";
        let policy = resolve(text).unwrap();
        for (tool, expected) in [
            ("delete_tmp", "allow tools[0]"),
            ("delete_all", "ask risk.delete"),
            ("read_me", "allow tools[0]"),
            ("read_all", "deny risk.read"),
            ("drop_pin", "allow default"),
        ] {
            assert_eq!(decided(&policy, tool), expected, "{tool}");
        }
        // What is denied stays denied, whatever a tool is called.
        let policy = resolve("default = \"deny\"\n[risk]\nread = \"allow\"").unwrap();
        assert_eq!(decided(&policy, "read_file"), "deny default");
        assert_eq!(decided(&policy, "delete_file"), "deny default");
    }
}
