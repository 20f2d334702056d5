//! Streams: one sender, its receivers, and who may say what.

use super::*;

fn enter(lab: &mut Lab, id: u64, role: Role) -> MemberId {
    lab.enter(id, RoomKind::Stream, "s", role, None)
}

fn say(lab: &mut Lab, id: u64, kind: SignalKind, to: Option<MemberId>, text: &str) {
    lab.send(
        id,
        Command::Signal {
            kind,
            to,
            data: payload(text),
        },
    );
}

/// A sender (1) and two receivers (2, 3), everything read.
fn stream() -> Lab {
    let mut lab = Lab::of(&["phone", "laptop", "wall"]);
    enter(&mut lab, 1, Role::Sender);
    enter(&mut lab, 2, Role::Receiver);
    enter(&mut lab, 3, Role::Receiver);
    lab.clear();
    lab
}

#[test]
fn both_are_told_when_they_have_met_whoever_comes_first() {
    for (first, second) in [
        (Role::Sender, Role::Receiver),
        (Role::Receiver, Role::Sender),
    ] {
        let mut lab = Lab::of(&["a", "b"]);
        enter(&mut lab, 1, first);
        enter(&mut lab, 2, second);
        assert_eq!(
            lab.read(1),
            [
                "joined s as 1 with []".to_owned(),
                format!("peer-joined 2 {second:?}")
            ]
        );
        assert_eq!(
            lab.read(2),
            [
                "joined s as 2 with []".to_owned(),
                format!("peer-joined 1 {first:?}")
            ]
        );
    }
}

#[test]
fn receivers_do_not_hear_of_each_other() {
    let mut lab = stream();
    enter(&mut lab, 3, Role::Receiver);
    lab.close(3);
    assert_eq!(lab.read(2).len(), 0);
    assert_eq!(lab.read(1), ["peer-left 3 Left"]);
}

#[test]
fn with_one_receiver_the_plain_exchange_works() {
    let mut lab = Lab::of(&["phone", "laptop"]);
    enter(&mut lab, 1, Role::Sender);
    enter(&mut lab, 2, Role::Receiver);
    lab.clear();
    say(&mut lab, 1, SignalKind::Offer, None, "o");
    say(&mut lab, 2, SignalKind::Answer, None, "a");
    say(&mut lab, 1, SignalKind::Candidate, None, "c1");
    say(&mut lab, 2, SignalKind::Candidate, None, "c2");
    assert_eq!(
        lab.read(2),
        ["Offer 1 o about Some(2)", "Candidate 1 c1 about Some(2)"]
    );
    assert_eq!(
        lab.read(1),
        ["Answer 2 a about Some(2)", "Candidate 2 c2 about Some(2)"]
    );
}

#[test]
fn a_sender_reaches_the_receiver_it_names_or_the_last_one() {
    let mut lab = stream();
    say(&mut lab, 1, SignalKind::Offer, Some(MemberId(2)), "two");
    say(&mut lab, 1, SignalKind::Offer, None, "last");
    assert_eq!(lab.read(2), ["Offer 1 two about Some(2)"]);
    assert_eq!(lab.read(3), ["Offer 1 last about Some(3)"]);
}

#[test]
fn a_receiver_reaches_the_sender_only() {
    let mut lab = stream();
    say(
        &mut lab,
        2,
        SignalKind::Answer,
        Some(MemberId(3)),
        "to a fellow",
    );
    assert_eq!(lab.read(2), ["refused recipient-unavailable"]);
    assert_eq!(lab.read(3).len(), 0);
}

#[test]
fn only_the_sender_offers_and_only_receivers_answer() {
    let mut lab = stream();
    say(&mut lab, 2, SignalKind::Offer, None, "o");
    say(&mut lab, 1, SignalKind::Answer, None, "a");
    assert_eq!(lab.read(2), ["refused not-allowed"]);
    assert_eq!(lab.read(1), ["refused not-allowed"]);
}

#[test]
fn a_second_sender_is_refused() {
    let mut lab = stream();
    lab.connect(4, "intruder");
    enter(&mut lab, 4, Role::Sender);
    assert_eq!(lab.read(4), ["connected intruder", "refused sender-exists"]);
    lab.close(1);
    enter(&mut lab, 4, Role::Sender);
    assert_eq!(lab.read(4)[0], "joined s as 5 with []");
}

#[test]
fn without_a_counterpart_an_offer_is_refused_and_a_candidate_dropped() {
    let mut lab = Lab::of(&["phone"]);
    enter(&mut lab, 1, Role::Sender);
    lab.clear();
    say(&mut lab, 1, SignalKind::Candidate, None, "c");
    say(&mut lab, 1, SignalKind::Offer, None, "o");
    assert_eq!(lab.read(1), ["refused no-counterpart"]);
}

#[test]
fn a_lost_sender_is_gone_at_once() {
    let mut lab = stream();
    lab.lose(1);
    assert_eq!(lab.read(2), ["peer-left 1 Lost"]);
    assert_eq!(lab.hub.census().timers, 0);
}

#[test]
fn a_stream_holds_as_many_as_a_room() {
    let mut lab = Lab::of(&["a", "b", "c", "d", "e", "f", "g"]);
    enter(&mut lab, 1, Role::Sender);
    for id in 2..=7 {
        enter(&mut lab, id, Role::Receiver);
    }
    assert_eq!(lab.read(6)[0], "joined s as 6 with []");
    assert_eq!(lab.read(7), ["refused room-full"]);
}
