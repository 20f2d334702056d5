//! What waits for one connection to take it.
//!
//! In: a bounded queue between the hub, which never waits, and one socket, which may be slow. Not in: what happens to the slow one (`switchboard.rs`).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::hub::{CloseReason, Event};

/// A bounded queue of events. As long as one at a time waits, it needs no memory but its own: most connections are idle most of the time.
pub(crate) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    ended: Notify,
    capacity: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct State {
    /// The oldest event, unless it is in the queue.
    first: Option<Event>,
    queue: VecDeque<Event>,
    /// Bytes that clients have said in these.
    bytes: usize,
    end: Option<CloseReason>,
}

impl State {
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.queue.len()
    }
}

impl Outbox {
    /// One for so many events, and so many bytes in them.
    pub(crate) fn new(capacity: usize, most_bytes: usize) -> Outbox {
        Outbox {
            state: Mutex::default(),
            filled: Notify::new(),
            ended: Notify::new(),
            capacity,
            most_bytes,
        }
    }

    /// Adds an event; `false` if there is no room. In an empty one there is room for any.
    pub(crate) fn push(&self, event: Event) -> bool {
        let bytes = event.payload_bytes();
        let mut state = self.lock();
        let is_full = state.len() >= self.capacity
            || state.len() > 0 && state.bytes + bytes > self.most_bytes;
        if is_full {
            return false;
        }
        state.bytes += bytes;
        match state.len() {
            0 => state.first = Some(event),
            _ => state.queue.push_back(event),
        }
        drop(state);
        self.filled.notify_one();
        true
    }

    /// Makes `reason` the last event. A client that is too slow is not sent the rest either.
    pub(crate) fn end(&self, reason: CloseReason) {
        let mut state = self.lock();
        state.end = Some(reason);
        if reason == CloseReason::TooSlow {
            state.first = None;
            state.queue = VecDeque::new();
            state.bytes = 0;
            self.ended.notify_one();
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Waits for the next event. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.pop() {
                return event;
            }
            self.filled.notified().await;
        }
    }

    /// Waits until the connection has turned out too slow.
    pub(crate) async fn too_slow(&self) {
        self.ended.notified().await;
    }

    /// The next event, if one waits; once the end has come, that, again and again.
    pub(crate) fn pop(&self) -> Option<Event> {
        let mut state = self.lock();
        let first = state.first.take();
        let event = first.or_else(|| state.queue.pop_front());
        let bytes = event.as_ref().map_or(0, Event::payload_bytes);
        state.bytes = state.bytes.saturating_sub(bytes);
        if state.queue.is_empty() && state.queue.capacity() > 0 {
            state.queue = VecDeque::new();
        }
        event.or_else(|| state.end.map(Event::Closed))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The queue is whole at every step: a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{MemberId, Payload, Refusal, SignalKind};

    fn event() -> Event {
        Event::Refused(Refusal::NotJoined)
    }

    #[tokio::test]
    async fn it_holds_so_many_and_not_more() {
        let outbox = Outbox::new(64, 1_000);
        for _ in 0..64 {
            assert!(outbox.push(event()));
        }
        assert!(!outbox.push(event()));
        outbox.next().await;
        assert!(outbox.push(event()));
    }

    #[tokio::test]
    async fn it_holds_so_many_bytes_and_always_one_event() {
        let said = |bytes: usize| {
            let text = format!("{:?}", "x".repeat(bytes - 2));
            let raw = serde_json::value::RawValue::from_string(text).unwrap();
            Event::Signal {
                kind: SignalKind::Opaque,
                from: MemberId(1),
                receiver: None,
                data: Payload::from(raw),
            }
        };
        let outbox = Outbox::new(64, 1_000);
        for _ in 0..3 {
            assert!(outbox.push(said(2_000)), "it is empty");
            assert!(!outbox.push(said(10)));
            outbox.next().await;
            assert!(outbox.push(said(500)) && outbox.push(said(500)) && outbox.push(event()));
            assert!(!outbox.push(said(10)));
            for _ in 0..3 {
                outbox.next().await;
            }
        }
    }

    #[tokio::test]
    async fn what_waits_comes_in_its_order_however_much_waited_before() {
        let outbox = Outbox::new(64, 1_000);
        let (mut told, mut heard) = (0, 0);
        for waiting in [1, 3, 2, 1, 5] {
            for _ in 0..waiting {
                told += 1;
                outbox.push(Event::PeerAway(MemberId(told)));
            }
            // One stays behind, so that what comes next finds the oldest taken.
            for _ in 1..waiting {
                heard += 1;
                assert!(
                    matches!(outbox.next().await, Event::PeerAway(MemberId(id)) if id == heard)
                );
            }
        }
        assert_eq!(told - heard, 5);
    }

    #[tokio::test]
    async fn the_end_comes_after_what_waits() {
        let outbox = Outbox::new(64, 1_000);
        outbox.push(event());
        outbox.end(CloseReason::Bye);
        assert!(matches!(outbox.next().await, Event::Refused(_)));
        assert!(matches!(
            outbox.next().await,
            Event::Closed(CloseReason::Bye)
        ));
    }

    #[tokio::test]
    async fn who_is_too_slow_gets_the_end_at_once() {
        let outbox = Outbox::new(64, 1_000);
        outbox.push(event());
        outbox.end(CloseReason::TooSlow);
        outbox.too_slow().await;
        assert!(matches!(
            outbox.next().await,
            Event::Closed(CloseReason::TooSlow)
        ));
    }

    #[tokio::test]
    async fn an_empty_one_holds_no_memory() {
        let outbox = Outbox::new(64, 1_000);
        outbox.push(event());
        assert_eq!(outbox.lock().queue.capacity(), 0, "nor does one event");
        outbox.push(event());
        outbox.next().await;
        outbox.next().await;
        assert_eq!(outbox.lock().queue.capacity(), 0);
    }
}
