/**
 * Keeps files of unfinished uploads in this browser (IndexedDB), for a day. Used by the page and by the service worker.
 *
 * An entry is {file, keptAt} or {handle, keptAt}. A file is kept with its bytes, which the browser copies. A
 * FileSystemFileHandle is only a permission to read the file where it is.
 */

const NAME = 'vidprod';
const FILES = 'files';
const KEPT_MS = 86_400_000;
const REPEATED_WITHIN_MS = 60_000;

/**
 * Keep files, all or none; throws a DOMException QuotaExceededError where there is no room.
 *
 * A file that was just kept is not kept again: Android delivers some shares twice.
 */
export async function keepFiles(files) {
  const { quota = Infinity, usage = 0 } = (await navigator.storage?.estimate?.()) ?? {};
  // Asked first: the browser would copy for minutes, then fail.
  if (files.reduce((sum, { size }) => sum + size, 0) > quota - usage) throw new DOMException('No room', 'QuotaExceededError');
  await inStore('readwrite', async (store) => {
    const before = await answer(store.getAll());
    const missing = files.filter((file) => !before.some((entry) => isSame(entry, file)));
    await Promise.all(missing.map((file) => answer(store.add({ file, keptAt: Date.now() }))));
  });
}

/** Keep a handle; returns its id. */
export function keepHandle(handle) {
  return inStore('readwrite', (store) => answer(store.add({ handle, keptAt: Date.now() })));
}

function isSame({ file, keptAt }, { name, size, lastModified }) {
  const isRecent = Math.abs(Date.now() - keptAt) < REPEATED_WITHIN_MS;
  return isRecent && file?.name === name && file.size === size && Math.abs(file.lastModified - lastModified) < REPEATED_WITHIN_MS;
}

/** Return the entry with this id, or null. */
export async function keptFile(id) {
  return (await inStore('readonly', (store) => answer(store.get(id)))) ?? null;
}

/** Return [id, entry] of all that are kept, oldest first; deletes those of more than a day ago. */
export function keptFiles() {
  return inStore('readwrite', async (store) => {
    const [ids, entries] = await Promise.all([answer(store.getAllKeys()), answer(store.getAll())]);
    const pairs = ids.map((id, index) => [id, entries[index]]);
    const [fresh, old] = [pairs.filter(([, entry]) => isFresh(entry)), pairs.filter(([, entry]) => !isFresh(entry))];
    for (const [id] of old) store.delete(id);
    return fresh;
  });
}

/** Delete the entry with this id, if there is one; `null` is none. */
export async function dropFile(id) {
  if (id !== null && id !== undefined) await inStore('readwrite', (store) => answer(store.delete(id)));
}

/** Delete all entries. */
export async function dropFiles() {
  await inStore('readwrite', (store) => answer(store.clear()));
}

/** A clock that was set back must not keep a file for ever. */
function isFresh({ keptAt }) {
  return Math.abs(Date.now() - keptAt) < KEPT_MS;
}

/** Do requests in one transaction; resolves with the result when it is complete. */
async function inStore(mode, work) {
  const database = await open();
  try {
    const transaction = database.transaction(FILES, mode);
    const over = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error ?? new DOMException('Aborted', 'AbortError'));
    });
    const [result] = await Promise.all([work(transaction.objectStore(FILES)), over]);
    return result;
  } finally {
    database.close();
  }
}

function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(FILES, { autoIncrement: true });
  return answer(request);
}

function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
