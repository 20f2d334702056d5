// @ts-check
// The WebSocket under every page: JSON objects in text frames, and a connection that comes back by itself.
// What the messages mean is not decided here.

/** Wait before the first new attempt; doubles with each failure up to the longest wait. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** Messages kept while the connection is down: as many as the server keeps for us on its side. */
const QUEUE_LIMIT = 64;

/** Silence after which the server is asked for a sign of life, and how long it may take to give one. */
const PING_AFTER_MS = 10_000;
const PONG_WITHIN_MS = 5_000;

/** Close codes after which another attempt can't end differently, in words. */
const FINAL_CODES = new Map([
  [1008, 'Authentication failed. The link may belong to an earlier run of the server: open the one it prints now.'],
  [1009, 'A message was too large.'],
  [4001, 'This call was continued on another connection.'],
]);

/**
 * @typedef {object} SignalingHandlers
 * @property {() => object} greet Makes the first message of each connection, the first and later ones.
 * @property {(message: any) => void} onMessage Called with each parsed message.
 * @property {(attempt: number) => void} [onDown] Called when the connection was lost or could not be made.
 * @property {(reason: string) => void} [onRefused] Called once when the server refused us for good.
 */

/**
 * A WebSocket client that reconnects with growing, jittered waits until it is closed or refused.
 * Messages wait until {@link Signaling.release} says that the greeting was answered.
 */
export class Signaling {
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {string[]} */ #queue = [];
  #attempt = 0;
  #timer = 0;
  #alive = 0;
  #released = false;
  #closed = false;
  /** @type {string} */ #url;
  /** @type {SignalingHandlers} */ #handlers;

  /**
   * @param {string} url From {@link socketUrl}.
   * @param {SignalingHandlers} handlers
   */
  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
    // A phone that comes back from a tunnel should not sit out the rest of a 15 s wait.
    addEventListener('online', this.#hurry);
    this.#connect();
  }

  /**
   * Sends a message, or keeps it until the connection is back and greeted.
   * @param {object} message
   */
  send(message) {
    const text = JSON.stringify(message);
    if (this.#released) {
      this.#socket?.send(text);
    } else {
      this.#queue.push(text);
      if (this.#queue.length > QUEUE_LIMIT) this.#queue.shift();
    }
  }

  /**
   * Lets messages through on this connection.
   * @param {boolean} keep Whether those that waited still mean something.
   */
  release(keep) {
    this.#released = true;
    for (const text of this.#queue.splice(0)) if (keep) this.#socket?.send(text);
  }

  /** Ends the connection and all further attempts. */
  close() {
    this.#closed = true;
    this.#released = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#alive);
    removeEventListener('online', this.#hurry);
    this.#socket?.close(1000);
  }

  #connect() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#lost(socket, event.code);
  }

  /** @param {WebSocket} socket */
  #opened(socket) {
    if (this.#closed) return socket.close(1000);
    this.#attempt = 0;
    socket.send(JSON.stringify(this.#handlers.greet()));
    this.#heard();
  }

  /** Browsers can't send WebSocket pings, and notice a dead network only after minutes. */
  #heard() {
    clearTimeout(this.#alive);
    this.#alive = setTimeout(() => {
      this.#socket?.send('{"type":"ping"}');
      this.#alive = setTimeout(() => this.#giveUpOn(this.#socket), PONG_WITHIN_MS);
    }, PING_AFTER_MS);
  }

  /** @param {WebSocket | null} socket */
  #giveUpOn(socket) {
    if (!socket || socket !== this.#socket) return;
    socket.onclose = null; // It would come minutes late.
    socket.close(4000); // Lost, not left: the server keeps our place.
    this.#lost(socket, 1006);
  }

  /** @param {unknown} data */
  #received(data) {
    if (this.#closed) return;
    this.#heard();
    if (typeof data !== 'string') return;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // Not JSON: nothing a page could do about it.
    }
    if (message && typeof message === 'object') this.#handlers.onMessage(message);
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   */
  #lost(socket, code) {
    if (this.#closed || socket !== this.#socket) return;
    this.#released = false;
    clearTimeout(this.#alive);
    const final = FINAL_CODES.get(code);
    if (final) {
      this.close();
      this.#handlers.onRefused?.(final);
      return;
    }
    this.#attempt += 1;
    this.#handlers.onDown?.(this.#attempt);
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#attempt - 1));
    // Jitter keeps a room of browsers from knocking in step on a server that has just restarted.
    this.#timer = setTimeout(() => this.#connect(), wait * (0.5 + Math.random() / 2));
  }

  #hurry = () => {
    if (this.#closed || this.#socket?.readyState === WebSocket.OPEN) return;
    clearTimeout(this.#timer);
    this.#connect();
  };
}

/**
 * Builds a WebSocket URL beside the page that is open, so that a proxy's path prefix and TLS carry over.
 * @param {string} path For example `ws` or `ws/stream`.
 * @param {Record<string, string | null>} query Empty values are left out.
 * @returns {string}
 */
export function socketUrl(path, query) {
  const url = new URL(path, location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  url.search = '';
  url.hash = '';
  for (const [name, value] of Object.entries(query)) {
    if (value) url.searchParams.set(name, value);
  }
  return url.href;
}
