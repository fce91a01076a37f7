/** Announcements for screen readers (a polite live region), limited in number. */

import { byId } from './dom.js';

const STEP = 0.1;

/** Announce a sentence; the same sentence is not repeated. */
export function announce(sentence) {
  const region = byId('announcer');
  if (region.textContent !== sentence) region.textContent = sentence;
}

/** Return a function (share, sentence) that announces only when another tenth is reached. */
export function announceTenths() {
  let last = 0;
  return (share, sentence) => {
    const tenth = Math.floor(share / STEP + 1e-9);
    if (tenth > last) announce(sentence);
    last = Math.max(last, tenth);
  };
}
