/** The page of the accounts: connect them, and set what happens after a failure. */

import { needsReconnect, isRefused, setAfterFailure, watchAccounts } from './accounts.js';
import { connectAddress } from './api.js';
import { el, render } from './dom.js';
import { moment } from './format.js';
import { PLATFORM_NAMES, plain, platformName } from './words.js';

const AFTER_FAILURE = 'Publish the next parts of a video although one was not published. Otherwise they wait until you retry or skip it.';

/** Show the accounts; returns a function that leaves the page. */
export function show(root) {
  const list = el('div', { id: 'accounts', class: 'card' });
  root.append(el('h1', { tabindex: '-1' }, 'Accounts'), list);
  list.addEventListener('change', ({ target }) => {
    if (target.dataset.account) change(target);
  });
  return watchAccounts((state) => draw(list, state));
}

async function change(box) {
  box.disabled = true;
  try {
    await setAfterFailure(box.dataset.account, box.checked ? 'continue' : 'hold');
    box.disabled = false;
  } catch {
    box.checked = !box.checked; // as the server has it
  }
}

function draw(list, { known, trouble, isHeld }) {
  const message = trouble && el('p', { class: 'field-error', 'data-key': 'trouble' }, trouble);
  if (!known) {
    render(list, message || el('p', { class: 'hint' }, 'One moment…'));
    return;
  }
  const { accounts, outages = {} } = known;
  render(list, message, el('ul', { class: 'jobs', 'data-key': 'accounts' }, PLATFORM_NAMES.map((platform) => entry(platform, accounts, outages[platform], isHeld))));
}

function entry(platform, accounts, outage, isHeld) {
  const mine = accounts.filter((account) => account.platform === platform);
  const broken = mine.some(needsReconnect);
  const label = broken ? 'Reconnect' : mine.length ? 'Add another' : 'Connect';
  return el('li', { class: 'account-row', 'data-key': platform },
    el('span', { class: 'job-name' },
      el('b', {}, platformName(platform)),
      outage && el('span', { class: 'warning', 'data-key': 'outage' }, outageText(platform, outage)),
      mine.length ? mine.map((account) => accountLine(account, isHeld)) : el('span', { class: 'hint' }, 'Not connected')),
    el('a', {
      class: mine.length && !broken ? 'text-link' : 'button button-small',
      href: connectAddress(platform),
      'aria-label': `${label}: ${platformName(platform)}`,
    }, label));
}

function outageText(platform, { paused_until: until, reason }) {
  const again = Date.parse(until) > Date.now() ? ` Next try ${moment(until)}.` : '';
  return `${platformName(platform)} does not work at the moment (${plain(reason)}). Posts wait.${again}`;
}

function accountLine(account, isHeld) {
  if (needsReconnect(account)) return el('span', { class: 'warning' }, `${account.name}: please connect it again`);
  if (isRefused(account)) return el('span', { class: 'warning' }, `${account.name}: may not post there`);
  return el('span', { class: 'account-line', 'data-key': account.id },
    el('span', { class: 'hint' }, account.name),
    el('label', { class: 'account-setting hint', title: AFTER_FAILURE },
      el('input', {
        type: 'checkbox',
        'data-account': account.id,
        disabled: isHeld,
        'aria-description': AFTER_FAILURE,
        checked: account.after_failure === 'continue',
      }),
      el('span', {}, 'Continue after a failure')));
}
