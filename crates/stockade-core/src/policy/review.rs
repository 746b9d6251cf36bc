//! What a server may ask of its client's model and of the person there: `[sampling]` and
//! `[elicitation]`.

use std::sync::LazyLock;

use super::{Effect, Origin, Pattern};
use crate::json::Json;

/// What a server may ask of the client's model (`sampling/createMessage`).
#[derive(Clone, Debug)]
pub struct Sampling {
    /// What is done with such a question.
    pub effect: Effect,
    /// Where that was said.
    pub origin: Origin,
    /// Which servers may ask. Nothing: any.
    pub servers: Option<Vec<Pattern>>,
    /// What is done with what the model answers.
    pub reply: Effect,
    /// Where that was said.
    pub reply_origin: Origin,
    /// The model may be given tools.
    pub tools: bool,
    /// It may be given what the client has from this server or from others.
    pub include_context: bool,
    /// How many tokens it may be asked for at a time.
    pub max_tokens: u64,
    /// How many bytes of text a question may have.
    pub bytes_max: usize,
    /// Which models may be named. Nothing: any.
    pub models: Option<Vec<Pattern>>,
    /// How many tokens may be asked for in a day, by all servers together.
    pub tokens_per_day: Option<u64>,
    /// How often in a day.
    pub requests_per_day: Option<u64>,
}

/// What holds where there is no policy.
pub(crate) static USUAL: LazyLock<Sampling> = LazyLock::new(Sampling::default);

/// What is asked for at a time where nobody says otherwise.
pub const MAX_TOKENS: u64 = 8192;

/// How much text a question has where nobody says otherwise.
pub const BYTES_MAX: usize = 1 << 20;

impl Default for Sampling {
    fn default() -> Self {
        Self {
            effect: Effect::Allow,
            origin: Origin::built_in("sampling.effect"),
            servers: None,
            reply: Effect::Allow,
            reply_origin: Origin::built_in("sampling.reply"),
            tools: false,
            include_context: false,
            max_tokens: MAX_TOKENS,
            bytes_max: BYTES_MAX,
            models: None,
            tokens_per_day: None,
            requests_per_day: None,
        }
    }
}

impl Sampling {
    /// Whether `server` may ask.
    pub fn is_for(&self, server: &str) -> bool {
        fits(self.servers.as_deref(), server)
    }

    /// Whether a model may be named.
    pub fn names(&self, model: &str) -> bool {
        fits(self.models.as_deref(), model)
    }
}

/// How many tokens a number stands for, which may be written as `8192.0`; nothing, where that is no
/// number that can be counted: one below 1 is no limit to some models.
pub(crate) fn tokens(number: Json<'_>) -> Option<u64> {
    let counted = match number.i64() {
        Some(it) => u64::try_from(it).ok(),
        // A float above this is not exact, and no model has as many.
        None => number.f64().map(f64::ceil).filter(|it| *it <= f64::from(u32::MAX)).and_then(
            // Written out, a float is an integer without being cast to one.
            |it| format!("{it:.0}").parse().ok(),
        ),
    };
    counted.filter(|it| *it > 0)
}

/// What a server may ask of the person at the client (`elicitation/create`).
#[derive(Clone, Debug)]
pub struct Elicitation {
    /// What is done with a form.
    pub form: Effect,
    /// Where that was said.
    pub form_origin: Origin,
    /// What is done with an address to open.
    pub url: Effect,
    /// Where that was said.
    pub url_origin: Origin,
    /// Which servers may ask. Nothing: any.
    pub servers: Option<Vec<Pattern>>,
}

impl Elicitation {
    /// Whether `server` may ask.
    pub fn is_for(&self, server: &str) -> bool {
        fits(self.servers.as_deref(), server)
    }
}

impl Default for Elicitation {
    fn default() -> Self {
        Self {
            form: Effect::Allow,
            form_origin: Origin::built_in("elicitation.form"),
            url: Effect::Allow,
            url_origin: Origin::built_in("elicitation.url"),
            servers: None,
        }
    }
}

fn fits(patterns: Option<&[Pattern]>, name: &str) -> bool {
    patterns.is_none_or(|all| all.iter().any(|it| it.fits(name)))
}
