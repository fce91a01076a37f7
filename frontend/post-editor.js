/** One post: when it goes out, and what a person can do about that. */

import * as api from './api.js';
import { confirm } from './dialogs.js';
import { el, pill, render } from './dom.js';
import { historyOf } from './post-history.js';
import { postState } from './part-groups.js';
import { videoPath } from './paths.js';
import { POST as P } from './video-words.js';
import { waitingNote } from './waiting.js';
import { platformName, sentence } from './words.js';

export const title = P.tool;

/** action: [fields of PATCH /publications/ID, or null for another request]. */
const CHANGES = {
  hold: { held: true },
  release: { held: false },
  now: { publish_now: true },
  back: { publish_after: null },
};

/** Show the post; `params` is {job, on: its id, onSaved, close}, and `at`, a proposed time, and `isElsewhere` outside of the video's page. Returns a function that leaves it. */
export function show(root, params) {
  const content = el('div', {});
  const isOver = found(params).post.status !== 'waiting'; // then there is nothing else to see
  root.append(content, el('div', { class: 'tool' }, historyOf(params.on, isOver)));
  const tool = { ...params, root: content, busy: false, refusal: '', done: '', isEdited: Boolean(params.at) };
  root.addEventListener('click', ({ target }) => {
    const { change } = target.closest('button')?.dataset ?? {};
    if (change) act(tool, change);
  });
  root.addEventListener('input', () => {
    tool.isEdited = true;
    draw(tool);
  });
  root.addEventListener('submit', (event) => {
    event.preventDefault();
    move(tool);
  });
  draw(tool);
  return () => { tool.root = null; };
}

/** The post in the document, with its part: {part, post}. */
function found({ job, on }) {
  const part = job.segments.find((one) => one.publications.some(({ id }) => id === on));
  return { part, post: part.publications.find(({ id }) => id === on) };
}

async function act(tool, action) {
  if (tool.busy || (P.questions[action] && !(await confirm(...P.questions[action])))) return;
  await send(tool, action, () => (action === 'skip' ? api.skip(tool.on) : api.changePost(tool.on, CHANGES[action])));
}

async function move(tool) {
  const { at, following } = tool.root.querySelector('form').elements;
  if (!at.value) {
    tool.refusal = P.noTime;
    draw(tool);
    at.focus();
    return;
  }
  const change = { publish_after: new Date(at.value).toISOString(), shift_following: Boolean(following?.checked) };
  await send(tool, 'move', () => api.changePost(tool.on, change));
}

async function send(tool, action, request) {
  Object.assign(tool, { busy: true, refusal: '', done: '' });
  draw(tool);
  try {
    await request();
    tool.job = (await api.status(tool.job.job_id)).document;
    Object.assign(tool, { at: null, isEdited: false });
    tool.done = P.sent[action];
  } catch (problem) {
    tool.refusal = problem instanceof api.NoAnswer ? P.lost : sentence(problem.message, '.');
  }
  tool.busy = false;
  draw(tool);
  tool.root?.querySelector('h3')?.focus();
  tool.onSaved(tool.job);
}

function draw(tool) {
  if (!tool.root) return;
  const { part, post } = found(tool);
  const note = post.held ? P.held : waitingNote(post, tool.job, part);
  render(tool.root, el('div', { class: 'tool', 'data-key': 'tool' },
    el('div', { class: 'title-row' },
      el('h3', { tabindex: '-1' }, P.head(platformName(post.platform), post.account, part.number)), pill(postState(post))),
    note && el('p', { 'data-key': 'note' }, note),
    tool.isElsewhere && el('p', { 'data-key': 'video' }, el('a', { class: 'text-link', href: videoPath(tool.job.job_id) }, P.video)),
    el('p', { role: 'status', 'data-key': 'done' }, tool.done),
    el('p', { class: 'field-error', role: 'alert', 'data-key': 'refusal' }, tool.refusal),
    post.status === 'waiting' && choices(tool, part, post),
    canMove(post) && mover(tool, part, post)));
}

/** True where the server knows holds and times of single posts. */
const canMove = (post) => post.status === 'waiting' && typeof post.held === 'boolean';

/** True for a part that nobody has approved in a review that is not over: its posts cannot go out at once. */
const needsApproval = ({ review }, part) => Boolean(review?.reasons?.length) && !review.approved_at && part.approved === false;

function choices({ busy, job }, part, post) {
  const isEarly = needsApproval(job, part);
  const button = (change, label) => el('button', { type: 'button', class: 'button button-quiet', disabled: busy, 'data-change': change, 'data-key': change }, label);
  return el('div', { 'data-key': 'choices' },
    el('div', { class: 'actions' }, canMove(post) && [!isEarly && button('now', P.now), post.held ? button('release', P.release) : button('hold', P.hold)], button('skip', P.skip)),
    canMove(post) && el('p', { class: 'hint below' }, isEarly ? P.approveFirst : P.nowHint));
}

function mover(tool, part, post) {
  const { busy, job } = tool;
  const hasFollowing = job.segments.some((one) => one.number > part.number && one.publications.some((other) => other.account_id === post.account_id && other.status === 'waiting'));
  const at = post.publish_after ?? post.expected_at;
  const value = tool.at ?? (at && localTime(at)); // `at`: a time of the reader's zone that is proposed
  return el('form', { 'data-key': 'move', novalidate: true },
    el('h4', {}, P.move),
    el('div', { class: 'field' },
      el('label', { for: 'move-at' }, P.at),
      el('input', { id: 'move-at', name: 'at', type: 'datetime-local', value, 'aria-describedby': 'move-zone' }),
      el('p', { id: 'move-zone', class: 'hint' }, P.zone(Intl.DateTimeFormat().resolvedOptions().timeZone))),
    hasFollowing && el('div', { class: 'field' }, el('label', { class: 'choice' }, el('input', { type: 'checkbox', name: 'following' }), el('span', {}, P.following))),
    el('div', { class: 'actions' },
      el('button', { class: 'button button-quiet', disabled: busy }, P.save),
      post.publish_after && el('button', { type: 'button', class: 'button button-plain', disabled: busy, 'data-change': 'back', 'data-key': 'back' }, P.backToSchedule),
      el('p', { class: 'hint', role: 'status', 'data-key': 'edited' }, tool.isEdited && P.notMoved)));
}

/** An instant as the field takes it: in the reader's zone, without one. */
function localTime(iso) {
  const then = new Date(iso);
  return new Date(then.getTime() - then.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
