/**
 * The words of a post as the server composes and counts them: pure functions on the status document and on GET /limits.
 *
 * Words are set in layers, the most exact first: post > part > platform > video. null in a layer is inherited.
 */

const PLACEHOLDER = /\{(title|n|m)\}/;
/** White space as the server's language has it: browsers also count U+FEFF, and not U+001C to U+001F and U+0085. */
const SPACE = String.raw`\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;
const ENDS = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, 'g');
/** As platforms/instagram/wording.py has them. */
const HASHTAGS = new RegExp(String.raw`(?<![\p{L}\p{N}_&\/])(?:[#＃][^${SPACE}!-\/:-@\[-^\x60{-~＃\u2010-\u2027\u2030-\u205e\u3000-\u303f]+)+`, 'gu');
const MENTIONS = /(?<![\p{L}\p{N}_.\/])@[\p{L}\p{N}_.]+/gu;
/** The longest title that the server makes itself, in UTF-16 units. */
const LONGEST_MADE = 70;

const UNITS = {
  utf16_units: (text) => text.length,
  bytes: (text) => new TextEncoder().encode(text).length,
  hashtags: (text) => (text.match(HASHTAGS) ?? []).reduce((sum, run) => sum + run.match(/[#＃]/g).length, 0),
  mentions: (text) => (text.match(MENTIONS) ?? []).length,
  lines: (text) => text.split('\n').length,
};

const strip = (text) => text.replace(ENDS, '');
export const hashtagsOf = (text) => text.match(HASHTAGS) ?? [];

/** The layers of a post, the most exact first; `post` may be null: of any account of the platform. */
export function layersOf(job, { number, platform, post = null }) {
  return [post?.own_words, job.part_words?.[number], job.platform_words?.[platform]].filter(Boolean);
}

/**
 * Return {title, caption, isMade} of a post; isMade: the server makes a title, of which only the length is known.
 *
 * `place` is {number, of, platform, post, needsTitle}.
 */
export function composed(job, place) {
  const layers = layersOf(job, place);
  const caption = strip(fill(layers.map((layer) => layer.caption).find((text) => text != null) ?? job.caption ?? '', job, place));
  const given = layers.map((layer) => layer.title).find((text) => text != null);
  if (given === '') return { title: '', caption };
  const own = given ?? job.title ?? '';
  if (own && PLACEHOLDER.test(own)) return { title: strip(fill(own, job, place)), caption };
  const isMade = !own && (place.needsTitle || !caption);
  return { title: numbered(isMade ? 'x'.repeat(LONGEST_MADE) : own, place), caption, isMade };
}

function numbered(title, { number, of }) {
  return [strip(title), of > 1 && `Part ${number}/${of}`].filter(Boolean).join(' — ');
}

function fill(template, job, { number, of }) {
  const numbers = { n: number, m: of };
  const once = (text, values) => text.replace(/\{(title|n|m)\}/g, (_, name) => values[name]);
  const own = strip(once(job.title ?? '', { ...numbers, title: '' })) || 'x'.repeat(LONGEST_MADE);
  return once(template, { ...numbers, title: own });
}

/** What a platform without titles shows: the title, an empty line, the caption. */
export const singleText = ({ title, caption }) => [title, caption].map((text) => strip(text.replaceAll('\r\n', '\n'))).filter(Boolean).join('\n\n');

/** Return [{of, unit, count, maximum}] for the limits of a platform. */
export function counts(words, limits) {
  const texts = { title: strip(words.title), caption: strip(words.caption), text: singleText(words) };
  return limits.map((limit) => ({ ...limit, count: UNITS[limit.unit]?.(texts[limit.of].replaceAll('\r\n', '\n')) ?? 0 }));
}

/** The largest counts of several posts of one platform. */
export function largest(lists) {
  return lists.reduce((sum, list) => sum.map((one, index) => (list[index].count > one.count ? list[index] : one)));
}
