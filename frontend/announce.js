/** Telling screen readers what changed, politely and not too often. */

import { byId } from './dom.js';

const STEP = 0.1;

/** Say a sentence when the reader has a moment; the same sentence twice in a row is said once. */
export function announce(sentence) {
  const region = byId('announcer');
  if (region.textContent !== sentence) region.textContent = sentence;
}

/** Return a function (share, sentence) that speaks only when another tenth is reached. */
export function announceTenths() {
  let last = 0;
  return (share, sentence) => {
    const tenth = Math.floor(share / STEP + 1e-9);
    if (tenth > last) announce(sentence);
    last = Math.max(last, tenth);
  };
}
