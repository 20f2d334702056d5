//! Peers: ids, tokens, and what waits for those who are away.

use super::*;

impl Lab {
    fn guest(&mut self, id: u64) {
        self.connect(id, &format!("guest{id}"));
        self.read(id);
    }

    fn claim(&mut self, id: u64, peer: &str, token: &str) {
        let (peer, token) = (PeerId(name(peer)), PeerToken(name(token)));
        self.send(id, Command::Claim { peer, token });
    }

    /// A connection that has the id, and has read so.
    fn peer(&mut self, id: u64, peer: &str) {
        self.guest(id);
        self.claim(id, peer, &format!("token of {peer}"));
        assert_eq!(self.read(id), [format!("claimed {peer}")]);
    }

    fn say(&mut self, id: u64, kind: PeerKind, to: &str, text: &str) {
        let (to, data) = (PeerId(name(to)), Some(payload(text)));
        self.send(id, Command::PeerTell { to, kind, data });
    }
}

#[test]
fn peers_hear_each_other_under_the_ids_that_they_have() {
    let mut lab = Lab::new();
    lab.peer(1, "ann");
    lab.peer(2, "bob");
    lab.say(1, PeerKind::Offer, "bob", "sdp");
    lab.say(2, PeerKind::Answer, "ann", "sdp2");
    lab.say(1, PeerKind::Leave, "bob", "");
    assert_eq!(lab.read(2), ["Offer ann sdp", "Leave ann"]);
    assert_eq!(lab.read(1), ["Answer bob sdp2"]);
}

#[test]
fn an_id_is_not_taken_from_its_holder_by_another_token() {
    let mut lab = Lab::new();
    lab.peer(1, "ann");
    lab.guest(2);
    lab.claim(2, "ann", "guessed");
    assert_eq!(lab.read(2), ["refused id-taken", "closed Refused"]);
    lab.lose(2);
    lab.peer(3, "bob");
    lab.say(3, PeerKind::Offer, "ann", "x");
    assert_eq!(lab.read(1), ["Offer bob x"]);
}

#[test]
fn a_lost_id_is_kept_for_its_token_and_for_so_long() {
    let mut lab = Lab::new();
    lab.peer(1, "ann");
    lab.lose(1);
    lab.guest(2);
    lab.claim(2, "ann", "guessed");
    assert_eq!(lab.read(2), ["refused id-taken", "closed Refused"]);
    lab.wait_secs(20);
    lab.guest(3);
    lab.claim(3, "ann", "another");
    assert_eq!(lab.read(3), ["claimed ann"]);
}

#[test]
fn a_closed_id_is_free_at_once() {
    let mut lab = Lab::new();
    lab.peer(1, "ann");
    lab.close(1);
    lab.guest(2);
    lab.claim(2, "ann", "another");
    assert_eq!(lab.read(2), ["claimed ann"]);
}

#[test]
fn the_same_token_takes_over_from_a_connection_that_only_looks_alive() {
    let mut lab = Lab::new();
    lab.peer(1, "ann");
    lab.peer(2, "bob");
    lab.guest(3);
    lab.claim(3, "ann", "token of ann");
    assert_eq!(lab.read(3), ["claimed ann"]);
    assert_eq!(lab.read(1), ["closed Resumed"]);
    lab.lose(1);
    lab.wait_secs(60);
    lab.say(2, PeerKind::Offer, "ann", "x");
    assert_eq!(lab.read(3), ["Offer bob x"]);
    lab.say(1, PeerKind::Offer, "bob", "from beyond");
    assert_eq!(lab.read(2), Vec::<String>::new());
}

#[test]
fn what_waits_is_told_in_order_to_whoever_comes_in_time() {
    let mut lab = Lab::new();
    lab.peer(1, "ann");
    lab.say(1, PeerKind::Offer, "bob", "sdp");
    lab.wait_secs(2);
    for n in 0..80 {
        lab.say(1, PeerKind::Candidate, "bob", &n.to_string());
    }
    lab.wait_secs(2);
    lab.guest(2);
    lab.claim(2, "bob", "t");
    let candidates: String = (0..80).map(|n| format!(", Candidate ann {n}")).collect();
    assert_eq!(
        lab.read(2),
        [
            "claimed bob".to_owned(),
            format!("backlog [Offer ann sdp{candidates}]")
        ]
    );
    lab.wait_secs(60);
    assert_eq!(lab.read(1), Vec::<String>::new());
    assert_eq!(lab.hub.census().peer_bytes, 0);
}

#[test]
fn what_nobody_came_for_expires_once_per_pair_after_five_seconds() {
    let mut lab = Lab::new();
    lab.peer(1, "ann");
    lab.say(1, PeerKind::Offer, "bob", "sdp");
    lab.say(1, PeerKind::Candidate, "bob", "c");
    lab.say(1, PeerKind::Offer, "cem", "sdp");
    lab.wait(Duration::from_millis(4_999));
    assert_eq!(lab.read(1), Vec::<String>::new());
    lab.wait(Duration::from_millis(1));
    assert_eq!(lab.read(1), ["Expire bob", "Expire cem"]);
    lab.guest(2);
    lab.claim(2, "bob", "t");
    assert_eq!(lab.read(2), ["claimed bob"]);
    lab.wait_secs(60);
    assert_eq!(lab.read(1), Vec::<String>::new());
    let census = lab.hub.census();
    assert_eq!((census.peer_bytes, census.timers), (0, 0));
}

#[test]
fn a_farewell_waits_for_nobody() {
    let mut lab = Lab::new();
    lab.peer(1, "ann");
    lab.say(1, PeerKind::Leave, "bob", "");
    lab.wait_secs(60);
    assert_eq!(lab.read(1), Vec::<String>::new());
}

#[test]
fn who_has_no_id_is_not_heard() {
    let mut lab = Lab::of(&["ann"]);
    lab.peer(2, "bob");
    lab.say(1, PeerKind::Offer, "bob", "x");
    assert_eq!(lab.read(1), ["refused not-joined"]);
    assert_eq!(lab.read(2), Vec::<String>::new());
}

#[test]
fn what_one_sender_has_waiting_is_bounded_however_many_it_tells() {
    let mut lab = Lab::new();
    lab.peer(1, "ann");
    lab.peer(2, "eve");
    let large = "x".repeat(60_000);
    for n in 0..50 {
        lab.say(2, PeerKind::Offer, &format!("nobody{n}"), &large);
    }
    assert_eq!(lab.hub.census().peer_bytes, 2 * (60_002 + 256));
    assert_eq!(lab.read(2).len(), 48, "each of the others expires at once");
    lab.say(1, PeerKind::Offer, "bob", "sdp");
    lab.guest(3);
    lab.claim(3, "bob", "t");
    assert_eq!(lab.read(3), ["claimed bob", "backlog [Offer ann sdp]"]);
}

#[test]
fn what_all_have_waiting_is_bounded() {
    let mut lab = Lab::with(Limits {
        peer_bytes: 10_000,
        ..Limits::default()
    });
    for id in 1..=20 {
        lab.peer(id, &format!("p{id}"));
        for n in 0..10 {
            lab.say(id, PeerKind::Candidate, &format!("nobody{n}"), "");
        }
    }
    assert!(lab.hub.census().peer_bytes <= 10_000);
}

#[test]
fn what_somebody_said_goes_when_the_sender_does() {
    let mut lab = Lab::new();
    for id in 1..=10 {
        lab.peer(id, &format!("p{id}"));
        lab.say(id, PeerKind::Offer, "bob", "sdp");
        lab.say(id, PeerKind::Offer, "cem", "sdp");
        lab.close(id);
    }
    assert_eq!(lab.hub.census(), Census::default());
}

#[test]
fn the_list_names_those_who_are_there() {
    let mut lab = Lab::new();
    for (id, peer) in [(1, "cem"), (2, "ann"), (3, "bob")] {
        lab.peer(id, peer);
    }
    lab.lose(3);
    let ids = |most| -> Vec<String> {
        let ids = lab.hub.peer_ids(most).into_iter();
        ids.map(|id| id.0.to_string()).collect()
    };
    assert_eq!(ids(10), ["ann", "cem"]);
    assert_eq!(ids(1), ["ann"]);
}
