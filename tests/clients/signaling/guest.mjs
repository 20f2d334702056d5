// A user with a token, to a signaling service on this machine: node guest.mjs PORT SECRET. Prints who it is let in as, stays until
// it is sent away, and prints with what words.
import * as jose from 'jose';
import { WebSocket } from 'ws';

const [port, secret] = process.argv.slice(2);
const token = await new jose.SignJWT({})
  .setProtectedHeader({ alg: 'HS256' })
  .setSubject('ann')
  .setIssuedAt()
  .setExpirationTime('5m')
  .sign(new TextEncoder().encode(secret));
const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, ['turnpike', `token.${token}`]);
socket.on('message', (data) => console.log(`in as ${JSON.parse(data).userId}`));
socket.on('close', (code, reason) => console.log(`out with ${code} ${reason}`));
socket.on('error', (error) => console.log(error.message));
