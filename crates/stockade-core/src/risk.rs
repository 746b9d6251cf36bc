//! What a tool does, as far as it matters to whoever is asked about it: it deletes, pays, runs what it
//! is given, sends it to others, writes, or only reads.
//!
//! A guess, from the words that the tool is called and described by, from its schema, and from what it
//! was seen doing. Annotations (MCP, "Tools › Tool annotations") are hints of somebody who is not
//! trusted: what they admit counts, and what they deny changes nothing. A tool of which nothing is
//! known writes: only what says that it reads is taken to read, and nothing that was found is taken
//! away by anything that a server says.

use crate::argument::last_word;
use crate::json::Json;
use crate::name;
use crate::role::{Role, Roles, first_sentence, stem, words};

/// One thing that a tool may do, from the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// It takes something away.
    Delete,
    /// It spends money.
    Pay,
    /// It runs what it is given: commands, code.
    Execute,
    /// Others get what it is given.
    Send,
    /// It changes something.
    Write,
    /// It changes nothing.
    Read,
}

impl Act {
    /// Every act, from the gravest.
    pub const ALL: [Self; 6] =
        [Self::Delete, Self::Pay, Self::Execute, Self::Send, Self::Write, Self::Read];

    /// As a policy has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Pay => "pay",
            Self::Execute => "execute",
            Self::Send => "send",
            Self::Write => "write",
            Self::Read => "read",
        }
    }

    /// In words.
    pub fn says(self) -> &'static str {
        match self {
            Self::Delete => "it deletes",
            Self::Pay => "it pays",
            Self::Execute => "it runs what it is given",
            Self::Send => "it sends what it is given to others",
            Self::Write => "it writes",
            Self::Read => "it reads",
        }
    }
}

/// What a tool does, and why that is thought of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Risk {
    /// From the gravest, each once.
    acts: Vec<(Act, String)>,
    /// What it was seen doing, which nobody's word takes away.
    seen: Vec<(Act, String)>,
    /// What its server says of it that would make it less, and does not.
    denies: Vec<&'static str>,
}

impl Risk {
    /// What a tool does, as its server describes it.
    pub fn of(tool: Json<'_>) -> Self {
        let text = |name| tool.get(name).and_then(Json::str).unwrap_or_default();
        let mut found = Found::of_name(text("name"));
        found.described(text("title"), text("description"));
        if let Some(schema) = tool.get("inputSchema").and_then(|it| it.get("properties")) {
            found.schema(schema);
        }
        let hints = tool.get("annotations");
        let hint = |name| hints.and_then(|it| it.get(name)).and_then(Json::bool);
        if hint("destructiveHint") == Some(true) {
            found.add(Act::Delete, "its server says `destructiveHint`".to_owned());
        }
        let reads = found.reads.is_some();
        found.sends(Roles::of(tool), reads);
        if hint("openWorldHint") == Some(true) && !reads {
            found.add(Act::Send, "its server says `openWorldHint`".to_owned());
        }
        if hint("readOnlyHint") == Some(false) {
            found.add(Act::Write, "its server says that it does not only read".to_owned());
        }
        let denials = [
            ("readOnlyHint", true, "readOnlyHint"),
            ("destructiveHint", false, "destructiveHint: false"),
            ("openWorldHint", false, "openWorldHint: false"),
        ];
        let denies = denials.into_iter().filter(|(name, it, _)| hint(name) == Some(*it));
        Self { denies: denies.map(|(.., says)| says).collect(), ..found.risk() }
    }

    /// What a tool does that was never described, by its name alone.
    pub fn of_name(name: &str) -> Self {
        let mut found = Found::of_name(name);
        let reads = found.reads.is_some();
        found.sends(Roles::of_name(name), reads);
        found.risk()
    }

    /// What it does, from the gravest, and why that is thought.
    pub fn acts(&self) -> impl Iterator<Item = (Act, &str)> {
        let all = || self.seen.iter().chain(&self.acts);
        let first = move |act: Act| all().find(|(it, _)| *it == act);
        let each = Act::ALL.into_iter().filter_map(first);
        each.map(|(act, why)| (*act, why.as_str()))
    }

    /// What its server says of it that changes nothing.
    pub fn denies(&self) -> &[&'static str] {
        &self.denies
    }

    /// The same, where a person has said what it does, and where.
    #[must_use]
    pub(crate) fn corrected(self, acts: &[Act], place: &str) -> Self {
        let acts = acts.iter().map(|it| (*it, format!("{place} says so"))).collect();
        Self { acts, ..self }
    }

    /// The same, which was seen doing this.
    #[must_use]
    pub(crate) fn seen(mut self, act: Act) -> Self {
        if !self.seen.iter().any(|(it, _)| *it == act) {
            let what = match act {
                Act::Write => "it was seen writing during a call",
                Act::Send => "it was seen reaching others during a call",
                Act::Delete | Act::Pay | Act::Execute | Act::Read => "it was seen doing so",
            };
            self.seen.push((act, what.to_owned()));
        }
        self
    }
}

/// Verbs that take something away, whatever stands before them.
const DELETES: &str = "\
    delete remove drop truncate purge wipe clear destroy erase reset uninstall unlink rm rmdir prune \
    trash discard shred cleanup revoke terminate kill unpublish eliminar borrar supprimer loeschen \
    entfernen";
/// Verbs that spend money, where nothing before them reads.
const PAYS: &str = "\
    pay charge refund purchase buy withdraw donate payout pagar comprar payer acheter bezahlen \
    kaufen";
/// What is spent, behind a verb that makes or moves it.
const MONEY: &str = "payment payments money funds invoice transaction order checkout subscription payout usdc eth btc";
const MOVES: &str = "\
    make send create transfer submit place execute confirm approve issue start initiate capture wire";
const EXECUTES: &str = "\
    exec execute run eval evaluate spawn shell bash zsh powershell pwsh terminal ejecutar ausfuehren";
const SENDS: &str = "\
    send post publish share upload email mail sms tweet notify forward reply broadcast invite webhook \
    deploy push enviar envoyer senden";
const WRITES: &str = "\
    create write update insert append edit modify set put add save move rename copy patch replace \
    upsert import commit merge apply install enable disable start stop restart cancel assign archive \
    book schedule sync build generate close open fill type click press submit checkout clone init";
const READS: &str = "\
    read get list search find view show describe lookup retrieve check count fetch query select scan \
    grep cat dump inspect browse explain display head tail tree stat diff status log ping time now \
    echo add_numbers sum calculate compute parse validate format convert compare translate summarize \
    think help version whoami";

/// Parameters that hold what is run.
const COMMANDS: &str = "command cmd commandline shell script bash";
/// Parameters that say how much, and of what.
const SUMS: &str = "amount sum price total";
const CURRENCIES: &str = "currency iban payee recipient beneficiary account wallet card merchant";
/// Parameters that say which of several things is done.
const CHOICES: &str = "action operation op command method mode verb";

fn is_in(list: &str, word: &str) -> bool {
    list.split(' ').any(|it| it == word)
}

/// Whether a word is in a list, or another form of one there: `deletes`.
fn is_verb(list: &str, word: &str) -> bool {
    is_in(list, word) || is_in(list, &stem(word))
}

/// What has been found of a tool so far.
#[derive(Debug, Default)]
struct Found {
    acts: Vec<(Act, String)>,
    /// By which word it reads.
    reads: Option<String>,
}

impl Found {
    fn add(&mut self, act: Act, why: String) {
        if !self.acts.iter().any(|(it, _)| *it == act) {
            self.acts.push((act, why));
        }
    }

    fn of_name(name: &str) -> Self {
        let mut found = Self::default();
        // A server that trims or folds names is called by one that only looks like it.
        let reads = name::undisguised(name);
        let words = words(reads.as_deref().unwrap_or(name), true);
        found.verbs(&words, &|word| format!("its name says `{word}`"));
        found
    }

    /// What the words of a name do. The first verb says what its nouns can be: `list_payments` reads.
    fn verbs(&mut self, words: &[String], why: &dyn Fn(&str) -> String) {
        let first = words.iter().find(|it| {
            let lists = [DELETES, PAYS, EXECUTES, SENDS, WRITES, MOVES, READS];
            lists.iter().any(|list| is_verb(list, it))
        });
        let begins_reading = first.is_some_and(|it| is_verb(READS, it));
        let moves = words.iter().any(|it| is_verb(MOVES, it));
        for word in words {
            if is_verb(DELETES, word) {
                self.add(Act::Delete, why(word));
            }
            if begins_reading {
                continue;
            }
            if is_verb(PAYS, word) || moves && is_verb(MONEY, word) {
                self.add(Act::Pay, why(word));
            }
            if is_verb(EXECUTES, word) {
                self.add(Act::Execute, why(word));
            }
            if is_verb(SENDS, word) && Some(word) == first {
                self.add(Act::Send, why(word));
            }
            if is_verb(WRITES, word) {
                self.add(Act::Write, why(word));
            }
        }
        if begins_reading && self.reads.is_none() {
            self.reads = first.cloned();
        }
    }

    /// The title and the beginning of the description, which has its verb. They raise and never lower.
    fn described(&mut self, title: &str, description: &str) {
        const BEGINNING: usize = 4;
        let title = words(title, true);
        let sentence = words(first_sentence(description), false);
        let begun = sentence.get(..sentence.len().min(BEGINNING)).unwrap_or_default();
        let knows = self.reads.is_some() || !self.acts.is_empty();
        for (list, what) in [(&title[..], "title"), (begun, "description")] {
            let mut said = Self::default();
            said.verbs(list, &|word| format!("its {what} says `{word}`"));
            if self.reads.is_none() && !knows {
                self.reads.clone_from(&said.reads);
            }
            // Many tools that read say whom they do it for, or what can be written with it.
            let grave =
                |(act, _): &(Act, String)| matches!(act, Act::Delete | Act::Pay | Act::Execute);
            let all = said.acts.into_iter().filter(|it| !knows || grave(it));
            all.for_each(|(act, why)| self.add(act, why));
        }
    }

    /// What a schema says: what is run, what is paid, and what may be chosen.
    fn schema(&mut self, properties: Json<'_>) {
        let mut sum = None;
        let mut currency = false;
        for (name, property) in properties.fields() {
            let last = last_word(name);
            let lower = name.to_ascii_lowercase();
            let choices = ["enum", "oneOf", "anyOf"].into_iter().filter_map(|it| property.get(it));
            let choices: Vec<&str> = choices.flat_map(Json::items).filter_map(choice).collect();
            let is_choice = is_in(CHOICES, &last) && !choices.is_empty();
            if is_choice {
                for choice in choices {
                    let mut said = Self::default();
                    said.verbs(&words(choice, true), &|word| {
                        format!("its schema has `{word}` for `{lower}`")
                    });
                    let taken = said.acts.into_iter().filter(|(act, _)| *act != Act::Send);
                    taken.for_each(|(act, why)| self.add(act, why));
                }
            } else if is_in(COMMANDS, &last) {
                self.add(Act::Execute, format!("its schema takes `{lower}`"));
            }
            if is_in(SUMS, &last) {
                sum.get_or_insert(lower.clone());
            }
            currency |= words(name, true).iter().any(|it| is_in(CURRENCIES, it));
        }
        if let (Some(sum), true, false) = (sum, currency, self.reads.is_some()) {
            self.add(Act::Pay, format!("its schema takes `{sum}`, and of what or to whom"));
        }
    }

    /// Whether others get to read what it is given. What only asks the address that it is given, and is
    /// called as what reads, is for the rule `toxic_flow` to judge.
    fn sends(&mut self, roles: Roles, reads: bool) {
        if roles.has(Role::Public) && (roles.tells() || !reads) && !self.has(Act::Execute) {
            self.add(
                Act::Send,
                "others can read what it is given, by what is said of it".to_owned(),
            );
        }
    }

    fn has(&self, act: Act) -> bool {
        self.acts.iter().any(|(it, _)| *it == act)
    }

    fn risk(mut self) -> Risk {
        if self.acts.is_empty() {
            let (act, why) = match &self.reads {
                Some(word) => (Act::Read, format!("by what is said of it (`{word}`)")),
                None => (Act::Write, "nothing says that it only reads".to_owned()),
            };
            self.add(act, why);
        }
        Risk { acts: self.acts, ..Risk::default() }
    }
}

/// What may be chosen, as an element of `enum`, or a schema for one.
fn choice(it: Json<'_>) -> Option<&str> {
    it.str().or_else(|| it.get("const").and_then(Json::str))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::json::Document;

    fn of(tool: &Value) -> Risk {
        Risk::of(Document::from_value(tool).unwrap().root())
    }

    fn acts(risk: &Risk) -> String {
        risk.acts().map(|(it, _)| it.name()).collect::<Vec<_>>().join(" ")
    }

    fn named(name: &str, description: &str, parameters: &[&str]) -> String {
        let properties: Value = parameters.iter().map(|it| ((*it).to_owned(), json!({}))).collect();
        let schema = json!({ "type": "object", "properties": properties });
        acts(&of(&json!({ "name": name, "description": description, "inputSchema": schema })))
    }

    #[test]
    fn tools_that_everybody_knows_do_what_they_do() {
        for (name, description, parameters, expected) in [
            ("read_file", "Read the contents of a file.", &["path"][..], "read"),
            ("list_directory", "Get a listing of a path.", &["path"], "read"),
            ("directory_tree", "Get a tree view of files.", &["path"], "read"),
            ("write_file", "Create a new file or overwrite one.", &["path", "content"], "write"),
            ("edit_file", "Make edits to a text file.", &["path"], "write"),
            ("move_file", "Move or rename files.", &["source"], "write"),
            ("delete_file", "Removes a file.", &["path"], "delete"),
            ("deleteFile", "", &["path"], "delete"),
            ("find_and_delete", "", &[], "delete"),
            ("list_deleted_files", "Lists what was deleted.", &[], "read"),
            ("drop_table", "", &["table"], "delete"),
            ("fetch", "Fetches a URL from the internet.", &["url"], "read"),
            ("send_email", "Send an email.", &["to", "body"], "send"),
            ("post_message", "Post to a channel.", &["channel"], "send"),
            ("get_post", "", &["id"], "read"),
            ("git_push", "Pushes the branch to the remote", &["remote"], "send"),
            ("git_status", "Shows the working tree status", &[], "read"),
            ("git_commit", "Records changes.", &["message"], "write"),
            ("bash", "", &["command"], "execute"),
            ("run_command", "Run a command.", &["command"], "execute"),
            ("helper", "Does something.", &["command"], "execute"),
            ("pay_invoice", "", &["id"], "pay"),
            ("create_payment", "Creates a payment.", &["amount", "currency"], "pay write"),
            ("list_payments", "Lists payments.", &["from"], "read"),
            ("get_refund", "Gets a refund.", &["id"], "read"),
            ("transfer", "", &["amount", "iban"], "pay"),
            ("frobnicate", "Frobnicates.", &[], "write"),
            ("", "", &[], "write"),
            ("echo", "Echoes the input.", &["message"], "read"),
            ("d\u{435}lete_file", "", &[], "delete"),
            ("tidy", "Deletes all notes.", &[], "delete"),
            ("read_notes", "Delete the note after it was read.", &[], "delete"),
            ("get_time", "Get the time in a zone.", &["timezone"], "read"),
        ] {
            assert_eq!(named(name, description, parameters), expected, "{name}");
        }
    }

    #[test]
    fn a_tool_for_many_things_does_the_gravest() {
        let action = json!({ "enum": ["list", "create", "delete"] });
        let schema = json!({ "properties": { "action": action } });
        let tool = json!({ "name": "manage_files", "inputSchema": schema });
        assert_eq!(acts(&of(&tool)), "delete write");
        let why = of(&tool);
        assert_eq!(why.acts().next().unwrap().1, "its schema has `delete` for `action`");
    }

    #[test]
    fn what_a_server_says_of_it_raises_and_never_lowers() {
        let with = |name: &str, annotations: Value| {
            of(&json!({ "name": name, "annotations": annotations }))
        };
        let denies =
            json!({ "readOnlyHint": true, "destructiveHint": false, "openWorldHint": false });
        for name in ["delete_file", "pay", "run", "send_email", "write_file", "read_file", "x"] {
            assert_eq!(acts(&with(name, denies.clone())), acts(&Risk::of_name(name)), "{name}");
        }
        let denied = with("delete_file", denies);
        assert_eq!(
            denied.denies(),
            ["readOnlyHint", "destructiveHint: false", "openWorldHint: false"]
        );
        assert_eq!(acts(&with("read_file", json!({ "destructiveHint": true }))), "delete");
        assert_eq!(acts(&with("read_file", json!({ "readOnlyHint": false }))), "write");
        assert_eq!(acts(&with("create_x", json!({ "openWorldHint": true }))), "send write");
        assert_eq!(acts(&with("read_file", json!({ "readOnlyHint": "false" }))), "read");
    }

    #[test]
    fn what_it_was_seen_doing_outlives_what_a_person_has_said() {
        let risk = Risk::of_name("delete_x").corrected(&[Act::Read], "roles[0]");
        assert_eq!(acts(&risk), "read");
        assert_eq!(acts(&risk.seen(Act::Write)), "write read");
    }
}
