// The PeerJS server as its authors publish it, to be measured beside ours: node peer.mjs PORT
import { PeerServer } from 'peer';

PeerServer({ port: Number(process.argv[2]), host: '127.0.0.1', path: '/', concurrent_limit: 20_000 }, () => console.log('ready'));
