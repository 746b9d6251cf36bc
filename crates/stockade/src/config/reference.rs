//! The reference of the policy file, made from what reads it.

use stockade_core::check;
use stockade_core::finding::Severity;
use stockade_core::message::Side;
use stockade_core::policy::Limits;

use super::file::{
    AlertsTable, ApprovalsTable, Argument, CanaryTable, ElicitationTable, File, HttpTable, Input,
    Key, LedgerTable, MetricsTable, QuotaTable, RiskTable, RoleTable, SamplingTable, SandboxTable,
    ServerTable, Tool, TracesTable, WebhookTable,
};

/// `docs/stockade.toml`: every key with its words. What holds anyway is written out; what is an
/// example stands behind a `#` without a space, and is right as well.
pub fn text() -> String {
    let mut out = String::new();
    words(&mut out, File::WORDS);
    let top = ["preset", "mode", "default", "roots", "client_roots", "hosts"];
    for key in File::KEYS.iter().filter(|it| top.contains(&it.name)) {
        out += "\n";
        words(&mut out, key.words);
        let mark = if matches!(key.name, "preset" | "mode") { "" } else { "#" };
        out += &format!("{mark}{} = {}\n", key.name, key.example);
    }
    head(&mut out, "", "[rules]", key("rules"));
    for rule in check::rules() {
        let [client, server] = [Side::Client, Side::Server].map(|it| rule.default(it).name());
        let title = rule.title();
        words(&mut out, &format!("{title}. From a client: {client}; from a server: {server}."));
        out += &format!("#{} = \"{server}\"\n", rule.id);
    }
    head(&mut out, "", "[severity]", key("severity"));
    for severity in [Severity::Low, Severity::Medium, Severity::High] {
        out += &format!("#{} = \"ask\"\n", severity.name());
    }
    head(&mut out, "", "[limits]", key("limits"));
    for limit in Limits::ALL {
        words(&mut out, limit.words);
        out += &format!("{} = {}\n", limit.name, limit.default);
    }
    head(&mut out, "", "[approvals]", ApprovalsTable::WORDS);
    values(&mut out, ApprovalsTable::KEYS, &[]);
    let asked = "An address that is asked as well. The question has the arguments, whole.";
    head(&mut out, "#", "[approvals.webhook]", &format!("{asked}\n{}", WebhookTable::WORDS));
    keys(&mut out, WebhookTable::KEYS, &[]);
    head(&mut out, "#", "[alerts]", AlertsTable::WORDS);
    keys(&mut out, AlertsTable::KEYS, &["webhook"]);
    head(
        &mut out,
        "#",
        "[alerts.webhook]",
        "An address that is told, as `[approvals.webhook]` is.",
    );
    keys(&mut out, WebhookTable::KEYS, &[]);
    head(&mut out, "#", "[metrics]", MetricsTable::WORDS);
    keys(&mut out, MetricsTable::KEYS, &[]);
    head(&mut out, "#", "[traces]", TracesTable::WORDS);
    keys(&mut out, TracesTable::KEYS, &[]);
    head(&mut out, "#", "[[quotas]]", QuotaTable::WORDS);
    keys(&mut out, QuotaTable::KEYS, &[]);
    head(&mut out, "#", "[[roles]]", RoleTable::WORDS);
    keys(&mut out, RoleTable::KEYS, &[]);
    head(&mut out, "#", "[risk]", RiskTable::WORDS);
    keys(&mut out, RiskTable::KEYS, &[]);
    head(&mut out, "", "[sampling]", SamplingTable::WORDS);
    let examples = ["server", "tokens_per_day", "requests_per_day", "models"];
    values(&mut out, SamplingTable::KEYS, &examples);
    head(&mut out, "", "[elicitation]", ElicitationTable::WORDS);
    values(&mut out, ElicitationTable::KEYS, &["server"]);
    head(&mut out, "#", "[canaries]", CanaryTable::WORDS);
    keys(&mut out, CanaryTable::KEYS, &[]);
    head(&mut out, "", "[sandbox]", SandboxTable::WORDS);
    values(
        &mut out,
        SandboxTable::KEYS,
        &["image", "programs", "net", "cpu_percent", "time_s", "allow_weaker"],
    );
    head(&mut out, "", "[ledger]", LedgerTable::WORDS);
    values(&mut out, LedgerTable::KEYS, &["keep_bytes", "keep_days"]);
    head(&mut out, "#", "[http]", HttpTable::WORDS);
    keys(&mut out, HttpTable::KEYS, &[]);
    head(&mut out, "#", "[[tools]]", Tool::WORDS);
    keys(&mut out, Tool::KEYS, &["args"]);
    head(&mut out, "#", "[tools.args.NAME]", Argument::WORDS);
    keys(&mut out, Argument::KEYS, &[]);
    head(&mut out, "#", "[[arguments]]", Input::WORDS);
    keys(&mut out, Input::KEYS, &[]);
    head(&mut out, "#", "[servers.NAME]", ServerTable::WORDS);
    keys(&mut out, ServerTable::KEYS, &["url"]);
    head(&mut out, "#", "[servers.ANOTHER]", "Another server.");
    keys(
        &mut out,
        ServerTable::KEYS,
        &["command", "env", "roots", "client_roots", "sandbox", "tools", "arguments", "hosts"],
    );
    out
}

fn key(name: &str) -> &'static str {
    File::KEYS.iter().find(|it| it.name == name).map_or("", |it| it.words)
}

fn head(out: &mut String, mark: &str, head: &str, about: &str) {
    *out += "\n";
    words(out, about);
    *out += &format!("{mark}{head}\n");
}

/// The keys of a table with what holds anyway, but for the examples.
fn values(out: &mut String, keys: &[Key], examples: &[&str]) {
    for key in keys.iter().filter(|it| !it.example.is_empty()) {
        words(out, key.words);
        let mark = if examples.contains(&key.name) { "#" } else { "" };
        *out += &format!("{mark}{} = {}\n", key.name, key.example);
    }
}

/// The keys of a table that may be left away as a whole.
fn keys(out: &mut String, keys: &[Key], but: &[&str]) {
    for key in keys.iter().filter(|it| !but.contains(&it.name)) {
        words(out, key.words);
        if key.example.is_empty() {
            let table = format!("servers.NAME.{}", key.name);
            let table = if matches!(key.name, "tools" | "arguments") {
                format!("[{table}]")
            } else {
                table
            };
            *out += &format!("# Written as `[{table}]`.\n");
        } else {
            *out += &format!("#{} = {}\n", key.name, key.example);
        }
    }
}

fn words(out: &mut String, words: &str) {
    for line in words.lines() {
        *out += format!("# {}", line.trim()).trim_end();
        *out += "\n";
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use stockade_core::policy::Policy;

    use super::*;
    use crate::config::{Flags, Resolved, Source};

    fn resolve(text: &str) -> Resolved {
        let source = Source { path: PathBuf::from("stockade.toml"), text: Arc::from(text) };
        Resolved::new(Some(source), &Flags::default()).unwrap_or_else(|it| panic!("{it}\n{text}"))
    }

    #[test]
    fn the_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/stockade.toml");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text(), "run the tests again with UPDATE=1 to write docs/stockade.toml");
    }

    #[test]
    fn the_reference_says_what_holds_anyway() {
        let (reference, nothing) = (resolve(&text()), resolve(""));
        assert_eq!(reference.ledger, nothing.ledger);
        assert_eq!(reference.sandbox, nothing.sandbox);
        let (reference, nothing) = (reference.policy, nothing.policy);
        assert_eq!(reference.limits, nothing.limits);
        assert_eq!(reference.tools.default, nothing.tools.default);
        assert_eq!((&reference.rules, &reference.roots), (&nothing.rules, &nothing.roots));
        assert_eq!(reference.severities, nothing.severities);
        let review = |it: &Policy| {
            let (a, b) = (&it.sampling, &it.elicitation);
            let most = (a.max_tokens, a.bytes_max, a.tokens_per_day, a.requests_per_day);
            let effects = [a.effect, a.reply, b.form, b.url];
            (most, effects, a.tools, a.include_context, it.risks.is_none())
        };
        assert_eq!(review(&reference), review(&nothing));
        let asks = |it: &Policy| (it.asks_nobody, it.asks_client);
        assert_eq!(asks(&reference), asks(&nothing));
    }

    #[test]
    fn its_examples_are_right_too() {
        let uncomment = |line: &str| match line.strip_prefix('#') {
            Some(it) if !it.is_empty() && !it.starts_with(' ') => it.to_owned(),
            _ => line.to_owned(),
        };
        let text: Vec<String> = text().lines().map(uncomment).collect();
        let resolved = resolve(&text.join("\n"));
        assert_eq!(resolved.policy.rules.len(), check::rules().count());
        assert_eq!((resolved.servers.len(), resolved.policy.tools.rules.len()), (2, 1));
    }
}
