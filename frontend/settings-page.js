/** The page of the settings: notices of this browser, webhooks, signing out. */

import { el } from './dom.js';
import { watchNotices } from './notices.js';
import { openWebhooks } from './webhooks.js';

/** Show the settings; returns a function that leaves the page. */
export function show(root) {
  const notices = el('div', { id: 'notices', class: 'notices' });
  root.append(
    el('h1', { tabindex: '-1' }, 'Settings'),
    el('div', { class: 'cards' },
      el('section', { class: 'card', 'aria-labelledby': 'notices-title' }, el('h2', { id: 'notices-title' }, 'Notices'), notices),
      el('section', { id: 'webhooks-card', class: 'card', 'aria-labelledby': 'webhooks-title', hidden: true },
        el('h2', { id: 'webhooks-title' }, 'Webhooks'), el('div', { id: 'webhooks' })),
      el('section', { class: 'card', 'aria-labelledby': 'session-title' },
        el('h2', { id: 'session-title' }, 'This browser'),
        el('div', { class: 'actions' },
          el('button', { id: 'sign-out', class: 'button button-small', type: 'button', 'data-sign-out': 'here' }, 'Sign out'),
          el('button', { id: 'sign-out-everywhere', class: 'button button-small', type: 'button', 'data-sign-out': 'everywhere' }, 'Sign out on all devices')))));
  openWebhooks();
  return watchNotices(notices);
}
