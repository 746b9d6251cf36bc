//! Every attack that `servers/vulnerable` is open to, four times: at that server alone, with the rules
//! in front of it, in the sandbox without a rule, and at `servers/hardened` with nothing around it.
//! What came of each is judged from outside: by what the client was told, and by what is there
//! afterwards. `docs/attacks/table.md` has it, and is compared with what happens here;
//! `UPDATE=1 cargo test -p stockade --test attacks` writes it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

mod list;
mod world;

use std::fmt;
use std::path::Path;

use self::list::{Attack, attacks, honest};
use self::world::{Around, World};

/// What came of an attack.
#[derive(PartialEq, Eq)]
enum Came {
    Through,
    /// It arrived, between marks that say what it is.
    Marked(String),
    /// By a rule, where one stands in between.
    Stopped(Option<String>),
}

impl fmt::Display for Came {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Through => out.write_str("passes"),
            Self::Marked(rule) => write!(out, "**marked**: `{rule}`"),
            Self::Stopped(Some(rule)) => write!(out, "**stopped**: `{rule}`"),
            Self::Stopped(None) => out.write_str("**stopped**"),
        }
    }
}

const HEAD: &str = "\
# What stops what

`servers/vulnerable` makes every mistake on purpose. Below is each attack that it is open to, with the
rules alone (`run --sandbox none`, no policy written), and with the sandbox alone (`sandbox --root
PROJECT:rw`, no rule). Without either all of them pass; `servers/hardened`, which has the same tools,
resists them with nothing around it. *Marked* is a text that reaches the model between marks that say
that it is no instruction. Each attack is played by
[attacks](../../crates/stockade/tests/attacks/main.rs), which compares this page with what came of it.

| attack | the rules alone | the sandbox alone |
|---|---|---|
";

const TAIL: &str = "
The two are made to be used together: the rules read what is said and may be wrong about what a server
makes of it; the sandbox does not know what is said, and holds whatever it is.
";

#[test]
fn each_attack_comes_to_what_the_table_says() {
    let mut page = HEAD.to_owned();
    let (mut open, mut wrong) = (Vec::new(), Vec::new());
    for attack in attacks() {
        let name = attack.name;
        if come_of(&attack, Around::Nothing) != Came::Through {
            wrong.push(format!("{name}: it does not work at all"));
        }
        if come_of(&attack, Around::Hardened) == Came::Through {
            wrong.push(format!("{name}: servers/hardened falls for it"));
        }
        let rules = come_of(&attack, Around::Rules);
        if rules == Came::Through {
            open.push(name);
        }
        let sandbox = come_of(&attack, Around::Sandbox);
        page.push_str(&format!("| {name} | {rules} | {sandbox} |\n"));
    }
    page.push_str(TAIL);
    assert!(wrong.is_empty(), "{wrong:#?}\n{page}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/attacks/table.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "`UPDATE=1` writes it anew");
    assert_eq!(open, list::OPEN, "what the rules let pass is known");
}

#[test]
fn honest_calls_pass_everywhere() {
    for around in [Around::Nothing, Around::Rules, Around::Sandbox, Around::Both, Around::Hardened]
    {
        for (tool, arguments, holds) in honest() {
            let world = World::new();
            let call = ("tools/call", serde_json::json!({ "name": tool, "arguments": arguments }));
            let answers = world.play(around, &[call]);
            let answer = answers.last().unwrap();
            let fails = answer["result"]["isError"] == true || answer.get("error").is_some();
            assert!(!fails && answer.to_string().contains(holds), "{tool}, {around:?}: {answer}");
        }
    }
}

fn come_of(attack: &Attack, around: Around) -> Came {
    let world = World::new();
    let answers = world.play(around, &(attack.asks)(&world));
    let rule = world.rule(attack.about);
    match ((attack.through)(&world, &answers), rule) {
        (true, Some(rule)) if attack.is_text && rule.mended => Came::Marked(rule.name),
        (true, _) => Came::Through,
        (false, rule) => Came::Stopped(rule.map(|it| it.name)),
    }
}
