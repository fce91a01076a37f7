/** A part as a platform shows it: what its buttons cover, where it cuts the caption, and the frame of its cover. */

import * as api from './api.js';
import { el, render } from './dom.js';
import { PREVIEW as P } from './video-words.js';
import { platformName, sentence } from './words.js';

export const title = P.tool;

/**
 * What the apps put over a picture of 1080 by 1920, and the lines of the caption that they show.
 *
 * No platform publishes these figures; they are measured on screens of January 2026, the larger ones of several.
 */
const SHOWN = {
  tiktok: { top: 130, bottom: 350, right: 164, lines: 2 },
  instagram: { top: 220, bottom: 450, right: 120, lines: 1 },
  youtube: { top: 120, bottom: 300, right: 164, lines: 2 },
};
const [WIDTH, HEIGHT] = [1080, 1920];
const FRAMES = 8; // in the strip

/** Show the preview; `params` is {job, part: number, onSaved, close}. Returns a function that leaves it. */
export function show(root, params) {
  const part = params.job.segments.find(({ number }) => number === params.part);
  const video = el('video', { src: part.links.video, playsinline: true, muted: true, preload: 'auto', 'aria-label': P.picture });
  const tool = { ...params, root, part, video, on: part.publications[0]?.id, limits: null, busy: false, said: '', refusal: '' };
  tool.stage = el('div', { class: 'phone', dir: 'ltr' }, video);
  tool.panel = el('div', { class: 'piece-panel' });
  root.append(el('div', { class: 'tool tool-preview' }, tool.stage, tool.panel));
  tool.panel.addEventListener('input', ({ target }) => input(tool, target));
  tool.panel.addEventListener('click', ({ target }) => { if (target.closest('[data-do=cover]')) setCover(tool); });
  video.addEventListener('loadedmetadata', () => {
    seek(tool, coverOf(tool) ?? 0);
    drawStrip(tool);
  });
  draw(tool);
  askLimits(tool);
  return () => {
    tool.root = null;
    video.removeAttribute('src');
  };
}

async function askLimits(tool) {
  try {
    tool.limits = await api.limits();
    draw(tool);
  } catch {
    // The frame of the cover cannot be chosen without the options that a platform has.
  }
}

const postOf = ({ part, on }) => part.publications.find(({ id }) => id === on);
const coverOf = (tool) => postOf(tool)?.options?.cover_s ?? null;

function input(tool, { name, value }) {
  if (name === 'post') {
    Object.assign(tool, { on: value, said: '', refusal: '' });
    if (coverOf(tool) !== null) seek(tool, coverOf(tool));
  }
  if (name === 'at') seek(tool, Number(value));
  draw(tool);
}

function seek(tool, time) {
  tool.video.currentTime = time;
  tool.at = time;
}

async function setCover(tool) {
  const post = postOf(tool);
  const known = tool.limits.platforms[post.platform].options.properties;
  const own = Object.entries(post.own_words?.options ?? {}).filter(([name]) => name in known);
  Object.assign(tool, { busy: true, said: '', refusal: '' });
  draw(tool);
  try {
    const changed = await api.changePost(post.id, { options: { ...Object.fromEntries(own), cover_s: Math.round(tool.video.currentTime * 100) / 100 } });
    Object.assign(post, { options: changed.options, own_words: changed.own_words });
    tool.said = P.saved;
    tool.onSaved();
  } catch (problem) {
    tool.refusal = problem instanceof api.NoAnswer ? P.lost : sentence(problem.message, '.');
  }
  tool.busy = false;
  draw(tool);
}

function draw(tool) {
  if (!tool.root) return;
  const post = postOf(tool);
  drawPhone(tool, post);
  render(tool.panel,
    tool.part.publications.length > 0 && el('label', { class: 'tool-scope', 'data-key': 'post' }, P.on, el('select', { name: 'post' },
      tool.part.publications.map(({ id, platform, account }) => el('option', { value: id }, [platformName(platform), account].filter(Boolean).join(' · '))))),
    el('p', { class: 'hint', 'data-key': 'hint' }, P.hint),
    el('label', { class: 'tool-scope', 'data-key': 'at' }, P.time, el('input', { type: 'range', name: 'at', min: 0, max: tool.part.duration_s ?? 0, step: 0.04, value: coverOf(tool) ?? 0 })),
    canSetCover(tool, post) && el('div', { class: 'actions', 'data-key': 'cover' },
      el('button', { type: 'button', class: 'button button-main', 'data-do': 'cover', disabled: tool.busy }, P.cover(platformName(post.platform)))),
    el('p', { role: 'status', 'data-key': 'said' }, tool.said),
    el('p', { class: 'field-error', role: 'alert', 'data-key': 'refusal' }, tool.refusal));
}

/** True where the platform takes the frame of a cover, and the post has not begun; TikTok's drafts take none. */
function canSetCover({ limits }, post) {
  const platform = limits?.platforms[post?.platform];
  return post?.editable && platform?.options.properties.cover_s && (post.platform !== 'tiktok' || platform.required_options.length > 0);
}

function drawPhone({ stage, job }, post) {
  for (const old of stage.querySelectorAll('.zone, .phone-text')) old.remove();
  const zone = SHOWN[post?.platform];
  if (!zone) return;
  const text = post.platform === 'youtube' ? post.title : [post.title, post.caption ?? job.caption].filter(Boolean).join('\n');
  const caption = el('p', { class: 'phone-text', dir: 'auto' }, text);
  caption.style.webkitLineClamp = zone.lines;
  place(caption, { left: 0, right: zone.right, bottom: zone.bottom / 3 });
  stage.append(
    area('zone', { left: 0, right: 0, top: 0, height: zone.top }),
    area('zone', { left: 0, right: 0, bottom: 0, height: zone.bottom }),
    area('zone', { right: 0, width: zone.right, top: HEIGHT / 3, bottom: zone.bottom }),
    caption);
}

const area = (name, box) => place(el('div', { class: name, 'aria-hidden': 'true' }), box);

/** Place an element by pixels of the whole picture. */
function place(element, box) {
  for (const [side, size] of Object.entries(box)) {
    const whole = ['left', 'right', 'width'].includes(side) ? WIDTH : HEIGHT;
    element.style[side] = `${(size / whole) * 100}%`;
  }
  return element;
}

/** Draw frames of the part in a row, one after the other; a press on one shows it. */
async function drawStrip(tool) {
  const source = el('video', { src: tool.part.links.video, muted: true, preload: 'auto', playsinline: true });
  const strip = el('div', { class: 'strip-frames', role: 'group', 'aria-label': P.frames });
  tool.stage.after(strip);
  await once(source, 'loadeddata');
  for (let index = 0; index < FRAMES && tool.root; index += 1) {
    const at = (source.duration * (index + 0.5)) / FRAMES;
    source.currentTime = at;
    await once(source, 'seeked');
    const canvas = el('canvas', { width: 54, height: 96 });
    canvas.getContext('2d').drawImage(source, 0, 0, 54, 96);
    const button = el('button', { type: 'button', class: 'frame', 'aria-label': P.frame(at) }, canvas);
    button.addEventListener('click', () => {
      seek(tool, at);
      tool.panel.querySelector('[name=at]').value = at;
    });
    strip.append(button);
  }
}

const once = (element, name) => new Promise((resolve) => { element.addEventListener(name, resolve, { once: true }); });
