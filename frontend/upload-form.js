/** The fields of the upload's form: reading, filling, and the server's word on them. */

import { choosePlatforms, chosenPlatforms } from './accounts.js';
import { byId } from './dom.js';
import { sentence } from './words.js';

const FIELDS = { title: 'title', caption: 'caption', platforms: 'platforms', gaze_intensity: 'gaze' };

/** Add the listeners; `onChange(fields)` is called at each change. */
export function startForm(onChange) {
  byId('gaze').addEventListener('input', showGaze);
  byId('upload-form').addEventListener('input', () => onChange(readForm()));
  showGaze();
}

/** Return the fields as they are: {title, caption, platforms: list or null without a choice, gaze, review: boolean}. */
export function readForm() {
  return { title: byId('title').value, caption: byId('caption').value, platforms: chosenPlatforms(), gaze: byId('gaze').value, review: byId('review').checked };
}

export function fillForm({ title, caption, platforms, gaze, review = false }) {
  byId('title').value = title;
  byId('caption').value = caption;
  byId('gaze').value = gaze;
  byId('review').checked = review;
  if (platforms) choosePlatforms(platforms);
  showGaze();
}

export function clearForm() {
  byId('upload-form').reset();
  choosePlatforms(null);
  showRefusal(null);
  showGaze();
}

/** Return the options of the API; fields that are empty are left to the server, which may ask for a review by itself. */
export function options({ title, caption, platforms, gaze, review }) {
  const found = { title: title.trim(), caption: caption.trim(), platforms: (platforms ?? []).join(','), gaze_intensity: gaze, review: review ? 'true' : '' };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== ''));
}

/** Show why the server, or this page, refuses a field; null removes it. */
export function showRefusal(problem) {
  for (const id of [...Object.values(FIELDS), 'details']) byId(`${id}-error`).textContent = '';
  for (const id of ['title', 'caption', 'gaze']) byId(id).removeAttribute('aria-invalid');
  if (!problem) return;
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
