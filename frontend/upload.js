/** Uploads the chosen video while its form is filled in, and makes a job of it when both are ready. */

import * as api from './api.js';
import { announce } from './announce.js';
import { choose as offer, clearFile, mode, say, showChosen, showElsewhere, showOther, showStored, startChooser } from './chooser.js';
import { confirm } from './dialogs.js';
import { byId } from './dom.js';
import { fingerprint, Unreadable } from './file-bytes.js';
import { percent } from './format.js';
import { claim, clearRecord, isElsewhere, letGo, owns, readRecord, writeRecord } from './record.js';
import { keptFile } from './file-store.js';
import { closePanel, needsTab, openPanel, setPhase } from './sending.js';
import { dropShared, sharedFiles, shareTrouble } from './shared.js';
import { Stopped, TakenOver, Transfer } from './tus.js';
import { clearForm, fillForm, options, readForm, showRefusal, showStarting, startForm } from './upload-form.js';
import { sentence } from './words.js';

const LOOK_AGAIN_MS = 2000;
const UNREADABLE = 'This page cannot read the video any more. Please choose it again; on a phone, best from Files and not from Photos.';
const EXPIRED = 'It was not complete within a day, so the server has deleted what had arrived.';
/** Answers to the options for which the person can change them and press again. */
const CORRECTABLE = new Set([400, 409, 422]);

/** The upload of this tab: {transfer, record, isHere: all bytes are at the server}; null without one. */
let active = null;
let uploaded = () => {};
let other = null; // [file, fingerprint, kept] chosen while another upload is unfinished
let signedIn = [];
let again = null;
let isFinding = false;

/** Add the listeners; `onUploaded(jobId)` is called when the server has created the job of a video. */
export function startUpload(onUploaded) {
  uploaded = onUploaded;
  startChooser(choose);
  startForm(keepFields);
  byId('upload-form').addEventListener('submit', submit);
  byId('upload-edit').addEventListener('click', edit);
  byId('upload-pause').addEventListener('click', () => active?.transfer.pause());
  byId('upload-resume').addEventListener('click', () => active?.transfer.resume());
  byId('upload-retry').addEventListener('click', () => active?.transfer.tryNow());
  byId('upload-cancel').addEventListener('click', cancel);
  byId('upload-discard').addEventListener('click', discardStored);
  byId('upload-instead').addEventListener('click', takeOther);
  window.addEventListener('storage', () => look());
  window.addEventListener('beforeunload', (event) => {
    if (needsTab()) event.preventDefault();
  });
}

/** Continue what waits for the session, or an upload of an earlier page; called after signing in. */
export function openUpload() {
  for (const resolve of signedIn.splice(0)) resolve();
  const trouble = shareTrouble();
  look().then(() => trouble && mode() === 'empty' && say(trouble));
}

/** Show what is known of an upload that is not this tab's. */
async function look() {
  clearTimeout(again);
  const record = readRecord();
  const isBusy = Boolean(record) && (await isElsewhere());
  if (active) return;
  if (isBusy) {
    showElsewhere(record);
    again = setTimeout(look, LOOK_AGAIN_MS); // a closed tab says nothing
  } else if (record && mode() !== 'stored') await find(record);
  else if (!record) await takeShared();
}

/** Begin with the first of the shared videos, if there are any. */
async function takeShared() {
  if (mode() !== 'empty') clearFile();
  const [shared] = await sharedFiles([]);
  if (shared && !active && !readRecord() && !offer(shared[1], shared[0])) dropShared(shared[0]);
}

/** The sentence about an unfinished upload for a page without a connection, or ''. */
export function unfinishedWords() {
  const record = readRecord();
  if (!record) return '';
  const arrived = record.confirmed > 0 ? `${percent(record.confirmed / record.size)} of ${record.name} has arrived. ` : '';
  return `${arrived}The upload continues when you are connected again.`;
}

/** Ask the server for an unfinished upload. */
async function find(record) {
  if (isFinding) return;
  isFinding = true;
  const { offset, jobId } = await stateOf(record);
  isFinding = false;
  if (active) return;
  if (jobId) arrived(jobId);
  else if (offset === null) store({ ...record, address: null, confirmed: 0 }, EXPIRED);
  else if (offset >= record.size) begin(null, { ...record, confirmed: record.size }); // complete: the file is not needed
  else await restore({ ...record, confirmed: offset });
}

/** Continue with the kept file; without one the person has to choose it again. */
async function restore(record) {
  const entry = record.kept ? await keptFile(record.kept).catch(() => null) : null;
  if (entry && !active) begin(entry.file, record);
  else if (!active) store(record);
}

async function stateOf({ address, confirmed }) {
  try {
    return address ? await api.uploadState(address) : { offset: 0 };
  } catch {
    return { offset: confirmed }; // asked again before anything is sent
  }
}

function store(record, trouble) {
  writeRecord(record);
  showStored(record, trouble);
}

/** Take a chosen file: a new video, or that of the unfinished upload. */
async function choose(file, kept = null) {
  if (active && !(await mayReplace())) return;
  const print = await fingerprint(file).catch(() => null);
  const record = active ? null : readRecord();
  if (!print) say(UNREADABLE);
  else if (kept && active) return; // another choice was quicker; this one follows
  else if (record?.fingerprint === print) begin(file, record);
  else if (record?.confirmed > 0) {
    other = [file, print, kept];
    showOther(record, file);
  } else beginNew(file, print, kept, record ?? active?.record);
}

/** Ask before the bytes of the present upload are given up. */
async function mayReplace() {
  const { record } = active;
  return !record.confirmed || confirm('Take another video?', `${percent(record.confirmed / record.size)} of ${record.name} is on the server and would be removed.`, 'Take the other', 'Keep this one');
}

function takeOther() {
  beginNew(...other, readRecord());
}

function beginNew(file, print, kept, replaced) {
  if (replaced) discard(replaced);
  begin(file, { address: null, name: file.name, size: file.size, fingerprint: print, confirmed: 0, fields: readForm(), starts: false, kept });
}

/** Begin, or continue, the upload of the record. */
async function begin(file, record) {
  if (!(await claim())) {
    look();
    return;
  }
  const transfer = new Transfer({ file, ...record }, { show: (...phase) => show(mine, ...phase), signedIn: () => whenSignedIn(mine), owns });
  const mine = { transfer, record, isHere: false };
  active = mine;
  writeRecord(record);
  say('');
  showChosen(record, file);
  fillForm(record.fields);
  showRefusal(null);
  showStarting(record.starts);
  openPanel(record.size);
  await guarded(mine, () => run(mine));
}

async function run(mine) {
  show(mine, mine.record.address ? 'asking' : 'sending', { sent: mine.record.confirmed });
  await mine.transfer.send();
  mine.isHere = true;
  if (mine.record.starts || mine.transfer.jobId) await complete(mine);
  else show(mine, 'here', { sent: mine.record.size });
}

async function complete(mine) {
  const jobId = await mine.transfer.complete(options(mine.record.fields));
  if (active === mine) arrived(jobId);
}

function show(mine, phase, detail) {
  if (active !== mine) return;
  const { address, confirmed } = mine.transfer;
  if (address !== mine.record.address || confirmed !== mine.record.confirmed) update({ address, confirmed });
  setPhase(phase, detail);
}

function update(changes) {
  Object.assign(active.record, changes);
  writeRecord(active.record);
}

function keepFields(fields) {
  if (active) update({ fields });
}

function whenSignedIn(mine) {
  show(mine, 'signedOut', { sent: mine.record.confirmed });
  return new Promise((resolve) => { signedIn.push(resolve); });
}

function submit(event) {
  event.preventDefault();
  if (!active) return;
  const nowhere = readForm().platforms?.length === 0;
  showRefusal(nowhere ? { field: 'platforms', message: 'Please choose at least one place.' } : null);
  if (nowhere) return;
  update({ fields: readForm(), starts: true });
  showStarting(true);
  byId('starting').focus(); // the pressed button is hidden now
  const mine = active;
  if (mine.isHere) guarded(mine, () => complete(mine));
}

function edit() {
  if (!active) return;
  update({ starts: false });
  showStarting(false);
  byId('title').focus();
}

/** Do a part of the upload, and show what ends it early. */
async function guarded(mine, work) {
  try {
    await work();
  } catch (error) {
    if (active === mine) fail(mine, error);
  }
}

function fail({ record, isHere, transfer }, error) {
  if (isHere && CORRECTABLE.has(error.status)) {
    edit();
    show(active, 'here', { sent: record.size });
    showRefusal(error);
    return;
  }
  leave(transfer);
  if (error instanceof TakenOver) look();
  else if (error instanceof Unreadable) store(record, UNREADABLE);
  else if (error.status) {
    discard(record);
    say(sentence(error.message, '.'));
  } else if (!(error instanceof Stopped)) {
    look();
    throw error;
  }
}

/** End this tab's part in the upload. */
function leave(transfer) {
  transfer.stop();
  active = null;
  letGo();
  closePanel();
  showStarting(false);
  clearFile();
}

/** Remove an upload here and on the server; the fields of the form stay. */
function discard({ address, kept = null }) {
  if (active) leave(active.transfer);
  if (address) api.removeUpload(address).catch(() => {}); // else it expires
  clearRecord();
  dropShared(kept);
  clearFile();
}

async function cancel() {
  const mine = active;
  const { record } = mine;
  const sure = !record.confirmed || (await confirm('Cancel this upload?', `${percent(record.confirmed / record.size)} of ${record.name} is on the server and would be removed.`, 'Cancel upload', 'Keep it'));
  if (!sure || active !== mine || (mine.isHere && record.starts)) return;
  discard(record);
  announce('Upload cancelled.');
  byId('file').focus();
}

function discardStored() {
  const record = readRecord();
  if (record) discard(record);
  say('');
  announce('Upload discarded.');
  byId('file').focus();
}

function arrived(jobId) {
  if (active) leave(active.transfer);
  dropShared(readRecord()?.kept);
  clearRecord();
  clearForm();
  clearFile();
  announce('Upload complete.');
  uploaded(jobId);
}
