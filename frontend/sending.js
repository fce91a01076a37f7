/** Shows a running upload: the panel in place of the form, and the strip in the page's header. No requests. */

import { announceTenths } from './announce.js';
import { byId } from './dom.js';
import { bytes, percent, timeLeft } from './format.js';

const STALLED_AFTER_MS = 15_000;
const SPEED_WINDOW_MS = 8000;
const PAGE_TITLE = document.title;

/** Show the panel in place of the form; return the functions that update it: {progress(share), sent(), end()}. */
export function showSending(file) {
  swap(true);
  byId('sending-title').textContent = 'Uploading';
  byId('sending-name').textContent = `${file.name} · ${bytes(file.size)}`;
  byId('sending-error').hidden = true;
  for (const name of ['keep', 'progress', 'numbers']) byId(`sending-${name}`).hidden = false;
  buttons({ cancel: true, retry: false, back: false });
  byId('sending-title').focus(); // the pressed button is hidden now
  const tenths = announceTenths();
  const speed = meter(file.size);
  let stalled = null;
  const show = (share) => {
    clearTimeout(stalled);
    stalled = setTimeout(() => facts('No connection at the moment. Waiting…'), STALLED_AFTER_MS);
    byId('sending-progress').value = share;
    byId('sending-percent').textContent = percent(share);
    facts(share > 0 ? speed(share) : 'Starting…');
    showStrip(`Uploading ${percent(share)}`);
    document.title = `${percent(share)} · ${PAGE_TITLE}`;
    tenths(share, `Uploading, ${percent(share)}.`);
  };
  show(0);
  return { progress: show, sent: () => showSent(stalled), end: () => endSending(stalled) };
}

/** Show why the upload failed; the form keeps its fields. */
export function showFailure(text, mayRetry) {
  byId('sending-title').textContent = 'The upload did not work';
  byId('sending-error').textContent = text;
  byId('sending-error').hidden = false;
  for (const name of ['keep', 'progress', 'numbers']) byId(`sending-${name}`).hidden = true;
  buttons({ cancel: false, retry: mayRetry, back: true });
}

export function backToForm() {
  swap(false);
}

/** Show a text in the page's header, for the other views; '' removes it. */
export function showStrip(text, address = '#') {
  const strip = byId('upload-strip');
  strip.textContent = text;
  strip.setAttribute('href', address);
  strip.hidden = !text;
}

function showSent(stalled) {
  clearTimeout(stalled);
  buttons({ cancel: false, retry: false, back: false }); // too late: the server may have the video already
  byId('sending-progress').removeAttribute('value'); // indeterminate: all bytes are sent, the answer is pending
  byId('sending-percent').textContent = '';
  facts('Everything is sent. The server is taking it in…');
}

function endSending(stalled) {
  clearTimeout(stalled);
  document.title = PAGE_TITLE;
  showStrip('');
}

function facts(text) {
  byId('sending-facts').textContent = text;
}

function buttons(visible) {
  for (const [name, on] of Object.entries(visible)) byId(`upload-${name}`).hidden = !on;
}

function swap(on) {
  byId('sending').hidden = !on;
  byId('upload-form').hidden = on;
}

/** Return a function from share to text, by the speed of the last seconds: "21 of 48 MB, about 1 min left". */
function meter(size) {
  const marks = [];
  return (share) => {
    const now = performance.now();
    marks.push([now, share]);
    while (marks.length > 2 && now - marks[0][0] > SPEED_WINDOW_MS) marks.shift();
    const [[since, first]] = marks;
    const leftS = now - since < 1500 ? NaN : ((1 - share) / (share - first)) * ((now - since) / 1000);
    return [`${bytes(size * share)} of ${bytes(size)}`, timeLeft(leftS)].filter(Boolean).join(', ');
  };
}
