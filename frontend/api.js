/** The requests to the API, except those with the bytes of an upload, which patch.js sends; CONTRACT.md says on what they depend. */

const ANSWER_WITHIN_MS = 20_000;
const LONGEST_WAIT_S = 86_400;

/** The server refused: `message` is for people, `status` is the HTTP status, the others are for programs. */
export class Problem extends Error {
  constructor(message, { status, code = null, field = null, retryAfterS = null }) {
    super(message);
    Object.assign(this, { status, code, field, retryAfterS });
  }
}

/** No answer was received within 20 s: the network or the server failed, or the request was aborted. */
export class NoAnswer extends Error {}

/** The headers of all requests to uploads. */
export const TUS = { 'Tus-Resumable': '1.0.0' };

export const connectAddress = (platform) => `/connect/${encodeURIComponent(platform)}`;

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

/** The limits of words and the required options of each platform. */
export async function limits() {
  return (await ask('limits')).json();
}

/** What was published and what is expected from one day to another (2026-11-23), by the days of a time zone. */
export async function calendar(from, to, zone, signal = null) {
  return (await ask(`calendar?from=${from}&to=${to}&zone=${encodeURIComponent(zone)}`, { signal })).json();
}

/** Return {document, etag}, or null when nothing changed since `etag`. */
export async function status(jobId, etag = null, signal = null) {
  const headers = etag ? { 'If-None-Match': etag } : {};
  const answer = await ask(`status/${encodeURIComponent(jobId)}`, { headers, signal });
  return answer.status === 304 ? null : { document: await answer.json(), etag: answer.headers.get('ETag') };
}

/** Approve a video, or only some of its parts. */
export const approve = (jobId, parts = null) => send(`jobs/${encodeURIComponent(jobId)}/approve`, parts ? { parts } : {});
export const cancel = (jobId) => ask(`jobs/${encodeURIComponent(jobId)}/cancel`, { method: 'POST' });
export const retry = (jobId) => ask(`jobs/${encodeURIComponent(jobId)}/retry`, { method: 'POST' });
export const resolve = (publicationId, published) => send(`publications/${encodeURIComponent(publicationId)}/resolve`, { published });
export const repost = (publicationId, outOfOrder) => send(`publications/${encodeURIComponent(publicationId)}/retry`, { out_of_order: outOfOrder });
export const skip = (publicationId) => ask(`publications/${encodeURIComponent(publicationId)}/skip`, { method: 'POST' });
export const changeJob = (jobId, change) => patchJson(`jobs/${encodeURIComponent(jobId)}`, change);
export const changePost = (publicationId, change) => patchJson(`publications/${encodeURIComponent(publicationId)}`, change);
/** The cuts of a video: {document, etag}. */
export async function plan(jobId) {
  const answer = await ask(`jobs/${encodeURIComponent(jobId)}/plan`);
  return { document: await answer.json(), etag: answer.headers.get('ETag') };
}

/** Set the cuts of a video, if they are still those of the ETag. */
export const putPlan = (jobId, etag, parts) => send(`jobs/${encodeURIComponent(jobId)}/plan`, { parts }, 'PUT', { 'If-Match': etag });
/** The gaze of a part over time. */
export async function gaze(jobId, number) {
  return (await ask(`jobs/${encodeURIComponent(jobId)}/segments/${number}/gaze`)).json();
}

/** What happened to a post: requests, answers and evidence. */
export async function history(publicationId) {
  return (await ask(`publications/${encodeURIComponent(publicationId)}/history`)).json();
}

/** What waits for a person: {document, etag}, or null when nothing changed since `etag`. */
export async function needs(etag = null, signal = null) {
  const answer = await ask('needs-you', { headers: etag ? { 'If-None-Match': etag } : {}, signal });
  return answer.status === 304 ? null : { document: await answer.json(), etag: answer.headers.get('ETag') };
}

export const retryDeadLetter = (letterId) => ask(`dead-letters/${encodeURIComponent(letterId)}/retry`, { method: 'POST' });

/** The expected posts of the next 60 days, earliest first; at most 500. */
export async function forecast() {
  return (await ask('forecast?days=60&limit=500')).json();
}

const scheduleAddress = (accountId) => `accounts/${encodeURIComponent(accountId)}/schedule`;
export async function accountSchedule(accountId) {
  return (await ask(scheduleAddress(accountId))).json();
}
export const setAccountSchedule = (accountId, schedule) => send(scheduleAddress(accountId), schedule, 'PUT');
export const resetAccountSchedule = (accountId) => ask(scheduleAddress(accountId), { method: 'DELETE' });
export const disconnect = (accountId) => ask(`accounts/${encodeURIComponent(accountId)}`, { method: 'DELETE' });

/** The creator of an account on TikTok, and what it allows. */
export async function creator(accountId) {
  return (await ask(`accounts/${encodeURIComponent(accountId)}/creator`)).json();
}

/** What the server is set to, and which logins are set up. */
export async function settings() {
  return (await ask('settings')).json();
}

export async function keys() {
  return (await ask('keys')).json();
}
export const makeKey = async (name) => (await send('keys', { name })).json();
export const revokeKey = (keyId) => ask(`keys/${encodeURIComponent(keyId)}`, { method: 'DELETE' });

const webhookAddress = (endpointId, rest = '') => `webhooks/${encodeURIComponent(endpointId)}${rest}`;
export const addWebhook = async (url) => (await send('webhooks', { url })).json();
export const removeWebhook = (endpointId) => ask(webhookAddress(endpointId), { method: 'DELETE' });
export const webhookSecret = async (endpointId) => (await ask(webhookAddress(endpointId, '/secret'))).json();
export const testWebhook = (endpointId) => ask(webhookAddress(endpointId, '/ping'), { method: 'POST' });
export const deliveries = async (endpointId, limit) => (await ask(webhookAddress(endpointId, `/deliveries?limit=${limit}`))).json();
export const redeliver = (endpointId, deliveryId) => ask(webhookAddress(endpointId, `/deliveries/${encodeURIComponent(deliveryId)}/redeliver`), { method: 'POST' });

/** The checks of the server, also of one that is not well. */
export async function health() {
  return (await fetchInTime('health', {})).json();
}

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

function send(address, body, method = 'POST', headers = {}) {
  return ask(address, { method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', ...headers } });
}

async function patchJson(address, body) {
  return (await send(address, body, 'PATCH')).json();
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
    const answer = await fetch(new URL(address, location.origin), { cache: 'no-store', signal: signal ? either(signal, limit) : limit, ...options });
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
