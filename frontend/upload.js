/** Uploads the chosen video with its options: begin, cancel, retry, and recovery from a lost answer. */

import { chosenPlatforms } from './accounts.js';
import * as api from './api.js';
import { announce } from './announce.js';
import { chosen, chosenKey, clearFile } from './chooser.js';
import { byId } from './dom.js';
import { backToForm, showFailure, showSending } from './sending.js';
import { Interrupted, readable, send, Stopped } from './transfer.js';
import { letSleep, stayAwake } from './wake.js';
import { sentence } from './words.js';

/** Refusals for which a retry with the same file is useless. */
const FINAL = new Set([400, 413, 415, 422]);

/** The server refuses a new attempt until it has detected the end of the broken one. */
const MAX_RETRIES_IN_PROGRESS = 6;

let sending = null;
let uploaded = () => {};

/** Add the form's listeners; `onUploaded(jobId)` is called when the server has accepted a video. */
export function startUpload(onUploaded) {
  uploaded = onUploaded;
  byId('gaze').addEventListener('input', showGaze);
  byId('upload-form').addEventListener('submit', submit);
  byId('upload-retry').addEventListener('click', begin);
  byId('upload-cancel').addEventListener('click', () => sending?.stop());
  byId('upload-back').addEventListener('click', leaveFailure);
  window.addEventListener('beforeunload', (event) => {
    if (sending) event.preventDefault();
  });
  showGaze();
}

function showGaze() {
  const value = `${Math.round(byId('gaze').value * 100)} %`;
  byId('gaze-value').textContent = value;
  byId('gaze').setAttribute('aria-valuetext', value);
}

function submit(event) {
  event.preventDefault();
  const nowhere = chosenPlatforms()?.length === 0;
  byId('platforms-error').textContent = nowhere ? 'Please choose at least one place.' : '';
  if (nowhere) document.querySelector('#platform-choices input').focus();
  else if (chosen && !sending) begin();
}

function uploadOptions() {
  const fields = {
    title: byId('title').value.trim(),
    caption: byId('caption').value.trim(),
    platforms: (chosenPlatforms() ?? []).join(','),
    gaze_intensity: byId('gaze').value,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''));
}

async function begin() {
  const attempt = { file: chosen, key: chosenKey, fields: uploadOptions(), known: knownJobs() };
  const panel = showSending(attempt.file);
  stayAwake();
  try {
    const { job_id: jobId } = await sendWithRetries(attempt, panel);
    leave(panel);
    arrived(jobId);
  } catch (error) {
    leave(panel);
    await fail(error, attempt);
  }
}

async function sendWithRetries({ fields, file, key }, panel) {
  for (let retriesLeft = MAX_RETRIES_IN_PROGRESS; ; retriesLeft -= 1) {
    sending = send(fields, file, key, { onProgress: panel.progress, onSent: panel.sent });
    try {
      return await sending.finished;
    } catch (error) {
      if (error.code !== 'idempotency_key_in_progress' || !retriesLeft) throw error;
      await pause(error.retryAfterS ?? 5);
    }
  }
}

/** Wait; the cancel button ends the wait. */
async function pause(durationS) {
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, durationS * 1000);
    const stop = () => {
      clearTimeout(timer);
      reject(new Stopped());
    };
    sending = { stop };
  });
}

function leave(panel) {
  sending = null;
  letSleep();
  panel.end();
}

/** The ids of the newest jobs, to recognise new ones later; null if the request fails. */
async function knownJobs() {
  try {
    const { jobs } = await api.jobs();
    return new Set(jobs.map((job) => job.job_id));
  } catch {
    return null;
  }
}

async function fail(error, attempt) {
  if (error instanceof Stopped) {
    backToForm();
    byId('upload-start').focus();
    announce('Upload cancelled.');
    return;
  }
  // The answer may be lost although the video was accepted, so check before sending it again.
  const jobId = error instanceof Interrupted && error.sentAll ? await arrivedMeanwhile(attempt) : null;
  if (jobId) {
    arrived(jobId);
    return;
  }
  const canRead = await readable(attempt.file);
  showFailure(explain(error, canRead), canRead && !FINAL.has(error.status));
  if (error.status === 401) api.tellSignedOut();
}

async function arrivedMeanwhile({ fields, known }) {
  const before = await known;
  const after = before && (await knownJobs());
  const fresh = after ? [...after].filter((jobId) => !before.has(jobId)) : [];
  if (fresh.length !== 1) return null;
  const answer = await api.status(fresh[0]).catch(() => null);
  return answer && (!fields.title || answer.document.title === fields.title) ? fresh[0] : null;
}

function explain(error, canRead) {
  if (error.status === 401) return 'You were signed out meanwhile. Sign in and try again; the form is kept.';
  if (error.code === 'idempotency_key_reused') return 'This video has already been uploaded with other settings. To upload it again, choose the file again.';
  if (error instanceof api.Problem) return sentence(error.message, '.');
  if (!canRead) return 'This page can no longer read the video. Please choose it again; on a phone, best from Files and not from Photos.';
  if (error.sentAll) return 'The video was sent, but the answer got lost. Try again: if it has arrived, no second video is made of it.';
  if (!navigator.onLine) return 'You are offline. Try again when you have a connection.';
  return 'The connection broke before the whole video was sent. Try again, best on a stable network.';
}

function leaveFailure() {
  backToForm();
  byId('file').focus();
}

function arrived(jobId) {
  announce('Upload complete.');
  byId('upload-form').reset();
  showGaze();
  backToForm();
  clearFile();
  uploaded(jobId);
}
