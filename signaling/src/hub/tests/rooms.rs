//! Meshes: entering, signalling, leaving.

use super::*;

#[test]
fn a_newcomer_learns_who_is_there_and_they_learn_of_the_newcomer() {
    let mut lab = Lab::of(&["ann", "bob", "cem"]);
    lab.join(1, "r");
    lab.join(2, "r");
    lab.join(3, "r");
    assert_eq!(
        lab.read(1),
        [
            "joined r as 1 with []",
            "peer-joined 2 Peer",
            "peer-joined 3 Peer"
        ]
    );
    assert_eq!(
        lab.read(2),
        ["joined r as 2 with [1]", "peer-joined 3 Peer"]
    );
    assert_eq!(lab.read(3), ["joined r as 3 with [1,2]"]);
}

#[test]
fn two_connections_of_one_user_are_two_members() {
    let mut lab = Lab::of(&["ann", "ann"]);
    lab.join(1, "r");
    lab.join(2, "r");
    assert_eq!(lab.read(2), ["joined r as 2 with [1]"]);
}

#[test]
fn a_signal_reaches_its_member_only() {
    let mut lab = Lab::of(&["ann", "bob", "cem"]);
    let ids = [lab.join(1, "r"), lab.join(2, "r"), lab.join(3, "r")];
    lab.clear();
    lab.tell(1, ids[1], "hello");
    assert_eq!(lab.read(2), ["signal 1 hello"]);
    assert_eq!((lab.read(1).len(), lab.read(3).len()), (0, 0));
}

#[test]
fn signals_of_a_pair_keep_their_order() {
    let mut lab = Lab::of(&["ann", "bob"]);
    let bob = (lab.join(1, "r"), lab.join(2, "r")).1;
    lab.clear();
    for n in 0..50 {
        lab.tell(1, bob, &n.to_string());
    }
    let expected: Vec<String> = (0..50).map(|n| format!("signal 1 {n}")).collect();
    assert_eq!(lab.read(2), expected);
}

#[test]
fn nobody_is_reached_across_rooms_or_from_outside() {
    let mut lab = Lab::of(&["ann", "bob", "eve"]);
    let ann = lab.join(1, "r");
    lab.join(2, "other");
    lab.clear();
    lab.tell(2, ann, "let me in");
    lab.tell(3, ann, "let me in");
    assert_eq!(lab.read(2), ["refused recipient-unavailable"]);
    assert_eq!(lab.read(3), ["refused not-joined"]);
    assert_eq!(lab.read(1).len(), 0);
}

#[test]
fn a_mesh_and_a_stream_of_one_name_are_different_rooms() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.join(1, "r");
    lab.enter(2, RoomKind::Stream, "r", Role::Receiver, None);
    assert_eq!(lab.read(1), ["joined r as 1 with []"]);
}

#[test]
fn a_full_room_is_refused_and_a_place_that_becomes_free_is_given() {
    let mut lab = Lab::of(&["a", "b", "c", "d", "e", "f", "g"]);
    for id in 1..=7 {
        lab.join(id, "r");
    }
    assert_eq!(lab.read(7), ["refused room-full"]);
    lab.send(1, Command::Leave);
    lab.join(7, "r");
    assert_eq!(lab.read(7), ["joined r as 8 with [2,3,4,5,6]"]);
}

#[test]
fn a_refused_join_makes_no_room() {
    let mut lab = Lab::of(&["ann"]);
    lab.join(1, "r");
    lab.join(1, "second");
    assert_eq!(
        lab.read(1),
        ["joined r as 1 with []", "refused already-joined"]
    );
    assert_eq!(lab.hub.census().rooms, 1);
}

#[test]
fn leaving_is_told_and_the_connection_stays() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.join(1, "r");
    lab.join(2, "r");
    lab.clear();
    lab.send(2, Command::Leave);
    assert_eq!(lab.read(1), ["peer-left 2 Left"]);
    assert_eq!(lab.read(2), ["left r"]);
    lab.send(2, Command::Leave);
    assert_eq!(lab.read(2), ["refused not-joined"]);
    lab.join(2, "r");
    assert_eq!(lab.read(2), ["joined r as 3 with [1]"]);
}

#[test]
fn a_closed_connection_has_left_at_once() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.join(1, "r");
    lab.join(2, "r");
    lab.clear();
    lab.close(2);
    assert_eq!(lab.read(1), ["peer-left 2 Left"]);
}

#[test]
fn bye_leaves_the_room_and_closes() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.join(1, "r");
    lab.join(2, "r");
    lab.clear();
    lab.send(2, Command::Bye);
    assert_eq!(lab.read(2), ["closed Bye"]);
    assert_eq!(lab.read(1), ["peer-left 2 Left"]);
    assert_eq!(lab.hub.census().connections, 1);
}

#[test]
fn an_empty_room_is_forgotten() {
    let mut lab = Lab::of(&["ann"]);
    lab.join(1, "r");
    lab.close(1);
    assert_eq!(lab.hub.census(), Census::default());
}

#[test]
fn too_many_connections_are_turned_away() {
    let mut lab = Lab::with(Limits {
        connections: 2,
        ..Limits::default()
    });
    for id in 1..=3 {
        lab.connect(id, "ann");
    }
    assert_eq!(lab.read(3), ["closed Full"]);
    lab.close(1);
    lab.connect(4, "ann");
    assert_eq!(lab.read(4), ["connected ann"]);
}
