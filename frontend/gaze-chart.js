/** A chart of how far the eyes are off the lens over the time of a part, as filmed and corrected. */

import { el } from './dom.js';
import { seconds } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, MOST_DEG] = [600, 100, 30];

function shape(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Return {root, line(time)}: the chart, and a function that moves the line of the time that is played. */
export function chart({ per_s: perS, angle_before_deg: before, angle_after_deg: after, reasons }, durationS, words) {
  const x = (time) => (time / durationS) * WIDTH;
  const path = (angles, name) => shape('path', { class: name, d: angles.map((angle, at) => point(angle, x(at / perS), angles[at - 1])).join('') });
  const line = shape('line', { class: 'chart-now', x1: 0, x2: 0, y1: 0, y2: HEIGHT });
  const root = el('figure', { class: 'chart', dir: 'ltr' },
    shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words.chart(median(before), median(after), seconds(durationS)) },
      ...reasons.map(({ start_s: start, end_s: end }) => shape('rect', { class: 'chart-left', x: x(start), y: 0, width: Math.max(1, x(end) - x(start)), height: HEIGHT })),
      path(before, 'chart-before'), path(after, 'chart-after'), line),
    el('figcaption', { class: 'hint' }, words.legend));
  return { root, line: (time) => { for (const name of ['x1', 'x2']) line.setAttribute(name, x(time)); } };
}

/** A step of the line; where nothing was measured it has a gap. */
function point(angle, x, previous) {
  if (angle == null) return '';
  return `${previous == null ? 'M' : 'L'}${x.toFixed(1)} ${(HEIGHT - (Math.min(angle, MOST_DEG) / MOST_DEG) * HEIGHT).toFixed(1)}`;
}

function median(angles) {
  const known = angles.filter((angle) => angle != null).sort((one, other) => one - other);
  return known.length ? Math.round(known[Math.floor(known.length / 2)]) : null;
}
