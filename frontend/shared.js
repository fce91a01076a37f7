/** Videos that this browser keeps: those of a phone's Share menu, and files that may be opened again without a choice. */

import { dropFile, dropFiles, keepHandle, keptFile, keptFiles } from './file-store.js';

/** The worker's or the server's word on a share, in the page's address: what the person can do. */
const WORDS = {
  empty: 'The video did not arrive with the share. Please choose it here.',
  full: 'There is not enough room on this device for a copy of the shared video. Please choose it here; that needs no copy.',
  failed: 'The shared video could not be taken. Please share it again, or choose it here.',
};

/** Copies of a large video take minutes; older files may be of another share. */
const JUST_NOW_MS = 600_000;
let sureSince = Infinity; // files that were kept since then are those of the share that opened this page

/** Return why the last share brought no video, or ''; removes it from the address, so that a reload does not repeat it. */
export function shareTrouble() {
  const result = new URLSearchParams(location.search).get('share');
  if (result === null) return '';
  // Only the Share menu opens the installed app with a share; a page of another site does it in a browser's tab.
  if (result === 'kept' && matchMedia('(display-mode: standalone)').matches) sureSince = Date.now() - JUST_NOW_MS;
  history.replaceState(history.state, '', location.pathname + location.hash);
  return WORDS[result] ?? '';
}

/**
 * Return {kept, file, isSure} of the shared videos that no upload has taken; `taken` are the ids of those that are.
 *
 * A video that is not sure may have been sent by a page of another site: the person is asked.
 */
export async function sharedFiles(taken) {
  const found = await keptFiles().catch(() => []); // no storage, for example in a private window
  return found.filter(([id, { file }]) => file && !taken.includes(id)).map(([id, { file, keptAt }]) => ({ kept: id, file, isSure: keptAt > sureSince }));
}

/** Keep a FileSystemFileHandle for later pages; returns its id, or null where that is not possible. */
export function keep(handle) {
  return keepHandle(handle).catch(() => null);
}

/** Delete what is kept; a failure is left to the next day, when all is deleted. */
export function dropKept(id) {
  return dropFile(id).catch(() => {});
}

/** Delete all that is kept. */
export function dropAllKept() {
  return dropFiles().catch(() => {});
}

/**
 * Return {file, needsTap} of what is kept under an id.
 *
 * The file is null if it is gone, or if the browser has to ask first: that is possible only in a tap of the person
 * (`mayAsk`).
 */
export async function reopen(id, mayAsk = false) {
  try {
    const entry = id === null ? null : await keptFile(id);
    if (!entry?.handle) return { file: entry?.file ?? null, needsTap: false };
    const permission = mayAsk ? await entry.handle.requestPermission() : await entry.handle.queryPermission();
    if (permission !== 'granted') return { file: null, needsTap: permission === 'prompt' };
    return { file: await entry.handle.getFile(), needsTap: false };
  } catch {
    return { file: null, needsTap: false }; // the file was moved or deleted, or the store cannot be read
  }
}
