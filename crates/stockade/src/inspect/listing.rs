//! All that a server says of itself and offers, as it was last said: to the letter, beside what its client
//! got of it, and what the rules have found there.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use stockade_core::check::{escaped, redacted_pointer};
use stockade_core::json::Document;
use stockade_core::lock::{Difference, Offers, Part};
use stockade_core::record::Record;
use stockade_core::revision::META_SERVER;

/// More than that is not kept.
const ITEMS_MAX: usize = 20_000;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Listing {
    items: Vec<Item>,
    places: HashMap<(Part, String), usize>,
}

#[derive(Debug)]
struct Item {
    part: Part,
    name: String,
    raw: Box<str>,
    /// What the client got, if that is another.
    seen: Option<Box<str>>,
    withheld: bool,
    findings: Value,
}

impl Listing {
    /// Takes note of what a server has answered, if it is a list, or says what it is.
    pub(super) fn sees(&mut self, heard: &Bytes, sent: Option<&Bytes>, records: &[Record]) {
        let methods = records.iter().map(|it| it.method.as_str()).find(|it| !it.is_empty());
        let Some(method) = methods else { return };
        if let Some((part, list)) = Part::listed_by(method) {
            self.list(part, list, heard, sent, records);
        } else if matches!(method, "initialize" | "server/discover") {
            self.itself(heard, sent, records);
        }
    }

    fn list(
        &mut self,
        part: Part,
        list: &str,
        heard: &Bytes,
        sent: Option<&Bytes>,
        records: &[Record],
    ) {
        let items = |bytes: &Bytes| -> Option<Vec<(String, Box<str>)>> {
            let message: Answered<'_> = serde_json::from_slice(bytes).ok()?;
            let all: &RawValue = message.result.get(list)?;
            let all: Vec<&RawValue> = serde_json::from_str(all.get()).ok()?;
            let each =
                all.into_iter().map(|it| (name(part, it).unwrap_or_default(), it.get().into()));
            Some(each.collect())
        };
        let Some(raw) = items(heard) else { return };
        let is_same = sent.is_some_and(|it| it == heard);
        let seen: HashMap<String, Box<str>> = match sent.filter(|_| !is_same) {
            Some(bytes) => items(bytes).unwrap_or_default().into_iter().collect(),
            None => HashMap::new(),
        };
        for (at, (name, raw)) in raw.into_iter().enumerate() {
            let seen = if is_same { None } else { seen.get(&name).cloned() };
            let withheld = !is_same && seen.is_none();
            let seen = seen.filter(|it| *it != raw);
            let findings = findings(records, &format!("/result/{list}/{at}"));
            self.put(Item { part, name, raw, seen, withheld, findings });
        }
    }

    fn itself(&mut self, heard: &Bytes, sent: Option<&Bytes>, records: &[Record]) {
        let read = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).ok();
        let Some(raw) = read(heard) else { return };
        let got = sent.and_then(read).unwrap_or_default();
        let places = [
            (Part::Identity, "/result/serverInfo".to_owned()),
            (Part::Identity, format!("/result/_meta/{}", META_SERVER.replace('/', "~1"))),
            (Part::Instructions, "/result/instructions".to_owned()),
        ];
        for (part, place) in places {
            let Some(said) = raw.pointer(&place).filter(|it| !it.is_null()) else { continue };
            let seen = got.pointer(&place);
            self.put(Item {
                part,
                name: String::new(),
                raw: said.to_string().into(),
                seen: seen.filter(|it| *it != said).map(|it| it.to_string().into()),
                withheld: seen.is_none(),
                findings: findings(records, &place),
            });
        }
    }

    fn put(&mut self, item: Item) {
        let key = (item.part, item.name.clone());
        let there = self.places.get(&key).and_then(|it| self.items.get_mut(*it));
        // Two that go by one name are one for a client, and two for whoever looks.
        if let Some(there) = there.filter(|it| it.raw == item.raw) {
            let known = std::mem::replace(there, item).findings;
            // What was looked at before is not looked at again, and the same as it was.
            if there.findings.as_array().is_none_or(Vec::is_empty) {
                there.findings = known;
            }
        } else if self.items.len() < ITEMS_MAX {
            self.places.insert(key, self.items.len());
            self.items.push(item);
        }
    }

    /// Forgets what was listed of a sort, which is about to be listed again.
    pub(super) fn forget(&mut self, part: Part) {
        self.items.retain(|it| it.part != part);
        self.places.clear();
        for (at, it) in self.items.iter().enumerate() {
            self.places.insert((it.part, it.name.clone()), at);
        }
    }

    /// The tools, to the letter.
    pub(super) fn tools(&self) -> Vec<Value> {
        let tools = self.items.iter().filter(|it| it.part == Part::Tool);
        tools.filter_map(|it| serde_json::from_str(&it.raw).ok()).collect()
    }

    /// All of it, beside what was approved.
    pub(super) fn told(&self, approved: Option<&Offers>) -> (Vec<Value>, bool) {
        let read = |it: &str| serde_json::from_str::<Value>(it).unwrap_or_default();
        let mut differs = false;
        let mut there = Offers::default();
        let mut all: Vec<Value> = Vec::with_capacity(self.items.len());
        for it in &self.items {
            let raw = read(&it.raw);
            let mut told = Map::new();
            told.insert("part".to_owned(), it.part.name().into());
            told.insert("name".to_owned(), it.name.as_str().into());
            let text = serde_json::to_string_pretty(&raw).unwrap_or_default();
            told.insert("text".to_owned(), escaped(&text).into());
            told.extend(it.seen.iter().map(|it| ("seen".to_owned(), read(it))));
            if it.withheld {
                told.insert("withheld".to_owned(), true.into());
            }
            told.insert("findings".to_owned(), it.findings.clone());
            if let Some(approved) = approved {
                let forms = approved.forms(it.part, &it.name);
                let difference = Difference::of(it.part, &it.name, forms, Some(&raw));
                let is_approved =
                    difference.is.as_ref().is_some_and(|is| forms.iter().any(|it| it == is));
                if !is_approved {
                    differs = true;
                    told.insert("difference".to_owned(), json!(difference));
                }
                there.add(it.part, &it.name, raw.clone());
            }
            told.insert("raw".to_owned(), raw);
            all.push(Value::Object(told));
        }
        for difference in approved.iter().flat_map(|it| it.differences(&there)) {
            if difference.is.is_none() {
                differs = true;
                all.push(json!({ "part": difference.part.name(), "name": difference.name,
                    "findings": [], "difference": difference }));
            }
        }
        (all, differs)
    }
}

/// An answer, of which only the result is read.
#[derive(serde::Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    result: HashMap<String, &'a RawValue>,
}

/// What a definition goes by.
fn name(part: Part, raw: &RawValue) -> Option<String> {
    let document = Document::parse(raw.get().to_owned().into(), &Default::default()).ok()?;
    Some(document.root().get(part.key()?)?.str()?.to_owned())
}

/// What was found below a place, each where it is in what is there.
fn findings(records: &[Record], below: &str) -> Value {
    let all = records.iter().flat_map(|it| &it.findings);
    let here = all.filter_map(|it| {
        let rest = it.place.strip_prefix(below)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        Some(
            json!({ "rule": it.rule, "severity": it.severity, "says": it.says, "action": it.action,
            "place": redacted_pointer(rest) }),
        )
    });
    Value::Array(here.collect())
}
