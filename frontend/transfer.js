/** Sends one video to the server and reports the progress in bytes; upload.js shows it. */

import { readProblem, UPLOAD_ADDRESS } from './api.js';

/** The time limit of the answer after the last byte; without it, a broken connection would wait for ever. */
const ANSWER_WITHIN_MS = 90_000;

/** The connection ended without an answer. `sentAll`: all bytes were sent, so the video may have arrived. */
export class Interrupted extends Error {
  constructor(sentAll) {
    super('Interrupted');
    this.sentAll = sentAll;
  }
}

/** The user cancelled the upload. */
export class Stopped extends Error {}

/**
 * Begin to send; returns {finished, stop}.
 *
 * `finished` resolves to the server's answer, or rejects with Problem, Interrupted or Stopped. `onProgress(share)` gets
 * the share of sent bytes, 0-1; `onSent()` is called after the last one. XMLHttpRequest, because fetch has no upload
 * progress.
 * `key` is the idempotency key: the same for all attempts at one upload.
 */
export function send(fields, file, key, { onProgress, onSent }) {
  const request = new XMLHttpRequest();
  let sentAll = false;
  const finished = new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.upload.onload = () => {
      sentAll = true;
      setTimeout(() => request.abort(), ANSWER_WITHIN_MS); // has no effect on a finished request
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
  body.append('file', file, file.name); // last: the server checks the options before the bytes arrive
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
    reject(new Interrupted(true)); // a truncated or foreign answer is treated as none
  }
}

/** Return whether the browser can still read the file: phones revoke access to picked photos after a while. */
export async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
