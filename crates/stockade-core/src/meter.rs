//! How much a client may do: calls a minute, of one tool or by a quota, calls at a time, the same
//! call again and again.
//!
//! The generic cell rate algorithm is `governor`'s; what it takes for the time is what the session
//! was told. What is counted in hours and days is not counted here: see [`crate::session::Memory`].

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};

use crate::policy::{Limits, Policy, Quota, Reason};
use crate::record::Limited;

type Limiter = RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Duration>>;

/// So many tools are counted one by one. A client that makes up names is counted by all its calls.
const TOOLS_MAX: usize = 1024;
/// So many different calls are counted one by one. Whoever makes more in the time is in no loop.
const SAME_MAX: usize = 4096;
const MINUTE_MS: u64 = 60_000;

/// Counts what one client does. Shared by all conversations that one limit holds for.
#[derive(Debug, Default)]
pub struct Meter {
    now: Told,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    limits: Limits,
    calls: Option<Counted>,
    tools: HashMap<Box<str>, Counted>,
    in_flight: usize,
    /// By what each quota counts.
    quotas: HashMap<Box<str>, OfQuota>,
    /// By the digest of a call: when its time began, and how often it came.
    same: HashMap<[u8; 32], (u64, usize)>,
}

#[derive(Debug, Default)]
struct OfQuota {
    per_minute: usize,
    calls: Option<Counted>,
    in_flight: usize,
}

/// A rate, and how often it was asked in a minute.
#[derive(Debug)]
struct Counted {
    limiter: Limiter,
    since_ms: u64,
    asked: u64,
}

/// A call that somebody wants to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) tool: &'a str,
    /// A digest of its arguments.
    pub(crate) arguments: &'a str,
    pub(crate) policy: &'a Policy,
    pub(crate) now_ms: u64,
}

/// A call that is under way. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Slot {
    meter: Arc<Meter>,
    quotas: Vec<Box<str>>,
}

/// Why there is no room for a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stopped {
    pub(crate) reason: Reason,
    pub(crate) limited: Limited,
}

impl Meter {
    /// Counts a call, or says why there may be none. One that may not be for what comes first takes
    /// nothing of what comes later.
    pub(crate) fn call(self: &Arc<Self>, call: &Attempt<'_>) -> Result<Slot, Box<Stopped>> {
        let (limits, now_ms) = (&call.policy.limits, call.now_ms);
        self.now.0.store(now_ms, Ordering::Relaxed);
        let mut counts = self.counts();
        if counts.limits != *limits {
            let (in_flight, quotas) = (counts.in_flight, std::mem::take(&mut counts.quotas));
            *counts = Counts { limits: *limits, in_flight, quotas, ..Counts::default() };
        }
        let about: Vec<&Quota> = call.policy.quotas(call.tool).collect();
        counts.has_room(limits, &about)?;
        counts.again(call)?;
        let rate = |name: &str, per_minute, burst, place: &mut Option<Counted>| {
            let counted = place.get_or_insert_with(|| Counted::new(per_minute, burst, &self.now));
            counted.ask(now_ms).map_err(|it| often(name, per_minute, counted.asked, it))
        };
        let all = limits.calls_per_minute;
        rate("limits.calls_per_minute", all, limits.calls_burst, &mut counts.calls)?;
        let each = limits.calls_per_minute_per_tool;
        if counts.tools.len() < TOOLS_MAX || counts.tools.contains_key(call.tool) {
            let mut place = counts.tools.remove(call.tool);
            let burst = limits.calls_burst.min(each);
            let asked = rate("limits.calls_per_minute_per_tool", each, burst, &mut place);
            counts.tools.extend(place.map(|it| (call.tool.into(), it)));
            asked?;
        }
        for quota in &about {
            let Some(max) = quota.calls_per_minute else { continue };
            let of = counts.quotas.entry(quota.counts.as_str().into()).or_default();
            if of.per_minute != max {
                (of.per_minute, of.calls) = (max, None);
            }
            rate(&format!("{}.calls_per_minute", quota.origin.id), max, max, &mut of.calls)?;
        }
        Ok(Slot { meter: Arc::clone(self), quotas: counts.begin(&about) })
    }

    /// Makes room for a call that was counted already.
    pub(crate) fn resume(
        self: &Arc<Self>,
        tool: &str,
        policy: &Policy,
    ) -> Result<Slot, Box<Stopped>> {
        let about: Vec<&Quota> = policy.quotas(tool).collect();
        let mut counts = self.counts();
        counts.has_room(&policy.limits, &about)?;
        Ok(Slot { meter: Arc::clone(self), quotas: counts.begin(&about) })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Whether one more may be under way.
    fn has_room(&self, limits: &Limits, about: &[&Quota]) -> Result<(), Box<Stopped>> {
        at_once("limits.calls_in_flight_max", limits.calls_in_flight_max, self.in_flight)?;
        for quota in about {
            let Some(max) = quota.calls_at_once else { continue };
            let now = self.quotas.get(&*quota.counts).map_or(0, |it| it.in_flight);
            at_once(&format!("{}.calls_at_once", quota.origin.id), max, now)?;
        }
        Ok(())
    }

    /// One more is under way. Answers by what it is counted.
    fn begin(&mut self, about: &[&Quota]) -> Vec<Box<str>> {
        self.in_flight += 1;
        let counted = about.iter().filter(|it| it.calls_at_once.is_some());
        let quotas: Vec<Box<str>> = counted.map(|it| it.counts.as_str().into()).collect();
        for quota in &quotas {
            self.quotas.entry(quota.clone()).or_default().in_flight += 1;
        }
        quotas
    }

    /// Counts a call among those that are the same.
    fn again(&mut self, call: &Attempt<'_>) -> Result<(), Box<Stopped>> {
        let limits = &call.policy.limits;
        let window_s = u64::try_from(limits.same_call_window_s).unwrap_or(u64::MAX);
        let window_ms = window_s.saturating_mul(1000);
        let is_over = |since: u64| call.now_ms.saturating_sub(since) >= window_ms;
        let mut hasher = blake3::Hasher::new();
        hasher.update(call.arguments.as_bytes()).update(&[0]).update(call.tool.as_bytes());
        let digest = *hasher.finalize().as_bytes();
        if self.same.len() >= SAME_MAX && !self.same.contains_key(&digest) {
            self.same.retain(|_, (since, _)| !is_over(*since));
            if self.same.len() >= SAME_MAX {
                // All of a minute, which is not a loop: begun anew, it costs nothing to look for.
                self.same.clear();
            }
        }
        let (since, count) = self.same.entry(digest).or_insert((call.now_ms, 0));
        if is_over(*since) {
            (*since, *count) = (call.now_ms, 0);
        }
        *count = count.saturating_add(1);
        let max = limits.same_call_max;
        if *count <= max {
            return Ok(());
        }
        let retry_ms = window_ms.saturating_sub(call.now_ms.saturating_sub(*since));
        let limited = Limited {
            name: "limits.same_call_max".to_owned(),
            max: wide(max),
            count: wide(*count),
            window_s: Some(window_s),
            retry_ms: Some(retry_ms),
        };
        let retry = limited.retry_s().unwrap_or_default();
        let external = format!(
            "this is a loop: the same call with the same arguments, {count} times within \
             {window_s} s. Its answer will not help any more than before: use what it said, try \
             something else, or ask the user. It may be made again in {retry} s"
        );
        Err(Box::new(Stopped::new(limited, external)))
    }
}

impl Stopped {
    /// With what whoever calls is told.
    pub(crate) fn new(limited: Limited, external: String) -> Self {
        let Limited { name, max, count, window_s, retry_ms } = &limited;
        let window = window_s.map(|it| format!(" within {it} s")).unwrap_or_default();
        let again = retry_ms.map(|it| format!("; room again in {it} ms")).unwrap_or_default();
        let internal = format!("{name} = {max}: {count}{window}{again}");
        let reason = Reason { rule: name.clone(), external, internal };
        Self { reason, limited }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.meter.counts();
        counts.in_flight = counts.in_flight.saturating_sub(1);
        for quota in &self.quotas {
            if let Some(of) = counts.quotas.get_mut(quota) {
                of.in_flight = of.in_flight.saturating_sub(1);
            }
        }
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

impl Counted {
    fn new(per_minute: usize, burst: usize, now: &Told) -> Self {
        let number =
            |it: usize| u32::try_from(it).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let rate = Rate::per_minute(number(per_minute)).allow_burst(number(burst));
        let limiter = RateLimiter::direct_with_clock(rate, now.clone());
        Self { limiter, since_ms: 0, asked: 0 }
    }

    /// Counts one, or says how long to wait.
    fn ask(&mut self, now_ms: u64) -> Result<(), Duration> {
        if now_ms.saturating_sub(self.since_ms) >= MINUTE_MS {
            (self.since_ms, self.asked) = (now_ms, 0);
        }
        self.asked = self.asked.saturating_add(1);
        self.limiter.check().map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }
}

fn at_once(name: &str, max: usize, now: usize) -> Result<(), Box<Stopped>> {
    if now < max {
        return Ok(());
    }
    let limited = Limited {
        name: name.to_owned(),
        max: wide(max),
        count: wide(now).saturating_add(1),
        window_s: None,
        retry_ms: None,
    };
    let external = format!("too many calls at a time ({max}); try again when one has ended");
    Err(Box::new(Stopped::new(limited, external)))
}

fn often(name: &str, max: usize, count: u64, retry: Duration) -> Box<Stopped> {
    let retry_ms = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    let limited = Limited {
        name: name.to_owned(),
        max: wide(max),
        count,
        window_s: Some(MINUTE_MS / 1000),
        retry_ms: Some(retry_ms),
    };
    let retry = limited.retry_s().unwrap_or_default();
    let external = format!("too many calls ({max} a minute); try again in {retry} s");
    Box::new(Stopped::new(limited, external))
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Origin, Pattern, Reading};

    fn attempt<'a>(policy: &'a Policy, tool: &'a str, now_ms: u64) -> Attempt<'a> {
        Attempt { tool, arguments: "", policy, now_ms }
    }

    fn with(limits: Limits) -> Policy {
        Policy { limits, ..Policy::default() }
    }

    fn quota(tool: &str) -> Quota {
        Quota {
            origin: Origin::built_in("quotas[0]"),
            counts: tool.to_owned(),
            servers: vec![Pattern::parse("*", Reading::Wide).unwrap()],
            tools: vec![Pattern::parse(tool, Reading::Wide).unwrap()],
            calls_per_minute: None,
            calls_at_once: None,
            cost: None,
            budgets: Vec::new(),
        }
    }

    #[test]
    fn the_call_after_the_last_one_is_refused_until_there_is_room() {
        let policy = with(Limits {
            calls_per_minute: 60,
            calls_burst: 3,
            calls_per_minute_per_tool: 2,
            calls_in_flight_max: 10,
            ..Limits::default()
        });
        let meter = Arc::new(Meter::default());
        let call = |tool: &str, now_ms| meter.call(&attempt(&policy, tool, now_ms)).map(drop);
        assert!(call("a", 0).is_ok() && call("a", 0).is_ok());
        let refused = call("a", 0).unwrap_err();
        assert_eq!(refused.reason.rule, "limits.calls_per_minute_per_tool");
        let refused = call("b", 0).unwrap_err();
        assert_eq!(refused.reason.rule, "limits.calls_per_minute");
        assert_eq!((refused.limited.max, refused.limited.count), (60, 4));
        assert_eq!(refused.limited.retry_ms, Some(1001));
        assert!(refused.reason.external.contains("try again in 2 s"), "{refused:?}");
        assert!(call("b", 1_000).is_ok());
        assert!(call("b", 1_000).is_err());
    }

    #[test]
    fn calls_that_have_ended_make_room() {
        let policy = with(Limits { calls_in_flight_max: 2, ..Limits::default() });
        let meter = Arc::new(Meter::default());
        let call = || meter.call(&attempt(&policy, "a", 0));
        let first = call().unwrap();
        let _second = call().unwrap();
        assert_eq!(call().unwrap_err().reason.rule, "limits.calls_in_flight_max");
        drop(first);
        assert!(call().is_ok());
    }

    #[test]
    fn a_quota_counts_what_it_is_about_and_its_disguises() {
        let own = Quota { calls_at_once: Some(1), calls_per_minute: Some(2), ..quota("a*") };
        let policy = Policy { quotas: vec![own], ..Policy::default() };
        let meter = Arc::new(Meter::default());
        let call = |tool: &str| meter.call(&attempt(&policy, tool, 0));
        let first = call("a1").unwrap();
        assert_eq!(call(" A2").unwrap_err().reason.rule, "quotas[0].calls_at_once");
        assert!(call("b").is_ok());
        drop(first);
        drop(call("a2").unwrap());
        assert_eq!(call("a3").unwrap_err().reason.rule, "quotas[0].calls_per_minute");
        assert!(call("b").is_ok());
    }

    #[test]
    fn the_same_call_again_and_again_is_a_loop() {
        let policy = with(Limits { same_call_max: 2, same_call_window_s: 10, ..Limits::default() });
        let meter = Arc::new(Meter::default());
        let call = |arguments, now_ms| {
            let call = Attempt { arguments, ..attempt(&policy, "a", now_ms) };
            meter.call(&call).map(drop)
        };
        assert!(call("x", 0).is_ok() && call("x", 4_000).is_ok());
        let refused = call("x", 4_000).unwrap_err();
        let Limited { max, count, window_s, retry_ms, .. } = &refused.limited;
        assert_eq!((*max, *count, *window_s, *retry_ms), (2, 3, Some(10), Some(6_000)));
        assert!(call("y", 4_000).is_ok(), "another one");
        assert!(call("x", 9_999).is_err() && call("x", 10_000).is_ok());
    }

    #[test]
    fn many_different_calls_are_no_loop_and_take_no_room() {
        let limits =
            Limits { calls_per_minute: 1_000_000, calls_burst: 100_000, ..Limits::default() };
        let policy = with(Limits { calls_per_minute_per_tool: 1_000_000, ..limits });
        let meter = Arc::new(Meter::default());
        for number in 0..SAME_MAX * 2 {
            let arguments = number.to_string();
            let call = Attempt { arguments: &arguments, ..attempt(&policy, "a", 0) };
            assert!(meter.call(&call).is_ok());
        }
        assert!(meter.counts().same.len() <= SAME_MAX);
    }
}
