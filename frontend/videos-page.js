/** The page of all videos, newest first. */

import * as api from './api.js';
import { Wait } from './countdown.js';
import { byId, el, pill, render } from './dom.js';
import { moment, percent, seconds, when } from './format.js';
import { videoPath } from './paths.js';
import { poll } from './poll.js';
import { isScheduled, lastAt, nextAt } from './schedule.js';
import { jobName, jobState, OVER, sentence } from './words.js';

const PACE_MS = { moving: 6000, still: 30_000 };
/** The states of posts for which a job that has no next post waits; without one, it waits for a platform. */
const NEEDS_PERSON = ['action_needed', 'failed', 'expired', 'outcome_unknown'];
const wait = new Wait(draw);

let list = { jobs: [], next: null, loaded: false, trouble: '' };
let poller = null;

/** Show the list and keep it up to date; returns a function that leaves it. */
export function show(root) {
  root.append(el('h1', { tabindex: '-1' }, 'Videos'), el('div', { id: 'recent', class: 'card' }));
  byId('recent').addEventListener('click', ({ target }) => {
    if (target.closest('#recent-more')) more();
  });
  draw();
  poller = poll(refresh);
  return () => {
    poller.stop();
    wait.stop();
  };
}

async function refresh(signal) {
  if (wait.leftS) return wait.leftS * 1000; // the page was hidden, or offline, in between
  try {
    const { jobs, next } = await api.jobs(null, signal);
    // Older pages that were opened stay below the new first page.
    const fresh = new Set(jobs.map((job) => job.job_id));
    const oldest = jobs.at(-1)?.created_at ?? '';
    const older = list.jobs.filter((job) => !fresh.has(job.job_id) && job.created_at < oldest);
    list = { jobs: [...jobs, ...older], next: older.length ? list.next : next, loaded: true, trouble: '' };
  } catch (problem) {
    if (problem.status === 401) return null;
    if (signal.aborted) return 0;
    fail(problem);
    if (wait.leftS) return wait.leftS * 1000;
  }
  draw();
  return list.jobs.some((job) => !OVER.has(job.status)) ? PACE_MS.moving : PACE_MS.still;
}

async function more() {
  try {
    const { jobs, next } = await api.jobs(list.next);
    list = { ...list, jobs: [...list.jobs, ...jobs], next, trouble: '' };
  } catch (problem) {
    if (problem.status !== 401) fail(problem);
  }
  draw();
}

function fail(problem) {
  list.trouble = words(problem);
  wait.start(problem.retryAfterS);
}

function words(problem) {
  return problem instanceof api.NoAnswer ? 'The list cannot be loaded right now.' : sentence(problem.message, '.');
}

function draw() {
  if (!byId('recent')) return; // the page was left
  const again = wait.leftS ? ` Trying again in ${seconds(wait.leftS)}.` : '';
  render(byId('recent'),
    list.trouble && el('p', { class: 'field-error', 'data-key': 'trouble' }, list.trouble + again),
    !list.loaded && !list.trouble && el('p', { class: 'hint', 'data-key': 'wait' }, 'One moment…'),
    list.loaded && !list.jobs.length && el('p', { class: 'hint', 'data-key': 'none' }, 'Nothing here yet. ', el('a', { class: 'text-link', href: '/new' }, 'Upload a video')),
    list.jobs.length > 0 && el('ul', { class: 'jobs', 'data-key': 'jobs' }, list.jobs.map(row)),
    list.next && el('button', {
      id: 'recent-more', class: 'button button-quiet button-wide', type: 'button', 'data-key': 'more', disabled: wait.leftS > 0,
    }, 'Show more'));
}

function row(job) {
  return el('li', { 'data-key': job.job_id },
    el('a', { class: 'job-link', href: videoPath(job.job_id) },
      el('span', { class: 'job-name' },
        el('b', {}, jobName(job)),
        el('span', { class: 'hint' }, facts(job))),
      pill(state(job))));
}

/** The state of a job in the list: [text, tone]. */
function state(job) {
  if (isScheduled(job)) return ['Scheduled', 'wait'];
  if (job.phase !== 'blocked') return jobState(job.status);
  return NEEDS_PERSON.some((status) => job.posts?.[status]) ? jobState('review') : ['Waiting', 'wait'];
}

/** The dates of a job's posts while they wait for them, else the date of its upload and its progress. */
function facts(job) {
  const last = Date.parse(lastAt(job)) > Date.parse(nextAt(job)) ? `, all out by ${when(lastAt(job))}` : '';
  if (isScheduled(job)) return `Next ${when(nextAt(job))}${last}`;
  return [moment(job.created_at), job.status === 'processing' && job.progress && percent(job.progress)].filter(Boolean).join(' · ');
}
