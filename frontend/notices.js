/** Notices of this browser: says when a video is done or needs the person, also while the page is closed. */

import { announce } from './announce.js';
import * as api from './api.js';
import { byId, el, render } from './dom.js';
import { earlierPath, isPage } from './paths.js';
import { asDocument, idOf, keyOf, subscribe } from './push-subscription.js';
import { go } from './router.js';
import { sentence } from './words.js';

/** The person wants notices here, or does not want to be asked again. */
const WANTED = 'vidprod-notices';
/** Milliseconds; without a way to its push service, Chromium does not answer at all. */
export const LIMITS = { subscribing: 30_000 };

const WHAT = 'VidProd can tell you when a video is done, or needs you. You can close this page meanwhile.';
const TEXTS = {
  unsupported: 'This browser cannot receive notices.',
  insecure: 'Browsers receive notices only from pages with https.',
  iphone: 'To get notices on an iPhone or iPad, put VidProd on your Home Screen first: tap Share, then “Add to Home Screen”. Open it from there, and switch notices on.',
  denied: 'You have blocked notices of this page. To get them, allow notifications for it in the settings of your browser, then load it again.',
  off: WHAT,
  on: 'This browser tells you when a video is done, or needs you.',
};
const FAILED = {
  denied: 'The browser did not allow it.',
  service: 'The browser could not reach its push service. Check your connection. In Brave, first allow “Google services for push messaging” in its settings.',
};
const SERVICES = { mailto: 'e-mail', mailtos: 'e-mail', tgram: 'Telegram', ntfy: 'ntfy', ntfys: 'ntfy' };

const watchers = new Set();
let state = { kind: 'unsupported', notices: null, problem: '', done: '', busy: false };

/** Add the listeners. */
export function startNotices() {
  navigator.serviceWorker?.addEventListener('message', ({ data }) => {
    if (typeof data?.show !== 'string') return;
    const path = earlierPath(data.show) ?? data.show; // the worker may be of an earlier version
    if (isPage(path)) go(path);
  });
  byId('notices-yes').addEventListener('click', switchOn);
  byId('notices-no').addEventListener('click', () => { write('no'); draw(); });
}

/** Show whether this browser receives notices; called after signing in. Nobody is asked for permission here. */
export async function openNotices() {
  try {
    state = { ...state, notices: await api.notices() };
    state.kind = await currentKind();
  } catch {
    state.notices = null; // the rest of the page says when the server cannot be reached
  }
  draw();
}

async function currentKind() {
  if (navigator.standalone === false && !('PushManager' in window)) return 'iphone';
  if (!window.isSecureContext) return 'insecure';
  if (!('PushManager' in window) || !('Notification' in window) || !navigator.serviceWorker) return 'unsupported';
  if (Notification.permission === 'denied') return 'denied';
  return (await keepOn()) ? 'on' : 'off';
}

/** Return whether this browser receives notices; repair what the browser or the server has lost. */
async function keepOn() {
  if (Notification.permission !== 'granted' || read() === 'no') return false;
  const registration = await navigator.serviceWorker.getRegistration();
  const subscription = await registration?.pushManager.getSubscription();
  if (!subscription && read() !== 'yes') return false;
  const isKnown = subscription && await knows(subscription);
  if (!isKnown) repair();
  return true;
}

async function repair() {
  try {
    await store();
  } catch (problem) {
    state.problem = words(problem);
    draw();
  }
}

/** Return whether the server can send to a subscription. */
async function knows(subscription) {
  const { public_key: key, subscriptions } = state.notices;
  const id = await idOf(subscription);
  return [null, key].includes(keyOf(subscription)) && subscriptions.some((one) => one.id === id && one.state === 'enabled');
}

/** Subscribe this browser, and have the server know it. */
async function store() {
  const registration = await inTime(navigator.serviceWorker.ready);
  for (const again of [true, false]) {
    const { public_key: key } = state.notices;
    const subscription = await inTime(subscribe(registration.pushManager, key));
    try {
      await api.subscribe(asDocument(subscription, key));
      write('yes');
      return;
    } catch (problem) {
      if (problem.code !== 'other_key' || !again) throw problem;
      state.notices = await api.notices(); // the server's key was replaced since the page was loaded
    }
  }
}

function inTime(promise) {
  const late = new Promise((_, reject) => { setTimeout(() => reject(new DOMException('no answer', 'AbortError')), LIMITS.subscribing); });
  return Promise.race([promise, late]);
}

async function switchOn() {
  // First, and without any wait before it: browsers ask only as the answer to a press.
  const asked = Notification.requestPermission();
  await act(async () => {
    const answer = await asked;
    if (answer !== 'granted') throw new DOMException('not allowed', 'NotAllowedError');
    await store();
    return 'Notices are on.';
  });
  await openNotices();
}

async function switchOff() {
  await act(async () => {
    await endNotices();
    return 'Notices are off.';
  });
  await openNotices();
}

/** End the notices of this browser, such as before signing out. */
export async function endNotices() {
  write('no');
  const registration = await navigator.serviceWorker?.getRegistration();
  for (const shown of (await registration?.getNotifications()) ?? []) shown.close(); // they name videos
  const subscription = await registration?.pushManager?.getSubscription();
  if (!subscription) return;
  await api.unsubscribe(await idOf(subscription)).catch(() => {}); // the push service says it, too
  subscription.unsubscribe().catch(() => {}); // not awaited: without a way to the push service it takes long
}

const test = () => act(async () => {
  await api.testNotice();
  return 'Sent. It should appear within a minute.';
});

async function act(action) {
  state = { ...state, busy: true, problem: '', done: '' };
  draw();
  try {
    state.done = await action();
    announce(state.done);
  } catch (problem) {
    state.problem = words(problem);
    announce(state.problem);
  }
  state.busy = false;
  draw();
}

function words(problem) {
  if (problem.name === 'NotAllowedError') return FAILED.denied;
  if (problem.name === 'AbortError') return FAILED.service;
  return problem instanceof api.NoAnswer ? 'The server cannot be reached. Please try again.' : sentence(problem.message, '.');
}

function draw() {
  const { kind, notices, problem, done, busy } = state;
  for (const one of watchers) one();
  if (!notices) return;
  byId('notices-offer').hidden = kind !== 'off' || read() === 'no' || !hasUploaded();
  byId('notices-offer-error').textContent = problem;
  byId('notices-yes').disabled = busy;
}

/** Show the notices in an element of a page, and their changes; returns a function that ends it. */
export function watchNotices(container) {
  const show = () => drawIn(container);
  watchers.add(show);
  show();
  return () => watchers.delete(show);
}

function drawIn(container) {
  const { kind, notices, problem, done, busy } = state;
  if (!notices) return;
  render(container,
    el('p', { class: 'notices-text' }, TEXTS[kind]),
    kind === 'off' && el('button', { id: 'notices-on', class: 'button button-small', type: 'button', disabled: busy }, 'Switch notices on'),
    kind === 'on' && el('div', { class: 'actions' },
      el('button', { id: 'notices-test', class: 'button button-small', type: 'button', disabled: busy }, 'Send a test'),
      el('button', { id: 'notices-off', class: 'button button-small', type: 'button', disabled: busy }, 'Switch off')),
    el('p', { class: 'hint' }, done),
    el('p', { class: 'field-error' }, problem),
    notices.urls.map(service));
  listen('notices-on', switchOn);
  listen('notices-off', switchOff);
  listen('notices-test', test);
}

/** Return the line of a service that the operator has set, such as e-mail. */
function service({ service: name, last_status: status, last_error: error }) {
  const spelled = SERVICES[name] ?? name;
  return status === 'failed'
    ? el('p', { class: 'warning' }, `Notices by ${spelled} do not arrive: ${sentence(error, '.')}`)
    : el('p', { class: 'hint' }, `Notices are also sent by ${spelled}.`);
}

function listen(id, action) {
  const button = byId(id);
  if (button) button.onclick = action;
}

const hasUploaded = () => stored('vidprod-uploaded') !== null; // written by install.js

const read = () => stored(WANTED);

function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(value) {
  try {
    localStorage.setItem(WANTED, value);
  } catch {
    // Storage is switched off: the offer comes again.
  }
}
