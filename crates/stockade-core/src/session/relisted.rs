//! Lists that become others although their server says nothing: what it offers was approved anew, or is
//! refused from now on, or another policy holds. Whoever has read such a list is told to read it again,
//! or what was approved would come back with the next start alone.
//!
//! Only what was agreed on is said: to the client of a session if its server has announced that it tells
//! of such changes (`listChanged`), and from 2026-07-28 on where the server has acknowledged a
//! subscription to them.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::turn::Turn;
use crate::json::Json;
use crate::lock::Part;
use crate::message::{Id, Message, Side};
use crate::revision::META_SUBSCRIPTION;

/// A list that can be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Tools,
    Prompts,
    Resources,
}

impl List {
    const ALL: [Self; 3] = [Self::Tools, Self::Prompts, Self::Resources];

    /// The list that a part of an offer is in.
    pub(super) fn of(part: Part) -> Option<Self> {
        match part {
            Part::Identity | Part::Instructions => None,
            Part::Tool => Some(Self::Tools),
            Part::Prompt => Some(Self::Prompts),
            // One notification is about both.
            Part::Resource | Part::Template => Some(Self::Resources),
        }
    }

    /// The capability of a server that has it.
    fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
        }
    }

    /// What a subscription to its changes is called.
    fn subscription(self) -> &'static str {
        match self {
            Self::Tools => "toolsListChanged",
            Self::Prompts => "promptsListChanged",
            Self::Resources => "resourcesListChanged",
        }
    }

    /// What is said when it is another.
    fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources => "notifications/resources/list_changed",
        }
    }
}

/// Something of each list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Each<T> {
    tools: T,
    prompts: T,
    resources: T,
}

impl<T> Each<T> {
    fn by(each: impl Fn(List) -> T) -> Self {
        Self {
            tools: each(List::Tools),
            prompts: each(List::Prompts),
            resources: each(List::Resources),
        }
    }

    fn of(&self, list: List) -> &T {
        match list {
            List::Tools => &self.tools,
            List::Prompts => &self.prompts,
            List::Resources => &self.resources,
        }
    }

    fn of_mut(&mut self, list: List) -> &mut T {
        match list {
            List::Tools => &mut self.tools,
            List::Prompts => &mut self.prompts,
            List::Resources => &mut self.resources,
        }
    }
}

/// How often each list of a server has become another.
#[derive(Debug, Default)]
pub(super) struct Editions(Each<AtomicU64>);

impl Editions {
    /// A list is another from now on.
    pub(super) fn anew(&self, list: List) {
        self.0.of(list).fetch_add(1, Ordering::Relaxed);
    }

    /// Each list is.
    pub(super) fn all_anew(&self) {
        List::ALL.into_iter().for_each(|it| self.anew(it));
    }

    /// Those of this moment.
    pub(super) fn now(&self) -> Each<u64> {
        Each::by(|it| self.0.of(it).load(Ordering::Relaxed))
    }
}

/// What a client has been told of the lists, and of which it is to be.
#[derive(Debug, Default)]
pub(super) struct Lists {
    told: Each<u64>,
    /// Its server has announced that it tells of changes.
    announced: Each<bool>,
    /// Its session has begun.
    begun: bool,
    /// What has begun it, where the server was blocked by then and has not had it.
    owed: Option<Box<Message>>,
    /// The server was asked to begin, and answered as another than was approved.
    greeted: bool,
}

impl Lists {
    /// Those of a conversation that begins now.
    pub(super) fn of_now(editions: &Editions) -> Self {
        Self { told: editions.now(), ..Self::default() }
    }

    /// Whether a list has become another since the client was told.
    pub(super) fn are_old(&self, editions: &Editions) -> bool {
        self.told != editions.now()
    }

    /// The client has read a list after it has become another.
    pub(super) fn has_read(&mut self, list: List) {
        let told = self.told.of_mut(list);
        *told = told.saturating_add(1);
    }

    /// The server has greeted the client, and said what it tells of.
    pub(super) fn greeted(&mut self, answer: &Message) {
        let says = |it: List| {
            let announced = answer
                .get("capabilities")
                .and_then(|all| all.path(&[it.capability(), "listChanged"]).and_then(Json::bool));
            announced == Some(true)
        };
        self.announced = Each::by(says);
    }

    /// The guard has greeted the client in the place of a server that has turned out to be another.
    pub(super) fn greeted_for_another(&mut self) {
        self.greeted = true;
        self.announced = Each { tools: true, ..Each::default() };
    }

    /// The client has begun the session.
    pub(super) fn begins(&mut self) {
        self.begun = true;
    }

    /// The same, of a server that is blocked. It is told when it is not any more.
    pub(super) fn begins_blocked(&mut self, message: Message) {
        self.begun = true;
        if self.greeted {
            self.owed = Some(Box::new(message));
        }
    }
}

impl Turn<'_> {
    /// The server says of which changes it tells on a subscription.
    pub(super) fn acknowledged(&mut self, notification: &Message) {
        let Some(id) = notification.meta(META_SUBSCRIPTION).and_then(Id::read) else { return };
        let waiting = self.session.waiting.get_mut(&(Side::Client, id));
        let Some(waiting) = waiting.filter(|it| it.is_subscription()) else { return };
        let granted = notification.get("notifications");
        waiting.tells = Each::by(|it| {
            granted.and_then(|all| all.get(it.subscription())).and_then(Json::bool) == Some(true)
        });
    }

    /// Tells the client which lists have become others, as far as it may be told.
    pub(super) fn relist(&mut self) {
        if self.session.server.blocked().is_none()
            && let Some(message) = self.session.lists.owed.take()
        {
            self.said(*message);
        }
        let now = self.session.server.editions.now();
        let before = std::mem::replace(&mut self.session.lists.told, now);
        for list in List::ALL.into_iter().filter(|it| before.of(*it) != now.of(*it)) {
            self.tell_of(list);
        }
    }

    fn tell_of(&mut self, list: List) {
        let lists = &self.session.lists;
        if lists.begun && *lists.announced.of(list) {
            self.own(Side::Client, &json!({ "jsonrpc": "2.0", "method": list.changed() }));
        }
        let waiting = self.session.waiting.iter();
        let subscribed = waiting.filter(|((side, _), it)| {
            *side == Side::Client && it.is_subscription() && *it.tells.of(list)
        });
        let mut subscribed: Vec<(u64, Id)> =
            subscribed.map(|((_, id), it)| (it.number, id.clone())).collect();
        subscribed.sort_by_key(|(number, _)| *number);
        for (_, id) in subscribed {
            let params = json!({ "_meta": { META_SUBSCRIPTION: id.to_value() } });
            let says = json!({ "jsonrpc": "2.0", "method": list.changed(), "params": params });
            self.own_about(&id, &says);
        }
    }
}
