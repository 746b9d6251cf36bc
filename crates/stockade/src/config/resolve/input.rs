//! What the arguments of tools are and may be: `[[arguments]]`, and `hosts`.

use stockade_core::argument::{Kind, Kinds};
use stockade_core::policy::{InputRule, InputRules, Pattern, Permitted, Reading};

use super::Making;
use crate::config::file::{At, File, Input, OneOrMany, ServerTable};

impl Making<'_> {
    pub(super) fn inputs(&mut self, file: &File, server: Option<&ServerTable>) -> InputRules {
        let mut rules = Vec::new();
        for (n, input) in file.arguments.iter().flat_map(|it| &it.value).enumerate() {
            rules.extend(self.input(input, format!("arguments[{n}]"), None));
        }
        let mut hosts = self.hosts("hosts", file.hosts.as_ref());
        for (name, table) in file.servers.iter().flat_map(|it| &it.value.0) {
            for (n, input) in table.value.arguments.iter().flat_map(|it| &it.value).enumerate() {
                let id = format!("servers.{}.arguments[{n}]", name.value);
                rules.extend(self.input(input, id, Some(&name.value)));
            }
            // Those of the other servers are not used now, but must be right all the same.
            let key = format!("servers.{}.hosts", name.value);
            let its = self.hosts(&key, table.value.hosts.as_ref());
            if server.is_some_and(|it| std::ptr::eq(it, &raw const table.value)) {
                hosts.extend(its);
            }
        }
        InputRules { rules, hosts }
    }

    fn input(&mut self, at: &At<Input>, id: String, server: Option<&str>) -> Option<InputRule> {
        let input = &at.value;
        let origin = self.origin(&id, &at.span);
        if input.tool.is_none() {
            self.missing(&at.span, "tool", "names of tools; `\"*\"` is any");
        }
        let servers = match (server, &input.server) {
            (None, None) => Pattern::parse("*", Reading::Wide).into_iter().collect(),
            (None, Some(it)) => self.wide(&it.value),
            (Some(name), None) => Pattern::exact(name, Reading::Wide).into_iter().collect(),
            (Some(_), Some(it)) => {
                let says = "what a server says cannot be about another".to_owned();
                self.reader.wrong(it.span.clone(), says, "of a server");
                self.reader.help("move the entry to `[[arguments]]`".to_owned());
                Vec::new()
            }
        };
        let tools = input.tool.as_ref().map(|it| self.wide(&it.value));
        let said = input.kinds.iter().flat_map(|it| &it.value.0);
        let kinds: Vec<_> =
            said.map(|(name, it)| (name.value.clone(), self.kinds(&it.value))).collect();
        let says_nothing = kinds.is_empty()
            && input.sql.is_none()
            && input.dialect.is_none()
            && input.commands.is_none()
            && input.strict.is_none();
        if says_nothing {
            let says = "nothing is said about these arguments".to_owned();
            self.reader.wrong(self.head(&at.span), says, "in this entry");
            self.reader.help("say `kinds`, `sql`, `dialect`, `commands` or `strict`".to_owned());
        }
        let mut words: Vec<String> =
            kinds.iter().map(|(name, it)| format!("{name} is {it}")).collect();
        words.extend(input.sql.as_ref().map(|it| format!("sql {:?}", it.value).to_lowercase()));
        words.extend(input.dialect.as_ref().map(|it| format!("{:?}", it.value).to_lowercase()));
        words.extend(
            input.commands.as_ref().map(|it| format!("commands {:?}", it.value).to_lowercase()),
        );
        words.extend(input.strict.as_ref().filter(|it| it.value).map(|_| "strict".to_owned()));
        self.setting(&id, &words.join(", "), &at.span);
        Some(InputRule {
            origin,
            servers,
            tools: tools?,
            kinds,
            sql: input.sql.as_ref().map(|it| it.value),
            dialect: input.dialect.as_ref().map(|it| it.value),
            commands: input.commands.as_ref().map(|it| it.value),
            strict: input.strict.as_ref().is_some_and(|it| it.value),
        })
    }

    fn wide(&mut self, names: &OneOrMany) -> Vec<Pattern> {
        let each = names.0.iter().filter_map(|it| {
            let parsed = Pattern::parse(&it.value, Reading::Wide);
            parsed.map_err(|why| self.wrong(&it.span, "this is not a glob", why)).ok()
        });
        each.collect()
    }

    fn kinds(&mut self, names: &OneOrMany) -> Kinds {
        const PLAIN: &str = "plain";
        let mut all = Kinds::PLAIN;
        for name in &names.0 {
            match Kind::ALL.iter().find(|(it, _)| *it == name.value) {
                Some((_, kind)) => all = all.and((*kind).into()),
                None if name.value == PLAIN && names.0.len() == 1 => {}
                None if name.value == PLAIN => {
                    let says = "what is plain is nothing else".to_owned();
                    self.reader.wrong(name.span.clone(), says, "among others");
                }
                None => {
                    let known = Kind::ALL.iter().map(|(it, _)| *it).chain([PLAIN]);
                    self.reader.unknown("kind of arguments", name, known);
                }
            }
        }
        all
    }

    fn hosts(&mut self, key: &str, said: Option<&At<Vec<At<String>>>>) -> Vec<Permitted> {
        let Some(said) = said else { return Vec::new() };
        let mut hosts = Vec::new();
        for it in &said.value {
            match Permitted::parse(&it.value) {
                Ok(host) => hosts.push(host),
                Err(why) => self.wrong(&it.span, "this host cannot be permitted", why),
            }
        }
        let names: Vec<&str> = said.value.iter().map(|it| it.value.as_str()).collect();
        self.setting(key, &names.join(", "), &said.span);
        hosts
    }
}
