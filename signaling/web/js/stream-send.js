// @ts-check
// The sending page: one camera, chosen size and rate, to every receiver that comes.

import { SERVER_LOST, noPathTo } from './call-state.js';
import { canCapture, explain } from './media.js';
import { Meter, describePath } from './stats.js';
import { Stream } from './stream.js';
import { byId, fillRows, keepKey, query, relayOnly, showAlert, showState, wireAlert } from './ui.js';

/** Cap of the outgoing picture by its height, in bits per second. */
const BITRATES = new Map([[480, 1_000_000], [720, 2_000_000], [1080, 4_000_000]]);
const STATS_INTERVAL_MS = 1_000;

const STATE_TEXT = {
  idle: 'Not sending',
  connecting: 'Reaching the server…',
  waiting: 'Ready; waiting for a receiver',
  calling: 'A receiver is here, connecting…',
  connected: 'Sending',
  reconnecting: 'Connection lost, trying again…',
  failed: 'Could not connect',
  ended: 'Stopped',
};

/** @type {Stream | null} */ let stream = null;
/** @type {MediaStream | null} */ let camera = null;
/** @type {WakeLockSentinel | null} */ let wakeLock = null;
/** @type {Map<string, Meter>} */ const meters = new Map();

/** @type {HTMLVideoElement} */ const preview = byId('preview');
/** @type {HTMLButtonElement} */ const startButton = byId('start');

/** What the form asks for. */
function wanted() {
  const form = /** @type {HTMLFormElement} */ (byId('settings'));
  const fields = new FormData(form);
  const [width, height] = String(fields.get('size')).split('x').map(Number);
  return { width, height, rate: Number(fields.get('rate')), facing: String(fields.get('facing')), sound: fields.has('sound') };
}

/** Opens the camera as the form asks, in place of the one that is open. */
async function openCamera() {
  const { width, height, rate, facing, sound } = wanted();
  closeCamera(); // A phone opens only one camera at a time.
  const opened = await navigator.mediaDevices.getUserMedia({
    video: { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: rate, max: rate }, facingMode: facing },
    audio: sound && { echoCancellation: true, noiseSuppression: true },
  });
  camera = opened;
  preview.srcObject = opened;
  byId('preview-empty').hidden = true;
  for (const peer of stream?.peers ?? []) feed(peer);
}

function closeCamera() {
  for (const track of camera?.getTracks() ?? []) track.stop();
  camera = null;
  preview.srcObject = null;
  byId('preview-empty').hidden = false;
}

/** @param {import('./peer.js').Peer} peer */
function feed(peer) {
  const [audio = null] = camera?.getAudioTracks() ?? [];
  const [video = null] = camera?.getVideoTracks() ?? [];
  peer.setMedia({ audio, video }, { audio: Boolean(audio), video: Boolean(video), screen: false });
  peer.limitVideo(BITRATES.get(wanted().height) ?? 2_000_000);
}

async function start() {
  showAlert(null);
  startButton.disabled = true;
  try {
    await openCamera();
  } catch (error) {
    showAlert(explain(error, wanted().sound ? 'camera and microphone' : 'camera'));
    return;
  } finally {
    startButton.disabled = false;
  }
  stream = new Stream({
    role: 'sender', room: query.get('room'), key: query.get('key'), relayOnly,
    onChange: render,
    onPeer: feed,
  });
  keepAwake();
  render();
}

function stop() {
  stream?.stop();
  closeCamera();
  wakeLock?.release();
  wakeLock = null;
}

/** A phone that dims its screen stops its camera. */
async function keepAwake() {
  try {
    wakeLock = await navigator.wakeLock.request('screen');
  } catch {
    // Not offered here, or refused for a low battery: sending works nevertheless.
  }
}

function render() {
  const state = stream?.state ?? 'idle';
  const count = stream?.peers.filter((peer) => peer.state === 'connected').length ?? 0;
  showState(state, state === 'connected' ? `Sending to ${count} ${count === 1 ? 'receiver' : 'receivers'}` : STATE_TEXT[state]);
  const active = !['idle', 'ended'].includes(state) && !stream?.problem;
  startButton.hidden = active;
  byId('stop').hidden = !active;
  if (state === 'failed') showAlert(stream?.problem ?? (stream?.entered ? noPathTo('the receiver') : SERVER_LOST));
  if (stream?.problem && camera) closeCamera();
}

async function changeSettings() {
  if (!camera) return;
  try {
    await openCamera();
    showAlert(null);
  } catch (error) {
    showAlert(explain(error, 'camera'));
  }
}

async function measure() {
  /** @type {[string, string][]} */ const rows = [];
  for (const [index, peer] of (stream?.peers ?? []).entries()) {
    const meter = meters.get(peer.id) ?? new Meter();
    meters.set(peer.id, meter);
    const reading = meter.add(await peer.summary());
    if (!reading || peer.state !== 'connected') continue;
    rows.push([`Receiver ${index + 1}`, `${(reading.outBitrate / 1e6).toFixed(1)} Mbit/s`], ['Path', describePath(reading.summary)]);
  }
  const size = camera?.getVideoTracks()[0]?.getSettings();
  if (size) rows.unshift(['Camera', `${size.width} × ${size.height}, ${Math.round(size.frameRate ?? 0)} per second`]);
  fillRows(byId('stats'), rows);
}

/** A window for tests and scripts: it can look, and change nothing. */
function expose() {
  const peers = () => (stream?.peers ?? []).map((peer) => ({
    id: peer.id,
    connectionState: peer.connectionState,
    stats: () => peer.summary(),
  }));
  Object.defineProperty(window, 'turnpike', {
    value: Object.freeze({
      get state() { return stream?.state ?? 'idle'; },
      peers,
      stats: () => Promise.all(peers().map(async ({ id, connectionState, stats }) => ({ id, connectionState, ...await stats() }))),
    }),
  });
}

keepKey();
wireAlert();
expose();
startButton.addEventListener('click', start);
byId('stop').addEventListener('click', stop);
byId('settings').addEventListener('change', changeSettings);
addEventListener('pagehide', stop);
setInterval(measure, STATS_INTERVAL_MS);
render();
if (!canCapture) showAlert(explain(null, 'camera'));
