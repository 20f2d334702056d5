//! Descriptions and candidates within calls.

use super::*;

/// ann (1) and bob (2) have exchanged their first offer and answer in the call `c`; eve (3) looks on.
fn connected() -> Lab {
    let mut lab = Lab::of(&["ann", "bob", "eve"]);
    lab.offer(1, "bob", "o");
    lab.initiate(1, "c", &["bob"]);
    lab.answer(2, "ann", "a");
    lab.send(2, Command::CallAnswer(call("c")));
    lab.clear();
    lab
}

#[test]
fn defect_1_an_offer_may_come_before_its_call() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.offer(1, "bob", "o");
    lab.initiate(1, "c", &["bob"]);
    assert_eq!(lab.read(2), ["Offer c ann o", "incoming-call c ann o"]);
    assert_eq!(lab.read(1).len(), 0);
}

#[test]
fn defect_1_an_answer_may_come_before_the_call_is_accepted() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.offer(1, "bob", "o");
    lab.initiate(1, "c", &["bob"]);
    lab.answer(2, "ann", "a");
    lab.send(2, Command::CallAnswer(call("c")));
    assert_eq!(lab.read(1), ["Answer c bob a", "call-answered c bob"]);
    lab.wait_secs(3_600);
    assert_eq!(lab.read(1).len(), 0, "an answered call does not time out");
}

#[test]
fn an_offer_that_no_call_follows_is_forgotten() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.offer(1, "bob", "o");
    lab.clear();
    lab.wait_secs(45);
    assert_eq!(
        lab.hub.census(),
        Census {
            connections: 2,
            users: 2,
            ..Census::default()
        }
    );
    assert_eq!((lab.read(1).len(), lab.read(2).len()), (0, 0));
}

#[test]
fn an_offer_and_its_answer_make_a_call_that_lasts() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.offer(1, "bob", "after a restart of the server");
    lab.answer(2, "ann", "a");
    lab.wait_secs(3_600);
    lab.clear();
    lab.candidate(1, "bob", "k");
    assert_eq!(lab.read(2), ["Candidate c ann k"]);
}

#[test]
fn whoever_an_offer_invites_into_an_answered_call_has_45_seconds_to_come() {
    let mut lab = connected();
    lab.offer(1, "eve", "o");
    lab.clear();
    lab.wait(Duration::from_millis(44_999));
    assert_eq!(lab.read(1).len(), 0);
    lab.wait(Duration::from_millis(1));
    assert_eq!(lab.read(1), ["call-rejected c eve Timeout"]);
    assert_eq!(lab.read(3), ["call-ended c ann Timeout"]);
    lab.candidate(2, "ann", "k");
    assert_eq!(lab.read(1), ["Candidate c bob k"], "the others talk on");
}

#[test]
fn an_announced_call_belongs_to_both_and_to_nobody_else() {
    let mut lab = Lab::of(&["ann", "bob", "eve"]);
    lab.offer(1, "bob", "o");
    lab.initiate(3, "c", &["ann"]);
    assert_eq!(lab.read(3), ["refused call-exists"]);
    lab.clear();
    lab.initiate(2, "c", &["ann"]);
    assert_eq!(lab.read(1), ["incoming-call c bob"]);
}

#[test]
fn defect_3_strangers_can_tell_members_of_a_call_nothing() {
    let mut lab = connected();
    for kind in [
        SignalKind::Offer,
        SignalKind::Answer,
        SignalKind::Candidate,
        SignalKind::Renegotiate,
    ] {
        lab.call_signal(3, kind, "bob", "x");
    }
    assert_eq!(
        lab.read(3),
        ["refused call-not-found", "refused call-not-found"]
    );
    lab.offer(2, "eve", "x");
    assert_eq!(
        lab.read(2),
        ["refused recipient-unavailable"],
        "only the caller brings further people in"
    );
    assert_eq!((lab.read(1).len(), lab.read(3).len()), (0, 0));
}

#[test]
fn defect_7_an_offer_to_somebody_absent_is_reported_and_a_candidate_is_not() {
    let mut lab = Lab::of(&["ann"]);
    lab.offer(1, "bob", "o");
    assert_eq!(lab.read(1), ["refused recipient-unavailable"]);
    lab.candidate(1, "bob", "k");
    lab.renegotiate(1, "bob", "o");
    assert_eq!(lab.read(1).len(), 0);
    let mut lab = connected();
    lab.lose(2);
    lab.answer(1, "bob", "a");
    lab.candidate(1, "bob", "k");
    assert_eq!(lab.read(1), ["refused recipient-unavailable"]);
}

#[test]
fn defect_8_a_renegotiation_while_it_rings_is_a_newer_offer() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.offer(1, "bob", "first");
    lab.renegotiate(1, "bob", "second");
    lab.initiate(1, "c", &["bob"]);
    assert_eq!(
        lab.read(2),
        [
            "Offer c ann first",
            "Offer c ann second",
            "incoming-call c ann second"
        ]
    );
}

#[test]
fn defect_8_of_two_crossing_offers_only_the_first_passes() {
    let mut lab = connected();
    lab.renegotiate(1, "bob", "ann's");
    lab.renegotiate(2, "ann", "bob's");
    assert_eq!(lab.read(2), ["Renegotiate c ann ann's"]);
    assert_eq!(lab.read(1).len(), 0);
    lab.answer(2, "ann", "rolled back");
    lab.wait_secs(60);
    assert_eq!(
        lab.read(1),
        ["Answer c bob rolled back"],
        "the offer that crossed was rolled back and is stale"
    );
    lab.renegotiate(2, "ann", "again");
    assert_eq!(lab.read(1), ["Renegotiate c bob again"]);
}

#[test]
fn an_offer_that_crossed_one_that_is_ignored_passes_in_the_end() {
    let mut lab = connected();
    lab.renegotiate(1, "bob", "ann's");
    lab.renegotiate(2, "ann", "bob's");
    lab.wait(Duration::from_millis(1_999));
    assert_eq!(lab.read(1).len(), 0);
    lab.wait(Duration::from_millis(1));
    assert_eq!(lab.read(1), ["Renegotiate c bob bob's"]);
}

#[test]
fn within_an_answered_call_offers_and_renegotiations_pass_as_they_are() {
    let mut lab = connected();
    lab.offer(1, "bob", "restart");
    lab.answer(2, "ann", "a");
    lab.renegotiate(2, "ann", "more");
    assert_eq!(lab.read(2), ["Offer c ann restart"]);
    assert_eq!(lab.read(1), ["Answer c bob a", "Renegotiate c bob more"]);
}

#[test]
fn defect_9_candidates_arrive_after_their_description() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.send(2, Command::CallAnswer(call("c")));
    lab.clear();
    lab.candidate(1, "bob", "k1");
    lab.candidate(1, "bob", "k2");
    lab.offer(1, "bob", "o");
    lab.candidate(1, "bob", "k3");
    lab.candidate(2, "ann", "early");
    lab.answer(2, "ann", "a");
    assert_eq!(
        lab.read(2),
        [
            "Offer c ann o",
            "Candidate c ann k1",
            "Candidate c ann k2",
            "Candidate c ann k3"
        ]
    );
    assert_eq!(lab.read(1), ["Answer c bob a", "Candidate c bob early"]);
}

#[test]
fn defect_9_candidates_that_came_while_it_rang_are_repeated_after_the_answer() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.offer(1, "bob", "o");
    lab.candidate(1, "bob", "k1");
    lab.initiate(1, "c", &["bob"]);
    lab.candidate(1, "bob", "k2");
    assert_eq!(
        lab.read(2),
        [
            "Offer c ann o",
            "Candidate c ann k1",
            "incoming-call c ann o",
            "Candidate c ann k2"
        ]
    );
    lab.answer(2, "ann", "a");
    assert_eq!(lab.read(2), ["Candidate c ann k1", "Candidate c ann k2"]);
    lab.candidate(1, "bob", "k3");
    assert_eq!(lab.read(2), ["Candidate c ann k3"]);
    lab.offer(1, "bob", "restart");
    lab.answer(2, "ann", "a");
    assert_eq!(
        lab.read(2),
        ["Offer c ann restart"],
        "and they are repeated once"
    );
}

#[test]
fn candidates_without_any_description_pass_after_two_seconds() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.send(2, Command::CallAnswer(call("c")));
    lab.clear();
    lab.candidate(1, "bob", "k");
    lab.wait(Duration::from_millis(1_999));
    assert_eq!(lab.read(2).len(), 0);
    lab.wait(Duration::from_millis(1));
    assert_eq!(lab.read(2), ["Candidate c ann k"]);
}

#[test]
fn candidates_that_wait_are_bounded() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.clear();
    for n in 0..1_000 {
        lab.candidate(1, "bob", &n.to_string());
    }
    lab.offer(1, "bob", "o");
    assert_eq!(lab.read(2).len(), 1 + 64);
}

/// ann (1) rings bob (2), and everything that she offers so far is read.
fn rung() -> Lab {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.offer(1, "bob", "o");
    lab.initiate(1, "c", &["bob"]);
    lab.clear();
    lab
}

#[test]
fn a_candidate_that_would_have_to_wait_is_refused_above_4_kib() {
    let (fits, long) = ("x".repeat(4_094), "x".repeat(4_095));
    let mut lab = rung();
    lab.candidate(1, "bob", &fits);
    lab.candidate(1, "bob", &long);
    lab.candidate(2, "ann", &long);
    assert_eq!(lab.read(1), ["refused candidate-too-large"]);
    assert_eq!(lab.read(2).len(), 2, "one candidate and one refusal");
    lab.answer(2, "ann", "a");
    assert_eq!(lab.read(2).len(), 1);
    lab.candidate(1, "bob", &long);
    assert_eq!(lab.read(2).len(), 1, "what need not wait passes");
}

#[test]
fn candidates_that_wait_in_a_call_have_64_kib_in_all() {
    let mut lab = rung();
    let kibibyte = "x".repeat(1_022);
    for _ in 0..60 {
        lab.candidate(1, "bob", &kibibyte);
        lab.candidate(2, "ann", &kibibyte);
    }
    assert_eq!(
        lab.read(2).len(),
        60,
        "those that pass at once are not bounded"
    );
    lab.answer(2, "ann", "a");
    let (early, missed) = (lab.read(1).len() - 1, lab.read(2).len());
    assert_eq!((early, missed), (32, 32));
}

#[test]
fn candidates_for_somebody_who_accepted_are_kept_for_20_seconds() {
    for (secs, kept) in [(19, 1), (20, 0)] {
        let mut lab = rung();
        lab.candidate(1, "bob", "k");
        lab.send(2, Command::CallAnswer(call("c")));
        lab.clear();
        lab.wait_secs(secs);
        lab.answer(2, "ann", "a");
        assert_eq!(lab.read(2).len(), kept, "after {secs} s");
    }
}

#[test]
fn nothing_is_left_to_wait_for_when_an_accepted_call_ends() {
    let mut lab = rung();
    lab.candidate(1, "bob", "k");
    lab.send(2, Command::CallAnswer(call("c")));
    assert_eq!(lab.hub.census().timers, 1);
    lab.send(2, Command::CallEnd(call("c")));
    assert_eq!(lab.hub.census().timers, 0);
}

#[test]
fn whoever_speaks_for_a_user_after_a_reconnect_has_the_call() {
    let mut lab = Lab::of(&["ann", "bob", "bob"]);
    lab.offer(1, "bob", "o");
    lab.initiate(1, "c", &["bob"]);
    lab.answer(2, "ann", "a");
    lab.lose(2);
    lab.connect(4, "bob");
    lab.clear();
    lab.renegotiate(4, "ann", "r");
    lab.answer(1, "bob", "x");
    assert_eq!(lab.read(4), ["Answer c ann x"]);
    assert_eq!(lab.read(3).len(), 0);
}

#[test]
fn opaque_signals_wait_until_their_recipient_has_accepted() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.read(2);
    for text in ["offer", "c1", "c2"] {
        lab.call_signal(1, SignalKind::Opaque, "bob", text);
    }
    assert_eq!(lab.read(2), Vec::<String>::new());
    lab.send(2, Command::CallAnswer(call("c")));
    assert_eq!(
        lab.read(2),
        ["Opaque c ann offer", "Opaque c ann c1", "Opaque c ann c2"]
    );
    assert_eq!(lab.read(1), ["call-answered c bob"]);
    lab.call_signal(1, SignalKind::Opaque, "bob", "c3");
    lab.call_signal(2, SignalKind::Opaque, "ann", "answer");
    assert_eq!(lab.read(2), ["Opaque c ann c3"]);
    assert_eq!(lab.read(1), ["Opaque c bob answer"]);
}

#[test]
fn opaque_signals_that_wait_are_bounded() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.read(2);
    for n in 0..70 {
        lab.call_signal(1, SignalKind::Opaque, "bob", &n.to_string());
    }
    assert_eq!(lab.read(2).len(), 6, "what finds no room is told at once");
    lab.send(2, Command::CallAnswer(call("c")));
    assert_eq!(lab.read(2).len(), 64);
}

#[test]
fn notices_reach_those_who_are_in_the_call_and_nobody_else_sends_any() {
    let mut lab = Lab::of(&["ann", "bob", "cem", "eve"]);
    lab.initiate(1, "c", &["bob", "cem"]);
    lab.send(2, Command::CallAnswer(call("c")));
    lab.clear();
    let notice = |notice| Command::CallNotice {
        call: call("c"),
        notice,
    };
    lab.send(2, notice(CallNotice::Mute));
    lab.send(2, notice(CallNotice::VideoOn));
    assert_eq!(lab.read(1), ["Mute c bob", "VideoOn c bob"]);
    assert_eq!(lab.read(3), Vec::<String>::new(), "it still rings there");
    lab.send(4, notice(CallNotice::Unmute));
    assert_eq!(lab.read(4), ["refused call-not-found"]);
    assert_eq!(lab.read(1), Vec::<String>::new());
}

#[test]
fn of_offers_that_are_too_long_to_be_kept_all_pass_and_few_wait() {
    let users = ["ann", "bob", "cem", "dora", "eve", "fay"];
    let mut lab = Lab::of(&users);
    lab.initiate(1, "c", &users[1..]);
    lab.clear();
    let long = "x".repeat(60_000);
    for (id, user) in (2..).zip(&users[1..]) {
        lab.offer(1, user, &long);
        // Again and again: only the last one waits.
        lab.offer(1, user, &long);
        assert_eq!(lab.read(id).len(), 2, "{user} is told all");
    }
    for (id, user, is_kept) in [(12, "bob", true), (16, "fay", false)] {
        lab.connect(id, user);
        let ringing = lab.read(id).pop().unwrap();
        assert!(ringing.starts_with("incoming-call c ann"), "{ringing}");
        assert_eq!(ringing.len() > 60_000, is_kept, "{user}");
    }
    // An answer makes room.
    lab.answer(2, "ann", "a");
    lab.offer(1, "fay", &long);
    lab.connect(26, "fay");
    assert!(lab.read(26).pop().unwrap().len() > 60_000);
}
