// @ts-check
// The start page: suggests a room, keeps the join key on the way, and shows how to use the server from elsewhere.

import { byId, keepKey, query, wireCopy } from './ui.js';

const FIRST = ['amber', 'brisk', 'calm', 'clear', 'early', 'gentle', 'green', 'north', 'open', 'quiet', 'silver', 'warm'];
const SECOND = ['bridge', 'brook', 'field', 'ford', 'garden', 'harbor', 'hill', 'lane', 'meadow', 'orchard', 'valley', 'wharf'];

/** A name that two people can say over the phone, with digits enough that strangers don't meet by chance. */
function suggestRoom() {
  const [a, b, c] = crypto.getRandomValues(new Uint16Array(3));
  return `${FIRST[a % FIRST.length]}-${SECOND[b % SECOND.length]}-${1000 + c % 9000}`;
}

/**
 * The example for a page of one's own.
 * @param {string} endpoint
 * @param {string | null} key
 */
function snippet(endpoint, key) {
  const options = key ? `, {\n  headers: { Authorization: 'Bearer ${key}' },\n}` : '';
  return `const response = await fetch('${endpoint}'${options});
const { iceServers, iceTransportPolicy } = await response.json();
const connection = new RTCPeerConnection({
  iceServers,
  iceTransportPolicy,
  bundlePolicy: 'max-bundle', // one allocation for everything
});`;
}

keepKey();
/** @type {HTMLInputElement} */ (byId('room')).value = query.get('room') ?? suggestRoom();
const key = query.get('key');
byId('snippet').textContent = snippet(new URL('v1/ice', location.href).href.split('?')[0], key);
byId('snippet-note').textContent = key
  ? 'The key in it is the join key of this run. A page for the public should ask its own server, which keeps the key.'
  : 'From the machine itself no key is needed. From elsewhere add the header “Authorization: Bearer KEY” on your server, never in a public page.';
// Where signaling runs by itself there may be no such endpoint, and an example of it would mislead.
void fetch('v1/ice', { method: 'HEAD' }).then(({ status }) => { byId('own').hidden = status === 404; });
wireCopy(byId('copy-snippet'), () => byId('snippet').textContent ?? '');
