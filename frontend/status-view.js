/** One job's status document as page elements: pure functions, no network, no listeners. */

import { el, pill } from './dom.js';
import { moment, percent, when } from './format.js';
import { needsPerson, REPAIRABLE } from './part-groups.js';
import { partList } from './part-list.js';
import { nextAttempt, reviewQuestion, warning } from './part-words.js';
import { expectedAt, isScheduled, isSending, lastAt, nextAt } from './schedule.js';
import { preparationLeft, stages } from './stages.js';
import { jobName, jobState, OVER, platformName, sentence } from './words.js';

const MAYBE_OUT = new Set(['publishing', 'action_needed', 'outcome_unknown']);

/**
 * Return the elements of a whole job.
 *
 * `view` is the state of the page: {missing: Set of file addresses that did not load, busy: an action is in progress or
 * has to wait, deleting: the files are being deleted, trouble and refusal: texts or '', filter: a key of FILTERS,
 * open: Set of the numbers of opened parts}.
 */
export function jobView(job, view) {
  const parts = job.segments ?? [];
  return [
    header(job, parts),
    notice('trouble', view.trouble),
    notice('refusal', view.refusal),
    job.error && el('p', { class: 'notice notice-bad', 'data-key': 'error' }, sentence(job.error, '.')),
    retryNotice(job) && el('p', { class: 'notice notice-warn', 'data-key': 'again' }, retryNotice(job)),
    reviewReasons(job) && review(job, parts, view),
    ...warnings(job),
    actions(job, parts, view),
    ...partList(job, view),
  ];
}

const isReady = (part) => part.status === 'ready' || part.status === 'done';

/** A notice; its last word may be the time of a countdown, which status.js writes each second. */
const notice = (key, text) => text && el('p', { class: 'notice notice-bad', 'data-key': key }, text);

const retryNotice = (job) => nextAttempt('Examining the video', job);

/** The warnings about the file, except one that is also the question of the review. */
function warnings(job) {
  return (job.warnings ?? []).filter((code) => !reviewReasons(job)?.includes(code)).map((code) =>
    el('p', { class: 'notice notice-warn', 'data-key': `warning-${code}` }, warning(code)));
}

/** The reasons for which a job waits for approval, or null. */
function reviewReasons(job) {
  const { reasons, approved_at: approvedAt } = job.review ?? {};
  return reasons?.length && !approvedAt && !OVER.has(job.status) ? reasons : null;
}

/** The question of the review, with the buttons that approve and cancel. */
function review(job, parts, { busy }) {
  const isEarly = !parts.some(isReady);
  const questions = reviewReasons(job).map((code) => reviewQuestion(code, isEarly));
  return el('section', { class: 'notice notice-warn review', 'data-key': 'review', 'aria-label': 'Your approval' },
    questions.map(([question]) => el('p', {}, question)),
    el('div', { class: 'actions' },
      button('approve', questions.length === 1 ? questions[0][1] : 'Publish', isEarly ? 'button-quiet' : 'button-main', busy),
      button('refuse', 'Do not publish', 'button-quiet', busy)));
}

function header(job, parts) {
  const share = progressShare(job, parts);
  return el('header', { class: 'job-head', 'data-key': 'head' },
    el('div', { class: 'title-row', 'data-key': 'title' },
      el('h1', { id: 'job-title', tabindex: '-1' }, jobName(job)),
      pill(jobPill(job))),
    el('p', { class: 'lead', 'data-key': 'lead' }, summary(job, parts)),
    share !== null && el('div', { class: 'progress-row', 'data-key': 'progress' },
      el('progress', { max: 1, value: share, 'aria-labelledby': 'job-title' }),
      el('span', { class: 'percent' }, percent(share)),
      preparationLeft(job) && el('span', { class: 'hint', 'data-key': 'left' }, preparationLeft(job))),
    stages(job),
    el('p', { class: 'hint', 'data-key': 'dates' }, [
      job.created_at && `Uploaded ${moment(job.created_at)}`,
      job.files_deleted_at && `files removed ${moment(job.files_deleted_at)}`,
    ].filter(Boolean).join(' · ')));
}

/** The state of a job: [text, tone]; with the date of the next post while nothing happens before it. */
export function jobPill(job) {
  if (isScheduled(job)) return [`Scheduled · ${when(nextAt(job))}`, 'wait'];
  return waitsForPerson(job) ? jobState('review') : jobState(job.status);
}

/** Return whether a job goes on only after a person has done something about its posts. */
function waitsForPerson(job) {
  const posts = (job.segments ?? []).flatMap((part) => part.publications ?? []);
  return job.status === 'publishing' && !isSending(job) && posts.some((post) => needsPerson(post, job) || post.code === 'held');
}

/** The progress to show, 0 to 1, or null while nothing moves. */
function progressShare(job, parts) {
  if (job.status === 'processing') return job.retry_at ? null : job.progress ?? 0;
  if (job.status !== 'publishing' || !isSending(job)) return null;
  const posts = parts.flatMap((part) => part.publications ?? []);
  return posts.filter((post) => post.status === 'published').length / posts.length;
}

/** The state of the job in one or two sentences. */
export function summary(job, parts) {
  const posts = parts.flatMap((part) => part.publications ?? []);
  const published = posts.filter((post) => post.status === 'published').length;
  const done = parts.filter(isReady).length;
  const words = {
    pending: () => 'Your video has arrived. Work on it starts in a moment.',
    processing: () => (parts.length ? `${done} of ${count(parts.length, 'part')} ready.` : 'Looking for good places to cut.'),
    review: () => `${done} of ${count(parts.length, 'part')} ready. ${approvedParts(parts)}`,
    publishing: () => `${published} of ${count(posts.length, 'post')} published.`,
    completed: () => finished(parts, posts, published),
    completed_with_errors: () => `Finished, but not everything worked: ${published} of ${count(posts.length, 'post')} published.`,
    failed: () => 'This video could not be prepared.',
    cancelled: () => stopped(posts, published),
  };
  return [words[job.status]?.(), askingPosts(job, posts), heldPosts(job, posts), nextPost(job, posts), lastPost(job)].filter(Boolean).join(' ');
}

function approvedParts(parts) {
  const approved = parts.filter((part) => part.approved).length;
  return approved ? `${approved} approved; the others wait for you.` : 'Nothing is published before you approve it.';
}

/** A sentence on whether anything is public; empty while a post's outcome is unknown. */
function stopped(posts, published) {
  if (published) return 'You stopped this video. Posts that were already published stay online.';
  return posts.some((post) => MAYBE_OUT.has(post.status)) ? 'You stopped this video.' : 'You stopped this video. Nothing was published.';
}

function finished(parts, posts, published) {
  if (!posts.length) return parts.length === 1 ? 'The part is ready.' : `All ${count(parts.length, 'part')} are ready.`;
  if (published === posts.length) return posts.length === 1 ? 'The post is published.' : `All ${count(posts.length, 'post')} are published.`;
  return `${published} of ${count(posts.length, 'post')} published.`;
}

/** A sentence on the posts that wait because an earlier part was not published. */
function heldPosts(job, posts) {
  const held = posts.filter((post) => post.status === 'waiting' && post.code === 'held').length;
  return held && !OVER.has(job.status) ? `${held === 1 ? 'One later post waits' : `${held} later posts wait`} for a part that was not published: try it again or skip it.` : '';
}

/** A sentence on the posts that need a person, while other posts may hide them. */
function askingPosts(job, posts) {
  const asking = posts.filter((post) => needsPerson(post, job)).length;
  return asking && job.status !== 'cancelled' ? `${count(asking, 'post')} ${asking === 1 ? 'needs' : 'need'} you.` : '';
}

function nextPost(job, posts) {
  if (OVER.has(job.status)) return '';
  const dated = posts.filter((post) => Date.parse(expectedAt(post)) > Date.now());
  if (!dated.length) return '';
  const next = dated.reduce((first, post) => (Date.parse(expectedAt(post)) < Date.parse(expectedAt(first)) ? post : first));
  return `Next: ${platformName(next.platform)}, ${moment(expectedAt(next))}.`;
}

/** A sentence on the end of all posts; empty while it is not known, or is the next post. */
function lastPost(job) {
  const [last, next] = [lastAt(job), nextAt(job)];
  const hasMore = next ? Date.parse(last) > Date.parse(next) : !job.segments?.length; // before the plan it is an estimate
  const at = job.all_out_by ?? last;
  return !OVER.has(job.status) && hasMore && at ? `All out by ${next ? '' : 'about '}${when(at)}.` : '';
}

function actions(job, parts, { busy, deleting }) {
  const over = OVER.has(job.status);
  const removing = deleting || job.status === 'cancelled'; // a cancelled job's files are deleted automatically
  return el('div', { class: 'actions job-actions', 'data-key': 'actions' },
    canChangeWords(job, parts) && toolButton('words', 'Edit the words'),
    canChangeWords(job, parts) && toolButton('options', 'Options'),
    canChangeCuts(job, parts) && toolButton('cuts', 'Change the cuts'),
    parts.length > 1 && parts.some((part) => part.links?.video) && el('a', { class: 'button button-quiet', href: `/jobs/${encodeURIComponent(job.job_id)}/videos.zip`, download: true, 'data-key': 'archive' }, 'Download all'),
    repairable(job, parts) && button('retry', parts.length ? 'Try again what failed' : 'Try again', 'button-main', busy),
    isWaiting(job, parts) && (job.held ? button('release', 'Release this video', 'button-main', busy) : button('hold', 'Hold this video', 'button-quiet', busy)),
    !over && !reviewReasons(job) && button('cancel', 'Stop this video', 'button-quiet', busy),
    over && !job.files_deleted_at && button('delete', removing ? 'Removing files…' : 'Delete files', 'button-quiet', busy || removing));
}

/** Return whether the words of at least one post can still change. */
function canChangeWords(job, parts) {
  const posts = parts.flatMap((part) => part.publications ?? []);
  return !job.files_deleted_at && (posts.length ? posts.some(({ editable }) => editable) : !OVER.has(job.status));
}

/** Return whether the uploaded video is still there, and a part of which no post has begun, so that its cuts can change. */
const canChangeCuts = (job, parts) => parts.length > 0 && !OVER.has(job.status) && !job.files_deleted_at && job.source_deleted_at === null
  && parts.some((part) => (part.publications ?? []).every(({ status }) => status === 'waiting'));

/** Return whether posts are still to go out, so that a person can hold them. */
const isWaiting = (job, parts) => !OVER.has(job.status) && !reviewReasons(job) && typeof job.held === 'boolean' && parts.some((part) => (part.publications ?? []).some(({ status }) => status === 'waiting'));

const toolButton = (tool, label) => el('button', { class: 'button button-quiet', type: 'button', 'data-key': tool, 'data-tool': tool }, label);

/** Return whether a retry may help. */
export function repairable(job, parts) {
  if (job.status === 'cancelled' || job.files_deleted_at) return false;
  return job.status === 'failed' || parts.some((part) => part.status === 'failed' || (part.publications ?? []).some((post) => REPAIRABLE.has(post.status)));
}

function button(action, label, look, busy) {
  return el('button', { class: `button ${look}`, type: 'button', 'data-key': action, 'data-action': action, disabled: busy }, label);
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
