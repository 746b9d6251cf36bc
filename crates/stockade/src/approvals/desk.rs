//! The guard's side: carries questions to the service of approvals, and brings the answers back as
//! events of the session. One task and one connection for all conversations of a guard; the connection
//! is made by the first question, and let go when nothing waits.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stockade_core::approval::{Answer, Question};
use stockade_core::check::visible;
use stockade_core::session::Event;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::place::{Place, PlaceError};
use super::service::{line, next};
use super::shown::in_a_client;
use super::ways::{Asking, Elsewhere};
use super::{Asked, Given, LINE_BYTES_MAX, Said, Shown, Told};
use crate::guard::Guard;

/// How long a connection stays when nothing waits.
const IDLE: Duration = Duration::from_secs(5);

/// How long the service may take to take in what it is told.
const WRITE: Duration = Duration::from_secs(10);

/// What is known of the server whose calls are asked about.
#[derive(Clone, Debug)]
pub struct About {
    /// See [`Asked::identity`].
    pub identity: String,
    /// See [`Asked::known`].
    pub known: Vec<String>,
}

/// Where a conversation leaves its questions. There are no more of them than the session lets wait.
#[derive(Clone)]
pub struct Desk {
    orders: mpsc::UnboundedSender<Order>,
    ear: Ear,
}

/// Whom of a conversation it is told what was answered. It must not wait: others are told after it.
type Ear = Arc<dyn Fn(Event) + Send + Sync>;

/// What somebody at hand is told.
#[derive(Debug)]
pub enum AtHand {
    /// There is a question, and so it is answered.
    Asked(Box<Question>, Says),
    /// Nobody waits for this exchange any more.
    Unasked(String),
}

/// How a question is answered.
pub struct Says(Ear);

impl Says {
    /// Answers it, as this person and by this way.
    pub fn say(&self, question: &Question, approved: bool, by: (&str, &str)) {
        let (approver, channel) = (Some(by.0.to_owned()), Some(by.1.to_owned()));
        let says = if approved { String::new() } else { "a person has said no".to_owned() };
        let answer = Answer { approved, approver, channel, says, edited: None };
        let (call, digest) = (question.id.clone(), question.digest.clone());
        (self.0)(Event::Decided { call, digest, answer });
    }
}

/// What comes back.
pub type Answers = mpsc::UnboundedReceiver<Event>;

enum Order {
    Ask(Box<Question>, Ear),
    Unask(String),
    Give(Given),
    Elsewhere(Arc<Guard>),
}

/// What was asked and is not answered.
struct Open {
    digest: String,
    ear: Ear,
}

impl Desk {
    /// A desk, and what is answered at it. It is there for as long as the desk is.
    pub fn open(place: Place, about: Arc<About>) -> (Self, Answers) {
        let (orders, receiver) = mpsc::unbounded_channel();
        let (events, answers) = mpsc::unbounded_channel();
        let (open, elsewhere) = (HashMap::new(), HashMap::new());
        let (line, told, guard, asking) = (None, false, None, Asking::new());
        let clerk = Clerk { place, about, open, line, told, guard, elsewhere, asking };
        tokio::spawn(clerk.work(receiver));
        // A conversation that has ended takes in nothing.
        let ear: Ear = Arc::new(move |event| drop(events.send(event)));
        (Self { orders, ear }, answers)
    }

    /// A desk at which everything is approved, in the name of whoever has said so before.
    pub fn consenting(by: &'static str) -> (Self, Answers) {
        let (orders, mut receiver) = mpsc::unbounded_channel();
        let (events, answers) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(order) = receiver.recv().await {
                // Nothing of the rest is about a question that is open: each is answered at once.
                if let Order::Ask(question, ear) = order {
                    let Question { id: call, digest, .. } = *question;
                    let (approver, channel) =
                        (Some(by.to_owned()), Some("command line".to_owned()));
                    let (says, edited) = (String::new(), None);
                    let answer = Answer { approved: true, approver, channel, says, edited };
                    ear(Event::Decided { call, digest, answer });
                }
            }
        });
        let ear: Ear = Arc::new(move |event| drop(events.send(event)));
        (Self { orders, ear }, answers)
    }

    /// A desk at which somebody sits who is at hand: `tells` is told what is asked, and what nobody
    /// waits for any more.
    pub fn at_hand(tells: impl Fn(AtHand) + Send + 'static) -> (Self, Answers) {
        let (orders, mut receiver) = mpsc::unbounded_channel();
        let (events, answers) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(order) = receiver.recv().await {
                match order {
                    Order::Ask(question, ear) => tells(AtHand::Asked(question, Says(ear))),
                    Order::Unask(call) => tells(AtHand::Unasked(call)),
                    // There is no client that would answer in their place, and nobody else to ask.
                    Order::Give(_) | Order::Elsewhere(_) => {}
                }
            }
        });
        let ear: Ear = Arc::new(move |event| drop(events.send(event)));
        (Self { orders, ear }, answers)
    }

    /// The same desk for another conversation, where `ear` hears what is answered.
    #[must_use]
    pub fn heard_by(&self, ear: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { orders: self.orders.clone(), ear: Arc::new(ear) }
    }

    /// Has a person be asked.
    pub fn ask(&self, question: Box<Question>) {
        // Whoever has ended answers nothing, which is a no in time.
        let _ended = self.orders.send(Order::Ask(question, Arc::clone(&self.ear)));
    }

    /// Has people hear of what is asked by the other ways that this guard has as well.
    pub fn asks_elsewhere(&self, guard: &Arc<Guard>) {
        let _ended = self.orders.send(Order::Elsewhere(Arc::clone(guard)));
    }

    /// What a client has said. It counts where it comes first.
    pub fn give(&self, call: String, digest: String, approved: bool, says: &str) {
        let (channel, says) = ("client".to_owned(), says.to_owned());
        let given = Given { id: call, digest, times: 1, approved, grant: None, channel, says };
        let _ended = self.orders.send(Order::Give(given));
    }

    /// Nobody waits for this any more.
    pub fn unask(&self, call: String) {
        let _ended = self.orders.send(Order::Unask(call));
    }
}

impl fmt::Debug for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Says").finish_non_exhaustive()
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

struct Clerk {
    place: Place,
    about: Arc<About>,
    /// What was asked and is not answered, by the call.
    open: HashMap<String, Open>,
    line: Option<(BufReader<OwnedReadHalf>, OwnedWriteHalf)>,
    /// Whoever started the guard was told that nobody can be asked.
    told: bool,
    /// Whose other ways are used.
    guard: Option<Arc<Guard>>,
    /// What is asked by them, by the call.
    elsewhere: HashMap<String, Elsewhere>,
    asking: Asking,
}

impl Clerk {
    async fn work(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut buffer = Vec::new();
        loop {
            let idles = self.line.is_some() && self.open.is_empty();
            let heard = async {
                match &mut self.line {
                    Some((reader, _)) => next::<Told>(reader, &mut buffer, LINE_BYTES_MAX).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Ask(question, ear)) => self.ask(*question, ear).await,
                    Some(Order::Unask(call)) => self.unask(call).await,
                    Some(Order::Give(given)) => self.say(&Said::Give(given)).await,
                    Some(Order::Elsewhere(guard)) => self.guard = Some(guard),
                    None => return,
                },
                Some(Ok(Some(given))) = self.asking.join_next(), if !self.asking.is_empty() => {
                    // What nobody waits for any more was only just asked.
                    if self.elsewhere.contains_key(&given.id) {
                        self.say(&Said::Give(given)).await;
                    }
                }
                told = heard => match told {
                    Ok(Some(told)) => self.told(told),
                    Ok(None) | Err(_) => self.lost("the service of approvals has ended"),
                },
                () = tokio::time::sleep(IDLE), if idles => self.line = None,
            }
        }
    }

    async fn ask(&mut self, question: Question, ear: Ear) {
        let (id, digest) = (question.id.clone(), question.digest.clone());
        self.open.insert(id, Open { digest, ear });
        if self.line.is_none() {
            match self.place.connect_or_start().await {
                Ok(stream) => self.line = Some(halves(stream)),
                Err(error) => return self.nobody(&error),
            }
        }
        let About { identity, known } = (*self.about).clone();
        let elsewhere = self.guard.as_ref().is_some_and(|it| it.ways().is_some());
        self.say(&Said::Ask(Box::new(Asked { question, identity, known, elsewhere }))).await;
    }

    async fn unask(&mut self, call: String) {
        self.elsewhere.remove(&call);
        if self.open.remove(&call).is_some() {
            self.say(&Said::Unask(call)).await;
        }
    }

    async fn say(&mut self, said: &Said) {
        let Some((_, writer)) = &mut self.line else { return };
        let line = line(said);
        let written = timeout(WRITE, writer.write_all(&line)).await;
        if !matches!(written, Ok(Ok(()))) {
            self.lost("the service of approvals does not take in what it is told");
        }
    }

    fn told(&mut self, told: Told) {
        if let Told::Wanted(shown) = told {
            self.wanted(*shown);
            return;
        }
        // What else a guard is told is whether an answer of its client has come first, which the
        // answer that counts says as well.
        let Told::Answered { id, digest, answer } = told else { return };
        self.elsewhere.remove(&id);
        if let Some(it) = self.open.remove(&id) {
            (it.ear)(Event::Decided { call: id, digest, answer });
        }
    }

    /// A question is shown now: whoever else is asked, is asked now.
    fn wanted(&mut self, shown: Shown) {
        let Some(open) = self.open.get(&shown.id) else { return };
        if let Some((guard, ways)) = self.guard.as_ref().and_then(|it| Some((it, it.ways()?))) {
            let asked = || ways.ask(&shown, guard, &mut self.asking);
            self.elsewhere.entry(shown.id.clone()).or_insert_with(asked);
        }
        if shown.asked.question.elicits {
            let says = in_a_client(&shown);
            (open.ear)(Event::Wanted { call: shown.id, says });
        }
    }

    /// Whoever was asked is gone: nobody has said yes.
    fn lost(&mut self, why: &str) {
        self.line = None;
        self.elsewhere.clear();
        for (call, Open { digest, ear }) in std::mem::take(&mut self.open) {
            ear(Event::Decided { call, digest, answer: Answer::none(why) });
        }
    }

    fn nobody(&mut self, error: &PlaceError) {
        let mut why = format!("nobody can be asked: {error}");
        let mut cause = std::error::Error::source(error);
        while let Some(it) = cause {
            why = format!("{why}: {it}");
            cause = it.source();
        }
        if !std::mem::replace(&mut self.told, true) {
            anstream::eprintln!("note: {}", visible(&why));
        }
        self.lost(&why);
    }
}

fn halves(stream: UnixStream) -> (BufReader<OwnedReadHalf>, OwnedWriteHalf) {
    let (reader, writer) = stream.into_split();
    (BufReader::new(reader), writer)
}
