// @ts-check
// How the states of single connections add up to the one word on `<main data-state>`, and its sentence for people.

/** Attempts to reach the server before the page says that it can't. Attempts go on nevertheless. */
const PATIENT_ATTEMPTS = 3;

/** @typedef {'connecting' | 'waiting' | 'calling' | 'connected' | 'reconnecting' | 'failed' | 'ended'} CallState */

/**
 * @param {object} facts
 * @param {boolean} facts.refused The server said no for good.
 * @param {boolean} facts.ended We left.
 * @param {boolean} facts.entered The server let us in, at least once.
 * @param {number} facts.down Failed attempts to reach the server since it was last reached.
 * @param {import('./peer.js').PeerState[]} facts.peers
 * @returns {CallState}
 */
export function callState({ refused, ended, entered, down, peers }) {
  if (refused) return 'failed';
  if (ended) return 'ended';
  if (peers.includes('connected')) return 'connected';
  if (!entered) return down >= PATIENT_ATTEMPTS ? 'failed' : 'connecting';
  if (peers.length === 0) return down > 0 ? 'reconnecting' : 'waiting';
  if (peers.every((state) => state === 'failed')) return 'failed';
  return peers.includes('reconnecting') ? 'reconnecting' : 'calling';
}

/** What each state is called on the call page. */
export const STATE_TEXT = {
  idle: 'Not in a call',
  connecting: 'Reaching the server…',
  waiting: 'Waiting for somebody to join',
  calling: 'Connecting…',
  connected: 'Connected',
  reconnecting: 'Connection lost, trying again…',
  failed: 'Could not connect',
  ended: 'Call ended',
};

/** Said when not even the server answers. */
export const SERVER_LOST = 'The server can\'t be reached; trying again. Check the network. '
  + 'If the link contains a key, it may be from an earlier run of the server.';

/**
 * Says that the server answers, and somebody else can't be reached.
 * @param {string} whom
 * @returns {string}
 */
export function noPathTo(whom) {
  return `No path to ${whom} was found. Trying again may help; so may another network. `
    + 'The page “Diagnose” shows what gets through from here.';
}
