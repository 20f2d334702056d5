//! Which protocols are spoken, and how.
//!
//! In: the choice. Not in: the protocols (`adapters`), their paths (`router.rs`).

/// The doors that are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doors {
    /// Rooms, calls and presence, and the older call service.
    pub native: bool,
    /// One sender and its receivers.
    pub stream: bool,
    /// PeerJS clients.
    pub peerjs: Option<PeerJsDoor>,
    /// Socket.IO clients.
    pub socket_io: bool,
}

/// The door for PeerJS clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerJsDoor {
    /// What is in front of its paths; begins and ends with a slash.
    pub path: String,
    /// Not a secret: it tells applications apart that share a server.
    pub key: String,
    /// Whether everybody may ask who is there.
    pub discovery: bool,
}

impl Default for Doors {
    fn default() -> Doors {
        Doors {
            native: true,
            stream: true,
            peerjs: Some(PeerJsDoor::default()),
            socket_io: true,
        }
    }
}

impl Default for PeerJsDoor {
    fn default() -> PeerJsDoor {
        PeerJsDoor {
            path: "/".to_owned(),
            key: "peerjs".to_owned(),
            discovery: false,
        }
    }
}
