//! Random sequences of everything that can happen, and what has to hold whatever happens.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const CONNECTIONS: u64 = 8;
const USERS: u64 = 4;

/// What may happen next. Small numbers, so that things meet.
#[derive(Clone, Debug)]
enum Step {
    Connect(u64),
    Close(u64),
    Lose(u64),
    Join {
        id: u64,
        room: u64,
        resume: bool,
    },
    Leave(u64),
    Tell {
        id: u64,
        to: u64,
    },
    Initiate {
        id: u64,
        call: u64,
        to: Vec<u64>,
    },
    Answer {
        id: u64,
        call: u64,
    },
    Reject {
        id: u64,
        call: u64,
    },
    End {
        id: u64,
        call: u64,
    },
    Say {
        id: u64,
        kind: usize,
        call: u64,
        to: u64,
    },
    Watch {
        id: u64,
        watch: bool,
    },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..CONNECTIONS;
    prop_oneof![
        6 => id().prop_map(Step::Connect),
        2 => id().prop_map(Step::Close),
        2 => id().prop_map(Step::Lose),
        6 => (id(), 0..2_u64, any::<bool>()).prop_map(|(id, room, resume)| Step::Join { id, room, resume }),
        1 => id().prop_map(Step::Leave),
        8 => (id(), 0..40_u64).prop_map(|(id, to)| Step::Tell { id, to }),
        4 => (id(), 0..3_u64, prop::collection::vec(0..USERS, 1..3)).prop_map(|(id, call, to)| Step::Initiate { id, call, to }),
        3 => (id(), 0..3_u64).prop_map(|(id, call)| Step::Answer { id, call }),
        1 => (id(), 0..3_u64).prop_map(|(id, call)| Step::Reject { id, call }),
        1 => (id(), 0..3_u64).prop_map(|(id, call)| Step::End { id, call }),
        9 => (id(), 0..4_usize, 0..3_u64, 0..USERS).prop_map(|(id, kind, call, to)| Step::Say { id, kind, call, to }),
        1 => (id(), any::<bool>()).prop_map(|(id, watch)| Step::Watch { id, watch }),
        3 => (0..30_u64).prop_map(Step::Wait),
    ]
}

const KINDS: [SignalKind; 4] = [
    SignalKind::Offer,
    SignalKind::Answer,
    SignalKind::Candidate,
    SignalKind::Renegotiate,
];

/// The hub and what an onlooker concludes from what it says.
struct Watch {
    hub: Hub,
    now: Duration,
    /// User and room of each open connection, as it was told.
    open: BTreeMap<u64, (UserId, Option<(RoomId, MemberId)>)>,
    keys: BTreeMap<u64, ResumeKey>,
    counter: u64,
    /// The last number that passed from one member to another.
    passed: BTreeMap<(MemberId, MemberId), u64>,
    /// Members that each member was told about and not told of leaving.
    known: BTreeMap<MemberId, Vec<MemberId>>,
}

impl Watch {
    fn new() -> Watch {
        let now = Duration::from_secs(1);
        Watch {
            hub: Hub::new(Limits::default()),
            now,
            open: BTreeMap::new(),
            keys: BTreeMap::new(),
            counter: 0,
            passed: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn take(&mut self, step: Step) {
        let user = |n: u64| super::user(&format!("u{}", n % USERS));
        let call = |n: u64| super::call(&format!("c{n}"));
        match step {
            Step::Connect(id) => {
                if let std::collections::btree_map::Entry::Vacant(entry) = self.open.entry(id) {
                    entry.insert((user(id), None));
                    let out = self.hub.connect(
                        self.now,
                        ConnectionId(id),
                        Identity {
                            user: user(id),
                            listed: true,
                            name: None,
                        },
                    );
                    self.judge(out);
                }
            }
            Step::Close(id) | Step::Lose(id) => {
                let how = if matches!(step, Step::Close(_)) {
                    Departure::Closed
                } else {
                    Departure::Lost
                };
                if self.open.remove(&id).is_some() {
                    let out = self.hub.disconnect(self.now, ConnectionId(id), how);
                    self.judge(out);
                }
            }
            Step::Join { id, room, resume } => {
                let n = self.number();
                let resume = self.keys.get(&id).copied().filter(|_| resume);
                let seat = Seat {
                    member: MemberId(n),
                    resume: ResumeKey(u128::from(n)),
                };
                let room = RoomId {
                    kind: RoomKind::Mesh,
                    name: name(&format!("r{room}")),
                };
                self.command(
                    id,
                    Command::Join(Join {
                        room,
                        name: None,
                        role: Role::Peer,
                        seat,
                        resume,
                    }),
                );
            }
            Step::Leave(id) => {
                if let Some((_, place)) = self.open.get_mut(&id) {
                    *place = None;
                }
                self.command(id, Command::Leave);
            }
            Step::Tell { id, to } => {
                let data = payload(&self.number().to_string());
                self.command(
                    id,
                    Command::Signal {
                        kind: SignalKind::Opaque,
                        to: Some(MemberId(to)),
                        data,
                    },
                );
            }
            Step::Initiate { id, call: c, to } => {
                let recipients = to.into_iter().map(user).collect();
                self.command(
                    id,
                    Command::CallInitiate {
                        call: call(c),
                        recipients,
                        call_type: CallType::Audio,
                    },
                );
            }
            Step::Answer { id, call: c } => self.command(id, Command::CallAnswer(call(c))),
            Step::Reject { id, call: c } => self.command(id, Command::CallReject(call(c))),
            Step::End { id, call: c } => self.command(id, Command::CallEnd(call(c))),
            Step::Say {
                id,
                kind,
                call: c,
                to,
            } => {
                let data = payload(&self.number().to_string());
                self.command(
                    id,
                    Command::CallSignal(CallSignal {
                        kind: KINDS[kind],
                        call: call(c),
                        to: user(to),
                        data,
                    }),
                );
            }
            Step::Watch { id, watch } => self.command(id, Command::Presence { watch: Some(watch) }),
            Step::Wait(secs) => self.wait(Duration::from_secs(secs)),
        }
    }

    fn command(&mut self, id: u64, command: Command) {
        // Members of a call before the command: only they may hear of it.
        let out = self.hub.handle(self.now, ConnectionId(id), command);
        if !self.open.contains_key(&id) {
            assert!(
                out.is_empty(),
                "a command of an unknown connection had an effect"
            );
        }
        self.judge(out);
    }

    fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(at) = self.hub.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            let out = self.hub.on_timeout(self.now);
            self.judge(out);
            assert!(
                self.hub.poll_timeout().is_none_or(|next| next > self.now),
                "a deadline that does not go away"
            );
        }
        self.now = until;
    }

    /// What has to hold for every event.
    fn judge(&mut self, out: Outbound) {
        for (ConnectionId(id), event) in out {
            let (user, place) = self
                .open
                .get_mut(&id)
                .unwrap_or_else(|| panic!("{} to a closed connection", line(&event)));
            match &event {
                Event::Joined(joined) => {
                    *place = Some((joined.room.clone(), joined.own.id));
                    self.keys.insert(id, joined.resume);
                    assert!(
                        joined.members.len() < Limits::default().members,
                        "more members than places"
                    );
                    self.known.insert(
                        joined.own.id,
                        joined.members.iter().map(|member| member.id).collect(),
                    );
                }
                Event::Closed(_) => {
                    self.open.remove(&id);
                    self.hub
                        .disconnect(self.now, ConnectionId(id), Departure::Lost);
                    return;
                }
                Event::PeerJoined(member) => {
                    let (_, own) = place.as_ref().expect("told of a member outside a room");
                    self.known.entry(*own).or_default().push(member.id);
                }
                Event::PeerLeft { member, .. } => {
                    let (_, own) = place.as_ref().expect("told of a member outside a room");
                    self.known
                        .entry(*own)
                        .or_default()
                        .retain(|known| *known != member.id);
                }
                Event::Signal { from, data, .. } => {
                    let (_, own) = place.as_ref().expect("a signal outside a room");
                    assert!(
                        self.known[own].contains(from),
                        "a signal of somebody who is not in the room"
                    );
                    let number: u64 = serde_json::from_str::<String>(data.as_str())
                        .unwrap()
                        .parse()
                        .unwrap();
                    let last = self.passed.insert((*from, *own), number).unwrap_or(0);
                    assert!(
                        last < number,
                        "signals of a pair out of order: {number} after {last}"
                    );
                }
                Event::CallSignal { call, from, .. } => {
                    let record = self.hub.call_record(call);
                    let members = record.expect("a signal of no call").participants;
                    assert!(
                        members.contains(user) && members.contains(from),
                        "a call's signal to or from a stranger"
                    );
                    assert_ne!(user, from, "an echo");
                }
                _ => {}
            }
        }
    }

    fn check_bounds(&self) {
        let census = self.hub.census();
        assert_eq!(census.connections, self.open.len());
        assert!(census.calls <= 3 && census.rooms <= 2, "{census:?}");
        // At most: two per call, two per member of a call, one per member of a room, one for presence.
        assert!(
            census.timers <= census.calls * 14 + census.rooms * 6 + 1,
            "{census:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_sequence_breaks_membership_order_or_bounds(steps in prop::collection::vec(step(), 1..120)) {
        let mut watch = Watch::new();
        for step in steps {
            watch.take(step);
            watch.check_bounds();
        }
        for id in 0..CONNECTIONS {
            watch.take(Step::Lose(id));
        }
        watch.wait(Duration::from_secs(120));
        prop_assert_eq!(watch.hub.census(), Census::default(), "something is left when everybody is gone");
    }
}
