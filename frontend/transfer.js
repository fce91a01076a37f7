/** Sending one video to the server with byte progress; what is shown meanwhile is upload.js's. */

import { readProblem, UPLOAD_ADDRESS } from './api.js';

/** How long the answer may take once every byte is sent; a connection that died unnoticed would wait for ever. */
const ANSWER_WITHIN_MS = 90_000;

/** The connection ended without an answer. `sentAll`: every byte had left, so the video may have arrived. */
export class Interrupted extends Error {
  constructor(sentAll) {
    super('Interrupted');
    this.sentAll = sentAll;
  }
}

/** The person stopped the upload. */
export class Stopped extends Error {}

/**
 * Begin to send; returns {finished, stop}.
 *
 * `finished` gives the server's answer or throws Problem, Interrupted or Stopped. `onProgress(share)` hears 0-1 of all
 * bytes; `onSent()` that the last one has left. XMLHttpRequest, because fetch has no byte progress.
 * `key` is the idempotency key: the same for all attempts at one upload.
 */
export function send(fields, file, key, { onProgress, onSent }) {
  const request = new XMLHttpRequest();
  let sentAll = false;
  const finished = new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.upload.onload = () => {
      sentAll = true;
      setTimeout(() => request.abort(), ANSWER_WITHIN_MS); // does nothing to a request that is over
      onSent();
    };
    request.onload = () => settle(request, resolve, reject);
    request.onerror = () => reject(new Interrupted(sentAll));
    request.onabort = () => reject(sentAll ? new Interrupted(true) : new Stopped());
  });
  request.open('POST', UPLOAD_ADDRESS);
  request.setRequestHeader('Idempotency-Key', `"${key}"`);
  request.send(form(fields, file));
  return { finished, stop: () => request.abort() };
}

function form(fields, file) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append('file', file, file.name); // last, so that the server knows the options before the bytes arrive
  return body;
}

function settle(request, resolve, reject) {
  if (request.status < 200 || request.status >= 300) {
    reject(readProblem(request.status, request.getResponseHeader('Retry-After'), request.responseText));
    return;
  }
  try {
    resolve(JSON.parse(request.responseText));
  } catch {
    reject(new Interrupted(true)); // a cut-off or foreign answer to a whole upload: unclear, as if there were none
  }
}

/** Whether the browser can still read the file: phones take files from their photo pickers back after a while. */
export async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
