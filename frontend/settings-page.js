/** The page of the settings: notices, API keys, webhooks, what the server is set to, signing out. */

import { showKeys } from './api-keys.js';
import * as api from './api.js';
import { el, render } from './dom.js';
import { bytes, percent, seconds } from './format.js';
import { watchNotices } from './notices.js';
import * as words from './settings-words.js';
import { showWebhooks } from './webhooks.js';
import { plain } from './words.js';

/** Show the settings; returns a function that leaves the page. */
export function show(root) {
  const [notices, keys, webhooks, server] = ['notices', 'keys', 'webhooks', 'server'].map((id) => el('div', { id, class: id === 'notices' ? 'notices' : 'section' }));
  root.append(
    el('h1', { tabindex: '-1' }, words.TITLE),
    el('div', { class: 'cards' },
      card(words.NOTICES, notices),
      card(words.KEYS.title, keys),
      card(words.WEBHOOKS.title, webhooks),
      card(words.SERVER.title, server),
      card(words.BROWSER, el('div', { class: 'actions' },
        el('button', { id: 'sign-out', class: 'button button-small', type: 'button', 'data-sign-out': 'here' }, words.SIGN_OUT),
        el('button', { id: 'sign-out-everywhere', class: 'button button-small', type: 'button', 'data-sign-out': 'everywhere' }, words.SIGN_OUT_EVERYWHERE)))));
  showKeys(keys);
  showWebhooks(webhooks);
  showServer(server);
  return watchNotices(notices);
}

const card = (title, content) => el('section', { class: 'card', 'aria-label': title }, el('h2', {}, title), content);

async function showServer(container) {
  render(container, el('p', { class: 'hint' }, words.WAIT));
  const [settings, health] = await Promise.allSettled([api.settings(), api.health()]);
  const rows = { ...facts(settings.value), health: healthText(health.value) };
  render(container,
    el('p', { class: 'hint' }, words.SERVER.lead),
    el('dl', { class: 'facts-list' }, Object.entries(words.SERVER.rows).filter(([name]) => rows[name]).map(([name, label]) => [el('dt', {}, label), el('dd', {}, rows[name])])));
}

function facts(settings) {
  if (!settings) return {};
  return {
    version: settings.version,
    public_url: settings.public_url,
    review: words.SERVER.review[settings.review],
    retention: words.SERVER.retention(settings.retention_hours),
    pictures: words.SERVER.pictures(settings.keep_pictures_days),
    size: bytes(settings.max_upload_bytes),
    part: seconds(settings.segment_seconds),
    gaze: percent(settings.gaze_intensity),
    backup: words.SERVER.backup(settings.backup_hours),
  };
}

function healthText(health) {
  if (!health) return words.SERVER.unknown;
  const failing = Object.entries(health.checks).filter(([, check]) => !check.ok).map(([name]) => plain(name));
  return failing.length ? words.SERVER.failing(failing) : words.SERVER.healthy;
}
