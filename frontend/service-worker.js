/**
 * The service worker: shows the page without a connection, and takes the videos of a phone's Share menu.
 *
 * Answers of the API are never stored. The page itself comes from the server whenever it can be reached; the stored copy,
 * all of one version, is only for the times when it cannot. The server writes the version into the addresses
 * below, so each update of the page is a new worker, which deletes what the one before has stored.
 */

import { keepFiles } from './static/file-store.js';
import { isPage } from './static/paths.js';
import './static/push-handlers.js';

const PREFIX = 'page ';
const SHELL = PREFIX + new URL('./static/', self.location).pathname;
const PAGE = new URL('./', self.location).pathname;
const ANSWER_WITHIN_MS = 5000; // browsers wait for minutes where a network is there, but silent
const SHARE = new URL('./share', self.location).pathname;

self.addEventListener('install', (event) => {
  event.waitUntil(storeShell());
  // Uploads go around the worker where browsers allow it: no copy of the bytes, and progress as without a worker.
  event.addRoutes?.({ condition: { urlPattern: '/files/*' }, source: 'network' });
  self.skipWaiting();
});

self.addEventListener('activate', (event) => event.waitUntil(deleteOlder()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== self.location.origin) return;
  if (request.method === 'POST' && pathname === SHARE) event.respondWith(takeShare(request));
  else if (request.method !== 'GET') return;
  else if (request.mode === 'navigate' && pathname === SHARE) event.respondWith(Response.redirect(PAGE, 303)); // loaded again
  else if (request.mode === 'navigate' && isPage(pathname)) event.respondWith(page(request));
  else if (pathname.startsWith(`${PAGE}assets/`)) event.respondWith(asset(request));
});

/** Store the page and all files that it names; fails if another version is served in between, and is then tried again. */
async function storeShell() {
  const answer = await fetch(PAGE, { cache: 'no-store' });
  if (!answer.ok) throw new Error(`The page answered ${answer.status}`);
  const shell = await caches.open(SHELL);
  const names = new Set((await answer.clone().text()).match(/(?<==")\/assets\/[^"]+/g));
  await Promise.all([...names].map(async (name) => {
    const file = await fetch(name);
    if (!file.ok || !file.headers.get('Cache-Control')?.includes('immutable')) throw new Error(`${name} is of another version`);
    await shell.put(name, file);
  }));
  await shell.put(PAGE, answer);
}

async function deleteOlder() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== SHELL).map((name) => caches.delete(name)));
}

/** The server's page; the stored one if the server cannot be reached, is silent, or a proxy answers that it is down. */
async function page(request) {
  const answer = fetch(request).catch(() => null);
  const silent = new Promise((resolve) => { setTimeout(resolve, ANSWER_WITHIN_MS, null); });
  const early = await Promise.race([answer, silent]);
  if (early && early.status < 500) return early;
  const shell = await caches.open(SHELL);
  return (await shell.match(PAGE)) ?? (await answer) ?? Response.error();
}

/** A stored file first: its address has the version, so it is the server's, and a silent network cannot hold it up. */
async function asset(request) {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}

async function takeShare(request) {
  return Response.redirect(`${PAGE}?share=${isForeign(request) ? 'failed' : await keepShared(request)}`, 303);
}

/** Whether another site's page has sent the share. One that hides its address looks like the Share menu: the page asks. */
function isForeign({ referrer }) {
  return /^https?:/.test(referrer) && new URL(referrer).origin !== self.location.origin;
}

/** Keep the shared videos for the page; returns how it went, for which the page has words. */
async function keepShared(request) {
  try {
    const files = (await request.formData()).getAll('video').filter((entry) => entry instanceof File && entry.size);
    if (!files.length) return 'empty'; // Chrome 153 for Android sends shares without their files
    await keepFiles(files);
    return 'kept';
  } catch (error) {
    return error.name === 'QuotaExceededError' ? 'full' : 'failed';
  }
}
