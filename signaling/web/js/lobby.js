// @ts-check
// Who is online, and calls between users: rings, accepts, declines. What is said in a call goes through its room. Touches no element.

import { Signaling, socketUrl } from './signaling.js';

/** @typedef {'audio' | 'video'} CallType */

/**
 * @typedef {object} LobbyHandlers
 * @property {() => void} onChange Somebody came or went, or a call rings, was answered or is over.
 * @property {(call: Call) => void} onAnswered The call that was being made or that rang is one now.
 * @property {(text: string | null) => void} onOver The call is over, with what is to be said about that.
 * @property {(reason: string) => void} onRefused The server refused us for good.
 */

/**
 * @typedef {object} Call
 * @property {string} id Also the name of the room in which its members meet.
 * @property {string} other Who calls, or is called.
 * @property {CallType} type
 * @property {'incoming' | 'outgoing' | 'answered'} state
 */

/** One user's presence, and the one call that this user may have. */
export class Lobby {
  /** @type {Set<string>} */ #users = new Set();
  /** @type {string} */ #name;
  /** @type {LobbyHandlers} */ #handlers;
  /** @type {Signaling} */ #signaling;

  /** @type {Call | null} */ call = null;

  /**
   * Shows itself online at once.
   * @param {{name: string, key: string | null}} user
   * @param {LobbyHandlers} handlers
   */
  constructor({ name, key }, handlers) {
    this.#name = name;
    this.#handlers = handlers;
    this.#signaling = new Signaling(socketUrl('ws', { token: name, key }), {
      greet: () => ({ type: 'presence', watch: true }),
      onMessage: (message) => this.#received(message),
      onRefused: (reason) => handlers.onRefused(reason),
    });
  }

  /** Everybody else who is online. */
  get users() { return [...this.#users].filter((user) => user !== this.#name).sort(); }

  /**
   * Rings somebody.
   * @param {string} other
   * @param {CallType} type
   */
  ring(other, type) {
    if (this.call) return;
    const id = `call-${unguessable()}`;
    this.call = { id, other, type, state: 'outgoing' };
    this.#send('call-initiate', { recipientIds: [other], callType: type });
    this.#handlers.onChange();
  }

  /** Takes the call that rings. */
  accept() {
    if (this.call?.state !== 'incoming') return;
    this.#send('call-answer');
    this.#answered();
  }

  /** Declines the call that rings. */
  reject() {
    if (this.call?.state !== 'incoming') return;
    this.#send('call-reject');
    this.#over(null);
  }

  /** Ends the call, or gives it up while it rings. */
  end() {
    if (!this.call) return;
    this.#send('call-end');
    this.#over(null);
  }

  /** Goes offline. */
  close() {
    this.#signaling.send({ type: 'bye' });
    this.#signaling.close();
  }

  /**
   * @param {string} type
   * @param {object} [more]
   */
  #send(type, more = {}) {
    this.#signaling.send({ type, callId: this.call?.id, ...more });
  }

  /** @param {any} message */
  #received(message) {
    switch (message.type) {
      case 'presence': return this.#present(message.users);
      case 'presence-changed': return this.#changed(message);
      case 'incoming-call': return this.#incoming(message);
      default:
        if (message.callId && message.callId === this.call?.id) this.#aboutCall(message);
    }
  }

  /** @param {string[]} users */
  #present(users) {
    this.#users = new Set(users);
    // What waited while the connection was down still means something: a call outlives it.
    this.#signaling.release(true);
    this.#handlers.onChange();
  }

  /** @param {{online: string[], offline: string[]}} change */
  #changed({ online, offline }) {
    for (const user of online) this.#users.add(user);
    for (const user of offline) this.#users.delete(user);
    this.#handlers.onChange();
  }

  /** @param {{callId: string, initiatorId: string, callType: CallType}} message */
  #incoming({ callId, initiatorId, callType }) {
    if (this.call?.id === callId) return; // It rings again, because we came back.
    // One call at a time: whoever calls meanwhile is declined.
    if (this.call) return this.#signaling.send({ type: 'call-reject', callId });
    this.call = { id: callId, other: initiatorId, type: callType, state: 'incoming' };
    this.#handlers.onChange();
  }

  /** @param {any} message */
  #aboutCall(message) {
    const other = this.call?.other;
    switch (message.type) {
      case 'call-answered': return this.#answered();
      case 'call-rejected': return this.#over(`${other} declined.`);
      case 'call-ended': return this.#over(endText(message, other ?? ''));
      case 'error': return this.#over(message.code === 'recipient-unavailable' ? `${other} is not online.` : message.error);
      default: // Descriptions and candidates go through the room.
    }
  }

  #answered() {
    if (!this.call) return;
    this.call.state = 'answered';
    this.#handlers.onChange();
    this.#handlers.onAnswered(this.call);
  }

  /** @param {string | null} text */
  #over(text) {
    this.call = null;
    this.#handlers.onChange();
    this.#handlers.onOver(text);
  }
}

/**
 * What is to be said of a call that others ended; nothing where it was to be expected.
 * @param {{reason?: string}} message
 * @param {string} other
 * @returns {string | null}
 */
function endText({ reason }, other) {
  switch (reason) {
    case 'timeout': return `${other} did not answer.`;
    case 'disconnected': return `The connection to ${other} was lost.`;
    default: return null;
  }
}

/** 128 random bits. `crypto.randomUUID` is missing on plain http. */
function unguessable() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
