// @ts-check
// The diagnosis page: fetches the server list, runs the probes, fills the tables, makes a report without secrets.

import { echo, eachUrl, gather } from './probe.js';
import { byId, keepKey, make, query, relayOnly, showAlert, showState, wireAlert, wireCopy } from './ui.js';

/** @typedef {import('./probe.js').Found} Found */
/** @typedef {{url: string, verdict: 'pass' | 'fail' | 'unclear', firstAnswerMs: number | null, echo: import('./probe.js').Echo | null, what: string}} Result */

/** @type {object | null} */ let report = null;

/** @type {HTMLButtonElement} */ const runButton = byId('run');
/** @type {HTMLButtonElement} */ const copyButton = byId('copy-report');
const serverRows = rowsOf('servers');
const candidateRows = rowsOf('candidates');

/** @param {string} testid */
function rowsOf(testid) {
  const body = byId(testid).querySelector('tbody');
  if (!body) throw new Error(`table "${testid}" has no body`);
  return body;
}

/** @returns {Promise<RTCIceServer[]>} */
async function fetchServers() {
  const key = query.get('key');
  const url = new URL('v1/ice', location.href);
  const response = await fetch(url, { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  if (response.status === 401) {
    throw new Error('The server wants a key. Open the address that it printed when it started; the key is part of it.');
  }
  if (!response.ok) throw new Error(`The server has no ICE servers to give (HTTP ${response.status}).`);
  return (await response.json()).iceServers;
}

async function run() {
  const policy = /** @type {RTCIceTransportPolicy} */ (new FormData(/** @type {HTMLFormElement} */ (byId('settings'))).get('policy'));
  runButton.disabled = copyButton.disabled = true;
  showAlert(null);
  candidateRows.replaceChildren();
  serverRows.replaceChildren();
  showState('running', 'Running…');
  try {
    const results = await probeAll(await fetchServers(), policy);
    const failed = results.filter(({ verdict }) => verdict === 'fail').length;
    showState('done', failed ? `Done: ${failed} of ${results.length} addresses do not work from here` : `Done: all ${results.length} addresses work`);
  } catch (error) {
    showAlert(error instanceof TypeError ? 'The server can\'t be reached. Check the network.' : String(error instanceof Error ? error.message : error));
    showState('failed', 'Could not run');
  } finally {
    runButton.disabled = false;
    copyButton.disabled = report === null;
  }
}

/**
 * @param {RTCIceServer[]} iceServers
 * @param {RTCIceTransportPolicy} policy
 */
async function probeAll(iceServers, policy) {
  /** @type {Found[]} */ const candidates = [];
  const onFound = (/** @type {Found} */ found) => {
    candidates.push(found);
    candidateRows.append(candidateRow(found));
  };
  const targets = eachUrl(iceServers).filter(({ url }) => policy === 'all' || isTurn(url));
  const rows = targets.map(({ url }) => serverRows.appendChild(serverRow(url)));
  const own = policy === 'all' ? gather(null, 'all', onFound) : null;
  const results = await Promise.all(targets.map((target, index) => probe(target, onFound, rows[index])));
  await own;
  if (candidates.length === 0) candidateRows.append(emptyRow('None found.'));
  // One after another: they would slow each other down.
  for (const [index, { url, server }] of targets.entries()) {
    if (isTurn(url) && results[index].verdict === 'pass') await addEcho(results[index], server, rows[index]);
  }
  report = {
    at: new Date().toISOString(),
    page: location.origin + location.pathname, // Without the query: it may hold the key.
    browser: navigator.userAgent,
    policy,
    servers: results,
    candidates,
  };
  return results;
}

/** @param {string} url */
function isTurn(url) {
  return /^turns?:/.test(url);
}

/**
 * @param {{url: string, server: RTCIceServer}} target
 * @param {(found: Found) => void} onFound
 * @param {HTMLTableRowElement} row
 * @returns {Promise<Result>}
 */
async function probe({ url, server }, onFound, row) {
  const turn = isTurn(url);
  /** @type {Result} */ const result = { url, verdict: 'fail', firstAnswerMs: null, echo: null, what: '' };
  try {
    const { candidates, errors } = await gather(server, turn ? 'relay' : 'all', onFound);
    const first = candidates.find(({ type }) => type === (turn ? 'relay' : 'srflx'));
    result.firstAnswerMs = first ? Math.round(first.ms) : null;
    result.what = errors.join('; ');
    if (first) Object.assign(result, { verdict: 'pass', what: `${turn ? 'relays at' : 'sees this device as'} ${first.address}` });
    else if (!turn && errors.length === 0) Object.assign(result, { verdict: 'unclear', what: 'sees this device under its own address: no NAT in between' });
    else if (!result.what) result.what = 'no answer';
  } catch (error) {
    result.what = String(error instanceof Error ? error.message : error);
  }
  fillServer(row, result, turn && result.verdict === 'pass' ? 'testing…' : '');
  return result;
}

/**
 * @param {Result} result
 * @param {RTCIceServer} server
 * @param {HTMLTableRowElement} row
 */
async function addEcho(result, server, row) {
  try {
    result.echo = await echo(server);
    if (result.echo.rtt === null) throw new Error('connected, but no packet came back');
  } catch (error) {
    result.verdict = 'fail';
    result.what = `gives a relay address, but ${error instanceof Error ? error.message : error}`;
  }
  fillServer(row, result, '');
}

/** @param {string} url */
function serverRow(url) {
  const row = make('tr');
  row.append(make('td', '', 'testing…'), make('td', 'address', url), ...['short', 'short', 'short', 'short', ''].map((name) => make('td', name)));
  return row;
}

const VERDICTS = { pass: 'Works', fail: 'Fails', unclear: 'No error' };

/**
 * @param {HTMLTableRowElement} row
 * @param {Result} result
 * @param {string} echoText Shown while there is no echo yet.
 */
function fillServer(row, { verdict, firstAnswerMs, echo: measured, what }, echoText) {
  row.dataset.verdict = verdict;
  row.cells[0].replaceChildren(make('span', `verdict ${verdict}`, VERDICTS[verdict]));
  row.cells[2].textContent = firstAnswerMs === null ? '–' : `${firstAnswerMs} ms`;
  row.cells[3].textContent = measured?.rtt == null ? echoText || '–' : `${measured.rtt.toFixed(1)} ms`;
  row.cells[4].textContent = measured ? `${(measured.lost * 100).toFixed(0)} %` : '–';
  row.cells[5].textContent = measured ? `${(measured.bitrate / 1e6).toFixed(0)} Mbit/s` : '–';
  row.cells[6].textContent = what;
}

/** @param {Found} found */
function candidateRow({ ms, type, protocol, relayProtocol, address, priority, url }) {
  const row = make('tr');
  row.append(
    make('td', 'short', `${Math.round(ms)} ms`), make('td', '', type), make('td', '', protocol), make('td', '', relayProtocol || '–'),
    // A hidden address is a random name; its beginning is enough to tell two apart.
    make('td', 'address', address.replace(/^([0-9a-f]{8})-[0-9a-f-]+\.local/, '$1….local')), make('td', '', String(priority)), make('td', 'address', url || 'this device'),
  );
  return row;
}

/** @param {string} text */
function emptyRow(text) {
  const row = make('tr');
  const cell = make('td', 'empty', text);
  cell.colSpan = 7;
  row.append(cell);
  return row;
}

/** A window for tests and scripts. */
Object.defineProperty(window, 'turnpike', {
  value: Object.freeze({
    get state() { return document.querySelector('main')?.dataset.state; },
    get report() { return report && structuredClone(report); },
  }),
});

keepKey();
wireAlert();
wireCopy(copyButton, () => JSON.stringify(report, null, 2));
byId('settings').addEventListener('submit', (event) => {
  event.preventDefault();
  run();
});
if (relayOnly) /** @type {HTMLSelectElement} */ (byId('policy')).value = 'relay';
run();
