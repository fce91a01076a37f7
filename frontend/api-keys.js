/** The API keys in the settings: make one, see it once, revoke it. */

import { announce } from './announce.js';
import * as api from './api.js';
import { confirm } from './dialogs.js';
import { byId, el, render } from './dom.js';
import { moment } from './format.js';
import { KEYS as words } from './settings-words.js';
import { sentence } from './words.js';

/** Show the keys in an element, and load them. */
export function showKeys(container) {
  const view = { container, keys: null, unstored: 0, made: null, trouble: '' };
  container.addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(view, () => make(view));
  });
  container.addEventListener('click', ({ target }) => {
    const key = view.keys?.find(({ id }) => id === target.closest('button')?.dataset.revoke);
    if (key) revoke(view, key);
  });
  attempt(view, () => load(view));
}

async function load(view) {
  Object.assign(view, await api.keys());
}

async function make(view) {
  view.made = await api.makeKey(byId('key-name').value.trim());
  byId('key-name').value = '';
  announce(words.once(view.made.name));
  await load(view);
}

async function revoke(view, key) {
  if (!(await confirm(...words.question(key.name, key.is_own)))) return;
  view.made = null;
  await attempt(view, async () => {
    await api.revokeKey(key.id);
    await load(view); // answered with 401 if it was the own one: the page then asks for another key
  });
}

async function attempt(view, action) {
  view.trouble = '';
  try {
    await action();
  } catch (problem) {
    view.trouble = problem instanceof api.NoAnswer ? 'The server cannot be reached. Please try again.' : sentence(problem.message, '.');
    announce(view.trouble);
  }
  draw(view);
}

function draw(view) {
  render(view.container,
    el('p', { class: 'hint' }, words.lead),
    view.made && el('div', { class: 'notice notice-warn', 'data-key': 'made' }, el('p', {}, words.once(view.made.name)), el('code', { class: 'once' }, view.made.key)),
    view.keys && !view.keys.length && el('p', { class: 'hint', 'data-key': 'none' }, words.none),
    el('ul', { class: 'jobs', 'data-key': 'keys' }, (view.keys ?? []).map(entry)),
    view.unstored > 0 && el('p', { class: 'hint', 'data-key': 'unstored' }, words.unstored(view.unstored)),
    el('form', { class: 'field inline', novalidate: true, 'data-key': 'make' },
      el('label', { for: 'key-name' }, words.name),
      el('input', { id: 'key-name', type: 'text', maxlength: 64, autocomplete: 'off', 'aria-describedby': 'key-error' }),
      el('button', { class: 'button button-small', type: 'submit' }, words.make)),
    el('p', { id: 'key-error', class: 'field-error' }, view.trouble));
}

function entry(key) {
  return el('li', { class: 'account-row', 'data-key': key.id },
    el('span', { class: 'job-name' },
      el('b', {}, key.name, key.is_own && ` (${words.own})`),
      el('span', { class: 'hint' }, words.facts(moment(key.created_at), key.sessions))),
    el('button', { class: 'button button-small', type: 'button', 'data-revoke': key.id, 'aria-label': `${words.revoke}: ${key.name}` }, words.revoke));
}
