// @ts-check
// The call page: puts room, media, tiles and chat together and listens to its buttons.

import { SERVER_LOST, STATE_TEXT, noPathTo } from './call-state.js';
import { Chat } from './chat.js';
import { LocalMedia, canCapture, canShareScreen } from './media.js';
import { callLeft, wirePeople } from './people.js';
import { Room } from './room.js';
import { Meter, describeReading } from './stats.js';
import { Tiles } from './tiles.js';
import { byId, fillRows, keepKey, make, query, relayOnly, setToggle, showAlert, showState, wireAlert, wireCopy } from './ui.js';

/** From this many others on, a newcomer joins muted. */
const CROWD = 4;
/** Level of incoming sound that counts as speaking; full scale is 1. */
const SPEAKING_LEVEL = 0.02;
const STATS_INTERVAL_MS = 1_000;

/** @type {Room | null} */ let room = null;
/** @type {LocalMedia | null} */ let media = null;
/** @type {Map<string, Meter>} */ const meters = new Map();
/** @type {string[]} */ const received = [];
/** The failure that was last shown. @type {string | null} */ let failure = null;

const tiles = new Tiles(byId('tiles'), () => { byId('sound-on').hidden = false; });
const chat = new Chat(sendChat);

/** @param {string} text */
function sendChat(text) {
  const reached = (room?.sendChat(text) ?? 0) > 0;
  if (reached) chat.add('You', text, true);
  return reached;
}

/**
 * Joins a room with the devices that were asked for.
 * @param {string} name
 * @param {string} roomName
 * @param {{audio: boolean, video: boolean}} want
 */
function start(name, roomName, want) {
  failure = null;
  showAlert(null);
  rememberInAddress(name, roomName);
  const local = new LocalMedia(() => mediaChanged(local));
  media = local;
  const joined = new Room({ room: roomName, name, key: query.get('key'), relayOnly }, {
    onChange: () => render(),
    onChat: (text, from) => {
      received.push(text);
      chat.add(from.name, text, false);
    },
    onJoined: (others) => { if (others >= CROWD) muteInCrowd(local, others); },
  });
  room = joined;
  mediaChanged(local);
  // Joining does not wait for the permission prompt: tracks are added whenever they arrive.
  local.open(want).then((problem) => { if (problem && room === joined) showAlert(problem); });
}

/**
 * @param {string} name
 * @param {string} roomName
 */
function rememberInAddress(name, roomName) {
  query.set('room', roomName);
  query.set('name', name);
  history.replaceState(null, '', `?${query}`);
  document.title = `${roomName} · Turnpike`;
  byId('room-name').textContent = roomName;
}

/**
 * @param {LocalMedia} local
 * @param {number} others
 */
async function muteInCrowd(local, others) {
  if (!local.micOn) return;
  await local.setMic(false);
  showAlert(`There are ${others} others here, so you joined muted.`);
}

/** @param {LocalMedia} local */
function mediaChanged(local) {
  if (local !== media) return;
  tiles.showOwn(local, query.get('name') ?? '?');
  room?.setMedia(
    { audio: local.audio, video: local.video },
    { audio: local.micOn, video: Boolean(local.video), screen: local.sharing },
  );
  setToggle(byId('mic'), local.micOn, local.micOn ? 'Mute' : 'Unmute', local.micOn ? 'mic' : 'mic-off');
  setToggle(byId('camera'), local.cameraOn, local.cameraOn ? 'Turn camera off' : 'Turn camera on', local.cameraOn ? 'camera' : 'camera-off');
  setToggle(byId('screen'), local.sharing, local.sharing ? 'Stop sharing the screen' : 'Share the screen');
  showCameraSwitch(local);
}

/** @param {LocalMedia} local */
async function showCameraSwitch(local) {
  const devices = local.cameraOn ? await navigator.mediaDevices.enumerateDevices() : [];
  byId('switch-camera').hidden = devices.filter((device) => device.kind === 'videoinput').length < 2;
}

function render() {
  const state = room?.state ?? 'idle';
  const lost = state === 'connected' && room?.signalingLost;
  showState(state, lost ? 'Connected; the server is out of reach, so nobody new can join' : STATE_TEXT[state]);
  const peers = room?.peers ?? [];
  tiles.showPeers(peers);
  chat.enable(peers.some((peer) => peer.chatOpen));
  document.querySelector('main')?.classList.toggle('refused', Boolean(room?.problem));
  showFailure(failureOf(state));
  if (state === 'ended' || room?.problem) leave();
}

/**
 * What is to be said about this state; null when all is well.
 * @param {string} state
 */
function failureOf(state) {
  const unreached = (room?.peers ?? []).filter((peer) => peer.state === 'failed');
  byId('retry').hidden = unreached.length === 0;
  if (room?.problem) return room.problem;
  if (state === 'failed' && !room?.self) return SERVER_LOST;
  return unreached.length > 0 ? noPathTo(unreached.map((peer) => peer.name).join(', ')) : null;
}

/**
 * Says it once: an alert that was closed stays closed until there is something new to say.
 * @param {string | null} text
 */
function showFailure(text) {
  if (text === failure) return;
  failure = text;
  showAlert(text);
}

/** Releases everything; the last state stays on the page. */
function leave() {
  const local = media;
  media = null;
  local?.close();
  meters.clear();
  callLeft();
  fillDetails([]);
}

/**
 * @typedef {import('./stats.js').Summary & {id: string, name: string, connectionState: string}} PeerStats
 * @returns {Promise<PeerStats[]>}
 */
async function allStats() {
  return Promise.all((room?.peers ?? []).map(async (peer) => ({
    id: peer.id,
    name: peer.name,
    connectionState: peer.connectionState,
    ...await peer.summary(),
  })));
}

async function measure() {
  const sections = [];
  for (const stats of await allStats()) {
    const meter = meters.get(stats.id) ?? new Meter();
    meters.set(stats.id, meter);
    const reading = meter.add(stats);
    if (!reading || stats.connectionState !== 'connected') continue;
    tiles.rate(stats.id, reading.rating, (stats.audioLevel ?? 0) > SPEAKING_LEVEL);
    sections.push({ id: stats.id, name: stats.name, rows: describeReading(reading) });
  }
  if (!byId('details').hidden) fillDetails(sections);
}

/** @param {{id: string, name: string, rows: [string, string][]}[]} sections */
function fillDetails(sections) {
  const body = byId('details-body');
  byId('details-empty').hidden = sections.length > 0;
  const present = new Set(sections.map(({ id }) => id));
  for (const section of [...body.children]) {
    if (!present.has(/** @type {HTMLElement} */ (section).dataset.peerId ?? '')) section.remove();
  }
  for (const { id, name, rows } of sections) {
    let section = [...body.children].find((child) => /** @type {HTMLElement} */ (child).dataset.peerId === id);
    if (!section) {
      section = make('section');
      /** @type {HTMLElement} */ (section).dataset.peerId = id;
      section.append(make('h3', '', name), make('dl', 'rows'));
      body.append(section);
    }
    fillRows(/** @type {HTMLElement} */ (section.lastElementChild), rows);
  }
}

function wireForm() {
  const form = /** @type {HTMLFormElement} */ (byId('join-form'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const fields = new FormData(form);
    start(
      String(fields.get('name')).trim(), String(fields.get('room')).trim(),
      { audio: fields.has('audio'), video: fields.has('video') },
    );
  });
  for (const field of ['name', 'room']) {
    /** @type {HTMLInputElement} */ (byId(field)).value = query.get(field) ?? '';
  }
}

/**
 * Runs a change of devices and shows what went wrong with it.
 * @param {string} testid
 * @param {(local: LocalMedia) => Promise<string | null>} change
 */
function wireDevice(testid, change) {
  const button = /** @type {HTMLButtonElement} */ (byId(testid));
  button.addEventListener('click', async () => {
    if (!media) return;
    button.disabled = true; // A second press while the browser asks would ask twice.
    showAlert(await change(media));
    button.disabled = false;
  });
}

function wireControls() {
  wireDevice('mic', (local) => local.setMic(!local.micOn));
  wireDevice('camera', (local) => local.setCamera(!local.cameraOn));
  wireDevice('switch-camera', (local) => local.switchCamera());
  wireDevice('screen', (local) => local.setScreen(!local.sharing));
  byId('screen').hidden = canCapture && !canShareScreen;
  byId('hang-up').addEventListener('click', () => room?.leave());
  byId('retry').addEventListener('click', () => {
    showAlert(null);
    room?.retry();
  });
  byId('rejoin').addEventListener('click', () => location.reload());
  byId('sound-on').addEventListener('click', () => {
    tiles.unmute();
    byId('sound-on').hidden = true;
  });
  wireDetails();
  wireCopy(byId('copy-link'), shareLink);
  wireCopy(byId('copy-link-waiting'), shareLink);
  // Tells the others at once, instead of after the server's grace for lost connections.
  addEventListener('pagehide', () => room?.leave());
}

function wireDetails() {
  const show = (/** @type {boolean} */ open) => {
    byId('details').hidden = !open;
    byId('details-toggle').setAttribute('aria-expanded', String(open));
  };
  byId('details-toggle').addEventListener('click', () => show(byId('details').hidden));
  byId('details-close').addEventListener('click', () => {
    show(false);
    byId('details-toggle').focus();
  });
}

/** The address for the others: this room and the join key, without our name. */
function shareLink() {
  const url = new URL(location.href);
  url.searchParams.delete('name');
  return url.href;
}

/** A window for tests and scripts; it can look, and speak in the chat, but change nothing else. */
function expose() {
  Object.defineProperty(window, 'turnpike', {
    value: Object.freeze({
      get state() { return room?.state ?? 'idle'; },
      get self() { return room?.self ?? null; },
      get received() { return [...received]; },
      peers: () => (room?.peers ?? []).map((peer) => ({
        id: peer.id,
        name: peer.name,
        connectionState: peer.connectionState,
        stats: () => peer.summary(),
      })),
      sendChat,
      stats: allStats,
    }),
  });
}

keepKey();
wireAlert();
wireForm();
wireControls();
wirePeople({ start, leave: () => room?.leave(), busy: () => media !== null });
expose();
render();
setInterval(measure, STATS_INTERVAL_MS);

const [roomName, name] = [query.get('room')?.trim(), query.get('name')?.trim()];
if (roomName && name) {
  start(name, roomName, { audio: query.get('audio') !== '0', video: query.get('video') !== '0' });
}
