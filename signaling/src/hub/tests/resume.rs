//! Coming back into a room after the connection broke.

use super::*;

/// Two members, the first of which has just lost its connection.
fn broken() -> Lab {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.join(1, "r");
    lab.join(2, "r");
    lab.clear();
    lab.lose(1);
    lab
}

#[test]
fn a_lost_member_is_away_and_comes_back_as_the_same_one() {
    let mut lab = broken();
    lab.wait_secs(19);
    lab.connect(3, "ann");
    lab.rejoin(3, "r", 1);
    lab.wait_secs(60);
    assert_eq!(lab.read(2), ["peer-away 1", "peer-back 1"]);
    assert_eq!(lab.read(3), ["connected ann", "resumed r as 1 with [2]"]);
}

#[test]
fn a_member_that_does_not_come_back_within_the_grace_is_lost() {
    let mut lab = broken();
    lab.wait(Duration::from_millis(19_999));
    assert_eq!(lab.read(2), ["peer-away 1"]);
    lab.wait(Duration::from_millis(1));
    assert_eq!(lab.read(2), ["peer-left 1 Lost"]);
    lab.connect(3, "ann");
    lab.rejoin(3, "r", 1);
    assert_eq!(lab.read(3), ["connected ann", "joined r as 3 with [2]"]);
}

#[test]
fn signals_wait_for_an_absent_member_in_order() {
    let mut lab = broken();
    for n in 0..128 {
        lab.tell(2, MemberId(1), &n.to_string());
    }
    lab.connect(3, "ann");
    lab.rejoin(3, "r", 1);
    let told = lab.read(3);
    assert_eq!(told[1], "resumed r as 1 with [2]");
    let expected: Vec<String> = (0..128).map(|n| format!("signal 2 {n}")).collect();
    assert_eq!(told[2..], expected);
}

#[test]
fn a_member_with_more_waiting_than_is_kept_is_lost() {
    let mut lab = broken();
    for n in 0..129 {
        lab.tell(2, MemberId(1), &n.to_string());
    }
    assert_eq!(lab.read(2), ["peer-away 1", "peer-left 1 Lost"]);
    lab.tell(2, MemberId(1), "gone");
    assert_eq!(lab.read(2), ["refused recipient-unavailable"]);
    assert_eq!(lab.hub.census().timers, 0);
}

#[test]
fn few_signals_are_more_than_is_kept_if_they_are_long() {
    let mut lab = broken();
    let long = "x".repeat(65_000);
    for _ in 0..4 {
        lab.tell(2, MemberId(1), &long);
    }
    assert_eq!(lab.read(2), ["peer-away 1"]);
    lab.tell(2, MemberId(1), &long);
    assert_eq!(lab.read(2), ["peer-left 1 Lost"]);
}

#[test]
fn nothing_waits_of_a_member_that_left_meanwhile() {
    let mut lab = broken();
    lab.tell(2, MemberId(1), "hello");
    lab.close(2);
    lab.connect(3, "ann");
    lab.rejoin(3, "r", 1);
    assert_eq!(lab.read(3), ["connected ann", "resumed r as 1 with []"]);
}

#[test]
fn a_resume_key_works_once_and_in_its_room_only() {
    let mut lab = broken();
    lab.connect(3, "eve");
    lab.rejoin(3, "elsewhere", 1);
    assert_eq!(
        lab.read(3),
        ["connected eve", "joined elsewhere as 3 with []"]
    );
    lab.connect(4, "ann");
    lab.rejoin(4, "r", 1);
    lab.connect(5, "eve");
    lab.rejoin(5, "r", 1);
    assert_eq!(lab.read(5), ["connected eve", "joined r as 5 with [1,2]"]);
}

#[test]
fn a_wrong_key_is_a_new_member() {
    let mut lab = broken();
    lab.connect(3, "eve");
    lab.enter(3, RoomKind::Mesh, "r", Role::Peer, Some(ResumeKey(7)));
    assert_eq!(lab.read(3), ["connected eve", "joined r as 3 with [1,2]"]);
}

#[test]
fn resuming_over_a_connection_that_only_looks_alive_closes_it() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.join(1, "r");
    lab.join(2, "r");
    lab.clear();
    lab.connect(3, "ann");
    lab.rejoin(3, "r", 1);
    assert_eq!(lab.read(1), ["closed Resumed"]);
    assert_eq!(lab.read(3), ["connected ann", "resumed r as 1 with [2]"]);
    lab.lose(1);
    lab.wait_secs(60);
    assert_eq!(
        lab.read(2).len(),
        0,
        "the end of the old connection is nobody's business"
    );
    lab.tell(2, MemberId(1), "still here?");
    assert_eq!(lab.read(3), ["signal 2 still here?"]);
}

#[test]
fn a_room_of_absent_members_is_forgotten_in_the_end() {
    let mut lab = broken();
    lab.lose(2);
    assert_eq!(lab.hub.census().rooms, 1);
    lab.wait_secs(20);
    assert_eq!(lab.hub.census(), Census::default());
}
