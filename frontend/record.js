/** The records of unfinished uploads, which outlive the page (queue.js), and which tab works on them: one for all tabs. */

import { percent } from './format.js';

export const RECORDS = 'vidprod-uploads';
const BEAT = 'vidprod-upload-tab';
const BEAT_MS = 3000;
/** A tab that has shown no activity for so long is closed, or frozen. Only for pages served over http: they have no locks. */
const BEAT_LOST_MS = 12_000;

const me = Math.random().toString(36).slice(2);
let release = null;
let released = Promise.resolve();

/** Return the records, in the order of the uploads. */
export function readRecords() {
  const found = load(RECORDS);
  return Array.isArray(found) ? found : [];
}

export function writeRecords(records) {
  save(RECORDS, records.length ? records : null);
}

/** The sentence about unfinished uploads for a page without a connection, or ''. */
export function unfinishedWords() {
  const records = readRecords().filter(({ isRefused }) => !isRefused);
  if (!records.length) return '';
  if (records.length > 1) return `${records.length} uploads continue when you are connected again.`;
  const [{ name, size, confirmed }] = records;
  return `${confirmed > 0 ? `${percent(confirmed / size)} of ${name} has arrived. ` : ''}The upload continues when you are connected again.`;
}

/** Whether videos are on their way that a sign-out would remove. */
export const isUnfinished = () => readRecords().length > 0;

/** Take the uploads for this tab; returns false if another tab has them. */
export async function claim() {
  if (release) return true;
  await released;
  if (navigator.locks) return lock();
  if (await isElsewhere()) return false;
  const beat = () => save(BEAT, { tab: me, at: Date.now() });
  const timer = setInterval(() => owns() && beat(), BEAT_MS);
  release = () => {
    clearInterval(timer);
    if (load(BEAT)?.tab === me) save(BEAT, null);
  };
  beat();
  return true;
}

export function letGo() {
  release?.();
  release = null;
}

/** Whether this tab still has the uploads. A frozen tab without locks may have lost it. */
export function owns() {
  return Boolean(release) && (Boolean(navigator.locks) || (load(BEAT)?.tab ?? me) === me);
}

/** Whether another tab works on the uploads. */
export async function isElsewhere() {
  if (release) return false;
  if (navigator.locks) return (await navigator.locks.query()).held.some(({ name }) => name === RECORDS);
  const beat = load(BEAT);
  return Boolean(beat) && beat.tab !== me && Math.abs(Date.now() - beat.at) < BEAT_LOST_MS; // a clock that was set back counts, too
}

function lock() {
  return new Promise((resolve) => {
    released = navigator.locks.request(RECORDS, { ifAvailable: true }, (given) => {
      resolve(Boolean(given));
      return given && new Promise((over) => { release = over; });
    });
  });
}

function load(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null; // storage is switched off, or the text is not ours
  }
}

function save(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Storage is switched off or full: the upload works, but not across a reload.
  }
}
