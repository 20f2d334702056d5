// What the JavaScript clients share.

/** Makes the URL of a TURN server (RFC 7065). */
export function urlOf(host, port, transport) {
  const name = host.includes(':') ? `[${host}]` : host;
  const scheme = transport === 'tls' || transport === 'dtls' ? 'turns' : 'turn';
  const carrier = transport === 'tls' ? 'tcp' : transport === 'dtls' ? 'udp' : transport;
  return `${scheme}:${name}:${port}?transport=${carrier}`;
}

export const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
