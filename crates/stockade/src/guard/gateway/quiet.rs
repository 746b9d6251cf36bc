//! A future whose parts wake each other, without waking the task that they are parts of.
//!
//! A connection, the exchange that it waits for and the connection to the server are one task here.
//! They tell each other by wakers. If those were the task's own, it would wake itself while it runs,
//! and tokio would not only run it once more, but wake another thread to help with that.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// So often a future that has been woken goes on at once. Then the others on the thread have their
/// turn: what has used up its share of time is told so by being woken.
const ROUNDS_MAX: usize = 8;

/// What the parts of a future wake.
#[derive(Default)]
struct Bell {
    state: AtomicU8,
    task: AtomicWaker,
}

/// Nobody is polled: waking is for the task.
const AT_REST: u8 = 0;
/// The future is being polled.
const POLLED: u8 = 1;
/// It is being polled, and has been woken since that began.
const RUNG: u8 = 2;

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let rung = self.state.compare_exchange(POLLED, RUNG, Ordering::AcqRel, Ordering::Acquire);
        if rung == Err(AT_REST) {
            self.task.wake();
        }
    }
}

/// Waits for `future`. What wakes it while it runs does not wake the task.
pub(super) async fn quietly<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    poll_fn(|cx| {
        bell.task.register(cx.waker());
        for _ in 0..ROUNDS_MAX {
            bell.state.store(POLLED, Ordering::Release);
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            let rest =
                bell.state.compare_exchange(POLLED, AT_REST, Ordering::AcqRel, Ordering::Acquire);
            if polled.is_ready() || rest.is_ok() {
                return polled;
            }
        }
        bell.state.store(AT_REST, Ordering::Release);
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future;
    use tokio::sync::mpsc;

    use super::*;

    /// Counts how often a task was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls `future` once, and answers whether it has ended and how often it has been woken.
    fn polled<T>(
        future: std::pin::Pin<&mut impl Future<Output = T>>,
        woken: &Arc<Woken>,
    ) -> (bool, usize) {
        let waker = Waker::from(Arc::clone(woken));
        let ended = future.poll(&mut Context::from_waker(&waker)).is_ready();
        (ended, woken.0.load(Ordering::Relaxed))
    }

    #[test]
    fn what_parts_tell_each_other_wakes_nobody() {
        let (ask, mut asked) = mpsc::unbounded_channel::<u32>();
        let (tell, mut told) = mpsc::unbounded_channel::<u32>();
        let (begin, mut begun) = mpsc::unbounded_channel::<u32>();
        let works = async move {
            while let Some(it) = asked.recv().await {
                let _gone = tell.send(it + 1);
            }
        };
        let asks = async move {
            let number = begun.recv().await.unwrap();
            ask.send(number).unwrap();
            told.recv().await
        };
        let mut both = pin!(quietly(future::join(works, asks)));
        let woken = Arc::default();
        assert_eq!(polled(both.as_mut(), &woken), (false, 0));
        // From outside, it does.
        begin.send(7).unwrap();
        assert_eq!(polled(both.as_mut(), &woken), (true, 1));
    }

    #[test]
    fn what_always_wakes_itself_leaves_others_their_turn() {
        let polls = AtomicUsize::new(0);
        let restless = poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        let woken = Arc::default();
        assert_eq!(polled(pin!(quietly(restless)), &woken), (false, 1));
        assert_eq!(polls.load(Ordering::Relaxed), ROUNDS_MAX);
    }
}
