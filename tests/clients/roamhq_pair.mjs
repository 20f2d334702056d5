// Two peer connections of @roamhq/wrtc (libwebrtc) that may only use the relay send each other data over a data channel.
//
//   node roamhq_pair.mjs HOST PORT udp|tcp|tls USERNAME PASSWORD [PAUSE_SECONDS]
//
// The pause is between an allocation and its first permission. Prints one line per direction and ends with 0.

import wrtc from '@roamhq/wrtc';

import { sleep, urlOf } from './server_url.mjs';

const [host, port, transport, username, credential, pause = '0'] = process.argv.slice(2);
const PATIENCE_MS = 20_000 + pause * 1000;
const MESSAGES = 50;

setTimeout(() => {
  console.error(`not done within ${PATIENCE_MS} ms`);
  process.exit(1);
}, PATIENCE_MS).unref();

const agent = () =>
  new wrtc.RTCPeerConnection({
    iceServers: [{ urls: urlOf(host, port, transport), username, credential }],
    iceTransportPolicy: 'relay',
  });

/** Sets a local description and resolves with it once all candidates are in it. */
async function gathered(peer, description) {
  const complete = new Promise((resolve) => {
    peer.addEventListener('icegatheringstatechange', () => peer.iceGatheringState === 'complete' && resolve());
  });
  await peer.setLocalDescription(description);
  await complete;
  if (!/ typ relay /.test(peer.localDescription.sdp)) throw new Error('no relay candidate');
  return peer.localDescription;
}

async function exchange(sender, receiver, name) {
  const arrived = new Promise((resolve, reject) => {
    let next = 0;
    receiver.onmessage = ({ data }) => {
      if (data !== `${name} ${next}`) reject(new Error(`expected ${name} ${next}, received ${data}`));
      next += 1;
      if (next === MESSAGES) resolve();
    };
  });
  for (let number = 0; number < MESSAGES; number += 1) sender.send(`${name} ${number}`);
  await arrived;
  console.log(`${name}: ${MESSAGES} messages`);
}

const [one, other] = [agent(), agent()];
const incoming = new Promise((resolve) => (other.ondatachannel = ({ channel }) => resolve(channel)));
const channel = one.createDataChannel('e2e');
const opened = new Promise((resolve) => (channel.onopen = resolve));

const offer = await gathered(one, await one.createOffer());
await sleep(pause);
await other.setRemoteDescription(offer);
await one.setRemoteDescription(await gathered(other, await other.createAnswer()));

const counterpart = await incoming;
await opened;
await exchange(channel, counterpart, 'there');
await exchange(counterpart, channel, 'back');
one.close();
other.close();
process.exit(0);
