//! Who is online, and who hears of changes.

use super::*;

fn ask(lab: &mut Lab, id: u64, watch: Option<bool>) {
    lab.send(id, Command::Presence { watch });
}

#[test]
fn everybody_listed_is_named_once_in_order() {
    let mut lab = Lab::of(&["cem", "ann", "ann"]);
    let guest = Identity {
        user: user("guest"),
        listed: false,
        name: None,
    };
    lab.hub.connect(Duration::ZERO, ConnectionId(9), guest);
    ask(&mut lab, 1, None);
    assert_eq!(lab.read(1), ["presence [ann,cem] of 2"]);
}

#[test]
fn a_long_list_is_cut_and_counted() {
    let mut lab = Lab::with(Limits {
        presence_page: 2,
        ..Limits::default()
    });
    for (id, user) in (1..).zip(["a", "b", "c"]) {
        lab.connect(id, user);
    }
    lab.clear();
    ask(&mut lab, 1, None);
    assert_eq!(lab.read(1), ["presence [a,b] of 3"]);
}

#[test]
fn changes_are_gathered_over_a_second() {
    let mut lab = Lab::of(&["ann", "bob"]);
    ask(&mut lab, 1, Some(true));
    lab.clear();
    lab.connect(3, "cem");
    lab.connect(4, "dan");
    lab.lose(2);
    lab.wait(Duration::from_millis(999));
    assert_eq!(lab.read(1).len(), 0);
    lab.wait(Duration::from_millis(1));
    assert_eq!(lab.read(1), ["presence +[cem,dan] -[bob]"]);
    assert_eq!(lab.read(3), ["connected cem"], "only watchers are told");
}

#[test]
fn a_user_is_offline_when_the_last_connection_is_gone() {
    let mut lab = Lab::of(&["ann", "bob", "bob"]);
    ask(&mut lab, 1, Some(true));
    lab.clear();
    lab.close(2);
    lab.wait_secs(2);
    assert_eq!(lab.read(1).len(), 0);
    lab.close(3);
    lab.wait_secs(2);
    assert_eq!(lab.read(1), ["presence +[] -[bob]"]);
}

#[test]
fn a_watcher_that_began_between_two_changes_ends_up_right() {
    let mut lab = Lab::of(&["ann", "bob", "cem"]);
    ask(&mut lab, 1, Some(true));
    lab.close(3);
    ask(&mut lab, 2, Some(true));
    assert_eq!(lab.read(2), ["presence [ann,bob] of 2"]);
    lab.connect(4, "cem");
    lab.wait_secs(1);
    assert_eq!(lab.read(2), ["presence +[cem] -[]"]);
}

#[test]
fn who_stops_watching_hears_no_more() {
    let mut lab = Lab::of(&["ann", "bob"]);
    ask(&mut lab, 1, Some(true));
    ask(&mut lab, 1, Some(false));
    lab.clear();
    lab.close(2);
    lab.wait_secs(5);
    assert_eq!(lab.read(1).len(), 0);
    assert_eq!(lab.hub.census().timers, 0);
}
