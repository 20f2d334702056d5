//! The other workers, as one of them sees them: where packets go whose client lives on another worker.
//!
//! UDP may lose packets, so nobody waits here: what a busy colleague has not taken yet is bounded, and more is dropped.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use turn_proto::Passed;

use crate::{mailbox::Mailbox, worker::Command};

/// Packets that may wait for one worker: what it takes within two turns.
const WAITING: usize = 2048;

/// One worker, as the others reach it.
#[derive(Clone)]
pub(crate) struct Colleague {
    mailbox: Mailbox,
    waiting: Arc<AtomicUsize>,
    /// Whether it has to be woken for what was passed on to it.
    told: bool,
}

impl Colleague {
    pub(crate) fn new(mailbox: Mailbox) -> Self {
        Self {
            mailbox,
            waiting: Arc::default(),
            told: false,
        }
    }
}

/// All workers by number, the one who holds this among them.
pub(crate) struct Colleagues(Vec<Colleague>);

impl Colleagues {
    pub(crate) fn new(colleagues: Vec<Colleague>) -> Self {
        Self(colleagues)
    }

    /// Passes a packet on; false if it is lost.
    pub(crate) fn pass_on(&mut self, worker: u16, passed: Passed) -> bool {
        let Some(colleague) = self.0.get_mut(usize::from(worker)) else {
            return false;
        };
        if colleague.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            colleague.waiting.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        colleague.told = true;
        colleague.mailbox.leave(Command::Passed(passed))
    }

    /// Wakes those to whom something was passed on: once in a turn, however much it was.
    pub(crate) fn wake(&mut self) {
        for colleague in &mut self.0 {
            if std::mem::take(&mut colleague.told) {
                colleague.mailbox.wake();
            }
        }
    }

    /// One of the packets passed on to `worker` has been taken.
    pub(crate) fn taken(&self, worker: u16) {
        if let Some(colleague) = self.0.get(usize::from(worker)) {
            colleague.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use mio::Poll;
    use turn_proto::{Member, Passed};

    use super::{Colleague, Colleagues, WAITING};
    use crate::{mailbox::Mailbox, worker::Command};

    #[test]
    fn what_a_colleague_does_not_take_is_dropped_at_a_bound() {
        let poll = Poll::new().unwrap();
        let (mailbox, inbox) = Mailbox::open(&poll).unwrap();
        let mut colleagues = Colleagues::new(vec![Colleague::new(mailbox)]);
        let passed = || Passed {
            to: Member::default(),
            from: "127.0.0.1:1".parse().unwrap(),
            payload: b"x".to_vec(),
        };
        assert!(
            !colleagues.pass_on(1, passed()),
            "there is no second worker"
        );
        for _ in 0..WAITING {
            assert!(colleagues.pass_on(0, passed()));
        }
        assert!(!colleagues.pass_on(0, passed()));
        assert!(matches!(inbox.recv(), Ok(Command::Passed(_))));
        colleagues.taken(0);
        assert!(colleagues.pass_on(0, passed()));
        assert!(!colleagues.pass_on(0, passed()));
    }
}
