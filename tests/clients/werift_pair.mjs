// Two werift peer connections that may only use the relay send each other data over a data channel.
//
//   node werift_pair.mjs HOST PORT udp|tcp|tls|dtls USERNAME PASSWORD [PAUSE_SECONDS]
//
// The pause is between an allocation and its first permission. Prints one line per direction and ends with 0; anything else is a failure.

import { RTCPeerConnection } from 'werift';

import { sleep, urlOf } from './server_url.mjs';

const [host, port, transport, username, credential, pause = '0'] = process.argv.slice(2);
const PATIENCE_MS = 20_000 + pause * 1000;
const MESSAGES = 50;

setTimeout(() => {
  console.error(`not done within ${PATIENCE_MS} ms`);
  process.exit(1);
}, PATIENCE_MS).unref();

const agent = () =>
  new RTCPeerConnection({
    iceServers: [{ urls: urlOf(host, port, transport), username, credential }],
    iceTransportPolicy: 'relay',
  });

/** Resolves with the complete local description, all candidates in it. */
async function gathered(peer) {
  while (peer.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 50));
  const { sdp } = peer.localDescription;
  const types = [...sdp.matchAll(/^a=candidate:.* typ (\w+)/gm)].map((match) => match[1]);
  if (!types.length || types.some((type) => type !== 'relay')) throw new Error(`candidates of the types [${types}]`);
  return peer.localDescription;
}

async function exchange(sender, receiver, name) {
  const arrived = new Promise((resolve) => {
    let next = 0;
    receiver.onMessage.subscribe((message) => {
      if (String(message) !== `${name} ${next}`) throw new Error(`expected ${name} ${next}, received ${message}`);
      next += 1;
      if (next === MESSAGES) resolve();
    });
  });
  for (let number = 0; number < MESSAGES; number += 1) sender.send(Buffer.from(`${name} ${number}`));
  await arrived;
  console.log(`${name}: ${MESSAGES} messages`);
}

const [one, other] = [agent(), agent()];
const incoming = new Promise((resolve) => other.onDataChannel.subscribe(resolve));
const channel = one.createDataChannel('e2e');
const opened = new Promise((resolve) => channel.stateChanged.subscribe((state) => state === 'open' && resolve()));

await one.setLocalDescription(await one.createOffer());
const offer = await gathered(one);
await sleep(pause);
await other.setRemoteDescription(offer);
await other.setLocalDescription(await other.createAnswer());
await one.setRemoteDescription(await gathered(other));

const counterpart = await incoming;
await opened;
await exchange(channel, counterpart, 'there');
await exchange(counterpart, channel, 'back');
await Promise.all([one.close(), other.close()]);
process.exit(0);
