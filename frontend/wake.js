/** Keeping the screen on while something must not be interrupted; browsers without that ability just go without. */

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

// The browser drops the lock whenever the page is hidden: ask again when it comes back.
document.addEventListener('visibilitychange', () => {
  if (wanted && !document.hidden) request();
});

async function request() {
  try {
    const given = await navigator.wakeLock?.request('screen');
    if (wanted) lock = given ?? null;
    else await given?.release();
  } catch {
    // Refused (low battery, say): the upload goes on, the line on the page still asks to keep it open.
  }
}
