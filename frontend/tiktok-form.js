/**
 * TikTok's part of the upload's form, for servers that post there directly. TikTok's content sharing guidelines allow no
 * default: a person chooses who can see the video, what others may do with it, whether it advertises, and consents.
 */

import { chosenPlatforms, onPlatforms } from './accounts.js';
import * as api from './api.js';
import { byId, el, render } from './dom.js';

/** Version of the sentence of the consent; platforms/tiktok/options.py has the same. */
const CONSENT = '2026-08';
const PRIVACY = { public: 'Everyone', friends: 'Friends: followers you follow back', followers: 'Followers', private: 'Only you' };
const ALLOWED = { allow_comment: 'Comment on it', allow_duet: 'Make a duet with it', allow_stitch: 'Stitch it' };
const BRANDS = { own_brand: ['Your brand', 'You promote yourself or your own business.'], brand_content: ['Branded content', 'You promote another brand or a third party.'] };
const SWITCHES = [...Object.keys(ALLOWED), ...Object.keys(BRANDS)];
const LEGAL = 'https://www.tiktok.com/legal/page/global';

let values = {}; // the options of the API that are chosen
let isAsking = false;

/** Add the listeners. */
export function startTikTok() {
  byId('tiktok').addEventListener('input', () => {
    showTikTokRefusal(null);
    settle();
  });
  onPlatforms(showTikTok);
}

/** Ask the server whether it needs the choice; if it does, show the panel. */
export async function openTikTok() {
  if (isAsking || isOpen()) return;
  isAsking = true;
  try {
    const { platforms } = await api.limits();
    if (platforms.tiktok?.required_options?.length) open();
  } catch {
    // Asked again with the next video, or when the server refuses this one without the choice.
  } finally {
    isAsking = false;
  }
}

/** Show the panel where it is needed. */
export function showTikTok() {
  byId('tiktok').hidden = !isOpen() || !chosenPlatforms()?.includes('tiktok');
}

/** Return the chosen options of the API. */
export const readTikTok = () => values;

export function fillTikTok(options = {}) {
  values = options;
  if (isOpen()) apply();
}

/** Return {at, message} for the first choice that is missing, or null. */
export function missingTikTok() {
  if (byId('tiktok').hidden) return null;
  if (!values.privacy) return { at: 'tiktok-privacy', message: 'Please choose who can see it.' };
  if (byId('tiktok-disclose').checked && !values.own_brand && !values.brand_content) {
    return { at: 'own_brand', message: 'You need to indicate if your content promotes yourself, a third party, or both.' };
  }
  return values.consent ? null : { at: 'tiktok-consent', message: 'TikTok needs your consent.' };
}

/** Show why a choice is refused beside it; null removes that. */
export function showTikTokRefusal(refusal) {
  if (!isOpen()) return;
  for (const id of ['tiktok-privacy', 'own_brand', 'tiktok-consent']) {
    byId(`${id}-error`).textContent = refusal?.at === id ? refusal.message : '';
    if (refusal?.at === id) byId(id).setAttribute('aria-invalid', 'true');
    else byId(id).removeAttribute('aria-invalid');
  }
  if (refusal?.at) byId(refusal.at).focus();
}

const isOpen = () => Boolean(byId('tiktok-privacy'));

function open() {
  render(byId('tiktok'),
    el('legend', {}, 'TikTok'),
    privacy(),
    el('fieldset', { class: 'field' }, el('legend', {}, 'Others may'),
      el('div', { class: 'choices' }, Object.entries(ALLOWED).map(([name, label]) => box(name, label)))),
    disclosure(),
    el('div', {},
      box('tiktok-consent', el('span', { id: 'tiktok-sentence' })),
      error('tiktok-consent'),
      el('p', { class: 'hint' }, 'After publishing, it can take a few minutes until TikTok shows the parts in your profile.')));
  apply();
  showTikTok();
}

function privacy() {
  return el('div', {},
    el('label', { for: 'tiktok-privacy' }, 'Who can see it on TikTok?'),
    el('select', { id: 'tiktok-privacy', 'aria-describedby': 'tiktok-privacy-error tiktok-privacy-hint' },
      el('option', { value: '' }, 'Please choose'),
      Object.entries(PRIVACY).map(([value, label]) => el('option', { value }, label))),
    error('tiktok-privacy'),
    el('p', { id: 'tiktok-privacy-hint', class: 'hint' }));
}

function disclosure() {
  return el('div', {},
    box('tiktok-disclose', 'It promotes a brand, a product or a service'),
    el('fieldset', { id: 'tiktok-brands', class: 'field' }, el('legend', { class: 'visually-hidden' }, 'Whom it promotes'),
      el('div', { class: 'choices' }, Object.entries(BRANDS).map(([name, [label, hint]]) => box(name, [el('b', {}, label), el('span', { class: 'account' }, hint)]))),
      error('own_brand'),
      el('p', { id: 'tiktok-label', class: 'hint', 'aria-live': 'polite' })));
}

function box(id, label) {
  return el('label', { class: 'choice' }, el('input', { id, type: 'checkbox', 'aria-describedby': ['own_brand', 'tiktok-consent'].includes(id) && `${id}-error` }), el('span', {}, label));
}

const error = (id) => el('p', { id: `${id}-error`, class: 'field-error', role: 'alert' });

/** Show the values in the panel. */
function apply() {
  const { privacy: audience = '', consent, ...switches } = values;
  byId('tiktok-privacy').value = audience;
  for (const name of SWITCHES) byId(name).checked = Boolean(switches[name]);
  byId('tiktok-disclose').checked = Boolean(switches.own_brand || switches.brand_content);
  showSentence(byId('brand_content').checked);
  byId('tiktok-consent').checked = consent === CONSENT;
  showTikTokRefusal(null);
  settle();
}

/** Let the choices agree with each other, and read them. */
function settle() {
  byId('tiktok-brands').hidden = !byId('tiktok-disclose').checked;
  if (byId('tiktok-brands').hidden) for (const name of Object.keys(BRANDS)) byId(name).checked = false;
  const isBranded = byId('brand_content').checked;
  const audience = byId('tiktok-privacy');
  audience.querySelector('[value=private]').disabled = isBranded;
  if (isBranded && audience.value === 'private') audience.value = '';
  byId('tiktok-privacy-hint').textContent = isBranded ? 'Branded content visibility cannot be set to private.' : '';
  byId('tiktok-label').textContent = isBranded || byId('own_brand').checked ? `Your video will be labeled as “${isBranded ? 'Paid partnership' : 'Promotional content'}”.` : '';
  if (showSentence(isBranded)) byId('tiktok-consent').checked = false; // it was for another sentence
  const chosen = { privacy: audience.value, consent: byId('tiktok-consent').checked && CONSENT };
  for (const name of SWITCHES) chosen[name] = byId(name).checked;
  values = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value));
}

/** Show the sentence of the consent; returns whether it is another one than before. */
function showSentence(isBranded) {
  const sentence = byId('tiktok-sentence');
  const before = sentence.textContent;
  render(sentence, "By posting, you agree to TikTok's ", isBranded && [legal('bc-policy', 'Branded Content Policy'), ' and '], legal('music-usage-confirmation', 'Music Usage Confirmation'), '.');
  return before !== sentence.textContent;
}

const legal = (page, name) => el('a', { href: `${LEGAL}/${page}/en`, target: '_blank', rel: 'noopener noreferrer' }, name);
