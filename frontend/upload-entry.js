/** Opens the uploads; their modules are loaded when there is something to upload: a video, or what an earlier page left. */

import * as api from './api.js';
import { mode, say, startChooser } from './chooser.js';
import { byId } from './dom.js';
import { load, Updated, whyNot } from './load.js';
import { readRecords, RECORDS, writeRecords } from './record.js';
import { dropAllKept, sharedFiles, shareTrouble } from './shared.js';

const AGAIN_MS = 5000;

let uploaded = () => {};
let upload = null; // the module, once it is loaded

/** Add the listeners; `onUploaded(jobId, isAlone)` is called when the server has created the job of a video. */
export function startUpload(onUploaded) {
  uploaded = onUploaded;
  startChooser((sources) => use(({ choose }) => choose(sources)));
  // While the person looks for the video, the modules arrive.
  for (const name of ['pointerdown', 'focusin', 'dragenter']) byId('drop').addEventListener(name, prepare, { once: true });
  window.addEventListener('storage', ({ key, newValue }) => {
    if (!upload && key === RECORDS && newValue !== null) openUpload(); // another tab begins to upload
  });
}

/** Continue what waits for the session, or uploads of an earlier page; called after signing in. */
export async function openUpload() {
  const trouble = shareTrouble();
  if (upload || (await isSomethingThere())) await use((module) => module.openUpload());
  if (trouble && mode() === 'empty') say(trouble);
}

/** Remove all uploads, here and at the server: whoever signs out may leave the browser to somebody else. */
export async function removeAll() {
  const records = readRecords();
  upload?.leave();
  await Promise.allSettled(records.filter(({ address }) => address).map(({ address }) => api.removeUpload(address)));
  writeRecords([]);
  await dropAllKept();
  upload?.redraw();
}

const isSomethingThere = async () => readRecords().length > 0 || (await sharedFiles([])).length > 0;

function prepare() {
  loadUpload().catch(() => {}); // tried again when it is needed
}

/** Call `action` with the module of the uploads; without a connection, wait for one. */
async function use(action) {
  let isTold = false;
  while (!upload) {
    try {
      await loadUpload();
    } catch (problem) {
      say(`${whyNot(problem)}${problem instanceof Updated ? '' : ' Your upload goes on when there is a connection again.'}`);
      if (problem instanceof Updated) return;
      isTold = true;
      await connected();
    }
  }
  if (isTold) say('');
  await action(upload);
}

async function loadUpload() {
  upload ??= await load('upload', async () => {
    const found = await import('./upload.js');
    found.startUpload(uploaded);
    return found;
  });
}

/** A promise for the moment at which the browser is online again, or a few seconds have passed. */
function connected() {
  return new Promise((resolve) => {
    window.addEventListener('online', resolve, { once: true });
    setTimeout(resolve, AGAIN_MS);
  });
}
