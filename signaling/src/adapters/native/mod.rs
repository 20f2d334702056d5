//! The native protocol (`PROTOCOL.md`): rooms, calls and presence as JSON over a WebSocket. Clients of the older call service speak its calls part.
//!
//! In: the meeting of its two halves. Not in: their messages (`incoming.rs`, `outgoing.rs`).

mod incoming;
mod outgoing;

use ice_api::IceConfig;

use super::{Adapter, Request};
use crate::hub::{Event, Refusal};

pub(crate) struct Native;

impl Adapter for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn read(&mut self, text: &str) -> Result<Request, Refusal> {
        incoming::read(text)
    }

    fn write(&mut self, event: &Event, ice: Option<&IceConfig>) -> Option<String> {
        outgoing::write(event, ice)
    }

    fn write_ice(&mut self, ice: &IceConfig) -> Option<String> {
        outgoing::write_ice(ice)
    }

    fn write_pong(&mut self) -> Option<String> {
        outgoing::write_pong()
    }
}
