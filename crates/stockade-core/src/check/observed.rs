//! What a tool was seen to do, held against what its server says that it does not.

use super::OBSERVED;
use crate::catalog::Claims;
use crate::finding::{Finding, Place};
use crate::record::Touched;

/// At most this many things are named in one finding. The record has all that were kept.
const NAMED_MAX: usize = 3;

/// What was touched that is not as claimed. `claims` are those of every call that it may be of.
pub(crate) fn observed(claims: Claims, touched: &Touched) -> Vec<Finding> {
    let mut found = Vec::new();
    if claims.writes_nothing && !touched.written.is_empty() {
        found.push(finding("says that it only reads, and wrote", &touched.written));
    }
    if claims.writes_nothing && touched.unseen > 0 {
        let says = "says that it only reads, and calls that may have written could not be looked \
                    into:";
        found.push(finding(says, &[touched.unseen.to_string()]));
    }
    let tried = || touched.refused.iter().filter(|it| it.starts_with(REACH));
    let reached: Vec<String> = touched.reached.iter().chain(tried()).cloned().collect();
    if claims.reaches_nobody && !reached.is_empty() {
        found.push(finding("says that it reaches nobody, and tried to reach", &reached));
    }
    found
}

/// How what was refused begins, if it is an address that was to be reached.
const REACH: &str = "connect ";

fn finding(says: &str, what: &[String]) -> Finding {
    let named = what.iter().take(NAMED_MAX).map(|it| it.strip_prefix(REACH).unwrap_or(it));
    let more = match what.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let says = super::redacted(&format!("{says} {}{more}", super::listed(named))).into_owned();
    let place = Place::Value(String::new());
    let (severity, confidence) = (OBSERVED.severity, None);
    Finding {
        rule: &OBSERVED,
        severity,
        confidence,
        place,
        says,
        told: false,
        mend: None,
        number: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READS: Claims = Claims { writes_nothing: true, reaches_nobody: true };

    fn says(claims: Claims, touched: &Touched) -> Vec<String> {
        observed(claims, touched).into_iter().map(|it| it.says).collect()
    }

    #[test]
    fn what_is_as_claimed_or_unclaimed_is_quiet() {
        let wrote = Touched { written: vec!["/root/a".into()], ..Touched::default() };
        let reached = Touched { reached: vec!["192.0.2.1:80".into()], ..Touched::default() };
        assert!(observed(Claims::default(), &wrote).is_empty());
        assert!(observed(Claims::default(), &reached).is_empty());
        let harmless = Touched {
            read: vec!["/root/a".into()],
            executed: vec!["/usr/bin/git".into()],
            own: vec!["127.0.0.1:1".into()],
            used: vec!["/tmp".into()],
            refused: vec!["read /etc/shadow".into(), "write /usr/x".into()],
            ..Touched::default()
        };
        assert!(observed(READS, &harmless).is_empty());
    }

    #[test]
    fn what_is_not_as_claimed_is_named() {
        let wrote = |count: usize| Touched {
            written: (0..count).map(|it| format!("/root/{it}")).collect(),
            ..Touched::default()
        };
        assert_eq!(says(READS, &wrote(1)), ["says that it only reads, and wrote /root/0"]);
        let many = "says that it only reads, and wrote /root/0, /root/1, /root/2 and 2 more";
        assert_eq!(says(READS, &wrote(5)), [many]);
        let odd = Touched {
            written: vec!["/root/a, and /root/b".into(), "/root/\"; x".into()],
            ..Touched::default()
        };
        let expected =
            r#"says that it only reads, and wrote "/root/a, and /root/b", "/root/\"; x""#;
        assert_eq!(says(READS, &odd), [expected]);
        let tried = Touched { refused: vec!["connect 192.0.2.1:80".into()], ..Touched::default() };
        let expected = "says that it reaches nobody, and tried to reach 192.0.2.1:80";
        assert_eq!(says(READS, &tried), [expected]);
        let unseen = Touched { unseen: 2, ..Touched::default() };
        let expected_of_unseen = "says that it only reads, and calls that may have written could \
                                  not be looked into: 2";
        assert_eq!(says(READS, &unseen), [expected_of_unseen]);
        assert!(observed(Claims::default(), &unseen).is_empty());
        let closed = Claims { writes_nothing: false, reaches_nobody: true };
        assert_eq!(says(closed, &tried), [expected]);
    }
}
