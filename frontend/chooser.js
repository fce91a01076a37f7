/** The choice of the video, from a file, the camera or a drop, and its preview in the form. */

import { maxUploadBytes } from './accounts.js';
import { announce } from './announce.js';
import { byId } from './dom.js';
import { bytes, seconds } from './format.js';

/** The file that will be uploaded, or null. */
export let chosen = null;

/** The idempotency key of this file's upload; the same in all attempts, so that the server creates one job. */
export let chosenKey = null;

/** Add the listeners of the inputs, the drop zone and the preview; call it once. */
export function startChooser() {
  for (const input of [byId('file'), byId('record')]) {
    input.addEventListener('change', () => {
      if (input.files.length) choose(input.files[0]);
      input.value = ''; // choosing the same file again fires another event
    });
  }
  startDrop(byId('drop'));
  startPicture(byId('chosen-picture'));
}

/** Show the accepted files before the choice; called again when the size limit is known. */
export function showLimit() {
  const limit = maxUploadBytes ? ` up to ${bytes(maxUploadBytes)}` : '';
  if (chosen) return;
  byId('chosen-name').textContent = matchMedia('(pointer: coarse)').matches ? 'Your video' : 'Drop a video here';
  byId('drop-facts').textContent = `Any common video format${limit}.`;
}

/** Reset the form. */
export function clearFile() {
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
  // Without this, a file dropped beside the zone would be opened instead of the page, and end a running upload.
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
  // Browsers cannot show all formats that the server reads; without a picture the preview stays hidden.
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

/** Return 128 random bits in hexadecimal; crypto.randomUUID exists only on pages served over https. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function picture(file) {
  const video = byId('chosen-picture');
  if (video.src) URL.revokeObjectURL(video.src.split('#')[0]);
  video.hidden = true;
  if (file) video.src = `${URL.createObjectURL(file)}#t=0.5`; // phones show no picture at the time 0
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
