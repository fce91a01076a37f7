/** The editor of the words of a video's posts: for all of them, a platform, a part, or a single post. */

import { announce } from './announce.js';
import * as api from './api.js';
import { el, render } from './dom.js';
import { hashtagsOf } from './post-text.js';
import { keepText, keptTexts, removeText } from './text-store.js';
import { WORDS as W } from './video-words.js';
import { countsOf, inheritedText, keyOf, ownWords, platformsOf, postsOf, requestsFor, sampleOf, targetsOf, withDrafts } from './words-scope.js';
import { platformName, sentence } from './words.js';

export const title = W.tool;
const FIELDS = ['title', 'caption'];
const MAX_CHARS = { title: 200, caption: 5000 }; // of the API; the platforms' own limits are counted below the fields
/** What is not saved survives that the window is closed, or the page loaded again. */
const keyOfDrafts = (jobId) => `vidprod-words-${jobId}`;

/** Show the editor; `params` is {job, part: number or '', on: id of a post or '', onSaved, close}. Returns a function that leaves it. */
export function show(root, params) {
  const { job } = params;
  const editor = { ...params, root, drafts: readDrafts(job.job_id), limits: null, refusal: null, busy: false, resets: 0, last: 'caption', scope: { part: params.part ?? '', on: params.on ?? '' } };
  root.addEventListener('input', ({ target }) => input(editor, target));
  root.addEventListener('focusin', ({ target }) => { if (FIELDS.includes(target.name)) editor.last = target.name; });
  root.addEventListener('click', ({ target }) => press(editor, target.closest('button')?.dataset ?? {}));
  root.addEventListener('submit', (event) => {
    event.preventDefault();
    save(editor);
  });
  draw(editor);
  askLimits(editor);
  return () => {
    editor.root = null;
    storeDrafts(editor);
  };
}

/** The drafts of a video: a Map of them by the key of a scope. */
function readDrafts(jobId) {
  try {
    return new Map(JSON.parse(sessionStorage.getItem(keyOfDrafts(jobId)) ?? '[]'));
  } catch {
    return new Map(); // the storage is blocked, or not ours
  }
}

function storeDrafts({ job, drafts }) {
  try {
    if (drafts.size) sessionStorage.setItem(keyOfDrafts(job.job_id), JSON.stringify([...drafts]));
    else sessionStorage.removeItem(keyOfDrafts(job.job_id));
  } catch {
    // Full or blocked: they are lost with the window.
  }
}

async function askLimits(editor) {
  try {
    editor.limits = await api.limits();
    draw(editor);
  } catch {
    // The counters are missing; the server checks the words when they are saved.
  }
}

function input(editor, { name, value }) {
  if (name === 'part') editor.scope = { part: Number(value) || '', on: '' };
  else if (name === 'on') editor.scope = { ...editor.scope, on: value };
  else if (FIELDS.includes(name)) change(editor, name, value);
  else return;
  editor.refusal = null;
  draw(editor);
}

/** Note the new text of a field; the one that is stored is no change. */
function change(editor, field, value) {
  const key = keyOf(editor.scope);
  const stored = ownWords(editor.job, editor.scope)[field] ?? null;
  const draft = { ...editor.drafts.get(key), [field]: value };
  if (value === stored) delete draft[field];
  if (Object.keys(draft).length) editor.drafts.set(key, draft);
  else editor.drafts.delete(key);
  storeDrafts(editor);
}

function press(editor, { insert, reset, keep, remove }) {
  if (insert) putIn(editor, insert);
  if (keep) {
    const { caption } = textsOf(editor);
    const text = keep === 'hashtags' ? hashtagsOf(caption).join(' ') : caption;
    if (text.trim()) keepText(text.trim());
  }
  if (remove) removeText(remove);
  if (reset) {
    change(editor, reset, null);
    editor.resets += 1; // a field that a person has typed in shows another text only when it is made anew
  }
  if (insert || keep || remove || reset) draw(editor);
}

/** Put a text where the caret was last. */
function putIn(editor, text) {
  const field = editor.root.querySelector(`[name=${editor.last}]`);
  if (field.disabled) return;
  field.setRangeText(text, field.selectionStart, field.selectionEnd, 'end');
  field.focus();
  change(editor, editor.last, field.value);
}

async function save(editor) {
  const { body, posts } = requestsFor(editor.drafts);
  if (editor.busy || !(body || posts.length)) return;
  Object.assign(editor, { busy: true, refusal: null });
  draw(editor);
  try {
    if (body) {
      editor.job = await api.changeJob(editor.job.job_id, body);
      for (const key of [...editor.drafts.keys()]) if (!posts.some((post) => post[2] === key)) editor.drafts.delete(key);
    }
    for (const [id, words, key] of posts) {
      await api.changePost(id, words); // one after the other: the first refusal is shown
      editor.drafts.delete(key);
    }
    if (posts.length) editor.job = (await api.status(editor.job.job_id)).document;
    announce(W.savedNow);
    editor.onSaved(editor.job);
    editor.close();
    return;
  } catch (problem) {
    await refuse(editor, problem);
  }
  editor.busy = false;
  draw(editor);
  editor.root?.querySelector('[aria-invalid]')?.focus();
  editor.onSaved(); // also what was saved before a refusal
}

async function refuse(editor, problem) {
  const field = FIELDS.find((name) => problem.field === name || problem.field?.endsWith(`.${name}`)) ?? null;
  const text = problem instanceof api.NoAnswer ? W.lost : sentence(problem.message, '.');
  editor.refusal = { field, text: problem.code === 'publication_started' ? `${text} ${W.conflict}` : text };
  if (!field) announce(editor.refusal.text);
  if (problem.code === 'publication_started') editor.job = (await api.status(editor.job.job_id).catch(() => null))?.document ?? editor.job;
}

/** The texts that the fields show. */
function textsOf({ job, drafts: all, scope }) {
  const words = { ...ownWords(job, scope), ...all.get(keyOf(scope)) };
  const below = withDrafts(job, all);
  return Object.fromEntries(FIELDS.map((field) => [field, words[field] ?? inheritedText(below, scope, field)]));
}

function draw(editor) {
  if (!editor.root) return;
  const { job, scope, limits, busy, refusal } = editor;
  const posts = postsOf(job, scope);
  const begun = posts.filter(({ editable }) => editable === false).length;
  const isFixed = posts.length > 0 && begun === posts.length;
  const texts = textsOf(editor);
  render(editor.root,
    el('form', { class: 'tool', novalidate: true, 'data-key': 'form' },
      scopes(editor),
      begun > 0 && el('p', { class: 'notice notice-warn', 'data-key': 'begun' }, W.begun(begun, posts.length)),
      FIELDS.map((name) => field(editor, name, texts[name], isFixed)),
      inserts(editor, isFixed),
      kept(isFixed, editor.root.querySelector('details')?.open),
      limits && counters(editor),
      el('div', { class: 'actions', 'data-key': 'save' },
        el('button', { class: 'button button-main', disabled: busy || !editor.drafts.size }, W.save),
        el('p', { class: 'hint' }, editor.drafts.size > 0 && W.notSaved)),
      el('p', { class: 'field-error', role: 'alert', 'data-key': 'refusal' }, refusal && !refusal.field && refusal.text)));
}

function scopes({ job, scope, limits }) {
  const numbers = (job.segments ?? []).map(({ number }) => number);
  const targets = targetsOf(job, scope.part, limits ? platformsOf(job, limits) : []);
  const chosen = (value, current) => (String(value) === String(current) ? true : null);
  return el('div', { class: 'tool-scope', 'data-key': 'scope' },
    el('label', {}, W.forParts, el('select', { name: 'part' },
      el('option', { value: '', selected: chosen('', scope.part) }, W.allParts),
      numbers.map((number) => el('option', { value: number, selected: chosen(number, scope.part) }, W.part(number))))),
    el('label', { 'data-key': `on ${scope.part} ${targets.length}` }, W.on, el('select', { name: 'on' },
      el('option', { value: '', selected: chosen('', scope.on) }, W.everywhere),
      targets.map(([value, platform, account]) => el('option', { value, selected: chosen(value, scope.on) }, [platformName(platform), account].filter(Boolean).join(' · '))))));
}

function field(editor, name, text, isFixed) {
  const { scope, refusal, resets } = editor;
  const isWhole = scope.part === '' && !scope.on;
  const set = { ...ownWords(editor.job, scope), ...editor.drafts.get(keyOf(scope)) }[name] ?? null;
  const error = refusal?.field === name && refusal.text;
  const attributes = {
    name, id: `words-${name}`, disabled: isFixed, maxlength: MAX_CHARS[name], autocomplete: 'off', dir: 'auto',
    'aria-describedby': `words-${name}-error words-${name}-hint`, 'aria-invalid': error ? 'true' : null,
  };
  return el('div', { class: 'field', 'data-key': `${name} ${keyOf(scope)} ${resets} ${isFixed}` },
    el('label', { for: `words-${name}` }, W[name]),
    name === 'title' ? el('input', { ...attributes, type: 'text', value: text, placeholder: isWhole && W.made }) : el('textarea', { ...attributes, rows: 5 }, text),
    el('p', { id: `words-${name}-error`, class: 'field-error', role: 'alert' }, error),
    el('p', { id: `words-${name}-hint`, class: 'hint' }, !isWhole && set === null && W.inherited),
    !isWhole && set !== null && !isFixed && el('button', { type: 'button', class: 'button button-small', 'data-reset': name, 'data-key': 'reset' }, W.inherit[name]));
}

function inserts({ scope, last }, isFixed) {
  const isOwnTitle = scope.part === '' && !scope.on && last === 'title';
  const names = Object.keys(W.placeholders).filter((name) => name !== 'title' || !isOwnTitle);
  return el('div', { class: 'tool-row', role: 'group', 'aria-label': W.insert, 'data-key': 'inserts' },
    el('span', { class: 'hint' }, W.insert),
    names.map((name) => el('button', { type: 'button', class: 'button button-small', 'data-insert': `{${name}}`, 'data-key': name, disabled: isFixed }, W.placeholders[name])),
    el('p', { class: 'hint' }, W.hint));
}

function kept(isFixed, isOpen) {
  return el('details', { 'data-key': 'kept', open: isOpen },
    el('summary', {}, W.saved),
    el('div', { class: 'tool-row' },
      el('button', { type: 'button', class: 'button button-small', 'data-keep': 'caption' }, W.keepCaption),
      el('button', { type: 'button', class: 'button button-small', 'data-keep': 'hashtags' }, W.keepHashtags),
      el('span', { class: 'hint' }, W.savedHint)),
    el('ul', {}, keptTexts().map((text) => el('li', { class: 'kept', 'data-key': text },
      el('button', { type: 'button', class: 'button button-small', 'data-insert': text, disabled: isFixed, dir: 'auto' }, text),
      el('button', { type: 'button', class: 'button button-plain', 'data-remove': text, 'aria-label': W.remove(text) }, '×')))));
}

function counters({ job, drafts: all, scope, limits }) {
  const after = withDrafts(job, all);
  const sample = sampleOf(after, scope, limits);
  return el('section', { 'data-key': 'counters', 'aria-label': W.limits },
    sample && el('p', { class: 'hint', dir: 'auto' }, sample.isMade ? W.sampleMade : W.sample(sample.number, sample.title)),
    el('dl', { class: 'counters' }, countsOf(after, scope, limits).map(([platform, found]) => el('div', { 'data-key': platform },
      el('dt', {}, platformName(platform)),
      found.filter(({ unit, count, maximum }) => unit === 'utf16_units' || unit === 'bytes' || (unit === 'lines' ? count > maximum : count > 0)).map(counter)))));
}

function counter({ of, unit, count, maximum }) {
  const what = W.units[unit]?.[of] ?? W.units[unit] ?? unit;
  const isOver = count > maximum;
  return el('dd', { class: isOver ? 'over' : null, 'data-key': `${of} ${unit}`, 'data-count': count },
    `${count} / ${maximum} ${what}`, isOver && el('b', {}, ` ${W.over(count - maximum)}`));
}
