/** Polling: one request at a time, none while the page is hidden, and one at once when it is shown or online again. */

/**
 * Call `ask` repeatedly; it returns (a promise of) the milliseconds until the next call, or null to pause.
 *
 * `ask` gets an AbortSignal, which ends a request that was sent before the network came back: its answer may be lost.
 * Returns {now, stop}: `now()` calls `ask` at once, also after a pause; `stop()` ends the polling.
 */
export function poll(ask) {
  let timer = null;
  let request = null;
  let again = false;
  let stopped = false;
  let over = false;

  async function turn() {
    if (stopped || document.hidden) return;
    if (request) {
      again = true;
      return;
    }
    clearTimeout(timer);
    request = new AbortController();
    again = false;
    const delayMs = await ask(request.signal);
    request = null;
    over = delayMs === null && !again;
    if (again) turn();
    else if (!over && !stopped) timer = setTimeout(turn, delayMs);
  }

  function wake() {
    if (document.hidden) clearTimeout(timer);
    else if (!over) turn();
  }

  function reconnect() {
    request?.abort();
    wake();
  }

  document.addEventListener('visibilitychange', wake);
  window.addEventListener('online', reconnect);
  turn();
  return {
    now: turn,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
      window.removeEventListener('online', reconnect);
    },
  };
}
