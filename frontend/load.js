/**
 * Loads the files of a view when it is opened first. A template of index.html names them: nothing in a template is
 * loaded by itself, but the service worker stores whatever the page names, so that the view opens offline, too.
 */

import { NoAnswer } from './api.js';
import { byId } from './dom.js';

/** Milliseconds within which a file has to be here. Tests make them fewer. */
export const LIMITS = { file: 20_000 };

const loads = new Map(); // view → promise of its module

/** The server has been updated since this page was loaded: its files belong to another version. */
export class Updated extends Error {}

/** Return (a promise of) the module of a view; throws NoAnswer or Updated, and can be called again after NoAnswer. */
export function load(view, importModule) {
  if (!loads.has(view)) {
    loads.set(view, loadAll(view, importModule));
    loads.get(view).catch(() => loads.delete(view));
  }
  return loads.get(view);
}

/** Why a view could not be loaded, in a sentence. */
export function whyNot(problem) {
  if (problem instanceof Updated) return 'VidProd has been updated. Please load this page again.';
  return navigator.onLine ? 'The server cannot be reached.' : 'You are offline.';
}

/**
 * Fetch all files at once, then import the module, which finds them in the browser's cache.
 *
 * Browsers remember an import that failed and never try it again, and each level of imports would cost a round trip.
 */
async function loadAll(view, importModule) {
  const links = [...byId(`files-${view}`).content.querySelectorAll('link')];
  await Promise.all(links.map((link) => fetchFile(link.getAttribute('href'))));
  await Promise.all(links.filter(({ rel }) => rel === 'stylesheet').map(applyStyle));
  return importModule();
}

async function fetchFile(address) {
  let answer;
  try {
    answer = await fetch(address, { signal: AbortSignal.timeout(LIMITS.file) });
    await answer.arrayBuffer(); // only a complete answer is kept in the cache
  } catch (error) {
    throw new NoAnswer('No answer', { cause: error });
  }
  if (!answer.ok) throw new NoAnswer(`The server answered ${answer.status}`);
  if (!answer.headers.get('Cache-Control')?.includes('immutable')) throw new Updated();
}

function applyStyle(link) {
  const style = document.importNode(link);
  return new Promise((resolve) => {
    style.addEventListener('load', resolve);
    style.addEventListener('error', resolve); // unstyled is better than nothing
    document.head.append(style);
  });
}
