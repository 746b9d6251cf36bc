//! The controls: what `docs/controls.md` says holds, each shown from outside of the built binary.
//!
//! A client made for the purpose ([`harness::probe`], [`harness::http`]) and a server made for the
//! purpose ([`harness::fake`], [`harness::fake_http`]) stand on the two sides of `stockade run` or
//! `stockade serve`; what each of them got, what the ledger says, and how the process ended is all
//! that is looked at. The servers and clients that have to be processes are this very binary, so it
//! has a main of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these are tests, which clippy.toml sees only inside of `#[test]`"
)]

mod alerts;
mod approvals;
mod approvals_answers;
mod approvals_grants;
mod approvals_http;
mod approvals_servers;
mod arguments;
mod attacked;
mod call;
mod call_ends;
mod channels;
mod client_roots;
mod containers;
mod corpora;
mod docker;
mod doctor;
mod elicitation;
mod elicited;
mod export;
mod floods;
mod flows;
mod front_door;
mod harness;
mod injection;
mod input;
mod inspect;
mod inspect_door;
mod inspect_seen;
mod kinds;
mod launch;
mod ledger;
mod limits;
mod lock;
mod lock_starts;
mod metrics;
mod network;
mod output;
mod own;
mod page;
mod policies;
mod processes;
mod protocol;
mod quotas;
mod relisted;
mod results;
mod risk;
mod roots;
mod sampling;
mod sandbox;
mod scan;
mod scopes;
mod secrets;
mod sources;
mod testing;
mod testing_diff;
mod testing_fuzz;
mod testing_mock;
mod testing_record;
mod timeouts;
mod touched;
mod traces;
mod webhook;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A claim, by the name that `docs/controls.md` has for it, and what shows it.
type Row = (&'static str, fn());

/// Names each row after its function.
macro_rules! rows {
    ($($name:ident,)*) => {
        /// The rows of this family.
        pub(crate) const ROWS: &[crate::Row] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use rows;

const FAMILIES: &[(&str, &[Row])] = &[
    ("approvals", approvals::ROWS),
    ("approvals", approvals_grants::ROWS),
    ("approvals", approvals_servers::ROWS),
    ("webhook", webhook::ROWS),
    ("alerts", alerts::ROWS),
    ("export", export::ROWS),
    ("metrics", metrics::ROWS),
    ("traces", traces::ROWS),
    ("approvals_http", approvals_http::ROWS),
    ("approvals_http", approvals_answers::ROWS),
    ("elicited", elicited::ROWS),
    ("page", page::ROWS),
    ("risk", risk::ROWS),
    ("sampling", sampling::ROWS),
    ("elicitation", elicitation::ROWS),
    ("containers", containers::ROWS),
    ("docker", docker::ROWS),
    ("protocol", protocol::ROWS),
    ("floods", floods::ROWS),
    ("front_door", front_door::ROWS),
    ("injection", injection::ROWS),
    ("input", input::ROWS),
    ("arguments", arguments::ROWS),
    ("attacked", attacked::ROWS),
    ("kinds", kinds::ROWS),
    ("corpora", corpora::ROWS),
    ("output", output::ROWS),
    ("ledger", ledger::ROWS),
    ("policies", policies::ROWS),
    ("processes", processes::ROWS),
    ("launch", launch::ROWS),
    ("relisted", relisted::ROWS),
    ("network", network::ROWS),
    ("roots", roots::ROWS),
    ("client_roots", client_roots::ROWS),
    ("own", own::ROWS),
    ("sandbox", sandbox::ROWS),
    ("limits", limits::ROWS),
    ("lock", lock::ROWS),
    ("lock", lock_starts::ROWS),
    ("quotas", quotas::ROWS),
    ("timeouts", timeouts::ROWS),
    ("flows", flows::ROWS),
    ("scopes", scopes::ROWS),
    ("secrets", secrets::ROWS),
    ("results", results::ROWS),
    ("channels", channels::ROWS),
    ("doctor", doctor::ROWS),
    ("touched", touched::ROWS),
    ("call", call::ROWS),
    ("call", call_ends::ROWS),
    ("testing", testing::ROWS),
    ("testing", testing_record::ROWS),
    ("testing", testing_diff::ROWS),
    ("testing", testing_fuzz::ROWS),
    ("testing", testing_mock::ROWS),
    ("inspect", inspect::ROWS),
    ("inspect", inspect_door::ROWS),
    ("inspect", inspect_seen::ROWS),
    ("scan", scan::ROWS),
    ("sources", sources::ROWS),
];

fn main() -> ExitCode {
    if let Some(code) = harness::play_a_part() {
        return code;
    }
    let rows = FAMILIES.iter().flat_map(|(family, rows)| {
        rows.iter().map(move |(name, row)| {
            Trial::test(format!("{family}::{name}"), move || {
                row();
                Ok(())
            })
        })
    });
    let mut trials: Vec<Trial> = rows.collect();
    trials.push(Trial::test("the_page_names_the_rows", || {
        the_page_names_the_rows();
        Ok(())
    }));
    let mut arguments = Arguments::from_args();
    if arguments.test_threads.is_none() {
        // Most of a test is waiting: for a time to be over, or for what is not to happen.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        arguments.test_threads = Some(2 * cores);
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// `docs/controls.md` claims what a test here shows, and leaves out none of them.
fn the_page_names_the_rows() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/controls.md");
    let page = std::fs::read_to_string(page).expect("docs/controls.md");
    let named: Vec<&str> = page
        .split('`')
        .filter(|it| FAMILIES.iter().any(|(family, _)| it.starts_with(&format!("{family}::"))))
        .collect();
    let rows: Vec<String> = FAMILIES
        .iter()
        .flat_map(|(family, rows)| rows.iter().map(move |(name, _)| format!("{family}::{name}")))
        .collect();
    for name in &named {
        assert!(rows.iter().any(|it| it == name), "the page names `{name}`, which is no test");
    }
    for row in &rows {
        assert!(named.contains(&row.as_str()), "the page does not name `{row}`");
    }
}
