/** The stages of a video on its way, and the time that its preparation still takes: pure functions on its status. */

import { el } from './dom.js';
import { timeLeft } from './format.js';
import { OVER } from './words.js';

const MADE = new Set(['ready', 'done', 'failed']);
const SENT = new Set(['published', 'cancelled', 'failed', 'expired']);

/** The stages as a list, or null for a video that is over. */
export function stages(job) {
  const parts = job.segments ?? [];
  if (OVER.has(job.status) || job.retry_at) return null;
  const posts = parts.flatMap((part) => part.publications ?? []);
  const made = parts.filter(({ status }) => MADE.has(status)).length;
  const sent = posts.filter(({ status }) => SENT.has(status)).length;
  const found = [
    ['Uploaded', true],
    ['Cut', parts.length > 0],
    [parts.length ? `Prepared ${made}/${parts.length}` : 'Prepared', parts.length > 0 && made === parts.length],
    job.review?.reasons?.length && ['Approved', Boolean(job.review.approved_at)],
    [posts.length ? `Published ${sent}/${posts.length}` : 'Published', false],
  ].filter(Boolean);
  const current = found.findIndex(([, isDone]) => !isDone);
  return el('ol', { class: 'stages', 'aria-label': 'Stages', 'data-key': 'stages' }, found.map(([label, isDone], index) =>
    el('li', { class: isDone ? 'stage-done' : null, 'aria-current': index === current ? 'step' : null }, label)));
}

/** "about 2 min left" of the preparation, from the time that the parts before took; '' before there is one. */
export function preparationLeft(job) {
  const parts = (job.segments ?? []).filter((part) => Number.isFinite(part.duration_s));
  const made = parts.filter((part) => MADE.has(part.status) && part.stage_seconds);
  const tookS = made.reduce((sum, part) => sum + Object.values(part.stage_seconds).reduce((one, other) => one + other, 0), 0);
  const lengthS = made.reduce((sum, part) => sum + part.duration_s, 0);
  const openS = parts.filter((part) => !MADE.has(part.status)).reduce((sum, part) => sum + part.duration_s * (1 - (part.progress ?? 0)), 0);
  return job.status === 'processing' && tookS && lengthS ? timeLeft((openS * tookS) / lengthS) : '';
}
