/** The page of what goes out when: the expected posts of the next weeks, by day. */

import * as api from './api.js';
import { el, render } from './dom.js';
import { clock, day } from './format.js';
import { videoPath } from './paths.js';
import { poll } from './poll.js';
import { platformName, sentence } from './words.js';

const PACE_MS = 60_000;

/** Show the expected posts and keep them up to date; returns a function that leaves the page. */
export function show(root) {
  const list = el('div', { id: 'agenda' });
  root.append(el('h1', { tabindex: '-1' }, 'Calendar'), list);
  render(list, el('p', { class: 'hint' }, 'One moment…'));
  const poller = poll(async (signal) => {
    try {
      draw(list, (await api.forecast(signal)).posts);
    } catch (problem) {
      if (problem.status === 401) return null;
      if (!signal.aborted) render(list, el('p', { class: 'field-error' }, problem instanceof api.NoAnswer ? 'The calendar cannot be loaded right now.' : sentence(problem.message, '.')));
    }
    return PACE_MS;
  });
  return poller.stop;
}

function draw(list, posts) {
  const days = grouped(posts);
  render(list, posts.length
    ? [...days].map(([date, entries]) => el('section', { class: 'card agenda-day', 'data-key': date, 'aria-label': date }, el('h2', {}, sentence(date)), el('ul', { class: 'jobs' }, entries.map(entry))))
    : el('p', { class: 'hint' }, 'Nothing is scheduled in the next 30 days. ', el('a', { class: 'text-link', href: '/new' }, 'Upload a video')));
}

const dayOf = ({ expected_at: at }) => day(new Date(at), new Date());

function grouped(posts) {
  const days = new Map();
  for (const post of posts) days.set(dayOf(post), [...(days.get(dayOf(post)) ?? []), post]);
  return days;
}

function entry(post) {
  return el('li', { 'data-key': post.publication_id },
    el('a', { class: 'job-link', href: videoPath(post.job_id) },
      el('span', { class: 'job-name' },
        el('b', {}, post.title || 'Untitled video'),
        el('span', { class: 'hint' }, `Part ${post.number}/${post.of} · ${platformName(post.platform)} ${post.account}`)),
      el('span', { class: 'percent' }, clock(new Date(post.expected_at)))));
}
