//! The life of a call.

use super::*;

/// ann (1) has called bob (2), who has accepted; everything is read.
fn talking() -> Lab {
    let mut lab = Lab::of(&["ann", "bob", "eve"]);
    lab.initiate(1, "c", &["bob"]);
    lab.send(2, Command::CallAnswer(call("c")));
    lab.clear();
    lab
}

/// ann (1) has called bob (2), whom it rings; everything is read.
fn ringing() -> Lab {
    let mut lab = Lab::of(&["ann", "bob", "eve"]);
    lab.initiate(1, "c", &["bob"]);
    lab.clear();
    lab
}

#[test]
fn a_call_rings_is_accepted_and_ends_for_both() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    assert_eq!(lab.read(2), ["incoming-call c ann"]);
    lab.send(2, Command::CallAnswer(call("c")));
    assert_eq!(lab.read(1), ["call-answered c bob"]);
    lab.wait_secs(3_600);
    lab.send(1, Command::CallEnd(call("c")));
    assert_eq!(lab.read(2), ["call-ended c ann"]);
    assert_eq!(lab.read(1).len(), 0);
    assert_eq!(
        lab.hub.census(),
        Census {
            connections: 2,
            users: 2,
            ..Census::default()
        }
    );
}

#[test]
fn defect_2_the_callee_ends_and_the_caller_hears_it() {
    let mut lab = talking();
    lab.send(2, Command::CallEnd(call("c")));
    assert_eq!(lab.read(1), ["call-ended c bob"]);
}

#[test]
fn defect_2_the_caller_cancels_and_the_callee_stops_ringing() {
    let mut lab = ringing();
    lab.send(1, Command::CallEnd(call("c")));
    assert_eq!(lab.read(2), ["call-ended c ann"]);
    assert_eq!(lab.hub.census().timers, 0);
}

#[test]
fn a_declined_call_is_over() {
    let mut lab = ringing();
    lab.send(2, Command::CallReject(call("c")));
    assert_eq!(lab.read(1), ["call-rejected c bob"]);
    assert_eq!((lab.hub.census().calls, lab.hub.census().timers), (0, 0));
}

#[test]
fn defect_3_strangers_cannot_touch_a_call() {
    let mut lab = talking();
    lab.send(3, Command::CallEnd(call("c")));
    lab.send(3, Command::CallReject(call("c")));
    assert_eq!(lab.read(3).len(), 0);
    lab.send(3, Command::CallAnswer(call("c")));
    lab.initiate(3, "c", &["bob"]);
    assert_eq!(
        lab.read(3),
        ["refused call-not-found", "refused call-exists"]
    );
    assert_eq!((lab.read(1).len(), lab.read(2).len()), (0, 0));
    assert_eq!(lab.hub.census().calls, 1);
}

#[test]
fn defect_4_a_call_is_plain_data_and_names_its_participants() {
    let lab = talking();
    let record = serde_json::to_value(lab.hub.call_record(&call("c")).unwrap()).unwrap();
    let expected = serde_json::json!({
        "callId": "c", "participants": ["ann", "bob"], "callType": "video", "initiator": "ann", "createdAt": 1_000_000,
    });
    assert_eq!(record, expected);
}

#[test]
fn defect_5_a_second_tab_rings_too_and_its_end_takes_nothing_from_the_first() {
    let mut lab = Lab::of(&["ann", "bob", "bob"]);
    lab.close(2);
    lab.initiate(1, "c", &["bob"]);
    assert_eq!(lab.read(3), ["incoming-call c ann"]);
    lab.send(3, Command::CallAnswer(call("c")));
    lab.connect(4, "bob");
    lab.close(4);
    lab.clear();
    lab.offer(1, "bob", "o");
    assert_eq!(lab.read(3), ["Offer c ann o"]);
}

#[test]
fn the_tab_that_answers_has_the_call_and_the_others_stop_ringing() {
    let mut lab = Lab::of(&["ann", "bob", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.send(3, Command::CallAnswer(call("c")));
    assert_eq!(
        lab.read(2),
        ["incoming-call c ann", "call-ended c bob AnsweredElsewhere"]
    );
    lab.clear();
    lab.offer(1, "bob", "o");
    assert_eq!(lab.read(3), ["Offer c ann o"]);
    assert_eq!(lab.read(2).len(), 0);
}

#[test]
fn a_tab_that_is_busy_in_another_call_is_left_alone() {
    let mut lab = Lab::of(&["ann", "bob", "bob", "cem"]);
    lab.initiate(4, "other", &["bob"]);
    lab.send(2, Command::CallAnswer(call("other")));
    lab.initiate(1, "c", &["bob"]);
    lab.clear();
    lab.send(3, Command::CallAnswer(call("c")));
    assert_eq!(
        lab.read(2).len(),
        0,
        "a simple client would hang up the call it is in"
    );
}

#[test]
fn a_tab_that_declines_silences_the_others() {
    let mut lab = Lab::of(&["ann", "bob", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.clear();
    lab.send(2, Command::CallReject(call("c")));
    assert_eq!(lab.read(3), ["call-ended c bob RejectedElsewhere"]);
}

#[test]
fn defect_7_an_absent_recipient_is_reported() {
    let mut lab = Lab::of(&["ann"]);
    lab.initiate(1, "c", &["bob"]);
    assert_eq!(lab.read(1), ["refused recipient-unavailable"]);
    assert_eq!((lab.hub.census().calls, lab.hub.census().timers), (0, 0));
}

#[test]
fn defect_7_a_call_rings_for_45_seconds_and_not_longer() {
    let mut lab = ringing();
    lab.wait(Duration::from_millis(44_999));
    assert_eq!(lab.read(1).len(), 0);
    lab.wait(Duration::from_millis(1));
    assert_eq!(lab.read(1), ["call-ended c ann Timeout"]);
    assert_eq!(lab.read(2), ["call-ended c ann Timeout"]);
    lab.send(2, Command::CallAnswer(call("c")));
    assert_eq!(lab.read(2), ["refused call-not-found"]);
}

#[test]
fn in_a_group_those_who_answered_talk_on_when_others_do_not() {
    let mut lab = Lab::of(&["ann", "bob", "cem"]);
    lab.initiate(1, "c", &["bob", "cem"]);
    lab.send(2, Command::CallAnswer(call("c")));
    lab.clear();
    lab.wait_secs(45);
    assert_eq!(lab.read(1), ["call-rejected c cem Timeout"]);
    assert_eq!(lab.read(3), ["call-ended c ann Timeout"]);
    assert_eq!(lab.read(2).len(), 0);
    lab.send(2, Command::CallEnd(call("c")));
    assert_eq!(lab.read(1), ["call-ended c bob"]);
    assert_eq!(lab.read(3).len(), 0);
}

#[test]
fn a_call_has_at_most_six_members() {
    let mut lab = Lab::of(&["a", "b", "c", "d", "e", "f", "g"]);
    lab.initiate(1, "c", &["b", "c", "d", "e", "f", "g"]);
    assert_eq!(lab.read(1), ["refused call-too-large"]);
    assert_eq!(
        (lab.read(2).len(), lab.hub.census().calls),
        (0, 0),
        "nobody is rung and nothing begun"
    );
    lab.initiate(1, "c", &["b", "c", "d", "e", "f", "f"]);
    assert_eq!(lab.read(6), ["incoming-call c a"]);
    lab.initiate(1, "c", &["g"]);
    assert_eq!(lab.read(1), ["refused call-too-large"]);
    assert_eq!(lab.read(7).len(), 0);
}

#[test]
fn a_user_is_in_at_most_sixteen_calls_of_their_own() {
    let mut lab = Lab::of(&["ann", "bob"]);
    for n in 0..17 {
        lab.initiate(1, &format!("c{n}"), &["bob"]);
    }
    assert_eq!(lab.read(1), ["refused too-many-calls"]);
    assert_eq!(lab.hub.census().calls, 16);
}

/// ann (1) is invited to 16 calls of eve (2) and bob (3), by offers or by ringing.
fn besieged() -> Lab {
    let mut lab = Lab::of(&["ann", "eve", "bob"]);
    for n in 0..16 {
        let id = format!("siege{n}");
        match n % 2 {
            0 => lab.initiate(2, &id, &["ann"]),
            _ => lab.send(
                2,
                Command::CallSignal(CallSignal {
                    kind: SignalKind::Offer,
                    call: call(&id),
                    to: user("ann"),
                    data: payload("o"),
                }),
            ),
        }
    }
    lab.clear();
    lab
}

#[test]
fn invitations_do_not_count_as_calls_of_one_s_own() {
    let mut lab = besieged();
    lab.initiate(1, "mine", &["bob"]);
    assert_eq!(lab.read(1).len(), 0);
    assert_eq!(lab.read(3), ["incoming-call mine ann"]);
}

#[test]
fn accepted_calls_count_as_one_s_own() {
    let mut lab = besieged();
    for n in 0..16 {
        lab.send(1, Command::CallAnswer(call(&format!("siege{n}"))));
    }
    lab.initiate(1, "mine", &["bob"]);
    assert_eq!(lab.read(1), ["refused too-many-calls"]);
}

#[test]
fn whoever_is_invited_to_sixteen_calls_is_busy() {
    let mut lab = besieged();
    lab.initiate(3, "c", &["ann"]);
    lab.offer(3, "ann", "o");
    assert_eq!(
        lab.read(3),
        ["refused recipient-busy", "refused recipient-busy"]
    );
    assert_eq!(lab.read(1).len(), 0);
    assert_eq!(lab.hub.census().calls, 16, "and nothing of it is left");
    lab.send(1, Command::CallReject(call("siege0")));
    lab.initiate(3, "c", &["ann"]);
    assert_eq!(lab.read(1), ["incoming-call c bob"]);
}

#[test]
fn further_people_can_be_invited_into_a_call() {
    let mut lab = talking();
    lab.initiate(1, "c", &["bob", "eve"]);
    assert_eq!(lab.read(3), ["incoming-call c ann"]);
    assert_eq!(lab.read(2).len(), 0, "who is in the call is not rung again");
}

#[test]
fn a_closed_connection_ends_its_call() {
    for (who, other, name) in [(1, 2, "ann"), (2, 1, "bob")] {
        let mut lab = talking();
        lab.close(who);
        assert_eq!(lab.read(other), [format!("call-ended c {name}")]);
    }
}

#[test]
fn a_lost_connection_that_comes_back_in_time_keeps_its_call() {
    let mut lab = talking();
    lab.lose(2);
    lab.wait_secs(19);
    lab.connect(4, "bob");
    lab.wait_secs(3_600);
    assert_eq!(lab.read(1).len(), 0);
    lab.clear();
    lab.offer(1, "bob", "restart");
    assert_eq!(lab.read(4), ["Offer c ann restart"]);
}

#[test]
fn a_lost_connection_that_does_not_come_back_ends_its_call() {
    let mut lab = talking();
    lab.lose(2);
    lab.wait(Duration::from_millis(19_999));
    assert_eq!(lab.read(1).len(), 0);
    lab.wait(Duration::from_millis(1));
    assert_eq!(lab.read(1), ["call-ended c bob Disconnected"]);
    assert_eq!(
        lab.hub.census(),
        Census {
            connections: 2,
            users: 2,
            ..Census::default()
        }
    );
}

#[test]
fn another_tab_does_not_stand_in_for_the_lost_one() {
    let mut lab = Lab::of(&["ann", "bob", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.send(2, Command::CallAnswer(call("c")));
    lab.lose(2);
    lab.clear();
    lab.wait_secs(20);
    assert_eq!(lab.read(1), ["call-ended c bob Disconnected"]);
}

#[test]
fn what_rings_goes_on_ringing_when_the_callee_reloads() {
    let mut lab = ringing();
    lab.close(2);
    assert_eq!(lab.read(1).len(), 0);
    lab.connect(4, "bob");
    assert_eq!(lab.read(4), ["connected bob", "incoming-call c ann"]);
}

#[test]
fn an_accepted_call_is_announced_once() {
    let mut lab = ringing();
    for _ in 0..3 {
        lab.send(2, Command::CallAnswer(call("c")));
    }
    assert_eq!(lab.read(1), ["call-answered c bob"]);
}

#[test]
fn one_cannot_call_oneself() {
    let mut lab = Lab::of(&["ann", "ann"]);
    lab.initiate(1, "c", &["ann"]);
    lab.offer(1, "ann", "o");
    assert_eq!(lab.read(2).len(), 0);
    assert_eq!(lab.hub.census().calls, 0);
}
