// @ts-check
// The receiving page: waits for a sender, shows its picture and measures it.

import { SERVER_LOST, noPathTo } from './call-state.js';
import { Meter, describeReading } from './stats.js';
import { Stream } from './stream.js';
import { byId, fillRows, keepKey, play, query, relayOnly, showAlert, showState, wireAlert } from './ui.js';

const STATS_INTERVAL_MS = 1_000;

const STATE_TEXT = {
  connecting: 'Reaching the server…',
  waiting: 'Waiting for a sender',
  calling: 'A sender is here, connecting…',
  connected: 'Receiving',
  reconnecting: 'Connection lost, trying again…',
  failed: 'Could not connect',
  ended: 'Stopped',
};

/** @type {HTMLVideoElement} */ const video = byId('video');
let meter = new Meter();
let measured = '';

const stream = new Stream({
  role: 'receiver', room: query.get('room'), key: query.get('key'), relayOnly,
  onChange: () => render(),
});

function render() {
  const { state, peers: [peer] } = stream;
  showState(state, STATE_TEXT[state]);
  const source = peer?.stream ?? null;
  if (video.srcObject !== source) video.srcObject = source;
  byId('video-empty').hidden = state === 'connected';
  if (!peer) byId('sound-on').hidden = true;
  if (state === 'failed') showAlert(stream.problem ?? (stream.entered ? noPathTo('the sender') : SERVER_LOST));
  else if (state === 'connected') showAlert(null);
}

async function measure() {
  const [peer] = stream.peers;
  if (peer?.id !== measured) {
    meter = new Meter();
    measured = peer?.id ?? '';
  }
  const reading = peer && peer.state === 'connected' ? meter.add(await peer.summary()) : null;
  fillRows(byId('stats'), reading ? describeReading(reading).filter(([term]) => term !== 'Sending') : []);
  byId('stats-empty').hidden = Boolean(reading);
}

/** A window for tests and scripts: it can look, and change nothing. */
function expose() {
  const peers = () => stream.peers.map((peer) => ({
    id: peer.id,
    connectionState: peer.connectionState,
    stats: () => peer.summary(),
  }));
  Object.defineProperty(window, 'turnpike', {
    value: Object.freeze({
      get state() { return stream.state; },
      peers,
      stats: () => Promise.all(peers().map(async ({ id, connectionState, stats }) => ({ id, connectionState, ...await stats() }))),
    }),
  });
}

keepKey();
wireAlert();
expose();
video.addEventListener('loadedmetadata', async () => { byId('sound-on').hidden = await play(video); });
byId('sound-on').addEventListener('click', () => {
  video.muted = false;
  play(video);
  byId('sound-on').hidden = true;
});
byId('full-screen').addEventListener('click', () => byId('screen').requestFullscreen().catch(() => {}));
addEventListener('pagehide', () => stream.stop());
setInterval(measure, STATS_INTERVAL_MS);
render();
