/** The connected accounts: loads them for all pages, and draws the choice of platforms in the form of an upload. */

import { announce } from './announce.js';
import * as api from './api.js';
import { Wait } from './countdown.js';
import { byId, el, render } from './dom.js';
import { seconds } from './format.js';
import { poll } from './poll.js';
import { PLATFORM_NAMES, platformName, sentence } from './words.js';

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
let known = null; // the last answer
const watchers = new Set();
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

export const needsReconnect = (account) => account.status === 'reconnect';
export const isRefused = (account) => account.status === 'refused';

/** Call `action` with {known: the answer of GET /accounts or null, trouble: text} now and after each change; returns a function that ends it. */
export function watchAccounts(action) {
  const show = () => action({ known, trouble: trouble && trouble + (wait.leftS ? ` You can try again in ${seconds(wait.leftS)}.` : ''), isHeld: wait.leftS > 0 });
  watchers.add(show);
  show();
  return () => watchers.delete(show);
}

/** Load the accounts again, after a change of one. */
export const reloadAccounts = () => poller?.now();

/** Change what happens after a part of an account that was not published: hold or continue. */
export async function setAfterFailure(accountId, value) {
  try {
    await api.setAfterFailure(accountId, value);
    known.accounts.find(({ id }) => id === accountId).after_failure = value;
  } catch (problem) {
    fail(problem, 'The setting could not be saved. Please try again.');
    announce(trouble);
    draw();
    throw problem;
  }
}

function draw() {
  for (const one of watchers) one();
  if (!known) return;
  // An account with invalid tokens can be chosen: its posts wait until it is connected again.
  const usable = known.accounts.filter((account) => !isRefused(account));
  const platforms = PLATFORM_NAMES.filter((platform) => usable.some((account) => account.platform === platform));
  const none = el('p', { class: 'hint' }, 'No account is connected yet. Your video will be prepared, but not published. ', el('a', { class: 'text-link', href: '/accounts' }, 'Connect an account'));
  render(byId('platform-choices'), platforms.length ? platforms.map((platform) => choice(platform, usable)) : none);
  tickWanted();
  shown();
}

function choice(platform, usable) {
  const names = usable.filter((account) => account.platform === platform).map((account) => account.name);
  // The attribute `checked` is only the initial state, so rendering again does not undo a later choice.
  return el('label', { class: 'choice', 'data-key': platform },
    el('input', { type: 'checkbox', name: 'platforms', value: platform, checked: true }),
    el('span', {}, el('b', {}, platformName(platform)), el('span', { class: 'account' }, names.join(', '))));
}
