/**
 * Shows the page of the address: one module a page, loaded when it is opened first. Back returns to the same place in it.
 *
 * A page's module exports `show(root, params)`, which fills the element `root`, and returns a function that leaves it.
 * The page is one document, so an upload goes on whatever is shown.
 */

import { byId, el, render } from './dom.js';
import { Updated, whyNot } from './load.js';
import { earlierPath, isPage } from './paths.js';
import { poll } from './poll.js';
import { setViewTitle } from './title.js';

const AGAIN_MS = 5000;
/** A page that is not long enough by then has lost the place: its list has become shorter, for instance. */
const RETURN_WITHIN_MS = 10_000;
const HANDS = ['wheel', 'touchstart', 'pointerdown', 'keydown'];

const PLACES = 'vidprod-places';
const STORED_PLACES = 50;

const routes = [];
const places = new Map(storedPlaces()); // key of an entry of the history → {y, focus: selector or null}
let shown = null; // {path, key, leave(), loading}
let moved = () => {};
let endReturn = () => {};

/**
 * Add a page. `path` may have names: `/videos/{id}`; `load()` returns (a promise of) its module, and is called again
 * after a failure. The title is that of the browser's tab; the page may set another one.
 */
export function route(path, title, load) {
  const pattern = path.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  routes.push({ pattern: new RegExp(`^${pattern}$`), title, load });
}

/** Add the listeners; `onMove(path)` is called for each page that is shown. Call it once. */
export function startRouter(onMove) {
  moved = onMove;
  history.scrollRestoration = 'manual'; // the browser returns before the page has its length
  document.addEventListener('click', follow);
  window.addEventListener('popstate', () => {
    leaveDialog();
    if (shown && address() !== shown.path) open();
  });
  leaveDialog();
  for (const name of ['pagehide', 'visibilitychange']) window.addEventListener(name, storePlaces, true);
}

/** Leave the entry of a dialog that a reload has closed: Back would seem to do nothing. */
function leaveDialog() {
  if (history.state?.dialog && !document.querySelector('dialog[open]')) history.back();
}

/** Keep the places beyond this document: for a reload, and where a phone ends the page. */
function storePlaces() {
  keepPlace();
  try {
    sessionStorage.setItem(PLACES, JSON.stringify([...places].slice(-STORED_PLACES)));
  } catch {
    // Storage is switched off: a reload begins at the top.
  }
}

function storedPlaces() {
  try {
    return JSON.parse(sessionStorage.getItem(PLACES)) ?? [];
  } catch {
    return [];
  }
}

/** Show the page of the address; called after signing in. */
export function openPages() {
  if (!shown) open();
}

/** Leave the page, for signing in. */
export function closePages() {
  leave();
  shown = null;
}

/** Go to a page as a link does. An open dialog is closed, and its entry in the history becomes that of the page. */
export function go(path, { isReplacing = false } = {}) {
  const url = new URL(path, location.origin);
  const isHere = url.pathname + url.search === location.pathname + location.search;
  keepPlace();
  const state = { key: newKey() };
  if (isReplacing || isHere || history.state?.dialog) history.replaceState(state, '', url);
  else history.pushState(state, '', url);
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  if (shown) open();
}

/** Whether a page is shown: 'sign-in' and the like are none. */
export const pathShown = () => shown?.path ?? null;

/** The path of the address; that of an earlier version is replaced. */
function address() {
  const path = earlierPath(location.hash);
  if (path) history.replaceState(history.state, '', path);
  return location.pathname;
}

function follow(event) {
  const link = event.target.closest?.('a[href]');
  const hasOther = event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  if (!link || hasOther || link.target || link.hasAttribute('download')) return;
  if (link.origin !== location.origin || link.hash || !isPage(link.pathname)) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

function open() {
  keepPlace();
  const isFirst = !leave();
  const path = address();
  const found = routes.find(({ pattern }) => pattern.test(path)) ?? routes[0];
  const params = Object.fromEntries(Object.entries(found.pattern.exec(path)?.groups ?? {}).map(([name, text]) => [name, decoded(text)]));
  if (!history.state?.key) history.replaceState({ ...history.state, key: newKey() }, '');
  const view = { path, key: history.state.key, leave: () => {}, isFirst };
  shown = view;
  setViewTitle(found.title);
  moved(path);
  draw(found.title, el('p', { class: 'loading' }, 'One moment…'));
  view.loading = poll(() => attempt(view, found, params));
}

/** Leave the page that is shown; returns whether there was one. */
function leave() {
  endReturn();
  if (!shown) return false;
  shown.loading?.stop();
  shown.leave();
  return true;
}

async function attempt(view, { title, load }, params) {
  let page;
  try {
    page = await load();
  } catch (problem) {
    if (view === shown) tell(title, problem);
    return problem instanceof Updated ? null : AGAIN_MS;
  }
  if (view !== shown) return null;
  const root = el('div', { class: 'page' }); // a new one: listeners of the page before are on its own
  byId('page').replaceChildren(root);
  view.leave = page.show(root, params) ?? view.leave;
  arrive(view);
  return null;
}

function tell(title, problem) {
  const isUpdated = problem instanceof Updated;
  draw(title,
    el('p', { class: 'notice notice-bad' }, `${whyNot(problem)}${isUpdated ? '' : ' Trying again by itself.'}`),
    isUpdated && el('div', { class: 'actions' }, el('button', { id: 'load-again', class: 'button button-main', type: 'button' }, 'Load again')));
  byId('load-again')?.addEventListener('click', () => location.reload());
}

function draw(title, ...content) {
  render(byId('page'), el('h1', { tabindex: '-1' }, title), ...content);
}

/** Go to the place at which this entry of the history was left, or to the top of a new one. */
function arrive({ key, isFirst }) {
  const place = places.get(key);
  if (place) {
    comeBack(place);
    return;
  }
  window.scrollTo(0, 0);
  if (!isFirst) [...document.querySelectorAll('main h1')].find((title) => title.checkVisibility())?.focus();
}

function keepPlace() {
  if (shown) places.set(shown.key, { y: window.scrollY, focus: selectorOf(document.activeElement) });
}

/** A selector of what had the focus, for the new elements of the page. */
function selectorOf(element) {
  if (!element || !byId('main').contains(element)) return null;
  if (element.id) return `#${CSS.escape(element.id)}`;
  return element.matches('a[href]') ? `a[href="${CSS.escape(element.getAttribute('href'))}"]` : null;
}

/** Scroll and focus as soon as the page is long enough; ends with what the person does meanwhile. */
function comeBack({ y, focus }) {
  const observer = new ResizeObserver(attemptReturn);
  const timer = setTimeout(end, RETURN_WITHIN_MS);
  function end() {
    observer.disconnect();
    clearTimeout(timer);
    for (const name of HANDS) window.removeEventListener(name, end);
  }
  function attemptReturn() {
    const target = focus && document.querySelector(focus);
    if (target && target !== document.activeElement) target.focus({ preventScroll: true });
    window.scrollTo(0, y);
    if (Math.abs(window.scrollY - y) < 2 && (target || !focus)) end();
  }
  endReturn = end;
  for (const name of HANDS) window.addEventListener(name, end);
  observer.observe(byId('main'));
  attemptReturn();
}

const newKey = () => Math.random().toString(36).slice(2);

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
