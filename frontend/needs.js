/** What waits for a person: loads the list for all pages, and shows its number in the head of each. */

import * as api from './api.js';
import { byId } from './dom.js';
import { poll } from './poll.js';

const PACE_MS = 30_000;
const SLOW_MS = 60_000;

const watchers = new Set();
let poller = null;
let etag = null;
let state = { items: null, trouble: null };

/** Keep the list and its number up to date until `closeNeeds`. */
export function openNeeds() {
  closeNeeds();
  poller = poll(refresh);
}

export function closeNeeds() {
  poller?.stop();
  poller = null;
  etag = null;
  change({ items: null, trouble: null });
}

/** Load the list now, after an action of the person. */
export const reloadNeeds = () => poller?.now();

/** Call `action({items: or null, trouble: a Problem or null})` now and after each change; returns a function that ends it. */
export function watchNeeds(action) {
  watchers.add(action);
  action(state);
  return () => watchers.delete(action);
}

async function refresh(signal) {
  try {
    const answer = await api.needs(etag, signal);
    if (answer) {
      etag = answer.etag;
      change({ items: answer.document.items, trouble: null });
    } else if (state.trouble) change({ ...state, trouble: null });
  } catch (problem) {
    if (problem.status === 401) return null;
    if (signal.aborted) return 0;
    change({ ...state, trouble: problem });
    return Math.max(SLOW_MS, (problem.retryAfterS ?? 0) * 1000);
  }
  return PACE_MS;
}

function change(next) {
  state = next;
  const count = state.items?.length ?? 0;
  byId('needs').hidden = !count;
  byId('needs-count').textContent = count;
  for (const one of watchers) one(state);
}
