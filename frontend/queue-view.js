/** Shows the videos that are not uploaded yet: the place of the choice, the form's shape, and a list of several videos. */

import { clearFile, mode, showChosen, showSeveral, showStored } from './chooser.js';
import { byId, el, render } from './dom.js';
import { bytes, percent } from './format.js';
import { videoPath } from './paths.js';
import * as queue from './queue.js';
import { closePanel, showComplete } from './sending.js';
import { fillForm } from './upload-form.js';

let done = []; // {name, jobId} of those that were uploaded with the present ones
let filledFor = null; // id of the record whose fields the form shows, 'several', or null

/** Add the listeners of the list; `remove(record)` and `setTitle(record, title)` are called for its controls. */
export function startQueueView({ remove, setTitle }) {
  const recordOf = (id) => queue.all().find((record) => record.id === id);
  byId('queue').addEventListener('click', ({ target }) => {
    const record = recordOf(target.closest('[data-remove]')?.dataset.remove);
    if (record) remove(record);
  });
  byId('queue').addEventListener('input', ({ target }) => {
    const record = recordOf(target.dataset.title);
    if (record) setTitle(record, target.value);
  });
}

/** Note that a video was uploaded; returns true if it was alone, and so needs no place in the list. */
export function noteDone({ name, fields }, jobId) {
  const isAlone = queue.all().length === 1 && !done.length;
  if (!isAlone) done.push({ name: fields.title || name, jobId });
  return isAlone;
}

/** Empty the list of what was uploaded, before new videos; not while others of them are on their way. */
export function clearDone() {
  if (!queue.all().length) done = [];
}

/** "talk.mp4 · 2 of 3" for one of several videos, else ''. */
export function shown(record) {
  const records = queue.all().filter(({ isRefused }) => !isRefused);
  const count = records.length + done.length;
  return count > 1 ? `${record.name} · ${done.length + records.indexOf(record) + 1} of ${count}` : '';
}

/** Show everything; `current` is the record that is uploaded at this moment, or null. */
export function drawQueue(current) {
  const records = queue.all();
  drawPlace(records);
  drawForm(records);
  drawPanel(records, current);
  const isList = records.length + done.length > 1 || records.some(({ isRefused }) => isRefused);
  byId('queue').hidden = !isList;
  render(byId('queue'), isList && [...done.map(doneRow), ...records.map((record) => row(record, current))]);
}

function drawPlace(records) {
  const stored = records.filter(queue.isStored);
  const workable = records.filter(queue.isWorkable);
  if (workable.length && records.length > 1) showSeveral(records);
  else if (workable.length) showChosen(workable[0], queue.fileOf(workable[0]));
  else if (stored.length) showStored(stored);
  else if (mode() !== 'empty') clearFile();
}

function drawForm(records) {
  const open = records.filter(queue.isOpen);
  const workable = records.filter(queue.isWorkable);
  const isAlone = records.length === 1;
  byId('details').hidden = !open.length;
  byId('starting').hidden = Boolean(open.length) || !workable.length;
  byId('title-field').hidden = !isAlone;
  byId('upload-start').textContent = open.length > 1 ? `Start these ${open.length} videos` : 'Start this video';
  byId('starting-text').textContent = workable.length > 1 ? 'Each video will be started when its upload is complete.' : 'The video will be started when the upload is complete.';
  fill(open, isAlone);
}

/** Fill the form when it is for other videos than before; what the person has typed for these stays. */
function fill(open, isAlone) {
  const next = open.length ? (isAlone ? open[0].id : 'several') : null;
  const before = filledFor;
  filledFor = next;
  if (next !== null && next !== before && !(next === 'several' && before !== null)) fillForm(open[0].fields);
}

function drawPanel(records, current) {
  if (current) return;
  const complete = records.filter((record) => queue.isOpen(record) && queue.isComplete(record));
  if (complete.length) showComplete(complete.reduce((sum, { size }) => sum + size, 0), complete.length, records.length === 1);
  else closePanel();
}

function row(record, current) {
  const { id, name, size, fields, trouble } = record;
  return el('li', { class: 'queue-row', 'data-key': id },
    el('div', { class: 'queue-line' },
      el('span', { class: 'queue-name' }, el('b', {}, name), el('span', { class: 'hint' }, `${bytes(size)} · ${state(record, current)}`)),
      el('button', { class: 'button button-small', type: 'button', 'data-remove': id, 'aria-label': `Remove ${name}` }, 'Remove')),
    trouble && el('p', { class: 'field-error' }, trouble),
    queue.isOpen(record) && [
      el('label', { class: 'visually-hidden', for: `title-${id}` }, `Title of ${name}`),
      el('input', { id: `title-${id}`, type: 'text', maxlength: 85, autocomplete: 'off', placeholder: 'Title, optional', 'data-title': id, value: fields.title }),
    ],
    !queue.isOpen(record) && fields.title && !record.isRefused && el('p', { class: 'hint' }, fields.title));
}

function state(record, current) {
  if (record.isRefused) return 'not accepted';
  if (record === current) return 'in progress';
  if (queue.isComplete(record)) return 'uploaded';
  if (queue.isWorkable(record)) return 'waiting';
  return record.confirmed ? `${percent(record.confirmed / record.size)} is here, choose it again` : 'choose it again';
}

function doneRow({ name, jobId }) {
  return el('li', { class: 'queue-row', 'data-key': jobId },
    el('div', { class: 'queue-line' },
      el('span', { class: 'queue-name' }, el('b', {}, name), el('span', { class: 'hint' }, 'uploaded and started')),
      el('a', { class: 'button button-small', href: videoPath(jobId), 'aria-label': `Show ${name}` }, 'Show')));
}
