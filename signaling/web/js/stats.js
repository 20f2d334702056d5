// @ts-check
// Reads getStats() the same way in Chromium and Firefox, and rates a connection.

/** Span of the differences that the rating looks at. Totals since the start could only ever get worse. */
export const WINDOW_MS = 5_000;

/**
 * @typedef {object} Summary One peer connection at one moment; counts are totals since its start.
 * @property {number} at Milliseconds, of this page's clock.
 * @property {number} framesDecoded
 * @property {number} framesSent
 * @property {number} bytesReceived
 * @property {number} bytesSent
 * @property {number} packetsReceived
 * @property {number} packetsLost
 * @property {string | null} localCandidateType host, srflx, prflx or relay.
 * @property {string | null} remoteCandidateType
 * @property {string | null} relayProtocol How this browser reaches its relay: udp, tcp or tls; null without relay.
 * @property {string | null} protocol Between the two ends of the selected pair: udp or tcp.
 * @property {number | null} roundTripTime Seconds.
 * @property {number | null} jitter Seconds; the worst of the incoming streams.
 * @property {number | null} availableOutgoingBitrate Bits per second, where the browser says so.
 * @property {number | null} frameWidth
 * @property {number | null} frameHeight
 * @property {number | null} framesPerSecond
 * @property {number | null} audioLevel 0 to 1.
 */

/** @returns {Summary} */
function emptySummary() {
  return {
    at: performance.now(),
    framesDecoded: 0, framesSent: 0, bytesReceived: 0, bytesSent: 0, packetsReceived: 0, packetsLost: 0,
    localCandidateType: null, remoteCandidateType: null, relayProtocol: null, protocol: null,
    roundTripTime: null, jitter: null, availableOutgoingBitrate: null,
    frameWidth: null, frameHeight: null, framesPerSecond: null, audioLevel: null,
  };
}

/**
 * Boils a stats report down to what the pages show.
 * @param {RTCStatsReport} report
 * @param {Map<string, string>} announced Types of the candidates that the far end announced, by `address:port`.
 * @returns {Summary}
 */
export function summarize(report, announced) {
  const summary = emptySummary();
  for (const entry of report.values()) {
    if (entry.type === 'inbound-rtp') addInbound(summary, entry);
    if (entry.type === 'outbound-rtp' && entry.kind === 'video') addOutboundVideo(summary, entry);
  }
  addBytes(summary, [...report.values()]);
  const pair = selectedPair(report);
  if (pair) addPair(summary, pair, report, announced);
  return summary;
}

/**
 * @param {Summary} summary
 * @param {any} entry
 */
function addInbound(summary, entry) {
  summary.packetsReceived += entry.packetsReceived ?? 0;
  summary.packetsLost += Math.max(0, entry.packetsLost ?? 0); // Duplicates can make it negative.
  summary.jitter = Math.max(summary.jitter ?? 0, entry.jitter ?? 0);
  if (entry.kind === 'audio') summary.audioLevel = entry.audioLevel ?? null;
  if (entry.kind !== 'video') return;
  summary.framesDecoded += entry.framesDecoded ?? 0;
  summary.frameWidth = entry.frameWidth ?? null;
  summary.frameHeight = entry.frameHeight ?? null;
  summary.framesPerSecond = entry.framesPerSecond ?? null;
}

/**
 * @param {Summary} summary
 * @param {any} entry
 */
function addOutboundVideo(summary, entry) {
  summary.framesSent += entry.framesSent ?? entry.framesEncoded ?? 0;
}

/**
 * Counts what went through the transport. Firefox counts by pair only, and the two ends may prefer different pairs:
 * then one carries what is sent and another what is received.
 * @param {Summary} summary
 * @param {any[]} entries
 */
function addBytes(summary, entries) {
  const transports = entries.filter((entry) => entry.type === 'transport' && entry.bytesReceived !== undefined);
  const counters = transports.length > 0 ? transports : entries.filter((entry) => entry.type === 'candidate-pair');
  for (const { bytesReceived, bytesSent } of counters) {
    summary.bytesReceived += bytesReceived ?? 0;
    summary.bytesSent += bytesSent ?? 0;
  }
}

/**
 * Finds the pair that carries the media. Chromium names it on the transport; older Firefox marks the pair itself.
 * @param {RTCStatsReport} report
 * @returns {any}
 */
function selectedPair(report) {
  const entries = [...report.values()];
  const transport = entries.find((entry) => entry.type === 'transport' && entry.selectedCandidatePairId);
  if (transport) return report.get(transport.selectedCandidatePairId);
  const pairs = entries.filter((entry) => entry.type === 'candidate-pair');
  return pairs.find((pair) => pair.selected)
    ?? pairs.find((pair) => pair.nominated && pair.state === 'succeeded');
}

/**
 * @param {Summary} summary
 * @param {any} pair
 * @param {RTCStatsReport} report
 * @param {Map<string, string>} announced
 */
function addPair(summary, pair, report, announced) {
  const local = /** @type {any} */ (report.get(pair.localCandidateId));
  const remote = /** @type {any} */ (report.get(pair.remoteCandidateId));
  summary.roundTripTime = pair.currentRoundTripTime ?? null;
  summary.availableOutgoingBitrate = pair.availableOutgoingBitrate ?? null;
  summary.localCandidateType = local?.candidateType ?? null;
  summary.remoteCandidateType = remoteType(remote, announced);
  summary.protocol = local?.protocol ?? null;
  summary.relayProtocol = local?.candidateType === 'relay' ? local.relayProtocol ?? null : null;
}

/**
 * A check that overtakes the message that announces its sender makes a candidate without a past. Firefox goes on calling
 * it peer-reflexive when the announcement arrives; we look it up.
 * @param {any} remote
 * @param {Map<string, string>} announced
 * @returns {string | null}
 */
function remoteType(remote, announced) {
  if (remote?.candidateType !== 'prflx') return remote?.candidateType ?? null;
  return announced.get(`${remote.address}:${remote.port}`) ?? 'prflx';
}

/** @typedef {'excellent' | 'good' | 'fair' | 'poor'} Rating */

/**
 * Rates five seconds of a connection.
 * @param {number} lost Packets lost within the window.
 * @param {number | null} roundTripTime Seconds; null counts as no delay, since nothing was measured yet.
 * @returns {Rating}
 */
export function rate(lost, roundTripTime) {
  const delay = roundTripTime ?? 0;
  if (lost < 10 && delay < 0.1) return 'excellent';
  if (lost < 50 && delay < 0.2) return 'good';
  if (lost < 100 && delay < 0.3) return 'fair';
  return 'poor';
}

/**
 * @typedef {object} Reading What changed over the last window.
 * @property {Summary} summary The newest totals.
 * @property {number} inBitrate Bits per second.
 * @property {number} outBitrate Bits per second.
 * @property {number} lossRatio 0 to 1.
 * @property {Rating} rating
 */

/** Turns totals into differences over the last five seconds. */
export class Meter {
  /** @type {Summary[]} */ #history = [];

  /**
   * Takes the newest totals in.
   * @param {Summary} summary
   * @returns {Reading | null} Null until there are two to compare.
   */
  add(summary) {
    this.#history.push(summary);
    while (this.#history.length > 2 && summary.at - this.#history[1].at >= WINDOW_MS) this.#history.shift();
    const before = this.#history[0];
    const seconds = (summary.at - before.at) / 1000;
    if (seconds <= 0) return null;
    const grown = (/** @type {'bytesReceived'|'bytesSent'|'packetsLost'|'packetsReceived'} */ name) =>
      Math.max(0, summary[name] - before[name]); // A restart may take old pairs and their counts away.
    const lost = grown('packetsLost');
    const expected = lost + grown('packetsReceived');
    return {
      summary,
      inBitrate: grown('bytesReceived') * 8 / seconds,
      outBitrate: grown('bytesSent') * 8 / seconds,
      lossRatio: expected > 0 ? lost / expected : 0,
      rating: rate(lost, summary.roundTripTime),
    };
  }
}

/**
 * Says in words how the two ends reach each other.
 * @param {Summary} summary
 * @returns {string}
 */
export function describePath(summary) {
  const { localCandidateType: local, remoteCandidateType: remote } = summary;
  if (!local || !remote) return 'not connected';
  const how = local === 'relay' || remote === 'relay' ? 'Relayed' : 'Direct';
  const leg = summary.relayProtocol ? `, relay over ${summary.relayProtocol.toUpperCase()}` : '';
  return `${how} (${local} to ${remote}${leg})`;
}

/**
 * Rows for a table of measurements, the same on every page.
 * @param {Reading} reading
 * @returns {[string, string][]}
 */
export function describeReading({ summary, inBitrate, outBitrate, lossRatio, rating }) {
  const room = summary.availableOutgoingBitrate; // Firefox does not say.
  const size = summary.frameWidth ? `${summary.frameWidth} × ${summary.frameHeight}` : '–';
  return [
    ['Quality', rating],
    ['Path', describePath(summary)],
    ['Round trip', milliseconds(summary.roundTripTime)],
    ['Jitter', milliseconds(summary.jitter)],
    ['Packet loss', `${(lossRatio * 100).toFixed(1)} %`],
    ['Receiving', bitrate(inBitrate)],
    ['Sending', room === null ? bitrate(outBitrate) : `${bitrate(outBitrate)} of ${bitrate(room)} possible`],
    ['Picture', size],
    ['Frames per second', summary.framesPerSecond === null ? '–' : summary.framesPerSecond.toFixed(0)],
  ];
}

/** @param {number | null} seconds */
function milliseconds(seconds) {
  return seconds === null ? '–' : `${(seconds * 1000).toFixed(0)} ms`;
}

/** @param {number} bitsPerSecond */
function bitrate(bitsPerSecond) {
  if (bitsPerSecond >= 1e6) return `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`;
  return `${(bitsPerSecond / 1e3).toFixed(0)} kbit/s`;
}
