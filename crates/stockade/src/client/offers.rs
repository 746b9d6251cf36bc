//! All that a server says of itself and offers, in both eras of the protocol that it may speak.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};
use stockade_core::lock::{Offers, Part};
use stockade_core::revision::{Era, META_SERVER};

use super::person::Nobody;
use super::{Client, ClientError, Manner, Way, converse};
use crate::guard::Guard;

/// More pages than that have no end.
const PAGES_MAX: usize = 1000;
/// More things than that nobody can approve.
const ITEMS_MAX: usize = 20_000;

/// Whoever asks a server for one thing after the other.
pub trait Asks {
    /// Asks for something, and waits for the result.
    ///
    /// # Errors
    /// When there is none.
    fn result_of(
        &mut self,
        method: &str,
        params: Value,
    ) -> impl Future<Output = Result<Value, ClientError>>;
}

impl Asks for Client<'_> {
    async fn result_of(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.request(method, params).await
    }
}

/// Lists everything: in the newest era, and in the older ones as well, where a server may say it
/// otherwise.
///
/// # Errors
/// When the server speaks neither, or cannot be listed.
pub async fn survey(guard: &Arc<Guard>, way: &Way) -> Result<Offers, ClientError> {
    let (mut offers, mut nobody) = (Offers::default(), Nobody);
    let modern = converse(guard, way, Manner::of(Era::Modern), &mut nobody, async |client| {
        match client.begin().await {
            // Some answer whatever they are asked.
            Ok(begun) if begun.get("supportedVersions").is_none() => Ok(None),
            Ok(begun) => list(client, &begun).await.map(Some),
            // It does not speak it.
            Err(ClientError::Start(error)) => Err(ClientError::Start(error)),
            Err(_) => Ok(None),
        }
    });
    let modern = modern.await?;
    let legacy = converse(guard, way, Manner::of(Era::Legacy), &mut nobody, async |client| {
        let begun = client.begin().await?;
        list(client, &begun).await
    });
    let (modern, legacy) = match (modern, legacy.await) {
        (Some(modern), Ok(legacy)) => (modern, legacy),
        // From 2026-07-28 on a server need not speak what was before.
        (Some(modern), Err(ClientError::Refused { .. } | ClientError::Ended(_))) => {
            (modern, Offers::default())
        }
        (None, Ok(legacy)) => (Offers::default(), legacy),
        (_, Err(error)) => return Err(error),
    };
    for (part, name, forms) in modern.all().chain(legacy.all()) {
        forms.iter().for_each(|form| offers.add(part, name, form.clone()));
    }
    Ok(offers)
}

/// What one conversation shows.
async fn list(client: &mut Client<'_>, begun: &Value) -> Result<Offers, ClientError> {
    let mut offers = Offers::default();
    let said = begun.get("serverInfo").or_else(|| begun.get("_meta")?.get(META_SERVER));
    if let Some(it) = said {
        offers.add(Part::Identity, "", it.clone());
    }
    if let Some(it) = begun.get("instructions").filter(|it| !it.is_null()) {
        offers.add(Part::Instructions, "", it.clone());
    }
    for (part, method, name) in Part::LISTED {
        let capability = if part == Part::Template { "resources" } else { name };
        let declared = begun.get("capabilities").is_some_and(|it| it.get(capability).is_some());
        let items = match pages(client, method, name).await {
            Ok(items) => items,
            // What it does not have it need not list, and some that have it do not list all of it.
            Err(ClientError::Refused { code: -32601, .. }) => continue,
            Err(ClientError::Refused { .. }) if !declared => continue,
            Err(error) => return Err(error),
        };
        for item in items {
            let key = part.key().and_then(|key| item.get(key)).and_then(Value::as_str);
            let Some(key) = key.map(str::to_owned) else {
                let says = format!("the server lists a {} that has no name", part.name());
                return Err(ClientError::Wrong(says));
            };
            offers.add(part, &key, item);
        }
    }
    Ok(offers)
}

/// Every page of a list.
///
/// # Errors
/// When there are too many, or one that does not come.
pub async fn pages(
    client: &mut impl Asks,
    method: &str,
    name: &str,
) -> Result<Vec<Value>, ClientError> {
    let mut items: Vec<Value> = Vec::new();
    let mut cursors = HashSet::new();
    let mut params = json!({});
    for _ in 0..PAGES_MAX {
        let mut page = client.result_of(method, params).await?;
        // An answer without a list lists nothing.
        let listed = page.get_mut(name).map_or(Value::Array(Vec::new()), Value::take);
        let Value::Array(listed) = listed else {
            return Err(ClientError::Wrong(format!("`{name}` that `{method}` lists is no list")));
        };
        items.extend(listed);
        if items.len() > ITEMS_MAX {
            let says = format!("the server lists more than {ITEMS_MAX} {name}");
            return Err(ClientError::Wrong(says));
        }
        let cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        let Some(cursor) = cursor else { return Ok(items) };
        if !cursors.insert(cursor.clone()) {
            let says = format!("the pages of `{method}` lead back to one that was there before");
            return Err(ClientError::Wrong(says));
        }
        params = json!({ "cursor": cursor });
    }
    Err(ClientError::Wrong(format!("`{method}` has more than {PAGES_MAX} pages")))
}
