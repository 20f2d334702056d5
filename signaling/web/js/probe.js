// @ts-check
// Tests single ICE servers: which candidates they give, and whether data comes back through a relay. Shows nothing.

/** Longest wait for one server; a TURN client retransmits for 9.5 s before it gives up. */
const GATHER_LIMIT_MS = 11_000;
const CONNECT_LIMIT_MS = 10_000;
/** The echo: small packets at the pace of a voice call, neither ordered nor repeated, so that a loss shows. */
const ECHO_COUNT = 100;
const ECHO_BYTES = 160;
const ECHO_INTERVAL_MS = 20;
const ECHO_SETTLE_MS = 500;
/** The throughput test: how long, in what pieces, and how much may wait in the browser. */
const BULK_MS = 2_000;
const BULK_BYTES = 16_384;
const BULK_BUFFER = 1 << 20;

/**
 * @typedef {object} Found A candidate.
 * @property {number} ms Since the start of the probe.
 * @property {string} type
 * @property {string} protocol
 * @property {string} relayProtocol Empty without a relay.
 * @property {string} address With port.
 * @property {number} priority
 * @property {string} url Of the server that gave it; empty for the device's own.
 */

/**
 * @typedef {object} Gathered What one probe found.
 * @property {Found[]} candidates
 * @property {string[]} errors In words, without credentials.
 * @property {boolean} complete False when the time ran out first.
 */

/**
 * Splits a server list into one entry for each URL.
 * @param {RTCIceServer[]} iceServers
 * @returns {{url: string, server: RTCIceServer}[]}
 */
export function eachUrl(iceServers) {
  return iceServers.flatMap(({ urls, ...rest }) => [urls].flat().map((url) => ({ url, server: { ...rest, urls: url } })));
}

/**
 * Gathers candidates from at most one server.
 * @param {RTCIceServer | null} server Null for the device's own addresses.
 * @param {RTCIceTransportPolicy} policy
 * @param {(found: Found) => void} onFound
 * @returns {Promise<Gathered>}
 */
export async function gather(server, policy, onFound) {
  const url = String(server?.urls ?? '');
  const begin = performance.now();
  /** @type {Gathered} */ const result = { candidates: [], errors: [], complete: false };
  const pc = new RTCPeerConnection({ iceServers: server ? [server] : [], iceTransportPolicy: policy, bundlePolicy: 'max-bundle' });
  const done = new Promise((resolve) => {
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate) return resolve(true);
      if (!candidate.candidate || (server && candidate.type === 'host')) return;
      const found = describe(candidate, url, performance.now() - begin);
      result.candidates.push(found);
      onFound(found);
    };
    setTimeout(() => resolve(false), GATHER_LIMIT_MS);
  });
  pc.onicecandidateerror = (event) => {
    const text = `${event.errorCode} ${event.errorText}`.trim();
    if (!result.errors.includes(text)) result.errors.push(text);
  };
  try {
    pc.createDataChannel('probe');
    await pc.setLocalDescription();
    result.complete = await done;
  } finally {
    pc.close();
  }
  return result;
}

/**
 * @param {RTCIceCandidate} candidate
 * @param {string} url
 * @param {number} ms
 * @returns {Found}
 */
function describe(candidate, url, ms) {
  const { address, port, type, protocol, priority } = candidate;
  // Not in the type library yet; Firefox and Chromium both have it.
  const { relayProtocol } = /** @type {{relayProtocol?: string}} */ (/** @type {unknown} */ (candidate));
  const host = address?.includes(':') ? `[${address}]` : address ?? 'hidden';
  return {
    ms,
    type: type ?? '',
    protocol: protocol ?? '',
    relayProtocol: type === 'relay' ? relayProtocol || legFromUrl(url) : '',
    address: `${host}:${port ?? '?'}`,
    priority: priority ?? 0,
    url,
  };
}

/** @param {string} url */
function legFromUrl(url) {
  if (url.startsWith('turns:')) return 'tls';
  return url.includes('transport=tcp') ? 'tcp' : 'udp';
}

/**
 * @typedef {object} Echo
 * @property {number | null} rtt Median in milliseconds; null when nothing came back.
 * @property {number} lost Of the packets sent, 0 to 1.
 * @property {number} bitrate Bits per second of the throughput test.
 */

/**
 * Connects this page to itself through the relay and sends data around.
 * @param {RTCIceServer} server
 * @returns {Promise<Echo>}
 * @throws {Error} When the two ends can't reach each other through this server.
 */
export async function echo(server) {
  /** @type {RTCConfiguration} */
  const configuration = { iceServers: [server], iceTransportPolicy: 'relay', bundlePolicy: 'max-bundle' };
  const near = new RTCPeerConnection(configuration);
  const far = new RTCPeerConnection(configuration);
  try {
    const small = near.createDataChannel('echo', { ordered: false, maxRetransmits: 0 });
    const bulk = near.createDataChannel('bulk');
    small.binaryType = bulk.binaryType = 'arraybuffer';
    const received = answerAll(far);
    await connect(near, far, [small, bulk]);
    const { rtt, lost } = await exchange(small);
    return { rtt, lost, bitrate: await push(bulk, received) };
  } finally {
    near.close();
    far.close();
  }
}

/**
 * Sends back what arrives on "echo", counts what arrives on "bulk".
 * @param {RTCPeerConnection} far
 */
function answerAll(far) {
  const received = { bytes: 0 };
  far.ondatachannel = ({ channel }) => {
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => {
      if (channel.label === 'bulk') received.bytes += data.byteLength;
      else channel.send(data);
    };
  };
  return received;
}

/**
 * @param {RTCPeerConnection} near
 * @param {RTCPeerConnection} far
 * @param {RTCDataChannel[]} channels
 */
async function connect(near, far, channels) {
  const opened = Promise.all(channels.map((channel) => new Promise((resolve) => { channel.onopen = resolve; })));
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error('no data came through the relay')), CONNECT_LIMIT_MS);
  });
  // One end hands its candidates over with its description: all of them are the relay's and come quickly.
  near.onicecandidate = ({ candidate }) => far.addIceCandidate(candidate ?? undefined).catch(() => {});
  far.onicecandidate = ({ candidate }) => near.addIceCandidate(candidate ?? undefined).catch(() => {});
  const offer = await near.createOffer();
  await far.setRemoteDescription(offer);
  await near.setLocalDescription(offer);
  await far.setLocalDescription();
  if (far.localDescription) await near.setRemoteDescription(far.localDescription);
  await Promise.race([opened, late]);
}

/** @param {RTCDataChannel} channel */
async function exchange(channel) {
  /** @type {number[]} */ const times = [];
  channel.onmessage = ({ data }) => times.push(performance.now() - new Float64Array(data)[0]);
  for (let sent = 0; sent < ECHO_COUNT; sent += 1) {
    const packet = new Float64Array(ECHO_BYTES / 8);
    packet[0] = performance.now();
    channel.send(packet);
    await pause(ECHO_INTERVAL_MS);
  }
  await pause(ECHO_SETTLE_MS);
  times.sort((a, b) => a - b);
  return { rtt: times.length ? times[times.length >> 1] : null, lost: 1 - times.length / ECHO_COUNT };
}

/**
 * @param {RTCDataChannel} channel
 * @param {{bytes: number}} received
 */
async function push(channel, received) {
  const piece = new Uint8Array(BULK_BYTES);
  const begin = performance.now();
  while (performance.now() - begin < BULK_MS) {
    while (channel.bufferedAmount < BULK_BUFFER) channel.send(piece);
    await pause(5);
  }
  return received.bytes * 8 / ((performance.now() - begin) / 1000);
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}
