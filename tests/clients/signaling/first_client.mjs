// The client that PROTOCOL.md begins with, run as it stands there: node first_client.mjs PROTOCOL.md ADDRESS. Two of them meet in a room.
import { readFileSync } from 'node:fs';
import wrtc from '@roamhq/wrtc';
import { WebSocket } from 'ws';

const [page, address] = process.argv.slice(2);
const block = readFileSync(page, 'utf8').match(/\n```js\n(function join[^]*?)\n```\n/)[1];
const [client, call] = block.split(/\n(?=join\()/);
if (!call?.includes("'ws://localhost:8080/ws'")) throw new Error(`the client is not started: ${call}`);
const join = new Function('WebSocket', 'RTCPeerConnection', `${client}\nreturn join;`)(WebSocket, wrtc.RTCPeerConnection);

/** Joins, and resolves once somebody's greeting is heard. */
const greeted = (name) => new Promise((resolve) => {
  const self = join(address, 'greenhouse', name, (_, text) => resolve({ self, text }));
});

// The first is alone until the second comes.
const both = [greeted('Ann'), greeted('Bob')];
const heard = await Promise.all(both);
if (heard.map(({ text }) => text).sort().join() !== 'hello from Ann,hello from Bob') throw new Error(JSON.stringify(heard));

// Who leaves is forgotten by the other one.
heard[1].self.socket.close();
while (heard[0].self.peers.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
console.log('all as it has to be');
process.exit();
