/** Opens the tools of a video in the large window; the files of each are loaded when it is opened first. */

import { announce } from './announce.js';
import { showTool } from './dialogs.js';
import { el } from './dom.js';
import { load, whyNot } from './load.js';

const TOOLS = {
  cuts: () => import('./cuts-editor.js'),
  eyes: () => import('./eyes.js'),
  options: () => import('./options-editor.js'),
  post: () => import('./post-editor.js'),
  preview: () => import('./platform-preview.js'),
  schedule: () => import('./schedule-editor.js'),
  words: () => import('./words-editor.js'),
};
let isOpening = false;

/** Open a tool until its window is closed; `params` is passed on to its `show`. */
export async function openTool(name, params) {
  if (isOpening) return;
  isOpening = true;
  let tool;
  try {
    tool = await load(name, TOOLS[name]);
  } catch (problem) {
    tool = { title: 'This is not here yet', show: (root) => notLoaded(root, whyNot(problem)) };
  } finally {
    isOpening = false;
  }
  const root = el('div', { class: 'tool-root' });
  const { close, closed } = showTool(tool.title, root);
  const leave = tool.show(root, { ...params, close });
  await closed;
  leave();
}

function notLoaded(root, text) {
  root.append(el('p', { class: 'notice notice-bad' }, text));
  announce(text);
  return () => {};
}
