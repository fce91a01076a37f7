/** The list of a job's parts: cards while they are few; filters and rows that open into cards when they are many. */

import { el, pill } from './dom.js';
import { partCard } from './part-card.js';
import { FILTERS, partsIn, rowFacts, rowState } from './part-groups.js';

/** A list of more parts than this has filters, and its parts are rows. */
const FEW = 8;

export const isLong = (job) => (job.segments?.length ?? 0) > FEW;

/** The elements of the list; `view` is that of status-view.js. */
export function partList(job, view) {
  const parts = job.segments ?? [];
  if (!parts.length) return [];
  const title = el('h2', { id: 'parts-title', class: 'parts-title', tabindex: '-1', 'data-key': 'parts-title' }, parts.length === 1 ? 'One part' : `${parts.length} parts`);
  if (!isLong(job)) {
    const cards = parts.map((part) => el('li', { class: 'card part', 'data-key': `part-${part.number}` }, partCard(job, part, view, true)));
    return [title, el('ol', { class: 'parts', 'data-key': 'parts' }, cards)];
  }
  const chosen = partsIn(view.filter, job);
  return [
    title,
    filters(job, view),
    chosen.length > 0
      ? el('ol', { class: 'rows', 'data-key': 'rows' }, chosen.map((part) => row(job, part, view)))
      : el('p', { class: 'hint', 'data-key': 'none' }, 'No part is in this list any more.'),
  ];
}

/** The parts that a filter opens at once: all of them while they are few. */
export function openedBy(filter, job) {
  const parts = partsIn(filter, job);
  return filter !== 'all' && parts.length <= FEW ? parts.map((part) => part.number) : [];
}

function filters(job, view) {
  const counted = Object.entries(FILTERS).map(([filter, label]) => [filter, label, partsIn(filter, job).length]);
  const shown = counted.filter(([filter, , count]) => count > 0 || filter === view.filter);
  return el('div', { class: 'filters', role: 'group', 'aria-label': 'Show parts', 'data-key': 'filters' },
    shown.map(([filter, label, count]) => el('button', {
      class: 'filter', type: 'button', 'data-key': filter, 'data-filter': filter, 'aria-pressed': String(filter === view.filter),
    }, `${label} · ${count}`)));
}

/** A row: five elements while it is closed, since a job may have hundreds. */
function row(job, part, view) {
  const isOpen = view.open.has(part.number);
  return el('li', { class: 'card row', 'data-key': `part-${part.number}` },
    el('button', { class: 'row-head', type: 'button', 'data-key': 'head', 'data-part': part.number, 'aria-expanded': String(isOpen) },
      el('b', {}, `Part ${part.number}`),
      el('span', { class: 'row-facts' }, rowFacts(part, job)),
      pill(rowState(part, job))),
    isOpen && el('div', { class: 'part', 'data-key': 'card' }, partCard(job, part, view, false)));
}
