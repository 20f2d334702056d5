// @ts-check
// A room of up to six: who is in it, one Peer for each of them, and the state of the whole call. Touches no element.

import { callState } from './call-state.js';
import { Peer } from './peer.js';
import { Signaling, socketUrl } from './signaling.js';

/** Outgoing picture for each other member, by how many there are: the upload is shared by all. */
const VIDEO_BITRATES = [2_000_000, 2_000_000, 1_000_000, 650_000, 450_000, 350_000];

/** Wait before asking again when the server had no ICE servers to give. */
const ICE_RETRY_SECONDS = 30;

/**
 * @typedef {object} RoomHandlers
 * @property {() => void} onChange The state, the members or their media changed.
 * @property {(text: string, from: {id: string, name: string}) => void} onChat
 * @property {(members: number) => void} [onJoined] With the number of others already there.
 */

/**
 * @typedef {object} RoomOptions
 * @property {string} room
 * @property {string} name
 * @property {string | null} key The run's join key.
 * @property {boolean} relayOnly
 */

/** A call in a room, from joining to leaving. */
export class Room {
  /** @type {Map<string, Peer>} */ #peers = new Map();
  /** @type {RoomOptions} */ #options;
  /** @type {RoomHandlers} */ #handlers;
  /** @type {Signaling} */ #signaling;
  /** @type {RTCConfiguration} */ #ice = {};
  /** @type {{tracks: {audio: MediaStreamTrack | null, video: MediaStreamTrack | null}, media: import('./peer.js').MediaState}} */
  #outgoing = { tracks: { audio: null, video: null }, media: { audio: false, video: false, screen: false } };
  /** @type {string | null} */ #self = null;
  /** What lets a new connection continue as the same member. @type {string | undefined} */ #resume;
  #down = 0;
  #ended = false;
  #refreshTimer = 0;

  /** Why the room can't be entered; null while nothing stands in the way. @type {string | null} */
  problem = null;

  /**
   * Joins at once.
   * @param {RoomOptions} options
   * @param {RoomHandlers} handlers
   */
  constructor(options, handlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#signaling = new Signaling(socketUrl('ws', { token: options.name, key: options.key }), {
      greet: () => ({ type: 'join', room: options.room, name: options.name, resume: this.#resume }),
      onMessage: (message) => this.#received(message),
      onDown: (attempt) => this.#lost(attempt),
      onRefused: (reason) => this.#refuse(reason),
    });
    addEventListener('online', this.#networkChanged);
  }

  /** The other members, in the order they came. */
  get peers() { return [...this.#peers.values()]; }

  /** Our own id, once joined. */
  get self() { return this.#self; }

  /** True while the server can't be reached, whatever the media does. */
  get signalingLost() { return !this.#ended && this.#down > 0; }

  /** @returns {import('./call-state.js').CallState} */
  get state() {
    return callState({
      refused: this.problem !== null,
      ended: this.#ended,
      entered: this.#self !== null,
      down: this.#down,
      peers: this.peers.map((peer) => peer.state),
    });
  }

  /**
   * Sends these tracks to everybody, now and to those who come later.
   * @param {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} tracks
   * @param {import('./peer.js').MediaState} media
   */
  setMedia(tracks, media) {
    this.#outgoing = { tracks, media };
    for (const peer of this.peers) peer.setMedia(tracks, media);
  }

  /**
   * @param {string} text
   * @returns {number} To how many it was sent.
   */
  sendChat(text) {
    return this.peers.filter((peer) => peer.sendChat(text)).length;
  }

  /** Tries again with everybody who could not be reached. */
  retry() {
    for (const peer of this.peers) if (peer.state !== 'connected') peer.restart();
    this.#handlers.onChange();
  }

  /** Leaves the room for good. */
  leave() {
    this.#ended = true;
    clearTimeout(this.#refreshTimer);
    removeEventListener('online', this.#networkChanged);
    this.#signaling.send({ type: 'bye' });
    this.#signaling.close();
    for (const peer of this.peers) peer.close();
    this.#peers.clear();
    this.#handlers.onChange();
  }

  /** @param {any} message */
  #received(message) {
    switch (message.type) {
      case 'joined': return this.#joined(message);
      case 'peer-joined': return this.#peerJoined(message);
      case 'peer-left': return this.#peerLeft(message.id);
      case 'peer-back': return this.#peerBack(message.id);
      case 'signal': return this.#peers.get(message.from)?.receive(message.data ?? {});
      case 'ice-servers': return this.#takeIce(message);
      case 'error': return this.#error(message);
      default: // Calls and presence share this connection; other pages use them.
    }
  }

  /** @param {any} message */
  #joined(message) {
    this.#down = 0;
    this.#self = message.self;
    this.#resume = message.resume;
    this.#signaling.release(message.resumed === true);
    this.#takeIce(message);
    // Under a new id nobody knows the connections we had.
    if (!message.resumed) for (const peer of this.peers) this.#drop(peer);
    for (const { id, name } of message.members) {
      const known = this.#peers.get(id);
      if (!known) this.#add({ id, name }, true);
      else if (known.state !== 'connected') known.restart();
    }
    this.#handlers.onJoined?.(message.members.length);
    this.#membersChanged();
  }

  /** @param {{id: string, name: string}} other */
  #peerJoined(other) {
    if (!this.#peers.has(other.id)) this.#add(other, false);
    this.#membersChanged();
  }

  /** @param {string} id */
  #peerLeft(id) {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.#drop(peer);
    this.#membersChanged();
  }

  /** @param {string} id */
  #peerBack(id) {
    const peer = this.#peers.get(id);
    if (peer && peer.state !== 'connected') peer.restart();
  }

  /**
   * @param {{id: string, name: string}} other
   * @param {boolean} initiator Who comes later calls those who are there.
   */
  #add({ id, name }, initiator) {
    const peer = new Peer({
      id, name, initiator,
      ice: this.#ice,
      send: (data) => this.#signaling.send({ type: 'signal', to: id, data }),
      onChange: () => this.#handlers.onChange(),
      onChat: (text) => this.#handlers.onChat(text, { id, name }),
    });
    peer.setMedia(this.#outgoing.tracks, this.#outgoing.media);
    this.#peers.set(id, peer);
  }

  /** @param {Peer} peer */
  #drop(peer) {
    peer.close();
    this.#peers.delete(peer.id);
  }

  #membersChanged() {
    const bitrate = VIDEO_BITRATES[Math.min(this.#peers.size, VIDEO_BITRATES.length - 1)];
    for (const peer of this.peers) peer.limitVideo(bitrate);
    this.#handlers.onChange();
  }

  /** @param {{iceServers: RTCIceServer[], ttl?: number, iceTransportPolicy?: RTCIceTransportPolicy}} message */
  async #takeIce({ iceServers, ttl, iceTransportPolicy }) {
    this.#ice = {
      iceServers,
      iceTransportPolicy: this.#options.relayOnly ? 'relay' : iceTransportPolicy ?? 'all',
    };
    this.#scheduleRefresh(ttl);
    for (const peer of this.peers) {
      peer.setIce(this.#ice);
      if (peer.state === 'connected' && await usesRelay(peer)) peer.restart();
    }
  }

  /**
   * Asks for new credentials at half of their life.
   * @param {number | undefined} ttl Seconds.
   */
  #scheduleRefresh(ttl) {
    clearTimeout(this.#refreshTimer);
    if (!ttl) return;
    // setTimeout counts in 31 bits; a longer one would fire at once.
    const wait = Math.min(ttl * 500, 2 ** 31 - 1);
    this.#refreshTimer = setTimeout(() => this.#signaling.send({ type: 'ice-servers' }), wait);
  }

  /** @param {{error: string, code: string}} message */
  #error({ error, code }) {
    // A signal to somebody who has just left is nothing to tell anybody.
    if (code === 'recipient-unavailable') return;
    if (this.#self === null) this.#refuse(code === 'room-full' ? this.#fullText() : error);
    else if (code === 'ice-unavailable') this.#scheduleRefresh(ICE_RETRY_SECONDS * 2);
    else console.warn('signaling:', code, error);
  }

  #fullText() {
    return `The room “${this.#options.room}” is full. Choose another room, or wait until somebody leaves.`;
  }

  /** @param {string} reason */
  #refuse(reason) {
    this.problem = reason;
    this.leave();
  }

  /** @param {number} attempt */
  #lost(attempt) {
    this.#down = attempt;
    this.#handlers.onChange();
  }

  #networkChanged = () => {
    for (const peer of this.peers) if (peer.state !== 'connected') peer.restart();
  };
}

/** @param {Peer} peer */
async function usesRelay(peer) {
  return (await peer.summary()).localCandidateType === 'relay';
}
