/** The page of the accounts: their health, their times, connecting and disconnecting, and how a platform is set up. */

import { isRefused, needsReconnect, reloadAccounts, setAfterFailure, watchAccounts } from './accounts.js';
import * as words from './accounts-words.js';
import { announce } from './announce.js';
import * as api from './api.js';
import { confirm } from './dialogs.js';
import { el, pill, render } from './dom.js';
import { moment } from './format.js';
import { openTool } from './tools.js';
import { PLATFORM_NAMES, plain, platformName, sentence } from './words.js';

/** Show the accounts; returns a function that leaves the page. */
export function show(root) {
  const page = { list: el('div', { id: 'accounts', class: 'cards' }), state: null, logins: {}, told: '' };
  root.append(el('h1', { tabindex: '-1' }, words.TITLE), page.list);
  page.list.addEventListener('change', ({ target }) => {
    if (target.dataset.account) change(target);
  });
  page.list.addEventListener('click', ({ target }) => press(page, target.closest('button')?.dataset));
  const end = watchAccounts((state) => {
    page.state = state;
    draw(page);
  });
  api.settings().then(({ logins }) => { page.logins = logins; draw(page); }, () => {}); // without it, "Connect" says what is missing
  return end;
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

async function press(page, pressed) {
  if (pressed?.copy) await copy(page, pressed.copy);
  const account = page.state.known?.accounts.find(({ id }) => id === (pressed?.schedule ?? pressed?.disconnect));
  if (!account) return;
  if (pressed.schedule) openTool('schedule', { account });
  else if (await confirm(...words.QUESTION(account.name))) await disconnect(page, account);
}

async function copy(page, text) {
  try {
    await navigator.clipboard.writeText(text);
    tell(page, words.COPIED);
  } catch {
    tell(page, words.NOT_COPIED); // pages over plain http have no clipboard
  }
}

async function disconnect(page, account) {
  try {
    await api.disconnect(account.id);
    tell(page, words.REMOVED(account.name));
    reloadAccounts();
  } catch (problem) {
    tell(page, problem instanceof api.NoAnswer ? 'The server cannot be reached. Please try again.' : sentence(problem.message, '.'));
  }
}

function tell(page, text) {
  page.told = text;
  announce(text);
  draw(page);
}

function draw({ list, state, logins, told }) {
  const { known, trouble, isHeld } = state;
  render(list,
    trouble && el('p', { class: 'field-error', 'data-key': 'trouble' }, trouble),
    told && el('p', { class: 'hint', 'data-key': 'told' }, told),
    !known && !trouble && el('p', { class: 'hint' }, words.WAIT),
    known && el('ul', { class: 'cards', 'data-key': 'accounts' }, PLATFORM_NAMES.map((platform) =>
      entry(platform, known.accounts.filter((account) => account.platform === platform), known.outages?.[platform], logins[platform], isHeld))));
}

function entry(platform, mine, outage, logins, isHeld) {
  const isSetUp = logins?.some((login) => login.is_set_up) ?? true;
  const name = platformName(platform);
  const isBroken = mine.some(needsReconnect);
  const label = isBroken ? words.CONNECT.again : mine.length ? words.CONNECT.more : words.CONNECT.first;
  return el('li', { class: 'card', 'data-key': platform },
    el('div', { class: 'account-row' },
      el('h2', {}, name),
      (isSetUp || mine.length > 0) && el('a', { class: mine.length && !isBroken ? 'text-link' : 'button button-small', href: api.connectAddress(platform), 'aria-label': `${label}: ${name}` }, label)),
    outage && el('p', { class: 'warning', 'data-key': 'outage' }, words.OUTAGE(name, plain(outage.reason), Date.parse(outage.paused_until) > Date.now() && moment(outage.paused_until))),
    !mine.length && el('p', { class: 'hint', 'data-key': 'none' }, isSetUp ? words.NONE : words.NOT_SET_UP),
    !isSetUp && setUp(name, logins[0]),
    mine.map((account) => accountLine(account, isHeld)));
}

/** How a login is set up, with the address to register. */
function setUp(name, { redirect_uri: address, variables }) {
  const [first, second, third] = words.STEPS(name, variables);
  return el('ol', { class: 'steps hint', 'data-key': 'steps' },
    el('li', {}, first),
    el('li', {}, second, el('code', {}, address), el('button', { class: 'button button-small', type: 'button', 'data-copy': address, 'aria-label': `${words.COPY}: ${address}` }, words.COPY)),
    el('li', {}, third));
}

function accountLine(account, isHeld) {
  const [text, tone] = stateOf(account);
  return el('div', { class: 'account-line', 'data-key': account.id },
    el('p', { class: 'title-row' }, el('b', {}, el('bdi', {}, account.name)), pill([text, tone])),
    notes(account).map((note) => el('p', { class: note.isWarning ? 'warning' : 'hint' }, note.text)),
    el('label', { class: 'account-setting hint', title: words.AFTER_FAILURE },
      el('input', { type: 'checkbox', 'data-account': account.id, disabled: isHeld, 'aria-description': words.AFTER_FAILURE, checked: account.after_failure === 'continue' }),
      el('span', {}, words.CONTINUE)),
    el('div', { class: 'actions' },
      el('button', { class: 'button button-small', type: 'button', 'data-key': 'schedule', 'data-schedule': account.id, 'aria-label': `${words.SCHEDULE}: ${account.name}` }, words.SCHEDULE),
      el('button', { class: 'button button-small', type: 'button', 'data-key': 'disconnect', 'data-disconnect': account.id, 'aria-label': `${words.DISCONNECT}: ${account.name}` }, words.DISCONNECT)));
}

function stateOf(account) {
  if (needsReconnect(account)) return ['Needs you', 'warn'];
  if (isRefused(account)) return ['Refused', 'bad'];
  return Date.parse(account.paused_until) > Date.now() ? ['Paused', 'wait'] : ['Connected', 'good'];
}

function notes(account) {
  const { name, reason, paused_until: pausedUntil, connected_at: since, login_expires_at: expiresAt } = account;
  const why = reason && { text: sentence(reason, '.') };
  if (needsReconnect(account)) return [{ text: words.BROKEN(name), isWarning: true }, why].filter(Boolean);
  if (isRefused(account)) return [{ text: words.REFUSED(name), isWarning: true }, why].filter(Boolean);
  return [
    Date.parse(pausedUntil) > Date.now() && { text: words.PAUSED(moment(pausedUntil), plain(reason)), isWarning: true },
    since && { text: words.SINCE(moment(since)) },
    expiresAt && { text: words.EXPIRES(moment(expiresAt)) },
  ].filter(Boolean);
}
