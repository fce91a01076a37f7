/** The view of one job: polls its status while it is shown, and sends approve, cancel, retry and delete. */

import * as api from './api.js';
import { announce, announceTenths } from './announce.js';
import { Wait } from './countdown.js';
import { confirm, showPicture, showVideo } from './dialogs.js';
import { byId, el, render } from './dom.js';
import { moment, percent, seconds } from './format.js';
import { FILTERS, partsIn } from './part-groups.js';
import { openedBy } from './part-list.js';
import { poll } from './poll.js';
import { jobView } from './status-view.js';
import { setViewTitle } from './title.js';
import { openTool } from './tools.js';
import { jobName, jobState, OVER, sentence } from './words.js';

/** Milliseconds between two polls: the first value after a change, rising to the second. */
const PACE = { pending: [2000, 5000], processing: [2000, 6000], publishing: [4000, 30_000] };
const SLOWER = 1.5;
/** A finished job changes only through actions elsewhere (for example, a draft is posted in the platform's app). */
const PACE_WHEN_OVER_MS = 60_000;
const PACE_WHILE_DELETING_MS = 1500;
/** A cancelled job's files are deleted at once, or after a running upload to a platform. */
const SLOWEST_WHILE_DELETING_MS = 15_000;
const OPEN_ENDED = new Set(['action_needed', 'outcome_unknown']);

const QUESTIONS = {
  cancel: ['Stop this video?', 'No more parts are prepared or published, and its files are deleted. What is already published stays online.', 'Stop it', 'Keep going'],
  refuse: ['Do not publish this video?', 'Its parts and the uploaded file are deleted.', 'Do not publish', 'Back'],
  online: ['Is it online?', 'You looked on the platform and the post is there. The parts after it go on.', 'It is online', 'Back'],
  missing: ['Is it not there?', 'You looked on the platform and the post is not there. You can then try it again.', 'It is not there', 'Back'],
  skip: ['Skip this post?', 'It is not published on this account. The parts after it go on without it.', 'Skip it', 'Back'],
  repostOutOfOrder: ['Publish it after the others?', 'Later parts of this video are already published there, so this part would appear after them.', 'Publish it now', 'Back'],
  delete: ['Delete the files?', 'The video and its parts are removed from the server for good. What is already published stays online.', 'Delete', 'Keep them'],
};
const REQUESTS = {
  approve: (jobId) => api.approve(jobId),
  approvePart: (jobId, _post, number) => api.approve(jobId, [Number(number)]),
  hold: (jobId) => api.changeJob(jobId, { held: true }),
  release: (jobId) => api.changeJob(jobId, { held: false }),
  cancel: api.cancel,
  refuse: api.cancel,
  retry: api.retry,
  delete: api.remove,
  online: (_jobId, post) => api.resolve(post, true),
  missing: (_jobId, post) => api.resolve(post, false),
  skip: (_jobId, post) => api.skip(post),
  repost: (_jobId, post) => repost(post),
};

/** Try a post again; ask first if it would appear after later parts. */
async function repost(post) {
  try {
    await api.repost(post, false);
  } catch (problem) {
    if (problem.code !== 'out_of_order') throw problem;
    if (await confirm(...QUESTIONS.repostOutOfOrder)) await api.repost(post, true);
  }
}

let shown = null;
let onGone = () => {};

/** Show the job with this id, and poll it until `closeJob`. */
export function openJob(jobId) {
  closeJob();
  shown = {
    jobId, job: null, etag: null, readAt: null, waitMs: 0, missing: new Set(), isActing: false, deleting: false, trouble: '', refusal: '',
    filter: 'all', open: new Set(), tenths: announceTenths(),
  };
  render(byId('job'), el('h1', { id: 'job-title', tabindex: '-1' }, 'Your video'), el('p', { class: 'loading' }, 'One moment…'));
  const mine = shown;
  mine.pollWait = new Wait(() => draw(mine));
  mine.actWait = new Wait(() => endWait(mine));
  mine.poller = poll((signal) => ask(mine, signal));
}

export function closeJob() {
  shown?.poller.stop();
  shown?.pollWait.stop();
  shown?.actWait.stop();
  shown = null;
}

function endWait(view) {
  if (!view.actWait.leftS) {
    view.refusal = '';
    announce('You can try again now.');
  }
  draw(view);
}

/** Add the listeners of the view's buttons; `leave` is called when the job was deleted with its record. */
export function startStatus(leave) {
  onGone = leave;
  byId('job').addEventListener('click', ({ target }) => {
    const button = target.closest('button');
    const { action, look, number, address, post, filter, tool } = button?.dataset ?? {};
    if (tool && shown) use(shown, tool, button.dataset);
    if (action) act(shown, action, post, number);
    if (filter) choose(shown, filter);
    if (button?.matches('.row-head')) toggle(shown, Number(button.dataset.part));
    if (look === 'preview') showPicture(`Part ${number}: before and after`, address, `Part ${number}: the pictures as filmed beside the corrected ones, and a chart of how far the eyes were off the lens over time`);
    if (look === 'video') showVideo(`Part ${number}`, address);
  });
  // The error events of pictures do not bubble, so the listener uses the capture phase.
  byId('job').addEventListener('error', ({ target }) => {
    if (target.tagName !== 'IMG' || !shown) return;
    shown.missing.add(target.getAttribute('src'));
    draw(shown);
  }, true);
}

async function ask(view, signal) {
  if (view.pollWait.leftS) return view.pollWait.leftS * 1000; // the page was hidden, or offline, in between
  try {
    const answer = await api.status(view.jobId, view.etag, signal);
    view.trouble = '';
    view.readAt = new Date().toISOString();
    if (answer) accept(view, answer);
    else view.waitMs *= SLOWER;
  } catch (problem) {
    return signal.aborted ? 0 : stumble(view, problem);
  }
  draw(view);
  return pace(view);
}

function accept(view, { document, etag }) {
  if (view === shown) report(view, view.job, document);
  Object.assign(view, { job: document, etag, waitMs: 0 });
}

function pace(view) {
  const { job } = view;
  if (view.deleting && !job.files_deleted_at) return PACE_WHILE_DELETING_MS;
  if (job.status === 'cancelled' && !job.files_deleted_at) return slower(view, PACE_WHILE_DELETING_MS, SLOWEST_WHILE_DELETING_MS);
  if (OVER.has(job.status)) {
    const open = job.segments?.some((part) => part.publications?.some((post) => OPEN_ENDED.has(post.status)));
    return open ? PACE_WHEN_OVER_MS : null;
  }
  return slower(view, ...(PACE[job.status] ?? PACE.publishing));
}

function slower(view, shortest, longest) {
  view.waitMs = Math.min(longest, Math.max(shortest, view.waitMs));
  return view.waitMs;
}

function stumble(view, problem) {
  if (problem.status === 401) return null; // the sign-in view is shown, and this job again after it
  if (problem.status === 404) {
    if (view === shown && view.deleting) onGone();
    else if (view === shown) render(byId('job'), gone());
    return null;
  }
  const since = view.readAt ? ` This is how it stood ${moment(view.readAt)}.` : '';
  const what = words(problem);
  if (!view.trouble) announce(what);
  view.trouble = `${what}${since}`;
  view.waitMs = Math.min(30_000, Math.max(3000, view.waitMs * SLOWER));
  view.pollWait.start(problem.retryAfterS);
  draw(view);
  return Math.max(view.waitMs, view.pollWait.leftS * 1000);
}

function words(problem) {
  if (!(problem instanceof api.NoAnswer)) return sentence(problem.message, '.');
  return navigator.onLine ? 'The server cannot be reached.' : 'You are offline.';
}

/** Open a tool for the video, a part of it or a post. */
function use(view, tool, { number, post }) {
  const onSaved = (job = view.job) => {
    view.job = job; // the next poll may take a while
    draw(view);
    view.poller.now();
  };
  openTool(tool, { job: view.job, part: Number(number) || '', on: post ?? '', onSaved });
}

/** Show the parts of a filter, opened if they are few. */
function choose(view, filter) {
  view.filter = filter;
  for (const number of openedBy(filter, view.job)) view.open.add(number);
  draw(view);
  announce(`${FILTERS[filter]}: ${partsIn(filter, view.job).length} of ${view.job.segments.length} parts.`);
}

/** Open or close the row of a part. */
function toggle(view, number) {
  if (!view.open.delete(number)) view.open.add(number);
  draw(view);
}

function draw(view) {
  if (view !== shown) return;
  const hadFocus = byId('job').contains(document.activeElement);
  if (view.job) {
    render(byId('job'), ...jobView(view.job, { ...view, busy: isBusy(view), trouble: troubleText(view), refusal: refusalText(view) }));
    setViewTitle(jobName(view.job));
  } else {
    render(byId('job'), el('h1', { id: 'job-title', tabindex: '-1' }, 'Your video'), troubleText(view) && el('p', { class: 'notice notice-bad' }, troubleText(view)));
  }
  // The focused part may have left the filter: keep the place of a person who works without a pointer.
  if (hadFocus && !byId('job').contains(document.activeElement)) (byId('parts-title') ?? byId('job-title')).focus({ preventScroll: true });
}

function troubleText({ trouble, pollWait }) {
  if (!trouble) return '';
  return pollWait.leftS ? `${trouble} Trying again in ${seconds(pollWait.leftS)}.` : `${trouble} Trying again by itself.`;
}

function refusalText({ refusal, actWait }) {
  return actWait.leftS ? `${refusal} You can try again in ${seconds(actWait.leftS)}.` : refusal;
}

function gone() {
  return [
    el('h1', { id: 'job-title', tabindex: '-1' }, 'This video is not here'),
    el('p', { class: 'lead' }, 'It may have been deleted, or the link is not complete.'),
  ];
}

/** Announce a new state, another tenth of the progress, and parts that became ready. */
function report(view, before, after) {
  if (!before) return;
  const ready = (job) => job.segments?.filter((part) => part.status === 'ready' || part.status === 'done').length ?? 0;
  if (before.status !== after.status) announce(`${jobState(after.status)[0]}.`);
  else if (ready(after) > ready(before)) announce(`${ready(after)} of ${after.segments.length} parts ready.`);
  else view.tenths(after.progress, `${jobState(after.status)[0]}, ${percent(after.progress)}.`);
}

async function act(view, action, post, number) {
  if (!view || isBusy(view) || (QUESTIONS[action] && !(await confirm(...QUESTIONS[action])))) return;
  const pressed = document.activeElement?.closest('[data-action]');
  Object.assign(view, { isActing: true, refusal: '' });
  draw(view);
  try {
    await REQUESTS[action](view.jobId, post, number);
    view.deleting = action === 'delete';
  } catch (problem) {
    refuse(view, problem);
  }
  view.isActing = false;
  if (view !== shown) return;
  draw(view);
  if (view.refusal && pressed?.isConnected && !pressed.disabled) pressed.focus();
  if (view.refusal) return;
  focusAfter(pressed);
  view.poller.now();
}

function refuse(view, problem) {
  const again = problem instanceof api.NoAnswer ? ' Please try again.' : '';
  view.refusal = words(problem) + again;
  view.actWait.start(problem.retryAfterS);
  announce(refusalText(view));
}

const isBusy = (view) => view.isActing || view.actWait.leftS > 0;

/** Focus the part whose button was pressed, or the title: the button may be removed. */
function focusAfter(pressed) {
  const part = pressed?.closest('[data-key^="part-"]');
  (part?.querySelector('[data-part]') ?? byId('job-title')).focus();
}
