/** Says which webhook endpoints were disabled, and enables them again; shows nothing while all are well. */

import { announce } from './announce.js';
import * as api from './api.js';
import { holdButton } from './countdown.js';
import { byId, el, render } from './dom.js';
import { moment } from './format.js';
import { DISABLED, sentence } from './words.js';

/** Load the endpoints and show those that are disabled. */
export async function openWebhooks() {
  try {
    draw((await api.webhooks()).endpoints);
  } catch {
    draw([]); // the rest of the page says when the server cannot be reached
  }
}

function draw(endpoints) {
  const disabled = endpoints.filter((endpoint) => endpoint.state === 'disabled');
  if (!byId('webhooks')) return; // the page was left
  byId('webhooks-card').hidden = disabled.length === 0;
  render(byId('webhooks'), el('ul', { class: 'jobs' }, disabled.map(entry)));
  for (const endpoint of disabled) byId(endpoint.id).onclick = () => enable(endpoint);
}

function entry(endpoint) {
  const missed = endpoint.missed.count === 1 ? '1 event was missed' : `${endpoint.missed.count} events were missed`;
  return el('li', { class: 'account-row', 'data-key': endpoint.id },
    el('span', { class: 'job-name' },
      el('b', {}, new URL(endpoint.url).host),
      el('span', { class: 'warning' }, `Off since ${moment(endpoint.disabled_at)}: ${reason(endpoint)}`),
      endpoint.last_error && el('span', { class: 'hint' }, sentence(endpoint.last_error, '.')),
      el('span', { class: 'hint' }, `${missed}.`),
      el('span', { id: `${endpoint.id}-error`, class: 'field-error' })),
    el('button', {
      id: endpoint.id,
      type: 'button',
      class: 'button button-small',
      'aria-label': `Enable and send what was missed: ${endpoint.url}`,
    }, 'Enable and send'));
}

const reason = (endpoint) => DISABLED[endpoint.disabled_code] ?? sentence(endpoint.disabled_code ?? 'disabled');

async function enable(endpoint) {
  const button = byId(endpoint.id);
  button.disabled = true;
  try {
    await api.enableWebhook(endpoint.id);
  } catch (problem) {
    refuse(button, problem);
    return;
  }
  openWebhooks();
}

/** Say why it failed beside the button, which can be pressed again when the server allows it. */
function refuse(button, problem) {
  const text = problem instanceof api.NoAnswer ? 'The server cannot be reached. Please try again.' : sentence(problem.message, '.');
  byId(`${button.id}-error`).textContent = text;
  announce(text);
  button.disabled = false;
  if (problem.retryAfterS) holdButton(button, problem.retryAfterS, () => { byId(`${button.id}-error`).textContent = ''; });
}
