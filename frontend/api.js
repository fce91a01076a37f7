/**
 * The requests to the API, except those with the bytes of an upload, which patch.js sends.
 *
 * The page depends on the following; it ignores other fields of an answer:
 *
 *   every route     answers 401 without a session; errors are application/problem+json {detail, title, field}: the
 *                   detail is shown to the person (without a leading "field: "), the title only where there is none; 429 and 503 may carry Retry-After in seconds
 *   POST /login     JSON {"key"} -> any 2xx with Set-Cookie (HttpOnly, SameSite, Path=/); 401 for a wrong key, 429 after
 *                   many of them
 *   DELETE /login   ends the session of this browser, also on the server; with ?everywhere=true all of this key
 *   GET /accounts   {"accounts": [{id, platform: tiktok|instagram|youtube, name, status, after_failure: hold|continue}]};
 *                   status connected, reconnect (posts wait until it is connected again) or refused (not offered);
 *                   optionally "max_upload_bytes": n, which lets the page refuse a file before sending it, and
 *                   "outages": {platform: {paused_until, reason}}
 *   PATCH /accounts/ID {after_failure}   any 2xx: whether the parts after one that was not published wait
 *   GET /webhooks   {"endpoints": [{id, url, state: enabled|disabled, disabled_at, disabled_code, last_error,
 *                   missed{count}}]}
 *   PATCH /webhooks/ID {state: enabled}, then POST /webhooks/ID/replay {failed: true}   any 2xx; the body is not read
 *   GET /notices    {"public_key": for web push, "subscriptions": [{id, state: enabled|disabled}],
 *                   "urls": [{service: ntfy, mailto..., last_status: delivered|failed|null, last_error}]}
 *   POST /notices/subscriptions {endpoint, keys{p256dh, auth}, public_key}   any 2xx; 409 with code other_key if public_key
 *                   is not that of GET /notices (any more)
 *   DELETE /notices/subscriptions/ID, POST /notices/test   any 2xx
 *   GET /connect/P  a navigation: leads to the platform and, in the end, back to "/"
 *   POST /files     tus 1.0.0 with Upload-Defer-Length: 1 and Upload-Metadata: filename -> 201 with Location. All requests
 *                   to uploads send Tus-Resumable: 1.0.0
 *   PATCH /files/ID the next bytes at Upload-Offset -> 204 with the new Upload-Offset. When all are there, an empty one
 *                   with Upload-Length and all options in Upload-Metadata (title, caption, platforms as comma list,
 *                   gaze_intensity 0-1, each only when given) -> 204 with X-Job-Id; 409 or 422 with `field` for a refused
 *                   option, which changes nothing; 409 with code other_offset or upload_superseded: see HEAD
 *   HEAD /files/ID  Upload-Offset, and X-Job-Id once the job exists; 404 or 410 when the upload is gone; 409 when it is
 *                   complete and its options were refused
 *   DELETE /files/ID   any 2xx: the bytes of an upload without a job are removed
 *   GET /status/ID  the status document, with ETag; 304 to If-None-Match; 404 when the job is gone. Read are: status,
 *                   progress, title, original_name (of the file), created_at, error (text or null), segments[{number, of, status, start_s,
 *                   duration_s, cut_reason, reason (why it failed, or null), gaze{corrected, share, reason; and, where known,
 *                   median_before_deg, median_after_deg, frames, reasons{code: frames}, looked_at} or null,
 *                   rendering{picture: encoded or copied, settings: full, less_memory, without_gaze or least} or null,
 *                   attempts[{outcome}] and retry_at (instant of the next attempt, or null), both also of the whole job;
 *                   review{reasons[code], approved_at} or null: nothing is published before a person approves,
 *                   progress, links{cover, preview, video: address of each file that exists},
 *                   publications[{id, platform, account (its name), status, link, due_at, expected_at and waits_for (a code
 *                   of schedule.js) while it waits or null, code, reason}]}], files_deleted_at,
 *                   next_at and last_at (instants of the next and the last post, or null)
 *   GET /jobs[?cursor=C]   {"jobs": [{job_id, title, original_name, status, phase (also scheduled or blocked), progress,
 *                   created_at, next_at, last_at, posts{status: number}}], "next": cursor or null}, newest first
 *   GET /schedule   {platform: {max_per_day}}
 *   POST /publications/ID/resolve {published}   any 2xx: a person's word on a post whose outcome is unknown.
 *   POST /publications/ID/retry {out_of_order}   any 2xx; 409 with code out_of_order if later parts are published
 *   POST /publications/ID/skip   any 2xx: the later parts go on without it
 *   POST /jobs/ID/approve, POST /jobs/ID/cancel, POST /jobs/ID/retry, DELETE /jobs/ID   any 2xx; the body is not read.
 *                   After DELETE either the job is gone (404), or it stays and gets files_deleted_at
 *   GET /jobs/ID/segments/N/cover, /preview (images), /video (mp4, Range)   only as given in links
 *
 * All addresses are relative to the page, which lives at "/"; its files live under "/static/".
 */

const ANSWER_WITHIN_MS = 20_000;
const LONGEST_WAIT_S = 86_400;

/** The server refused: `message` is for people, `status` is the HTTP status, `code` and `field` are for programs. */
export class Problem extends Error {
  constructor(message, { status, code = null, field = null, retryAfterS = null }) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
    this.retryAfterS = retryAfterS;
  }
}

/** No answer was received within 20 s: the network or the server failed, or the request was aborted. */
export class NoAnswer extends Error {}

/** The headers of all requests to uploads. */
export const TUS = { 'Tus-Resumable': '1.0.0' };

export const connectAddress = (platform) => `connect/${encodeURIComponent(platform)}`;

let signedOut = () => {};
let answered = () => {};

/** Set the callback for each request; it gets whether the server has answered. */
export function onAnswer(action) {
  answered = action;
}

/** Set the callback for a missing or expired session. */
export function onSignedOut(action) {
  signedOut = action;
}

export function tellSignedOut() {
  signedOut();
}

/** Exchange the key for a session cookie; throws Problem 401 for a wrong key. */
export async function login(key) {
  await send('login', { key });
}

export const logout = () => ask('login', { method: 'DELETE' });
/** End all sessions of this key, on every device. */
export const logoutEverywhere = () => ask('login?everywhere=true', { method: 'DELETE' });

export async function accounts(signal = null) {
  return (await ask('accounts', { signal })).json();
}

export async function webhooks() {
  return (await ask('webhooks')).json();
}

/** Enable an endpoint and have the server send what it has missed. */
export async function enableWebhook(endpointId) {
  const address = `webhooks/${encodeURIComponent(endpointId)}`;
  await send(address, { state: 'enabled' }, 'PATCH');
  await send(`${address}/replay`, { failed: true });
}

export async function notices() {
  return (await ask('notices')).json();
}

export const subscribe = (subscription) => send('notices/subscriptions', subscription);
export const unsubscribe = (subscriptionId) => ask(`notices/subscriptions/${encodeURIComponent(subscriptionId)}`, { method: 'DELETE' });
export const testNotice = () => ask('notices/test', { method: 'POST' });

export async function jobs(cursor = null, signal = null) {
  return (await ask(cursor ? `jobs?cursor=${encodeURIComponent(cursor)}` : 'jobs', { signal })).json();
}

/** The limits and upload windows of each platform. */
export async function schedule() {
  return (await ask('schedule')).json();
}

/** Return {document, etag}, or null when nothing changed since `etag`. */
export async function status(jobId, etag = null, signal = null) {
  const headers = etag ? { 'If-None-Match': etag } : {};
  const answer = await ask(`status/${encodeURIComponent(jobId)}`, { headers, signal });
  return answer.status === 304 ? null : { document: await answer.json(), etag: answer.headers.get('ETag') };
}

export const approve = (jobId) => ask(`jobs/${encodeURIComponent(jobId)}/approve`, { method: 'POST' });
export const cancel = (jobId) => ask(`jobs/${encodeURIComponent(jobId)}/cancel`, { method: 'POST' });
export const retry = (jobId) => ask(`jobs/${encodeURIComponent(jobId)}/retry`, { method: 'POST' });
export const resolve = (publicationId, published) => send(`publications/${encodeURIComponent(publicationId)}/resolve`, { published });
export const repost = (publicationId, outOfOrder) => send(`publications/${encodeURIComponent(publicationId)}/retry`, { out_of_order: outOfOrder });
export const skip = (publicationId) => ask(`publications/${encodeURIComponent(publicationId)}/skip`, { method: 'POST' });
export const setAfterFailure = (accountId, value) => send(`accounts/${encodeURIComponent(accountId)}`, { after_failure: value }, 'PATCH');
export const remove = (jobId) => ask(`jobs/${encodeURIComponent(jobId)}`, { method: 'DELETE' });

/** Create an upload whose length is told at its end; returns its path. */
export async function createUpload(pairs) {
  const headers = { ...TUS, 'Upload-Defer-Length': '1', 'Upload-Metadata': uploadMetadata(pairs) };
  const answer = await ask('files', { method: 'POST', headers });
  const location = answer.headers.get('Location');
  if (answer.status !== 201 || !location) throw new NoAnswer('Not an answer of VidProd');
  return new URL(location, answer.url).pathname; // the scheme and the host are those of this page
}

/**
 * Return {offset, jobId}: the number of bytes that have arrived, and the job's id if it exists.
 *
 * `offset` is null if the upload is gone, and Infinity if it is complete but its options were refused.
 */
export async function uploadState(address, signal = null) {
  try {
    const { headers } = await ask(address, { method: 'HEAD', headers: TUS, signal });
    const offset = headers.get('Upload-Offset');
    if (offset === null) throw new NoAnswer('Not an answer of VidProd');
    return { offset: Number(offset), jobId: headers.get('X-Job-Id') };
  } catch (problem) {
    if (problem.status === 409) return { offset: Infinity, jobId: null };
    if (problem.status !== 404 && problem.status !== 410) throw problem;
    return { offset: null, jobId: await jobOf(address) };
  }
}

/** The id of the job that an upload has become, or null. They have the same id; the files of a job are deleted first. */
async function jobOf(address) {
  const id = address.split('/').pop();
  try {
    await status(id);
    return id;
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    return null;
  }
}

/** Remove an upload that is not complete; `keepalive` lets the request outlive the page. */
export const removeUpload = (address) => ask(address, { method: 'DELETE', headers: TUS, keepalive: true });

/** Return the header Upload-Metadata: keys with values in Base64 of UTF-8. */
export function uploadMetadata(pairs) {
  return Object.entries(pairs).map(([key, value]) => `${key} ${base64(value)}`).join(',');
}

function base64(text) {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));
}

function send(address, body, method = 'POST') {
  return ask(address, { method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
}

async function ask(address, options = {}) {
  const answer = await fetchInTime(address, options);
  if (answer.ok || answer.status === 304) return answer;
  const problem = readProblem(answer.status, answer.headers.get('Retry-After'), await answer.text());
  if (problem.status === 401 && !address.startsWith('login')) signedOut();
  throw problem;
}

async function fetchInTime(address, { signal = null, ...options }) {
  const limit = AbortSignal.timeout(ANSWER_WITHIN_MS);
  try {
    // no-store: the page sends the ETag itself; with the browser's cache it would not see the 304.
    const answer = await fetch(address, { cache: 'no-store', signal: signal ? either(signal, limit) : limit, ...options });
    answered(true);
    return answer;
  } catch (error) {
    answered(false);
    throw new NoAnswer('No answer', { cause: error });
  }
}

/** A signal that aborts with the first of two; browsers before 2024 only know the time limit. */
const either = (signal, limit) => AbortSignal.any?.([signal, limit]) ?? limit;

/** Return the Problem for an error answer, also for one that VidProd did not send (for example a proxy's page). */
export function readProblem(status, retryAfter, text) {
  const facts = { status, retryAfterS: readRetryAfter(retryAfter) };
  try {
    const { title, detail, field, code } = JSON.parse(text);
    if (detail || title) return new Problem(withoutField(detail || title, field), { ...facts, code, field });
  } catch {
    // Not JSON: a generic message is used below.
  }
  return new Problem(`The server could not do this (code ${status}).`, facts);
}

/**
 * The seconds of a header Retry-After, which is a number or an HTTP date (RFC 9110, 10.2.3); null without a usable one.
 *
 * At most a day: a timer of more than 24 days would end at once, so that the page would send one request after another.
 */
function readRetryAfter(text) {
  const waitS = /^\s*\d+\s*$/.test(text ?? '') ? Number(text) : Math.ceil((Date.parse(text) - Date.now()) / 1000);
  return Number.isFinite(waitS) ? Math.min(Math.max(0, waitS), LONGEST_WAIT_S) : null;
}

/** Remove a leading field name, which is for programs: "title: must be shorter" becomes "must be shorter". */
function withoutField(detail, field) {
  return field && detail.startsWith(`${field}: `) ? detail.slice(field.length + 2) : detail;
}
