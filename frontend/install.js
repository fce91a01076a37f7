/** Registers the service worker, and offers to install the page once a video has been uploaded from this browser. */

import { byId } from './dom.js';

const WORKER = '/service-worker.js';
const UPLOADED = 'vidprod-uploaded';
const DECLINED = 'vidprod-install-declined';

/** What installing brings. Only Android has a Share menu for installed pages; iPhones give no event to install from. */
const TEXTS = {
  desktop: 'Install VidProd, and it opens like an app, in a window of its own.',
  phone: 'Install VidProd, and you can send a video from your gallery with Share. It opens like an app.',
  iphone: 'Put VidProd on your Home Screen, and it opens like an app: tap Share, then “Add to Home Screen”.',
};

let invitation = null;
let isRegistered = false;

/** Add the listeners; call it once, before the browser's event. */
export function startInstall() {
  window.addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault(); // the browser's own banner would come at the first visit
    invitation = event;
    showHint();
  });
  window.addEventListener('appinstalled', decline);
  byId('install-yes').addEventListener('click', install);
  byId('install-no').addEventListener('click', decline);
}

/** Register the service worker; without it (plain http, private windows) the page works, but not offline. */
export async function registerWorker() {
  if (isRegistered) return;
  isRegistered = true;
  const policy = globalThis.trustedTypes?.createPolicy('service-worker', { createScriptURL: (address) => (address === WORKER ? address : null) });
  try {
    await navigator.serviceWorker?.register(policy?.createScriptURL(WORKER) ?? WORKER, { type: 'module', updateViaCache: 'none' });
  } catch {
    // Refused by a setting of the browser, or an update is being installed on the server: the next page tries again.
  }
}

/** Note that a video was uploaded from this browser: from now on the hint is shown. */
export function noteUploaded() {
  write(UPLOADED);
  showHint();
}

/** Show the hint where it is of use; called after signing in. */
export function showHint() {
  const kind = invitation ? (matchMedia('(pointer: coarse)').matches ? 'phone' : 'desktop') : navigator.standalone === false && /iPhone|iPad|Macintosh/.test(navigator.userAgent) ? 'iphone' : null;
  const isInstalled = matchMedia('(display-mode: standalone)').matches;
  byId('install').hidden = !kind || isInstalled || !has(UPLOADED) || has(DECLINED);
  byId('install-text').textContent = TEXTS[kind] ?? '';
  byId('install-yes').hidden = !invitation;
}

async function install() {
  await invitation.prompt();
  invitation = null; // an event can be used once
  showHint();
}

function decline() {
  write(DECLINED);
  invitation = null;
  showHint();
}

function has(key) {
  try {
    return localStorage.getItem(key) !== null;
  } catch {
    return false;
  }
}

function write(key) {
  try {
    localStorage.setItem(key, 'yes');
  } catch {
    // Storage is switched off: the hint stays hidden.
  }
}
