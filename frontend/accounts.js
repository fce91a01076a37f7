/** The list of connected accounts, and the choice of platforms in the upload form. */

import { announce } from './announce.js';
import * as api from './api.js';
import { Wait } from './countdown.js';
import { byId, el, render } from './dom.js';
import { moment, seconds } from './format.js';
import { poll } from './poll.js';
import { PLATFORM_NAMES, plain, platformName, sentence } from './words.js';

/** The server's limit on a file in bytes, or null while it is not known. */
export let maxUploadBytes = null;

let wanted = null;
let shown = () => {};

const PACE_MS = 300_000;
const SOON_MS = 10_000;
const wait = new Wait(() => {
  if (!wait.leftS) trouble = '';
  draw();
});
let poller = null;
let known = null;
let trouble = '';

/** Keep the list and the choice up to date until `closeAccounts`; resolves when they are loaded or cannot be loaded. */
export function openAccounts() {
  closeAccounts();
  return new Promise((resolve) => {
    poller = poll(async (signal) => {
      const delayMs = await load(signal);
      resolve();
      return delayMs;
    });
  });
}

export function closeAccounts() {
  poller?.stop();
}

async function load(signal) {
  if (wait.leftS) return wait.leftS * 1000; // the page was hidden, or offline, in between
  try {
    known = await api.accounts(signal);
    maxUploadBytes = known.max_upload_bytes ?? null;
    trouble = '';
  } catch (problem) {
    if (problem.status === 401) return null;
    if (signal.aborted) return 0;
    fail(problem, 'The accounts cannot be loaded right now.');
  }
  draw();
  return trouble ? Math.max(SOON_MS, wait.leftS * 1000) : PACE_MS;
}

function fail(problem, withoutAnswer) {
  trouble = problem instanceof api.NoAnswer ? withoutAnswer : sentence(problem.message, '.');
  wait.start(problem.retryAfterS);
}

/** Set the callback for each change of the platforms or of the choice that the page makes. */
export function onPlatforms(action) {
  shown = action;
}

/** Return the ticked platforms, or null when there is nothing to choose from. */
export function chosenPlatforms() {
  const boxes = [...document.querySelectorAll('#platform-choices input')];
  return boxes.length ? boxes.filter((box) => box.checked).map((box) => box.value) : null;
}

/** Tick these platforms only, as soon as they are shown. */
export function choosePlatforms(platforms) {
  wanted = platforms;
  tickWanted();
  shown();
}

function tickWanted() {
  const boxes = document.querySelectorAll('#platform-choices input');
  if (!wanted || !boxes.length) return;
  for (const box of boxes) box.checked = wanted.includes(box.value);
  wanted = null;
}

const AFTER_FAILURE = 'Publish the next parts of a video although one was not published. Otherwise they wait until you retry or skip it.';

const needsReconnect = (account) => account.status === 'reconnect';
const isRefused = (account) => account.status === 'refused';

/** Add the listener of the accounts' settings. */
export function startAccounts() {
  byId('accounts').addEventListener('change', ({ target }) => {
    if (target.dataset.account) change(target);
  });
}

async function change(box) {
  const value = box.checked ? 'continue' : 'hold';
  box.disabled = true;
  try {
    await api.setAfterFailure(box.dataset.account, value);
    box.disabled = false;
    known.accounts.find(({ id }) => id === box.dataset.account).after_failure = value;
  } catch (problem) {
    box.checked = !box.checked; // as the server has it
    fail(problem, 'The setting could not be saved. Please try again.');
    announce(trouble);
    draw();
  }
}

function draw() {
  const again = wait.leftS ? ` You can try again in ${seconds(wait.leftS)}.` : '';
  const message = trouble && el('p', { class: 'field-error', 'data-key': 'trouble' }, trouble + again);
  if (!known) {
    render(byId('accounts'), message);
    return;
  }
  const { accounts, outages = {} } = known;
  // An account with invalid tokens can be chosen: its posts wait until it is connected again.
  const usable = accounts.filter((account) => !isRefused(account));
  const platforms = PLATFORM_NAMES.filter((platform) => usable.some((account) => account.platform === platform));
  const none = el('p', { class: 'hint' }, 'No account is connected yet. Your video will be prepared, but not published.');
  render(byId('platform-choices'), platforms.length ? platforms.map((platform) => choice(platform, usable)) : none);
  tickWanted();
  shown();
  render(byId('accounts'), message, el('ul', { class: 'jobs', 'data-key': 'accounts' }, PLATFORM_NAMES.map((platform) => entry(platform, accounts, outages[platform]))));
}

function choice(platform, usable) {
  const names = usable.filter((account) => account.platform === platform).map((account) => account.name);
  // The attribute `checked` is only the initial state, so rendering again does not undo a later choice.
  return el('label', { class: 'choice', 'data-key': platform },
    el('input', { type: 'checkbox', name: 'platforms', value: platform, checked: true }),
    el('span', {}, el('b', {}, platformName(platform)), el('span', { class: 'account' }, names.join(', '))));
}

function entry(platform, accounts, outage) {
  const mine = accounts.filter((account) => account.platform === platform);
  const broken = mine.some(needsReconnect);
  const label = broken ? 'Reconnect' : mine.length ? 'Add another' : 'Connect';
  return el('li', { class: 'account-row', 'data-key': platform },
    el('span', { class: 'job-name' },
      el('b', {}, platformName(platform)),
      outage && el('span', { class: 'warning', 'data-key': 'outage' }, outageText(platform, outage)),
      mine.length ? mine.map(accountLine) : el('span', { class: 'hint' }, 'Not connected')),
    el('a', {
      class: mine.length && !broken ? 'text-link' : 'button button-small',
      href: api.connectAddress(platform),
      'aria-label': `${label}: ${platformName(platform)}`,
    }, label));
}

function outageText(platform, { paused_until: until, reason }) {
  const again = Date.parse(until) > Date.now() ? ` Next try ${moment(until)}.` : '';
  return `${platformName(platform)} does not work at the moment (${plain(reason)}). Posts wait.${again}`;
}

function accountLine(account) {
  if (needsReconnect(account)) return el('span', { class: 'warning' }, `${account.name}: please connect it again`);
  if (isRefused(account)) return el('span', { class: 'warning' }, `${account.name}: may not post there`);
  return el('span', { class: 'account-line', 'data-key': account.id },
    el('span', { class: 'hint' }, account.name),
    el('label', { class: 'account-setting hint', title: AFTER_FAILURE },
      el('input', {
        type: 'checkbox',
        'data-account': account.id,
        disabled: wait.leftS > 0,
        'aria-description': AFTER_FAILURE,
        checked: account.after_failure === 'continue',
      }),
      el('span', {}, 'Continue after a failure')));
}
