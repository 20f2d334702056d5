// @ts-check
// One camera and those who watch it: the sender makes one connection for each receiver. Both roles; no elements.

import { callState } from './call-state.js';
import { Peer } from './peer.js';
import { Signaling, socketUrl } from './signaling.js';

/**
 * @typedef {object} StreamOptions
 * @property {'sender' | 'receiver'} role
 * @property {string | null} room The common one without a name.
 * @property {string | null} key The run's join key.
 * @property {boolean} relayOnly
 * @property {() => void} onChange The state or a connection changed.
 * @property {(peer: Peer) => void} [onPeer] A connection was made; tracks may be given to it.
 */

/** One end of a stream, from registering to stopping. */
export class Stream {
  /** @type {Map<string, Peer>} */ #peers = new Map();
  /** @type {StreamOptions} */ #options;
  /** @type {Signaling} */ #signaling;
  /** @type {RTCConfiguration} */ #ice = {};
  #entered = false;
  #down = 0;
  #ended = false;
  #refreshTimer = 0;

  /** Why the server refused us; null while it did not. @type {string | null} */
  problem = null;

  /** @param {StreamOptions} options */
  constructor(options) {
    this.#options = options;
    this.#signaling = new Signaling(socketUrl('ws/stream', { key: options.key }), {
      greet: () => ({ type: 'register', role: options.role, room: options.room ?? undefined }),
      onMessage: (message) => this.#received(message),
      onDown: (attempt) => this.#lost(attempt),
      onRefused: (reason) => this.#refuse(reason),
    });
  }

  /** The connections, oldest first. A receiver has at most one. */
  get peers() { return [...this.#peers.values()]; }

  /** True once the server let us in. */
  get entered() { return this.#entered; }

  /** @returns {import('./call-state.js').CallState} */
  get state() {
    return callState({
      refused: this.problem !== null,
      ended: this.#ended,
      entered: this.#entered,
      down: this.#down,
      peers: this.peers.map((peer) => peer.state),
    });
  }

  /** Ends all connections. */
  stop() {
    this.#ended = true;
    clearTimeout(this.#refreshTimer);
    this.#signaling.close();
    this.#dropAll();
    this.#options.onChange();
  }

  /** @param {any} message */
  #received(message) {
    const id = String(message.receiverId ?? '');
    switch (message.type) {
      case 'registered': return this.#registered(message);
      case 'peer-connected': return this.#connected(id);
      case 'peer-disconnected': return this.#disconnected(id);
      case 'offer':
      case 'answer': return this.#peers.get(id)?.receive({ description: { type: message.type, sdp: message.sdp } });
      case 'ice-candidate': return this.#peers.get(id)?.receive({ candidate: message.candidate });
      case 'ice-servers': return this.#takeIce(message);
      case 'error': return this.#error(message);
      default:
    }
  }

  /** @param {any} message */
  #registered(message) {
    this.#entered = true;
    this.#down = 0;
    this.#dropAll(); // The server names all of them anew.
    this.#signaling.release(false);
    this.#takeIce(message);
    this.#options.onChange();
  }

  /** @param {string} id */
  #connected(id) {
    const sends = this.#options.role === 'sender';
    this.#disconnected(id);
    const peer = new Peer({
      id,
      name: sends ? 'Receiver' : 'Sender',
      initiator: sends,
      direction: sends ? 'sendonly' : 'recvonly',
      channels: false,
      ice: this.#ice,
      send: (data) => this.#send(id, data),
      onChange: () => this.#options.onChange(),
    });
    this.#peers.set(id, peer);
    this.#options.onPeer?.(peer);
    this.#options.onChange();
  }

  /** @param {string} id */
  #disconnected(id) {
    this.#peers.get(id)?.close();
    if (this.#peers.delete(id)) this.#options.onChange();
  }

  /**
   * @param {string} receiverId
   * @param {{description?: RTCSessionDescriptionInit, candidate?: RTCIceCandidateInit | null}} data
   */
  #send(receiverId, { description, candidate }) {
    if (description) this.#signaling.send({ type: description.type, sdp: description.sdp, receiverId });
    else if (candidate?.candidate) this.#signaling.send({ type: 'ice-candidate', candidate, receiverId });
  }

  /** @param {{turnConfig: {iceServers: RTCIceServer[], iceTransportPolicy?: RTCIceTransportPolicy}, ttl?: number}} message */
  async #takeIce({ turnConfig, ttl }) {
    this.#ice = {
      iceServers: turnConfig.iceServers,
      iceTransportPolicy: this.#options.relayOnly ? 'relay' : turnConfig.iceTransportPolicy ?? 'all',
    };
    clearTimeout(this.#refreshTimer);
    // Half of the credentials' life, within the 31 bits that setTimeout counts in.
    if (ttl) this.#refreshTimer = setTimeout(() => this.#signaling.send({ type: 'ice-servers' }), Math.min(ttl * 500, 2 ** 31 - 1));
    for (const peer of this.peers) {
      peer.setIce(this.#ice);
      if (this.#options.role === 'sender' && (await peer.summary()).localCandidateType === 'relay') peer.restart();
    }
  }

  /** @param {{message: string, code: string}} error */
  #error({ message, code }) {
    if (!this.#entered) this.#refuse(message);
    else if (code !== 'recipient-unavailable') console.warn('signaling:', code, message);
  }

  /** @param {string} reason */
  #refuse(reason) {
    this.problem = reason;
    this.stop();
  }

  /** @param {number} attempt */
  #lost(attempt) {
    this.#down = attempt;
    this.#options.onChange();
  }

  #dropAll() {
    for (const peer of this.peers) peer.close();
    this.#peers.clear();
  }
}
