//! Who is told something, and by what way.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::file::{AlertsTable, At, File, WebhookTable};
use super::Making;
use crate::alerts::sink::SyslogAddress;
use crate::alerts::{AGAIN_S, DENIALS_PER_MINUTE, Kind, Wanted};
use crate::webhook::{self, Address, Secret};

const PER_MINUTE: RangeInclusive<usize> = 1..=1_000_000;
const BYTES_PER_MINUTE: RangeInclusive<usize> = 1..=1 << 50;
/// The same is told once a day at least.
const AGAIN: RangeInclusive<usize> = 10..=86_400;

/// By what ways people hear of a call that waits, besides a terminal and their client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// An address that is asked.
    pub webhook: Option<Address>,
    /// Whether the desktop shows it.
    pub desktop: bool,
}

impl Making<'_> {
    pub(super) fn ways(&mut self, file: &File) -> Ways {
        let Some(table) = file.approvals.as_ref().map(|it| &it.value) else {
            return Ways::default();
        };
        let webhook = table.webhook.as_ref();
        let webhook = webhook.and_then(|it| self.address("approvals.webhook", it));
        Ways { webhook, desktop: self.is_true("approvals.desktop", &table.desktop) }
    }

    pub(super) fn alerts(&mut self, file: &File) -> Option<Wanted> {
        let at = file.alerts.as_ref()?;
        let AlertsTable {
            on,
            denials_per_minute,
            calls_per_minute,
            bytes_per_minute,
            again_s,
            webhook,
            syslog,
            desktop,
        } = &at.value;
        let kinds = on.as_ref().map(|it| it.value.iter().map(|it| it.value).collect());
        if let Some(on) = on {
            let names: Vec<&str> = on.value.iter().map(|it| it.value.name()).collect();
            self.setting("alerts.on", &names.join(", "), &on.span);
        }
        let on: Vec<Kind> = kinds.unwrap_or_else(|| Kind::ALL.to_vec());
        let number = |making: &mut Self, key: &str, at, bounds| making.number(key, at, bounds);
        let denials = number(self, "alerts.denials_per_minute", denials_per_minute, PER_MINUTE);
        let calls_per_minute =
            number(self, "alerts.calls_per_minute", calls_per_minute, PER_MINUTE);
        let bytes_per_minute =
            number(self, "alerts.bytes_per_minute", bytes_per_minute, BYTES_PER_MINUTE);
        let again_s = number(self, "alerts.again_s", again_s, AGAIN);
        let hook = webhook.as_ref().and_then(|it| self.address("alerts.webhook", it));
        let log = syslog.as_ref().and_then(|it| self.syslog(it));
        let shows = self.is_true("alerts.desktop", desktop);
        if webhook.is_none() && syslog.is_none() && !shows {
            self.wrong(&self.head(&at.span), "nobody is told of these alerts", "nothing is named");
            let help = "name a `webhook` or a `syslog`, or write `desktop = true`";
            self.reader.help(help.to_owned());
        }
        let number = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        Some(Wanted {
            on,
            denials_per_minute: denials.unwrap_or(number(DENIALS_PER_MINUTE)),
            calls_per_minute,
            bytes_per_minute,
            again: Duration::from_secs(again_s.unwrap_or(number(AGAIN_S))),
            webhook: hook,
            syslog: log,
            desktop: shows,
        })
    }

    fn address(&mut self, key: &str, at: &At<WebhookTable>) -> Option<Address> {
        let WebhookTable { url, secret } = &at.value;
        for (name, is_there) in [("url", url.is_some()), ("secret", secret.is_some())] {
            if !is_there {
                let says = format!("`{name}` is missing");
                self.wrong(&self.head(&at.span), &says, "of this webhook");
            }
        }
        if let Some(url) = url {
            // What is behind the host may be as good as a password.
            let host = url.value.parse::<http::Uri>().ok().and_then(|it| it.authority().cloned());
            let host = host.map(|it| it.to_string()).unwrap_or_default();
            self.setting(key, &host, &url.span);
            if let Err(why) = webhook::check(&url.value) {
                let says = format!("this is no address of a webhook: {why}");
                self.wrong(&url.span, &says, "`https://HOST/PATH` is wanted");
            }
        }
        let secret = secret.as_ref().and_then(|it| match Secret::parse(&it.value) {
            Ok(secret) => Some(secret),
            Err(why) => {
                self.wrong(&it.span, "a secret does not stand in a policy", why);
                None
            }
        });
        Some(Address { url: url.as_ref()?.value.clone(), secret: secret? })
    }

    fn syslog(&mut self, at: &At<String>) -> Option<SyslogAddress> {
        self.setting("alerts.syslog", &at.value, &at.span);
        let parsed = SyslogAddress::parse(&at.value);
        parsed.map_err(|why| self.wrong(&at.span, "this is no place of a syslog", why)).ok()
    }

    fn is_true(&mut self, key: &str, at: &Option<At<bool>>) -> bool {
        at.as_ref().is_some_and(|it| {
            self.setting(key, &it.value.to_string(), &it.span);
            it.value
        })
    }
}
