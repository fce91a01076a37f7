/** Counts down the time that a server asks to wait (the header Retry-After of 429 and 503). */

import { announce } from './announce.js';
import { seconds } from './format.js';

const TICK_MS = 1000;

/**
 * A waiting time; `onTick` is called each second while it lasts, and once when it ends or is stopped.
 *
 * It is read from a clock that never jumps: counted ticks would be late, since browsers slow the timers of hidden pages.
 */
export class Wait {
  #onTick;
  #until = 0;
  #timer = null;

  constructor(onTick) {
    this.#onTick = onTick;
  }

  /** The rest in whole seconds; 0 without a waiting time. */
  get leftS() {
    return Math.max(0, Math.ceil((this.#until - performance.now()) / TICK_MS));
  }

  /** Wait for this many seconds; null and 0 end the waiting. */
  start(waitS) {
    this.stop();
    this.#until = waitS > 0 ? performance.now() + waitS * 1000 : 0;
    if (waitS > 0) this.#turn();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#until = 0;
  }

  #turn() {
    this.#onTick();
    const leftMs = this.#until - performance.now();
    if (leftMs > 0) this.#timer = setTimeout(() => this.#turn(), leftMs % TICK_MS + 1);
  }
}

/** Disable a button for a while, with the countdown as its label; then `onEnd` is called, and the end is announced. */
export function holdButton(button, waitS, onEnd = () => {}) {
  const label = button.textContent;
  const name = button.getAttribute('aria-label'); // must contain the text that is shown
  button.removeAttribute('aria-label');
  const wait = new Wait(() => {
    button.disabled = wait.leftS > 0;
    button.textContent = wait.leftS ? `Try again in ${seconds(wait.leftS)}` : label;
    if (wait.leftS) return;
    if (name) button.setAttribute('aria-label', name);
    announce('You can try again now.');
    onEnd();
  });
  wait.start(waitS);
}
