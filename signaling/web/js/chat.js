// @ts-check
// The chat box: shows lines, and hands on what is typed. How it travels is decided elsewhere.

import { byId, make } from './ui.js';

/** Lines kept on the page; a long call should not fill the memory. */
const LINE_LIMIT = 500;

/** The chat panel of the call page. */
export class Chat {
  #unread = 0;
  #panel = byId('chat');
  #log = byId('chat-log');
  #toggle = byId('chat-toggle');
  #badge = byId('chat-unread');
  /** @type {HTMLInputElement} */ #field = byId('chat-text');
  /** @type {HTMLButtonElement} */ #send = byId('chat-send');

  /** @param {(text: string) => boolean} send Returns false when nobody could get it. */
  constructor(send) {
    byId('chat-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const text = this.#field.value.trim();
      if (text && send(text)) this.#field.value = '';
    });
    this.#toggle.addEventListener('click', () => this.#open(this.#panel.hidden));
    byId('chat-close').addEventListener('click', () => {
      this.#open(false);
      this.#toggle.focus();
    });
  }

  /**
   * Shows one line.
   * @param {string} from
   * @param {string} text
   * @param {boolean} own
   */
  add(from, text, own) {
    const line = make('li', own ? 'line own' : 'line');
    line.append(make('span', 'line-from', from), make('span', 'line-text', text));
    this.#log.append(line);
    while (this.#log.children.length > LINE_LIMIT) this.#log.firstElementChild?.remove();
    this.#log.scrollTop = this.#log.scrollHeight;
    if (!own && this.#panel.hidden) this.#count(this.#unread + 1);
  }

  /** @param {boolean} reachable Whether anybody can get a line now. */
  enable(reachable) {
    this.#send.disabled = !reachable;
    this.#field.placeholder = reachable ? 'Write a message' : 'Opens when somebody is connected';
  }

  /** @param {boolean} open */
  #open(open) {
    this.#panel.hidden = !open;
    this.#toggle.setAttribute('aria-expanded', String(open));
    if (!open) return;
    this.#count(0);
    this.#field.focus();
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** @param {number} unread */
  #count(unread) {
    this.#unread = unread;
    this.#badge.textContent = unread ? String(unread) : '';
    this.#badge.hidden = unread === 0;
  }
}
