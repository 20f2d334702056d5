//! What is told of calls that are over.

use super::*;

/// The only report, in short.
fn report(lab: &mut Lab) -> String {
    let [report] = lab.hub.take_reports().try_into().expect("one report");
    let CallReport {
        call,
        initiator,
        call_type,
        recipients,
        created_at,
        serial,
        answered_at,
        outcome,
        ended_by,
    } = report;
    let recipients: Vec<String> = recipients
        .iter()
        .map(|recipient| format!("{}:{:?}", recipient.user.0.as_str(), recipient.answer))
        .collect();
    assert_eq!((created_at, serial), (Duration::from_secs(1_000), 1));
    format!(
        "{} {} {call_type:?} {} {:?} {outcome:?} {}",
        call.0.as_str(),
        initiator.0.as_str(),
        recipients.join(","),
        answered_at.map(|at| (at - created_at).as_secs()),
        ended_by.map_or("-".to_owned(), |user| user.0.as_str().to_owned()),
    )
}

#[test]
fn an_answered_call_is_told_with_its_times_and_who_hung_up() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.wait_secs(7);
    lab.send(2, Command::CallAnswer(call("c")));
    assert!(lab.hub.take_reports().is_empty());
    lab.wait_secs(60);
    lab.send(2, Command::CallEnd(call("c")));
    assert_eq!(
        report(&mut lab),
        "c ann Some(Video) bob:Accepted Some(7) Ended bob"
    );
    assert!(lab.hub.take_reports().is_empty());
}

#[test]
fn a_call_that_is_declined_cancelled_or_not_answered_is_told_as_such() {
    let mut lab = Lab::of(&["ann", "bob", "eve"]);
    lab.initiate(1, "c", &["bob", "eve"]);
    lab.send(2, Command::CallReject(call("c")));
    lab.send(3, Command::CallReject(call("c")));
    assert_eq!(
        report(&mut lab),
        "c ann Some(Video) bob:Rejected,eve:Rejected None Rejected -"
    );

    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.send(1, Command::CallEnd(call("c")));
    assert_eq!(
        report(&mut lab),
        "c ann Some(Video) bob:Missed None Cancelled ann"
    );

    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob", "zoe"]);
    lab.wait_secs(45);
    assert_eq!(
        report(&mut lab),
        "c ann Some(Video) bob:Missed,zoe:Absent None Timeout -"
    );

    let mut lab = Lab::of(&["ann"]);
    lab.initiate(1, "c", &["zoe"]);
    assert_eq!(
        report(&mut lab),
        "c ann Some(Video) zoe:Absent None Unavailable -"
    );
}

#[test]
fn a_call_that_loses_a_member_is_told_as_disconnected() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    lab.send(2, Command::CallAnswer(call("c")));
    lab.lose(2);
    lab.wait_secs(20);
    assert_eq!(
        report(&mut lab),
        "c ann Some(Video) bob:Accepted Some(0) Disconnected bob"
    );
}

#[test]
fn an_offer_that_nobody_took_is_no_call() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.offer(1, "bob", "o");
    lab.wait_secs(60);
    assert!(lab.hub.take_reports().is_empty());
}

#[test]
fn recipients_that_are_remembered_are_bounded() {
    let mut lab = Lab::of(&["ann", "bob"]);
    lab.initiate(1, "c", &["bob"]);
    for number in 0..100 {
        lab.initiate(1, "c", &[&format!("nobody-{number}")]);
    }
    lab.send(1, Command::CallEnd(call("c")));
    assert_eq!(lab.hub.take_reports()[0].recipients.len(), 64);
}
