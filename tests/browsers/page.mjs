// Opens one page in one real browser and answers questions about it.
//
//   node page.mjs chrome|firefox EXECUTABLE PROFILE_FOLDER URL granted|refused
//
// Camera and microphone are granted, or refused as a person would.
//
// One JSON line out when the page has loaded, then one per JSON line that comes in:
//   {"evaluate": EXPRESSION}             → {"value": …}
//   {"waitFor": EXPRESSION, "timeout": MS} → {"value": true}
//   {"account": true}                    → {"value": TEXT}, what the page has said about itself
// A failure answers {"error": TEXT}. The end of the input closes the browser.

import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

const [browserName, executablePath, profile, url, devices] = process.argv.slice(2);
const refused = devices === 'refused';
const origin = new URL(url).origin;

// Cameras need a secure context. The lab has plain HTTP on addresses that are not loopback, as a first try in one's own
// network has, so this browser, thrown away with its profile after the test, is told to treat that one origin as secure.
const CHROMIUM_FLAGS = [
  '--no-sandbox', // the tests run as root, where Chromium's own sandbox refuses
  '--use-fake-device-for-media-stream=device-count=3',
  ...(refused ? [] : ['--use-fake-ui-for-media-stream']),
  ...(origin.startsWith('http://') ? [`--unsafely-treat-insecure-origin-as-secure=${origin}`] : []),
  '--autoplay-policy=no-user-gesture-required',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
];
const FIREFOX_PREFS = {
  'media.navigator.streams.fake': true,
  ...(refused ? { 'permissions.default.camera': 2, 'permissions.default.microphone': 2 } : { 'media.navigator.permission.disabled': true }),
  'media.devices.insecure.enabled': true, // as above: plain HTTP in a lab that is thrown away
  'media.getusermedia.insecure.enabled': true,
  'media.peerconnection.ice.loopback': true, // a relay on localhost is what quickstart offers on localhost
  'media.autoplay.default': 0,
};

const START_MS = 55_000; // for the browser, and once more for the page: nothing else may be running, or everything

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const journal = [];
let browser;
let page;
let phase;

async function open() {
  const hanging = setTimeout(() => {
    say({ error: `the browser hangs while ${phase}\n${journal.join('\n')}` });
    process.exit(1);
  }, 2 * START_MS);
  phase = 'it starts';
  browser = await puppeteer.launch({
    browser: browserName,
    executablePath,
    headless: true,
    userDataDir: profile,
    args: browserName === 'chrome' ? CHROMIUM_FLAGS : [],
    extraPrefsFirefox: FIREFOX_PREFS,
    timeout: START_MS,
  });
  // All that is not named is refused.
  if (refused && browserName === 'chrome') await browser.defaultBrowserContext().overridePermissions(origin, []);
  phase = 'it makes a tab';
  page = await browser.newPage();
  page.on('console', (message) => journal.push(`console ${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => journal.push(`uncaught: ${error.message}`));
  page.on('requestfailed', (request) => journal.push(`request failed: ${request.url()} ${request.failure()?.errorText ?? ''}`));
  phase = 'it loads the page';
  const response = await page.goto(url, { waitUntil: 'load', timeout: START_MS });
  if (response && origin !== 'null' && !response.ok()) throw new Error(`${url} answered ${response.status()}`);
  clearTimeout(hanging);
  return true;
}

async function waitFor(expression, timeout) {
  const deadline = Date.now() + timeout;
  for (;;) {
    if (await page.evaluate(expression)) return true;
    if (Date.now() >= deadline) throw new Error(`not within ${timeout} ms: ${expression}\n${await account()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function account() {
  const state = await page
    .evaluate(() => `${document.querySelector('main')?.dataset.state} ${document.body?.innerText ?? ''}`)
    .catch((error) => error.message);
  return [`state and text: ${state}`, ...journal.slice(-40)].join('\n');
}

async function answer(question) {
  if ('evaluate' in question) return (await page.evaluate(question.evaluate)) ?? null;
  if ('waitFor' in question) return waitFor(question.waitFor, question.timeout);
  if ('account' in question) return account();
  throw new Error(`unknown question ${JSON.stringify(question)}`);
}

async function reply(work) {
  try {
    say({ value: await work() });
  } catch (error) {
    say({ error: String(error?.message ?? error) });
  }
}

await reply(open);
for await (const line of createInterface({ input: process.stdin })) await reply(() => answer(JSON.parse(line)));
await browser?.close().catch(() => {});
process.exit(0);
