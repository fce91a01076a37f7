/**
 * The posts that a change of words concerns: pure functions on the status document.
 *
 * A scope is {part, on}: `part` is the number of a part or '', `on` is '', the name of a platform (for all parts) or the
 * id of a post (of the part). A draft is {title, caption}, each only if changed; null inherits again.
 */

import { composed, counts, largest } from './post-text.js';

const UNKNOWN_PARTS = 999; // for which the server checks words before it knows the parts

export const keyOf = ({ part, on }) => `${part}|${on}`;
const scopeOf = (key) => ({ part: Number(key.split('|')[0]) || '', on: key.split('|')[1] });

const partOf = (job, number) => (job.segments ?? []).find((part) => part.number === number);
const allPosts = (job) => (job.segments ?? []).flatMap((part) => (part.publications ?? []).map((post) => ({ ...post, number: part.number })));

/** The posts of a scope; each has the number of its part. */
export function postsOf(job, { part, on }) {
  return allPosts(job).filter((post) => (part === '' || post.number === part) && (!on || post.platform === on || post.id === on));
}

/** The choices beside the part: platforms of the whole video, or posts of a part, as [value, platform, account]. */
export function targetsOf(job, part, platforms) {
  if (part !== '') return (partOf(job, part)?.publications ?? []).filter(({ id }) => id).map((post) => [post.id, post.platform, post.account]);
  return platforms.map((platform) => [platform, platform, '']);
}

/** The words set for a scope; null in them is inherited. */
export function ownWords(job, { part, on }) {
  if (part === '' && !on) return { title: job.title ?? '', caption: job.caption ?? '' };
  if (part === '') return job.platform_words?.[on] ?? {};
  if (!on) return job.part_words?.[part] ?? {};
  return postsOf(job, { part, on })[0]?.own_words ?? {};
}

/** The text of a field that a scope inherits. */
export function inheritedText(job, { part, on }, field) {
  const platform = postsOf(job, { part, on })[0]?.platform;
  const beneath = part === '' || !on ? [] : [job.part_words?.[part], job.platform_words?.[platform]];
  return beneath.map((words) => words?.[field]).find((text) => text != null) ?? job[field] ?? '';
}

/** The document as it will be with the drafts, a Map of them by key. */
export function withDrafts(job, drafts) {
  const changed = { ...job, platform_words: { ...job.platform_words }, part_words: { ...job.part_words } };
  const own = new Map();
  for (const [key, draft] of drafts) {
    const { part, on } = scopeOf(key);
    const words = { ...ownWords(job, { part, on }), ...draft };
    if (part === '' && !on) Object.assign(changed, words);
    else if (part === '') changed.platform_words[on] = words;
    else if (!on) changed.part_words[part] = words;
    else own.set(on, words);
  }
  const post = (one) => (own.has(one.id) ? { ...one, own_words: own.get(one.id) } : one);
  changed.segments = (job.segments ?? []).map((part) => ({ ...part, publications: (part.publications ?? []).map(post) }));
  return changed;
}

/** The bodies of the requests for the drafts: {job: body or null, posts: [[id, body]], keys: {job: [key]}}. */
export function requestsFor(drafts) {
  const body = {};
  const posts = [];
  for (const [key, draft] of drafts) {
    const { part, on } = scopeOf(key);
    if (part !== '' && on) posts.push([on, draft, key]);
    else if (part !== '') (body.parts ??= {})[part] = draft;
    else if (on) (body.platforms ??= {})[on] = draft;
    else Object.assign(body, draft);
  }
  return { body: Object.keys(body).length ? body : null, posts };
}

/** The platforms of a video. */
export function platformsOf(job, limits) {
  const used = new Set(allPosts(job).map(({ platform }) => platform));
  const chosen = used.size ? [...used] : job.platforms ?? Object.keys(limits.platforms);
  return Object.keys(limits.platforms).filter((platform) => chosen.includes(platform));
}

/**
 * The places whose words are the longest of a scope, of one platform: the last part, and each part with words of its own.
 *
 * Before the parts are known it is the last of very many, as the server checks it.
 */
function placesOf(job, scope, platform, needsTitle) {
  const posts = postsOf(job, scope).filter((post) => post.platform === platform && post.editable !== false);
  const of = job.segments?.length || UNKNOWN_PARTS;
  if (!allPosts(job).length) return [{ number: of, of, platform, needsTitle }];
  const isOwn = (post) => post.own_words || job.part_words?.[post.number];
  return posts.filter((post, index) => index === posts.length - 1 || isOwn(post)).map((post) => ({ number: post.number, of, platform, post, needsTitle }));
}

/** [[platform, [{of, unit, count, maximum}]]] for the posts of a scope: the largest counts of each platform. */
export function countsOf(job, scope, limits) {
  return platformsOf(job, limits).flatMap((platform) => {
    const { limits: maxima, needs_title: needsTitle } = limits.platforms[platform];
    const places = placesOf(job, scope, platform, needsTitle);
    return places.length ? [[platform, largest(places.map((place) => counts(composed(job, place), maxima)))]] : [];
  });
}

/** {number, title, isMade} of the first post of a scope that can still change, or null. */
export function sampleOf(job, scope, limits) {
  const post = postsOf(job, scope).find(({ editable }) => editable !== false);
  if (!post) return null;
  const { number, platform } = post;
  return { number, ...composed(job, { number, of: job.segments.length, platform, post, needsTitle: limits.platforms[platform]?.needs_title }) };
}
