/**
 * The choices of direct posts on TikTok. TikTok's content sharing guidelines allow no default: a person chooses who can
 * see the video, what others may do with it, whether it advertises, and consents.
 */

import { el, render } from './dom.js';

/** Version of the sentence of the consent; platforms/tiktok/options.py has the same. */
const CONSENT = '2026-08';
const PRIVACY = { public: 'Everyone', friends: 'Friends: followers you follow back', followers: 'Followers', private: 'Only you' };
const ALLOWED = { allow_comment: 'Comment on it', allow_duet: 'Make a duet with it', allow_stitch: 'Stitch it' };
const BRANDS = { own_brand: ['Your brand', 'You promote yourself or your own business.'], brand_content: ['Branded content', 'You promote another brand or a third party.'] };
const SWITCHES = [...Object.keys(ALLOWED), ...Object.keys(BRANDS)];
const LEGAL = 'https://www.tiktok.com/legal/page/global';

/** The panel in `root`; the ids of its fields begin with `prefix`. */
export class TikTokPanel {
  constructor(root, prefix = '') {
    Object.assign(this, { root, prefix, values: {}, creators: null, isOpen: false });
    root.addEventListener('input', () => {
      this.refuse(null);
      this.settle();
    });
  }

  at(id) {
    return this.root.querySelector(`#${this.prefix}${id}`);
  }

  /** Draw the panel with the values, once. */
  open() {
    this.isOpen = true;
    render(this.root,
      el('legend', {}, 'TikTok'),
      el('p', { id: `${this.prefix}tiktok-creator`, class: 'hint', role: 'status' }),
      this.privacy(),
      el('fieldset', { class: 'field' }, el('legend', {}, 'Others may'),
        el('div', { class: 'choices' }, Object.entries(ALLOWED).map(([name, label]) => this.box(name, label)))),
      this.disclosure(),
      el('div', {},
        this.box('tiktok-consent', el('span', { id: `${this.prefix}tiktok-sentence` })),
        this.error('tiktok-consent'),
        el('p', { class: 'hint' }, 'After publishing, it can take a few minutes until TikTok shows the parts in your profile.')));
    this.apply();
  }

  fill(values) {
    this.values = values;
    if (this.isOpen) this.apply();
  }

  /** Offer what the accounts allow; `creators` is the answer of `creatorsOf`. */
  limitTo(creators) {
    this.creators = creators;
    if (this.isOpen) this.settle();
  }

  /** Return the values with a word on each switch, to replace others. */
  choices() {
    return { ...Object.fromEntries(SWITCHES.map((name) => [name, false])), ...this.values };
  }

  /** Return {at, message} for the first choice that is missing, or null. */
  missing() {
    if (!this.values.privacy) return { at: 'tiktok-privacy', message: 'Please choose who can see it.' };
    if (this.at('tiktok-disclose').checked && !this.values.own_brand && !this.values.brand_content) {
      return { at: 'own_brand', message: 'You need to indicate if your content promotes yourself, a third party, or both.' };
    }
    return this.values.consent ? null : { at: 'tiktok-consent', message: 'TikTok needs your consent.' };
  }

  /** Show why a choice is refused beside it; null removes that. */
  refuse(refusal) {
    if (!this.isOpen) return;
    for (const id of ['tiktok-privacy', 'own_brand', 'tiktok-consent']) {
      this.at(`${id}-error`).textContent = refusal?.at === id ? refusal.message : '';
      if (refusal?.at === id) this.at(id).setAttribute('aria-invalid', 'true');
      else this.at(id).removeAttribute('aria-invalid');
    }
    if (refusal?.at) this.at(refusal.at).focus();
  }

  privacy() {
    const id = `${this.prefix}tiktok-privacy`;
    return el('div', {},
      el('label', { for: id }, 'Who can see it on TikTok?'),
      el('select', { id, 'aria-describedby': `${id}-error ${id}-hint` },
        el('option', { value: '' }, 'Please choose'),
        Object.entries(PRIVACY).map(([value, label]) => el('option', { value }, label))),
      this.error('tiktok-privacy'),
      el('p', { id: `${id}-hint`, class: 'hint' }));
  }

  disclosure() {
    return el('div', {},
      this.box('tiktok-disclose', 'It promotes a brand, a product or a service'),
      el('fieldset', { id: `${this.prefix}tiktok-brands`, class: 'field' }, el('legend', { class: 'visually-hidden' }, 'Whom it promotes'),
        el('div', { class: 'choices' }, Object.entries(BRANDS).map(([name, [label, hint]]) => this.box(name, [el('b', {}, label), el('span', { class: 'account' }, hint)]))),
        this.error('own_brand'),
        el('p', { id: `${this.prefix}tiktok-label`, class: 'hint', 'aria-live': 'polite' })));
  }

  box(name, label) {
    const id = this.prefix + name;
    return el('label', { class: 'choice' }, el('input', { id, type: 'checkbox', 'aria-describedby': ['own_brand', 'tiktok-consent'].includes(name) && `${id}-error` }), el('span', {}, label));
  }

  error(name) {
    return el('p', { id: `${this.prefix}${name}-error`, class: 'field-error', role: 'alert' });
  }

  /** Show the values in the panel. */
  apply() {
    const { privacy: audience = '', consent, ...switches } = this.values;
    this.at('tiktok-privacy').value = audience;
    for (const name of SWITCHES) this.at(name).checked = Boolean(switches[name]);
    this.at('tiktok-disclose').checked = Boolean(switches.own_brand || switches.brand_content);
    this.showSentence(this.at('brand_content').checked);
    this.at('tiktok-consent').checked = consent === CONSENT;
    this.refuse(null);
    this.settle();
  }

  /** Let the choices agree with each other and with the accounts, and read them. */
  settle() {
    this.at('tiktok-brands').hidden = !this.at('tiktok-disclose').checked;
    if (this.at('tiktok-brands').hidden) for (const name of Object.keys(BRANDS)) this.at(name).checked = false;
    const isBranded = this.at('brand_content').checked;
    this.offer(isBranded);
    this.at('tiktok-privacy-hint').textContent = isBranded ? 'Branded content visibility cannot be set to private.' : '';
    this.at('tiktok-label').textContent = isBranded || this.at('own_brand').checked ? `Your video will be labeled as “${isBranded ? 'Paid partnership' : 'Promotional content'}”.` : '';
    if (this.showSentence(isBranded)) this.at('tiktok-consent').checked = false; // it was for another sentence
    const chosen = { privacy: this.at('tiktok-privacy').value, consent: this.at('tiktok-consent').checked && CONSENT };
    for (const name of SWITCHES) chosen[name] = this.at(name).checked;
    this.values = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value));
  }

  /** Disable what the accounts do not allow, and take it back. */
  offer(isBranded) {
    const { privacies, text = '', ...allowed } = this.creators ?? {};
    this.at('tiktok-creator').textContent = text;
    const audience = this.at('tiktok-privacy');
    for (const option of audience.options) {
      option.disabled = option.value !== '' && ((isBranded && option.value === 'private') || (privacies && !privacies.includes(option.value)));
      if (option.disabled && audience.value === option.value) audience.value = '';
    }
    for (const name of Object.keys(ALLOWED)) {
      this.at(name).disabled = allowed[name] === false;
      if (this.at(name).disabled) this.at(name).checked = false;
    }
  }

  /** Show the sentence of the consent; returns whether it is another one than before. */
  showSentence(isBranded) {
    const sentence = this.at('tiktok-sentence');
    const before = sentence.textContent;
    render(sentence, "By posting, you agree to TikTok's ", isBranded && [legal('bc-policy', 'Branded Content Policy'), ' and '], legal('music-usage-confirmation', 'Music Usage Confirmation'), '.');
    return before !== sentence.textContent;
  }
}

/** What the creators of all these accounts allow: {text, privacies, allow_comment...}; only the text where TikTok does not say. */
export async function creatorsOf(accountIds, ask) {
  if (!accountIds.length) return null;
  try {
    const found = await Promise.all(accountIds.map(ask));
    const off = Object.keys(ALLOWED).filter((name) => found.some((one) => !one[name.replace('allow_', '') + '_allowed']));
    const names = found.map(({ name, username }) => (name ? `${name} (@${username})` : `@${username}`)).join(', ');
    const without = off.map((name) => ({ allow_comment: 'comments', allow_duet: 'duets', allow_stitch: 'stitches' })[name]).join(', ');
    return {
      text: `Posts as ${names}.${without && ` Switched off in TikTok: ${without}.`}`,
      privacies: Object.keys(PRIVACY).filter((value) => found.every(({ privacies }) => privacies.includes(value))),
      ...Object.fromEntries(off.map((name) => [name, false])),
    };
  } catch {
    return { text: 'TikTok does not say at the moment what your account allows. These are all choices there are.' };
  }
}

const legal = (page, name) => el('a', { href: `${LEGAL}/${page}/en`, target: '_blank', rel: 'noopener noreferrer' }, name);
