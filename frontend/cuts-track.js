/**
 * Draws the parts of a video along its sound, and turns pointers and keys at its cuts into times.
 *
 * Only what is near the visible section is in the page: a long talk has hundreds of parts, and its picture would be wider
 * than a canvas can be. Places are set by CSSOM, since the content policy allows no style attributes.
 */

import { fault, isFixedCut, nextPause, numberOf, snapped } from './cut-plan.js';
import { el } from './dom.js';
import { position } from './format.js';
import { CUTS as C } from './video-words.js';

const HEIGHT_PX = 96;
const NEAREST_PX_PER_S = 60;
const SNAP_PX = 8;
const STEP_S = 0.1;
const LONG_STEP_S = 1;

export class Track {
  #on;
  #plan = null;
  #peaks = new Uint8Array();
  #pieces = [];
  #chosen = 0;
  #scale = 8; // pixels per second
  #nodes = new Map(); // key → element
  #drag = null;
  #canvas = el('canvas', { class: 'track-sound', 'aria-hidden': 'true' });
  #inner = el('div', { class: 'track-inner' });
  #observer = new ResizeObserver(() => this.#show());

  /** `on` is {onMove(index, time, isFirst), onMerge(index), onChoose(index)}; an index is that of the piece before a cut. */
  constructor(on) {
    this.#on = on;
    this.root = el('div', { class: 'track', dir: 'ltr', role: 'group', 'aria-label': C.track, tabindex: '-1' });
    this.#inner.append(this.#canvas);
    this.root.append(this.#inner);
    this.root.addEventListener('scroll', () => this.#show());
    this.root.addEventListener('keydown', (event) => this.#key(event));
    this.root.addEventListener('click', ({ target }) => {
      const { piece } = target.closest('button')?.dataset ?? {};
      if (piece) on.onChoose(Number(piece));
    });
    this.root.addEventListener('pointerdown', (event) => this.#begin(event));
    this.root.addEventListener('pointermove', (event) => this.#move(event));
    for (const name of ['pointerup', 'pointercancel']) this.root.addEventListener(name, () => { this.#drag = null; });
    this.#observer.observe(this.root);
  }

  stop() {
    this.#observer.disconnect();
  }

  load(plan) {
    this.#plan = plan;
    this.#scale = Math.max(this.#whole(), Math.min(8, this.root.clientWidth / (2 * plan.max_part_s))); // two parts on a phone
    this.#peaks = Uint8Array.from(atob(plan.peaks?.values ?? ''), (char) => char.charCodeAt(0));
  }

  draw(pieces, chosen) {
    this.#pieces = pieces;
    this.#chosen = chosen;
    this.#show();
  }

  /** Set how near it is: 0 the whole video, 1 a second in 60 pixels. The chosen piece stays in the middle. */
  zoom(share) {
    const whole = this.#whole();
    this.#scale = whole * (NEAREST_PX_PER_S / whole) ** share;
    this.reveal(this.#chosen);
  }

  /** Pixels per second at which the whole video fills the track. */
  #whole() {
    return Math.min(NEAREST_PX_PER_S, this.root.clientWidth / this.#plan.duration_s);
  }

  /** Where the zoom is, 0 to 1. */
  get nearness() {
    const whole = this.#plan ? this.#whole() : NEAREST_PX_PER_S;
    return whole < NEAREST_PX_PER_S ? Math.log(this.#scale / whole) / Math.log(NEAREST_PX_PER_S / whole) : 0;
  }

  /** Give the focus to a piece that is in the page. */
  focus(index) {
    (this.#nodes.get(`piece ${index}`) ?? this.root).focus();
  }

  /** Scroll to a piece. */
  reveal(index) {
    const piece = this.#pieces[index];
    if (!piece) return;
    this.#inner.style.width = `${this.#plan.duration_s * this.#scale}px`;
    this.root.scrollLeft = ((piece.start + piece.end) / 2) * this.#scale - this.root.clientWidth / 2;
    this.#show();
  }

  #canMove(index) {
    return this.#plan.editable && !isFixedCut(this.#pieces, index);
  }

  #key(event) {
    const index = Number(event.target.dataset?.cut ?? NaN);
    if (!Number.isFinite(index) || !this.#canMove(index)) return;
    const { end } = this.#pieces[index];
    const step = event.shiftKey ? LONG_STEP_S : STEP_S;
    const to = {
      ArrowLeft: end - step, ArrowDown: end - step, ArrowRight: end + step, ArrowUp: end + step,
      PageUp: nextPause(end, this.#plan.pauses, 1), PageDown: nextPause(end, this.#plan.pauses, -1),
    }[event.key];
    if (to === undefined && event.key !== 'Delete') return;
    event.preventDefault();
    if (to === undefined) this.#on.onMerge(index);
    else this.#on.onMove(index, to, true);
  }

  #begin(event) {
    const { cut } = event.target.dataset;
    if (cut === undefined || event.button || !this.#canMove(Number(cut))) return;
    event.target.setPointerCapture(event.pointerId);
    event.target.focus();
    const index = Number(cut);
    this.#drag = { index, from: event.clientX + this.root.scrollLeft, end: this.#pieces[index].end, isFirst: true };
    event.preventDefault();
  }

  #move(event) {
    const drag = this.#drag;
    if (!drag) return;
    const time = drag.end + (event.clientX + this.root.scrollLeft - drag.from) / this.#scale; // it may be scrolled meanwhile
    const at = event.altKey ? time : snapped(time, this.#plan.pauses, SNAP_PX / this.#scale);
    this.#on.onMove(drag.index, at, drag.isFirst);
    drag.isFirst = false;
  }

  #show() {
    if (!this.#plan) return;
    this.#inner.style.width = `${this.#plan.duration_s * this.#scale}px`;
    const width = this.root.clientWidth;
    const [from, to] = [this.root.scrollLeft - width, this.root.scrollLeft + 2 * width].map((px) => px / this.#scale);
    const wanted = new Set();
    this.#pieces.forEach((piece, index) => {
      if (piece.end >= from && piece.start <= to) wanted.add(this.#piece(piece, index));
      if (index < this.#pieces.length - 1 && piece.end >= from && piece.end <= to) wanted.add(this.#cut(piece, index));
    });
    for (const [key, node] of this.#nodes) {
      const isThere = Number(node.dataset.piece ?? node.dataset.cut) < this.#pieces.length - (node.dataset.cut ? 1 : 0);
      if (wanted.has(key) || (isThere && node === document.activeElement)) continue;
      if (node === document.activeElement) this.root.focus();
      node.remove();
      this.#nodes.delete(key);
    }
    this.#sound(width);
  }

  /** The element of a key, made if it is missing, in the order of the video. */
  #node(key, make) {
    if (!this.#nodes.has(key)) this.#nodes.set(key, make());
    const node = this.#nodes.get(key);
    if (!node.isConnected) {
      const [at, kind] = [Number(node.dataset.cut ?? node.dataset.piece), node.dataset.cut ? 1 : 0];
      const after = [...this.#inner.querySelectorAll('button')].find((other) => {
        const place = Number(other.dataset.cut ?? other.dataset.piece);
        return place > at || (place === at && kind < (other.dataset.cut ? 1 : 0));
      });
      this.#inner.insertBefore(node, after ?? null);
    }
    return node;
  }

  #piece(piece, index) {
    const key = `piece ${index}`;
    const node = this.#node(key, () => el('button', { type: 'button', class: 'piece', 'data-piece': index }));
    const number = numberOf(this.#pieces, index);
    const length = piece.end - piece.start;
    node.className = ['piece', piece.out && 'piece-out', fault(piece, this.#plan) && 'piece-wrong'].filter(Boolean).join(' ');
    node.setAttribute('aria-pressed', String(index === this.#chosen));
    node.setAttribute('aria-label', number ? C.pieceName(number, C.seconds(length)) : C.outName(C.seconds(length)));
    node.textContent = number ? `${number} · ${C.seconds(length)}` : C.out;
    Object.assign(node.style, { left: `${piece.start * this.#scale}px`, width: `${Math.max(2, length * this.#scale - 2)}px` });
    return key;
  }

  #cut(piece, index) {
    const key = `cut ${index}`;
    const node = this.#node(key, () => el('button', { type: 'button', role: 'slider', class: 'cut', 'data-cut': index }));
    const next = this.#pieces[index + 1];
    const values = { min: piece.start, max: next.end, now: piece.end, text: position(piece.end) + (piece.end % 1).toFixed(1).slice(1) };
    for (const [name, value] of Object.entries(values)) node.setAttribute(`aria-value${name}`, typeof value === 'number' ? value.toFixed(2) : value);
    node.setAttribute('aria-label', C.cutName(numberOf(this.#pieces, index), numberOf(this.#pieces, index + 1)));
    node.setAttribute('aria-disabled', String(!this.#canMove(index)));
    node.style.left = `${piece.end * this.#scale}px`;
    return key;
  }

  /** Draw the visible section of the sound, and its pauses behind it. */
  #sound(width) {
    const canvas = this.#canvas;
    const density = Math.min(2, window.devicePixelRatio || 1);
    Object.assign(canvas, { width: width * density, height: HEIGHT_PX * density });
    const context = canvas.getContext('2d');
    context.scale(density, density);
    const [first, scale] = [this.root.scrollLeft, this.#scale];
    const colour = getComputedStyle(this.root);
    context.fillStyle = colour.getPropertyValue('--tint');
    for (const pause of this.#plan.pauses) context.fillRect(pause.start_s * scale - first, 0, Math.max(1, (pause.end_s - pause.start_s) * scale), HEIGHT_PX);
    if (!this.#peaks.length) return;
    context.fillStyle = colour.getPropertyValue('--accent');
    const perS = this.#plan.peaks.per_s;
    for (let x = 0; x < width; x += 2) {
      const [begin, end] = [(first + x) / scale, (first + x + 2) / scale].map((time) => Math.floor(time * perS));
      let peak = 0;
      for (let at = begin; at <= Math.max(begin, end - 1); at += 1) peak = Math.max(peak, this.#peaks[at] ?? 0);
      const height = Math.max(1, (peak / 255) * (HEIGHT_PX - 8));
      context.fillRect(x, (HEIGHT_PX - height) / 2, 1, height);
    }
  }
}
