/** The card of one part: its picture, its facts and its posts, with what a person can do about each. */

import { connectAddress } from './api.js';
import { el, pill } from './dom.js';
import { position, seconds } from './format.js';
import { codeOf, isStopped, needsPerson, postState, REPAIRABLE } from './part-groups.js';
import { cutReason, gazeRest, gazeResult, hurry, nextAttempt, partState, publicationHint, renderingResult } from './part-words.js';
import { waitingNote } from './waiting.js';
import { OVER, platformName, sentence } from './words.js';

/** The elements inside a card; `view` is that of status-view.js, `isTitled` adds the part's number and state. */
export function partCard(job, part, view, isTitled) {
  const files = Object.fromEntries(Object.entries(part.links ?? {}).filter(([, address]) => !view.missing.has(address)));
  return [
    el('div', { class: 'cover', 'data-key': 'cover-box' },
      files.cover
        ? el('img', { src: files.cover, alt: `Cover of part ${part.number}`, width: 180, height: 320, loading: 'lazy', 'data-key': 'cover' })
        : el('span', { class: 'cover-empty', 'aria-hidden': 'true', 'data-key': 'empty' }, part.number)),
    el('div', { class: 'part-body', 'data-key': 'body' }, isTitled && title(job, part), facts(job, part)),
    looks(job, part, files, view),
    publications(job, part, view),
  ];
}

function title(job, part) {
  const state = job.status === 'review' && part.approved ? ['Approved', 'good'] : partState(isStopped(part, job) ? 'cancelled' : part.status);
  return el('div', { class: 'title-row', 'data-key': 'title' },
    el('h3', { tabindex: '-1', 'data-part': part.number }, `Part ${part.number}/${part.of}`), pill(state));
}

function facts(job, part) {
  const gaze = gazeResult(part.gaze);
  const rest = gazeRest(part.gaze ?? {});
  const why = hurry(part.rendering ?? {});
  const hasReason = !isStopped(part, job) && (part.retry_at || part.reason);
  return [
    el('p', { class: 'facts', 'data-key': 'facts' }, partFacts(part)),
    gaze && el('p', { class: 'facts', 'data-key': 'gaze' }, gaze),
    rest && el('p', { class: 'facts', 'data-key': 'gaze-rest' }, rest),
    why && el('p', { class: 'facts', 'data-key': 'hurry' }, why),
    part.status === 'rendering' && el('progress', { max: 1, value: part.progress ?? 0, 'aria-label': `Part ${part.number}`, 'data-key': 'progress' }),
    hasReason && el('p', { class: 'reason', 'data-key': 'reason' }, nextAttempt('Rendering', part) || sentence(part.reason, '.')),
  ];
}

function look(kind, address, part, label) {
  return el('button', { class: 'button button-small', type: 'button', 'data-key': kind, 'data-look': kind, 'data-number': part.number,
    'data-address': address, 'aria-label': `${label}, part ${part.number}` }, label);
}

/** The buttons of a part: what can be looked at, and its words while they can change. */
function looks(job, part, files, view) {
  const buttons = [
    mayApprove(job, part) && el('button', { class: 'button button-small button-main', type: 'button', 'data-key': 'approvePart', 'data-action': 'approvePart', 'data-number': part.number, 'aria-label': `Approve part ${part.number}`, disabled: view.busy }, 'Approve'),
    files.preview && look('preview', files.preview, part, 'Before / after'),
    files.video && (files.original || files.gaze) && tool('eyes', part, 'Compare'),
    files.video && look('video', files.video, part, 'Watch'),
    files.video && part.publications?.length > 0 && tool('preview', part, 'Preview'),
    files.video && el('a', { class: 'button button-small', href: files.video, download: `part-${String(part.number).padStart(2, '0')}.mp4`, 'data-key': 'download', 'aria-label': `Download part ${part.number}` }, 'Download'),
    (part.publications ?? []).some(({ editable }) => editable) && tool('words', part, 'Words'),
  ].filter(Boolean);
  return buttons.length > 0 && el('div', { class: 'actions part-look', 'data-key': 'look' }, buttons);
}

/** True for a part that only waits for a person's approval; the only part of a video is approved with the video. */
const mayApprove = (job, part) => job.status === 'review' && job.segments.length > 1 && part.approved === false && part.status === 'ready';

function tool(name, part, label) {
  return el('button', { class: 'button button-small', type: 'button', 'data-key': `tool-${name}`, 'data-tool': name, 'data-number': part.number, 'aria-label': `${label}, part ${part.number}` }, label);
}

function partFacts(part) {
  if (!Number.isFinite(part.duration_s)) return '';
  const from = Number.isFinite(part.start_s) ? `${position(part.start_s)}–${position(part.start_s + part.duration_s)}` : '';
  return [seconds(part.duration_s), from, cutReason(part.cut_reason), renderingResult(part.rendering ?? {})].filter(Boolean).join(' · ');
}

function publications(job, part, view) {
  const posts = part.publications ?? [];
  return posts.length > 0 && el('ul', { class: 'posts', 'data-key': 'posts' }, posts.map((post) => publication(job, part, post, view)));
}

function publication(job, part, post, view) {
  const name = platformName(post.platform);
  const link = webAddress(post.link);
  return el('li', { class: 'post', 'data-key': `${post.platform} ${post.account}` },
    el('div', { class: 'post-row' },
      el('span', { class: 'post-name' }, el('b', {}, name), post.account && el('span', { class: 'account' }, post.account)),
      post.status === 'published' && link
        && el('a', { class: 'post-link', href: link, target: '_blank', rel: 'noopener noreferrer', 'data-key': 'link', 'aria-label': `Open part ${part.number} on ${name}` }, 'Open'),
      pill(postState(post))),
    postNotes(job, part, post).map((note) => el('p', { class: 'reason' }, note)),
    choices(job, part, post, view));
}

/** The sentences on a post: when it goes out, why it failed or waits, and what a person can do. */
function postNotes(job, part, post) {
  const reason = post.reason ? sentence(post.reason, '.') : '';
  const code = REPAIRABLE.has(post.status) && post.code ? `Error code: ${post.code}` : '';
  const hint = publicationHint({ ...post, code: codeOf(post) });
  return [!needsPerson(post, job) && waitingNote(post, job, part), reason, hint, code].filter(Boolean);
}

/** What a person can do about a post: give the outcome that only they can find out, retry, skip, connect the account. */
function choices(job, part, post, view) {
  const where = `part ${part.number} on ${platformName(post.platform)}`;
  const buttons = post.id ? offered(job, part, post).map(([action, label]) => postButton(action, label, post.id, where, view.busy)) : [];
  if (post.id) buttons.push(details(post.id, post.status === 'waiting' && !OVER.has(job.status) ? 'Change' : 'History', where));
  const link = accountLink(job, post);
  return (buttons.length > 0 || link) && el('div', { class: 'actions', 'data-key': 'choices' }, buttons, link);
}

function offered(job, part, post) {
  const found = [];
  if (post.status === 'outcome_unknown') found.push(['online', 'It is online'], ['missing', 'It is not there']);
  if (REPAIRABLE.has(post.status) && part.status !== 'failed' && job.status !== 'cancelled' && !job.files_deleted_at) found.push(['repost', 'Try again']);
  if ((REPAIRABLE.has(post.status) || mayBePublic(job, post)) && !OVER.has(job.status)) found.push(['skip', 'Skip it']);
  return found;
}

function accountLink(job, post) {
  if (post.status !== 'waiting' || !needsPerson(post, job)) return null;
  const label = `Connect ${platformName(post.platform)} again`;
  return el('a', { class: 'button button-quiet', href: connectAddress(post.platform), 'data-key': 'connect' }, label);
}

function postButton(action, label, post, where, isBusy) {
  return el('button', { type: 'button', class: 'button button-quiet', 'data-key': action, 'data-action': action, 'data-post': post,
    'aria-label': `${label}: ${where}`, disabled: isBusy }, label);
}

const details = (post, label, where) => el('button', { type: 'button', class: 'button button-small', 'data-key': 'details', 'data-tool': 'post', 'data-post': post, 'aria-label': `${label}: ${where}` }, label);

/** True for a post that waits in a video of a restored backup, and may have been published since that backup. */
const mayBePublic = ({ review }, post) => post.status === 'waiting' && !review?.approved_at && Boolean(review?.reasons?.includes('restored'));

/** Return the link if it is a web address; other schemes might run a script. */
function webAddress(link) {
  return /^https?:\/\//i.test(link ?? '') ? link : null;
}
