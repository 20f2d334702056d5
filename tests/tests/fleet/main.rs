//! Many processes as one service: nodes of `signaling` around a real Redis, killed, stopped and cut off while people talk.
//!
//! Each event prints what it cost: messages that were lost, the longest time that somebody heard nothing, how long until presence
//! was right on every node, and how many calls ended. What is asserted is that none does, that nothing comes twice or in another order, and
//! that everything is well again; how long it takes depends on the machine and is printed.
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

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use tokio::time::sleep;

use crowd::{Balancer, Crowd, Line, until_present};
use redis::Redis;
use site::Site;

/// Longer than a node may be silent, shorter than the grace of its users.
const OUTAGE: Duration = Duration::from_secs(6);

struct Fleet {
    site: Site,
    balancer: Balancer,
    crowd: Crowd,
    strangers: usize,
}

impl Fleet {
    async fn start(nodes: usize, pairs: usize) -> Result<Fleet> {
        let site = Site::start(Redis::plain()?, nodes).await?;
        let balancer = Balancer::new((0..nodes).map(|node| site.address(node)));
        let crowd = Crowd::gather(pairs, nodes, &balancer).await?;
        crowd.all_hear().await?;
        let calm = crowd.seen();
        sleep(Duration::from_secs(1)).await;
        let calm_after = crowd.seen();
        ensure!(
            calm.lost + calm_after.lost == 0,
            "something is lost though nothing happened"
        );
        Ok(Fleet {
            site,
            balancer,
            crowd,
            strangers: 0,
        })
    }

    /// Says what an event cost, once everything is well again.
    async fn report(&mut self, event: &str, running: &[usize]) -> Result<()> {
        self.crowd.all_hear().await?;
        let presence = self.presence_is_right(running).await?;
        let seen = self.crowd.seen();
        println!(
            "say: {event:<34} {:>4} of {:>5} messages lost, silence at most {:>5} ms, {:>3} reconnected, presence right after {:>5} ms, calls ended: {}",
            seen.lost,
            seen.said,
            seen.longest_silence.as_millis(),
            seen.reconnected,
            presence.as_millis(),
            seen.ended,
        );
        ensure!(seen.ended == 0, "{event}: a call ended");
        ensure!(
            seen.disordered == 0,
            "{event}: {} came twice or out of order",
            seen.disordered
        );
        Ok(())
    }

    /// Waits until somebody new is seen from every node, and is gone everywhere when gone.
    async fn presence_is_right(&mut self, running: &[usize]) -> Result<Duration> {
        let begun = std::time::Instant::now();
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
        Ok(begun.elapsed())
    }

    async fn kill_node(&mut self, node: usize) -> Result<()> {
        let here = self.site.address(node);
        let lost = vec![format!("lonely-{node}")];
        let lonely = Line::open(here, &format!("/?token={}", lost[0])).await?;
        let other = (node + 1) % self.site.nodes();
        until_present(self.site.address(other), &lost, true).await?;
        self.balancer.set(node, None);
        self.site.kill_node(node)?;
        drop(lonely);
        let missed = until_present(self.site.address(other), &lost, false).await?;
        println!(
            "say: node {node}'s lonely user was seen to be gone after {} ms",
            missed.as_millis()
        );
        let running: Vec<usize> = (0..self.site.nodes())
            .filter(|other| *other != node)
            .collect();
        self.report(&format!("kill of node {node}"), &running)
            .await?;
        self.site.start_node(node)?;
        self.balancer.set(node, Some(here));
        self.report(&format!("node {node} comes back"), &self.all())
            .await
    }

    async fn end_node(&mut self, node: usize) -> Result<()> {
        self.balancer.set(node, None);
        self.site.end_node(node)?;
        let running: Vec<usize> = (0..self.site.nodes())
            .filter(|other| *other != node)
            .collect();
        self.report(&format!("end of node {node} in good order"), &running)
            .await?;
        self.site.start_node(node)?;
        self.balancer.set(node, Some(self.site.address(node)));
        self.report(&format!("node {node} comes back"), &self.all())
            .await
    }

    async fn kill_redis(&mut self, away: Duration) -> Result<()> {
        self.site.redis.kill()?;
        sleep(away).await;
        self.site.redis.start_empty()?;
        let event = format!("kill of Redis, back empty after {} s", away.as_secs());
        self.report(&event, &self.all()).await
    }

    async fn stop_redis(&mut self, away: Duration) -> Result<()> {
        self.site.redis.signal(Signal::STOP)?;
        sleep(away).await;
        self.site.redis.signal(Signal::CONT)?;
        let event = format!("Redis stands still for {} ms", away.as_millis());
        self.report(&event, &self.all()).await
    }

    async fn stop_node(&mut self, node: usize) -> Result<()> {
        self.site.signal_node(node, Signal::STOP)?;
        sleep(OUTAGE).await;
        self.site.signal_node(node, Signal::CONT)?;
        self.report(&format!("node {node} stands still for 6 s"), &self.all())
            .await
    }

    async fn cut_off(&mut self, node: usize) -> Result<()> {
        self.site.cut(node, true);
        sleep(OUTAGE).await;
        self.site.cut(node, false);
        self.report(&format!("node {node} is cut off for 6 s"), &self.all())
            .await
    }

    fn all(&self) -> Vec<usize> {
        (0..self.site.nodes()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_survive_the_death_of_one_and_of_redis() -> Result<()> {
    let mut fleet = Fleet::start(2, 10).await?;
    fleet.kill_node(1).await?;
    fleet.kill_redis(Duration::from_secs(4)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_survive_deaths_pauses_and_partitions() -> Result<()> {
    let mut fleet = Fleet::start(3, 30).await?;
    for node in 0..3 {
        fleet.kill_node(node).await?;
        fleet.cut_off(node).await?;
        fleet.stop_node(node).await?;
        fleet.end_node(node).await?;
    }
    fleet.stop_redis(Duration::from_millis(1_000)).await?;
    fleet.stop_redis(OUTAGE).await?;
    fleet.kill_redis(Duration::from_millis(500)).await?;
    // Longer than the grace of those who are lost.
    fleet.kill_redis(Duration::from_secs(40)).await?;
    for node in 0..3 {
        let complaints = fleet.site.says(node, "cannot be read");
        ensure!(complaints == 0, "node {node} could not read the log");
    }
    Ok(())
}
