//! Packets that are passed from one allocation to another without a socket: between members of shared relay ports, on
//! this worker or from another one (`turn_proto::Multiplex`).

use turn_proto::Passed;
use turn_wire::HEADROOM;

use super::Worker;

impl Worker {
    /// Takes what the state machine passes on: what is for this worker waits until the batch being served is done, for that
    /// batch holds the slots.
    pub(super) fn pass_on(&mut self, passed: Passed) {
        let worker = passed.to.worker();
        if worker == self.number {
            self.passed.push_back(passed);
        } else if !self.colleagues.pass_on(worker, passed) {
            self.sockets.counters.passed_dropped += 1;
        }
    }

    /// Serves the packets that have been passed to clients of this worker. What they lead to is a message to a client, and
    /// never another packet to pass on, so this ends.
    pub(super) fn serve_passed(&mut self) {
        while let Some(passed) = self.passed.pop_front() {
            let slot = self.free_slots();
            self.used_slots = slot + 1;
            self.serve_one_passed(slot, &passed);
            self.serve_actions();
        }
    }

    fn serve_one_passed(&mut self, slot: usize, passed: &Passed) -> Option<()> {
        self.timers_moved = true;
        let payload = HEADROOM..HEADROOM.checked_add(passed.payload.len())?;
        let buffer = self.arena.buffer_mut(slot)?;
        buffer
            .get_mut(payload.clone())?
            .copy_from_slice(&passed.payload);
        let message = (self.relay).on_passed(self.now, passed, buffer, payload)?;
        // Nothing of an IP header has come along: as if the peer had set none of it.
        self.sockets
            .queue_to_client(message, (&self.arena, slot), 0);
        Some(())
    }
}
