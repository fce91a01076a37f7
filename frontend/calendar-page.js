/** The page of what went out and what goes out when: months and weeks on wide screens, a list of days on phones. */

import { announce } from './announce.js';
import * as api from './api.js';
import { dayOf, isInMonth, longName, next, ownZone, period, periodName, shortName, timeIn } from './calendar-days.js';
import { CALENDAR as C } from './calendar-words.js';
import { el, pill, render } from './dom.js';
import { videoPath } from './paths.js';
import { poll } from './poll.js';
import { openTool } from './tools.js';
import { platformName, sentence } from './words.js';

const PACE_MS = 60_000;
const SHOWN_A_DAY = 4;
const WIDE = matchMedia('(min-width: 60rem)');
const chosen = { view: WIDE.matches ? 'month' : 'week', date: null }; // kept while other pages are shown

/** Show the calendar and keep it up to date; returns a function that leaves the page. */
export function show(root) {
  const page = { root, zone: ownZone(), answer: null, problem: '', wanted: '' };
  chosen.date ??= dayOf(new Date(), page.zone);
  root.append(el('h1', { tabindex: '-1' }, C.title), el('div', { id: 'calendar' }));
  const draw = () => render(root.querySelector('#calendar'), content(page));
  const poller = poll(async (signal) => {
    await read(page, signal);
    if (!signal.aborted) draw();
    return PACE_MS;
  });
  const turn = (change) => {
    Object.assign(chosen, change);
    page.answer = null;
    draw();
    announce(periodName(chosen.view, chosen.date));
    poller.now();
  };
  root.addEventListener('click', (event) => clicked(event, { page, poller, turn }));
  root.addEventListener('change', ({ target }) => { if (target.name === 'calendar-view') turn({ view: target.value }); });
  addDragging(root, (id, date) => open(page, poller, id, date));
  WIDE.addEventListener('change', draw);
  draw();
  return () => {
    poller.stop();
    WIDE.removeEventListener('change', draw);
  };
}

async function read(page, signal) {
  const { first, last } = period(chosen.view, chosen.date);
  page.wanted = first + last;
  try {
    const answer = await api.calendar(first, last, page.zone, signal);
    if (page.wanted === first + last) Object.assign(page, { answer, problem: '' });
  } catch (problem) {
    if (problem.code === 'bad_zone' && page.zone !== 'UTC') {
      page.zone = 'UTC'; // the browser knows a zone that the server does not
      await read(page, signal);
    } else if (!signal.aborted) page.problem = problem instanceof api.NoAnswer ? C.failed : sentence(problem.message, '.');
  }
}

function clicked({ target }, { page, poller, turn }) {
  const { step, week, post } = target.closest('button')?.dataset ?? {};
  if (step === '0') turn({ date: dayOf(new Date(), page.zone) });
  else if (step) turn({ date: next(chosen.view, chosen.date, Number(step)) });
  else if (week) turn({ view: 'week', date: week });
  else if (post) open(page, poller, post);
}

/** Open a waiting post, to move it; `date` is the day on which it was dropped. */
async function open(page, poller, id, date = null) {
  const entry = entries(page).find((one) => one.publication_id === id);
  if (!entry) return;
  try {
    const { document: job } = await api.status(entry.job_id);
    const at = date && entry.at && `${date}T${timeIn(new Date(entry.at), page.zone)}`;
    await openTool('post', { job, on: id, at, isElsewhere: true, onSaved: () => poller.now() });
  } catch (problem) {
    announce(problem instanceof api.NoAnswer ? C.failed : sentence(problem.message, '.'));
  }
}

const entries = ({ answer }) => (answer ? [...answer.days.flatMap((day) => day.entries), ...answer.undated] : []);

function addDragging(root, drop) {
  const dayAt = (event) => event.target.closest?.('[data-day]');
  root.addEventListener('dragstart', (event) => {
    const id = event.target.closest?.('[data-post]')?.dataset.post;
    if (id) event.dataTransfer.setData('text/x-vidprod-post', id);
  });
  root.addEventListener('dragover', (event) => {
    if (!dayAt(event) || !event.dataTransfer.types.includes('text/x-vidprod-post')) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'move';
  });
  root.addEventListener('drop', (event) => {
    const id = event.dataTransfer.getData('text/x-vidprod-post');
    if (!id || !dayAt(event)) return;
    event.preventDefault();
    drop(id, dayAt(event).dataset.day);
  });
}

function content(page) {
  const { answer, problem, zone } = page;
  return [
    toolbar(),
    el('p', { class: 'hint', 'data-key': 'zone' }, C.zone(zone)),
    el('p', { class: 'field-error', role: 'status', 'data-key': 'problem' }, problem),
    answer?.truncated && el('p', { class: 'notice', 'data-key': 'truncated' }, C.truncated),
    answer ? days(page) : !problem && el('p', { class: 'loading', 'data-key': 'loading' }, C.loading),
    answer?.undated.length > 0 && undated(page),
  ];
}

function toolbar() {
  const button = (step, label, sign) => el('button', { type: 'button', class: 'button button-small', 'data-step': step, 'aria-label': sign && label }, sign ?? label);
  const choice = (view) => el('label', { class: 'choice' }, el('input', { type: 'radio', name: 'calendar-view', value: view, checked: chosen.view === view }), el('span', {}, C.views[view]));
  return el('div', { class: 'calendar-bar', 'data-key': 'bar' },
    el('h2', {}, periodName(chosen.view, chosen.date)),
    el('div', { class: 'actions' }, button(-1, C.earlier[chosen.view], '‹'), button(0, C.today), button(1, C.later[chosen.view], '›')),
    el('fieldset', { class: 'calendar-views' }, el('legend', { class: 'visually-hidden' }, C.view), ['month', 'week'].map(choice)));
}

function days(page) {
  const isEmpty = page.answer.days.every((day) => !day.entries.length);
  const shown = WIDE.matches ? page.answer.days : page.answer.days.filter(({ entries: found }) => found.length);
  return [
    isEmpty && !page.answer.undated.length && el('p', { class: 'hint', 'data-key': 'none' }, C.none[chosen.view], ' ', el('a', { class: 'text-link', href: '/new' }, C.upload)),
    (WIDE.matches || !isEmpty) && el('ol', { class: `calendar-days calendar-${chosen.view}`, 'data-key': 'days' }, shown.map((day) => dayCell(day, page))),
  ];
}

function dayCell({ date, entries: found }, { zone }) {
  const isToday = date === dayOf(new Date(), zone);
  const limit = WIDE.matches && chosen.view === 'month' && found.length > SHOWN_A_DAY + 1 ? SHOWN_A_DAY : found.length;
  const classes = ['calendar-day', isToday && 'calendar-today', chosen.view === 'month' && !isInMonth(date, chosen.date) && 'calendar-other'];
  const more = found.length - limit;
  return el('li', { class: classes.filter(Boolean).join(' '), 'data-key': date, 'data-day': date },
    el('h3', { 'aria-current': isToday && 'date' }, WIDE.matches ? [el('span', { 'aria-hidden': 'true' }, shortName(date)), el('span', { class: 'visually-hidden' }, longName(date))] : longName(date)),
    found.length > 0 && el('ul', {}, found.slice(0, limit).map((entry) => item(entry, zone)),
      more > 0 && el('li', {}, el('button', { type: 'button', class: 'calendar-more', 'data-week': date, 'aria-label': C.moreOf(more, longName(date)) }, C.more(more)))));
}

function undated({ answer, zone }) {
  return el('section', { class: 'card calendar-undated', 'data-key': 'undated' },
    el('h2', {}, C.undated), el('p', { class: 'hint' }, C.undatedHint),
    el('ul', {}, answer.undated.map((entry) => item(entry, zone))));
}

/** One post: a waiting one is a button that opens it, and can be dragged; another one leads to its video. */
function item(entry, zone) {
  const isWaiting = entry.status === 'waiting';
  const then = entry.at && new Date(entry.at);
  const time = then && timeIn(then, zone);
  const there = then && entry.account_zone && timeIn(then, entry.account_zone);
  const [label, tone] = C.states[entry.status];
  const inside = [
    el('span', { class: 'calendar-head' }, time && el('time', { datetime: entry.at }, time), el('b', {}, entry.title || C.untitled), el('span', { class: 'calendar-part', 'aria-label': C.part(entry.part, entry.of) }, C.shortPart(entry.part, entry.of))),
    el('span', { class: 'calendar-facts calendar-account' }, `${platformName(entry.platform)} ${entry.account}`, there && there !== time && ` · ${C.there(there, entry.account_zone)}`),
    isWaiting ? el('span', { class: 'calendar-facts' }, sentence(entry.reason ?? '')) : pill([label, tone]),
  ];
  const classes = `calendar-entry calendar-${tone}`;
  return el('li', { 'data-key': entry.publication_id },
    isWaiting
      ? el('button', { type: 'button', class: classes, 'data-post': entry.publication_id, draggable: WIDE.matches && Boolean(entry.at) && 'true', 'aria-description': C.move }, inside)
      : el('a', { class: classes, href: videoPath(entry.job_id) }, inside));
}
