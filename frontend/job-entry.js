/** Opens the view of a job; its modules are loaded with the first one that is opened. */

import { byId, el, render } from './dom.js';
import { load, Updated, whyNot } from './load.js';
import { poll } from './poll.js';

const AGAIN_MS = 5000;

let onGone = () => {};
let status = null; // the module, once it is loaded
let wanted = null; // id of the job that is shown when it is loaded
let loading = null;

/** Set the callback for a job that was deleted with its record. */
export function startJob(leave) {
  onGone = leave;
}

/** Begin to load the modules, before it is known whether the job can be shown. */
export function prepareJob() {
  loadStatus().catch(() => {}); // told when the job is opened
}

/** Show the job with this id until `closeJob`. */
export function openJob(jobId) {
  closeJob();
  if (status) {
    status.openJob(jobId);
    return;
  }
  wanted = jobId;
  draw(el('p', { class: 'loading' }, 'One moment…'));
  loading = poll(() => tryToOpen(jobId));
}

export function closeJob() {
  wanted = null;
  loading?.stop();
  status?.closeJob();
}

async function tryToOpen(jobId) {
  try {
    await loadStatus();
  } catch (problem) {
    if (jobId === wanted) tell(problem);
    return problem instanceof Updated ? null : AGAIN_MS;
  }
  if (jobId === wanted) status.openJob(jobId);
  return null;
}

async function loadStatus() {
  status ??= await load('job', async () => {
    const found = await import('./status.js');
    found.startStatus(() => onGone());
    return found;
  });
}

function tell(problem) {
  const isUpdated = problem instanceof Updated;
  draw(
    el('p', { class: 'notice notice-bad' }, `${whyNot(problem)}${isUpdated ? '' : ' Trying again by itself.'}`),
    isUpdated && el('div', { class: 'actions' }, el('button', { id: 'load-again', class: 'button button-main', type: 'button' }, 'Load again')));
  byId('load-again')?.addEventListener('click', () => location.reload());
}

function draw(...content) {
  render(byId('job'), el('h1', { id: 'job-title', tabindex: '-1' }, 'Your video'), ...content);
}
