/** What waiting posts wait for, in words: pure functions on the status document. */

import { moment, when } from './format.js';
import { expectedAt } from './schedule.js';
import { platformName } from './words.js';

const OPEN = new Set(['waiting', 'publishing', 'outcome_unknown']);

/** Code of `waits_for`: the text after the date; it also stands alone. */
const WAITS_FOR = {
  window: () => 'when the upload window opens',
  gap: () => 'with a pause after the post before it',
  day_limit: ({ platform }) => `because the limit of posts a day on ${platformName(platform)} is reached`,
  earlier_part: (post, job, part) => `after part\u00a0${earlierPart(post, job, part)}`,
  approval: () => 'after your approval',
  hold: () => 'when you let it go on',
  account: ({ platform }) => `when ${platformName(platform)} can be used again`,
  platform_limit: ({ platform }) => `because ${platformName(platform)} takes no more posts before`,
  platform_outage: ({ platform }) => `when ${platformName(platform)} works again`,
  rendering: () => 'when this part is prepared',
  own_time: () => 'at the time you chose',
  next: () => 'when its turn comes',
};
/** Waiting for one of these ends at no known time: their date is the earliest one. */
const EARLIEST = new Set(['approval', 'account', 'platform_outage', 'rendering']);

/** True for a post that waits until a person releases it, or its video. */
export const isOnHold = (post) => post.status === 'waiting' && (post.held || post.waits_for === 'hold');

/** What a waiting post waits for, or ''. */
export function waitsFor(post, job, part) {
  if (isOnHold(post)) return 'when you release it';
  return post.status === 'waiting' ? WAITS_FOR[post.waits_for]?.(post, job, part) ?? '' : '';
}

/** The date to show of a waiting post, or null; a date that a person chose is shown also while nobody knows the real one. */
function dateOf(post) {
  const expected = isOnHold(post) ? null : expectedAt(post);
  if (expected || post.status !== 'waiting') return expected;
  return Date.parse(post.publish_after) > Date.now() ? post.publish_after : null;
}

/** The sentence on a waiting post: its date and what it waits for; '' while neither is known. */
export function waitingNote(post, job, part) {
  const at = dateOf(post);
  const what = waitsFor(post, job, part);
  if (!at) return what && !post.code ? `Goes out ${what}.` : ''; // a code has sentences of its own
  const earliest = isOnHold(post) || EARLIEST.has(post.waits_for) ? ' at the earliest' : '';
  return `Goes out ${moment(at)}${earliest}${what && `, ${what}`}.`;
}

/** The same in a few words, for a row of the list. */
export function waitingFacts(post, job, part) {
  const at = dateOf(post);
  return [at && when(at), waitsFor(post, job, part)].filter(Boolean).join(', ');
}

function earlierPart(post, job, part) {
  const isOpen = (one) => OPEN.has(one.status) && isSameAccount(one, post);
  const open = (job.segments ?? []).findLast((other) => other.number < part.number && (other.publications ?? []).some(isOpen));
  return open?.number ?? part.number - 1;
}

const isSameAccount = (one, other) => one.platform === other.platform && one.account === other.account;
