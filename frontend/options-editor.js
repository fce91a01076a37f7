/** The options of a video's posts beside their words, by platform: TikTok's own panel, and fields made from the API's schemas. */

import { announce } from './announce.js';
import * as api from './api.js';
import { el, render } from './dom.js';
import { creatorsOf, TikTokPanel } from './tiktok-panel.js';
import { OPTIONS as O } from './video-words.js';
import { platformsOf, postsOf } from './words-scope.js';
import { platformName, sentence } from './words.js';

export const title = O.tool;

/** Show the editor; `params` is {job, onSaved, close}. Returns a function that leaves it. */
export function show(root, params) {
  const editor = { ...params, root, fields: [], tiktok: null, changed: new Set(), busy: false };
  root.append(el('p', { role: 'status' }, O.loading));
  root.addEventListener('input', ({ target }) => change(editor, target));
  root.addEventListener('submit', (event) => {
    event.preventDefault();
    save(editor);
  });
  load(editor);
  return () => { editor.root = null; };
}

async function load(editor) {
  try {
    editor.limits = await api.limits();
  } catch (problem) {
    if (editor.root) render(editor.root, el('p', { class: 'notice notice-bad', role: 'alert' }, problem instanceof api.NoAnswer ? O.lost : sentence(problem.message, '.')));
    return;
  }
  if (editor.root) draw(editor);
}

function draw(editor) {
  const sections = platformsOf(editor.job, editor.limits).map((platform) => section(editor, platform));
  render(editor.root, el('form', { class: 'tool', novalidate: true },
    el('p', { class: 'hint' }, O.hint), sections,
    el('div', { class: 'actions', 'data-key': 'save' }, el('button', { class: 'button button-main', disabled: true }, O.save), el('p', { class: 'hint' })),
    el('p', { class: 'field-error', role: 'alert', 'data-key': 'refusal' })));
  if (editor.root.querySelector('#job-tiktok')) openTikTok(editor);
}

function section(editor, platform) {
  const posts = postsOf(editor.job, { part: '', on: platform });
  const text = posts.length && posts.every(({ editable }) => editable === false) ? O.begun : platform === 'tiktok' && !editor.limits.platforms.tiktok.required_options.length && O.drafts;
  if (platform === 'tiktok' && !text) return el('fieldset', { id: 'job-tiktok', class: 'field tiktok' });
  return el('fieldset', { class: 'field', 'data-platform': platform }, el('legend', {}, platformName(platform)), text ? el('p', { class: 'hint' }, text) : fieldsOf(editor, platform));
}

/** The options that hold for all posts of a platform, as far as the document says. */
function setOptions(job, platform) {
  const posts = postsOf(job, { part: '', on: platform }).filter(({ editable }) => editable !== false);
  const post = posts.find((one) => !one.own_words?.options) ?? posts[0];
  const own = { ...job.part_words?.[post?.number]?.options, ...post?.own_words?.options };
  const shared = Object.entries(post?.options ?? {}).filter(([name]) => !(name in own));
  return { ...Object.fromEntries(shared), ...job.platform_words?.[platform]?.options };
}

async function openTikTok(editor) {
  const panel = new TikTokPanel(editor.root.querySelector('#job-tiktok'), 'job-');
  editor.tiktok = panel;
  panel.fill(setOptions(editor.job, 'tiktok'));
  panel.open();
  const used = new Set(postsOf(editor.job, { part: '', on: 'tiktok' }).map((post) => post.account_id).filter(Boolean));
  const { accounts } = await api.accounts().catch(() => ({ accounts: [] }));
  const ids = accounts.filter(({ id, platform, status }) => platform === 'tiktok' && status === 'connected' && (!used.size || used.has(id))).map(({ id }) => id);
  const creators = await creatorsOf(ids, api.creator);
  if (editor.root) panel.limitTo(creators);
}

function fieldsOf(editor, platform) {
  const values = setOptions(editor.job, platform);
  const { properties } = editor.limits.platforms[platform].options;
  return Object.entries(properties).flatMap(([name, property]) => {
    const schema = property.anyOf?.find(({ type }) => type !== 'null') ?? property;
    const make = schema.enum ? choice : { boolean: check, array: list, number }[schema.type];
    return make ? field(editor, { platform, name, schema, property, value: values[name], make }) : []; // one value is no choice
  });
}

/** A field of an option; `read` returns its value, undefined where it is not set. */
function field(editor, option) {
  const { platform, name, property, schema, make } = option;
  const id = `option-${platform}-${name}`;
  const { control, read } = make({ id, name: `${platform}.${name}`, 'aria-describedby': `${id}-error ${id}-hint` }, option);
  editor.fields.push({ platform, name, control, read });
  const label = O.labels[name] ?? property.title;
  return el('div', { class: 'field' },
    schema.type === 'boolean' ? el('label', { class: 'choice' }, control, el('span', {}, label)) : [el('label', { for: id }, label), control],
    el('p', { id: `${id}-error`, class: 'field-error', role: 'alert' }),
    el('p', { id: `${id}-hint`, class: 'hint' }, O.hints[name]));
}

function choice(attributes, { platform, name, schema, value }) {
  const option = (one, label) => el('option', { value: one, selected: one === (value ?? '') }, label);
  const control = el('select', attributes, value === undefined && option('', O.unset), schema.enum.map((one) => option(one, O.values[name]?.[one] ?? one)));
  return { control, read: () => control.value || undefined, platform };
}

function check(attributes, { property, value }) {
  const isOn = value ?? property.description.includes('Default: yes');
  const control = el('input', { ...attributes, type: 'checkbox', checked: isOn });
  return { control, read: () => control.checked };
}

function list(attributes, { value = [] }) {
  const control = el('input', { ...attributes, type: 'text', value: value.join(', '), autocomplete: 'off', dir: 'auto' });
  return { control, read: () => control.value.split(',').map((one) => one.trim()).filter(Boolean) };
}

function number(attributes, { schema, value }) {
  const control = el('input', { ...attributes, type: 'number', min: schema.minimum, max: schema.maximum, step: 'any', value });
  return { control, read: () => (control.value === '' ? undefined : Number(control.value)) };
}

function change(editor, target) {
  if (target.closest('#job-tiktok')) editor.changed.add('tiktok');
  else if (target.name) editor.changed.add(target.name);
  refuse(editor, null);
  showSaving(editor);
}

function showSaving({ root, busy, changed }) {
  const [button, hint] = root.querySelector('[data-key=save]').children;
  button.disabled = busy || !changed.size;
  hint.textContent = changed.size ? O.notSaved : '';
}

/** The body of the change: what is set for each changed platform, with the changed options. */
function bodyOf({ job, limits, fields, changed, tiktok }) {
  const platforms = {};
  const own = (platform) => Object.entries(job.platform_words?.[platform]?.options ?? {}).filter(([name]) => name in limits.platforms[platform].options.properties);
  const of = (platform) => (platforms[platform] ??= { options: Object.fromEntries(own(platform)) }).options;
  for (const { platform, name, read } of fields) {
    if (changed.has(`${platform}.${name}`)) of(platform)[name] = read(); // undefined is left out of the JSON
  }
  if (changed.has('tiktok')) Object.assign(of('tiktok'), tiktok.choices());
  return { platforms };
}

async function save(editor) {
  const { tiktok, changed } = editor;
  const missing = changed.has('tiktok') ? tiktok.missing() : null;
  if (missing) tiktok.refuse(missing);
  if (missing || editor.busy || !changed.size) return;
  editor.busy = true;
  showSaving(editor);
  try {
    const job = await api.changeJob(editor.job.job_id, bodyOf(editor));
    announce(O.saved);
    editor.onSaved(job);
    editor.close();
  } catch (problem) {
    editor.busy = false;
    if (!editor.root) return;
    showSaving(editor);
    refuse(editor, problem);
  }
}

/** Show why the server refuses an option beside it; null removes that. */
function refuse({ root, fields }, problem) {
  const steps = problem?.field?.split(/[.[\]]/) ?? [];
  const text = problem && (problem instanceof api.NoAnswer ? O.lost : sentence(problem.message, '.'));
  let found = null;
  for (const { platform, name, control } of fields) {
    const isIt = !found && steps.includes(name) && steps.includes(platform);
    if (isIt) found = control;
    root.querySelector(`#${control.id}-error`).textContent = isIt ? text : '';
    if (isIt) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
  }
  root.querySelector('[data-key=refusal]').textContent = found ? '' : text ?? '';
  found?.focus();
}
