//! Nodes around a log without Redis, in virtual time.

use std::time::Duration;

use super::LogId;
use super::desk::Desk;
use super::entry::{Deed, Entry, NodeId};
use super::replica::Read;
use crate::calllog::RecordId;
use crate::hub::{
    CallId, CallType, Command, ConnectionId, Departure, Event, Identity, Join, Limits, MemberId,
    Name, Outbound, Payload, ResumeKey, Role, RoomId, RoomKind, Seat, SignalKind, UserId,
};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn user(text: &str) -> UserId {
    UserId(name(text))
}

/// What stands for Redis, and nodes that read it when they can.
struct Lab {
    now: Duration,
    log: Vec<(LogId, Vec<u8>)>,
    nodes: Vec<Lived>,
    lives: u64,
}

struct Lived {
    desk: Desk,
    reachable: bool,
    alive: bool,
    told: Vec<(u64, String)>,
    beaten: Duration,
}

impl Lab {
    fn new() -> Lab {
        Lab {
            now: Duration::from_secs(1_700_000_000),
            log: Vec::new(),
            nodes: Vec::new(),
            lives: 0,
        }
    }

    /// A lab with nodes that have come in.
    fn of(nodes: usize) -> Lab {
        let mut lab = Lab::new();
        for node in 0..nodes {
            lab.start(&format!("n{node}"));
            lab.come_in(node);
        }
        lab
    }

    fn start(&mut self, called: &str) -> usize {
        self.lives += 1;
        let me = NodeId {
            name: Some(name(called)),
            life: self.lives,
        };
        self.nodes.push(Lived {
            desk: Desk::new(me, Limits::default(), self.now),
            reachable: true,
            alive: true,
            told: Vec::new(),
            beaten: self.now,
        });
        self.nodes.len() - 1
    }

    fn append(&mut self, bytes: Vec<u8>) -> LogId {
        let millis = u64::try_from(self.now.as_millis()).unwrap();
        let number = u64::try_from(self.log.len()).unwrap();
        let id = LogId { millis, number };
        self.log.push((id, bytes));
        id
    }

    /// As `link.rs` does it: asks, takes the answer or founds.
    fn come_in(&mut self, node: usize) {
        self.nodes[node].reachable = true;
        let question = self.nodes[node].desk.question().unwrap();
        let asked_at = self.append(question);
        self.read_all();
        let me = self.nodes[node].desk.me().clone();
        let mut answers = self
            .nodes
            .iter_mut()
            .filter_map(|other| other.desk.answer());
        match answers.find(|(asking, _)| *asking == me) {
            Some((_, state)) => {
                let (at, replica) = postcard::from_bytes(&state).unwrap();
                assert_eq!(at, asked_at);
                self.nodes[node].desk.come_in(at, replica);
            }
            None => self.nodes[node].desk.found(asked_at),
        }
        self.settle();
    }

    /// All write and read until there is nothing left.
    fn settle(&mut self) {
        loop {
            let mut written = Vec::new();
            for node in self
                .nodes
                .iter_mut()
                .filter(|node| node.alive && node.reachable)
            {
                while let Some(bytes) = node.desk.next().unwrap() {
                    written.push(bytes);
                }
            }
            let done = written.is_empty();
            for bytes in written {
                self.append(bytes);
            }
            self.read_all();
            if done {
                return;
            }
        }
    }

    fn read_all(&mut self) {
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if !node.alive || !node.reachable {
                continue;
            }
            let Some(from) = node.desk.reading_from() else {
                continue;
            };
            let mut apart = false;
            for (at, bytes) in self
                .log
                .iter()
                .filter(|(at, _)| (at.millis, at.number) > (from.millis, from.number))
            {
                let (read, out) = node.desk.read(*at, Entry::decode(bytes).unwrap());
                tell(&mut node.told, out);
                assert_ne!(read, Read::Gap);
                apart |= matches!(read, Read::Replaced | Read::Buried);
                if apart {
                    break;
                }
            }
            if apart || node.desk.is_buried() {
                let out = node.desk.go_alone(self.now);
                tell(&mut node.told, out);
                self.come_in(index);
            }
        }
    }

    /// Time passes, in which the living beat.
    fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while self.now < until {
            self.now += Duration::from_millis(250);
            for node in self.nodes.iter_mut().filter(|node| node.alive) {
                if node.desk.is_logging()
                    && node.reachable
                    && self.now >= node.beaten + Duration::from_secs(1)
                {
                    node.beaten = self.now;
                    let _ = node.desk.happens(self.now, Deed::Beat);
                }
                if node
                    .desk
                    .hub()
                    .poll_timeout()
                    .is_some_and(|at| at <= self.now)
                {
                    let out = node.desk.on_timeout(self.now);
                    tell(&mut node.told, out);
                }
            }
            self.settle();
        }
    }

    fn happens(&mut self, node: usize, deed: Deed) {
        let node = &mut self.nodes[node];
        let out = node.desk.happens(self.now, deed);
        tell(&mut node.told, out);
        self.settle();
    }

    fn connect(&mut self, node: usize, id: u64, who: &str) {
        let identity = Identity {
            user: user(who),
            listed: true,
            name: None,
        };
        self.happens(node, Deed::Connect(ConnectionId(id), identity));
    }

    fn command(&mut self, node: usize, id: u64, command: Command) {
        self.happens(node, Deed::Handle(ConnectionId(id), command));
    }

    fn join(&mut self, node: usize, id: u64, resume: Option<u128>) {
        let seat = Seat {
            member: MemberId(id),
            resume: ResumeKey(u128::from(id)),
        };
        let room = RoomId {
            kind: RoomKind::Mesh,
            name: name("r"),
        };
        let join = Join {
            room,
            name: None,
            role: Role::Peer,
            seat,
            resume: resume.map(ResumeKey),
        };
        self.command(node, id, Command::Join(join));
    }

    fn tell(&mut self, node: usize, id: u64, to: u64, text: &str) {
        let raw = serde_json::value::RawValue::from_string(format!("{text:?}")).unwrap();
        let command = Command::Signal {
            kind: SignalKind::Opaque,
            to: Some(MemberId(to)),
            data: Payload::from(raw),
        };
        self.command(node, id, command);
    }

    /// A call of alice on the first node with bob on the second, accepted.
    fn call(&mut self) {
        self.connect(0, 1, "alice");
        self.connect(1, 2, "bob");
        let initiate = Command::CallInitiate {
            call: CallId(name("c")),
            recipients: vec![user("bob")],
            call_type: CallType::Video,
        };
        self.command(0, 1, initiate);
        self.command(1, 2, Command::CallAnswer(CallId(name("c"))));
        assert_eq!(self.take(0, 1), ["connected alice", "answered bob"]);
        assert_eq!(self.take(1, 2), ["connected bob", "incoming alice"]);
    }

    fn is_in_call(&self, node: usize) -> bool {
        let record = self.nodes[node].desk.hub().call_record(&CallId(name("c")));
        record.is_some_and(|record| record.participants.len() == 2)
    }

    /// The calls that a node has to record, and the names that they have in the log.
    fn records(&mut self, node: usize) -> Vec<RecordId> {
        let ended = self.nodes[node].desk.take_ended();
        ended.into_iter().map(|ended| ended.id).collect()
    }

    /// A node says that it has recorded calls.
    fn recorded(&mut self, node: usize, ids: Vec<RecordId>) {
        let node = &mut self.nodes[node];
        let out = node.desk.recorded(self.now, ids);
        tell(&mut node.told, out);
        self.settle();
    }

    /// What a connection was told by its node.
    fn take(&mut self, node: usize, id: u64) -> Vec<String> {
        let told = &mut self.nodes[node].told;
        let (own, others) = std::mem::take(told)
            .into_iter()
            .partition(|(to, _)| *to == id);
        *told = others;
        let own: Vec<(u64, String)> = own;
        own.into_iter().map(|(_, line)| line).collect()
    }

    fn cut(&mut self, node: usize) {
        self.nodes[node].reachable = false;
        let out = self.nodes[node].desk.go_alone(self.now);
        tell(&mut self.nodes[node].told, out);
    }

    /// All replicas of reachable nodes count the same.
    fn agree(&self) {
        let mut seen = self
            .nodes
            .iter()
            .filter(|node| node.alive && node.reachable);
        let first = seen.next().unwrap().desk.hub().census();
        for other in seen {
            assert_eq!(other.desk.hub().census(), first);
        }
    }
}

fn tell(told: &mut Vec<(u64, String)>, out: Outbound) {
    told.extend(out.into_iter().map(|(to, event)| (to.0, line(&event))));
}

fn line(event: &Event) -> String {
    match event {
        Event::Connected(user) => format!("connected {}", user.0),
        Event::Joined(joined) => format!(
            "joined with {}{}",
            joined.members.len(),
            if joined.resumed { " again" } else { "" }
        ),
        Event::PeerJoined(member) => format!("joined {:x}", member.id.0),
        Event::PeerLeft { member, .. } => format!("left {:x}", member.id.0),
        Event::PeerAway(member) => format!("away {:x}", member.0),
        Event::PeerBack(member) => format!("back {:x}", member.0),
        Event::Signal { from, data, .. } => format!("{:x} says {}", from.0, data.as_str()),
        Event::IncomingCall { initiator, .. } => format!("incoming {}", initiator.0),
        Event::CallAnswered { user, .. } => format!("answered {}", user.0),
        Event::CallEnded { ended_by, .. } => format!("ended by {}", ended_by.0),
        _ => "something else".to_owned(),
    }
}

#[test]
fn users_of_different_nodes_call_each_other() {
    let mut lab = Lab::of(3);
    lab.call();
    lab.agree();
    assert!((0..3).all(|node| lab.is_in_call(node)));
    lab.command(1, 2, Command::CallEnd(CallId(name("c"))));
    assert_eq!(lab.take(0, 1), ["ended by bob"]);
}

#[test]
fn of_two_who_come_last_into_a_room_one_is_refused() {
    let mut lab = Lab::of(2);
    for id in 1..=7_u64 {
        let node = usize::try_from(id % 2).unwrap();
        lab.connect(node, id, &format!("u{id}"));
        lab.join(node, id, None);
    }
    assert!(lab.take(0, 6).contains(&"joined with 5".to_owned()));
    assert_eq!(lab.take(1, 7), ["connected u7", "something else"]);
    lab.agree();
}

#[test]
fn what_two_tell_each_other_keeps_its_order_and_comes_once() {
    let mut lab = Lab::of(2);
    lab.connect(0, 1, "alice");
    lab.connect(1, 2, "bob");
    lab.join(0, 1, None);
    lab.join(1, 2, None);
    lab.take(1, 2);
    for text in ["a", "b", "c"] {
        lab.tell(0, 1, 2, text);
    }
    assert_eq!(
        lab.take(1, 2),
        [r#"1 says "a""#, r#"1 says "b""#, r#"1 says "c""#]
    );
}

#[test]
fn what_is_written_twice_is_done_once() {
    let mut lab = Lab::of(2);
    lab.connect(0, 1, "alice");
    lab.connect(1, 2, "bob");
    lab.join(0, 1, None);
    lab.join(1, 2, None);
    lab.take(1, 2);
    // Redis took it and the connection broke before it said so.
    let raw = serde_json::value::RawValue::from_string("1".to_owned()).unwrap();
    let signal = Command::Signal {
        kind: SignalKind::Opaque,
        to: Some(MemberId(2)),
        data: Payload::from(raw),
    };
    let now = lab.now;
    let _ = lab.nodes[0]
        .desk
        .happens(now, Deed::Handle(ConnectionId(1), signal));
    let bytes = lab.nodes[0].desk.next().unwrap().unwrap();
    lab.append(bytes);
    lab.nodes[0].desk.write_again();
    lab.settle();
    assert_eq!(lab.take(1, 2), ["1 says 1"]);
}

#[test]
fn a_dead_node_ends_no_call_and_its_users_go_on_elsewhere() {
    let mut lab = Lab::of(3);
    lab.call();
    lab.join(0, 1, None);
    lab.join(1, 2, None);
    lab.nodes[0].alive = false;
    lab.take(1, 2);
    lab.wait(Duration::from_secs(6));
    assert_eq!(lab.take(1, 2), ["away 1"]);
    lab.connect(2, 3, "alice");
    lab.join(2, 3, Some(1));
    assert!(lab.take(2, 3).contains(&"joined with 1 again".to_owned()));
    lab.wait(Duration::from_secs(60));
    assert_eq!(lab.take(1, 2), ["back 1"]);
    assert!(lab.is_in_call(1) && lab.is_in_call(2));
    lab.agree();
}

#[test]
fn who_does_not_come_back_from_a_dead_node_is_gone_in_the_end() {
    let mut lab = Lab::of(2);
    lab.call();
    lab.nodes[0].alive = false;
    lab.wait(Duration::from_secs(30));
    assert_eq!(lab.take(1, 2), ["ended by alice"]);
}

#[test]
fn a_node_that_is_started_again_has_buried_its_former_life() {
    let mut lab = Lab::of(2);
    lab.call();
    lab.join(0, 1, None);
    lab.join(1, 2, None);
    lab.take(1, 2);
    lab.nodes[0].alive = false;
    let again = lab.start("n0");
    lab.come_in(again);
    assert_eq!(lab.take(1, 2), ["away 1"]);
    lab.connect(again, 3, "alice");
    lab.join(again, 3, Some(1));
    assert_eq!(lab.take(1, 2), ["back 1"]);
    lab.agree();
}

#[test]
fn without_redis_every_node_goes_on_and_no_call_ends() {
    let mut lab = Lab::of(2);
    lab.call();
    lab.cut(0);
    lab.cut(1);
    lab.connect(0, 3, "carol");
    lab.connect(0, 4, "dave");
    lab.join(0, 3, None);
    lab.join(0, 4, None);
    lab.take(0, 4);
    lab.tell(0, 3, 4, "hello");
    assert_eq!(lab.take(0, 4), [r#"3 says "hello""#]);
    lab.wait(Duration::from_secs(300));
    assert!(lab.is_in_call(0) && lab.is_in_call(1));
    // It comes back empty.
    lab.log.clear();
    lab.come_in(0);
    lab.come_in(1);
    lab.wait(Duration::from_secs(60));
    assert!(lab.is_in_call(0) && lab.is_in_call(1));
    assert_eq!((lab.take(0, 1), lab.take(1, 2)), (vec![], vec![]));
    lab.agree();
    assert_eq!(lab.nodes[1].desk.hub().census().connections, 4);
    lab.command(1, 2, Command::CallEnd(CallId(name("c"))));
    assert_eq!(lab.take(0, 1), ["ended by bob"]);
}

#[test]
fn a_call_that_ended_on_one_side_while_apart_ends_on_the_other_after_the_grace() {
    let mut lab = Lab::of(2);
    lab.call();
    lab.cut(1);
    lab.command(1, 2, Command::CallEnd(CallId(name("c"))));
    lab.wait(Duration::from_secs(2));
    lab.come_in(1);
    assert!(lab.is_in_call(0));
    lab.wait(Duration::from_secs(21));
    assert_eq!(lab.take(0, 1), ["ended by bob"]);
    lab.agree();
}

#[test]
fn a_node_that_was_believed_dead_brings_its_users_back() {
    let mut lab = Lab::of(3);
    lab.call();
    lab.join(0, 1, None);
    lab.join(1, 2, None);
    lab.take(1, 2);
    lab.cut(0);
    lab.wait(Duration::from_secs(10));
    assert_eq!(lab.take(1, 2), ["away 1"]);
    lab.come_in(0);
    lab.wait(Duration::from_secs(60));
    assert_eq!(lab.take(1, 2), ["back 1"]);
    assert!(lab.is_in_call(0) && lab.is_in_call(1) && lab.is_in_call(2));
    lab.agree();
}

#[test]
fn a_node_that_stood_still_and_reads_of_its_death_brings_its_users_back() {
    let mut lab = Lab::of(3);
    lab.call();
    lab.join(0, 1, None);
    lab.join(1, 2, None);
    lab.take(1, 2);
    lab.nodes[0].alive = false;
    lab.wait(Duration::from_secs(10));
    assert_eq!(lab.take(1, 2), ["away 1"]);
    lab.nodes[0].alive = true;
    lab.settle();
    lab.wait(Duration::from_secs(60));
    assert_eq!(lab.take(1, 2), ["back 1"]);
    assert!(lab.is_in_call(0) && lab.is_in_call(1) && lab.is_in_call(2));
    lab.agree();
    lab.tell(0, 1, 2, "hello");
    assert_eq!(lab.take(1, 2), [r#"1 says "hello""#]);
}

#[test]
fn rooms_that_grew_apart_become_one() {
    let mut lab = Lab::of(2);
    lab.connect(0, 1, "alice");
    lab.connect(1, 2, "bob");
    lab.join(0, 1, None);
    lab.join(1, 2, None);
    lab.cut(1);
    lab.connect(0, 3, "carol");
    lab.join(0, 3, None);
    lab.connect(1, 4, "dave");
    lab.join(1, 4, None);
    for (node, id) in [(0, 1), (0, 3), (1, 2), (1, 4)] {
        lab.take(node, id);
    }
    lab.come_in(1);
    assert_eq!(lab.take(0, 1), ["joined 4"]);
    assert_eq!(lab.take(0, 3), ["joined 4"]);
    assert_eq!(lab.take(1, 2), ["joined 3"]);
    assert_eq!(lab.take(1, 4), ["joined 3"]);
    lab.agree();
    lab.tell(1, 4, 3, "hello");
    assert_eq!(lab.take(0, 3), [r#"4 says "hello""#]);
}

#[test]
fn of_two_who_found_the_later_one_counts_and_both_keep_their_users() {
    let mut lab = Lab::new();
    for called in ["n0", "n1"] {
        lab.start(called);
    }
    lab.connect(0, 1, "alice");
    lab.connect(1, 2, "bob");
    // Neither saw the other.
    let at = lab.append(
        Entry {
            node: NodeId {
                name: None,
                life: 99,
            },
            number: 1,
            deeds: vec![Deed::Ask],
        }
        .encode()
        .unwrap(),
    );
    lab.nodes[0].desk.found(at);
    lab.nodes[1].desk.found(at);
    lab.settle();
    lab.wait(Duration::from_secs(6));
    lab.agree();
    assert_eq!(lab.nodes[0].desk.hub().census().connections, 2);
    assert_eq!(lab.nodes[0].desk.nodes(), 2);
}

#[test]
fn a_node_that_ends_in_good_order_is_missed_at_once() {
    let mut lab = Lab::of(2);
    lab.call();
    lab.join(0, 1, None);
    lab.join(1, 2, None);
    lab.take(1, 2);
    let now = lab.now;
    let _ = lab.nodes[0]
        .desk
        .happens(now, Deed::Disconnect(ConnectionId(1), Departure::Lost));
    let _ = lab.nodes[0].desk.happens(now, Deed::Leave);
    let bytes = lab.nodes[0].desk.next().unwrap().unwrap();
    lab.nodes[0].alive = false;
    lab.append(bytes);
    lab.settle();
    assert_eq!(lab.take(1, 2), ["away 1"]);
    assert_eq!(lab.nodes[1].desk.nodes(), 1);
}

#[test]
fn a_call_that_is_over_is_recorded_by_the_first_alone() {
    let mut lab = Lab::of(3);
    lab.call();
    lab.command(1, 2, Command::CallEnd(CallId(name("c"))));
    let ids = lab.records(0);
    assert_eq!(ids.len(), 1);
    assert!((0..3).all(|node| lab.records(node).is_empty()));
    lab.recorded(0, ids);
    lab.nodes[0].alive = false;
    lab.wait(Duration::from_secs(6));
    assert!(lab.records(1).is_empty(), "it is recorded");
}

#[test]
fn what_the_first_did_not_record_before_its_death_the_next_does_under_the_same_name() {
    let mut lab = Lab::of(3);
    lab.call();
    lab.command(1, 2, Command::CallEnd(CallId(name("c"))));
    let ids = lab.records(0);
    lab.nodes[0].alive = false;
    assert!(lab.records(1).is_empty());
    lab.wait(Duration::from_secs(6));
    assert_eq!(lab.records(1), ids);
    assert!(lab.records(1).is_empty() && lab.records(2).is_empty());
    // One that came later knows as well.
    let newcomer = lab.start("n9");
    lab.come_in(newcomer);
    for node in [1, 2] {
        lab.nodes[node].alive = false;
    }
    lab.wait(Duration::from_secs(6));
    assert_eq!(lab.records(newcomer), ids);
}

#[test]
fn a_call_that_ends_on_both_sides_of_a_cut_has_one_name() {
    let mut lab = Lab::of(2);
    lab.call();
    lab.cut(1);
    lab.command(1, 2, Command::CallEnd(CallId(name("c"))));
    let alone = lab.records(1);
    lab.wait(Duration::from_secs(30));
    assert_eq!((lab.records(0), alone.len()), (alone, 1));
    lab.come_in(1);
    assert!(lab.records(0).is_empty() && lab.records(1).is_empty());
}

#[test]
fn calls_of_one_name_are_told_apart_even_at_once() {
    let mut lab = Lab::of(2);
    lab.call();
    lab.command(0, 1, Command::CallEnd(CallId(name("c"))));
    let initiate = Command::CallInitiate {
        call: CallId(name("c")),
        recipients: vec![user("bob")],
        call_type: CallType::Video,
    };
    lab.command(0, 1, initiate);
    lab.command(0, 1, Command::CallEnd(CallId(name("c"))));
    let ids = lab.records(0);
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

/// Something long that ann says to bob.
fn long() -> Deed {
    let text = format!("{:?}", "x".repeat(60_000));
    let raw = serde_json::value::RawValue::from_string(text).unwrap();
    let signal = Command::Signal {
        kind: SignalKind::Opaque,
        to: Some(MemberId(2)),
        data: Payload::from(raw),
    };
    Deed::Handle(ConnectionId(1), signal)
}

fn pair_in_a_room() -> Lab {
    let mut lab = Lab::of(2);
    lab.connect(0, 1, "ann");
    lab.connect(1, 2, "bob");
    lab.join(0, 1, None);
    lab.join(1, 2, None);
    lab.take(1, 2);
    lab
}

#[test]
fn much_that_is_said_at_once_is_several_entries_in_their_order() {
    let mut lab = pair_in_a_room();
    let now = lab.now;
    for _ in 0..40 {
        let _ = lab.nodes[0].desk.happens(now, long());
    }
    lab.tell(0, 1, 2, "the last");
    let sizes = lab.log.iter().map(|(_, entry)| entry.len());
    let largest = sizes.max().unwrap();
    assert!(largest < 320_000, "{largest} bytes");
    let told = lab.take(1, 2);
    assert_eq!(told.len(), 41);
    assert_eq!(told[40], r#"1 says "the last""#);
}

#[test]
fn what_waits_for_a_redis_that_stands_still_is_bounded() {
    let mut lab = pair_in_a_room();
    let (now, mut said) = (lab.now, 0);
    // It is written, and never read back; or not even written.
    for is_written in [true, false] {
        let desk = &mut lab.nodes[0].desk;
        while desk.is_logging() && said < 10_000 {
            let _ = desk.happens(now, long());
            if is_written {
                desk.next().unwrap();
            }
            said += 1;
        }
        assert!((1_000..1_200).contains(&said), "{said}");
        assert_eq!(desk.reading_from(), None, "it is alone");
        said = 0;
        lab.come_in(0);
        lab.tell(0, 1, 2, "hello");
        assert_eq!(lab.take(1, 2), [r#"1 says "hello""#]);
    }
}

#[test]
fn a_node_that_went_on_alone_while_it_read_does_nothing_twice() {
    let mut lab = pair_in_a_room();
    let now = lab.now;
    let _ = lab.nodes[1]
        .desk
        .happens(now, Deed::Handle(ConnectionId(2), Command::Leave));
    let written = lab.nodes[1].desk.next().unwrap().unwrap();
    let alone = lab.nodes[1].desk.go_alone(now);
    assert!(!alone.is_empty(), "it is done");
    let at = lab.append(written.clone());
    let (read, out) = lab.nodes[1].desk.read(at, Entry::decode(&written).unwrap());
    assert_eq!((read, out.len()), (Read::Stranger, 0));
}

#[test]
fn of_a_node_that_asks_again_and_again_the_latest_question_is_answered() {
    let mut lab = Lab::of(2);
    lab.start("n2");
    let mut asked_at = Vec::new();
    for _ in 0..3 {
        let question = lab.nodes[2].desk.question().unwrap();
        asked_at.push(lab.append(question));
    }
    lab.read_all();
    let (_, state) = lab.nodes[0].desk.answer().unwrap();
    let (at, _): (LogId, crate::fleet::replica::Replica) = postcard::from_bytes(&state).unwrap();
    assert_eq!(Some(&at), asked_at.last());
    assert!(lab.nodes[0].desk.answer().is_none(), "an older one");
}

#[test]
fn a_founder_whose_clock_is_ahead_of_redis_s_stops_no_time() {
    let mut lab = Lab::new();
    let true_time = lab.now;
    lab.now += Duration::from_secs(3_600);
    lab.start("n0");
    lab.connect(0, 9, "early");
    lab.now = true_time;
    lab.nodes[0].beaten = true_time;
    lab.come_in(0);
    lab.start("n1");
    lab.come_in(1);
    lab.call();
    lab.nodes[1].alive = false;
    lab.wait(Duration::from_secs(5));
    assert_eq!(lab.nodes[0].desk.nodes(), 1);
    lab.wait(Duration::from_secs(21));
    assert_eq!(lab.take(0, 1), ["ended by bob"]);
}
