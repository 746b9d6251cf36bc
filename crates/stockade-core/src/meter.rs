//! How much a client may do: calls a minute, calls of one tool a minute, calls at a time.
//!
//! The generic cell rate algorithm is `governor`'s; what it takes for the time is what the session
//! was told.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::policy::{Limits, Reason};

type Limiter = RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Duration>>;

/// So many tools are counted one by one. A client that makes up names is counted by all its calls.
const TOOLS_MAX: usize = 1024;

/// Counts what one client does. Shared by all conversations that one limit holds for.
#[derive(Debug, Default)]
pub struct Meter {
    now: Told,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    limits: Limits,
    calls: Option<Limiter>,
    tools: HashMap<Box<str>, Limiter>,
    in_flight: usize,
}

/// A call that is under way. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Meter>);

impl Meter {
    /// Counts a call of `tool` at `now_ms`, or says why there may be none.
    pub(crate) fn call(
        self: &Arc<Self>,
        tool: &str,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<Slot, Reason> {
        self.now.0.store(now_ms, Ordering::Relaxed);
        let mut counts = self.counts();
        if counts.limits != *limits {
            let in_flight = counts.in_flight;
            *counts = Counts { limits: *limits, in_flight, ..Counts::default() };
        }
        if counts.in_flight >= limits.calls_in_flight_max {
            return Err(reason("calls_in_flight_max", limits.calls_in_flight_max, None));
        }
        let all = || limiter(limits.calls_per_minute, limits.calls_burst, &self.now);
        wait(counts.calls.get_or_insert_with(all))
            .map_err(|it| reason("calls_per_minute", limits.calls_per_minute, Some(it)))?;
        let per_tool = limits.calls_per_minute_per_tool;
        if counts.tools.len() < TOOLS_MAX || counts.tools.contains_key(tool) {
            let one = || limiter(per_tool, limits.calls_burst.min(per_tool), &self.now);
            wait(counts.tools.entry(tool.into()).or_insert_with(one))
                .map_err(|it| reason("calls_per_minute_per_tool", per_tool, Some(it)))?;
        }
        counts.in_flight += 1;
        Ok(Slot(Arc::clone(self)))
    }

    /// Makes room for a call that was counted already.
    pub(crate) fn resume(self: &Arc<Self>, limits: &Limits) -> Result<Slot, Reason> {
        let mut counts = self.counts();
        if counts.in_flight >= limits.calls_in_flight_max {
            return Err(reason("calls_in_flight_max", limits.calls_in_flight_max, None));
        }
        counts.in_flight += 1;
        Ok(Slot(Arc::clone(self)))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        counts.in_flight = counts.in_flight.saturating_sub(1);
    }
}

/// The time, in milliseconds, as it was last told.
#[derive(Clone, Debug, Default)]
struct Told(Arc<AtomicU64>);

impl Clock for Told {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn limiter(per_minute: usize, burst: usize, now: &Told) -> Limiter {
    let number =
        |it: usize| u32::try_from(it).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_minute(number(per_minute)).allow_burst(number(burst));
    RateLimiter::direct_with_clock(quota, now.clone())
}

/// Counts one, or says how long to wait.
fn wait(limiter: &Limiter) -> Result<(), Duration> {
    limiter.check().map_err(|until| until.wait_time_from(limiter.clock().now()))
}

fn reason(limit: &str, value: usize, retry: Option<Duration>) -> Reason {
    let external = match retry {
        Some(it) => format!("too many calls; try again in {} s", it.as_secs() + 1),
        None => "too many calls at a time; try again when one has ended".to_owned(),
    };
    Reason { rule: format!("limits.{limit}"), external, internal: format!("{limit} = {value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_after_the_last_one_is_refused_until_there_is_room() {
        let limits = Limits {
            calls_per_minute: 60,
            calls_burst: 3,
            calls_per_minute_per_tool: 2,
            calls_in_flight_max: 10,
            ..Limits::default()
        };
        let meter = Arc::new(Meter::default());
        let call = |tool: &str, now_ms| meter.call(tool, &limits, now_ms).map(drop);
        assert!(call("a", 0).is_ok() && call("a", 0).is_ok());
        let refused = call("a", 0).unwrap_err();
        assert_eq!(refused.rule, "limits.calls_per_minute_per_tool");
        let refused = call("b", 0).unwrap_err();
        assert_eq!(refused.rule, "limits.calls_per_minute");
        assert!(refused.external.contains("try again in 1 s") || refused.external.contains("2 s"));
        assert!(call("b", 1_000).is_ok());
        assert!(call("b", 1_000).is_err());
    }

    #[test]
    fn calls_that_have_ended_make_room() {
        let limits = Limits { calls_in_flight_max: 2, ..Limits::default() };
        let meter = Arc::new(Meter::default());
        let first = meter.call("a", &limits, 0).unwrap();
        let _second = meter.call("a", &limits, 0).unwrap();
        let refused = meter.call("a", &limits, 0).unwrap_err();
        assert_eq!(refused.rule, "limits.calls_in_flight_max");
        drop(first);
        assert!(meter.call("a", &limits, 0).is_ok());
    }
}
