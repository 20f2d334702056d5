//! Many processes as one service: nodes of `signaling` around a real Redis, killed, stopped and cut off while people talk.
//!
//! Whenever something happens, each node has the same share of the users, and most calls are between two nodes: what is done to one of
//! three concerns two calls of three. Each event prints what it cost the calls that it cuts in two, and the others: messages that were
//! lost, and the longest time that somebody heard nothing; and how long it took until presence was right on every node. What is asserted
//! is that no call ends, that nothing comes twice or in another order, that nothing is lost in calls that are not cut, nor where no node
//! went on alone, and that everything is well again in twenty seconds; how long it takes depends on the machine and is printed.
//! The stage `fleet` runs the two nodes, `fleet_full` the three.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report of a test"
)]

mod crowd;
mod records;
mod redis;
mod secure;
mod site;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use tokio::time::sleep;

use crowd::{Balancer, Crowd, Cut, Line, Seen, until_present};
use redis::Redis;
use site::Site;

/// Longer than a node may be silent, shorter than the grace of its users.
const OUTAGE: Duration = Duration::from_secs(6);

/// Calls within each node.
const ON_EACH: usize = 2;

struct Fleet {
    site: Site,
    balancer: Balancer,
    crowd: Crowd,
    strangers: usize,
    /// How often nodes had gone on alone when that was counted last.
    lonely: usize,
}

/// How Redis comes back.
#[derive(Clone, Copy)]
enum Back {
    Empty,
    WithItsData,
}

impl Fleet {
    async fn start(redis: Redis, nodes: usize, pairs: usize) -> Result<Fleet> {
        let site = Site::start(redis, nodes).await?;
        let balancer = Balancer::new((0..nodes).map(|node| site.address(node)));
        let crowd = Crowd::gather(pairs, ON_EACH, nodes, &balancer).await?;
        crowd.all_hear().await?;
        let calm = crowd.seen();
        sleep(Duration::from_secs(1)).await;
        let calm_after = crowd.seen();
        ensure!(
            calm.lost + calm_after.lost == 0,
            "something is lost though nothing happened"
        );
        println!("say: {pairs} calls between two of {nodes} nodes, and {ON_EACH} within each");
        Ok(Fleet {
            site,
            balancer,
            crowd,
            strangers: 0,
            lonely: 0,
        })
    }

    /// Says what an event cost, once everything is well again.
    async fn report(&mut self, event: &str, cut: Cut, running: &[usize]) -> Result<()> {
        let begun = Instant::now();
        self.crowd.all_hear().await?;
        for node in running {
            until_present(self.site.address(*node), self.crowd.names(), true).await?;
        }
        let presence = begun.elapsed();
        self.strangers_come_and_go(running).await?;
        let (across, within) = self.crowd.seen_around(cut);
        let cost = |seen: &Seen| match seen.said {
            0 => "none".to_owned(),
            said => format!(
                "{:>5} of {said:>5} lost, silence {:>5} ms",
                seen.lost,
                seen.longest_silence.as_millis()
            ),
        };
        println!(
            "say: {event:<44} calls across the cut: {:<35} others: {}, {:>3} reconnected, presence right after {:>4} ms",
            cost(&across),
            cost(&within),
            across.reconnected + within.reconnected,
            presence.as_millis(),
        );
        for (calls, seen) in [("across the cut", &across), ("of the others", &within)] {
            ensure!(seen.ended == 0, "{event}: a call {calls} ended");
            ensure!(
                seen.disordered == 0,
                "{event}: {} in calls {calls} came twice or out of order",
                seen.disordered
            );
        }
        let lonely = self.times_alone();
        let stayed = std::mem::replace(&mut self.lonely, lonely) == lonely;
        ensure!(
            within.lost == 0,
            "{event}: {} lost in calls that it did not cut in two",
            within.lost
        );
        ensure!(
            across.lost == 0 || across.reconnected > 0 || !stayed,
            "{event}: {} lost, though no connection broke and no node went on alone",
            across.lost
        );
        Ok(())
    }

    /// How often nodes have gone on alone.
    fn times_alone(&self) -> usize {
        let count = |said: &str| -> usize {
            let nodes = self.all().into_iter();
            nodes.map(|node| self.site.says(node, said)).sum()
        };
        count("goes on alone") + count("comes in anew")
    }

    /// Waits until somebody new is seen from every node, and is gone everywhere when gone.
    async fn strangers_come_and_go(&mut self, running: &[usize]) -> Result<()> {
        for node in running {
            self.strangers += 1;
            let stranger = vec![format!("stranger-{}", self.strangers)];
            let path = format!("/?token={}", stranger[0]);
            let line = Line::open(self.site.address(*node), &path).await?;
            for other in running {
                until_present(self.site.address(*other), &stranger, true).await?;
            }
            drop(line);
            for other in running {
                until_present(self.site.address(*other), &stranger, false).await?;
            }
        }
        Ok(())
    }

    /// Waits until those who are at a node, whom the others cannot see, are gone for the others.
    async fn is_missed(&self, node: usize, who: &[String]) -> Result<()> {
        let other = self.site.address((node + 1) % self.site.nodes());
        let missed = until_present(other, who, false).await?;
        println!(
            "say: node {node}'s {} users were seen to be gone after {} ms",
            who.len(),
            missed.as_millis()
        );
        Ok(())
    }

    async fn kill_node(&mut self, node: usize) -> Result<()> {
        self.crowd.spread().await?;
        let here = self.site.address(node);
        let lost = vec![format!("lonely-{node}")];
        let lonely = Line::open(here, &format!("/?token={}", lost[0])).await?;
        let other = (node + 1) % self.site.nodes();
        until_present(self.site.address(other), &lost, true).await?;
        self.balancer.set(node, None);
        self.site.kill_node(node)?;
        drop(lonely);
        // The others connect elsewhere, and are not missed.
        self.is_missed(node, &lost).await?;
        let running: Vec<usize> = (0..self.site.nodes())
            .filter(|other| *other != node)
            .collect();
        self.report(&format!("kill of node {node}"), Cut::Dead(node), &running)
            .await?;
        self.site.start_node(node)?;
        self.balancer.set(node, Some(here));
        self.report(&format!("node {node} comes back"), Cut::None, &self.all())
            .await
    }

    async fn end_node(&mut self, node: usize) -> Result<()> {
        self.crowd.spread().await?;
        self.balancer.set(node, None);
        self.site.end_node(node)?;
        let running: Vec<usize> = (0..self.site.nodes())
            .filter(|other| *other != node)
            .collect();
        self.report(
            &format!("end of node {node} in good order"),
            Cut::Dead(node),
            &running,
        )
        .await?;
        self.site.start_node(node)?;
        self.balancer.set(node, Some(self.site.address(node)));
        self.report(&format!("node {node} comes back"), Cut::None, &self.all())
            .await
    }

    async fn kill_redis(&mut self, away: Duration, comes_back: Back) -> Result<()> {
        self.crowd.spread().await?;
        self.site.redis.kill()?;
        sleep(away).await;
        let with = match comes_back {
            Back::Empty => {
                self.site.redis.start_empty()?;
                "empty"
            }
            Back::WithItsData => {
                self.site.redis.start()?;
                "with its data"
            }
        };
        let event = format!("kill of Redis, back {with} after {} ms", away.as_millis());
        self.report(&event, Cut::Everywhere, &self.all()).await
    }

    async fn stop_redis(&mut self, away: Duration) -> Result<()> {
        self.crowd.spread().await?;
        self.site.redis.signal(Signal::STOP)?;
        sleep(away).await;
        self.site.redis.signal(Signal::CONT)?;
        let event = format!("Redis stands still for {} ms", away.as_millis());
        self.report(&event, Cut::Everywhere, &self.all()).await
    }

    async fn stop_node(&mut self, node: usize) -> Result<()> {
        self.crowd.spread().await?;
        let there = self.crowd.names_at(node);
        let begun = Instant::now();
        self.site.signal_node(node, Signal::STOP)?;
        self.is_missed(node, &there).await?;
        sleep(OUTAGE.saturating_sub(begun.elapsed())).await;
        self.site.signal_node(node, Signal::CONT)?;
        self.report(
            &format!("node {node} stands still for 6 s"),
            Cut::Dead(node),
            &self.all(),
        )
        .await
    }

    async fn cut_off(&mut self, node: usize) -> Result<()> {
        self.crowd.spread().await?;
        let there = self.crowd.names_at(node);
        let begun = Instant::now();
        self.site.cut(node, true);
        self.is_missed(node, &there).await?;
        sleep(OUTAGE.saturating_sub(begun.elapsed())).await;
        self.site.cut(node, false);
        self.report(
            &format!("node {node} is cut off for 6 s"),
            Cut::Off(node),
            &self.all(),
        )
        .await
    }

    fn all(&self) -> Vec<usize> {
        (0..self.site.nodes()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_survive_the_death_of_one_and_of_redis() -> Result<()> {
    let mut fleet = Fleet::start(Redis::plain()?, 2, 10).await?;
    fleet.kill_node(1).await?;
    fleet.kill_redis(Duration::from_secs(4), Back::Empty).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_survive_deaths_pauses_and_partitions() -> Result<()> {
    let mut fleet = Fleet::start(Redis::plain()?, 3, 30).await?;
    for node in 0..3 {
        fleet.kill_node(node).await?;
        fleet.cut_off(node).await?;
        fleet.stop_node(node).await?;
        fleet.end_node(node).await?;
    }
    fleet.stop_redis(Duration::from_millis(1_000)).await?;
    fleet.stop_redis(OUTAGE).await?;
    for comes_back in [Back::WithItsData, Back::Empty] {
        fleet
            .kill_redis(Duration::from_millis(500), comes_back)
            .await?;
        // Longer than the grace of those who are lost.
        fleet
            .kill_redis(Duration::from_secs(40), comes_back)
            .await?;
    }
    for node in 0..3 {
        let complaints = fleet.site.says(node, "cannot be read");
        ensure!(complaints == 0, "node {node} could not read the log");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_behind_tls_survive_deaths_pauses_and_partitions() -> Result<()> {
    let mut fleet = Fleet::start(Redis::secure()?, 3, 30).await?;
    fleet.kill_node(0).await?;
    fleet.cut_off(1).await?;
    fleet.stop_redis(OUTAGE).await?;
    for comes_back in [Back::WithItsData, Back::Empty] {
        fleet.kill_redis(OUTAGE, comes_back).await?;
    }
    Ok(())
}
