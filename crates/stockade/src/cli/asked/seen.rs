//! What the records of a request say of it. Its answer is somebody else's words; these are the
//! guard's.

use stockade_core::record::{Kind, Noted, Record, Status};

/// The rule by which a result is held against its tool's `outputSchema`.
const OUTPUT_SCHEMA: &str = "output_schema";

/// What was written down of a request.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Seen<'a> {
    pub(in crate::cli) records: &'a [Record],
    pub(in crate::cli) method: &'a str,
}

impl<'a> Seen<'a> {
    /// What rules have found, in the request and in its answer.
    pub(in crate::cli) fn findings(self) -> impl Iterator<Item = &'a Noted> {
        self.records.iter().flat_map(|it| &it.findings)
    }

    /// Whether its result does not match what the server says of the tool.
    pub(in crate::cli) fn is_of_another_schema(self) -> bool {
        self.findings().any(|it| it.rule == OUTPUT_SCHEMA)
    }

    /// It took too long.
    pub(in crate::cli) fn overdue(self) -> Option<&'a Record> {
        self.own().find(|it| matches!(it.status, Some(Status::Timeout)))
    }

    /// It was never answered.
    pub(in crate::cli) fn lost(self) -> Option<&'a Record> {
        self.own().find(|it| matches!(it.status, Some(Status::Lost)))
    }

    /// What was answered breaks the protocol. Where nothing came in time, what can be nobody's answer
    /// may have been meant for this.
    pub(in crate::cli) fn broken(self) -> Option<&'a Record> {
        let refused = |it: &Record| it.status == Some(Status::Refused) && it.decision.is_none();
        let broken = |it: &&Record| it.kind == Kind::Violation && it.from == Some("server");
        let own = self.own().find(broken).filter(|_| self.own().any(refused));
        own.or_else(|| self.overdue().and_then(|_| self.records.iter().find(broken)))
    }

    /// The policy does not let it pass.
    pub(in crate::cli) fn denied(self) -> Option<&'a Record> {
        self.own().find(|it| is_denied(it))
    }

    fn own(self) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |it| it.method == self.method)
    }
}

fn is_denied(record: &Record) -> bool {
    let denied = record.kind == Kind::Decision && matches!(record.decision, Some("deny" | "ask"));
    (denied || record.status == Some(Status::Refused)) && record.approver.is_none()
}
