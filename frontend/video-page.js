/** The page of one video. */

import { el } from './dom.js';
import { go } from './router.js';
import { closeJob, openJob, startStatus } from './status.js';

/** Show the video and keep it up to date; returns a function that leaves it. */
export function show(root, { id }) {
  root.append(el('a', { class: 'back', href: '/videos' }, 'All videos'), el('div', { id: 'job' }));
  startStatus(() => go('/videos', { isReplacing: true }));
  openJob(id);
  return closeJob;
}
