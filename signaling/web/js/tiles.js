// @ts-check
// The pictures of a call: one tile for each member and one for ourselves.

import { make, play } from './ui.js';

/** Words for a member's connection; nothing while it works. */
const NOTES = { connecting: 'Connecting…', connected: '', reconnecting: 'Reconnecting…', failed: 'Could not connect' };

/** @typedef {import('./stats.js').Rating} Rating */

/** A picture with a name, marks for muted and quality, and an initial where there is no picture. */
class Tile {
  /** @type {string | null} */ #shown = null;

  /**
   * @param {string} testid
   * @param {string} name
   * @param {boolean} own
   */
  constructor(testid, name, own) {
    this.element = make('article', own ? 'tile own' : 'tile');
    this.element.dataset.testid = testid;
    this.video = make('video');
    this.video.autoplay = true;
    this.video.playsInline = true;
    this.video.muted = own; // Nobody wants to hear themselves.
    this.video.setAttribute('aria-label', own ? 'Your own picture' : `Picture of ${name}`);
    this.avatar = make('div', 'avatar');
    this.nameInitial(name);
    this.avatar.setAttribute('aria-hidden', 'true');
    this.note = make('p', 'tile-note');
    this.note.hidden = true;
    this.quality = make('span', 'quality');
    this.quality.append(make('i'), make('i'), make('i'), make('i'), make('span', 'visually-hidden'));
    this.quality.hidden = true;
    this.muted = make('span', 'muted-mark', 'Muted');
    this.muted.hidden = true;
    const bar = make('div', 'tile-bar');
    bar.append(make('span', 'tile-name', own ? 'You' : name), this.muted, this.quality);
    this.element.append(this.video, this.avatar, this.note, bar);
  }

  /**
   * @param {MediaStream | null} stream
   * @param {{audio: boolean, video: boolean, screen: boolean}} media
   */
  show(stream, media) {
    const tracks = stream?.getTracks().map((track) => track.id).join() ?? '';
    if (tracks !== this.#shown) {
      this.#shown = tracks;
      this.video.srcObject = stream;
    }
    this.element.classList.toggle('no-picture', !media.video);
    this.element.classList.toggle('screen', media.screen);
    this.muted.hidden = media.audio;
  }

  /** @param {string} name */
  nameInitial(name) {
    this.avatar.textContent = [...name][0]?.toUpperCase() ?? '?';
  }

  /** @param {string} text */
  say(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }

  /** @param {Rating | null} rating */
  rate(rating) {
    this.quality.hidden = !rating;
    if (!rating) return;
    this.say(rating === 'poor' ? 'Poor connection' : '');
    this.quality.dataset.rating = rating;
    this.quality.title = `Connection: ${rating}`;
    const words = this.quality.querySelector('.visually-hidden');
    if (words) words.textContent = `Connection: ${rating}`;
  }
}

/** All tiles of a call. */
export class Tiles {
  /** @type {Map<string, Tile>} */ #remote = new Map();
  /** @type {Tile} */ #own = new Tile('local-tile', 'You', true);
  /** @type {HTMLElement} */ #grid;
  /** @type {() => void} */ #soundBlocked;

  /**
   * @param {HTMLElement} grid
   * @param {() => void} soundBlocked Called when the browser wants a tap before it plays sound.
   */
  constructor(grid, soundBlocked) {
    this.#grid = grid;
    this.#soundBlocked = soundBlocked;
    this.#own.element.setAttribute('aria-label', 'You');
    grid.append(this.#own.element);
  }

  /**
   * Shows our own picture, or the initial of our name.
   * @param {import('./media.js').LocalMedia} media
   * @param {string} name
   */
  showOwn(media, name) {
    this.#own.nameInitial(name);
    // A stream of its own, without the microphone: nothing to play, nothing to echo.
    const stream = media.video ? new MediaStream([media.video]) : null;
    this.#own.show(stream, { audio: media.micOn, video: Boolean(media.video), screen: media.sharing });
    this.#own.element.classList.toggle('mirrored', media.mirrored);
  }

  /**
   * Shows exactly these members.
   * @param {import('./peer.js').Peer[]} peers
   */
  showPeers(peers) {
    const present = new Set(peers.map((peer) => peer.id));
    for (const [id, tile] of this.#remote) {
      if (present.has(id)) continue;
      tile.element.remove();
      this.#remote.delete(id);
    }
    for (const peer of peers) this.#showPeer(peer);
    this.#grid.dataset.count = String(peers.length + 1);
  }

  /** @param {import('./peer.js').Peer} peer */
  #showPeer(peer) {
    const tile = this.#remote.get(peer.id) ?? this.#add(peer);
    const media = peer.media ?? { audio: true, video: peer.stream.getVideoTracks().some((track) => !track.muted), screen: false };
    tile.show(peer.stream, { ...media, video: media.video && peer.state !== 'failed' });
    if (tile.element.dataset.state === peer.state) return;
    tile.element.dataset.state = peer.state;
    tile.rate(null);
    tile.say(NOTES[peer.state]);
  }

  /** @param {import('./peer.js').Peer} peer */
  #add(peer) {
    const tile = new Tile('remote-tile', peer.name, false);
    tile.element.dataset.peerId = peer.id;
    tile.element.setAttribute('aria-label', peer.name);
    tile.video.addEventListener('loadedmetadata', async () => {
      if (!(await play(tile.video))) this.#soundBlocked();
    });
    this.#remote.set(peer.id, tile);
    this.#grid.insertBefore(tile.element, this.#own.element);
    return tile;
  }

  /**
   * @param {string} id
   * @param {Rating} rating
   * @param {boolean} speaking
   */
  rate(id, rating, speaking) {
    const tile = this.#remote.get(id);
    tile?.rate(rating);
    tile?.element.classList.toggle('speaking', speaking);
  }

  /** Plays sound everywhere; to be called from a tap. */
  unmute() {
    for (const { video } of this.#remote.values()) {
      video.muted = false;
      play(video);
    }
  }
}
