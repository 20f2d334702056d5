// `ws`, as its authors publish it, against a signaling server: node frames.mjs HOST:PORT. Says what went otherwise than it has to.
import { WebSocket } from 'ws';

const [place] = process.argv.slice(2);

/** Connects, with what is to be told of it: the greeting, the extensions that were agreed to. */
function connect(user, options = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${place}/ws?token=${user}`, options);
    socket.inbox = [];
    socket.on('message', (data) => {
      socket.inbox.push(JSON.parse(data));
      socket.emit('heard');
    });
    socket.on('error', reject);
    socket.on('open', () => resolve(socket));
  });
}

async function next(socket, type) {
  for (;;) {
    const index = socket.inbox.findIndex((message) => message.type === type);
    if (index >= 0) return socket.inbox.splice(index, 1)[0];
    await new Promise((resolve) => socket.once('heard', resolve));
  }
}

const closed = (socket) => new Promise((resolve) => socket.once('close', (code) => resolve(code)));

function must(what, is) {
  if (!is) throw new Error(what);
}

const padded = (length) => {
  const empty = JSON.stringify({ type: 'ping', x: '' });
  return JSON.stringify({ type: 'ping', x: 'x'.repeat(length - empty.length) });
};

const ann = await connect('ann', { perMessageDeflate: true });
must('compression was agreed to', ann.extensions === '');
must('the greeting', (await next(ann, 'connected')).userId === 'ann');

// Fragments, a ping between them, and 64 KiB.
ann.send('{"type":', { fin: false });
ann.ping('between');
const pong = new Promise((resolve) => ann.once('pong', (data) => resolve(data.toString())));
ann.send('"ping"}', { fin: true });
must('a ping between fragments', (await pong) === 'between');
await next(ann, 'pong');
ann.send(padded(65_536));
await next(ann, 'pong');

// Signals in their order.
const bob = await connect('bob');
ann.send(JSON.stringify({ type: 'join', room: 'r' }));
await next(ann, 'joined');
bob.send(JSON.stringify({ type: 'join', room: 'r' }));
const { members } = await next(bob, 'joined');
for (let n = 0; n < 95; n += 1) bob.send(JSON.stringify({ type: 'signal', to: members[0].id, from: 'forged', data: n }));
const { id } = await next(ann, 'peer-joined');
for (let n = 0; n < 95; n += 1) {
  const signal = await next(ann, 'signal');
  must(`signal ${n} of its true sender`, signal.data === n && signal.from === id);
}

// Closing, by either side.
const answer = closed(bob);
bob.close(1000, 'enough');
must('a close is answered with its code', (await answer) === 1000);
const refused = closed(ann);
ann.send(padded(65_537));
must('a byte more than 64 KiB', (await refused) === 1009);

// A page of somebody else's.
const foreign = await connect('eve', { origin: 'https://evil.example' }).catch((error) => error.message);
must('a foreign origin', foreign === 'Unexpected server response: 403');
console.log('all as it has to be');
process.exit(0);
