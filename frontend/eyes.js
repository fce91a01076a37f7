/** Compares the eyes of a part as filmed and corrected: both play together behind a slider, with a chart over time. */

import * as api from './api.js';
import { el } from './dom.js';
import { chart } from './gaze-chart.js';
import { EYES as E } from './video-words.js';
import { gazeReason } from './part-words.js';
import { position } from './format.js';

export const title = E.tool;
const APART_S = 0.08; // more than that between the two pictures is seen
const ALIKE = 0.02; // of the shapes of two pictures that can lie on each other

/** Show the comparison; `params` is {job, part: number}. Returns a function that leaves it. */
export function show(root, { job, part: number }) {
  const part = job.segments.find((one) => one.number === number);
  const after = video(part.links.video);
  const before = part.links.original ? video(part.links.original) : null;
  const corrected = el('div', { class: 'compare-after' }, after);
  const stage = el('div', { class: 'compare' }, before, corrected);
  const tool = { root, part, before, after, corrected, stage, gaze: null, facts: el('div', {}), from: startOf(part.links.original) };
  root.append(el('div', { class: 'tool tool-eyes' }, stage, controls(tool), tool.facts));
  together(tool);
  split(tool, before ? 0.5 : 0);
  drawFacts(tool);
  if (part.links.gaze) askGaze(job, tool);
  return () => {
    tool.root = null;
    for (const one of [before, after]) one?.removeAttribute('src');
  };
}

const video = (address) => el('video', { src: address, playsinline: true, preload: 'auto' });

/** The second of the uploaded video at which the part begins, of its address: #t=12.5,60. */
const startOf = (address) => Number(/#t=([\d.]+)/.exec(address ?? '')?.[1] ?? 0);

function controls(tool) {
  const { before, after, stage } = tool;
  tool.divide = el('input', { type: 'range', min: 0, max: 1, step: 0.01, value: 0.5, 'aria-label': E.divide });
  tool.divide.addEventListener('input', () => split(tool, Number(tool.divide.value)));
  const play = el('button', { type: 'button', class: 'button button-main' }, E.play);
  play.addEventListener('click', () => (after.paused ? after.play() : after.pause()));
  for (const name of ['play', 'pause']) after.addEventListener(name, () => { play.textContent = after.paused ? E.play : E.pause; });
  tool.seek = el('input', { type: 'range', min: 0, max: tool.part.duration_s ?? 0, step: 0.04, value: 0, 'aria-label': E.time });
  tool.seek.addEventListener('input', () => { after.currentTime = Number(tool.seek.value); });
  const near = el('button', { type: 'button', class: 'button button-quiet', 'aria-pressed': 'false' }, E.near);
  near.addEventListener('click', () => {
    const isNear = stage.classList.toggle('compare-near');
    near.setAttribute('aria-pressed', String(isNear));
  });
  tool.sides = el('div', { class: 'compare-sides', dir: 'ltr', hidden: !before }, el('span', {}, E.before), tool.divide, el('span', {}, E.after));
  return [tool.sides, el('div', { class: 'tool-row' }, play, near), tool.seek];
}

/** Show the picture as filmed left of a line. */
function split({ corrected }, share) {
  corrected.style.clipPath = `inset(0 0 0 ${share * 100}%)`;
}

/** Let the picture as filmed follow the corrected one, which has the sound. */
function together(tool) {
  const { before, after, from } = tool;
  const follow = () => {
    tool.seek.value = after.currentTime;
    tool.seek.setAttribute('aria-valuetext', position(after.currentTime));
    tool.line?.(after.currentTime);
    if (!before?.isConnected) return;
    if (Math.abs(before.currentTime - from - after.currentTime) > APART_S) before.currentTime = from + after.currentTime;
    if (before.paused && !after.paused) before.play().catch(() => {}); // the listener of errors shows the picture instead
  };
  for (const name of ['timeupdate', 'seeking', 'seeked', 'play']) after.addEventListener(name, follow);
  if (!before) return;
  before.muted = true;
  after.addEventListener('pause', () => {
    before.pause();
    follow();
  });
  for (const one of [before, after]) one.addEventListener('loadedmetadata', () => fit(tool));
  before.addEventListener('error', () => withoutOriginal(tool));
}

/** Two pictures of different shapes cannot lie on each other: they stand side by side. */
function fit({ before, after, stage, corrected, sides }) {
  const shapes = [before, after].map((one) => one.videoWidth / one.videoHeight);
  if (!shapes.every(Number.isFinite) || Math.abs(shapes[0] / shapes[1] - 1) < ALIKE) return;
  stage.classList.add('compare-beside');
  split({ corrected }, 0);
  sides.hidden = true;
}

/** The browser cannot play the file as it was uploaded: the picture of before and after takes its place. */
function withoutOriginal(tool) {
  tool.before.remove();
  split(tool, 0);
  tool.sides.hidden = true;
  tool.isWithout = true;
  drawFacts(tool);
}

async function askGaze(job, tool) {
  try {
    tool.gaze = await api.gaze(job.job_id, tool.part.number);
    drawFacts(tool);
  } catch {
    // Deleted meanwhile: there is no chart.
  }
}

function drawFacts(tool) {
  if (!tool.root) return;
  const { gaze, part, facts, isWithout } = tool;
  const drawn = gaze && chart(gaze, part.duration_s, E);
  tool.line = drawn?.line;
  facts.replaceChildren(...[
    isWithout && el('p', { class: 'hint' }, E.noOriginal),
    isWithout && part.links.preview && el('img', { src: part.links.preview, alt: E.preview }),
    drawn?.root,
    gaze && stretches(gaze.reasons).length > 0 && leftAlone(stretches(gaze.reasons)),
  ].filter(Boolean));
}

const SHORT_S = 1; // shorter ones cannot be seen as such

/** The stretches as a person sees them: blinks and other short ones are part of what is around them. */
function stretches(reasons) {
  const joined = [];
  for (const one of reasons.filter(({ start_s: start, end_s: end }) => end - start >= SHORT_S)) {
    const before = joined.at(-1);
    if (before?.code === one.code && one.start_s - before.end_s < SHORT_S) before.end_s = one.end_s;
    else joined.push({ ...one });
  }
  return joined;
}

function leftAlone(reasons) {
  return el('section', {}, el('h3', {}, E.leftAlone),
    el('ul', {}, reasons.map(({ start_s: start, end_s: end, code }) => el('li', {}, `${position(start)}–${position(end)}: ${gazeReason(code)}`))));
}
