/** Says on every view that this device is offline; polling and uploads go on by themselves when it is online again. */

import { onAnswer } from './api.js';
import { byId } from './dom.js';

/** Add the listeners; call it once. A device without any network may still reach a server of its own. */
export function startConnection() {
  window.addEventListener('offline', () => show(true));
  window.addEventListener('online', () => show(false));
  onAnswer((hasAnswered) => show(!hasAnswered && !navigator.onLine));
}

function show(isOffline) {
  // A live region announces what changes in it, so it is on the page, and empty, before.
  byId('connection').textContent = isOffline ? 'You are offline. This page goes on by itself when the connection is back.' : '';
}
