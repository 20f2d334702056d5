// Tokens as `jose` makes them: publishes their keys, shows them to the signaling service, and prints what became of each.
//
//   node tokens.mjs PORT-OF-KEYS PORT-OF-SIGNALING SECRET
import { createServer } from 'node:http';
import * as jose from 'jose';
import { WebSocket } from 'ws';

const [keysPort, signalingPort, secret] = process.argv.slice(2);
const verdicts = {};
const shared = new TextEncoder().encode(secret);
const ISSUER = 'https://issuer.example';
const AUDIENCE = 'signaling';

async function signer(alg, kid) {
  const pair = await jose.generateKeyPair(alg, { extractable: true });
  const published = { ...(await jose.exportJWK(pair.publicKey)), alg, kid, use: 'sig' };
  return { alg, kid, key: pair.privateKey, published };
}

let published = [];
let asked = 0;
const keys = createServer((request, response) => {
  asked += 1;
  response.setHeader('Content-Type', 'application/jwk-set+json');
  response.end(JSON.stringify({ keys: published }));
});
await new Promise((resolve) => keys.listen(keysPort, '127.0.0.1', resolve));

function token({ alg, kid, key }, change = (jwt) => jwt) {
  const jwt = new jose.SignJWT({ name: 'Ann' })
    .setProtectedHeader({ alg, kid })
    .setSubject('ann')
    .setIssuer(ISSUER)
    .setAudience([AUDIENCE, 'mail'])
    .setIssuedAt()
    .setNotBefore('0s')
    .setExpirationTime('5m');
  return change(jwt).sign(key);
}

/** The user that a token makes of us, or the close code. */
function show(text) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${signalingPort}/ws`, ['turnpike', `token.${text}`]);
    socket.on('message', (data) => {
      resolve(`${socket.protocol} ${JSON.parse(data).userId}`);
      socket.close();
    });
    socket.on('close', (code, reason) => resolve(`${code} ${reason}`));
    socket.on('error', (error) => resolve(error.message));
  });
}

const hs256 = { alg: 'HS256', key: shared };
const [rs256, es256, eddsa] = [await signer('RS256', 'r1'), await signer('ES256', 'e1'), await signer('EdDSA', 'd1')];
published = [rs256, es256, eddsa].map((one) => one.published);

for (const one of [hs256, rs256, es256, eddsa]) verdicts[one.alg] = await show(await token(one));
verdicts.fetched = asked;
verdicts.expired = await show(await token(eddsa, (jwt) => jwt.setExpirationTime('-5m')));
verdicts.early = await show(await token(eddsa, (jwt) => jwt.setNotBefore('5m')));
verdicts.issuer = await show(await token(eddsa, (jwt) => jwt.setIssuer('https://evil.example')));
verdicts.audience = await show(await token(eddsa, (jwt) => jwt.setAudience('mail')));
verdicts.none = await show(
  new jose.UnsecuredJWT({}).setSubject('ann').setIssuer(ISSUER).setAudience(AUDIENCE).setExpirationTime('5m').encode(),
);
// The oldest confusion: the public key, as its PEM text, taken for a secret.
const pem = await jose.exportSPKI(await jose.importJWK(rs256.published, 'RS256', { extractable: true }));
verdicts.confused = await show(await token({ alg: 'HS256', kid: 'r1', key: new TextEncoder().encode(pem) }));
const stranger = await signer('RS256', 'r1');
verdicts.stranger = await show(await token(stranger));
verdicts.longer = await show(await token(await signer('RS512', 'r1')));

// The next key of the issuer; the pause after the last attempt is over by then.
const next = await signer('ES256', 'e2');
published = [next.published];
const patience = Date.now() + 60_000;
do {
  verdicts.rotated = await show(await token(next));
} while (verdicts.rotated.startsWith('1008') && Date.now() < patience && (await new Promise((resolve) => setTimeout(resolve, 500, true))));
verdicts.withdrawn = await show(await token(es256));

console.log(JSON.stringify(verdicts));
keys.close();
