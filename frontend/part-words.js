/** The texts of a job's view for the API's codes of parts and posts; an unlisted code is shown as plain words. */

import { moment, percent } from './format.js';
import { plain, platformName, sentence } from './words.js';

/** code: [text, tone], as in words.js. */
const PART = {
  pending: ['Waiting', 'wait'],
  rendering: ['In the works', 'busy'],
  ready: ['Ready', 'good'],
  done: ['Done', 'good'],
  failed: ['Failed', 'bad'],
  cancelled: ['Cancelled', 'wait'],
};
const PUBLICATION = {
  waiting: ['Waiting', 'wait'],
  publishing: ['Publishing', 'busy'],
  published: ['Published', 'good'],
  action_needed: ['Needs you', 'warn'],
  failed: ['Failed', 'bad'],
  outcome_unknown: ['Unclear', 'warn'],
  cancelled: ['Cancelled', 'wait'],
  expired: ['Too late', 'bad'],
};
/** The states of a waiting publication, by the code of what it waits for. */
const WAITING = {
  held: ['Held', 'warn'],
  platform_paused: ['Waiting', 'wait'],
  reconnect_needed: ['Needs you', 'warn'],
  account_refused: ['Needs you', 'warn'],
};
const CUT = {
  pause: 'ends at a pause',
  chosen: 'ends where you cut',
  scene: 'ends at a change of scene',
  limit: 'ends where no pause was near',
  end: 'ends with the video',
};
const GAZE = {
  no_face: 'no face was found',
  eyes_too_small: 'the eyes are too small in the picture',
  head_turned: 'the head is turned too far away',
  looks_far_away: 'you look away on purpose',
  blink: 'the eyes are closed',
  into_lens: 'the eyes already look into the lens',
  turned_off: 'you asked for no change',
  detector_failed: 'the face could not be followed',
  time_short: 'it would have taken too long',
  deadline_passed: 'it would have taken too long',
  out_of_memory: 'the server ran short of memory',
  memory_short: 'the server ran short of memory',
  too_dark: 'the picture is too dark',
  sunglasses: 'dark glasses hide the eyes',
  crashed: 'the correction stopped unexpectedly',
  internal_error: 'an error in VidProd stopped the correction',
  interrupted: 'the server stopped several times',
};
const WARNING = {
  sound_unreadable: 'The sound of this video cannot be read, so its parts are silent. For sound, convert the video to MP4 with H.264 and AAC and upload it again.',
  pauses_not_found: 'The sound could not be searched for pauses. Parts may end in the middle of a sentence.',
  picture_ends_early: 'The sound continues after the last picture, which stays on screen until the sound ends.',
  picture_begins_late: 'The first picture is shown from the start, because the sound begins earlier.',
  end_missing: 'The end of the file is missing. The video is used as far as it goes.',
  size_changes: 'The picture changes its size during the video. Every picture is shown whole, on black where it does not fill the frame.',
};
/** reason: [question, label of the button that approves]. */
const REVIEW = {
  dry_run: ['This is a dry run: nothing is published. To publish these parts for real, say so here.', 'Publish for real'],
  requested: ['You asked to look first. Watch the parts below; nothing is published before you say so.', 'Publish'],
  requested_early: ['You asked to look first. The parts appear below as soon as they are ready; nothing is published before you say so.', 'Publish without looking'],
  sound_unreadable: ['The sound of this video cannot be read. Publish it without sound?', 'Publish without sound'],
  options_lost: ['This video was recovered, and its title, platforms and date were lost. Publish it now on every connected account?', 'Publish'],
  restored: ['VidProd lost its newest records or was restored from a backup, so parts of this video may be public already, and your last changes to it may be lost. Please compare them with your accounts, and skip the posts that are there. Publish the others?', 'Publish the others'],
};
const REVIEW_OTHER = ['This video waits for your approval. Publish it?', 'Publish'];
const ATTEMPT = {
  out_of_memory: 'out of memory',
  deadline_passed: 'out of time',
  crashed: 'a crash',
  internal_error: 'an error in VidProd',
  disk_full: 'no room on the disk',
  storage_unavailable: 'no answer of the storage',
  interrupted: 'repeated interruptions',
};
const SMALLER = new Set(['less_memory', 'least']);
const LASTING_SHARE = 0.03; // of a part's frames
const HURRIED_SHARE = 0.9; // likewise; with fewer measured frames, the page says that time was short
const WHOLE_CORE = 0.8; // of a processor core; a part that gets more is not told how much
const PUBLICATION_HINT = {
  action_needed: (platform) => `Open the ${platform} app and finish the draft that waits there.`,
  outcome_unknown: (platform) => `${platform} gave no clear answer. Please look there before you post it again.`,
  expired: () => 'The time for publishing ran out.',
};
const WAITING_HINT = {
  platform_paused: (platform) => `${platform} has a problem at the moment. The post goes out when it is over.`,
  reconnect_needed: (platform) => `Connect ${platform} again; the post then goes out by itself.`,
  account_refused: (platform) => `The ${platform} app shows why. When that is settled, connect the account again; the post then goes out by itself.`,
};

export const partState = (code) => PART[code] ?? [sentence(code), 'wait'];
export const publicationState = ({ status, code }) => (status === 'waiting' && WAITING[code]) || PUBLICATION[status] || [sentence(status), 'wait'];
export const cutReason = (code) => (code ? CUT[code] ?? plain(code) : '');
export const publicationHint = ({ status, code, platform }) => (status === 'waiting' ? WAITING_HINT[code] : PUBLICATION_HINT[status])?.(platformName(platform)) ?? '';

export const warning = (code) => WARNING[code] ?? sentence(code, '.');

/** The question of the review, and the label of the button that approves: [question, label]; `isEarly`: no part can be watched yet. */
export const reviewQuestion = (code, isEarly) => (isEarly && REVIEW[`${code}_early`]) || (REVIEW[code] ?? REVIEW_OTHER);

/** The reason for the last failure and the time of the next attempt; '' without a next attempt. */
export function nextAttempt(what, { attempts, retry_at: retryAt }) {
  const last = attempts?.at(-1);
  if (retryAt && last?.outcome === 'disk_full') return `${what} waits until the disk of the server has room.`;
  if (retryAt && last?.outcome === 'storage_unavailable') return `${what} waits until the storage of the videos answers.`;
  return retryAt && last ? `${what} failed (${ATTEMPT[last.outcome] ?? plain(last.outcome)}). Trying again ${moment(retryAt)}.` : '';
}

/** A remark about a part's picture, or ''. */
export function renderingResult({ picture, settings, pace } = {}) {
  if (picture === 'copied') return 'picture kept bit for bit';
  if (pace?.steps?.includes('smaller_picture')) return 'smaller picture to save time';
  return SMALLER.has(settings) ? 'smaller picture to save memory' : '';
}

/** Why a part was made in a hurry, or ''. */
export function hurry({ pace } = {}) {
  if (!pace?.steps?.length) return '';
  return pace.core_share < WHOLE_CORE ? `The server was short of time: this part got ${percent(pace.core_share)} of a processor core` : 'The server was short of time';
}

/** The result of the gaze correction of a part; '' while it is unknown. */
export function gazeResult(gaze) {
  if (!gaze || (!gaze.corrected && !gaze.reason)) return '';
  const why = gaze.reason ? gazeReason(gaze.reason) : '';
  if (!gaze.corrected) return `Eyes left as filmed: ${why}`;
  const share = Number.isFinite(gaze.share) ? ` in ${percent(gaze.share)} of this part` : '';
  return `Eyes turned to the lens${share}${why ? ` (${why})` : ''}${gazeAngles(gaze)}`;
}

/** The reasons for uncorrected frames of a corrected part, most frequent first; without blinks and rare reasons. */
export function gazeRest({ corrected, frames, reasons, looked_at: lookedAt = 1 } = {}) {
  if (!corrected || !frames) return '';
  const hurried = lookedAt < HURRIED_SHARE ? `Short of time, the eyes were measured in ${percent(lookedAt)} of the frames only` : '';
  const lasting = Object.entries(reasons ?? {}).filter(([code, count]) => code !== 'blink' && count / frames >= LASTING_SHARE);
  const words = lasting.sort(([, one], [, other]) => other - one).map(([code, count]) => `${gazeReason(code)} (${percent(count / frames)})`);
  return [words.length ? `Left as filmed elsewhere: ${words.join(', ')}` : '', hurried].filter(Boolean).join('. ');
}

export const gazeReason = (code) => GAZE[code] ?? plain(code);

function gazeAngles({ median_before_deg: before, median_after_deg: after }) {
  return Number.isFinite(before) && Number.isFinite(after) ? `: ${Math.round(before)}° off before, ${Math.round(after)}° after` : '';
}
