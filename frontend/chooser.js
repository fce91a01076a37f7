/** Choosing the video: from a file, the camera or a drop; and what the form shows of it before it is sent. */

import { maxUploadBytes } from './accounts.js';
import { announce } from './announce.js';
import { byId } from './dom.js';
import { bytes, seconds } from './format.js';

/** The file that will be uploaded, or null. */
export let chosen = null;

/** The idempotency key of this file's upload: the same in every attempt, so that the server makes only one video. */
export let chosenKey = null;

/** Wire the inputs, the drop zone and the small picture once. */
export function startChooser() {
  for (const input of [byId('file'), byId('record')]) {
    input.addEventListener('change', () => {
      if (input.files.length) choose(input.files[0]);
      input.value = ''; // so that choosing the same file again is noticed
    });
  }
  startDrop(byId('drop'));
  startPicture(byId('chosen-picture'));
}

/** Say before choosing what may be chosen; called again when the limit is known. */
export function showLimit() {
  const limit = maxUploadBytes ? ` up to ${bytes(maxUploadBytes)}` : '';
  if (chosen) return;
  byId('chosen-name').textContent = matchMedia('(pointer: coarse)').matches ? 'Your video' : 'Drop a video here';
  byId('drop-facts').textContent = `Any common video format${limit}.`;
}

/** Return to the empty form. */
export function forgetFile() {
  chosen = null;
  chosenKey = null;
  picture(null);
  byId('file-label').textContent = 'Choose video';
  byId('file-label').className = 'button button-main';
  byId('drop').classList.remove('drop-chosen');
  byId('details').hidden = true;
  showLimit();
}

function startDrop(zone) {
  // A file dropped beside the zone would replace the page, and with it a running upload.
  for (const name of ['dragover', 'drop']) window.addEventListener(name, (event) => event.preventDefault());
  const mark = (on) => zone.classList.toggle('drop-over', on);
  zone.addEventListener('dragover', () => mark(true));
  zone.addEventListener('dragleave', (event) => mark(zone.contains(event.relatedTarget)));
  zone.addEventListener('drop', ({ dataTransfer: { files } }) => {
    mark(false);
    if (files.length > 1) say('Please drop one video at a time.');
    else if (files.length) choose(files[0]);
  });
}

function startPicture(video) {
  video.addEventListener('loadedmetadata', () => {
    video.hidden = !video.videoWidth;
    if (Number.isFinite(video.duration)) byId('drop-facts').textContent = `${bytes(chosen.size)} · ${seconds(video.duration)}`;
  });
  // Browsers cannot show every format that the server can read: then there is just no picture.
  video.addEventListener('error', () => {
    video.hidden = true;
  });
}

function choose(file) {
  const trouble = unfit(file);
  say(trouble);
  if (trouble) return;
  chosen = file;
  chosenKey = randomKey();
  byId('chosen-name').textContent = file.name;
  byId('drop-facts').textContent = bytes(file.size);
  byId('file-label').textContent = 'Choose another';
  byId('file-label').className = 'button button-quiet';
  byId('drop').classList.add('drop-chosen');
  byId('details').hidden = false;
  picture(file);
  announce(`${file.name} is chosen.`);
}

/** 128 random bits; crypto.randomUUID is missing where the page is not served over https. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function picture(file) {
  const video = byId('chosen-picture');
  if (video.src) URL.revokeObjectURL(video.src.split('#')[0]);
  video.hidden = true;
  if (file) video.src = `${URL.createObjectURL(file)}#t=0.5`; // phones show no picture for the very first instant
  else video.removeAttribute('src');
}

function unfit(file) {
  if (!file.size) return 'This file is empty. Please choose another one.';
  if (file.type && !file.type.startsWith('video/')) return 'This does not look like a video. Please choose another file.';
  if (maxUploadBytes && file.size > maxUploadBytes) {
    return `This video is ${bytes(file.size)}; the limit is ${bytes(maxUploadBytes)}. Choose a shorter one, or film at a lower resolution.`;
  }
  return '';
}

function say(text) {
  byId('file-error').textContent = text;
}
