/** Keeps the screen on during an upload, in browsers with the Screen Wake Lock API. */

let wanted = false;
let lock = null;

/** Keep the screen on until `letSleep`. */
export function stayAwake() {
  wanted = true;
  request();
}

export function letSleep() {
  wanted = false;
  lock?.release();
  lock = null;
}

// The browser releases the lock when the page is hidden: request it again when the page is shown.
document.addEventListener('visibilitychange', () => {
  if (wanted && !document.hidden) request();
});

async function request() {
  try {
    const given = await navigator.wakeLock?.request('screen');
    if (wanted) lock = given ?? null;
    else await given?.release();
  } catch {
    // Refused, for example with a low battery: the upload continues, and the page still asks to keep it open.
  }
}
