/** The editor of an account's times: its zone, its windows over the day, its limits, and what they make of its posts. */

import { EDITOR as words } from './accounts-words.js';
import { announce } from './announce.js';
import * as api from './api.js';
import { el, render } from './dom.js';
import { moment } from './format.js';
import { sentence } from './words.js';

export const title = words.title;

const HOURS = 24;
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Show the editor in an element of the large window; returns a function that leaves it. */
export function show(root, { account }) {
  const editor = { root, account, schedule: null, posts: null, text: '', problem: '', isBusy: true, version: 0 };
  root.addEventListener('input', ({ target }) => change(editor, target));
  root.addEventListener('click', ({ target }) => press(editor, target.closest('button')?.dataset));
  root.addEventListener('submit', (event) => {
    event.preventDefault();
    save(editor);
  });
  draw(editor);
  read(editor);
  return () => {};
}

async function read(editor) {
  await attempt(editor, async () => {
    editor.schedule = await api.accountSchedule(editor.account.id);
    editor.version += 1;
    editor.posts = (await api.forecast()).posts.filter((post) => post.account_id === editor.account.id);
  });
}

function save(editor) {
  const { time_zone: zone, windows, max_per_day: perDay, min_gap_s: gapS } = editor.schedule;
  const wanted = { time_zone: zone, windows, max_per_day: perDay, min_gap_s: gapS };
  return stored(editor, () => api.setAccountSchedule(editor.account.id, wanted));
}

/** Send a change, and read what became of the schedule and of the posts. */
async function stored(editor, request) {
  await attempt(editor, async () => {
    await request();
    await read(editor);
    editor.text = words.saved;
    announce(editor.text);
  });
}

async function attempt(editor, action) {
  Object.assign(editor, { isBusy: true, problem: '', text: '' });
  draw(editor);
  try {
    await action();
  } catch (problem) {
    editor.problem = problem instanceof api.NoAnswer ? 'The server cannot be reached. Please try again.' : sentence(problem.message, '.');
    announce(editor.problem);
  }
  editor.isBusy = false;
  draw(editor);
}

function press(editor, pressed) {
  const { schedule } = editor;
  if (!pressed?.do || editor.isBusy) return;
  if (pressed.do === 'reset') {
    stored(editor, () => api.resetAccountSchedule(editor.account.id));
    return;
  }
  if (pressed.do === 'zone') schedule.time_zone = HERE;
  if (pressed.do === 'add') schedule.windows.push(['18:00', '21:00']);
  if (pressed.do === 'remove') schedule.windows.splice(Number(pressed.at), 1);
  editor.text = '';
  editor.version += 1; // new fields: those that a person has changed keep their values
  draw(editor);
  editor.root.querySelector(pressed.do === 'zone' ? '#zone' : '[data-do=add]').focus();
}

function change(editor, { name, value, dataset }) {
  const { schedule } = editor;
  if (name === 'zone') schedule.time_zone = value;
  if (name === 'per-day') schedule.max_per_day = Number(value);
  if (name === 'gap') schedule.min_gap_s = Number(value) * 60;
  if (dataset.window) schedule.windows[Number(dataset.window)][Number(dataset.end)] = value === '00:00' && dataset.end === '1' ? '24:00' : value;
  editor.text = '';
  draw(editor);
}

function draw(editor) {
  const { schedule, isBusy, problem, text } = editor;
  render(editor.root,
    problem && el('p', { class: 'notice notice-bad', 'data-key': 'problem' }, problem),
    !schedule && !problem && el('p', { class: 'hint', 'data-key': 'wait' }, 'One moment…'),
    schedule && el('form', { class: 'editor', novalidate: true, 'data-key': `form-${editor.version}` },
      el('p', { class: 'hint' }, schedule.inherited ? words.inherited : words.own),
      zone(schedule),
      windows(schedule),
      numbers(schedule),
      schedule.platform_limit && el('p', { class: 'hint' }, words.limit(schedule.platform_limit)),
      el('p', { class: 'hint', 'data-key': 'forecast' }, forecast(editor)),
      el('div', { class: 'actions' },
        el('button', { class: 'button button-main', type: 'submit', disabled: isBusy }, words.save),
        !schedule.inherited && el('button', { class: 'button button-quiet', type: 'button', 'data-do': 'reset', disabled: isBusy }, words.reset)),
      el('p', { class: 'hint', role: 'status' }, text)));
}

function zone({ time_zone: name }) {
  const zones = Intl.supportedValuesOf?.('timeZone') ?? [];
  const all = zones.includes(name) ? zones : [name, ...zones];
  return el('div', { class: 'field', 'data-key': 'zone' },
    el('label', { for: 'zone' }, words.zone),
    el('select', { id: 'zone', name: 'zone' }, all.map((one) => el('option', { value: one, selected: one === name }, one.replaceAll('_', ' ')))),
    name !== HERE && el('p', { class: 'hint' }, words.zones(clockIn(HERE), clockIn(name))),
    name !== HERE && el('button', { class: 'button button-small', type: 'button', 'data-do': 'zone' }, words.useOwn(HERE)));
}

function clockIn(name) {
  try {
    return new Date().toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: name });
  } catch {
    return '?'; // a zone that this browser does not know
  }
}

function windows({ windows: list }) {
  return el('fieldset', { class: 'field', 'data-key': 'windows' },
    el('legend', {}, words.windows),
    grid(list),
    !list.length && el('p', { class: 'hint', 'data-key': 'always' }, words.always),
    list.map(([from, to], index) => el('div', { class: 'window-row', 'data-key': `window-${index}` },
      time(index, 0, from), el('span', { 'aria-hidden': 'true' }, words.to), time(index, 1, to === '24:00' ? '00:00' : to),
      el('button', { class: 'button button-small', type: 'button', 'data-do': 'remove', 'data-at': index, 'aria-label': `${words.remove}: ${from} to ${to}` }, words.remove))),
    el('button', { class: 'button button-small', type: 'button', 'data-key': 'add', 'data-do': 'add' }, words.add));
}

const time = (index, end, value) => el('input', { type: 'time', value, 'data-window': index, 'data-end': end, 'aria-label': `${words.windows} ${index + 1}: ${end ? words.to : words.from}` });

/** The day as a bar, with its windows; one over midnight is at both ends. */
function grid(list) {
  const bars = (list.length ? list : [['00:00', '24:00']]).flatMap(([from, to]) => {
    const [start, end] = [hours(from), hours(to) || HOURS];
    return start < end ? [[start, end]] : [[start, HOURS], [0, end]];
  });
  const node = (tag, attributes, ...children) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  return el('div', {}, node('svg', { class: 'day', viewBox: '0 0 240 12', role: 'img', 'aria-label': words.grid(list), preserveAspectRatio: 'none' },
    node('rect', { class: 'day-all', width: 240, height: 12, rx: 3 }),
    ...bars.map(([start, end]) => node('rect', { class: 'day-open', x: start * 10, width: (end - start) * 10, height: 12, rx: 3 }))),
    el('div', { class: 'day-hours', 'aria-hidden': 'true' }, [0, 6, 12, 18, 24].map((hour) => el('span', {}, String(hour)))));
}

const hours = (clock) => Number(clock.slice(0, 2)) + Number(clock.slice(3)) / 60;

function numbers({ max_per_day: perDay, min_gap_s: gapS }) {
  const field = (id, label, value, maximum) => el('div', { class: 'field' },
    el('label', { for: id }, label), el('input', { id, name: id, type: 'number', min: id === 'gap' ? 0 : 1, max: maximum, value, inputmode: 'numeric' }));
  return el('div', { class: 'two', 'data-key': 'numbers' }, field('per-day', words.perDay, perDay, 1000), field('gap', words.gap, Math.round(gapS / 60), 1440));
}

function forecast({ posts }) {
  if (!posts) return '';
  return words.forecast(posts.length, posts.length && moment(posts.at(-1).expected_at));
}
