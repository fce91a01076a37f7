/** The texts of the first view for the API's codes (part-words.js has the others); an unlisted code is shown as plain words. */

const PLATFORMS = { tiktok: 'TikTok', instagram: 'Instagram', youtube: 'YouTube' };
export const PLATFORM_NAMES = Object.keys(PLATFORMS);

/** code: [text, tone]; a tone is one of wait, busy, good, warn, bad. */
const JOB = {
  pending: ['In line', 'wait'],
  processing: ['Preparing', 'busy'],
  review: ['Waiting for you', 'warn'],
  publishing: ['Publishing', 'busy'],
  completed: ['Done', 'good'],
  completed_with_errors: ['Partly done', 'warn'],
  failed: ['Failed', 'bad'],
  cancelled: ['Cancelled', 'wait'],
};
/** The states in which nothing more happens by itself. */
export const OVER = new Set(['completed', 'completed_with_errors', 'failed', 'cancelled']);
/** Why a webhook endpoint is disabled, by its `disabled_code`. */
export const DISABLED = {
  failing: 'it failed for five days',
  gone: 'it answered that it is gone',
  requested: 'it was turned off',
};

export const platformName = (code) => PLATFORMS[code] ?? plain(code);
/** The name of a video for people; that of its file is only shown here, never published. */
export const jobName = ({ title, original_name: fileName }) => title || fileName || 'Untitled video';
export const jobState = (code) => JOB[code] ?? [sentence(code), 'wait'];

/** Return `too_many_pixels` as "too many pixels"; a sentence stays unchanged. */
export function plain(code) {
  const text = String(code ?? '');
  return /\s/.test(text) ? text : text.replaceAll(/[_.-]+/g, ' ').trim();
}

/** Return a text as a sentence: with a capital, and a full stop if it has no end mark. */
export function sentence(code, end = '') {
  const text = plain(code);
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : capital + end;
}
