/** The title of the browser's tab: the view, and the progress of an upload before it. */

import { byId } from './dom.js';

const NAME = 'VidProd';
let view = '';
let progress = '';

/** Set the name of the page, '' for the first one. */
export function setViewTitle(text) {
  view = text;
  draw();
}

/** Set the progress of the upload, '' without one. */
export function setProgressTitle(text) {
  progress = text;
  draw();
}

function draw() {
  document.title = [progress, view, NAME].filter(Boolean).join(' · ');
}

/** Show a text about the upload in the page's header, for the other views; '' removes it. */
export function showStrip(text, address = '/new') {
  const strip = byId('upload-strip');
  strip.textContent = text;
  strip.setAttribute('href', address);
  strip.hidden = !text;
}
