/**
 * What this browser keeps of an unfinished upload, so that a later page can continue it, and which tab works on it.
 *
 * There is one upload at a time for all tabs. The record is {address, name, size, fingerprint, confirmed, fields, starts}:
 * `fields` are those of the form, `starts` says that the person has asked to begin when all bytes are there.
 */

const RECORD = 'vidprod-upload';
const BEAT = 'vidprod-upload-tab';
const BEAT_MS = 3000;
/** A tab that has shown no activity for so long is closed, or frozen. Only for pages served over http: they have no locks. */
const BEAT_LOST_MS = 12_000;

const me = Math.random().toString(36).slice(2);
let release = null;
let released = Promise.resolve();

/** Return the record, or null. */
export function readRecord() {
  return load(RECORD);
}

export function writeRecord(record) {
  save(RECORD, record);
}

export function clearRecord() {
  save(RECORD, null);
}

/** Take the upload for this tab; returns false if another tab has it. */
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

/** Whether this tab still has the upload. A frozen tab without locks may have lost it. */
export function owns() {
  return Boolean(release) && (Boolean(navigator.locks) || (load(BEAT)?.tab ?? me) === me);
}

/** Whether another tab works on the upload. */
export async function isElsewhere() {
  if (release) return false;
  if (navigator.locks) return (await navigator.locks.query()).held.some(({ name }) => name === RECORD);
  const beat = load(BEAT);
  return Boolean(beat) && beat.tab !== me && Date.now() - beat.at < BEAT_LOST_MS;
}

function lock() {
  return new Promise((resolve) => {
    released = navigator.locks.request(RECORD, { ifAvailable: true }, (given) => {
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
