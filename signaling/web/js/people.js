// @ts-check
// The people on the call page: who is online, whom one calls, who calls.

import { Lobby } from './lobby.js';
import { byId, make, query, showAlert } from './ui.js';

/**
 * @typedef {object} CallPage
 * @property {(name: string, room: string, want: {audio: boolean, video: boolean}) => void} start Enters a call's room.
 * @property {() => void} leave Leaves it.
 * @property {() => boolean} busy Whether the page is in a call already.
 */

/** @type {Lobby | null} */ let lobby = null;
/** @type {CallPage} */ let page;

/**
 * Wires the list, the dialog and the button that shows them.
 * @param {CallPage} callPage
 */
export function wirePeople(callPage) {
  page = callPage;
  byId('people-open').addEventListener('click', () => {
    const form = /** @type {HTMLFormElement} */ (byId('join-form'));
    const field = /** @type {HTMLInputElement} */ (byId('name'));
    // The room is not asked for: a call makes its own.
    if (!field.reportValidity()) return;
    const wanted = new FormData(form);
    goOnline(field.value.trim(), { audio: wanted.has('audio'), video: wanted.has('video') });
  });
  byId('accept').addEventListener('click', () => lobby?.accept());
  byId('reject').addEventListener('click', () => lobby?.reject());
  byId('cancel').addEventListener('click', () => lobby?.end());
  // Escape is no answer: whoever rings goes on ringing.
  byId('incoming').addEventListener('cancel', (event) => event.preventDefault());
  addEventListener('pagehide', () => lobby?.close());
}

/** Ends the call between users, if there is one, when its room was left; whoever was in a room is free again. */
export function callLeft() {
  if (lobby?.call?.state === 'answered') lobby.end();
  else render();
}

/**
 * @param {string} name
 * @param {{audio: boolean, video: boolean}} want
 */
function goOnline(name, want) {
  lobby?.close();
  byId('people').hidden = false;
  lobby = new Lobby({ name, key: query.get('key') }, {
    onChange: render,
    onAnswered: ({ id, type }) => page.start(name, id, { ...want, video: want.video && type === 'video' }),
    onOver: (text) => {
      page.leave();
      if (text) showAlert(text);
    },
    onRefused: (reason) => showAlert(reason),
  });
}

function render() {
  if (!lobby) return;
  const { users, call } = lobby;
  fillList(users, Boolean(call) || page.busy());
  byId('people-empty').hidden = users.length > 0;
  byId('ringing').hidden = call?.state !== 'outgoing';
  byId('ringing-text').textContent = call?.state === 'outgoing' ? `Calling ${call.other}…` : '';
  showIncoming(call?.state === 'incoming' ? call : null);
}

/**
 * @param {string[]} users
 * @param {boolean} busy
 */
function fillList(users, busy) {
  const list = byId('people-list');
  const present = new Set(users);
  const rows = /** @type {HTMLElement[]} */ ([...list.children]);
  for (const row of rows) if (!present.has(row.dataset.user ?? '')) row.remove();
  for (const user of users) {
    if (!rows.some((row) => row.dataset.user === user)) list.append(makeRow(user));
  }
  for (const button of list.querySelectorAll('button')) button.disabled = busy;
}

/** @param {string} user */
function makeRow(user) {
  const row = make('li');
  row.dataset.user = user;
  row.append(make('span', 'person', user), makeButton('Video', user, 'video'), makeButton('Voice', user, 'audio'));
  return row;
}

/**
 * @param {string} text
 * @param {string} user
 * @param {import('./lobby.js').CallType} type
 */
function makeButton(text, user, type) {
  const button = make('button', 'quiet', text);
  button.type = 'button';
  button.dataset.testid = `call-${type}`;
  button.setAttribute('aria-label', `${text} call to ${user}`);
  button.addEventListener('click', () => lobby?.ring(user, type));
  return button;
}

/** @param {import('./lobby.js').Call | null} call */
function showIncoming(call) {
  const dialog = /** @type {HTMLDialogElement} */ (byId('incoming'));
  if (!call) return dialog.close();
  byId('incoming-text').textContent = `${call.other} asks for a ${call.type === 'video' ? 'video' : 'voice'} call`;
  if (!dialog.open) dialog.showModal();
}
