/** Groups the parts of a job by the state of their posts: the filters of its list, and the state of each row. */

import { percent, seconds } from './format.js';
import { partState, publicationHint, publicationState } from './part-words.js';
import { expectedAt } from './schedule.js';
import { isOnHold, waitingFacts } from './waiting.js';
import { OVER, platformName, sentence } from './words.js';

export const REPAIRABLE = new Set(['failed', 'expired']);
export const FILTERS = { all: 'All', needs_you: 'Needs you', failed: 'Failed', scheduled: 'Scheduled', on_hold: 'On hold', published: 'Published' };
const ASKING = new Set(['action_needed', 'outcome_unknown']);
const ASKING_WHILE_WAITING = new Set(['reconnect_needed', 'account_refused']);

/** Return whether a post goes on only after a person has done something. */
export function needsPerson(post, job) {
  return ASKING.has(post.status) || (post.status === 'waiting' && !OVER.has(job.status) && ASKING_WHILE_WAITING.has(codeOf(post)));
}

/** The code of a post; the server sets that of an unusable account when the turn of the post comes. */
export function codeOf(post) {
  const isUnusable = post.status === 'waiting' && post.waits_for === 'account' && !expectedAt(post); // a paused one has a date
  return post.code ?? (isUnusable ? 'reconnect_needed' : null);
}

/** Return whether a part was ended by a person's stop, which is no failure. */
export const isStopped = (part, job) => job.status === 'cancelled' && part.status === 'failed' && part.reason === 'cancelled';

/** filter: a test of a part. */
const IN_GROUP = {
  all: () => true,
  needs_you: (part, job) => posts(part).some((post) => needsPerson(post, job)),
  failed: (part, job) => (part.status === 'failed' && !isStopped(part, job)) || posts(part).some((post) => REPAIRABLE.has(post.status)),
  scheduled: (part, job) => !OVER.has(job.status) && posts(part).some((post) => post.status === 'waiting' && !isOnHold(post) && !needsPerson(post, job)),
  on_hold: (part, job) => !OVER.has(job.status) && posts(part).some(isOnHold),
  published: (part) => {
    const kept = posts(part).filter((post) => post.status !== 'cancelled');
    return kept.length > 0 && kept.every((post) => post.status === 'published');
  },
};

/** The parts of a group. */
export const partsIn = (filter, job) => (job.segments ?? []).filter((part) => IN_GROUP[filter](part, job));

/** The state of a part and its posts together, for a row: [text, tone]. */
export function rowState(part, job) {
  if (isStopped(part, job)) return partState('cancelled');
  const decisive = decisivePost(part, job);
  return part.status === 'failed' || !decisive ? partState(part.status) : postState(decisive);
}

/** The state of a post: [text, tone]; a waiting one without trouble is scheduled from the moment its date is known. */
export function postState(post) {
  if (isOnHold(post)) return ['On hold', 'warn'];
  return expectedAt(post) && !post.code ? ['Scheduled', 'wait'] : publicationState({ ...post, code: codeOf(post) });
}

/** The one most useful fact of a part, for its row. */
export function rowFacts(part, job) {
  if (part.status === 'rendering') return percent(part.progress ?? 0);
  if (part.status === 'failed' && part.reason && !isStopped(part, job)) return sentence(part.reason);
  const post = decisivePost(part, job);
  const length = Number.isFinite(part.duration_s) ? seconds(part.duration_s) : '';
  if (!post) return length;
  if (post.status === 'published') return [...new Set(posts(part).map(({ platform }) => platformName(platform)))].join(', ');
  const fact = (post.status === 'waiting' && !needsPerson(post, job) && waitingFacts(post, job, part)) || post.reason || publicationHint({ ...post, code: codeOf(post) });
  const name = platformName(post.platform);
  return fact ? `${fact.startsWith(name) ? '' : `${name}: `}${sentence(fact)}` : length;
}

/** The post that a person should know of first: one that failed, one that asks, one under way, the next to wait. */
function decisivePost(part, job) {
  const order = [
    (post) => REPAIRABLE.has(post.status),
    (post) => needsPerson(post, job),
    (post) => post.status === 'publishing',
    (post) => post.status === 'waiting',
    (post) => post.status === 'published',
    () => true,
  ];
  for (const isOne of order) {
    const found = posts(part).filter(isOne);
    if (found.length) return found.reduce(earlier);
  }
  return null;
}

const earlier = (one, other) => (Date.parse(expectedAt(other)) < Date.parse(expectedAt(one)) ? other : one);
const posts = (part) => part.publications ?? [];
