//! What flows through tools, and what nobody has a reason to say, from the policy file: `[[roles]]`
//! and `[canaries]`.

use std::sync::Arc;

use stockade_core::canary::{self, Canaries};
use stockade_core::policy::{Effect, RoleRule};
use stockade_core::risk::Act;
use stockade_core::role::{Role, Roles};

use super::{Making, words};
use crate::config::file::{At, File, RoleTable};

const NONE: &str = "none";

impl Making<'_> {
    pub(super) fn role_rules(&mut self, file: &File) -> Vec<RoleRule> {
        let written = file.roles.iter().flat_map(|it| &it.value).enumerate();
        written.filter_map(|(n, it)| self.role_rule(it, &format!("roles[{n}]"))).collect()
    }

    /// Reads what some tools are. Nothing, when something is wrong with it: that is noted then.
    fn role_rule(&mut self, at: &At<RoleTable>, id: &str) -> Option<RoleRule> {
        let table = &at.value;
        if table.tool.is_none() {
            self.missing(&at.span, "tool", "names of tools; `\"*\"` is any");
        }
        if table.roles.is_none() && table.does.is_none() {
            self.missing(&at.span, "roles", "what they are; `[\"none\"]` is nothing");
        }
        // It may take something away that was guessed, so its words are read narrowly.
        let servers = match &table.server {
            Some(it) => self.patterns(&it.value, Effect::Allow),
            None => self.pattern("*", &at.span, Effect::Allow).into_iter().collect(),
        };
        let tools = table.tool.as_ref().map(|it| self.patterns(&it.value, Effect::Allow));
        let acts = table.does.as_ref().map(|it| self.acts(&it.value));
        let roles = table.roles.as_ref().map(|it| self.named_roles(&it.value));
        let parts = [
            ("server", table.server.as_ref().map(|it| it.value.0.as_slice())),
            ("tool", table.tool.as_ref().map(|it| it.value.0.as_slice())),
            ("roles", table.roles.as_ref().map(|it| it.value.as_slice())),
            ("does", table.does.as_ref().map(|it| it.value.as_slice())),
        ];
        let parts = parts.into_iter().filter_map(|(key, it)| Some(format!("{key} {}", words(it?))));
        self.setting(id, &parts.collect::<Vec<_>>().join(", "), &at.span);
        let origin = self.origin(id, &at.span);
        roles.is_some().then_some(()).or(acts.is_some().then_some(()))?;
        Some(RoleRule { origin, servers, tools: tools?, roles, acts })
    }

    fn acts(&mut self, list: &[At<String>]) -> Vec<Act> {
        let mut acts = Vec::new();
        for at in list {
            match Act::ALL.iter().find(|it| it.name() == at.value) {
                Some(it) => acts.push(*it),
                None => self.reader.unknown("act", at, Act::ALL.iter().map(|it| it.name())),
            }
        }
        acts
    }

    fn named_roles(&mut self, list: &[At<String>]) -> Roles {
        let mut roles = Roles::default();
        for at in list {
            match Role::ALL.iter().find(|it| it.name() == at.value) {
                Some(it) => roles = roles.with(*it),
                None if at.value == NONE && list.len() == 1 => (),
                None if at.value == NONE => {
                    let says = "nothing and something".to_owned();
                    self.reader.wrong(at.span.clone(), says, "`none` stands alone");
                }
                None => {
                    let known = Role::ALL.iter().map(|it| it.name()).chain([NONE]);
                    self.reader.unknown("role", at, known);
                }
            }
        }
        roles
    }

    /// What is watched for, and whether something is planted.
    pub(super) fn canaries(&mut self, file: &File) -> (Arc<Canaries>, bool) {
        let Some(table) = file.canaries.as_ref().map(|it| &it.value) else {
            return Default::default();
        };
        let watched: Vec<&At<String>> = table.watch.iter().flat_map(|it| &it.value).collect();
        for at in &watched {
            if canary::length(&at.value) < canary::LETTERS_MIN {
                let says = "this would be found where it is not".to_owned();
                let label = format!("{} letters and digits or more", canary::LETTERS_MIN);
                self.reader.wrong(at.span.clone(), says, label);
            }
        }
        if let Some(it) = &table.plant {
            self.setting("canaries.plant", &it.value.to_string(), &it.span);
        }
        let named = |(n, at): (usize, &&At<String>)| {
            (format!("the canary `canaries.watch[{n}]`"), at.value.clone())
        };
        let canaries = Canaries::new(watched.iter().enumerate().map(named));
        (Arc::new(canaries), table.plant.as_ref().is_some_and(|it| it.value))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Flags, Resolved, Source};

    fn resolve(text: &str) -> Result<Resolved, String> {
        let source = Source { path: PathBuf::from("stockade.toml"), text: Arc::from(text) };
        Resolved::new(Some(source), &Flags::default()).map_err(|it| it.to_string())
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("[[roles]]\ntool = \"a\"", "`roles` is missing"),
            ("[[roles]]\nroles = [\"none\"]", "`tool` is missing"),
            ("[[roles]]\ntool = \"a\"\ndoes = [\"red\"]", "there is `read`"),
            ("[[roles]]\ntool = \"a\"\nroles = [\"privat\"]", "there is `private`"),
            ("[[roles]]\ntool = \"a\"\nroles = [\"none\", \"private\"]", "`none` stands alone"),
            ("[canaries]\nwatch = [\"a-b-c-d-e-f-g\"]", "8 letters and digits or more"),
            ("[canaries]\nwatch = []", "an empty list"),
        ] {
            let found = resolve(text).unwrap_err();
            assert!(found.contains(says), "{text}: {found}");
        }
    }

    #[test]
    fn what_is_said_stands_in_place_of_what_is_guessed() {
        let text = "[[roles]]\ntool = \"a*\"\nroles = [\"private\"]\n
                    [[roles]]\ntool = \"*b\"\nroles = [\"none\"]\n
                    [[roles]]\ntool = \"*\"\nserver = \"x\"\nroles = [\"public\"]";
        let policy = resolve(text).unwrap().policy;
        let roles = |tool| policy.roles(tool).map(|it| it.to_string());
        assert_eq!(roles("ab").as_deref(), Some("private"));
        assert_eq!((roles("b").as_deref(), roles("c"), roles("A")), (Some(""), None, None));
    }
}
