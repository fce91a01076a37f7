/** The choice of videos, from files, the camera or a drop: what the place shows before and after it. */

import { maxUploadBytes } from './accounts.js';
import { byId } from './dom.js';
import { bytes, percent, seconds } from './format.js';
import { dropKept } from './shared.js';

const NAMES = ['.mp4', '.mov', '.m4v', '.webm', '.mkv', '.avi', '.mpg', '.mpeg', '.ts', '.3gp'];
const TYPES = [{ description: 'Videos', accept: { 'video/*': NAMES } }];

let chosen = () => {};
let size = 0;
let pictured = null; // the file in the preview
const durations = new WeakMap(); // file → its length in seconds, where the browser can tell
let isPlainInput = false; // the next click opens the input's own dialog

/** Add the listeners of the inputs, the drop zone and the preview; `onChosen(sources)` gets usable {file, handle}. */
export function startChooser(onChosen) {
  chosen = onChosen;
  for (const input of [byId('file'), byId('record')]) {
    input.addEventListener('change', () => {
      take([...input.files].map((file) => ({ file })));
      input.value = ''; // choosing the same file again fires another event
    });
  }
  byId('file').addEventListener('click', pick);
  startDrop(byId('drop'));
  startPicture(byId('chosen-picture'));
}

/** Take sources as if they were chosen: {file, handle, kept}. Those that cannot be used are told, and not kept. */
export async function take(sources) {
  const usable = sources.filter((source) => {
    const trouble = unfit(source.file);
    if (trouble) dropKept(source.kept);
    return !trouble;
  });
  const refused = sources.find((source) => !usable.includes(source));
  const name = refused && sources.length > 1 ? `${refused.file.name}: ` : '';
  say(refused ? name + unfit(refused.file) : '');
  if (usable.length) await chosen(usable);
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
  showLimit();
}

/** The length of a file in seconds; undefined where it is not known. */
export const durationOf = (file) => durations.get(file);

/** Show the video that is uploaded; `file` is null if this page cannot read it. */
export function showChosen(record, file) {
  if (mode() !== 'chosen' || pictured !== file || !file) place('chosen', record.name, bytes(record.size));
  size = record.size;
  picture(file);
  label('Add a video', 'button-quiet');
}

/** Show that several videos are uploaded; the list beside it names them. */
export function showSeveral(records) {
  place('chosen', `${records.length} videos`, `${bytes(records.reduce((sum, record) => sum + record.size, 0))}, one after the other`);
  picture(null);
  label('Add a video', 'button-quiet');
}

/** Ask for the files of unfinished uploads. */
export function showStored(records) {
  const [{ name, size: total, confirmed, trouble }] = records;
  const isOne = records.length === 1;
  const facts = confirmed > 0 || !isOne ? 'and the upload goes on where it stopped.' : 'to upload it from the beginning.';
  const title = !isOne ? `${records.length} uploads are not complete` : confirmed > 0 ? `${name}, ${percent(confirmed / total)} is here` : name;
  const canContinue = !byId('upload-continue').hidden; // the browser still has files, and asks before it opens them
  const choice = isOne ? `Choose the ${confirmed > 0 ? 'same file again, ' : 'file again '}${facts}` : `Choose the same files again, all at once if you like, ${facts}`;
  place('stored', title, canContinue ? `Press Continue, and ${isOne ? 'the upload goes on' : 'the uploads go on'}. This browser may ask whether it may open the file.` : choice);
  picture(null);
  label(isOne ? 'Choose it again' : 'Choose them again', canContinue ? 'button-quiet' : 'button-main');
  byId('upload-discard').textContent = isOne ? 'Discard' : 'Discard all';
  say(isOne ? trouble : '');
}

/** Show that another tab of this browser uploads. */
export function showElsewhere(records) {
  const [{ name, size: total, confirmed }] = records;
  const isOne = records.length === 1;
  place('elsewhere', isOne ? name : `${records.length} videos`, `Another tab of this page is uploading ${isOne ? `it: ${percent(confirmed / total)}` : 'them'}.`);
  picture(null);
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
  if (name !== 'stored') byId('upload-continue').hidden = true;
  byId('upload-instead').hidden = true;
  byId('drop-buttons').hidden = name === 'elsewhere';
  byId('record-pick').hidden = name !== 'empty'; // less to look past while the form is filled in
}

function label(text, look) {
  byId('file-label').textContent = text;
  byId('file-label').className = `button ${look}`;
}

/** Open the picker of desktop browsers that give handles: with one, a later page needs no second choice. */
async function pick(event) {
  if (isPlainInput || !window.showOpenFilePicker || matchMedia('(pointer: coarse)').matches) return;
  event.preventDefault();
  try {
    const handles = await window.showOpenFilePicker({ multiple: true, types: TYPES });
    await take(await Promise.all(handles.map(async (handle) => ({ file: await handle.getFile(), handle }))));
  } catch (error) {
    if (error.name !== 'AbortError') openInput();
  }
}

/** Refused by a policy of the browser: the input's own dialog is not. */
function openInput() {
  isPlainInput = true;
  byId('file').click();
  isPlainInput = false;
}

function startDrop(zone) {
  // Without this, a file dropped beside the zone would be opened instead of the page, and end a running upload.
  for (const name of ['dragover', 'drop']) window.addEventListener(name, (event) => event.preventDefault());
  const mark = (on) => zone.classList.toggle('drop-over', on);
  zone.addEventListener('dragover', () => mark(true));
  zone.addEventListener('dragleave', (event) => mark(zone.contains(event.relatedTarget)));
  zone.addEventListener('drop', async ({ dataTransfer }) => {
    mark(false);
    if (mode() === 'elsewhere') return;
    const sources = await Promise.all([...dataTransfer.items].filter(({ kind }) => kind === 'file').map(dropped));
    await take(sources.filter(({ file }) => file));
  });
}

/** Return {file, handle} of a dropped item; both are read at once, because the item is empty after the event. */
async function dropped(item) {
  const file = item.getAsFile();
  const handle = await item.getAsFileSystemHandle?.().catch(() => null);
  return { file, handle: handle?.kind === 'file' ? handle : null };
}

function startPicture(video) {
  video.addEventListener('loadedmetadata', () => {
    video.hidden = !video.videoWidth;
    if (!Number.isFinite(video.duration)) return; // of a recording, for instance
    durations.set(pictured, video.duration);
    byId('drop-facts').textContent = `${bytes(size)} · ${seconds(video.duration)}`;
  });
  // Browsers cannot show all formats that the server reads; without a picture the preview stays hidden.
  video.addEventListener('error', () => {
    video.hidden = true;
  });
}

function picture(file) {
  if (file === pictured) return;
  pictured = file;
  const video = byId('chosen-picture');
  if (video.src) URL.revokeObjectURL(video.src.split('#')[0]);
  video.hidden = true;
  if (file) video.src = `${URL.createObjectURL(file)}#t=0.5`; // phones show no picture at the time 0
  else video.removeAttribute('src');
}

function unfit(file) {
  if (!file.size) return 'This file is empty. Please choose another one.';
  if (file.type && !file.type.startsWith('video/') && !NAMES.some((ending) => file.name.toLowerCase().endsWith(ending))) return 'This does not look like a video. Please choose another file.';
  if (maxUploadBytes && file.size > maxUploadBytes) {
    return `This video is ${bytes(file.size)}; the limit is ${bytes(maxUploadBytes)}. Choose a shorter one, or film at a lower resolution.`;
  }
  return '';
}
