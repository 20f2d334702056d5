//! The handle on running workers: counters, commands, the end, and noticing that one has failed.

use std::{
    fmt, io,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tracing::error;
use turn_proto::{Admin, IpRange, Piece, Selection, SessionId, SessionRecord, SessionView};

use crate::{
    Dtls, Endpoints, FailureHook, Listening, Opening, Spoken, StartError, Stats, Tls, Tuning, bind,
    doors::Doors, mailbox::Mailbox, worker::Command,
};

/// Times that workers are asked whether they have closed what nobody wants any more; they have by the second.
const SETTLING: usize = 64;

/// Running workers. Dropping it stops them and waits for their threads.
pub struct Workers {
    handles: Vec<Handle>,
    /// Large, and of use at a reload only.
    doors: Box<Doors>,
    failures: Failures,
}

/// A worker that has ended without being told to. Its sockets are closed and its sessions lost.
///
/// The kernel then deals clients anew over the workers that are left, so their datagram sessions may break as well: new
/// clients are served, but a server that wants to be whole again starts anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerFailure {
    /// Which one, from zero.
    pub worker: usize,
    /// The message of its panic, or the error that ended it.
    pub reason: String,
}

impl fmt::Display for WorkerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} failed: {}", self.worker, self.reason)
    }
}

impl Workers {
    pub(crate) fn new(handles: Vec<Handle>, doors: Doors, failures: Failures) -> Self {
        Self {
            handles,
            doors: Box::new(doors),
            failures,
        }
    }

    /// What is listened on, in the order it was asked for: datagrams first, real ports.
    pub fn listening(&self) -> Vec<Listening> {
        self.doors.table.listening()
    }

    /// What is not listened on any more and still has sessions, with their number. The sockets are closed when it is none.
    pub fn retired(&self) -> Vec<(Listening, usize)> {
        let retired = self.doors.table.retired();
        let count = |(listening, link)| {
            let (answer, answers) = mpsc::channel();
            for handle in &self.handles {
                handle.send(Command::SessionsAt(link, answer.clone()));
            }
            drop(answer);
            (listening, answers.into_iter().sum())
        };
        retired.map(count).collect()
    }

    /// Opens sockets for other addresses, to listen there as well or instead; binds to relay addresses as well, to try them.
    /// Nobody is served on any of them before [`Workers::turn_to`], and dropping them closes them.
    ///
    /// # Errors
    /// When one of the addresses cannot be had; then nothing is left behind, and everything goes on as it was.
    pub fn open(
        &self,
        endpoints: &Endpoints,
        relay_addresses: &[IpAddr],
    ) -> Result<Opening, StartError> {
        // What has sessions now may be wanted again, and what has none is closed before others are opened.
        let _held = self.doors.table.hold();
        self.settle();
        let opening = self.doors.open(endpoints)?;
        bind::try_relays(&self.doors.config, relay_addresses)?;
        Ok(opening)
    }

    /// Listens on what was opened by the last [`Workers::open`], and on nothing else, and speaks what is to be spoken there.
    ///
    /// Connections go on. A datagram socket that is not wanted any more still serves who has a session on it, until there is
    /// none; what others send there is dropped and counted. When it is wanted again it serves everybody again.
    pub fn turn_to(&mut self, opening: Opening, spoken: &Spoken) {
        for handle in &self.handles {
            handle.send(Command::Speak(spoken.clone()));
        }
        self.doors.turn_to(opening);
    }

    /// Waits until the workers have closed what they were told to close.
    fn settle(&self) {
        // Once for what was shut by order. What a worker has found to be of no use is closed a letter later.
        self.stats();
        for _ in 0..SETTLING {
            if !self.doors.table.is_closing() {
                break;
            }
            self.stats();
        }
    }

    /// How many workers there are, failed ones included.
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Asks every worker for its counters and adds them up; what a failed worker had counted is missing.
    ///
    /// Waits until each has finished its present turn, some milliseconds at most.
    pub fn stats(&self) -> Stats {
        let (answer, answers) = mpsc::channel();
        for handle in &self.handles {
            handle.send(Command::Stats(answer.clone()));
        }
        drop(answer);
        // Ends when every worker has answered, or has dropped the question with its channel.
        let mut sum = Stats::default();
        for stats in answers {
            sum += stats;
        }
        sum
    }

    /// Asks every worker for a sign of life, and tells which give none within that time: hanging ones, and failed ones.
    pub fn silent(&self, within: Duration) -> Vec<usize> {
        let (answer, answers) = mpsc::channel();
        for (number, handle) in self.handles.iter().enumerate() {
            handle.send(Command::Alive(number, answer.clone()));
        }
        drop(answer);
        let deadline = Instant::now() + within;
        let mut silent: Vec<usize> = (0..self.handles.len()).collect();
        while !silent.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(alive) = answers.recv_timeout(left) else {
                break;
            };
            silent.retain(|number| *number != alive);
        }
        silent
    }

    /// Asks every worker for its allocations. Like [`Workers::stats`], but it takes a worker a microsecond for each of them.
    pub fn sessions(&self) -> Vec<SessionRecord> {
        let (answer, answers) = mpsc::channel();
        for handle in &self.handles {
            handle.send(Command::Sessions(answer.clone()));
        }
        drop(answer);
        answers.into_iter().flatten().collect()
    }

    /// Asks one worker to describe selected sessions, from a place on: zero, or where the piece before says to go on. It looks at
    /// a bounded number of them, between its packets. `None` when there is no such worker any more.
    pub fn list(
        &self,
        worker: usize,
        selection: &Arc<Selection>,
        first: u32,
    ) -> Option<Piece<SessionView>> {
        self.ask(worker, |answer| {
            Command::List(Arc::clone(selection), first, answer)
        })
    }

    /// Asks one worker to end selected sessions, from a place on, as [`Workers::list`] does.
    pub fn end(
        &self,
        worker: usize,
        selection: &Arc<Selection>,
        first: u32,
    ) -> Option<Piece<SessionId>> {
        self.ask(worker, |answer| {
            Command::End(Arc::clone(selection), first, answer)
        })
    }

    fn ask<T>(
        &self,
        worker: usize,
        question: impl FnOnce(mpsc::Sender<T>) -> Command,
    ) -> Option<T> {
        let (answer, answers) = mpsc::channel();
        self.handles.get(worker)?.send(question(answer));
        // A worker that has failed drops the question with its channel.
        answers.recv().ok()
    }

    /// Passes a command to every worker, which obeys it in its next turn.
    pub fn command(&self, command: Admin) {
        for handle in &self.handles {
            handle.send(Command::Admin(command.clone()));
        }
    }

    /// Serves connections that come from now on with these settings, for one with a renewed certificate. Open connections
    /// keep the settings that they began with.
    pub fn secure_with(&self, tls: &Tls) {
        for handle in &self.handles {
            handle.send(Command::Tls(tls.clone()));
        }
    }

    /// The same for DTLS associations; without an effect where DTLS is off.
    pub fn secure_datagrams_with(&self, dtls: &Dtls) {
        for handle in &self.handles {
            handle.send(Command::Dtls(dtls.clone()));
        }
    }

    /// Believes these proxies from now on, and no others ([`crate::Config::proxies`]); connections that are open go on.
    pub fn trust_proxies(&self, proxies: &[IpRange]) {
        for handle in &self.handles {
            handle.send(Command::Proxies(proxies.to_vec()));
        }
    }

    /// Is as patient with connections as this from now on, open ones included.
    pub fn tune(&self, tuning: Tuning) {
        for handle in &self.handles {
            handle.send(Command::Tune(tuning));
        }
    }

    /// The first worker that has failed, if one has.
    pub fn failed(&self) -> Option<WorkerFailure> {
        self.failures.first()
    }

    /// Stops all workers and waits until their sockets are closed.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for handle in &self.handles {
            handle.send(Command::Stop);
        }
        for handle in &mut self.handles {
            handle.join();
        }
    }
}

/// One worker's thread.
pub(crate) struct Handle {
    mailbox: Mailbox,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Starts a thread that runs a worker to its end and tells of a bad one.
    pub(crate) fn spawn(
        number: usize,
        mailbox: Mailbox,
        failures: Failures,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let body = move || {
            // Everything the worker owned is dropped when it unwinds, so nothing inconsistent is seen afterwards.
            let reason = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => message_of(&*panic),
            };
            failures.tell(WorkerFailure {
                worker: number,
                reason,
            });
        };
        let thread = thread::Builder::new()
            .name(format!("relay-{number}"))
            .spawn(body)?;
        Ok(Self {
            mailbox,
            thread: Some(thread),
        })
    }

    fn send(&self, command: Command) {
        self.mailbox.send(command);
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    /// Stops the worker when a later one could not be started.
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.send(Command::Stop);
            self.join();
        }
    }
}

/// Where workers tell of their failure.
#[derive(Clone)]
pub(crate) struct Failures {
    first: Arc<Mutex<Option<WorkerFailure>>>,
    hook: Option<FailureHook>,
}

impl Failures {
    pub(crate) fn new(hook: Option<FailureHook>) -> Self {
        Self {
            first: Arc::default(),
            hook,
        }
    }

    fn first(&self) -> Option<WorkerFailure> {
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn tell(&self, failure: WorkerFailure) {
        error!(
            worker = failure.worker,
            reason = failure.reason,
            "worker failed"
        );
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| failure.clone());
        if let Some(hook) = &self.hook {
            hook(&failure);
        }
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}
