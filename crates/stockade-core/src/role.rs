//! What a tool is in a flow of data: whether strangers write what it answers, whether what it
//! answers is private, whether others read what it is given.
//!
//! A guess, from the words that the tool is called and described by. It is made of what a server
//! says, so a server can hide a role; it can be corrected in the policy. Annotations (MCP, "Tools ›
//! Tool annotations") are untrusted: what they admit counts, and what they deny does not.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use crate::json::Json;

/// One thing that a tool may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Its answers have what strangers wrote: pages, mails, issues, messages.
    Untrusted,
    /// Its answers have what is not for everybody: files, mails, records, secrets.
    Private,
    /// Others get to read what it is given: it posts, sends, shares, asks an address that it is given, or
    /// asks a service of the world what it is given, as a search of the web does.
    Public,
    /// It deals with the world outside of this machine.
    OpenWorld,
}

impl Role {
    /// Every role.
    pub const ALL: &[Self] = &[Self::Untrusted, Self::Private, Self::Public, Self::OpenWorld];

    /// As a policy has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Private => "private",
            Self::Public => "public",
            Self::OpenWorld => "open_world",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Untrusted => 1,
            Self::Private => 2,
            Self::Public => 4,
            Self::OpenWorld => 8,
        }
    }
}

/// Beside the bits of the roles: it is public for an address alone.
const BY_ADDRESS: u8 = 16;

/// Everything that a tool is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Whether this is among it.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// The same and this.
    #[must_use]
    pub fn with(self, role: Role) -> Self {
        Self(self.0 | role.bit())
    }

    /// What a call of it is with these arguments: a tool that others can read for the address alone that
    /// it may be given tells them nothing where it is given none.
    #[must_use]
    pub fn given(self, arguments: Option<Json<'_>>) -> Self {
        if self.0 & BY_ADDRESS == 0 {
            return self;
        }
        let is_address = |it: Json<'_>| {
            let named = it.name().is_some_and(|it| Marks::of(&words(it, true)).has(ADDRESSES));
            let is_filled = || it.items().next().is_some() || it.fields().next().is_some();
            match it.str() {
                Some(it) => !it.is_empty() && named || it.contains("://"),
                None => named && is_filled(),
            }
        };
        let asks = arguments.is_some_and(|it| it.all().any(is_address));
        if asks { self } else { Self(self.0 & !(BY_ADDRESS | Role::Public.bit())) }
    }

    /// Whether others can read what it is given wherever it goes, and not for an address alone.
    pub(crate) fn tells(self) -> bool {
        self.has(Role::Public) && self.0 & BY_ADDRESS == 0
    }

    /// What either is.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is nothing of it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What a tool is, as its server describes it.
    pub fn of(tool: Json<'_>) -> Self {
        let text = |name| tool.get(name).and_then(Json::str).unwrap_or_default();
        let properties = tool.get("inputSchema").and_then(|it| it.get("properties"));
        let parameters = properties.into_iter().flat_map(Json::fields).map(|(name, _)| name);
        let hints = tool.get("annotations");
        let open = hints.and_then(|it| it.get("openWorldHint")).and_then(Json::bool);
        let said = format!("{} {}", text("title"), first_sentence(text("description")));
        guess(text("name"), &said, parameters, open == Some(true))
    }

    /// What a tool is that was never described, by its name alone.
    pub fn of_name(name: &str) -> Self {
        guess(name, "", std::iter::empty(), false)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        roles.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Role::ALL.iter().filter(|it| self.has(**it)).map(|it| it.name());
        f.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roles({self})")
    }
}

const READS: &str = "\
    read get fetch list search find query browse view show open load lookup retrieve check \
    scan crawl scrape navigate select dump cat grep describe extract summarize summarise visit \
    access inspect poll receive watch display return";
const SENDS: &str = "\
    send create write publish update push submit edit add put forward notify invite deploy \
    broadcast merge transfer append insert fill type";
/// Words that are verbs only where nothing else is one: `post_message` and `get_post`.
const PERHAPS_READS: &str = "download export snapshot screenshot transcript";
const PERHAPS_SENDS: &str = "post comment reply share upload tweet release fork message";
const EXECUTES: &str = "exec execute run eval evaluate invoke";

/// What strangers write.
const STRANGE: &str = "\
    web webpage website site url html internet http browser email mail inbox gmail message \
    issue ticket pull pr comment discussion review feed rss tweet news article post slack \
    channel chat conversation discord telegram sms whatsapp forum thread attachment invitation \
    reddit wikipedia youtube transcript";
/// What is not for everybody.
const PRIVATE: &str = "\
    file directory folder document doc note repository repo secret credential password token \
    env environment database db table sql record customer user contact account email mail \
    inbox gmail calendar memory history drive wiki payroll private internal confidential \
    clipboard screen keychain log bucket graph profile invoice patient employee salary code \
    commit diff chat conversation";
/// What others read.
const PUBLIC: &str = "\
    email mail message slack channel chat issue pr pull comment gist post tweet webhook url \
    http web website site blog release package public discord telegram sms whatsapp forum \
    thread form repository repo review discussion invitation internet recipient github gitlab \
    ticket tracker jira linear trello asana notion confluence zendesk attendee invitee guest \
    anyone anybody everyone everybody";
/// What is done for others to read, and for nothing else.
const TELLS: &str = "share publish tweet broadcast";
/// What a search asks that has no end of its own.
const WEB: &str = "web internet google bing brave duckduckgo tavily exa perplexity online";
/// What is asked of them.
const SEARCHES: &str = "search lookup query ask find";
/// What asks other machines for a name.
const NAMES: &str = "dns whois nslookup dig traceroute ping resolve";
/// Parameters that say which machine.
const HOSTS: &str = "host hostname domain fqdn name address";
/// What takes an address for words, and asks nobody.
const WORDS: &str =
    "parse validate encode decode normalize normalise split join format compare shorten";
/// Programs of whoever calls, which do anything.
const PROGRAMS: &str = "shell bash command cmd code script terminal python javascript powershell";
/// What stands for such a program by itself.
const SHELLS: &str = "shell bash terminal powershell";
/// Parameters that say where to go.
const ADDRESSES: &str = "url uri link href endpoint webhook";

/// Which of these a word is in, a bit each.
static LISTS: [(&str, u32); 17] = [
    (READS, 1),
    (SENDS, 1 << 1),
    (PERHAPS_READS, 1 << 2),
    (PERHAPS_SENDS, 1 << 3),
    (EXECUTES, 1 << 4),
    (STRANGE, 1 << 5),
    (PRIVATE, 1 << 6),
    (PUBLIC, 1 << 7),
    (PROGRAMS, 1 << 8),
    (SHELLS, 1 << 9),
    (ADDRESSES, 1 << 10),
    (TELLS, 1 << 11),
    (WEB, 1 << 12),
    (SEARCHES, 1 << 13),
    (NAMES, 1 << 14),
    (HOSTS, 1 << 15),
    (WORDS, 1 << 16),
];

/// What the words of a text are in.
#[derive(Clone, Copy, Default)]
struct Marks(u32);

impl Marks {
    fn of(words: &[String]) -> Self {
        let either =
            |all: Self, it: &String| all.and(Self::of_word(it)).and(Self::of_word(&stem(it)));
        words.iter().fold(Self::default(), either)
    }

    fn of_word(word: &str) -> Self {
        static WORDS: LazyLock<HashMap<&str, u32>> = LazyLock::new(|| {
            let mut words = HashMap::new();
            for (list, bit) in LISTS {
                list.split(' ').for_each(|it| *words.entry(it).or_default() |= bit);
            }
            words
        });
        Self(WORDS.get(word).copied().unwrap_or_default())
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, list: &str) -> bool {
        LISTS.iter().any(|(it, bit)| *it == list && self.0 & bit != 0)
    }

    /// Whether there is a verb that reads, one that sends, and one that executes. What `perhaps` has are
    /// verbs only where nothing else is.
    fn verbs(self, perhaps: Self) -> (bool, bool, bool) {
        let sure = (self.has(READS), self.has(SENDS), self.has(EXECUTES));
        match sure {
            (false, false, false) => {
                (perhaps.has(PERHAPS_READS), perhaps.has(PERHAPS_SENDS), false)
            }
            sure => sure,
        }
    }
}

fn guess<'p>(
    name: &str,
    said: &str,
    parameters: impl Iterator<Item = &'p str>,
    open: bool,
) -> Roles {
    let said = words(said, false);
    let named = words(name, true);
    let name = Marks::of(&named);
    // In a name, several of something are no verb: `console_messages`.
    let single = named.iter().fold(Marks::default(), |all, it| all.and(Marks::of_word(it)));
    let about = name.and(Marks::of(&said));
    let parameters: Vec<String> = parameters.flat_map(|it| words(it, true)).collect();
    let parameters = Marks::of(&parameters);
    let addressed = parameters.has(ADDRESSES);
    // The beginning of a sentence has its verb.
    let begun = said.get(..said.len().min(4)).unwrap_or_default();
    let first = Marks::of(begun);
    let of_name = name.verbs(single);
    let is_named = of_name != (false, false, false);
    let (reads, sends, executes) = if is_named { of_name } else { first.verbs(first) };
    let shell = name.has(SHELLS) || executes && about.has(PROGRAMS);
    let untrusted = reads && (about.has(STRANGE) || addressed || open);
    let private = (reads || executes) && about.has(PRIVATE) || shell;
    let has = |word: &str| named.iter().chain(begun).any(|it| it == word || stem(it) == word);
    let pushes = has("push");
    let tells = sends && (about.has(PUBLIC) || open && (is_named || !reads))
        || sends && (single.has(TELLS) || !is_named && first.has(TELLS))
        || pushes && named.iter().chain(&said).any(|it| it == "git" || it == "remote")
        // What is searched for is told to whoever searches.
        || reads && name.and(first).has(SEARCHES) && about.has(WEB)
        || name.has(NAMES) && parameters.has(HOSTS)
        || shell;
    // An address that is asked is told what stands in it.
    let asks = addressed && (reads || sends || !name.and(first).has(WORDS));
    let public = tells || asks;
    let roles = [
        (untrusted, Role::Untrusted),
        (private, Role::Private),
        (public, Role::Public),
        (untrusted || public || addressed || open, Role::OpenWorld),
    ];
    let roles: Roles =
        roles.into_iter().filter(|(holds, _)| *holds).map(|(_, role)| role).collect();
    if public && !tells { Roles(roles.0 | BY_ADDRESS) } else { roles }
}

/// So much of a description is looked at: whoever describes a tool can make it as long as a message.
const SENTENCE_BYTES_MAX: usize = 400;

pub(crate) fn first_sentence(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(['.', '\n', ';']).unwrap_or(text.len()).min(SENTENCE_BYTES_MAX);
    text.get(..text.floor_char_boundary(end)).unwrap_or_default()
}

/// The words of a name or a sentence, in lower case. Of a name (`getFileInfo`) a capital letter begins
/// one as well.
pub(crate) fn words(text: &str, is_name: bool) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before_lower = false;
    for it in text.chars() {
        let begins = is_name && it.is_uppercase() && before_lower;
        if (!it.is_alphanumeric() || begins) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if it.is_alphanumeric() {
            word.extend(it.to_lowercase());
        }
        before_lower = it.is_lowercase() || it.is_numeric();
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// A word without what makes several of it, or another person of it.
pub(crate) fn stem(word: &str) -> String {
    if let Some(it) = word.strip_suffix("ies") {
        return format!("{it}y");
    }
    let es = ["ches", "shes", "xes", "sses"].iter().any(|it| word.ends_with(it));
    let cut = if es { 2 } else { usize::from(word.ends_with('s') && !word.ends_with("ss")) };
    word.get(..word.len() - cut).unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::json::Document;

    fn of(name: &str, description: &str, parameters: &[&str]) -> String {
        let properties: Value = parameters.iter().map(|it| ((*it).to_owned(), json!({}))).collect();
        let schema = json!({ "type": "object", "properties": properties });
        let tool = json!({ "name": name, "description": description, "inputSchema": schema });
        Roles::of(Document::from_value(&tool).unwrap().root()).to_string()
    }

    #[test]
    fn tools_that_everybody_knows_are_what_they_are() {
        let all = [
            // Files of one's own: private, and nothing of it goes anywhere.
            (of("read_file", "Read the complete contents of a file.", &["path"]), "private"),
            (of("list_directory", "Get a listing of all files in a path.", &["path"]), "private"),
            (of("directory_tree", "Get a tree view of files as JSON.", &["path"]), "private"),
            (of("write_file", "Create a new file or overwrite one.", &["path", "content"]), ""),
            (of("edit_file", "Make edits to a text file.", &["path"]), ""),
            (of("move_file", "Move or rename files.", &["source", "destination"]), ""),
            (of("create_directory", "Create a new directory.", &["path"]), ""),
            // The web.
            (
                of("fetch", "Fetches a URL from the internet.", &["url"]),
                "untrusted, public, open_world",
            ),
            (
                of("brave_web_search", "Searches the web.", &["query"]),
                "untrusted, public, open_world",
            ),
            (of("webhook", "Calls a webhook", &["url", "body"]), "public, open_world"),
            (
                of("render_image", "Renders a picture from an address", &["url"]),
                "public, open_world",
            ),
            (of("http_get", "HTTP GET", &["url"]), "untrusted, public, open_world"),
            (of("parse_url", "Splits a URL into its parts.", &["url"]), "open_world"),
            (of("dns_lookup", "Looks up a host name", &["host"]), "public, open_world"),
            (of("list_dns_records", "Lists the records.", &["zone_id"]), "private"),
            (
                of("browser_console_messages", "Returns all console messages", &["level"]),
                "untrusted, open_world",
            ),
            (
                of("browser_navigate", "Navigate to a page.", &["url"]),
                "untrusted, public, open_world",
            ),
            // Mail and chat.
            (
                of("search_emails", "Search the inbox.", &["query"]),
                "untrusted, private, open_world",
            ),
            (of("send_email", "Send an email.", &["to", "body"]), "public, open_world"),
            (
                of("share_file", "Share a file with anyone with the link", &["id"]),
                "public, open_world",
            ),
            (of("share_file", "", &["id"]), "public, open_world"),
            (of("create_page", "Create a page in Notion", &["title"]), "public, open_world"),
            (
                of("create_ticket", "Creates a ticket in the tracker", &["title"]),
                "public, open_world",
            ),
            (
                of("create_calendar_event", "Creates an event and invites attendees", &["title"]),
                "public, open_world",
            ),
            (of("create_note", "Creates a note.", &["title", "text"]), ""),
            (of("add_observations", "Add observations to the memory.", &["observations"]), ""),
            (of("append_to_page", "Appends text to a page of the notebook.", &["text"]), ""),
            (of("sum", "Sums numbers.", &["numbers"]), ""),
            (of("stack_push", "Pushes a number onto the stack.", &["number"]), ""),
            (of("search_files", "Search files for a pattern.", &["pattern"]), "private"),
            (of("search_notes", "Searches the notes.", &["query"]), "private"),
            (of("draft_email", "Draft an email.", &["to", "body"]), ""),
            (of("slack_post_message", "Post to a channel.", &["channel_id"]), "public, open_world"),
            (
                of("slack_get_channel_history", "", &["channel_id"]),
                "untrusted, private, open_world",
            ),
            // A forge.
            (of("get_issue", "Get an issue of a project.", &["number"]), "untrusted, open_world"),
            (of("list_issues", "List issues.", &[]), "untrusted, open_world"),
            (of("add_issue_comment", "Add a comment.", &["body"]), "public, open_world"),
            (of("createPullRequest", "Open a pull request.", &["title"]), "public, open_world"),
            (of("get_file_contents", "Get a file.", &["path"]), "private"),
            (
                of("create_or_update_file", "Create a file on GitHub.", &["path"]),
                "public, open_world",
            ),
            (of("get_post", "", &["id"]), "untrusted, open_world"),
            // Others.
            (of("query", "Run a read-only SQL query.", &["sql"]), "private"),
            (of("execute_sql", "", &["statement"]), "private"),
            (of("bash", "", &["command"]), "private, public, open_world"),
            (
                of("execute_command", "Execute a command.", &["command"]),
                "private, public, open_world",
            ),
            (of("git_commit", "Records changes.", &["repo_path", "message"]), ""),
            (of("git_push", "Pushes the branch to the remote", &["remote"]), "public, open_world"),
            (of("git_push", "", &["repo_path"]), "public, open_world"),
            (of("git_add", "Adds contents to the staging area.", &["repo_path"]), ""),
            (of("get_current_time", "Get the time in a zone.", &["timezone"]), ""),
            (of("add", "Adds two numbers.", &["a", "b"]), ""),
            (of("echo", "Echoes back the input.", &["message"]), ""),
        ];
        for (n, (found, expected)) in all.iter().enumerate() {
            assert_eq!(found, expected, "line {n}");
        }
    }

    #[test]
    fn annotations_admit_and_do_not_deny() {
        let with = |name: &str, annotations: Value| {
            let tool = json!({ "name": name, "annotations": annotations });
            Roles::of(Document::from_value(&tool).unwrap().root()).to_string()
        };
        let denies = json!({ "openWorldHint": false, "readOnlyHint": true });
        assert_eq!(with("send_email", denies.clone()), "public, open_world");
        assert_eq!(with("fetch_url", denies), "untrusted, open_world");
        let admits = json!({ "openWorldHint": true });
        assert_eq!(with("get_forecast", admits.clone()), "untrusted, open_world");
        assert_eq!(with("submit", admits.clone()), "public, open_world");
        assert_eq!(with("think", admits), "open_world");
        assert_eq!(with("get_forecast", json!({ "openWorldHint": "true" })), "");
    }

    #[test]
    fn an_address_that_is_not_given_is_not_asked() {
        let schema = json!({ "type": "object", "properties": { "action": {}, "url": {} } });
        let tool = json!({
            "name": "browser_tabs",
            "description": "List, create, close, or select a browser tab.",
            "inputSchema": schema,
            "annotations": { "openWorldHint": true },
        });
        let roles = Roles::of(Document::from_value(&tool).unwrap().root());
        let given = |arguments: Value| {
            roles.given(Some(Document::from_value(&arguments).unwrap().root())).has(Role::Public)
        };
        assert!(roles.has(Role::Public) && !roles.given(None).has(Role::Public));
        assert!(given(json!({ "action": "new", "url": "x.example/a" })));
        assert!(given(json!({ "action": "http://x.example/a" })));
        assert!(given(json!({ "url": ["x.example"] })));
        assert!(
            !given(json!({ "action": "list" })) && !given(json!({ "action": "list", "url": "" }))
        );
        // What sends has others read it with no address.
        let fetch = Roles::of_name("send_email");
        assert_eq!(fetch.given(None), fetch);
    }

    #[test]
    fn a_name_alone_says_something() {
        assert_eq!(
            Roles::of_name("getInboxMessages").to_string(),
            "untrusted, private, open_world"
        );
        assert_eq!(Roles::of_name("").to_string(), "");
        assert!(Roles::of_name("É-ß").is_empty());
    }
}
