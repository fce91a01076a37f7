/** What happened to a post, from the first request to the evidence that it is published. */

import * as api from './api.js';
import { el } from './dom.js';
import { moment } from './format.js';
import { HISTORY as H } from './video-words.js';

/** The section with the history of a post; it fills itself. `isOpen`: without a click. */
export function historyOf(publicationId, isOpen) {
  const list = el('ol', { class: 'history' });
  fill(list, publicationId);
  return el('details', { open: isOpen }, el('summary', {}, H.title), list);
}

async function fill(list, publicationId) {
  let said;
  try {
    const { entries, truncated } = await api.history(publicationId);
    said = [truncated && el('li', { class: 'hint' }, H.truncated), ...entries.map(entry), !entries.length && el('li', { class: 'hint' }, H.none)];
  } catch {
    said = [el('li', { class: 'hint' }, H.notLoaded)];
  }
  list.replaceChildren(...said.filter(Boolean));
}

function entry({ at, until, times, kind, text, method, host, path, http_status: status, ids, duration_ms: durationMs }) {
  const sent = method && `${method} ${host ?? ''}${path ?? ''}`;
  const known = Object.entries(ids ?? {}).map(([name, value]) => `${name}: ${value}`);
  const again = times > 1 && H.times(times, moment(until));
  const facts = [again, sent, status && `HTTP ${status}`, durationMs != null && `${durationMs}\u00a0ms`, ...known].filter(Boolean);
  return el('li', {}, el('p', {}, el('b', {}, H.kinds[kind] ?? kind), ` ${moment(at)}: ${text}`), facts.length > 0 && el('p', { class: 'hint' }, facts.join(' · ')));
}
