/** Polling: one request at a time, none while the page is hidden, and one at once when it is shown again. */

/**
 * Call `ask` repeatedly; it returns (a promise of) the milliseconds until the next call, or null to pause.
 *
 * Returns {now, stop}: `now()` calls `ask` at once, also after a pause; `stop()` ends the polling.
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
