// What operators put around the signaling service, over HTTPS alone: published keys, a service that knows tokens, and one that is
// told of calls. Prints a token of its issuer's, then a line for each call.
//
//   node services.mjs PORT CERTIFICATE KEY
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import * as jose from 'jose';

const [port, certificate, key] = process.argv.slice(2);
const pair = await jose.generateKeyPair('EdDSA', { extractable: true });
const published = { ...(await jose.exportJWK(pair.publicKey)), alg: 'EdDSA', kid: 'one', use: 'sig' };
const answers = {
  'GET /jwks.json': () => ({ keys: [published] }),
  'POST /whois': ({ token }) => ({ user: `user-of-${token}` }),
  'POST /calls': ({ data }) => {
    console.log(`told of ${data.callId}`);
    return {};
  },
};

const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const answer = answers[`${request.method} ${request.url}`];
  response.statusCode = answer ? 200 : 404;
  response.end(JSON.stringify(answer?.(body ? JSON.parse(body) : {}) ?? {}));
});
await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
const token = await new jose.SignJWT({}).setProtectedHeader({ alg: 'EdDSA', kid: 'one' }).setSubject('ann').setExpirationTime('5m').sign(pair.privateKey);
console.log(`token ${token} .`);
