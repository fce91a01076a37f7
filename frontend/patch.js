/** One request of the tus protocol: a PATCH with progress and a limit on silence, or a question with a limit on time. */

import { NoAnswer, readProblem, TUS } from './api.js';

const PASSING = new Set([408, 423, 425, 429]);
/** 409 with these codes means that another request has moved the offset. */
const OFFSET_MOVED = new Set(['other_offset', 'upload_superseded']);

/** The connection ended without a usable answer. */
export class Cut extends Error {}

/**
 * Send bytes, or null; returns {answer, abort(), idleMs()}.
 *
 * `answer` resolves to the request once it has succeeded; it rejects with Problem, or with Cut: also after `stallMs`
 * without progress. XMLHttpRequest, because fetch has no upload progress.
 */
export function patch(address, headers, body, stallMs, onProgress) {
  const request = new XMLHttpRequest();
  let timer = null;
  let movedAt = 0;
  const moved = () => {
    clearTimeout(timer);
    movedAt = performance.now();
    timer = setTimeout(() => request.abort(), stallMs);
  };
  const answer = new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded }) => {
      moved();
      onProgress(loaded);
    };
    request.upload.onload = moved;
    request.onload = () => settle(request, resolve, reject);
    request.onerror = request.onabort = () => reject(new Cut('No answer'));
  });
  request.open('PATCH', address);
  for (const [name, value] of Object.entries({ ...TUS, 'Content-Type': 'application/offset+octet-stream', ...headers })) {
    request.setRequestHeader(name, value);
  }
  moved();
  request.send(body);
  return { answer: answer.finally(() => clearTimeout(timer)), abort: () => request.abort(), idleMs: () => performance.now() - movedAt };
}

/** Call `ask(signal)`; returns as `patch`. The answer rejects with Cut after `limitMs`. */
export function within(limitMs, ask) {
  const since = performance.now();
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), limitMs);
  const aborted = new Promise((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(new Cut('No answer')));
  });
  const answer = Promise.race([ask(controller.signal), aborted]).finally(() => clearTimeout(timer));
  return { answer, abort: () => controller.abort(), idleMs: () => performance.now() - since };
}

function settle(request, resolve, reject) {
  if (request.status === 204) resolve(request);
  else if (request.status < 400) reject(new Cut('Not an answer of VidProd')); // a captive portal's page, for example
  else reject(readProblem(request.status, request.getResponseHeader('Retry-After'), request.responseText));
}

/** Whether the same request may succeed later. */
export function isPassing(error) {
  if (error instanceof Cut || error instanceof NoAnswer) return true;
  return PASSING.has(error.status) || error.status >= 500 || (error.status === 409 && OFFSET_MOVED.has(error.code));
}
