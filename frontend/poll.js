/** Asking again and again, politely: one question at a time, none while the page is hidden, at once when it returns. */

/**
 * Call `ask` now and then; it returns (a promise of) the milliseconds until the next time, or null for "no more".
 *
 * Returns {now, stop}: `now()` asks at once, also after a "no more"; `stop()` ends it for good.
 */
export function poll(ask) {
  let timer = null;
  let asking = false;
  let again = false;
  let stopped = false;
  let over = false;

  async function turn() {
    if (stopped || document.hidden) return;
    if (asking) {
      again = true;
      return;
    }
    clearTimeout(timer);
    asking = true;
    again = false;
    const delayMs = await ask();
    asking = false;
    over = delayMs === null && !again;
    if (again) turn();
    else if (!over && !stopped) timer = setTimeout(turn, delayMs);
  }

  function wake() {
    if (document.hidden) clearTimeout(timer);
    else if (!over) turn();
  }

  document.addEventListener('visibilitychange', wake);
  window.addEventListener('online', wake);
  turn();
  return {
    now: turn,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
      window.removeEventListener('online', wake);
    },
  };
}
