//! The same request again and again, some at a time, and how long each took.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use stockade_core::message::Id;
use tokio::time::timeout;

use super::{Answer, Client, ClientError, Heard};

/// So many may be under way: no more than wait on the way without anybody reading.
pub const AT_ONCE_MAX: u64 = 64;

/// The longest time that is told apart from a longer one, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// What came of it.
#[derive(Debug)]
pub struct Load {
    /// How long each took that was answered, in microseconds.
    times: Histogram<u64>,
    /// How long all of it took.
    whole: Duration,
    /// Results, results that say they are errors, and errors.
    results: u64,
    tool_errors: u64,
    errors: u64,
}

impl Load {
    /// Sends `number` requests, at most `at_once` at a time.
    ///
    /// # Errors
    /// When one is not answered at all, or the conversation ends.
    pub async fn put(
        client: &mut Client<'_>,
        (method, params): (&str, &Value),
        number: u64,
        at_once: u64,
    ) -> Result<Self, ClientError> {
        // Three digits of each time are kept: its bounds are fixed, so this cannot fail.
        let times = Histogram::new_with_bounds(1, LONGEST_US, 3)
            .map_err(|it| ClientError::Wrong(it.to_string()))?;
        let whole = Duration::ZERO;
        let mut load = Self { times, whole, results: 0, tool_errors: 0, errors: 0 };
        let mut running: HashMap<Id, Instant> = HashMap::new();
        let (mut sent, began) = (0, Instant::now());
        while load.answered() < number {
            while sent < number && (running.len() as u64) < at_once {
                let id = client.start(method, params.clone()).await?;
                running.insert(id, Instant::now());
                sent += 1;
            }
            let heard = timeout(client.patience, client.next()).await;
            let silent = |_| ClientError::Silent(method.to_owned());
            let Heard::Answer(id, answer) = heard.map_err(silent)?? else { continue };
            let Some(since) = running.remove(&id) else { continue };
            let time = u64::try_from(since.elapsed().as_micros()).unwrap_or(LONGEST_US);
            load.times.saturating_record(time.max(1));
            match answer {
                Answer::Error(_) => load.errors += 1,
                Answer::Result(it) if it.get("isError") == Some(&Value::Bool(true)) => {
                    load.tool_errors += 1;
                }
                Answer::Result(_) => load.results += 1,
            }
        }
        load.whole = began.elapsed();
        Ok(load)
    }

    fn answered(&self) -> u64 {
        self.results + self.tool_errors + self.errors
    }

    /// Whether every answer was a result.
    pub fn is_fine(&self) -> bool {
        self.tool_errors + self.errors == 0
    }

    /// What came of it, for a program. Times are in milliseconds.
    pub fn report(&self) -> Value {
        let ms = |us: u64| Duration::from_micros(us).as_secs_f64() * 1000.0;
        let at = |it: f64| ms(self.times.value_at_quantile(it));
        json!({
            "requests": self.answered(),
            "results": self.results,
            "toolErrors": self.tool_errors,
            "errors": self.errors,
            "seconds": self.whole.as_secs_f64(),
            "perSecond": self.per_second(),
            "latencyMs": {
                "min": ms(self.times.min()), "mean": self.times.mean() / 1000.0,
                "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999),
                "max": ms(self.times.max()),
            },
        })
    }

    /// The same for a person.
    pub fn in_words(&self) -> String {
        let ms = |it: f64| {
            let us = self.times.value_at_quantile(it);
            format!("{:.2} ms", Duration::from_micros(us).as_secs_f64() * 1000.0)
        };
        format!(
            "{} requests in {:.2} s, {:.0} a second: {} results, {} tool errors, {} errors\n\
             p50 {}  p90 {}  p99 {}  p99.9 {}  max {}\n",
            self.answered(),
            self.whole.as_secs_f64(),
            self.per_second(),
            self.results,
            self.tool_errors,
            self.errors,
            ms(0.5),
            ms(0.9),
            ms(0.99),
            ms(0.999),
            ms(1.0),
        )
    }

    fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.whole.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
