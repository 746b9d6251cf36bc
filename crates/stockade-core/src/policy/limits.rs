//! How much of everything: one struct, each limit with its default, its bounds and its words in one
//! place. Whoever enforces a limit reads it from here; the reference of the policy file is made
//! from here.

use std::time::Duration;

use crate::json;

/// A limit as the policy file and its reference know it.
#[derive(Debug)]
pub struct Limit {
    /// Its key under `[limits]`.
    pub name: &'static str,
    /// What it bounds, in sentences.
    pub words: &'static str,
    /// What holds where nothing is said.
    pub default: usize,
    /// The least that may be said. Zero would be "nothing", not "no limit".
    pub least: usize,
    /// The most that may be said.
    pub most: usize,
    set: fn(&mut Limits, usize),
    value: fn(&Limits) -> usize,
}

macro_rules! limits {
    ($($(#[doc = $words:literal])+ $name:ident = $default:expr, $least:literal to $most:expr;)+) => {
        /// What a conversation may cost.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $words])+ pub $name: usize,)+
        }

        impl Limits {
            /// Every limit.
            pub const ALL: &[Limit] = &[$(Limit {
                name: stringify!($name),
                words: concat!($($words, "\n"),+),
                default: $default,
                least: $least,
                most: $most,
                set: |it, to| it.$name = to,
                value: |it| it.$name,
            }),+];
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }
    };
}

limits! {
    /// The length of one message, in bytes.
    message_bytes_max = 16 << 20, 1024 to 1 << 30;
    /// How deep arrays and objects may nest in a message. The parser itself stops at 127.
    depth_max = 64, 4 to 127;
    /// How many values and names there may be in a message.
    nodes_max = 500_000, 64 to 10_000_000;
    /// The longest text that may pass in one piece, in bytes.
    text_bytes_max = 1 << 20, 256 to 1 << 30;
    /// How many tool calls a key may make in a minute, over all its sessions. `run` has one session.
    calls_per_minute = 600, 1 to 1_000_000;
    /// How many calls it may make at once after it has been quiet.
    calls_burst = 60, 1 to 100_000;
    /// How many calls of one tool a session may make in a minute.
    calls_per_minute_per_tool = 300, 1 to 1_000_000;
    /// How many calls of a session may be under way.
    calls_in_flight_max = 32, 1 to 100_000;
    /// How often a key may make the same call of a tool, with the same arguments, in the time below: what
    /// comes again and again is a loop.
    same_call_max = 30, 1 to 1_000_000;
    /// In what time, in seconds.
    same_call_window_s = 60, 1 to 86_400;
    /// How long a call may be silent, in seconds: an answer or progress starts it again.
    call_timeout_s = 120, 1 to 86_400;
    /// How long a call may take in all, whatever progress it reports, in seconds.
    call_total_s = 600, 1 to 604_800;
    /// How long what was read in another conversation counts for `toxic_flow`, in seconds.
    flow_window_s = 1800, 1 to 604_800;
    /// How long a call may wait for a person, in seconds. Then it is denied.
    approval_timeout_s = 300, 1 to 86_400;
    /// How many calls may wait for a person, of all that one guard has; behind `serve`, a key may have
    /// no more than an even share of them. They are not under way meanwhile.
    approvals_max = 100, 1 to 100_000;
    /// How long a message may be that a person is asked about, in bytes: nobody reads more.
    approval_bytes_max = 64 << 10, 256 to 1 << 24;
    /// How many sessions there may be.
    sessions_max = 256, 1 to 1_000_000;
    /// The size of all headers of one HTTP request, in bytes.
    header_bytes_max = 16 << 10, 1024 to 1 << 20;
    /// How long a client may take to send the headers of an HTTP request, and how long its body, in
    /// seconds.
    request_read_s = 30, 1 to 3600;
    /// How much of one line of a server's standard error is kept, in bytes.
    stderr_line_bytes_max = 8 << 10, 80 to 1 << 20;
}

impl Limit {
    /// Whether `value` may be said.
    pub fn admits(&self, value: usize) -> bool {
        (self.least..=self.most).contains(&value)
    }

    /// Says it.
    pub fn set(&self, limits: &mut Limits, to: usize) {
        (self.set)(limits, to);
    }

    /// What it is in `limits`.
    pub fn value(&self, limits: &Limits) -> usize {
        (self.value)(limits)
    }
}

impl Limits {
    /// The limit that goes by `name`.
    pub fn named(name: &str) -> Option<&'static Limit> {
        Self::ALL.iter().find(|it| it.name == name)
    }

    /// What reading one message may cost.
    pub fn json(&self) -> json::Limits {
        json::Limits {
            bytes_max: self.message_bytes_max,
            depth_max: self.depth_max,
            nodes_max: self.nodes_max,
        }
    }

    /// How long a call may be silent.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_secs(self.call_timeout_s as u64)
    }

    /// How long a call may take in all.
    pub fn call_total(&self) -> Duration {
        Duration::from_secs(self.call_total_s as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_within_its_bounds_and_can_be_said() {
        let mut limits = Limits::default();
        for limit in Limits::ALL {
            assert!(limit.admits(limit.default), "{}", limit.name);
            assert!(!limit.admits(0), "{}", limit.name);
            limit.set(&mut limits, limit.least);
            assert_eq!(limit.value(&limits), limit.least);
        }
    }

    #[test]
    fn a_message_is_read_within_the_limits_that_the_reader_has_by_itself() {
        assert_eq!(Limits::default().json(), json::Limits::default());
    }
}
