/** One job's status document as page elements: pure functions, no network, no listeners. */

import { el } from './dom.js';
import { moment, percent, position, seconds } from './format.js';
import {
  cutReason, gazeRest, gazeResult, jobName, jobState, nextAttempt, partState, platformName, publicationHint, publicationState, renderingResult, reviewQuestion, sentence,
  warning,
} from './words.js';

export const OVER = new Set(['completed', 'completed_with_errors', 'failed', 'cancelled']);
const MAYBE_OUT = new Set(['publishing', 'action_needed', 'outcome_unknown']);
const REPAIRABLE = new Set(['failed', 'expired']);

/**
 * Return the elements of a whole job.
 *
 * `view` is the state of the page: {missing: Set of file addresses that did not load, busy: an action is in progress,
 * deleting: the files are being deleted, trouble: text or '', stale: ISO instant of the document when trouble began}.
 */
export function jobView(job, view) {
  const parts = job.segments ?? [];
  return [
    header(job, parts),
    view.trouble && el('p', { class: 'notice notice-bad', 'data-key': 'trouble' }, view.trouble),
    job.error && el('p', { class: 'notice notice-bad', 'data-key': 'error' }, sentence(job.error, '.')),
    retryNotice(job) && el('p', { class: 'notice notice-warn', 'data-key': 'again' }, retryNotice(job)),
    reviewReasons(job) && review(job, view),
    ...warnings(job),
    actions(job, parts, view),
    parts.length > 0 && el('h2', { class: 'parts-title', 'data-key': 'parts-title' }, parts.length === 1 ? 'One part' : `${parts.length} parts`),
    parts.length > 0 && el('ol', { class: 'parts', 'data-key': 'parts' }, parts.map((part) => partCard(job, part, view.missing))),
  ];
}

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
function review(job, { busy }) {
  const questions = reviewReasons(job).map(reviewQuestion);
  return el('section', { class: 'notice notice-warn review', 'data-key': 'review', 'aria-label': 'Your approval' },
    questions.map(([question]) => el('p', {}, question)),
    el('div', { class: 'actions' },
      button('approve', questions.length === 1 ? questions[0][1] : 'Publish', 'button-main', busy),
      button('refuse', 'Do not publish', 'button-quiet', busy)));
}

function header(job, parts) {
  const over = OVER.has(job.status);
  return el('header', { class: 'job-head', 'data-key': 'head' },
    el('div', { class: 'title-row' },
      el('h1', { id: 'job-title', tabindex: '-1' }, jobName(job)),
      pill(jobState(job.status))),
    el('p', { class: 'lead' }, summary(job, parts)),
    !over && el('div', { class: 'progress-row' },
      el('progress', { max: 1, value: job.progress ?? 0, 'aria-labelledby': 'job-title' }),
      el('span', { class: 'percent' }, percent(job.progress ?? 0))),
    el('p', { class: 'hint' }, [
      job.created_at && `Uploaded ${moment(job.created_at)}`,
      job.files_deleted_at && `files removed ${moment(job.files_deleted_at)}`,
    ].filter(Boolean).join(' · ')));
}

/** The state of the job in one or two sentences. */
export function summary(job, parts) {
  const posts = parts.flatMap((part) => part.publications ?? []);
  const published = posts.filter((post) => post.status === 'published').length;
  const done = parts.filter((part) => part.status === 'ready' || part.status === 'done').length;
  const words = {
    pending: () => 'Your video has arrived. Work on it starts in a moment.',
    processing: () => (parts.length ? `${done} of ${count(parts.length, 'part')} ready.` : 'Looking for good places to cut.'),
    review: () => `${done} of ${count(parts.length, 'part')} ready. Nothing is published before you approve it.`,
    publishing: () => `${published} of ${count(posts.length, 'post')} published.`,
    completed: () => finished(parts, posts, published),
    completed_with_errors: () => `Finished, but not everything worked: ${published} of ${count(posts.length, 'post')} published.`,
    failed: () => 'This video could not be prepared.',
    cancelled: () => stopped(posts, published),
  };
  return [words[job.status]?.(), heldPosts(job, posts), nextPost(job, posts)].filter(Boolean).join(' ');
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

function nextPost(job, posts) {
  if (OVER.has(job.status)) return '';
  const due = posts.filter((post) => post.status === 'waiting' && Date.parse(post.due_at) > Date.now());
  if (!due.length) return '';
  const next = due.reduce((first, post) => (Date.parse(post.due_at) < Date.parse(first.due_at) ? post : first));
  return `Next: ${platformName(next.platform)}, ${moment(next.due_at)}.`;
}

function actions(job, parts, { busy, deleting }) {
  const over = OVER.has(job.status);
  const removing = deleting || job.status === 'cancelled'; // a cancelled job's files are deleted automatically
  return el('div', { class: 'actions job-actions', 'data-key': 'actions' },
    repairable(job, parts) && button('retry', parts.length ? 'Try again what failed' : 'Try again', 'button-main', busy),
    !over && !reviewReasons(job) && button('cancel', 'Stop this video', 'button-quiet', busy),
    over && !job.files_deleted_at && button('delete', removing ? 'Removing files…' : 'Delete files', 'button-quiet', busy || removing));
}

/** Return whether a retry may help. */
export function repairable(job, parts) {
  if (job.status === 'cancelled' || job.files_deleted_at) return false;
  return job.status === 'failed' || parts.some((part) => part.status === 'failed' || (part.publications ?? []).some((post) => REPAIRABLE.has(post.status)));
}

function button(action, label, look, busy) {
  return el('button', { class: `button ${look}`, type: 'button', 'data-key': action, 'data-action': action, disabled: busy }, label);
}

function partCard(job, part, missing) {
  const files = Object.fromEntries(Object.entries(part.links ?? {}).filter(([, address]) => !missing.has(address)));
  const gaze = gazeResult(part.gaze);
  const rest = gazeRest(part.gaze ?? {});
  const cancelled = job.status === 'cancelled' && part.status === 'failed' && part.reason === 'cancelled';
  return el('li', { class: 'card part', 'data-key': `part-${part.number}` },
    el('div', { class: 'cover' },
      files.cover
        ? el('img', { src: files.cover, alt: `Cover of part ${part.number}`, width: 180, height: 320, loading: 'lazy', 'data-key': 'cover' })
        : el('span', { class: 'cover-empty', 'aria-hidden': 'true', 'data-key': 'empty' }, part.number)),
    el('div', { class: 'part-body' },
      el('div', { class: 'title-row' }, el('h3', {}, `Part ${part.number}/${part.of}`), pill(partState(cancelled ? 'cancelled' : part.status))),
      el('p', { class: 'facts' }, partFacts(part)),
      gaze && el('p', { class: 'facts', 'data-key': 'gaze' }, gaze),
      rest && el('p', { class: 'facts', 'data-key': 'gaze-rest' }, rest),
      part.status === 'rendering' && el('progress', { max: 1, value: part.progress ?? 0, 'aria-label': `Part ${part.number}`, 'data-key': 'progress' }),
      !cancelled && (part.retry_at || part.reason) && el('p', { class: 'reason', 'data-key': 'reason' }, nextAttempt('Rendering', part) || sentence(part.reason, '.'))),
    (files.preview || files.video) && el('div', { class: 'actions part-look', 'data-key': 'look' },
      files.preview && look('preview', files.preview, part, 'Before / after'),
      files.video && look('video', files.video, part, 'Watch')),
    publications(job, part));
}

function look(kind, address, part, label) {
  return el('button', { class: 'button button-small', type: 'button', 'data-key': kind, 'data-look': kind, 'data-number': part.number,
    'data-address': address, 'aria-label': `${label}, part ${part.number}` }, label);
}

function partFacts(part) {
  if (!Number.isFinite(part.duration_s)) return '';
  const from = Number.isFinite(part.start_s) ? `${position(part.start_s)}–${position(part.start_s + part.duration_s)}` : '';
  return [seconds(part.duration_s), from, cutReason(part.cut_reason), renderingResult(part.rendering ?? {})].filter(Boolean).join(' · ');
}

function publications(job, part) {
  const posts = part.publications ?? [];
  return posts.length > 0 && el('ul', { class: 'posts', 'data-key': 'posts' }, posts.map((post) => publication(job, part, post)));
}

function publication(job, part, post) {
  const name = platformName(post.platform);
  const link = webAddress(post.link);
  return el('li', { class: 'post', 'data-key': `${post.platform} ${post.account}` },
    el('div', { class: 'post-row' },
      el('span', { class: 'post-name' }, el('b', {}, name), post.account && el('span', { class: 'account' }, post.account)),
      post.status === 'published' && link
        && el('a', { class: 'post-link', href: link, target: '_blank', rel: 'noopener noreferrer', 'data-key': 'link', 'aria-label': `Open part ${part.number} on ${name}` }, 'Open'),
      pill(publicationState(post))),
    postNotes(post).map((note) => el('p', { class: 'reason' }, note)),
    post.id && choices(job, part, post));
}

/** What a person can decide about a post: the outcome that only they can find out; a retry; that the later parts go on without it. */
function choices(job, part, post) {
  const offered = [];
  if (post.status === 'outcome_unknown') offered.push(['online', 'It is online'], ['missing', 'It is not there']);
  if (REPAIRABLE.has(post.status) && part.status !== 'failed' && job.status !== 'cancelled' && !job.files_deleted_at) offered.push(['repost', 'Try again']);
  if (REPAIRABLE.has(post.status) && !OVER.has(job.status)) offered.push(['skip', 'Skip it']);
  const where = `part ${part.number} on ${platformName(post.platform)}`;
  return offered.length > 0 && el('div', { class: 'actions' }, offered.map(([action, label]) => postButton(action, label, post.id, where)));
}

function postButton(action, label, post, where) {
  return el('button', { type: 'button', class: 'button button-quiet', 'data-key': action, 'data-action': action, 'data-post': post, 'aria-label': `${label}: ${where}` }, label);
}

function postNotes(post) {
  const due = post.status === 'waiting' && post.due_at ? `Goes out ${moment(post.due_at)}` : '';
  return [due, post.reason ? sentence(post.reason, '.') : '', publicationHint(post)].filter(Boolean);
}

/** Return the link if it is a web address; other schemes might run a script. */
function webAddress(link) {
  return /^https?:\/\//i.test(link ?? '') ? link : null;
}

export function pill([label, tone]) {
  return el('span', { class: `pill pill-${tone}` }, label);
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
