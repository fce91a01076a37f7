/** A browser's subscription to web push; for the page and for the service worker. */

/** Return the subscription with the server's key; one with another key, to which no message can be sent, is replaced. */
export async function subscribe(manager, publicKey) {
  const existing = await manager.getSubscription();
  if (existing && keyOf(existing) === publicKey) return existing;
  await existing?.unsubscribe();
  return manager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(publicKey) });
}

/** Return what the server stores of a subscription. */
export function asDocument(subscription, publicKey) {
  const { endpoint, keys } = subscription.toJSON();
  return { endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth }, public_key: publicKey };
}

/** Return the id under which the server knows a subscription: it shows no addresses. */
export async function idOf(subscription) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(subscription.endpoint)));
  return `sub_${Array.from(digest.slice(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** Return the key with which a subscription was made, in base64url without padding; null if the browser does not say. */
export function keyOf(subscription) {
  const key = subscription.options?.applicationServerKey;
  if (!key) return null;
  return btoa(String.fromCharCode(...new Uint8Array(key))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function bytes(base64url) {
  const text = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
