/** The page of what waits for a person: one card each, with what can be done about it. */

import { announce } from './announce.js';
import * as api from './api.js';
import { confirm } from './dialogs.js';
import { el, render } from './dom.js';
import { moment } from './format.js';
import * as words from './needs-words.js';
import { reloadNeeds, watchNeeds } from './needs.js';
import { videoPath } from './paths.js';
import { platformName, sentence } from './words.js';

const QUESTIONS = {
  online: ['Is it online?', 'You looked on the platform and the post is there. The parts after it go on.', 'It is online', 'Back'],
  missing: ['Is it not there?', 'You looked on the platform and the post is not there. You can then try it again.', 'It is not there', 'Back'],
  skip: ['Skip this post?', 'It is not published on this account. The parts after it go on without it.', 'Skip it', 'Back'],
  late: ['Publish it after the others?', 'Later parts of this video are already published there, so this part would appear after them.', 'Publish it now', 'Back'],
};

const ACTIONS = {
  approve: ({ id }) => api.approve(id),
  online: ({ id }) => api.resolve(id, true),
  missing: ({ id }) => api.resolve(id, false),
  repost: ({ id }) => repost(id),
  skip: ({ id }) => api.skip(id),
  retry: ({ id }) => api.retry(id),
  enable: ({ id }) => api.enableWebhook(id),
  letter: ({ id }) => api.retryDeadLetter(id),
};

/** kind: the actions of a card, the first of them is the main one. */
const OFFERED = {
  outcome_unknown: ['online', 'missing'],
  post_failed: ['repost', 'skip'],
  video_failed: ['retry'],
  endpoint: ['enable'],
  dead_letter: ['letter'],
};

/** Show the list; returns a function that leaves the page. */
export function show(root) {
  const list = el('div', { id: 'needs-list', class: 'cards' });
  root.append(el('h1', { tabindex: '-1' }, words.TITLE), list);
  const page = { list, items: [], busy: null, told: new Map(), history: new Map() };
  list.addEventListener('click', ({ target }) => press(page, target.closest('button')?.dataset));
  return watchNeeds((state) => {
    page.state = state;
    page.items = state.items ?? [];
    draw(page);
  });
}

const keyOf = ({ kind, id }) => `${kind} ${id}`;

async function press(page, pressed) {
  const item = page.items.find((one) => keyOf(one) === pressed?.item);
  if (!item || page.busy) return;
  if (pressed.do === 'copy') copy(page, item);
  else if (pressed.do === 'history') showHistory(page, item);
  else await act(page, item, pressed.do);
}

async function act(page, item, action) {
  if (QUESTIONS[action] && !(await confirm(...QUESTIONS[action]))) return;
  page.busy = keyOf(item);
  page.told.delete(keyOf(item));
  draw(page);
  try {
    await ACTIONS[action](item);
    page.list.parentElement.querySelector('h1').focus(); // the card goes with the next answer
    await reloadNeeds();
  } catch (problem) {
    tell(page, item, problem instanceof api.NoAnswer ? 'The server cannot be reached. Please try again.' : sentence(problem.message, '.'));
  }
  page.busy = null;
  draw(page);
}

async function repost(id) {
  try {
    await api.repost(id, false);
  } catch (problem) {
    if (problem.code !== 'out_of_order') throw problem;
    if (await confirm(...QUESTIONS.late)) await api.repost(id, true);
  }
}

async function copy(page, item) {
  try {
    await navigator.clipboard.writeText(item.caption);
    tell(page, item, words.COPIED);
  } catch {
    tell(page, item, words.NOT_COPIED);
  }
}

async function showHistory(page, item) {
  page.history.set(item.id, [words.WAIT]);
  draw(page);
  try {
    const { entries } = await api.history(item.id);
    page.history.set(item.id, entries.length ? entries.slice(-12).map(({ at, text }) => `${moment(at)}: ${sentence(text, '.')}`) : [words.NO_HISTORY]);
  } catch (problem) {
    page.history.delete(item.id);
    tell(page, item, problem instanceof api.NoAnswer ? words.UNREACHABLE : sentence(problem.message, '.'));
  }
  draw(page);
}

function tell(page, item, text) {
  page.told.set(keyOf(item), text);
  announce(text);
  draw(page);
}

function draw(page) {
  if (!page.list.isConnected) return;
  const { items, trouble } = page.state;
  const message = trouble && (trouble instanceof api.NoAnswer ? words.UNREACHABLE : sentence(trouble.message, '.'));
  render(page.list,
    message && el('p', { class: 'field-error', 'data-key': 'trouble' }, message),
    !items && !message && el('p', { class: 'hint', 'data-key': 'wait' }, words.WAIT),
    items?.length === 0 && el('p', { class: 'hint', 'data-key': 'none' }, words.NOTHING),
    (items ?? []).map((item) => card(page, item)));
}

function card(page, item) {
  const platform = item.platform && platformName(item.platform);
  const [heading, text] = words.KINDS[item.kind]?.({ ...item, platform }) ?? [sentence(item.kind), ''];
  const key = keyOf(item);
  const told = page.told.get(key);
  return el('section', { class: 'card need', 'data-key': key, 'aria-label': `${heading}: ${subject(item)}` },
    el('h2', {}, heading),
    subject(item) && el('p', { class: 'need-of' }, el('bdi', {}, subject(item))),
    text && el('p', { class: 'hint' }, text),
    item.reason && el('p', { class: 'hint' }, sentence(item.reason, '.')),
    item.next_step && el('p', { class: 'hint' }, item.next_step),
    item.caption && el('p', { class: 'need-caption', dir: 'auto' }, item.caption),
    page.history.has(item.id) && el('ul', { class: 'need-history hint' }, page.history.get(item.id).map((line) => el('li', {}, line))),
    el('div', { class: 'actions' }, buttons(page, item, heading)),
    told && el('p', { class: told === words.COPIED ? 'hint' : 'field-error' }, told));
}

/** The video, the part and the account of an item, in a line. */
function subject(item) {
  if (item.kind === 'endpoint') return item.title;
  const part = item.part && item.kind !== 'video_failed' && `part ${item.part}${item.of ? `/${item.of}` : ''}`;
  return [item.job_id && (item.title || 'Untitled video'), part, item.account].filter(Boolean).join(' · ');
}

function buttons(page, item, heading) {
  const about = `${heading}: ${subject(item)}`;
  const button = (action, isMain) => el('button', {
    type: 'button', class: `button ${isMain ? 'button-main' : 'button-quiet'}`, 'data-key': action, 'data-do': action, 'data-item': keyOf(item),
    'aria-label': `${words.BUTTONS[action]}. ${about}`, disabled: page.busy === keyOf(item),
  }, words.BUTTONS[action]);
  const offered = OFFERED[item.kind] ?? [];
  return [
    item.kind === 'account' && el('a', { class: 'button button-main', href: api.connectAddress(item.platform), 'data-key': 'connect', 'aria-label': `${words.BUTTONS.reconnect}. ${about}` }, words.BUTTONS.reconnect),
    item.caption && button('copy', true),
    item.kind === 'review' && item.code === 'sound_unreadable' && button('approve', true),
    offered.map((action, index) => button(action, index === 0 && item.kind !== 'outcome_unknown')),
    item.kind === 'outcome_unknown' && !page.history.has(item.id) && button('history', false),
    item.job_id && el('a', { class: `button ${item.kind === 'review' && item.code !== 'sound_unreadable' ? 'button-main' : 'button-quiet'}`, href: videoPath(item.job_id), 'data-key': 'open', 'aria-label': `${words.BUTTONS.open}. ${about}` }, words.BUTTONS.open),
  ];
}
