//! How a connection comes in: from the upgrade and the first message to an identity and a protocol.
//!
//! In: who is asked for what, and who is turned away. Not in: what proves an identity (`identity`).

use axum::extract::ws::{Message, Utf8Bytes};
use ice_api::Host;
use tokio::time::timeout;

use super::closing::{
    AUTHENTICATION_FAILED, AUTHENTICATION_UNAVAILABLE, Ending, Heard, NO_HELLO, understand,
};
use super::{WRITE_LIMIT, Wire};
use crate::adapters::native::Native;
use crate::adapters::peerjs::{Claim, PeerJs};
use crate::adapters::socketio::{self, SocketIo};
use crate::adapters::stream::Stream;
use crate::adapters::{Adapter, Opening, Unwelcome};
use crate::hub::{Command, Departure, Identity, Name, UserId};
use crate::identity::{Known, Unproven};
use crate::{Shared, chance};

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Rooms and calls.
    Native,
    /// Sender and receivers.
    Stream,
    /// The first message tells.
    FirstMessage,
    /// Peers; everything is said at the upgrade.
    PeerJs,
    /// Socket.IO; the first packet introduces.
    SocketIo,
}

/// What the upgrade said about its client.
pub(crate) struct Visitor {
    pub(crate) profile: Profile,
    pub(crate) host: Option<Host>,
    pub(crate) token: Option<String>,
    pub(crate) key: Option<String>,
    /// Has to show the run's key.
    pub(crate) wants_key: bool,
    /// The id that a peer asks for.
    pub(crate) claim: Option<Claim>,
}

impl Visitor {
    /// One of whom nothing else is known.
    pub(crate) fn new(profile: Profile) -> Visitor {
        Visitor {
            profile,
            host: None,
            token: None,
            key: None,
            wants_key: true,
            claim: None,
        }
    }
}

/// Somebody who may come in.
pub(super) struct Introduced {
    pub(super) identity: Identity,
    /// The host with which the client found us.
    pub(super) host: Option<Host>,
    pub(super) adapter: Box<dyn Adapter>,
    pub(super) first: First,
}

/// What is done first, once the client is greeted.
pub(super) enum First {
    Nothing,
    /// What the client said to introduce itself.
    Said(Utf8Bytes),
    /// What its upgrade asked for.
    Asked(Command),
}

/// Learns who is there, from the upgrade if that said enough, else from the first message.
pub(super) async fn introduce(
    socket: &mut Wire,
    shared: &Shared,
    visitor: Visitor,
) -> Result<Introduced, Ending> {
    let complete = visitor.token.is_some() && (visitor.key.is_some() || !visitor.wants_key);
    let first = match visitor.profile {
        Profile::PeerJs => None,
        Profile::Native | Profile::Stream if complete => None,
        _ => match timeout(shared.board.limits().hello, first_message(socket)).await {
            Ok(first) => Some(first?),
            Err(_) => return Err(Ending(Departure::Lost, Some(NO_HELLO))),
        },
    };
    let read = match visitor.profile {
        Profile::SocketIo => socketio::opening,
        _ => Opening::read,
    };
    let opening = first.as_ref().map(|text| read(text)).unwrap_or_default();
    let mut adapter: Box<dyn Adapter> = match visitor.profile {
        Profile::FirstMessage if opening.kind == "register" => Box::new(Stream::default()),
        Profile::Native | Profile::FirstMessage => Box::new(Native),
        Profile::Stream => Box::new(Stream::default()),
        Profile::PeerJs => Box::new(PeerJs::default()),
        Profile::SocketIo => Box::new(SocketIo::default()),
    };
    let identity = match identify(shared, &visitor, &opening).await {
        Ok(identity) => identity,
        Err(unwelcome) => {
            shared.metrics.unwelcome.count(unwelcome.word());
            if let Some(text) = adapter.write_unwelcome(unwelcome) {
                // Whoever does not take it is closed all the same.
                let _ = timeout(WRITE_LIMIT, socket.send(Message::Text(text.into()))).await;
            }
            let farewell = match unwelcome {
                Unwelcome::Unavailable => AUTHENTICATION_UNAVAILABLE,
                _ => AUTHENTICATION_FAILED,
            };
            return Err(Ending(Departure::Closed, Some(farewell)));
        }
    };
    // Where tokens prove something, an id is its user's; else it belongs to whoever has its token.
    let owner = shared.identification.proves().then_some(&identity.user);
    let asked = visitor
        .claim
        .as_ref()
        .map(|claim| First::Asked(claim.command(owner)));
    Ok(Introduced {
        identity,
        host: visitor.host,
        adapter,
        first: asked.unwrap_or_else(|| first.map_or(First::Nothing, First::Said)),
    })
}

/// Says who is there, if whoever it is may come in.
async fn identify(
    shared: &Shared,
    visitor: &Visitor,
    opening: &Opening,
) -> Result<Identity, Unwelcome> {
    let said_nothing = match visitor.profile {
        Profile::PeerJs => visitor.claim.is_none(),
        Profile::SocketIo => opening.kind != "connect",
        _ => false,
    };
    if said_nothing {
        return Err(Unwelcome::NoName);
    }
    let key = visitor.key.as_deref().or(opening.key.as_deref());
    if visitor.wants_key && !shared.gate.is_key(key) {
        return Err(Unwelcome::BadKey);
    }
    let proves = shared.identification.proves();
    let token = match visitor.profile {
        // There it is the proof of an id, and no name.
        Profile::PeerJs if !proves => None,
        _ => visitor.token.as_deref().or(opening.token.as_deref()),
    };
    let known = match token {
        None if !proves => Known {
            user: chance::guest().ok_or(Unwelcome::NoName)?,
            name: None,
        },
        token => match shared.identification.user_of(token).await {
            Ok(known) => known,
            Err(Unproven::Unavailable) => return Err(Unwelcome::Unavailable),
            Err(Unproven::Wrong) if proves => return Err(Unwelcome::BadToken),
            Err(Unproven::Wrong) => return Err(Unwelcome::NoName),
        },
    };
    let said = match visitor.profile {
        Profile::SocketIo => opening.name.as_deref().and_then(Name::parse),
        // Theirs belong to rooms.
        _ => None,
    };
    Ok(Identity {
        user: UserId(known.user),
        // Peers cannot be called by their users' names.
        listed: token.is_some() && visitor.profile != Profile::PeerJs,
        name: known.name.or(said),
    })
}

async fn first_message(socket: &mut Wire) -> Result<Utf8Bytes, Ending> {
    loop {
        match understand(socket.recv().await)? {
            Heard::Text(text) => return Ok(text),
            Heard::SignOfLife => {}
        }
    }
}
