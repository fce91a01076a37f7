/** The two dialogs: a confirmation, and a large window for pictures, parts and tools. Back closes the upper one. */

import { byId, el } from './dom.js';

/** Ask for confirmation; resolves to true for yes, false for no, Escape or a closed dialog. Focus returns to its place. */
export function confirm(title, text, yes, no) {
  const dialog = byId('question');
  byId('question-title').textContent = title;
  byId('question-text').textContent = text;
  byId('question-yes').textContent = yes;
  byId('question-no').textContent = no;
  dialog.returnValue = '';
  return open(dialog).then(() => dialog.returnValue === 'yes');
}

const opened = []; // the upper one last
let isOwnStep = false; // in the history

/** Open a dialog as an entry of the history; resolves when it is closed and the entry is gone. */
async function open(dialog) {
  history.pushState({ dialog: dialog.id }, '');
  opened.push(dialog);
  dialog.showModal();
  await new Promise((resolve) => { dialog.addEventListener('close', resolve, { once: true }); });
  opened.splice(opened.indexOf(dialog), 1);
  if (history.state?.dialog !== dialog.id) return; // Back has closed it
  const left = new Promise((resolve) => { window.addEventListener('popstate', resolve, { once: true }); });
  isOwnStep = true;
  history.back();
  await left;
  isOwnStep = false;
}

export function showPicture(title, address, description) {
  show(title, el('img', { src: address, alt: description }));
}

export function showVideo(title, address) {
  show(title, el('video', { src: address, controls: true, playsinline: true, preload: 'metadata' }));
}

/** Show a tool in the large window; returns {close, closed}: `closed` is a promise of the end. */
export function showTool(title, content) {
  byId('viewer-title').textContent = title;
  byId('viewer-stage').replaceChildren(content);
  return { close: () => byId('viewer').close(), closed: open(byId('viewer')) };
}

/** Add the listeners of the dialogs' own buttons; call it once. */
export function startDialogs() {
  window.addEventListener('popstate', () => {
    if (!isOwnStep) opened.at(-1)?.close();
  });
  byId('question-yes').addEventListener('click', () => byId('question').close('yes'));
  byId('question-no').addEventListener('click', () => byId('question').close('no'));
  byId('viewer-close').addEventListener('click', () => byId('viewer').close());
  byId('viewer').addEventListener('click', (event) => {
    if (event.target === byId('viewer')) byId('viewer').close(); // a click on the backdrop
  });
  byId('viewer').addEventListener('close', () => byId('viewer-stage').replaceChildren()); // stops a playing video
}

function show(title, content) {
  byId('viewer-title').textContent = title;
  content.addEventListener('error', () => {
    byId('viewer-stage').replaceChildren(el('p', { class: 'hint' }, 'This file is no longer kept. Files are removed once everything is published.'));
  });
  byId('viewer-stage').replaceChildren(content);
  open(byId('viewer'));
}
