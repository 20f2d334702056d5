//! What is in the log.
//!
//! In: the vocabulary and its bytes. Not in: what reading it does (`replica.rs`).

use serde::{Deserialize, Serialize};

use crate::calllog::RecordId;
use crate::hub::{CallSignal, Command, ConnectionId, Departure, Holdings, Identity, Name};

/// Part of the log's name in Redis: nodes that write differently, or follow other rules in the hub, do not meet.
pub(crate) const VERSION: u32 = 3;

/// A node, in one of its lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct NodeId {
    /// As the operator knows it; a process of its own has none.
    pub(crate) name: Option<Name>,
    /// Drawn at its start.
    pub(crate) life: u64,
}

/// What a node writes at once.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) node: NodeId,
    /// Goes up by one with each entry of the node; what is written again has the number it had.
    pub(crate) number: u64,
    pub(crate) deeds: Vec<Deed>,
}

/// One thing that happened at a node.
#[derive(Serialize, Deserialize)]
pub(crate) enum Deed {
    /// A connection came.
    Connect(ConnectionId, Identity),
    /// A connection asks for something.
    Handle(ConnectionId, Command),
    /// A connection ended.
    Disconnect(ConnectionId, Departure),
    /// The node lives, and it is this late.
    Beat,
    /// The node is here and needs the state as of this entry.
    Ask,
    /// The node has the state, and its connections hold this.
    Arrive(Holdings),
    /// What the node has is the state from here on: nobody answered it.
    Found,
    /// Nobody has to record these calls any more.
    Recorded(Vec<RecordId>),
    /// The node ends in good order.
    Leave,
}

/// Bytes of a deed without anything of a client's making: more than most have.
const WEIGHT: usize = 256;

impl Deed {
    /// About how many bytes it has; to bound what waits, however much clients say at once.
    pub(crate) fn weight(&self) -> usize {
        let said = match self {
            Deed::Handle(
                _,
                Command::Signal { data, .. } | Command::CallSignal(CallSignal { data, .. }),
            ) => data.as_str().len(),
            Deed::Handle(_, Command::PeerTell { data, .. }) => {
                data.as_ref().map_or(0, |data| data.as_str().len())
            }
            Deed::Handle(_, Command::CallInitiate { recipients, .. }) => recipients
                .iter()
                .map(|user| user.0.as_str().len() + 2)
                .sum(),
            _ => 0,
        };
        WEIGHT + said
    }
}

impl Entry {
    /// Its bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(self)
    }

    /// Reads them.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Entry, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Payload, SignalKind};

    #[test]
    fn an_entry_reads_back_as_written() {
        let data = r#"{"sdp":"v=0\r\n","n":[1.50,{"b":"ü"}]}"#;
        let raw = serde_json::value::RawValue::from_string(data.to_owned()).unwrap();
        let command = Command::Signal {
            kind: SignalKind::Offer,
            to: None,
            data: Payload::from(raw),
        };
        let node = NodeId {
            name: Name::parse("a"),
            life: 7,
        };
        let entry = Entry {
            node: node.clone(),
            number: 3,
            deeds: vec![Deed::Beat, Deed::Handle(ConnectionId(9), command)],
        };
        let read = Entry::decode(&entry.encode().unwrap()).unwrap();
        assert_eq!((read.node, read.number), (node, 3));
        let [
            Deed::Beat,
            Deed::Handle(id, Command::Signal { data: passed, .. }),
        ] = read.deeds.as_slice()
        else {
            panic!("other deeds");
        };
        assert_eq!((*id, passed.as_str()), (ConnectionId(9), data));
    }

    #[test]
    fn a_cut_or_foreign_entry_is_an_error_and_no_panic() {
        let node = NodeId {
            name: Name::parse("node"),
            life: u64::MAX,
        };
        let deeds = vec![Deed::Beat, Deed::Ask];
        let bytes = Entry {
            node,
            number: 300,
            deeds,
        }
        .encode()
        .unwrap();
        for cut in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        for changed in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[changed] = 0xff;
            let _ = Entry::decode(&bytes);
        }
    }
}
