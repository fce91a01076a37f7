/** Starts the page and switches between its three views: sign-in, home, and one job under `#job=<id>`. */

import { closeAccounts, openAccounts, startAccounts } from './accounts.js';
import * as api from './api.js';
import { showLimit } from './chooser.js';
import { startConnection } from './connection.js';
import { holdButton } from './countdown.js';
import { confirm, startDialogs } from './dialogs.js';
import { byId } from './dom.js';
import { closeJobs, openJobs, startJobs } from './jobs.js';
import { noteUploaded, registerWorker, showHint, startInstall } from './install.js';
import { closeJob, openJob, prepareJob, startJob } from './job-entry.js';
import { openNotices, startNotices } from './notices.js';
import { isUnfinished, unfinishedWords } from './record.js';
import { startSession } from './session.js';
import { setViewTitle, showStrip } from './title.js';
import { openUpload, removeAll, startUpload } from './upload-entry.js';
import { openWebhooks } from './webhooks.js';
import { sentence } from './words.js';

/** View: its title in the browser's tab. */
const TITLES = { 'sign-in': 'Sign in', home: '', job: 'Your video' };
const AGAIN_MS = 10_000;
let current = null;
let again = null;

function start() {
  startDialogs();
  startConnection();
  startJobs();
  startSession(enter, signIn, endUploads);
  startJob(goHome);
  startAccounts();
  startUpload(uploaded);
  startInstall();
  startNotices();
  api.onSignedOut(signIn);
  showLimit();
  window.addEventListener('hashchange', route);
  byId('offline-again').addEventListener('click', enter);
  window.addEventListener('online', () => { if (!byId('offline').hidden) enter(); });
  if (jobInAddress()) prepareJob();
  enter();
}

/** Check whether this browser is signed in, and show the view of the address. */
async function enter() {
  clearTimeout(again);
  try {
    await api.jobs();
  } catch (problem) {
    if (problem.status !== 401) unreachable(problem);
    return;
  }
  current = null;
  route();
  openUpload();
  await openAccounts();
  showLimit();
  openWebhooks();
  showHint();
  openNotices();
  registerWorker(); // last: it loads the page's files once more, from the browser's cache
}

function route() {
  if (current === 'sign-in') return; // the view of the address is shown after signing in
  const jobId = jobInAddress();
  closeJob();
  closeJobs();
  show(jobId ? 'job' : 'home');
  if (jobId) openJob(jobId);
  else openJobs();
}

function jobInAddress() {
  const found = /^#job=(.+)$/.exec(location.hash);
  if (!found) return null;
  try {
    return decodeURIComponent(found[1]);
  } catch {
    return found[1];
  }
}

function show(view) {
  const moved = current !== null; // the first view keeps the browser's own focus
  current = view;
  setViewTitle(TITLES[view]);
  document.body.dataset.view = view; // the style sheet shows the upload strip in the other views only
  byId('loading').hidden = byId('offline').hidden = true;
  byId('sign-out').hidden = view === 'sign-in';
  for (const name of Object.keys(TITLES)) byId(`view-${name}`).hidden = name !== view;
  if (view === 'sign-in') byId('key').focus();
  else if (moved) byId(`${view}-title`)?.focus();
  if (moved) window.scrollTo(0, 0);
}

function signIn() {
  if (current === 'sign-in') return;
  closeJob();
  closeJobs();
  closeAccounts();
  show('sign-in');
}

function goHome() {
  location.hash = '';
}

/** Remove unfinished uploads before a sign-out, after a question; returns false to stay signed in. */
async function endUploads() {
  const isSure = !isUnfinished() || (await confirm('Sign out during an upload?', 'What is not uploaded yet would be removed, here and on the server.', 'Sign out', 'Stay signed in'));
  if (isSure) await removeAll();
  return isSure;
}

function uploaded(jobId, isAlone) {
  noteUploaded();
  openNotices(); // after the first upload it offers them
  if (!isAlone) {
    if (current === 'home') openJobs(); // the others are still on their way: the view stays
    return;
  }
  const address = `#job=${encodeURIComponent(jobId)}`;
  if (current === 'home') location.hash = address;
  else showStrip('Upload complete. Show it', address); // the view of another video stays
}

function unreachable(problem) {
  byId('loading').hidden = true;
  byId('offline').hidden = false;
  byId('offline-text').textContent = `${words(problem)} ${unfinishedWords()}`.trim();
  if (problem.retryAfterS) holdButton(byId('offline-again'), problem.retryAfterS, enter);
  else again = setTimeout(enter, AGAIN_MS); // `online` says nothing of a server that is down
}

function words(problem) {
  if (!(problem instanceof api.NoAnswer)) return sentence(problem.message, '.');
  return navigator.onLine ? 'VidProd cannot be reached. Check your connection.' : 'You are offline.';
}

start();
