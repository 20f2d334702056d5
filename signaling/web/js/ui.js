// @ts-check
// Small things that every page does with its elements. No call logic; text enters the page as text only.

/** The page's query: room, name, relay and key. */
export const query = new URLSearchParams(location.search);

/** True when the page was asked to use relayed paths only. */
export const relayOnly = query.get('relay') === '1';

/**
 * Finds a control by its stable test id.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} testid
 * @returns {T}
 */
export function byId(testid) {
  const element = document.querySelector(`[data-testid="${testid}"]`);
  if (!element) throw new Error(`the page has no element "${testid}"`);
  return /** @type {T} */ (element);
}

/**
 * Makes an element with a class and text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className = '', text = '') {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/**
 * Shows an icon from the page's sprite, for example `mic-off`.
 * @param {HTMLElement} button
 * @param {string} icon
 */
export function setIcon(button, icon) {
  button.querySelector('use')?.setAttribute('href', `web/icons.svg#${icon}`);
}

/**
 * Shows a toggle's state to eyes and to screen readers. The name of the button stays, only the tip says what a press does.
 * @param {HTMLElement} button
 * @param {boolean} pressed
 * @param {string} tip
 * @param {string} [icon]
 */
export function setToggle(button, pressed, tip, icon) {
  button.setAttribute('aria-pressed', String(pressed));
  button.title = tip;
  if (icon) setIcon(button, icon);
}

/**
 * Puts the state on `<main data-state>` and says it in the page's live region.
 * @param {string} state
 * @param {string} text
 */
export function showState(state, text) {
  const main = document.querySelector('main');
  if (main && main.dataset.state !== state) main.dataset.state = state;
  const line = byId('state');
  if (line.textContent !== text) line.textContent = text;
}

/**
 * Shows an alert until it is closed or replaced; an empty text hides it.
 * @param {string | null} text
 */
export function showAlert(text) {
  const box = byId('alert');
  byId('alert-text').textContent = text ?? '';
  box.hidden = !text;
}

/** Wires the close button of the alert. */
export function wireAlert() {
  byId('alert-close').addEventListener('click', () => showAlert(null));
}

/** Keeps the run's join key on links and forms that stay on this server. */
export function keepKey() {
  const key = query.get('key');
  if (!key) return;
  for (const link of document.querySelectorAll('a[data-keep-key]')) {
    const url = new URL(/** @type {HTMLAnchorElement} */ (link).href);
    url.searchParams.set('key', key);
    /** @type {HTMLAnchorElement} */ (link).href = url.href;
  }
  for (const field of document.querySelectorAll('input[name="key"]')) {
    /** @type {HTMLInputElement} */ (field).value = key;
    /** @type {HTMLInputElement} */ (field).disabled = false;
  }
}

/**
 * Copies text, also on plain http where the clipboard interface is hidden.
 * @param {string} text
 * @returns {Promise<boolean>} False when the browser allowed neither way.
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const area = make('textarea', 'visually-hidden');
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  return copied;
}

/**
 * Copies text and says so on the button for two seconds.
 * @param {HTMLElement} button
 * @param {() => string} text
 */
export function wireCopy(button, text) {
  const caption = button.querySelector('.caption') ?? button;
  const usual = caption.textContent;
  button.addEventListener('click', async () => {
    caption.textContent = (await copyText(text())) ? 'Copied' : 'Copying was blocked';
    setTimeout(() => { caption.textContent = usual; }, 2_000);
  });
}

/**
 * Fills a definition list with rows, reusing what is there so that a reader's place is kept.
 * @param {HTMLElement} list
 * @param {[string, string][]} rows
 */
export function fillRows(list, rows) {
  rows.forEach(([term, value], index) => {
    let row = list.children[index];
    if (!row) {
      row = make('div');
      row.append(make('dt'), make('dd'));
      list.append(row);
    }
    row.children[0].textContent = term;
    row.children[1].textContent = value;
  });
  while (list.children.length > rows.length) list.lastElementChild?.remove();
}

/**
 * Starts a video; when the browser wants a tap before it plays sound, plays it muted.
 * @param {HTMLVideoElement} video
 * @returns {Promise<boolean>} False when it plays without sound for that reason.
 */
export async function play(video) {
  try {
    await video.play();
    return true;
  } catch (error) {
    // Replaced by a newer play() or by another stream: that one decides.
    if (error instanceof Error && error.name === 'AbortError') return true;
    video.muted = true;
    await video.play().catch(() => {});
    return false;
  }
}
