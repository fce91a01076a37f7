/** When the posts of a job go out: pure functions on the status document, and on an entry of the list of jobs. */

/** The instant at which a waiting post is expected to go out, or null. */
export const expectedAt = (post) => (post.status === 'waiting' ? post.expected_at ?? post.due_at ?? null : null);

const allPosts = (job) => (job.segments ?? []).flatMap((part) => part.publications ?? []);

/** The instant of the next post that waits for a time still to come, or null. */
export function nextAt(job, now = Date.now()) {
  const known = [job.next_at, ...allPosts(job).map(expectedAt)].filter((at) => Date.parse(at) > now);
  return known.reduce((first, at) => (first && Date.parse(first) <= Date.parse(at) ? first : at), null);
}

/** The instant at which the last post is expected, or null if a waiting one has no date. */
export function lastAt(job) {
  if (job.last_at !== undefined) return job.last_at;
  const waiting = allPosts(job).filter((post) => post.status === 'waiting').map(expectedAt);
  if (!waiting.length || waiting.includes(null)) return null;
  return waiting.reduce((last, at) => (Date.parse(at) > Date.parse(last) ? at : last));
}

/** Return whether a post is being sent at this moment; unknown in the list of jobs, which has no posts. */
export const isSending = (job) => allPosts(job).some((post) => post.status === 'publishing');

/** Return whether a job has nothing to do before the time of its next post. */
export function isScheduled(job) {
  return job.status === 'publishing' && (job.phase ?? 'scheduled') === 'scheduled' && !isSending(job) && nextAt(job) !== null;
}
