/** Uploads the chosen videos one after the other while the form is filled in, and makes jobs of them when it is sent. */

import * as api from './api.js';
import { announce } from './announce.js';
import { durationOf, say, showElsewhere, take } from './chooser.js';
import { confirm } from './dialogs.js';
import { byId } from './dom.js';
import { fingerprint, Unreadable } from './file-bytes.js';
import { percent } from './format.js';
import * as queue from './queue.js';
import { clearDone, drawQueue, noteDone, shown, startQueueView } from './queue-view.js';
import { claim, isElsewhere, letGo, owns, RECORDS } from './record.js';
import { closePanel, needsTab, openPanel, setPhase } from './sending.js';
import { dropKept, keep, reopen, sharedFiles } from './shared.js';
import { Stopped, TakenOver, Transfer } from './tus.js';
import { clearForm, missingChoice, options, readForm, showRefusal, startForm } from './upload-form.js';
import { sentence } from './words.js';

const LOOK_AGAIN_MS = 2000;
const UNREADABLE = 'This page cannot read the video any more. Please choose it again; on a phone, best from Files and not from Photos.';
const EXPIRED = 'It was not complete within a day, so the server has deleted what had arrived.';
/** Answers to the options for which the person can change them and press again. */
const CORRECTABLE = new Set([400, 409, 422]);

/** The upload that runs: {record, transfer, isEnding: its options are being sent}; null without one. */
let active = null;
let uploaded = () => {};
let other = null; // a source chosen in place of the unfinished upload
let signedIn = [];
let again = null;
let isRunning = false;
let isLooking = false;

/** Add the listeners; `onUploaded(jobId, isAlone)` is called when the server has created the job of a video. */
export function startUpload(onUploaded) {
  uploaded = onUploaded;
  startForm(keepFields);
  startQueueView({ remove: removeAsked, setTitle });
  byId('upload-form').addEventListener('submit', submit);
  byId('upload-edit').addEventListener('click', edit);
  byId('upload-pause').addEventListener('click', () => active?.transfer.pause());
  byId('upload-resume').addEventListener('click', () => active?.transfer.resume());
  byId('upload-retry').addEventListener('click', () => active?.transfer.tryNow());
  byId('upload-cancel').addEventListener('click', () => cancel(active?.record ?? queue.all()[0]));
  byId('upload-continue').addEventListener('click', () => openKept(queue.all().filter(queue.isStored), true).then(proceed));
  byId('upload-discard').addEventListener('click', discardStored);
  byId('upload-instead').addEventListener('click', takeOther);
  window.addEventListener('storage', (event) => {
    if (event.key === RECORDS && event.newValue === null && owns()) leave(); // another tab has signed out
    look();
  });
  window.addEventListener('beforeunload', (event) => {
    if (needsTab()) event.preventDefault();
  });
}

/** Continue what waits for the session, or uploads of an earlier page; called after signing in. */
export function openUpload() {
  for (const resolve of signedIn.splice(0)) resolve();
  return look();
}

/** Show what is known of uploads that are not this tab's, and continue those that need no choice. */
async function look() {
  clearTimeout(again);
  if (isLooking || owns()) return;
  isLooking = true;
  try {
    await lookOnce();
  } finally {
    isLooking = false;
  }
}

async function lookOnce() {
  const records = queue.load();
  if (records.length && (await isElsewhere())) {
    showElsewhere(records);
    again = setTimeout(look, LOOK_AGAIN_MS); // a closed tab says nothing
    return;
  }
  await Promise.all(records.map(find));
  await openKept(queue.all().filter(queue.isStored));
  const shared = await wanted(await sharedFiles(records.map(({ kept }) => kept)));
  if (owns()) return; // a file was chosen meanwhile
  if (shared.length) await take(shared);
  else await proceed();
}

/** Ask about shared videos that a page of another site may have sent; deletes those that the person does not want. */
async function wanted(shared) {
  const unsure = shared.filter(({ isSure }) => !isSure);
  const names = unsure.map(({ file }) => `“${file.name}”`).join(', ');
  const isWanted = !unsure.length || (await confirm('Upload what was shared?', `Another app or page has sent ${names} to VidProd.`, 'Upload', 'Discard'));
  if (isWanted) return shared;
  await Promise.all(unsure.map(({ kept }) => dropKept(kept)));
  return shared.filter(({ isSure }) => isSure);
}

/** Ask the server for an unfinished upload. */
async function find(record) {
  if (!record.address) return;
  const { offset, jobId } = await stateOf(record);
  if (owns()) return;
  if (jobId) arrived(record, jobId);
  else if (offset === null) queue.change(record, { address: null, confirmed: 0, trouble: EXPIRED });
  else if (offset >= record.size) queue.setComplete(record); // the file is not needed
  else queue.change(record, { confirmed: offset });
}

async function stateOf({ address, confirmed }) {
  try {
    return await api.uploadState(address);
  } catch {
    return { offset: confirmed }; // asked again before anything is sent
  }
}

/** Open the files that this browser keeps; `mayAsk` in a tap of the person only. */
async function openKept(records, mayAsk = false) {
  let needsTap = false;
  for (const record of records) {
    const found = await reopen(record.kept, mayAsk);
    needsTap ||= found.needsTap;
    if (found.file?.size === record.size) queue.setFile(record, found.file);
  }
  byId('upload-continue').hidden = !needsTap;
}

/** Take chosen files: new videos, or those of unfinished uploads. A source is {file, handle, kept}. */
export async function choose(sources) {
  if (!owns()) queue.load();
  if (!(await claim())) {
    look();
    return;
  }
  const unknown = [];
  for (const source of sources) {
    const print = await fingerprint(source.file).catch(() => null);
    if (!print) say(UNREADABLE);
    else if (!(await continueWith(source, print))) unknown.push({ ...source, print });
    else if (source.kept) dropRepeated(source);
  }
  const stored = queue.all().filter(queue.isStored);
  const isInstead = sources.length === 1 && unknown.length === 1 && stored.length === 1 && queue.all().length === 1;
  if (isInstead && stored[0].confirmed > 0) {
    await proceed();
    ask(unknown[0], stored[0]);
  } else {
    if (isInstead) discard(stored[0]);
    await addAll(unknown);
    await proceed();
  }
}

/** Continue an unfinished upload with its file; returns false for another video. */
async function continueWith(source, print) {
  const record = queue.all().find((one) => one.fingerprint === print && !one.isRefused);
  if (!record) return false;
  if (queue.isStored(record)) {
    queue.setFile(record, source.file);
    queue.change(record, { trouble: '', kept: await keptId(source) });
  }
  return true;
}

function dropRepeated({ kept }) {
  if (!queue.all().some((record) => record.kept === kept)) dropKept(kept);
}

const keptId = async ({ kept = null, handle = null }) => kept ?? (handle && keep(handle));

async function addAll(sources) {
  clearDone();
  const fields = readForm();
  if (!queue.all().some(queue.isOpen)) fields.tiktok = {}; // the consent was for the videos before
  for (const source of sources) {
    const title = queue.all().length ? '' : fields.title;
    queue.add(source.file, { fingerprint: source.print, fields: { ...fields, title }, kept: await keptId(source) });
  }
  if (sources.length) announce(sources.length > 1 ? `${sources.length} videos are chosen.` : `${sources[0].file.name} is chosen.`);
}

function ask(source, record) {
  other = source;
  say(`“${source.file.name}” is another video than “${record.name}”.`);
  byId('upload-instead').hidden = false;
}

async function takeOther() {
  if (!(await claim())) return;
  discard(queue.all()[0]);
  await addAll([other]);
  await proceed();
}

/** Upload what can be uploaded; without anything to do, let other tabs have the uploads. */
async function proceed() {
  const isBusy = queue.all().some(queue.isWorkable);
  if (isBusy && !(await claim())) {
    queue.leave();
    look();
    return;
  }
  draw();
  if (!isBusy) letGo();
  else run();
}

async function run() {
  if (isRunning) return;
  isRunning = true;
  try {
    for (let record = queue.next(); record && owns(); record = queue.next()) await attempt(record);
  } finally {
    isRunning = false;
  }
  await proceedOrRest();
}

/** After the last upload: the form is still open, or files are missing, or all is done. */
async function proceedOrRest() {
  draw();
  if (!queue.all().some(queue.isWorkable)) {
    letGo();
    await look();
  }
}

async function attempt(record) {
  const transfer = new Transfer({ file: queue.fileOf(record), ...record }, { show: (...phase) => show(mine, ...phase), signedIn: () => whenSignedIn(mine), owns });
  const mine = { record, transfer, isEnding: false };
  active = mine;
  draw();
  openPanel(record.size, shown(record));
  try {
    await advance(mine);
  } catch (error) {
    fail(mine, error);
  } finally {
    transfer.stop();
    end(mine);
  }
}

function end(mine) {
  if (active !== mine) return;
  active = null;
  closePanel();
}

async function advance(mine) {
  const { record, transfer } = mine;
  show(mine, record.address ? 'asking' : 'sending', { sent: record.confirmed });
  const file = queue.fileOf(record);
  await transfer.send();
  queue.setComplete(record);
  mine.isEnding = record.starts;
  if (record.starts || transfer.jobId) arrived(record, await transfer.complete(options(record.fields, durationOf(file))));
}

function show(mine, phase, detail) {
  if (active !== mine) return;
  const { address, confirmed } = mine.transfer;
  if (address !== mine.record.address || confirmed !== mine.record.confirmed) queue.change(mine.record, { address, confirmed });
  setPhase(phase, detail);
}

function whenSignedIn(mine) {
  show(mine, 'signedOut', { sent: mine.record.confirmed });
  return new Promise((resolve) => { signedIn.push(resolve); });
}

function keepFields(fields) {
  const isAlone = queue.all().length === 1;
  for (const record of queue.all().filter(queue.isOpen)) {
    queue.change(record, { fields: { ...fields, title: isAlone ? fields.title : record.fields.title } });
  }
}

function setTitle(record, title) {
  queue.change(record, { fields: { ...record.fields, title } });
}

function submit(event) {
  event.preventDefault();
  const open = queue.all().filter(queue.isOpen);
  if (!open.length) return;
  const missing = missingChoice();
  showRefusal(missing);
  if (missing) return;
  keepFields(readForm());
  for (const record of open) queue.change(record, { starts: true, trouble: '' });
  draw();
  byId('starting').focus(); // the pressed button is hidden now
  run();
}

function edit() {
  for (const record of queue.all()) {
    if (!(active?.record === record && active.isEnding)) queue.change(record, { starts: false });
  }
  draw();
  byId('title').focus();
}

/** Show what ended an upload early; the next one begins. */
function fail({ record, transfer }, error) {
  if (error instanceof TakenOver) leave();
  else if (error instanceof Stopped) return;
  else if (error instanceof Unreadable) {
    queue.dropFile(record);
    queue.change(record, { trouble: UNREADABLE });
  } else if (queue.isComplete(record) && CORRECTABLE.has(error.status)) {
    queue.change(record, { starts: false, trouble: sentence(error.message, '.') });
    draw();
    showRefusal(error);
  } else if (error.status) refuse(record, transfer, sentence(error.message, '.'));
  else throw error;
}

/** Remove what the server does not take; of several videos it stays in the list, with the reason. */
function refuse(record, { address }, trouble) {
  if (queue.all().length === 1) {
    discard(record);
    say(trouble);
    return;
  }
  if (address) api.removeUpload(address).catch(() => {});
  queue.dropFile(record);
  queue.change(record, { isRefused: true, trouble, address: null, confirmed: 0 });
  announce(`${record.name}: ${trouble}`);
}

/** Remove an upload here and at the server; the fields of the form stay. */
function discard(record) {
  if (active?.record === record) active.transfer.stop();
  if (record.address) api.removeUpload(record.address).catch(() => {}); // else it expires
  queue.remove(record);
  say('');
  draw();
}

async function cancel(record) {
  const { name, size, confirmed } = record;
  const sure = !confirmed || (await confirm('Cancel this upload?', `${percent(confirmed / size)} of ${name} is on the server and would be removed.`, 'Cancel upload', 'Keep it'));
  if (!sure || !queue.all().includes(record) || (active?.record === record && active.isEnding)) return;
  discard(record);
  announce('Upload cancelled.');
  byId('file').focus();
  if (!isRunning) proceedOrRest();
}

function removeAsked(record) {
  if (record.isRefused) {
    discard(record);
    if (!isRunning) proceedOrRest();
  } else cancel(record);
}

function discardStored() {
  for (const record of queue.all().filter(queue.isStored)) discard(record);
  announce('Upload discarded.');
  byId('file').focus();
}

function arrived(record, jobId) {
  if (active?.record === record) end(active); // before the header's link to the job, which is in the place of the progress
  const isAlone = noteDone(record, jobId);
  queue.remove(record);
  if (!queue.all().length) clearForm();
  draw();
  announce(isAlone ? 'Upload complete.' : `${record.name} is uploaded.`);
  uploaded(jobId, isAlone);
}

/** Give up this tab's part in the uploads. */
export function leave() {
  active?.transfer.stop(new TakenOver());
  queue.leave();
  letGo();
  closePanel();
}

/** Show the uploads as they are after a change from outside. */
export function redraw() {
  queue.load();
  draw();
}

function draw() {
  drawQueue(active?.record ?? null);
}
