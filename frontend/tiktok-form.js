/** TikTok's part of the upload's form, for servers that post there directly. */

import { chosenPlatforms, onPlatforms } from './accounts.js';
import * as api from './api.js';
import { byId } from './dom.js';
import { creatorsOf, TikTokPanel } from './tiktok-panel.js';

let panel = null;
let values = {}; // the options of the API that are chosen, before the panel is open
let isAsking = false;

/** Add the listeners. */
export function startTikTok() {
  panel = new TikTokPanel(byId('tiktok'));
  panel.fill(values);
  onPlatforms(showTikTok);
}

/** Ask the server whether it needs the choice; if it does, show the panel with what the accounts allow now. */
export async function openTikTok() {
  if (isAsking) return;
  isAsking = true;
  try {
    if (!panel.isOpen) {
      const { platforms } = await api.limits();
      if (!platforms.tiktok?.required_options?.length) return;
      panel.open();
      showTikTok();
    }
    const { accounts } = await api.accounts();
    const ids = accounts.filter(({ platform, status }) => platform === 'tiktok' && status === 'connected').map(({ id }) => id);
    panel.limitTo(await creatorsOf(ids, api.creator));
  } catch {
    // Asked again with the next video, or when the server refuses this one without the choice.
  } finally {
    isAsking = false;
  }
}

/** Show the panel where it is needed. */
export function showTikTok() {
  byId('tiktok').hidden = !panel?.isOpen || !chosenPlatforms()?.includes('tiktok');
}

/** Return the chosen options of the API. */
export const readTikTok = () => panel?.values ?? values;

export function fillTikTok(options = {}) {
  values = options;
  panel?.fill(options);
}

/** Return {at, message} for the first choice that is missing, or null. */
export const missingTikTok = () => (byId('tiktok').hidden ? null : panel.missing());

/** Show why a choice is refused beside it; null removes that. */
export const showTikTokRefusal = (refusal) => panel?.refuse(refusal);
