//! An answer as it was, held against what it is. What is another each time is held against a matcher
//! and is then the same; what is a secret is in no snapshot.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use serde_json_path::NormalizedPath;
use similar::TextDiff;
use stockade_core::check::{escaped, redacted_value};

use super::expect::shown;
use super::file::{Matcher, Matchers, Query};

/// So many lines of a difference are shown.
const LINES_MAX: usize = 60;

/// What may be another each time, of a file and of a step.
pub(super) type Both<'a> = [&'a Matchers; 2];

/// An answer, as a snapshot has it; and what of it is not what its matcher wants.
pub(super) fn taken(answer: &Value, matchers: Both<'_>) -> (Value, Vec<String>) {
    let mut taken = plain(answer);
    let mut wrong = Vec::new();
    for (query, matcher) in matchers.into_iter().flat_map(|it| &it.0) {
        for (place, path) in places(query, &taken) {
            let Some(value) = taken.pointer_mut(&place) else { continue };
            match fits(matcher, value) {
                true => *value = instead(matcher).into(),
                false => wrong.push(format!("{path} is {}, and no {matcher}", shown(value))),
            }
        }
    }
    (taken, wrong)
}

/// An answer without secrets, and without what every result of 2026-07-28 has that is whole: a file can
/// be played in both eras.
fn plain(answer: &Value) -> Value {
    let mut plain = redacted_value(answer);
    if let Some(members) = plain.as_object_mut()
        && members.get("resultType") == Some(&Value::from("complete"))
    {
        members.remove("resultType");
    }
    plain
}

/// As it is written into a file.
pub(super) fn written(taken: &Value) -> String {
    format!("{taken:#}\n")
}

/// How an answer differs from a snapshot, in lines; nothing, if it does not.
pub(super) fn differs(snapshot: &str, taken: &Value, matchers: Both<'_>) -> Result<(), String> {
    let was: Value = serde_json::from_str(snapshot)
        .map_err(|it| format!("the snapshot is no JSON, which `--update` writes: {it}"))?;
    let mut was = plain(&was);
    for (query, matcher) in matchers.into_iter().flat_map(|it| &it.0) {
        for (place, _) in places(query, &was) {
            if let Some(value) = was.pointer_mut(&place) {
                *value = instead(matcher).into();
            }
        }
    }
    if super::expect::same(&was, taken) {
        return Ok(());
    }
    let (was, is) = (written(&was), written(taken));
    let diff = TextDiff::from_lines(&was, &is);
    let diff = diff.unified_diff().context_radius(2).to_string();
    let lines: Vec<&str> = diff.lines().collect();
    let mut told: Vec<String> = lines.iter().take(LINES_MAX).map(|it| escaped(it)).collect();
    if lines.len() > LINES_MAX {
        told.push(format!("… and {} lines more", lines.len() - LINES_MAX));
    }
    Err(format!("the answer is not as it was (-), but another (+)\n{}", told.join("\n")))
}

/// Where a path leads, as JSON pointers and as paths.
fn places(query: &Query, value: &Value) -> Vec<(String, String)> {
    let found = query.path().query_located(value);
    let both = |path: &NormalizedPath<'_>| (path.to_json_pointer(), path.to_string());
    found.locations().map(both).collect()
}

fn instead(matcher: &Matcher) -> String {
    format!("[{matcher}]")
}

fn fits(matcher: &Matcher, value: &Value) -> bool {
    let text = |regex: &Regex| value.as_str().is_some_and(|it| regex.is_match(it));
    match matcher {
        Matcher::Any => true,
        Matcher::Text => value.is_string(),
        Matcher::Number => value.is_number(),
        Matcher::Truth => value.is_boolean(),
        Matcher::Timestamp => text(&TIMESTAMP),
        Matcher::Uuid => text(&UUID),
        Matcher::Matches(pattern) => text(&pattern.0),
    }
}

/// Whether a text is a time or an id that nobody makes twice, and which.
pub(super) fn volatile(text: &str) -> Option<Matcher> {
    if TIMESTAMP.is_match(text) {
        return Some(Matcher::Timestamp);
    }
    UUID.is_match(text).then_some(Matcher::Uuid)
}

static TIMESTAMP: LazyLock<Regex> =
    LazyLock::new(|| of(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?$"));

static UUID: LazyLock<Regex> =
    LazyLock::new(|| of(r"^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"));

#[expect(clippy::expect_used, reason = "an expression that is written here, and tested below")]
fn of(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a regular expression")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matchers(all: &[(&str, &str)]) -> Matchers {
        let each = all.iter().map(|(path, it)| (path.parse().unwrap(), it.parse().unwrap()));
        Matchers(each.collect())
    }

    #[test]
    fn what_is_another_each_time_is_the_same() {
        let none = Matchers::default();
        let some = matchers(&[
            ("$.at", "timestamp"),
            ("$.rows[*].id", "uuid"),
            ("$.took", "number"),
            ("$.says", "/^took [0-9]+ ms$/"),
        ]);
        let of = |at: &str, id: &str, took: u64| {
            json!({ "at": at, "rows": [{ "id": id, "name": "Ada" }], "took": took,
                "says": format!("took {took} ms") })
        };
        let was = of("2026-11-30T12:00:00Z", "6f1ed002-ab5d-4b1e-9d2f-2b7f7a9c0001", 3);
        let is = of("2026-12-01T00:00:00.5+01:00", "00000000-ab5d-4b1e-9d2f-2b7f7a9c0001", 70);
        let (snapshot, wrong) = taken(&was, [&none, &some]);
        assert_eq!(wrong, [""; 0]);
        assert_eq!(snapshot["at"], "[timestamp]");
        let (taken_now, wrong) = taken(&is, [&none, &some]);
        assert_eq!(wrong, [""; 0]);
        assert_eq!(differs(&written(&snapshot), &taken_now, [&none, &some]), Ok(()));
        // As it came once is as good as it is written.
        assert_eq!(differs(&was.to_string(), &taken_now, [&none, &some]), Ok(()));
        let (other, wrong) = taken(&json!({ "at": "yesterday" }), [&none, &some]);
        assert_eq!(wrong, [r#"$['at'] is "yesterday", and no timestamp"#]);
        assert!(differs(&was.to_string(), &other, [&none, &some]).is_err());
    }

    #[test]
    fn a_secret_is_in_no_snapshot() {
        let key = ["gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
        let (taken, _) = taken(
            &json!({ "token": key, "list": [format!("the key is {key}")] }),
            [&Matchers::default(), &Matchers::default()],
        );
        assert!(!written(&taken).contains("16C7e42F"), "{taken}");
    }
}
