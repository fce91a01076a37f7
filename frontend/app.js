/** Starts the page: its routes, signing in, the navigation, and what goes on whichever page is shown. */

import { closeAccounts, openAccounts } from './accounts.js';
import * as api from './api.js';
import { showLimit } from './chooser.js';
import { startConnection } from './connection.js';
import { holdButton } from './countdown.js';
import { confirm, startDialogs } from './dialogs.js';
import { byId } from './dom.js';
import { noteUploaded, registerWorker, showHint, startInstall } from './install.js';
import { load } from './load.js';
import { closeNeeds, openNeeds } from './needs.js';
import { openNotices, startNotices } from './notices.js';
import { videoPath } from './paths.js';
import { isUnfinished, unfinishedWords } from './record.js';
import { closePages, go, openPages, pathShown, route, startRouter } from './router.js';
import { startSession } from './session.js';
import { setViewTitle, showStrip } from './title.js';
import { openUpload, removeAll, startUpload } from './upload-entry.js';
import { sentence } from './words.js';

const AGAIN_MS = 10_000;
let again = null;

/** The page of the form, which is always in the document: uploads go on behind the other pages. */
const newPage = {
  show() {
    byId('view-new').hidden = false;
    return () => { byId('view-new').hidden = true; };
  },
};

for (const path of ['/', '/new']) route(path, path === '/' ? '' : 'New video', () => newPage);
route('/videos', 'Videos', () => load('videos', () => import('./videos-page.js')));
route('/videos/{id}', 'Your video', () => load('video', () => import('./video-page.js')));
route('/calendar', 'Calendar', () => load('calendar', () => import('./calendar-page.js')));
route('/accounts', 'Accounts', () => load('accounts', () => import('./accounts-page.js')));
route('/needs-you', 'Needs you', () => load('needs', () => import('./needs-page.js')));
route('/settings', 'Settings', () => load('settings', () => import('./settings-page.js')));

function start() {
  startDialogs();
  startConnection();
  startSession(enter, signIn, endUploads);
  startRouter(move);
  startUpload(uploaded);
  startInstall();
  startNotices();
  api.onSignedOut(signIn);
  showLimit();
  byId('skip').addEventListener('click', (event) => {
    event.preventDefault();
    byId('main').focus();
  });
  byId('offline-again').addEventListener('click', enter);
  window.addEventListener('online', () => { if (!byId('offline').hidden) enter(); });
  enter();
}

/** Check whether this browser is signed in, and show the page of the address. */
async function enter() {
  clearTimeout(again);
  try {
    await api.jobs();
  } catch (problem) {
    if (problem.status !== 401) unreachable(problem);
    return;
  }
  frame(true);
  openPages();
  openNeeds();
  openUpload();
  await openAccounts();
  showLimit();
  showHint();
  openNotices();
  byId('main').setAttribute('aria-busy', 'false');
  registerWorker(); // last: it loads the page's files once more, from the browser's cache
}

/** Show the frame of the pages, or that of signing in. */
function frame(isSignedIn) {
  byId('loading').hidden = byId('offline').hidden = true;
  byId('nav').hidden = !isSignedIn;
  byId('view-sign-in').hidden = isSignedIn;
}

/** Mark the page in the navigation; the style sheet shows some things on one page only. */
function move(path) {
  const [, section, id] = path.split('/');
  document.body.dataset.view = id ? 'video' : section || 'new';
  for (const link of byId('nav').querySelectorAll('a')) {
    const isHere = link.pathname === `/${section || 'new'}`;
    if (isHere) link.setAttribute('aria-current', id ? 'true' : 'page');
    else link.removeAttribute('aria-current');
  }
}

function signIn() {
  if (!byId('view-sign-in').hidden) return;
  closePages();
  closeAccounts();
  closeNeeds();
  byId('page').replaceChildren();
  document.body.dataset.view = 'sign-in';
  setViewTitle('Sign in');
  frame(false);
  byId('key').focus();
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
  if (!isAlone) return; // the others are still on their way: the page stays
  if (!byId('view-new').hidden) go(videoPath(jobId));
  else if (pathShown()) showStrip('Upload complete. Show it', videoPath(jobId)); // the page that is read stays
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
