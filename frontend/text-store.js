/** Texts that a person keeps for later: captions and sets of hashtags, in this browser. */

const KEY = 'vidprod-texts';
const MOST = 20;

/** The kept texts, the newest first. */
export function keptTexts() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '[]').filter((text) => typeof text === 'string');
  } catch {
    return []; // the storage is blocked, or not ours
  }
}

/** Keep a text; beyond the 20 newest they are dropped. */
export const keepText = (text) => store([text, ...keptTexts().filter((one) => one !== text)].slice(0, MOST));

export const removeText = (text) => store(keptTexts().filter((one) => one !== text));

function store(texts) {
  try {
    localStorage.setItem(KEY, JSON.stringify(texts));
  } catch {
    // Full or blocked: the list stays as it was.
  }
}
