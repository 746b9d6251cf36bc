//! Any text as SQL. What passes where the dialect is not known passes in each that it is SQL of,
//! and is what came in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_kit::query::{Dialect, Query, Refusal};

fuzz_target!(|text: &str| {
    let known = [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql, Dialect::DuckDb];
    let any = Query::parse(Dialect::Unknown, text);
    let is_cleared = match any.clone().and_then(Query::read_only) {
        Ok(cleared) => {
            assert_eq!(cleared.sql(), text);
            assert_eq!(cleared.query().writes().next(), None);
            true
        }
        Err(_) => false,
    };
    for dialect in known {
        let Ok(query) = Query::parse(dialect, text) else { continue };
        let kind = query.kind();
        match query.read_only() {
            Ok(cleared) => assert_eq!(cleared.query().writes().next(), None),
            // Each has functions that the others have not.
            Err(Refusal::Function(_)) => {}
            Err(why) => assert!(!is_cleared, "{dialect:?} {kind:?}: {why}"),
        }
    }
});
