/** The choice of the video, from a file, the camera or a drop: what the place shows before and after it. */

import { maxUploadBytes } from './accounts.js';
import { announce } from './announce.js';
import { byId } from './dom.js';
import { bytes, percent, seconds } from './format.js';

let chosen = () => {};
let size = 0;

/** Add the listeners of the inputs, the drop zone and the preview; `onChosen(file)` is called with a usable file. */
export function startChooser(onChosen) {
  chosen = onChosen;
  for (const input of [byId('file'), byId('record')]) {
    input.addEventListener('change', () => {
      if (input.files.length) choose(input.files[0]);
      input.value = ''; // choosing the same file again fires another event
    });
  }
  startDrop(byId('drop'));
  startPicture(byId('chosen-picture'));
}

/** Take a file as if it was chosen; `kept` is its id in the file store. Returns false if it cannot be used. */
export function choose(file, kept = null) {
  const trouble = unfit(file);
  say(trouble);
  if (!trouble) chosen(file, kept);
  return !trouble;
}

/** Show the accepted files before the choice; called again when the size limit is known. */
export function showLimit() {
  if (mode() !== 'empty') return;
  const limit = maxUploadBytes ? ` up to ${bytes(maxUploadBytes)}` : '';
  place('empty', matchMedia('(pointer: coarse)').matches ? 'Your video' : 'Drop a video here', `Any common video format${limit}.`);
}

/** Show the place without a video; the fields of the form stay. */
export function clearFile() {
  place('empty', '', '');
  picture(null);
  label('Choose video', 'button-main');
  byId('details').hidden = true;
  showLimit();
}

/** Show the video that is uploaded; `file` is null if this page cannot read it. */
export function showChosen(record, file) {
  place('chosen', record.name, bytes(record.size));
  size = record.size;
  picture(file);
  label('Choose another', 'button-quiet');
  byId('details').hidden = false;
  announce(`${record.name} is chosen.`);
}

/** Ask for the file of an unfinished upload; `trouble` says why, if it is not obvious. */
export function showStored(record, trouble = '') {
  const begun = record.confirmed > 0;
  const facts = begun ? 'Choose the same file again, and the upload goes on where it stopped.' : 'Choose the file again to upload it from the beginning.';
  place('stored', begun ? `${record.name}, ${percent(record.confirmed / record.size)} is here` : record.name, facts);
  picture(null);
  label('Choose it again', 'button-main');
  byId('details').hidden = true;
  say(trouble);
}

/** Say that another file was chosen than that of the unfinished upload. */
export function showOther(record, file) {
  say(`“${file.name}” is another video than “${record.name}”.`);
  byId('upload-instead').hidden = false;
}

/** Show that another tab of this browser uploads. */
export function showElsewhere(record) {
  place('elsewhere', record.name, `Another tab of this page is uploading it: ${percent(record.confirmed / record.size)}.`);
  picture(null);
  byId('details').hidden = true;
}

/** What the place shows: empty, chosen, stored or elsewhere. */
export function mode() {
  return byId('drop').dataset.mode;
}

export function say(text) {
  byId('file-error').textContent = text;
}

/** Show one of the modes; the style sheet hides what does not belong to it. */
function place(name, title, facts) {
  byId('drop').dataset.mode = name;
  byId('drop').classList.toggle('drop-chosen', name === 'chosen');
  byId('chosen-name').textContent = title;
  byId('drop-facts').textContent = facts;
  byId('upload-discard').hidden = name !== 'stored';
  byId('upload-instead').hidden = true;
  byId('drop-buttons').hidden = name === 'elsewhere';
  byId('record-pick').hidden = name !== 'empty'; // less to look past while the form is filled in
}

function label(text, look) {
  byId('file-label').textContent = text;
  byId('file-label').className = `button ${look}`;
}

function startDrop(zone) {
  // Without this, a file dropped beside the zone would be opened instead of the page, and end a running upload.
  for (const name of ['dragover', 'drop']) window.addEventListener(name, (event) => event.preventDefault());
  const mark = (on) => zone.classList.toggle('drop-over', on);
  zone.addEventListener('dragover', () => mark(true));
  zone.addEventListener('dragleave', (event) => mark(zone.contains(event.relatedTarget)));
  zone.addEventListener('drop', ({ dataTransfer: { files } }) => {
    mark(false);
    if (mode() === 'elsewhere') return;
    if (files.length > 1) say('Please drop one video at a time.');
    else if (files.length) choose(files[0]);
  });
}

function startPicture(video) {
  video.addEventListener('loadedmetadata', () => {
    video.hidden = !video.videoWidth;
    if (Number.isFinite(video.duration)) byId('drop-facts').textContent = `${bytes(size)} · ${seconds(video.duration)}`;
  });
  // Browsers cannot show all formats that the server reads; without a picture the preview stays hidden.
  video.addEventListener('error', () => {
    video.hidden = true;
  });
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
