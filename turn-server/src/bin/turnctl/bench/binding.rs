//! STUN Binding, saturated: a bounded number of requests is always under way, so the server never waits.

use super::client::{binding_request, connected_socket};
use super::disturbance::Watch;
use super::measurement::{Measurement, Metric};
use super::proc::ProcessTime;
use super::relay::Scale;
use super::socket;
use super::target::Running;
use anyhow::Result;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use udp_batch::{Arena, Backend, Outgoing, Sender};

/// Clients, and requests each of them has under way: 256 datagrams fit every server's receive buffer, even the kernel's default.
const CLIENTS: usize = 8;
const UNDER_WAY: usize = 32;
/// When a client hears nothing for so long, its requests are lost and new ones are sent.
const LOST_AFTER: Duration = Duration::from_millis(100);

/// Measures the server's processor time per answered request.
///
/// # Errors
/// No socket can be had, or the server is gone.
pub(crate) fn measure(server: &Running, scale: &Scale) -> Result<Measurement> {
    let mut asker = Asker::new(server)?;
    let watch = Watch::begin(scale.placement, server.pid());
    asker.ask_for(scale.warm_up);
    let before = ProcessTime::of(server.pid())?;
    let (sent_before, answered_before) = (asker.sent, asker.answered);
    let began = Instant::now();
    asker.ask_for(scale.window);
    let window = began.elapsed();
    let cpu_ns = ProcessTime::of(server.pid())?.since(&before).run_ns;
    let answered = asker.answered - answered_before;
    let lost = asker.lost as f64 / (asker.sent - sent_before).max(1) as f64;
    let measured = Measurement::new(watch.end(0.0, 0))
        .with(
            Metric::AnsweredRate,
            answered as f64 / window.as_secs_f64().max(f64::EPSILON),
        )
        .with(Metric::Loss, lost);
    Ok(if answered == 0 {
        measured
    } else {
        measured.with(Metric::CpuPerAnswer, cpu_ns as f64 / 1e9 / answered as f64)
    })
}

struct Asker {
    clients: Vec<Asking>,
    arena: Arena,
    sender: Sender,
    sent: u64,
    answered: u64,
    lost: u64,
}

struct Asking {
    socket: UdpSocket,
    server: std::net::SocketAddr,
    requests: Vec<Vec<u8>>,
    under_way: usize,
    heard_at: Instant,
}

impl Asker {
    fn new(server: &Running) -> Result<Self> {
        let clients = (0..CLIENTS)
            .map(|_| {
                let socket = connected_socket(server.listen)?;
                socket::prepare(&socket)?;
                let requests = (0..UNDER_WAY)
                    .map(|_| binding_request(rand::random()))
                    .collect();
                Ok(Asking {
                    socket,
                    server: server.listen,
                    requests,
                    under_way: 0,
                    heard_at: Instant::now(),
                })
            })
            .collect::<Result<_>>()?;
        let (arena, sender) = (
            Arena::new(Backend::detect(), UNDER_WAY, 0, 0),
            Sender::new(Backend::detect(), UNDER_WAY),
        );
        Ok(Self {
            clients,
            arena,
            sender,
            sent: 0,
            answered: 0,
            lost: 0,
        })
    }

    fn ask_for(&mut self, span: Duration) {
        let began = Instant::now();
        while began.elapsed() < span {
            for index in 0..self.clients.len() {
                self.turn(index);
            }
        }
    }

    /// Takes the answers of one client and asks as often again.
    fn turn(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        let came = self
            .arena
            .receive(client.socket.as_fd(), 0, UNDER_WAY)
            .unwrap_or(0);
        for slot in 0..came {
            let is_success = self.arena.slot_mut(slot).is_some_and(|slot| {
                slot.buf
                    .get(slot.payload)
                    .is_some_and(|answer| answer.starts_with(&[0x01, 0x01]))
            });
            self.answered += u64::from(is_success);
        }
        if came > 0 {
            client.heard_at = Instant::now();
            client.under_way = client.under_way.saturating_sub(came);
        } else if client.under_way > 0 && client.heard_at.elapsed() > LOST_AFTER {
            self.lost += client.under_way as u64;
            client.under_way = 0;
            client.heard_at = Instant::now();
        }
        let free = UNDER_WAY - client.under_way;
        if free == 0 {
            return;
        }
        let packets = client.requests.iter().take(free).map(|bytes| Outgoing {
            to: client.server,
            bytes,
            traffic_class: 0,
        });
        let report = self.sender.send(client.socket.as_fd(), packets);
        client.under_way += report.sent;
        self.sent += report.sent as u64;
    }
}
