/** Videos that the installed page was given by a phone's Share menu: the service worker keeps them, the page takes them. */

import { dropFile, keptFiles } from './file-store.js';

/** The worker's or the server's word on a share, in the page's address: what the person can do. */
const WORDS = {
  empty: 'The video did not arrive with the share. Please choose it here.',
  full: 'There is not enough room on this device for a copy of the shared video. Please choose it here; that needs no copy.',
  failed: 'The shared video could not be taken. Please share it again, or choose it here.',
};

/** Return why the last share brought no video, or ''; removes it from the address, so that a reload does not repeat it. */
export function shareTrouble() {
  const result = new URLSearchParams(location.search).get('share');
  if (result === null) return '';
  history.replaceState(history.state, '', location.pathname + location.hash);
  return WORDS[result] ?? '';
}

/** Return [id, File] of the shared videos that no upload has taken; `taken` are the ids of those that are. */
export async function sharedFiles(taken) {
  const kept = await keptFiles().catch(() => []); // no storage, for example in a private window
  return kept.filter(([id]) => !taken.includes(id)).map(([id, { file }]) => [id, file]);
}

/** Delete a kept video; a failure is left to the next day, when all are deleted. */
export function dropShared(id) {
  return dropFile(id).catch(() => {});
}
