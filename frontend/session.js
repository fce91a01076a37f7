/** Signing in with the key, once per browser; the session is a cookie that scripts cannot read. */

import * as api from './api.js';
import { holdButton } from './countdown.js';
import { confirm } from './dialogs.js';
import { byId } from './dom.js';
import { seconds } from './format.js';
import { endNotices } from './notices.js';
import { sentence } from './words.js';

const EVERYWHERE = ['Sign out on all devices?', 'Every browser that uses this key has to sign in again, also this one.', 'Sign out everywhere', 'Stay signed in'];

/** Add the listeners of the form and the buttons; `onSignedIn` and `onSignedOut` are called after the server's answer, `mayEnd` before. */
export function startSession(onSignedIn, onSignedOut, mayEnd) {
  document.addEventListener('click', async ({ target }) => { // the buttons are on the page of the settings
    const action = target.closest?.('[data-sign-out]')?.dataset.signOut;
    if (!action || (action === 'everywhere' && !(await confirm(...EVERYWHERE)))) return;
    if (await mayEnd()) signOut(action === 'everywhere' ? api.logoutEverywhere : api.logout, onSignedOut);
  });
  byId('sign-in').addEventListener('submit', async (event) => {
    event.preventDefault();
    const key = byId('key').value.trim();
    if (!key) {
      refuse('Please enter your key.');
      return;
    }
    setBusy(true);
    try {
      await api.login(key);
      byId('key').value = '';
      refuse('', false);
      onSignedIn();
    } catch (problem) {
      refuse(words(problem));
      setBusy(false);
      if (problem.retryAfterS) holdButton(byId('sign-in').querySelector('button'), problem.retryAfterS, () => refuse('', false));
      return;
    }
    setBusy(false);
  });
}

async function signOut(request, onSignedOut) {
  await endNotices().catch(() => {}); // they name videos; whoever uses this browser next must not read them
  try {
    await request();
  } catch {
    // The session still works, also for somebody who has copied its cookie: do not look signed out.
    const again = await confirm('You are still signed in', 'The server could not end your session.', 'Try again', 'Stay signed in');
    if (again) signOut(request, onSignedOut);
    return;
  }
  onSignedOut();
}

function words(problem) {
  if (problem instanceof api.NoAnswer) return 'The server cannot be reached. Please try again.';
  if (problem.status === 401) return 'This key is not right. Check it and try again.';
  if (problem.status === 429) return `This key is not right. After so many wrong keys, please wait ${seconds(problem.retryAfterS ?? 60)}.`;
  return sentence(problem.message, '.');
}

function refuse(text, focus = true) {
  byId('sign-in-error').textContent = text;
  byId('key').setAttribute('aria-invalid', String(Boolean(text)));
  if (focus) byId('key').focus();
}

function setBusy(busy) {
  const button = byId('sign-in').querySelector('button');
  button.disabled = busy;
  button.textContent = busy ? 'Signing in…' : 'Sign in';
}
