// What one writes with Socket.IO to pass signals on, to be measured beside ours: node socketio.mjs PORT
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, { transports: ['websocket'], pingInterval: 25_000 });
const users = new Map();
const calls = new Map();

io.on('connection', (socket) => {
  const user = socket.handshake.auth.token;
  users.set(user, socket);
  socket.on('disconnect', () => users.delete(user));
  socket.on('call-initiate', ({ callId, participants }) => {
    calls.set(callId, new Set([user, ...participants]));
    for (const other of participants) users.get(other)?.emit('call-incoming', { callId, from: user });
  });
  socket.on('call-accept', ({ callId }) => {
    for (const other of calls.get(callId) ?? []) {
      if (other !== user) users.get(other)?.emit('call-accepted', { callId, from: user });
    }
  });
  socket.on('webrtc-signal', ({ callId, to, signal }) => {
    const call = calls.get(callId);
    if (call?.has(user) && call.has(to)) users.get(to)?.emit('webrtc-signal', { callId, from: user, signal });
  });
});
http.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
