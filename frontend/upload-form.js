/** The fields of the upload's form: reading, filling, and the server's word on them. */

import { choosePlatforms, chosenPlatforms } from './accounts.js';
import { byId } from './dom.js';
import { fillTikTok, missingTikTok, openTikTok, readTikTok, showTikTok, showTikTokRefusal, startTikTok } from './tiktok-form.js';
import { sentence } from './words.js';

const FIELDS = { title: 'title', caption: 'caption', platforms: 'platforms', gaze_intensity: 'gaze' };
const LONGEST_S = 86_400; // the server refuses more, and the length is only for its estimate

/** Add the listeners; `onChange(fields)` is called at each change. */
export function startForm(onChange) {
  byId('gaze').addEventListener('input', showGaze);
  startTikTok();
  byId('upload-form').addEventListener('input', () => {
    showTikTok();
    onChange(readForm());
  });
  showGaze();
}

/** Return the fields as they are: {title, caption, platforms: list or null without a choice, gaze, review: boolean, dryRun: boolean, tiktok: options}. */
export function readForm() {
  return { title: byId('title').value, caption: byId('caption').value, platforms: chosenPlatforms(), gaze: byId('gaze').value, review: byId('review').checked, dryRun: byId('dry-run').checked, tiktok: readTikTok() };
}

export function fillForm({ title, caption, platforms, gaze, review = false, dryRun = false, tiktok }) {
  byId('title').value = title;
  byId('caption').value = caption;
  byId('gaze').value = gaze;
  byId('review').checked = review;
  byId('dry-run').checked = dryRun;
  if (platforms) choosePlatforms(platforms);
  fillTikTok(tiktok);
  openTikTok();
  showGaze();
}

export function clearForm() {
  byId('upload-form').reset();
  choosePlatforms(null);
  fillTikTok();
  showRefusal(null);
  showGaze();
}

/** Return the options of the API; fields that are empty are left to the server, which may ask for a review by itself. */
export function options({ title, caption, platforms, gaze, review, dryRun, tiktok }, durationS) {
  const found = { title: title.trim(), caption: caption.trim(), platforms: (platforms ?? []).join(','), gaze_intensity: gaze, review: review ? 'true' : '', dry_run: dryRun ? 'true' : '' };
  if (platforms?.includes('tiktok') && tiktok?.privacy) found.options = JSON.stringify({ tiktok });
  if (durationS > 0 && durationS <= LONGEST_S) found.duration_s = String(durationS);
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== ''));
}

/** Return the refusal of the first choice that is missing, or null. */
export function missingChoice() {
  if (chosenPlatforms()?.length === 0) return { field: 'platforms', message: 'Please choose at least one place.' };
  return missingTikTok();
}

/** Show why the server, or this page, refuses a field; null removes it. */
export function showRefusal(problem) {
  for (const id of [...Object.values(FIELDS), 'details']) byId(`${id}-error`).textContent = '';
  for (const id of ['title', 'caption', 'gaze']) byId(id).removeAttribute('aria-invalid');
  showTikTokRefusal(problem);
  if (!problem || problem.at) return;
  const id = FIELDS[problem.field] ?? 'details';
  byId(`${id}-error`).textContent = sentence(problem.message, '.');
  if (id === 'platforms') document.querySelector('#platform-choices input')?.focus();
  else if (id === 'details') byId('upload-start').focus();
  else {
    byId(id).setAttribute('aria-invalid', 'true');
    byId(id).focus();
  }
}

function showGaze() {
  const value = `${Math.round(byId('gaze').value * 100)} %`;
  byId('gaze-value').textContent = value;
  byId('gaze').setAttribute('aria-valuetext', value);
}
