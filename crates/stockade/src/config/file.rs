//! The policy file as a user writes it. Every key is optional here and remembers where it was
//! written; what it means together is worked out in [`super::resolve`].

use serde_json::Value;
use stockade_core::policy::{Action, Commands, Effect, Sql};
use stockade_kit::query::Dialect;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;
pub use super::read::{At, Key, Named, OneOrMany};
use super::read::{Choice, Reader, Said, table};
use crate::alerts::Kind;

/// What holds where a file says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Every rule does what its page says.
    #[default]
    Default,
    /// Nothing is mended, asked or denied; everything is recorded.
    Transparent,
}

impl Preset {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Transparent => "transparent",
        }
    }
}

impl Choice for Preset {
    const KIND: &'static str = "preset";
    fn all() -> Vec<(&'static str, Self)> {
        [Self::Default, Self::Transparent].map(|it| (it.name(), it)).to_vec()
    }
}

/// What holds a server's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// This kernel: namespaces, control groups, Landlock and seccomp.
    #[default]
    Native,
    /// A container of Podman.
    Podman,
    /// A container of Docker, whose daemon must run on this machine.
    Docker,
    /// The sandbox of macOS.
    Seatbelt,
    /// Nothing: the server may do what its user may do.
    None,
}

impl Backend {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Seatbelt => "seatbelt",
            Self::None => "none",
        }
    }
}

impl Choice for Backend {
    const KIND: &'static str = "sandbox";
    fn all() -> Vec<(&'static str, Self)> {
        let all = [Self::Native, Self::Podman, Self::Docker, Self::Seatbelt, Self::None];
        all.map(|it| (it.name(), it)).to_vec()
    }
}

/// What is done with a server that is in no lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pinning {
    /// Where there is a lock it is refused, and else nothing is pinned.
    #[default]
    Found,
    /// It is approved as it is when it is used first.
    FirstUse,
    /// It is refused.
    Required,
}

impl Pinning {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::FirstUse => "first-use",
            Self::Required => "required",
        }
    }
}

impl Choice for Pinning {
    const KIND: &'static str = "lock";
    fn all() -> Vec<(&'static str, Self)> {
        [Self::Found, Self::FirstUse, Self::Required].map(|it| (it.name(), it)).to_vec()
    }
}

/// Whether what is decided is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    #[default]
    Enforce,
    /// It is written down, and nothing of it is done.
    Shadow,
}

impl Standing {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

impl Choice for Standing {
    const KIND: &'static str = "mode";
    fn all() -> Vec<(&'static str, Self)> {
        [Self::Enforce, Self::Shadow].map(|it| (it.name(), it)).to_vec()
    }
}

/// Who is asked where a rule asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A person.
    #[default]
    Ask,
    /// Nobody: what is not allowed is denied.
    Production,
}

impl Mode {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Production => "production",
        }
    }
}

impl Choice for Mode {
    const KIND: &'static str = "mode";
    fn all() -> Vec<(&'static str, Self)> {
        [Self::Ask, Self::Production].map(|it| (it.name(), it)).to_vec()
    }
}

impl Choice for Kind {
    const KIND: &'static str = "sort of alert";
    fn all() -> Vec<(&'static str, Self)> {
        Self::ALL.map(|it| (it.name(), it)).to_vec()
    }
}

table! {
    /// What a policy says. Exactly one file is read: the one that `--policy` names, or else
    /// `$XDG_CONFIG_HOME/stockade/stockade.toml`. A `stockade.toml` in the working directory is not
    /// read unless it is named, so that a project cannot weaken what its user decided.
    ///
    /// Unknown keys are errors. An empty list is an error: any tool or server is spelled `"*"`.
    File {
        /// What holds where nothing else is said: `default`, where every rule does what its page
        /// says, or `transparent`, which mends, asks and denies nothing and records everything.
        preset: Preset = r#""default""#,
        /// `enforce`, or `shadow`: then the policy decides as always and nothing of it is done. What it
        /// would have mended, asked or denied goes on as it came and is written down so (`stockade
        /// audit query --would any`); nobody is asked anything. It is said when a guard starts. What is
        /// no policy holds all the same: that messages can be read in one way, the protocol, the lock,
        /// how long a call may take, who may come in, the sandbox and whom it may reach, and that
        /// nothing passes that cannot be recorded.
        mode: Standing = r#""enforce""#,
        /// What is done with a tool call that no `[[tools]]` is about: `allow`, `ask` or `deny`.
        /// It must be said where there are `[[tools]]`; without any it is `allow`.
        default: Effect = r#""deny""#,
        /// What a server is there for, whole paths: directories that its process sees and that the
        /// arguments of its calls may be about. `:rw` at the end lets it write there, `:ro` is the
        /// same as neither. Without, a process sees nothing but programs, and paths in arguments
        /// are not bounded by the guard. A URI of another scheme than `file` bounds the URIs of its
        /// scheme in arguments, and if it is of `https`, its host may be reached as well.
        roots: Vec<At<String>> = r#"["/srv/docs", "/srv/out:rw"]"#,
        /// Where a root that the client gives becomes one as well: these directories and what is
        /// below, whole paths, with `:rw` where the server may write in such a root, and what is
        /// below these URIs. `"*"` is any directory, to be read, and `"*:rw"` to be written. Of two
        /// that a root is in, the longer holds; one that is read only stays so in a root that is
        /// written. At or below what other tools trust (`.git`, `.vscode`, `.ssh`) a root is read
        /// only, unless that is named here. Without, the client is not asked for its roots. `run`
        /// alone asks, and no client of 2026-07-28.
        client_roots: Vec<At<String>> = r#"["/home/me/projects", "/home/me/notes:rw"]"#,
        /// What is done with a server that is not in the lock: `found`, where it is refused if there
        /// is a lock, and nothing is pinned if there is none; `first-use`, where it is approved as it
        /// is when it is first used; or `required`, where it is refused. The lock is
        /// `stockade.lock` beside this file if `--policy` names it, and else the user's own. Read
        /// when a guard starts.
        lock: Pinning = r#""found""#,
        /// What is done about what a rule of the checks finds: `allow`, `fix`, `ask` or `deny`.
        rules: Named<Action> = "",
        /// The same for every rule of a severity, where the rule is not named.
        severity: Named<Action> = "",
        /// How much of everything. Whole numbers; zero is refused.
        limits: Named<usize> = "",
        /// Who is asked where a rule asks.
        approvals: ApprovalsTable = "",
        /// What somebody is told at once.
        alerts: AlertsTable = "",
        /// Where numbers of what happens are read.
        metrics: MetricsTable = "",
        /// Where calls are told as parts of traces.
        traces: TracesTable = "",
        /// How much of some tools.
        quotas: Vec<At<QuotaTable>> = "",
        /// What flows through some tools.
        roles: Vec<At<RoleTable>> = "",
        /// What is done with a tool call that no `[[tools]]` is about, by what the tool does.
        risk: RiskTable = "",
        /// What a server may ask of the client's model.
        sampling: SamplingTable = "",
        /// What a server may ask of the person at the client.
        elicitation: ElicitationTable = "",
        /// Texts that nobody has a reason to say.
        canaries: CanaryTable = "",
        /// Who may come in over HTTP.
        http: HttpTable = "",
        /// What holds the servers that are processes of this machine.
        sandbox: SandboxTable = "",
        /// How long the files of the ledger become, and how many of them are kept.
        ledger: LedgerTable = "",
        /// Who may call which tools with what. Of the rules that match a call the strictest
        /// decides: deny before ask before allow, whatever their order.
        tools: Vec<At<Tool>> = "",
        /// What the arguments of tools are and may be, where what is thought of them is wrong or not
        /// enough. Of several entries about a tool the strictest holds, whatever their order.
        arguments: Vec<At<Input>> = "",
        /// Hosts that URLs in arguments may name although they are not public: a name, what is below
        /// one (`*.`), an address or a network; without a port, any port. It is what a client may
        /// ask a server for. Whom the server's process reaches is `sandbox.net`.
        hosts: Vec<At<String>> = r#"["localhost:3000", "*.corp.example", "10.0.0.0/8"]"#,
        /// The servers, by the names that `--server` and `server` know.
        servers: Named<ServerTable> = "",
    }
}

table! {
    /// Who is asked where a rule asks.
    ApprovalsTable {
        /// `ask`, where a person is asked, or `production`, where nobody is: what asks denies, and a
        /// call that no rule is about is denied as well, so that the rules are a list of what is
        /// allowed.
        mode: Mode = r#""ask""#,
        /// Whether a client that can ask its person (elicitation) is asked as well, and its word is
        /// taken for the answer. Whether there is a person, or a program that answers in their place,
        /// only the client knows: turn it on for clients that you know, and not where a model could
        /// answer.
        client: bool = "false",
        /// Whether the desktop shows that a call waits, and which: over the bus of this user
        /// (`org.freedesktop.Notifications`). It is not answered there. Read when a guard starts.
        desktop: bool = "false",
        /// An address that is asked as well.
        webhook: WebhookTable = "",
    }
}

table! {
    /// An address of your own that something is told, by HTTP POST with a signature (Standard Webhooks).
    /// It may be of a private network: it is yours, and not a server's. Redirects are not followed.
    /// Read when a guard starts.
    WebhookTable {
        /// Where. `https`, or `http` on this machine.
        url: String = r#""https://hooks.example/stockade""#,
        /// Where the secret is that both sides have, which is not in a policy: `env:NAME`, a variable
        /// of the guard's environment, or `file:/PATH`, a file that nobody else may read and that lies
        /// in no root. `whsec_` and Base64, or any text of 24 bytes or more.
        secret: String = r#""env:STOCKADE_WEBHOOK_SECRET""#,
    }
}

table! {
    /// What somebody is told at once, and how. There are none where nothing of it is said. Read when a
    /// guard starts. See `docs/alerts.md`.
    AlertsTable {
        /// What is told: `denials`, many requests that were denied in a minute; `drift`, something that
        /// is not as it was approved; `host`, one that a server's process was refused, or reached for
        /// the first time; `canary`; `ledger`, that it cannot be written; `volume`, more than is said
        /// below. All of it, where nothing is said.
        on: Vec<At<Kind>> = r#"["denials", "drift", "host", "canary", "ledger", "volume"]"#,
        /// How many denials in a minute are many. Without, 20.
        denials_per_minute: usize = "20",
        /// More tool calls in a minute than this are told. Without, none are too many.
        calls_per_minute: usize = "120",
        /// The same of bytes, of both sides together.
        bytes_per_minute: usize = "50000000",
        /// How long the same is not told again, in seconds. Without, 600.
        again_s: usize = "600",
        /// An address that is told.
        webhook: WebhookTable = "",
        /// A syslog that is (RFC 5424): a socket of this machine, `tls://HOST:PORT`, or
        /// `udp://HOST:PORT` and `tcp://HOST:PORT`, which can be read on the way.
        syslog: String = r#""/dev/log""#,
        /// Whether the desktop shows it.
        desktop: bool = "true",
    }
}

table! {
    /// Where Prometheus reads numbers of what happens. There are none where nothing of it is said. Read
    /// when a guard starts. See `docs/monitoring.md`.
    MetricsTable {
        /// An address of this machine alone (loopback) and a port, of which 0 is a free one: the numbers
        /// are at `/metrics`. There is no key, and nothing in them of who asks, with what, or about which
        /// file. Where several guards have the same, the first is there, and each other says that it is not.
        listen: String = r#""127.0.0.1:9464""#,
    }
}

table! {
    /// Where calls of tools are told as parts of traces (OpenTelemetry). They are not where nothing of it
    /// is said. Read when a guard starts. See `docs/monitoring.md`.
    TracesTable {
        /// The address of a collector that takes spans by OTLP over HTTP, in JSON: `https`, or `http` on
        /// this machine.
        endpoint: String = r#""http://127.0.0.1:4318/v1/traces""#,
    }
}

table! {
    /// How much of some tools of some servers, for each person. What a quota is about is counted
    /// together, and of all quotas that are about a call each must have room. Minutes and calls at a
    /// time are counted by each guard; hours and days begin with the first call in them, and are
    /// counted by all guards of a state directory (`--state`) together, also after they were started
    /// anew. Where that cannot be written, no call passes that has such a quota.
    QuotaTable {
        /// The tools, as globs, whatever their case. `"*"` is any.
        tool: OneOrMany = r#"["search_*", "fetch"]"#,
        /// The servers, as globs. Any, where it is not said.
        server: OneOrMany = r#""web""#,
        /// Calls in a minute.
        calls_per_minute: usize = "30",
        /// Calls at a time.
        calls_at_once: usize = "4",
        /// Calls in an hour.
        calls_per_hour: usize = "300",
        /// Calls in a day.
        calls_per_day: usize = "1000",
        /// Bytes in an hour, of calls and of their answers. An answer that is too much still passes.
        bytes_per_hour: usize = "10000000",
        /// Bytes in a day.
        bytes_per_day: usize = "100000000",
        /// What a call costs, in units of your own. It is 1 where it is not said, and of several the
        /// highest.
        cost: usize = "5",
        /// Cost in an hour.
        cost_per_hour: usize = "100",
        /// Cost in a day.
        cost_per_day: usize = "500",
    }
}

table! {
    /// What flows through some tools, and what they do, in place of what is guessed of their words. Of
    /// several that are about a tool, each counts. One of `roles` and `does` is enough. See `stockade
    /// explain toxic_flow`, and `[risk]`.
    RoleTable {
        /// The tools, as globs. `"*"` is any.
        tool: OneOrMany = r#"["search_*"]"#,
        /// The servers, as globs. Any, where it is not said.
        server: OneOrMany = r#""crm""#,
        /// `untrusted`, if strangers write what it answers; `private`, if that is not for everybody;
        /// `public`, if others read what it is given; `open_world`, if it deals with the world outside
        /// of this machine. `["none"]` is nothing of it.
        roles: Vec<At<String>> = r#"["untrusted", "private"]"#,
        /// What it does, for `[risk]`: `delete`, `pay`, `execute`, `send`, `write` or `read`. What it was
        /// seen doing (`--trace`) counts all the same.
        does: Vec<At<String>> = r#"["read"]"#,
    }
}

table! {
    /// What is done with a call that no `[[tools]]` is about, by what its tool does: `allow`, `ask` or
    /// `deny`, and of several things the strictest. That is guessed from its name, its description and
    /// its schema, and from what it was seen doing (`--trace`); what a server says of its tool in
    /// annotations may add to it, and takes nothing away. A guess that is wrong is put right by `does` in
    /// `[[roles]]`. It never lets pass what `default` asks about or denies. Without the table nothing is
    /// asked or denied for what a tool does; with it, what is not named in it is as here.
    RiskTable {
        /// It takes something away.
        delete: Effect = r#""ask""#,
        /// It spends money.
        pay: Effect = r#""ask""#,
        /// It runs commands or code that it is given.
        execute: Effect = r#""ask""#,
        /// Others get what it is given.
        send: Effect = r#""ask""#,
        /// It changes something, or nothing says that it only reads.
        write: Effect = r#""allow""#,
        /// It only reads, as far as anybody can tell.
        read: Effect = r#""allow""#,
    }
}

table! {
    /// What a server may ask of the client's model (`sampling/createMessage`), as a request or in a
    /// result that wants input. What is too much is mended or refused by the rule `sampling_request`;
    /// what is answered is looked at by the rule `reply_data`.
    SamplingTable {
        /// What is done with such a question: `allow`, `ask` or `deny`. A person who is asked sees all of
        /// it. A client of its own may ask its person as well.
        effect: Effect = r#""allow""#,
        /// The servers that may ask, as globs. Any, where it is not said.
        server: OneOrMany = r#""summaries""#,
        /// What is done with what the model has answered, before it goes to the server: `allow`, `ask`
        /// or `deny`.
        reply: Effect = r#""allow""#,
        /// How many tokens a server may ask for at a time. More becomes this.
        max_tokens: usize = "8192",
        /// How many bytes of text a question may have.
        bytes_max: usize = "1048576",
        /// How many tokens may be asked for in a day, by all servers together, for each person. What is
        /// asked for counts, since how many it were only the client knows.
        tokens_per_day: usize = "200000",
        /// How often a model may be asked in a day, in the same way.
        requests_per_day: usize = "200",
        /// Whether the client may tell its model what it has from this server or from others.
        include_context: bool = "false",
        /// Whether the model may be given tools.
        tools: bool = "false",
        /// The models that a server may name, as globs. Any, where it is not said; which one answers is
        /// the client's choice.
        models: Vec<At<String>> = r#"["claude-*"]"#,
    }
}

table! {
    /// What a server may ask of the person at the client (`elicitation/create`), as a request, in a
    /// result that wants input, or in an error. A form that asks for a secret is refused by the rule
    /// `secret_question`, an address that may not be opened by `url_question`.
    ElicitationTable {
        /// What is done with a form: `allow`, `ask` or `deny`.
        form: Effect = r#""allow""#,
        /// What is done with an address to open: `allow`, `ask` or `deny`. Who is asked sees its host by
        /// itself. Nothing is opened before, and nothing by Stockade.
        url: Effect = r#""allow""#,
        /// The servers that may ask, as globs. Any, where it is not said.
        server: OneOrMany = r#""calendar""#,
    }
}

table! {
    /// Texts that nobody has a reason to say: a call that has one in its arguments is refused, however
    /// it is written. See `stockade explain canary`.
    CanaryTable {
        /// Texts of your own, of eight letters and digits or more.
        watch: Vec<At<String>> = r#"["Magpie-77-Lantern"]"#,
        /// Whether a marker is put into the answers of tools that read what is private, one for each
        /// person, and watched for as well. Where it cannot be kept, no call passes.
        plant: bool = "true",
    }
}

table! {
    /// Who may come in over HTTP.
    HttpTable {
        /// The names under which this guard may be asked for (`Host`), besides its
        /// address. Each is written out: `"*"` is refused.
        hosts: Vec<At<String>> = r#"["guard.example:8443"]"#,
        /// The web pages that may ask (`Origin`). Each is written out: `"*"` is refused.
        origins: Vec<At<String>> = r#"["https://app.example"]"#,
    }
}

table! {
    /// What holds the servers that are processes of this machine: each sees its roots and the
    /// programs that it needs, has no network, and may use so much. Read when a guard starts. What
    /// the command line says goes before it.
    SandboxTable {
        /// `native`, which is namespaces, control groups, Landlock and seccomp of this kernel;
        /// `podman` or `docker`, which is a container; `seatbelt`, on macOS; or `none`, which leaves
        /// the server everything that its user may do.
        backend: Backend = r#""native""#,
        /// The image of a container, with its digest. It must be there: none is fetched. What it
        /// says of itself, its variables, user, volumes, entry point and labels, changes nothing.
        /// Without, a container has the programs of this machine, read only.
        image: String = r#""docker.io/library/node@sha256:0000000000000000000000000000000000000000000000000000000000000000""#,
        /// More places that programs are executed from, whole paths. They are read only.
        programs: Vec<At<String>> = r#"["/opt/tools"]"#,
        /// Whom a server may reach: names, names below a name (`*.`), addresses. Without a port it is
        /// 443. An address behind `=` is the name's, in place of what it resolves to, and may be one
        /// of a private network. `["none"]` is nobody, which holds where this is not said.
        net: Vec<At<String>> = r#"["api.example.com", "*.example.com:8443", "db.internal:5432=10.0.0.5"]"#,
        /// Memory of all processes of a server together, in bytes.
        memory_bytes: usize = "1073741824",
        /// Processor time, in hundredths of one processor. Without, all there is.
        cpu_percent: usize = "200",
        /// Processes and threads.
        pids: usize = "256",
        /// How long a server may run, in seconds. Without, for ever.
        time_s: usize = "3600",
        /// Descriptors that one process may have open.
        open_files: usize = "768",
        /// The length of one file, in bytes.
        file_bytes: usize = "1073741824",
        /// What `/tmp`, `/dev/shm` and the private home directory hold, each, in bytes.
        scratch_bytes: usize = "67108864",
        /// Whether a server is ended that lets a call take longer than `call_timeout_s` or
        /// `call_total_s`: with everything that it has started, a second after it was told to stop.
        /// Calls of others that wait for it are answered with an error. It holds as soon as it is
        /// written, and without a sandbox as well.
        kill_overdue: bool = "false",
        /// Guarantees without which a server is started all the same where this machine cannot
        /// enforce them: `files`, `processes`, `end`, `memory`, `pids` or `cpu`. Without its name
        /// here, it is not.
        allow_weaker: Vec<At<String>> = r#"["memory"]"#,
    }
}

table! {
    /// How long the files of the ledger become, and how much of them is kept. Read when a guard
    /// starts. What is removed was whole until then, and `stockade audit verify` says from which
    /// record on the ledger goes; what somebody has changed is never removed.
    LedgerTable {
        /// A segment, which is one file, is closed when it has so many bytes, and the next begins.
        segment_bytes_max: usize = "67108864",
        /// And when it is so old, in seconds, if there is anything in it.
        segment_age_s: usize = "86400",
        /// Of the closed segments the newest are kept, up to so many bytes in all. Without, all.
        keep_bytes: usize = "1073741824",
        /// Of the closed segments those are kept that were closed no more than so many days ago.
        /// Without, all.
        keep_days: usize = "90",
    }
}

table! {
    /// Who may call which tools with what. Of the rules that match a call the strictest decides:
    /// deny before ask before allow, whatever their order. Where none matches, `default` does.
    ///
    /// The words of an allow are read narrowly: the whole text must fit, and every text in a list.
    /// Those of an ask or a deny are read widely: anything that fits is enough, at any depth, and
    /// names in upper or lower case. A name that reads as one that they are about is denied: with
    /// white space around it, characters that nobody sees, or letters that look like others. Of
    /// arguments that holds for those with a name, not in a JSON pointer or in `when`.
    Tool {
        /// `allow`, `ask` or `deny`. What is denied by name alone is not listed either.
        effect: Effect = r#""ask""#,
        /// What it goes by where it has decided: `tools.NAME`, in refusals, records and tests. Without,
        /// it is called by its place, `tools[0]`.
        name: String = r#""writes""#,
        /// Whether it decides in shadow: what it would have asked or denied is written down, and the
        /// other rules decide. An allow cannot.
        shadow: bool = "true",
        /// The tools, as globs. `"*"` is any.
        tool: OneOrMany = r#"["write_*", "move_file"]"#,
        /// The servers, as globs. Any, where it is not said.
        server: OneOrMany = r#""files*""#,
        /// What must be so with the arguments, by their names, or by JSON pointers (`"/a/b"`).
        /// Everything in it must be so.
        args: Named<Argument> = r#"{ path = { in_roots = true } }"#,
        /// What else must be so, in CEL, of `tool`, `server`, `args`, `client` and `principal`.
        /// An expression that fails is a deny, whatever the effect is. `client` is what the client
        /// calls itself, which anybody can: it may close something, and opens nothing. A call is
        /// decided for that name and for none (`""`), and the stricter of the two holds.
        when: String = r#""size(args.text) < 4096""#,
    }
}

table! {
    /// What the arguments of some tools are and may be. What each is, is otherwise inferred from its
    /// schema, name and description, and the record of a call says what it was taken for and why. Of
    /// several entries about a tool the strictest holds, whatever their order; names are read in
    /// upper or lower case.
    Input {
        /// The tools, as globs. `"*"` is any.
        tool: OneOrMany = r#"["run_query", "report_*"]"#,
        /// The servers, as globs. Any, where it is not said.
        server: OneOrMany = r#""db*""#,
        /// What an argument is, by its name, at any depth: `path`, `url`, `upstream` (a URL that
        /// selects whom a server talks to), `sql`, `command` (a command line), `words` (of one),
        /// `word` (one of them: a branch, a host), `email`, `secret`, several of these, or `plain`.
        kinds: Named<OneOrMany> = r#"{ filter = "sql", target = ["path", "url"], note = "plain" }"#,
        /// What statements it may be given: `read`, those that only read; `write`, one at a time that
        /// stays in its database; or `any`. Without, `read` for a tool that says that it reads, and
        /// `write` for others.
        sql: Sql = r#""read""#,
        /// Whose SQL: `sqlite`, `postgres`, `mysql`, `duckdb`, or `unknown`, where a statement must
        /// mean the same to all. Without, what its name or its description says.
        dialect: Dialect = r#""sqlite""#,
        /// What command lines it may be given: `read`, those of known programs, with options that
        /// only read; `plain`, those that need no shell and start one program; or `any`.
        commands: Commands = r#""plain""#,
        /// Whether arguments that the schema does not name are refused, also where it is open.
        strict: bool = "true",
    }
}

table! {
    /// What must be so with an argument. Everything in it must be so.
    Argument {
        /// It is there, or it is not.
        present: bool = "true",
        /// It is a path inside the roots, or it is not.
        in_roots: bool = "true",
        /// It fits a regular expression: the whole of it in an allow, any part in an ask or a deny.
        matches: String = r#""[a-z]+""#,
        /// It starts with this text. For paths `in_roots` is right: this does not know `..`.
        prefix: String = r#""https://docs.example/""#,
        /// It is this text, number or truth value.
        equals: Value = r#""fast""#,
        /// It is one of these.
        one_of: Vec<At<Value>> = r#"["fast", "slow"]"#,
    }
}

table! {
    /// A server: a command that is started, or a URL that is asked.
    ServerTable {
        /// The program and its arguments.
        command: Vec<At<String>> = r#"["mcp-files", "--read-only"]"#,
        /// The address of a remote server.
        url: String = r#""https://mcp.example/mcp""#,
        /// Variables of its environment.
        env: Named<String> = r#"{ LANG = "C.UTF-8" }"#,
        /// Its roots, in place of those for all servers.
        roots: Vec<At<String>> = r#"["/srv/docs"]"#,
        /// Where roots of its client count, in place of what holds for all servers.
        client_roots: Vec<At<String>> = r#"["/srv/docs"]"#,
        /// What holds it, key by key in place of `[sandbox]`.
        sandbox: SandboxTable = "",
        /// The same as `[[tools]]`, for this server alone.
        tools: Vec<At<Tool>> = "",
        /// The same as `[[arguments]]`, for this server alone.
        arguments: Vec<At<Input>> = "",
        /// Hosts that URLs in its arguments may name, besides those for all servers.
        hosts: Vec<At<String>> = r#"["localhost:3000"]"#,
    }
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with its form.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader::default();
        for error in errors {
            let span = error.span().unwrap_or_default();
            reader.wrong(span, "this is not TOML".to_owned(), error.message());
        }
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        let span = table.span();
        let root = Spanned::new(span, DeValue::Table(table.into_inner()));
        let file = Self::read(&root, &mut reader);
        file.filter(|_| reader.problems.is_empty()).ok_or(reader.problems)
    }
}
