// @ts-check
// One connection to one other browser: perfect negotiation, ICE restarts, the chat channel. Shows nothing and signals
// through a function it is given.

import { summarize } from './stats.js';

/** How long a connection may stay unconnected before it counts as failed. Without candidates no browser says so itself. */
const CONNECT_LIMIT_MS = 20_000;
/** How long a lost connection may take to come back by itself before ICE is restarted. */
const DISCONNECT_LIMIT_MS = 4_000;
/** Restarts before giving up: a call that once worked deserves more patience than one that never did. */
const RESTARTS_NEVER_CONNECTED = 1;
const RESTARTS_ONCE_CONNECTED = 5;

/**
 * @typedef {object} PeerOptions
 * @property {string} id Of the other end.
 * @property {string} name
 * @property {boolean} initiator True on the side that offers first: the one who came later. It also gives way when offers cross.
 * @property {'sendrecv' | 'sendonly' | 'recvonly'} [direction] Of the media; recvonly leaves all offers to the other end.
 * @property {boolean} [channels] False for a connection of media alone, without chat.
 * @property {RTCConfiguration} ice ICE servers and transport policy.
 * @property {(data: object) => void} send Carries a description or candidate to the other end.
 * @property {() => void} onChange Called when {@link Peer.state} or the far end's media state changed.
 * @property {(text: string) => void} [onChat]
 */

/**
 * @typedef {object} MediaState What the far end says it sends.
 * @property {boolean} audio
 * @property {boolean} video
 * @property {boolean} screen
 */

/** @typedef {'connecting' | 'connected' | 'reconnecting' | 'failed'} PeerState */

/** A connection that repairs itself. */
export class Peer {
  /** @type {RTCPeerConnection} */ #pc;
  /** @type {PeerOptions} */ #options;
  /** @type {RTCDataChannel | null} */ #chat = null;
  /** @type {RTCDataChannel | null} */ #state = null;
  /** @type {{audio: RTCRtpTransceiver | null, video: RTCRtpTransceiver | null}} */ #transceivers = { audio: null, video: null };
  /** @type {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} */ #tracks = { audio: null, video: null };
  /** @type {MediaState} */ #ownMedia = { audio: false, video: false, screen: false };
  /** @type {Promise<void>} */ #inbox = Promise.resolve();
  /** Types of the far end's candidates by address. @type {Map<string, string>} */ #announced = new Map();
  #makingOffer = false;
  #ignoreOffer = false;
  #negotiated = false;
  #wasConnected = false;
  #gaveUp = false;
  #restarts = 0;
  #timer = 0;
  #maxBitrate = 0;

  /** What the far end sends; null until it said so. @type {MediaState | null} */
  media = null;
  /** The far end's tracks. */
  stream = new MediaStream();

  /** @param {PeerOptions} options */
  constructor(options) {
    this.#options = options;
    this.#pc = new RTCPeerConnection({
      ...options.ice,
      // One transport for everything: a second component or bundle would double the allocations on the relay.
      bundlePolicy: 'max-bundle',
      rtcpMuxPolicy: 'require',
      // A pool would allocate on the relay before there is a call.
      iceCandidatePoolSize: 0,
    });
    this.#listen();
    if (options.channels !== false) this.#openChannels();
    if (options.initiator) {
      const { direction = 'sendrecv' } = options;
      this.#transceivers.audio = this.#pc.addTransceiver('audio', { direction });
      this.#transceivers.video = this.#pc.addTransceiver('video', { direction });
    }
    this.#armTimer(CONNECT_LIMIT_MS);
  }

  get id() { return this.#options.id; }
  get name() { return this.#options.name; }
  get connectionState() { return this.#pc.connectionState; }
  get chatOpen() { return this.#chat?.readyState === 'open'; }

  /** @returns {PeerState} */
  get state() {
    if (this.#pc.connectionState === 'connected') return 'connected';
    if (this.#gaveUp) return 'failed';
    return this.#wasConnected ? 'reconnecting' : 'connecting';
  }

  /** @returns {Promise<import('./stats.js').Summary>} */
  async summary() {
    return summarize(await this.#pc.getStats(), this.#announced);
  }

  /**
   * Sends these tracks from now on; needs no renegotiation, so it may be called at any time.
   * @param {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} tracks
   * @param {MediaState} media What the far end is told about them.
   */
  setMedia(tracks, media) {
    this.#tracks = tracks;
    this.#ownMedia = media;
    this.#attachTracks();
    this.#announceMedia();
  }

  /**
   * Caps the outgoing picture.
   * @param {number} bitsPerSecond
   */
  async limitVideo(bitsPerSecond) {
    this.#maxBitrate = bitsPerSecond;
    const sender = this.#transceivers.video?.sender;
    if (!sender) return;
    const parameters = sender.getParameters();
    if (!parameters.encodings?.length) return; // Firefox has none before the first negotiation.
    parameters.encodings[0].maxBitrate = bitsPerSecond;
    await sender.setParameters(parameters).catch(() => {}); // Overtaken by a negotiation, which sets it again.
  }

  /**
   * @param {string} text
   * @returns {boolean} False while the channel is not open.
   */
  sendChat(text) {
    if (this.#chat?.readyState !== 'open') return false;
    this.#chat.send(text);
    return true;
  }

  /**
   * Takes new ICE servers; they are used from the next restart on.
   * @param {RTCConfiguration} ice
   */
  setIce(ice) {
    this.#options.ice = ice;
    this.#pc.setConfiguration({ ...this.#pc.getConfiguration(), ...ice });
  }

  /** Looks for a new path while the call goes on, and starts counting attempts from the beginning. */
  restart() {
    this.#restarts = 0;
    this.#gaveUp = false;
    this.#restart();
  }

  /** Ends the connection. */
  close() {
    clearTimeout(this.#timer);
    this.#pc.close();
  }

  /**
   * Takes a description or candidate that the far end sent.
   * @param {{description?: RTCSessionDescriptionInit, candidate?: RTCIceCandidateInit | null}} data
   */
  receive(data) {
    // One at a time: a candidate must not overtake the description it belongs to.
    this.#inbox = this.#inbox.then(() => this.#handle(data)).catch((error) => {
      if (this.#pc.signalingState !== 'closed') console.warn('signal from', this.id, 'not usable:', error);
    });
  }

  #listen() {
    const pc = this.#pc;
    pc.onnegotiationneeded = () => this.#offer();
    pc.onicecandidate = ({ candidate }) => this.#options.send({ candidate: candidate?.toJSON() ?? null });
    pc.onconnectionstatechange = () => this.#connectionChanged();
    pc.ontrack = ({ track }) => {
      this.stream.addTrack(track);
      track.onunmute = () => this.#options.onChange();
      this.#options.onChange();
    };
  }

  #openChannels() {
    // Both ends know these two channels beforehand, so neither has to wait for the other to announce them.
    const chat = this.#pc.createDataChannel('chat', { ordered: true, negotiated: true, id: 0 });
    const state = this.#pc.createDataChannel('state', { ordered: true, negotiated: true, id: 1 });
    chat.onopen = chat.onclose = () => this.#options.onChange();
    chat.onmessage = ({ data }) => {
      if (typeof data === 'string') this.#options.onChat?.(data);
    };
    state.onopen = () => this.#announceMedia();
    state.onmessage = ({ data }) => this.#mediaAnnounced(data);
    this.#chat = chat;
    this.#state = state;
  }

  async #offer() {
    // The answering side adds nothing of its own before it has seen the first offer.
    if (!this.#options.initiator && !this.#negotiated) return;
    if (this.#options.direction === 'recvonly') return;
    try {
      this.#makingOffer = true;
      await this.#pc.setLocalDescription();
      this.#options.send({ description: this.#pc.localDescription?.toJSON() });
    } catch (error) {
      if (this.#pc.signalingState !== 'closed') console.warn('offer to', this.id, 'failed:', error);
    } finally {
      this.#makingOffer = false;
    }
  }

  /** @param {{description?: RTCSessionDescriptionInit, candidate?: RTCIceCandidateInit | null}} data */
  async #handle({ description, candidate }) {
    if (description) await this.#describe(description);
    else if (candidate) await this.#addCandidate(candidate);
  }

  /** @param {RTCSessionDescriptionInit} description */
  async #describe(description) {
    const pc = this.#pc;
    const isOffer = description.type === 'offer';
    const collision = isOffer && (this.#makingOffer || pc.signalingState !== 'stable');
    this.#ignoreOffer = collision && !this.#options.initiator;
    if (this.#ignoreOffer) return;
    if (description.type === 'answer' && pc.signalingState !== 'have-local-offer') return; // To an offer sent twice.
    for (const line of description.sdp?.match(/candidate:.*/g) ?? []) this.#remember(line);
    await pc.setRemoteDescription(description); // Rolls our own offer back if there was a collision.
    if (isOffer) {
      this.#adoptTransceivers();
      await pc.setLocalDescription();
      this.#options.send({ description: pc.localDescription?.toJSON() });
    }
    this.#negotiated = true;
    if (this.#maxBitrate) await this.limitVideo(this.#maxBitrate);
  }

  /** @param {RTCIceCandidateInit} candidate */
  async #addCandidate(candidate) {
    this.#remember(candidate.candidate ?? '');
    try {
      await this.#pc.addIceCandidate(candidate);
    } catch (error) {
      if (!this.#ignoreOffer) throw error; // Belongs to the offer that was ignored.
    }
  }

  /** @param {string} line `candidate:FOUNDATION COMPONENT PROTOCOL PRIORITY ADDRESS PORT typ TYPE …` */
  #remember(line) {
    const [, , , , address, port, , type] = line.split(' ');
    if (type) this.#announced.set(`${address}:${port}`, type);
  }

  /** Answers in all directions that are ours on what the offer brought, whether or not there is a track to send yet. */
  #adoptTransceivers() {
    for (const transceiver of this.#pc.getTransceivers()) {
      const kind = /** @type {'audio' | 'video'} */ (transceiver.receiver.track.kind);
      if (this.#transceivers[kind] || transceiver.mid === null) continue;
      transceiver.direction = this.#options.direction ?? 'sendrecv';
      this.#transceivers[kind] = transceiver;
    }
    this.#attachTracks();
  }

  #attachTracks() {
    for (const kind of /** @type {const} */ (['audio', 'video'])) {
      const sender = this.#transceivers[kind]?.sender;
      if (sender && sender.track !== this.#tracks[kind]) sender.replaceTrack(this.#tracks[kind]).catch(() => {});
    }
  }

  #announceMedia() {
    if (this.#state?.readyState === 'open') this.#state.send(JSON.stringify(this.#ownMedia));
  }

  /** @param {unknown} data */
  #mediaAnnounced(data) {
    try {
      const { audio, video, screen } = JSON.parse(String(data));
      this.media = { audio: Boolean(audio), video: Boolean(video), screen: Boolean(screen) };
    } catch {
      return;
    }
    this.#options.onChange();
  }

  #connectionChanged() {
    clearTimeout(this.#timer);
    switch (this.#pc.connectionState) {
      case 'connected':
        this.#wasConnected = true;
        this.#gaveUp = false;
        this.#restarts = 0;
        break;
      case 'disconnected':
        this.#armTimer(DISCONNECT_LIMIT_MS);
        break;
      case 'failed':
        this.#retry();
        break;
      default:
        this.#armTimer(CONNECT_LIMIT_MS);
    }
    this.#options.onChange();
  }

  /** @param {number} limit */
  #armTimer(limit) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#pc.connectionState === 'connected') return; // It was restarted without ever going down.
      this.#retry();
      this.#options.onChange();
    }, limit);
  }

  #retry() {
    const allowed = this.#wasConnected ? RESTARTS_ONCE_CONNECTED : RESTARTS_NEVER_CONNECTED;
    if (this.#restarts >= allowed) {
      this.#gaveUp = true;
      return;
    }
    this.#restarts += 1;
    this.#restart();
  }

  #restart() {
    this.#armTimer(CONNECT_LIMIT_MS);
    if (this.#pc.signalingState === 'have-local-offer') {
      // The offer or its answer was lost on the way. Candidates found since are part of it now.
      this.#options.send({ description: this.#pc.localDescription?.toJSON() });
    } else {
      this.#pc.restartIce();
    }
  }
}
