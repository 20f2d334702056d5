//! The hub in virtual time: a lab in which users send commands and look into their inboxes.

mod calls;
mod peers;
mod presence;
mod reports;
mod resume;
mod rooms;
mod sequences;
mod signals;
mod streams;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;

use super::*;

/// A hub, its time, and what every connection was told, as short lines.
pub(super) struct Lab {
    pub(super) hub: Hub,
    now: Duration,
    inboxes: BTreeMap<u64, Vec<String>>,
    next_member: u64,
    /// The latest resume key of each connection.
    keys: BTreeMap<u64, ResumeKey>,
}

impl Lab {
    pub(super) fn new() -> Lab {
        Lab::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Lab {
        let (inboxes, keys) = (BTreeMap::new(), BTreeMap::new());
        Lab {
            hub: Hub::new(limits),
            now: Duration::from_secs(1_000),
            inboxes,
            next_member: 0,
            keys,
        }
    }

    /// A lab with one connection per user, numbered from 1, whose greetings were read.
    pub(super) fn of(users: &[&str]) -> Lab {
        let mut lab = Lab::new();
        for (id, user) in (1..).zip(users) {
            lab.connect(id, user);
            lab.read(id);
        }
        lab
    }

    pub(super) fn connect(&mut self, id: u64, who: &str) {
        let out = self.hub.connect(
            self.now,
            ConnectionId(id),
            Identity {
                user: user(who),
                listed: true,
                name: None,
            },
        );
        self.sort(out);
    }

    pub(super) fn close(&mut self, id: u64) {
        let out = self
            .hub
            .disconnect(self.now, ConnectionId(id), Departure::Closed);
        self.sort(out);
    }

    pub(super) fn lose(&mut self, id: u64) {
        let out = self
            .hub
            .disconnect(self.now, ConnectionId(id), Departure::Lost);
        self.sort(out);
    }

    pub(super) fn send(&mut self, id: u64, command: Command) {
        let out = self.hub.handle(self.now, ConnectionId(id), command);
        self.sort(out);
    }

    /// Lets time pass, waking the hub exactly when it wants to be woken.
    pub(super) fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(at) = self.hub.poll_timeout().filter(|at| *at <= until) {
            assert!(at >= self.now, "the hub wants to be woken in the past");
            self.now = at;
            let out = self.hub.on_timeout(at);
            self.sort(out);
        }
        self.now = until;
    }

    pub(super) fn wait_secs(&mut self, secs: u64) {
        self.wait(Duration::from_secs(secs));
    }

    /// Takes what a connection was told.
    pub(super) fn read(&mut self, id: u64) -> Vec<String> {
        self.inboxes.remove(&id).unwrap_or_default()
    }

    /// Forgets what all were told so far.
    pub(super) fn clear(&mut self) {
        self.inboxes.clear();
    }

    fn sort(&mut self, out: Outbound) {
        for (ConnectionId(id), event) in out {
            if let Event::Joined(joined) = &event {
                self.keys.insert(id, joined.resume);
            }
            self.inboxes.entry(id).or_default().push(line(&event));
        }
    }

    pub(super) fn join(&mut self, id: u64, room: &str) -> MemberId {
        self.enter(id, RoomKind::Mesh, room, Role::Peer, None)
    }

    /// Joins with the key that connection `of` was given.
    pub(super) fn rejoin(&mut self, id: u64, room: &str, of: u64) -> MemberId {
        let key = self.keys[&of];
        self.enter(id, RoomKind::Mesh, room, Role::Peer, Some(key))
    }

    pub(super) fn enter(
        &mut self,
        id: u64,
        kind: RoomKind,
        room: &str,
        role: Role,
        resume: Option<ResumeKey>,
    ) -> MemberId {
        self.next_member += 1;
        let member = MemberId(self.next_member);
        let seat = Seat {
            member,
            resume: ResumeKey(u128::from(self.next_member) << 64),
        };
        let room = RoomId {
            kind,
            name: name(room),
        };
        self.send(
            id,
            Command::Join(Join {
                room,
                name: None,
                role,
                seat,
                resume,
            }),
        );
        member
    }

    pub(super) fn tell(&mut self, id: u64, to: MemberId, text: &str) {
        self.send(
            id,
            Command::Signal {
                kind: SignalKind::Opaque,
                to: Some(to),
                data: payload(text),
            },
        );
    }

    pub(super) fn initiate(&mut self, id: u64, id_of_call: &str, recipients: &[&str]) {
        let recipients = recipients.iter().map(|recipient| user(recipient)).collect();
        self.send(
            id,
            Command::CallInitiate {
                call: call(id_of_call),
                recipients,
                call_type: CallType::Video,
            },
        );
    }

    pub(super) fn offer(&mut self, id: u64, to: &str, sdp: &str) {
        self.call_signal(id, SignalKind::Offer, to, sdp);
    }

    pub(super) fn answer(&mut self, id: u64, to: &str, sdp: &str) {
        self.call_signal(id, SignalKind::Answer, to, sdp);
    }

    pub(super) fn candidate(&mut self, id: u64, to: &str, candidate: &str) {
        self.call_signal(id, SignalKind::Candidate, to, candidate);
    }

    pub(super) fn renegotiate(&mut self, id: u64, to: &str, sdp: &str) {
        self.call_signal(id, SignalKind::Renegotiate, to, sdp);
    }

    /// Signals in the call `c`, with which most tests get along.
    pub(super) fn call_signal(&mut self, id: u64, kind: SignalKind, to: &str, text: &str) {
        self.send(
            id,
            Command::CallSignal(CallSignal {
                kind,
                call: call("c"),
                to: user(to),
                data: payload(text),
            }),
        );
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn user(text: &str) -> UserId {
    UserId(name(text))
}

pub(super) fn call(text: &str) -> CallId {
    CallId(name(text))
}

pub(super) fn payload(text: &str) -> Payload {
    RawValue::from_string(serde_json::to_string(text).unwrap())
        .unwrap()
        .into()
}

fn peer_line(message: &PeerMessage) -> String {
    let data = message
        .data
        .as_ref()
        .map(|data| data.as_str().trim_matches('"'));
    let (kind, from) = (message.kind, &message.from.0);
    format!("{kind:?} {from} {}", data.unwrap_or_default())
        .trim_end()
        .to_owned()
}

/// An event as a short line.
pub(super) fn line(event: &Event) -> String {
    let text = |payload: &Payload| serde_json::from_str::<String>(payload.as_str()).unwrap();
    let why = |reason: &Option<EndReason>| {
        reason
            .map(|reason| format!(" {reason:?}"))
            .unwrap_or_default()
    };
    let id = |member: &MemberId| member.0;
    let list = |users: &[UserId]| {
        users
            .iter()
            .map(|user| user.0.as_str())
            .collect::<Vec<_>>()
            .join(",")
    };
    match event {
        Event::Connected(user) => format!("connected {}", user.0),
        Event::Joined(joined) => {
            let members: Vec<String> = joined
                .members
                .iter()
                .map(|member| member.id.0.to_string())
                .collect();
            let again = if joined.resumed { "resumed" } else { "joined" };
            format!(
                "{again} {} as {} with [{}]",
                joined.room.name,
                joined.own.id.0,
                members.join(",")
            )
        }
        Event::Left(room) => format!("left {}", room.name),
        Event::PeerJoined(member) => format!("peer-joined {} {:?}", id(&member.id), member.role),
        Event::PeerLeft { member, reason } => format!("peer-left {} {reason:?}", id(&member.id)),
        Event::PeerAway(member) => format!("peer-away {}", id(member)),
        Event::PeerBack(member) => format!("peer-back {}", id(member)),
        Event::Signal {
            kind: SignalKind::Opaque,
            from,
            receiver: None,
            data,
        } => format!("signal {} {}", id(from), text(data)),
        Event::Signal {
            kind,
            from,
            receiver,
            data,
        } => {
            format!(
                "{kind:?} {} {} about {:?}",
                id(from),
                text(data),
                receiver.map(|receiver| receiver.0)
            )
        }
        Event::IncomingCall {
            call,
            initiator,
            offer,
            ..
        } => format!(
            "incoming-call {} {} {}",
            call.0,
            initiator.0,
            offer.as_ref().map(text).unwrap_or_default()
        )
        .trim_end()
        .to_owned(),
        Event::CallAnswered { call, user } => format!("call-answered {} {}", call.0, user.0),
        Event::CallRejected { call, user, reason } => {
            format!("call-rejected {} {}{}", call.0, user.0, why(reason))
        }
        Event::CallEnded {
            call,
            ended_by,
            reason,
        } => format!("call-ended {} {}{}", call.0, ended_by.0, why(reason)),
        Event::CallSignal {
            kind,
            call,
            from,
            data,
        } => format!("{kind:?} {} {} {}", call.0, from.0, text(data)),
        Event::CallNotice { call, from, notice } => {
            format!("{notice:?} {} {}", call.0, from.0)
        }
        Event::Presence { users, total } => format!("presence [{}] of {total}", list(users)),
        Event::PresenceChanged { online, offline } => {
            format!("presence +[{}] -[{}]", list(online), list(offline))
        }
        Event::PeerClaimed(id) => format!("claimed {}", id.0),
        Event::Peer(message) => peer_line(message),
        Event::PeerBacklog(messages) => {
            let lines: Vec<String> = messages.iter().map(peer_line).collect();
            format!("backlog [{}]", lines.join(", "))
        }
        Event::Refused(refusal) => format!("refused {}", refusal.code()),
        Event::Closed(reason) => format!("closed {reason:?}"),
    }
}
