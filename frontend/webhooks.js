/** The webhooks in the settings: add, see what was sent and why it failed, test, enable and remove. */

import { announce } from './announce.js';
import * as api from './api.js';
import { holdButton } from './countdown.js';
import { confirm } from './dialogs.js';
import { byId, el, pill, render } from './dom.js';
import { moment } from './format.js';
import { WEBHOOKS as words } from './settings-words.js';
import { DISABLED, sentence } from './words.js';

const SHOWN_DELIVERIES = 10;

/** Show the webhooks in an element, and load them. */
export function showWebhooks(container) {
  const view = { container, endpoints: null, trouble: '', told: '', secret: null, deliveries: new Map() };
  container.addEventListener('submit', (event) => {
    event.preventDefault();
    add(view);
  });
  container.addEventListener('click', ({ target }) => {
    const button = target.closest('button[data-do]');
    const endpoint = view.endpoints?.find(({ id }) => id === button?.dataset.endpoint);
    if (endpoint) ACTIONS[button.dataset.do](view, endpoint, button);
  });
  load(view);
}

const ACTIONS = {
  enable,
  secret: (view, endpoint) => attempt(view, async () => {
    view.secret = { of: endpoint.id, text: (await api.webhookSecret(endpoint.id)).secret };
  }),
  test: (view, endpoint) => attempt(view, async () => {
    await api.testWebhook(endpoint.id);
    view.told = words.tested;
  }),
  deliveries: (view, endpoint) => attempt(view, async () => {
    view.deliveries.set(endpoint.id, (await api.deliveries(endpoint.id, SHOWN_DELIVERIES)).deliveries);
  }),
  again: (view, endpoint, { dataset }) => attempt(view, async () => {
    await api.redeliver(endpoint.id, dataset.delivery);
    view.deliveries.set(endpoint.id, (await api.deliveries(endpoint.id, SHOWN_DELIVERIES)).deliveries);
  }),
  remove: async (view, endpoint) => {
    if (!(await confirm(...words.question(host(endpoint))))) return;
    await attempt(view, () => api.removeWebhook(endpoint.id));
    await load(view);
  },
};

async function load(view) {
  try {
    view.endpoints = (await api.webhooks()).endpoints;
    view.trouble = '';
  } catch (problem) {
    view.trouble = said(problem);
  }
  draw(view);
}

async function add(view) {
  const field = byId('webhook-url');
  await attempt(view, async () => {
    const made = await api.addWebhook(field.value.trim());
    view.secret = { of: made.id, text: made.secret };
    field.value = '';
    await load(view);
  });
}

async function attempt(view, action) {
  Object.assign(view, { trouble: '', told: '', secret: null });
  try {
    await action();
  } catch (problem) {
    view.trouble = said(problem);
  }
  if (view.trouble || view.told) announce(view.trouble || view.told);
  draw(view);
}

const said = (problem) => (problem instanceof api.NoAnswer ? 'The server cannot be reached. Please try again.' : sentence(problem.message, '.'));

async function enable(view, endpoint, button) {
  button.disabled = true;
  try {
    await api.enableWebhook(endpoint.id);
  } catch (problem) {
    refuse(button, problem);
    return;
  }
  await load(view);
}

/** Say why it failed beside the button, which can be pressed again when the server allows it. */
function refuse(button, problem) {
  const text = said(problem);
  byId(`${button.id}-error`).textContent = text;
  announce(text);
  button.disabled = false;
  if (problem.retryAfterS) holdButton(button, problem.retryAfterS, () => { byId(`${button.id}-error`).textContent = ''; });
}

function draw(view) {
  render(view.container,
    el('p', { class: 'hint' }, words.lead),
    el('ul', { class: 'jobs', 'data-key': 'endpoints' }, (view.endpoints ?? []).map((endpoint) => entry(view, endpoint))),
    el('form', { class: 'field inline', novalidate: true, 'data-key': 'add' },
      el('label', { for: 'webhook-url' }, words.url),
      el('input', { id: 'webhook-url', type: 'url', placeholder: 'https://', autocomplete: 'off', maxlength: 2048 }),
      el('button', { class: 'button button-small', type: 'submit' }, words.add)),
    view.trouble && el('p', { class: 'field-error', 'data-key': 'trouble' }, view.trouble),
    view.told && el('p', { class: 'hint', 'data-key': 'told' }, view.told));
}

function entry(view, endpoint) {
  const isOff = endpoint.state === 'disabled';
  const button = (action, label) => el('button', { class: 'button button-small', type: 'button', 'data-key': action, 'data-do': action, 'data-endpoint': endpoint.id, 'aria-label': `${label}: ${endpoint.url}` }, label);
  return el('li', { class: 'webhook', 'data-key': endpoint.id },
    el('p', { class: 'title-row' }, el('b', {}, host(endpoint)), pill(isOff ? [words.isOff, 'warn'] : [words.on, 'good'])),
    el('p', { class: 'hint' }, `${words.events}: ${endpoint.events?.length ? endpoint.events.join(', ') : words.all}`),
    isOff && el('p', { class: 'warning' }, words.off(moment(endpoint.disabled_at), DISABLED[endpoint.disabled_code] ?? sentence(endpoint.disabled_code ?? 'disabled'))),
    endpoint.last_error && el('p', { class: 'hint' }, sentence(endpoint.last_error, '.')),
    isOff && el('p', { class: 'hint' }, words.missed(endpoint.missed.count)),
    view.secret?.of === endpoint.id && el('div', { 'data-key': 'secret' }, el('p', { class: 'hint' }, words.secret), el('code', { class: 'once' }, view.secret.text), el('p', { class: 'hint' }, words.verify)),
    el('p', { id: `${endpoint.id}-error`, class: 'field-error' }),
    el('div', { class: 'actions' },
      isOff && el('button', { id: endpoint.id, class: 'button button-small', type: 'button', 'data-key': 'enable', 'data-do': 'enable', 'data-endpoint': endpoint.id, 'aria-label': `${words.enable}: ${endpoint.url}` }, words.enableShort),
      !isOff && button('test', words.test), button('deliveries', words.deliveries), button('secret', words.showSecret), button('remove', words.remove)),
    view.deliveries.has(endpoint.id) && deliveries(endpoint, view.deliveries.get(endpoint.id)));
}

function deliveries(endpoint, list) {
  if (!list.length) return el('p', { class: 'hint', 'data-key': 'deliveries-none' }, words.none);
  return el('ul', { class: 'deliveries', 'data-key': 'deliveries-list' }, list.map((delivery) => el('li', { 'data-key': delivery.id },
    el('p', { class: 'title-row' }, el('span', {}, `${delivery.type}, ${moment(delivery.created_at)}`), pill(words.status[delivery.status] ?? [sentence(delivery.status), 'wait'])),
    delivery.attempts.slice(-3).map((one) => el('p', { class: 'hint' }, words.attempt(moment(one.at), one.error ? sentence(one.error) : `HTTP ${one.http_status}`, one.duration_ms ?? null))),
    delivery.status !== 'waiting' && endpoint.state === 'enabled' && el('button', { class: 'button button-small', type: 'button', 'data-do': 'again', 'data-endpoint': endpoint.id, 'data-delivery': delivery.id, 'aria-label': `${words.again}: ${delivery.type}` }, words.again))));
}

const host = ({ url }) => new URL(url).host;
