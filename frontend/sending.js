/** Shows a running upload: the bar and its numbers beside the form, and the strip in the page's header. No requests. */

import { announce, announceTenths } from './announce.js';
import { byId } from './dom.js';
import { bytes, percent, timeLeft } from './format.js';
import { setProgressTitle, showStrip } from './title.js';
import { letSleep, stayAwake } from './wake.js';
import { sentence } from './words.js';

/** Milliseconds without progress after which it is told. Tests make them fewer. */
export const TIMES = { quiet: 10_000 };
const SPEED_WINDOW_MS = 8000;
const SPEED_FROM_MS = 1500;

/** The phases in which a closed tab would stop something. */
const NEEDS_TAB = new Set(['sending', 'asking', 'restarted', 'waiting', 'busy', 'completing']);

/** Phase: the buttons that it has. */
const BUTTONS = {
  sending: ['pause', 'cancel'],
  asking: ['pause', 'cancel'],
  restarted: ['pause', 'cancel'],
  waiting: ['retry', 'pause', 'cancel'],
  busy: ['pause', 'cancel'], // the server has said when
  paused: ['resume', 'cancel'],
  signedOut: ['cancel'],
  here: ['cancel'],
  completing: [], // too late: the server may have created the job already
};
const NOTE_MS = 4000;

let panel = null;

/** Show the panel for a video of this size; `setPhase` fills it. `name` tells it from others, '' where it is alone. */
export function openPanel(size, name = '') {
  closePanel();
  byId('sending-name').textContent = name;
  byId('sending-name').hidden = !name;
  panel = { size, count: 1, phase: null, share: 0, speed: meter(size), tenths: announceTenths(), quiet: null, note: '', notedAt: -Infinity };
  byId('sending').hidden = false;
}

/** Show that the bytes of some videos are all at the server, and wait for the form. */
export function showComplete(size, count, isAlone) {
  if (panel?.phase === 'here' && panel.size === size && panel.count === count) return;
  openPanel(size);
  panel.count = count;
  setPhase('here', { sent: size });
  byId('upload-cancel').hidden = !isAlone; // the list has a button for each
}

export function closePanel() {
  if (!panel) return; // the header may show a link to the last job
  clearTimeout(panel.quiet);
  panel = null;
  byId('sending').hidden = true;
  setProgressTitle('');
  showStrip('');
  letSleep();
}

/** Whether the upload would stop with this tab. */
export function needsTab() {
  return NEEDS_TAB.has(panel?.phase);
}

/** Show a phase of the upload: `sent` bytes, `leftS` until the next attempt after `error`. */
export function setPhase(phase, { sent, leftS = 0, error = null }) {
  const before = panel.phase;
  const share = sent / panel.size;
  follow(before, phase, share);
  panel.phase = phase;
  panel.share = share;
  clearTimeout(panel.quiet);
  if (phase === 'sending') panel.quiet = setTimeout(showQuiet, TIMES.quiet);
  show(texts(phase, share, leftS, error));
  if (phase !== before) enter(phase);
  if (phase === 'sending') panel.tenths(share, `Uploading, ${percent(share)}.`);
}

/** Note what a fall of the share means, for a few seconds; a share that falls without a word would look like a lie. */
function follow(before, phase, share) {
  if (phase === 'restarted') note('The server no longer has the first part. Starting again from the beginning.');
  else if (before === 'asking' && phase === 'sending') note(`Going on from ${percent(share)}.`);
  if (share < panel.share || phase !== 'sending') panel.speed = meter(panel.size);
}

function note(text) {
  panel.note = text;
  panel.notedAt = performance.now();
}

/** Return [title, facts, short text for the header]. */
function texts(phase, share, leftS, error) {
  const at = percent(share);
  const noted = performance.now() - panel.notedAt < NOTE_MS ? panel.note : '';
  switch (phase) {
    case 'busy':
    case 'waiting': {
      const again = `Trying again in ${leftS}\u00a0s.`;
      if (error.status) return ['The server is not ready', `${sentence(error.message, '.')} ${again}`, `Upload waits at ${at}`];
      return [navigator.onLine ? `The connection was lost at ${at}` : `You are offline at ${at}`, again, `Upload waits at ${at}`];
    }
    case 'paused': return [`Paused at ${at}`, 'What has arrived stays on the server for a day.', `Upload paused at ${at}`];
    case 'signedOut': return [`Signed out at ${at}`, 'The upload goes on when you have signed in.', `Upload waits at ${at}`];
    case 'here': return [panel.count > 1 ? `${panel.count} videos are here` : 'The video is here', `All ${bytes(panel.size)} have arrived. Fill in the form, then start.`, 'Video uploaded'];
    case 'completing': return ['Everything is here', 'The server is taking it in…', 'Upload complete, starting'];
    case 'asking': return ['Uploading', noted || 'Asking the server how much has arrived…', `Uploading ${at}`];
    default: return ['Uploading', noted || panel.speed(share) || 'Starting…', `Uploading ${at}`];
  }
}

function show([title, facts, short]) {
  const bar = byId('sending-progress');
  if (panel.phase === 'completing') bar.removeAttribute('value'); // indeterminate: only the answer is pending
  else bar.value = panel.share;
  byId('sending-title').textContent = title;
  byId('sending-facts').textContent = facts;
  byId('sending-percent').textContent = panel.phase === 'completing' ? '' : percent(panel.share);
  showStrip(short);
  setProgressTitle(panel.phase === 'completing' || panel.phase === 'here' ? '' : percent(panel.share));
}

function enter(phase) {
  for (const name of ['retry', 'pause', 'resume', 'cancel']) {
    const button = byId(`upload-${name}`);
    const hides = !BUTTONS[phase].includes(name);
    if (hides && button === document.activeElement) byId('sending-title').focus(); // or the focus would be lost
    button.hidden = hides;
  }
  byId('sending').dataset.phase = phase;
  byId('sending-keep').hidden = !NEEDS_TAB.has(phase) || phase === 'completing';
  if (NEEDS_TAB.has(phase)) stayAwake();
  else letSleep();
  if (!['sending', 'asking'].includes(phase)) announce(`${byId('sending-title').textContent}.`);
}

function showQuiet() {
  byId('sending-title').textContent = 'No connection at the moment';
  byId('sending-facts').textContent = `Nothing has moved for ${Math.round(TIMES.quiet / 1000)}\u00a0s. Waiting a little longer…`;
  announce('No connection at the moment.');
}

/** Return a function from share to text, by the speed of the last seconds: "21 of 48 MB, 1.2 MB/s, about 1 min left". */
function meter(size) {
  const marks = [];
  return (share) => {
    const now = performance.now();
    marks.push([now, share]);
    while (marks.length > 2 && now - marks[0][0] > SPEED_WINDOW_MS) marks.shift();
    const [[since, first]] = marks;
    const perS = now - since < SPEED_FROM_MS ? NaN : ((share - first) / (now - since)) * 1000;
    const speed = perS > 0 ? `${bytes(perS * size)}/s` : '';
    return [`${bytes(size * share)} of ${bytes(size)}`, speed, timeLeft((1 - share) / perS)].filter(Boolean).join(', ');
  };
}
