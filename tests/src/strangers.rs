//! Strangers: clients without credentials, as many as there are addresses, and what a server keeps of them.
//!
//! Not here: how much they can send at once (`flood`).

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::netns::Namespace;

/// Where everything here happens.
pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The server that is meant.
pub const TURN: SocketAddr = SocketAddr::new(HERE, 3478);

/// A server with one user as it is configured by default otherwise, in words that coturn knows, too.
pub const FLAGS: [&str; 8] = [
    "--listening-ip=127.0.0.1",
    "--relay-ip=127.0.0.1",
    "--allow-loopback-peers",
    "--realm=test.org",
    "--lt-cred-mech",
    "--user=guest:secret",
    "--min-port=20000",
    "--max-port=21999",
];

/// Makes a namespace where all of 10.0.0.0/8 is this machine's: as many clients as are needed, each with an address of its own.
///
/// # Errors
/// Without root.
pub fn space() -> Result<Namespace> {
    let space = Namespace::new("hostile")?;
    space.ip("route add local 10.0.0.0/8 dev lo")?;
    Ok(space)
}

/// An Allocate request as a browser sends it first, 28 bytes.
pub fn allocate(number: u32) -> Vec<u8> {
    let mut request = vec![0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    request.extend([0; 8]);
    request.extend(number.to_be_bytes());
    request.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
    request
}

/// The address of a stranger. Neighbours are in different networks of 256 addresses, so that no network is answered less.
pub fn stranger(number: u32) -> IpAddr {
    let [_, high, middle, low] = number.to_be_bytes();
    Ipv4Addr::new(10, low, middle, high + 1).into()
}

/// The length of the next answer, if one comes.
///
/// # Errors
/// When the socket fails otherwise than by silence.
pub fn answered(socket: &UdpSocket) -> Result<Option<usize>> {
    match socket.recv(&mut [0; 2048]) {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// So many requests from one address, as fast as they are read; the bytes of what came back.
///
/// Most of it may not be answered. Now and then somebody else asks, and his answer says how far the server is.
///
/// # Errors
/// When a socket fails.
pub fn one_stranger(space: &Namespace, requests: u32) -> Result<u64> {
    space.inside(|| {
        let socket = UdpSocket::bind((HERE, 0))?;
        socket.set_nonblocking(true)?;
        let mut heard = 0;
        for number in 0..requests {
            socket.send_to(&allocate(number), TURN)?;
            while let Ok(Some(length)) = answered(&socket) {
                heard += length as u64;
            }
            if number % 64 == 0 {
                let other = UdpSocket::bind((stranger(number % 64 + 0x00F0_0000), 0))?;
                other.set_read_timeout(Some(Duration::from_millis(20)))?;
                other.send_to(&allocate(number), TURN)?;
                answered(&other)?;
            }
        }
        Ok(heard)
    })
}

/// One request from each of so many addresses, beginning with a number; how many were answered.
///
/// # Errors
/// When a socket fails.
pub fn many_strangers(space: &Namespace, first: u32, count: u32) -> Result<u32> {
    space.inside(|| {
        let mut heard = 0;
        let numbers: Vec<u32> = (first..first + count).collect();
        // So many at a time that nothing overflows.
        for batch in numbers.chunks(64) {
            let mut sockets = Vec::new();
            for number in batch {
                let socket = UdpSocket::bind((stranger(*number), 0))?;
                socket.set_read_timeout(Some(Duration::from_secs(2)))?;
                socket.send_to(&allocate(*number), TURN)?;
                sockets.push(socket);
            }
            for socket in sockets {
                heard += u32::from(answered(&socket)?.is_some());
            }
        }
        Ok(heard)
    })
}

/// The bytes of memory that are a process's own.
///
/// # Errors
/// When it has ended.
pub fn anonymous_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u64 = line
        .context("no RssAnon")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib * 1024)
}

/// By how much each round of so many strangers makes a process grow, after as much from one of them; sorted.
///
/// # Errors
/// When a socket fails, or when the server does not answer them.
pub fn growth(space: &Namespace, process: u32, strangers: u32, rounds: u32) -> Result<Vec<u64>> {
    one_stranger(space, strangers)?;
    let mut growth = Vec::new();
    for round in 0..rounds {
        let before = anonymous_bytes(process)?;
        let heard = many_strangers(space, round * strangers, strangers)?;
        ensure!(
            heard > strangers - strangers / 100,
            "only {heard} of {strangers} strangers were answered: they were not all there"
        );
        growth.push(anonymous_bytes(process)?.saturating_sub(before));
    }
    growth.sort_unstable();
    Ok(growth)
}

/// The middle of what is sorted.
pub fn median(sorted: &[u64]) -> u64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
