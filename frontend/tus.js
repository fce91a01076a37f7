/**
 * Sends one file by the tus protocol over a network that may fail at any time; upload.js shows it. No page elements.
 *
 *     create ──▶ append, piece by piece ──▶ complete: the length and the options
 *       ▲          │ cut, stall, pause        │ lost answer
 *       │          ▼                          │
 *       └─ gone ── ask (HEAD) ◀───────────────┘
 *
 * Every doubt ends at `ask`: the server knows how many bytes have arrived, and whether the job exists. So at most one
 * piece is sent twice.
 */

import * as api from './api.js';
import { read } from './file-bytes.js';
import { Cut, isPassing, patch, within } from './patch.js';

/** Sizes in bytes, times in milliseconds. Tests make them smaller. */
export const LIMITS = {
  minPiece: 1_000_000, // also the first piece; doubled after each success, halved after each cut
  maxPiece: 16_000_000, // a piece is read into memory
  stall: 20_000, // time without progress after which a connection is treated as broken
  ask: 8000, // time within which the server has to say how much has arrived
  accept: 90_000, // the same for the last request: the server syncs the file before it answers
  suspicious: 4000, // time without progress after which a new network, or a page in front again, ends a request
  firstWait: 1000, // doubled after each failure in a row
  longestWait: 30_000,
};

const GONE = new Set([404, 410]);

/** The upload was ended by `stop`. */
export class Stopped extends Error {}

/** Another tab has taken the upload over. */
export class TakenOver extends Error {}

/** The upload of one file. `address` and `confirmed` are what a later page needs to continue it. */
export class Transfer {
  /** Path of the upload on the server; null before it is created. */
  address;
  /** Number of bytes that the server has confirmed. */
  confirmed;
  /** Id of the job, once the server has created it. */
  jobId = null;

  #file;
  #name;
  #size;
  #listener;
  #isUnsure;
  #pieceBytes = LIMITS.minPiece;
  #failures = 0; // in a row, without a new byte at the server
  #isPaused = false;
  #request = null;
  #hurry = null; // ends the present wait; null if the server has asked for it
  #unpause = null;
  #end;
  #ended = null; // the error with which it was stopped
  #whenEnded = new Promise((_, reject) => { this.#end = reject; });

  /**
   * Prepare; nothing is sent yet.
   *
   * `file` may be null if all bytes are at the server. `listener` has
   *   show(phase, {sent, leftS, error}): phase is sending, asking, restarted, paused, completing, waiting, or
   *   busy: the same, but for as long as the server has asked for;
   *   signedIn(): a promise for the moment after signing in; owns(): false if another tab has taken the upload over.
   */
  constructor({ file, name, size, address = null, confirmed = 0 }, listener) {
    Object.assign(this, { address, confirmed });
    this.#file = file;
    this.#name = name;
    this.#size = size;
    this.#listener = listener;
    this.#isUnsure = Boolean(address);
    this.#whenEnded.catch(() => {}); // handled where it is awaited
    document.addEventListener('visibilitychange', this.#wake);
    document.addEventListener('resume', this.#wake); // a page that the browser had frozen
    window.addEventListener('online', this.#wake);
  }

  /** Whether all bytes are at the server. */
  get hasArrived() {
    return this.confirmed === this.#size && !this.#isUnsure;
  }

  /** Send until all bytes are at the server; rejects with a final Problem, Unreadable, Stopped or TakenOver. */
  async send() {
    while (!this.jobId && !this.hasArrived) {
      await this.#attempt(() => (!this.address ? this.#create() : this.#isUnsure ? this.#ask() : this.#append()));
    }
  }

  /** Tell the options, after `send`; returns the id of the job. Rejects as `send`; may then be called again. */
  async complete(options) {
    for (;;) {
      await this.send();
      if (this.jobId) return this.jobId;
      await this.#attempt(() => this.#tell(options));
    }
  }

  pause() {
    this.#isPaused = true;
    this.#request?.abort();
    this.#hurry?.();
    this.#listener.show('paused', { sent: this.confirmed });
  }

  resume() {
    this.#isPaused = false;
    this.#unpause?.();
  }

  /** End the wait for the next attempt, unless the server has asked for it. */
  tryNow() {
    this.#hurry?.();
  }

  /** Stop for good; what has arrived stays at the server until `api.removeUpload`. */
  stop(error = new Stopped()) {
    this.#ended = error;
    this.#end(error);
    this.#request?.abort();
    document.removeEventListener('visibilitychange', this.#wake);
    document.removeEventListener('resume', this.#wake);
    window.removeEventListener('online', this.#wake);
  }

  async #attempt(step) {
    if (this.#isPaused) await this.#pauseOver();
    if (!this.#listener.owns()) this.stop(new TakenOver());
    try {
      await Promise.race([step(), this.#whenEnded]);
    } catch (error) {
      await this.#recover(error);
    }
  }

  async #create() {
    const address = await api.createUpload({ filename: this.#name, size: String(this.#size) });
    if (this.#ended) api.removeUpload(address).catch(() => {});
    this.address = address;
    this.confirmed = 0;
    this.#listener.show('sending', { sent: 0 });
  }

  async #ask() {
    this.#listener.show('asking', { sent: this.confirmed });
    const { offset, jobId } = await this.#answer(within(LIMITS.ask, (signal) => api.uploadState(this.address, signal)));
    this.jobId = jobId;
    this.#isUnsure = false;
    if (offset !== null) this.#arrived(offset);
    else if (!jobId) this.#beginAnew();
  }

  #beginAnew() {
    this.address = null;
    this.confirmed = 0;
    this.#listener.show('restarted', { sent: 0 });
  }

  async #append() {
    const from = this.confirmed;
    const piece = await read(this.#file, from, from + this.#pieceBytes);
    if (this.#isPaused) return;
    const answer = await this.#patch({ 'Upload-Offset': from }, piece, LIMITS.stall);
    this.#arrived(Number(answer.getResponseHeader('Upload-Offset') ?? NaN));
    this.#pieceBytes = Math.min(this.#pieceBytes * 2, LIMITS.maxPiece);
  }

  async #tell(options) {
    this.#listener.show('completing', { sent: this.#size });
    const metadata = api.uploadMetadata({ filename: this.#name, ...options });
    const answer = await this.#patch({ 'Upload-Offset': this.#size, 'Upload-Length': this.#size, 'Upload-Metadata': metadata }, null, LIMITS.accept);
    this.jobId = answer.getResponseHeader('X-Job-Id');
    this.#isUnsure = !this.jobId;
  }

  #arrived(told) {
    const offset = Math.min(told, this.#size);
    if (!(offset >= 0)) throw new Cut('Not an answer of VidProd');
    if (offset > this.confirmed) this.#failures = 0; // HEAD alone is no progress
    this.confirmed = offset;
    this.#listener.show('sending', { sent: offset });
  }

  #patch(headers, body, stallMs) {
    return this.#answer(patch(this.address, headers, body, stallMs, (loaded) => this.#listener.show('sending', { sent: this.confirmed + loaded })));
  }

  async #answer(request) {
    this.#request = request;
    try {
      return await request.answer;
    } finally {
      this.#request = null;
    }
  }

  async #recover(error) {
    if (this.#ended) throw this.#ended;
    this.#isUnsure = Boolean(this.address);
    if (error.status === 401) {
      api.tellSignedOut();
      await Promise.race([this.#listener.signedIn(), this.#whenEnded]);
    } else if (isPassing(error)) {
      this.#pieceBytes = Math.max(LIMITS.minPiece, this.#pieceBytes / 2);
      this.#failures += 1;
      await this.#wait(error);
    } else if (GONE.has(error.status) && this.address) {
      this.#failures += 1;
      if (this.#failures > 1) await this.#wait(error);
    } else {
      throw error;
    }
  }

  async #wait(error) {
    const asked = error.retryAfterS ?? null;
    const backoff = Math.min(LIMITS.firstWait * 2 ** (this.#failures - 1), LIMITS.longestWait);
    const until = performance.now() + (asked === null ? backoff : asked * 1000);
    let isOver = false;
    const hurried = new Promise((resolve) => { this.#hurry = asked === null ? resolve : null; }).then(() => { isOver = true; });
    for (let left = 1; !isOver && !this.#isPaused && (left = until - performance.now()) > 0;) {
      this.#listener.show(asked === null ? 'waiting' : 'busy', { sent: this.confirmed, leftS: Math.ceil(left / 1000), error });
      await Promise.race([pause(Math.min(left, 1000)), hurried, this.#whenEnded]);
    }
    this.#hurry = null;
  }

  async #pauseOver() {
    this.#listener.show('paused', { sent: this.confirmed });
    await Promise.race([new Promise((resolve) => { this.#unpause = resolve; }), this.#whenEnded]);
  }

  /** The network is there again, or the page is in front again: do not wait longer, and do not trust a silent request. */
  #wake = () => {
    if (document.hidden) return;
    this.#hurry?.();
    if (this.#request?.idleMs() > LIMITS.suspicious) this.#request.abort();
  };
}

function pause(durationMs) {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
