/** The part of the service worker that shows notices, opens the video of a notice, and renews the subscription. */

import { isPage, videoPath } from './paths.js';
import { asDocument, idOf, subscribe } from './push-subscription.js';

/** Shown for a message that cannot be read: browsers end subscriptions whose messages show nothing. */
const UNREADABLE = { title: 'VidProd', body: 'Something has happened to a video. Open VidProd to see it.' };

self.addEventListener('push', (event) => event.waitUntil(show(read(event.data))));
self.addEventListener('notificationclick', (event) => event.waitUntil(open(event.notification)));
self.addEventListener('pushsubscriptionchange', (event) => event.waitUntil(renew(event.oldSubscription)));

function read(data) {
  try {
    const { title, body, tag, lang, dir, data: facts } = data.json().notification;
    return typeof title === 'string' ? { title, body, tag, lang, dir, data: facts } : UNREADABLE;
  } catch {
    return UNREADABLE;
  }
}

/** Show a notice in place of an older one about the same; one that has come twice does not ring twice. */
async function show({ title, tag = '', ...options }) {
  const shown = tag ? await self.registration.getNotifications({ tag }) : [];
  const isRepeated = shown.some((other) => other.data?.notice && other.data.notice === options.data?.notice);
  const icon = new URL('static/icon-192.png', self.registration.scope).href;
  await self.registration.showNotification(title, { ...options, tag, icon, renotify: Boolean(tag) && !isRepeated, silent: isRepeated });
}

/**
 * Show the video of a notice in a window that is open, or in a new one.
 *
 * An open window is asked to show it, not navigated, because it may be uploading.
 */
async function open(notification) {
  notification.close();
  const job = notification.data?.job;
  const path = typeof job === 'string' ? videoPath(job) : '/needs-you';
  const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const pages = windows.filter(({ url }) => isPage(new URL(url).pathname));
  const first = pages.find((client) => client.visibilityState === 'visible') ?? pages[0];
  try {
    await first.focus(); // first of all: only the press allows it
    first.postMessage({ show: path });
  } catch {
    await self.clients.openWindow(new URL(path, self.registration.scope).href); // there is none, or it was closed just now
  }
}

/** The browser has replaced the subscription: tell the server. Without a session, the page does it when it is opened. */
async function renew(old) {
  const answer = await fetch(new URL('notices', self.registration.scope));
  if (!answer.ok) return;
  const { public_key: key } = await answer.json();
  const subscription = await subscribe(self.registration.pushManager, key);
  await request('POST', 'notices/subscriptions', asDocument(subscription, key));
  if (old && old.endpoint !== subscription.endpoint) await request('DELETE', `notices/subscriptions/${await idOf(old)}`);
}

function request(method, address, body) {
  const options = body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } };
  return fetch(new URL(address, self.registration.scope), { method, ...options });
}
