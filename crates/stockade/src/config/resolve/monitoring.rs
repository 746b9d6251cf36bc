//! `[metrics]` and `[traces]`: where what happens is read in numbers, and told as spans.

use std::net::SocketAddr;

use super::super::file::File;
use super::Making;
use crate::webhook;

impl Making<'_> {
    /// Where numbers are read. What holds for `serve --listen` holds here.
    pub(super) fn metrics(&mut self, file: &File) -> Option<SocketAddr> {
        let at = file.metrics.as_ref()?;
        let Some(listen) = &at.value.listen else {
            self.wrong(&self.head(&at.span), "nobody can read these numbers", "no `listen`");
            self.reader.help("write `listen = \"127.0.0.1:9464\"`".to_owned());
            return None;
        };
        self.setting("metrics.listen", &listen.value, &listen.span);
        let Ok(address) = listen.value.parse::<SocketAddr>() else {
            let wanted = "an address and a port are wanted, as in `127.0.0.1:9464`";
            self.wrong(&listen.span, "this is no address to listen at", wanted);
            return None;
        };
        if !address.ip().is_loopback() {
            let says = "this is not an address of this machine alone";
            self.wrong(&listen.span, says, "there is no TLS and no key");
            self.reader.help("listen on 127.0.0.1 or [::1]".to_owned());
            return None;
        }
        Some(address)
    }

    /// Where spans are told. They say who calls what, so the way there is as that of a webhook.
    pub(super) fn traces(&mut self, file: &File) -> Option<String> {
        let at = file.traces.as_ref()?;
        let Some(endpoint) = &at.value.endpoint else {
            self.wrong(&self.head(&at.span), "nobody is told of these traces", "no `endpoint`");
            return None;
        };
        let host = endpoint.value.parse::<http::Uri>().ok();
        let host = host.and_then(|it| it.authority().cloned()).map(|it| it.to_string());
        self.setting("traces.endpoint", &host.unwrap_or_default(), &endpoint.span);
        if let Err(why) = webhook::check(&endpoint.value) {
            let says = format!("this is no address of a collector: {why}");
            self.wrong(&endpoint.span, &says, "`https://HOST/v1/traces` is wanted");
            return None;
        }
        Some(endpoint.value.clone())
    }
}
