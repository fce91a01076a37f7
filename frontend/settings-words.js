/** The texts of the page "Settings". */

export const TITLE = 'Settings';
export const WAIT = 'One moment…';
export const COPY = 'Copy';
export const COPIED = 'Copied.';

export const NOTICES = 'Notices';
export const BROWSER = 'This browser';
export const SIGN_OUT = 'Sign out';
export const SIGN_OUT_EVERYWHERE = 'Sign out on all devices';

export const KEYS = {
  title: 'API keys',
  lead: 'A program or a browser signs in with a key. Give each its own, so that you can end one alone.',
  name: 'Name of the new key',
  make: 'Make a key',
  once: (name) => `This is the key “${name}”. Copy it now: it cannot be shown again.`,
  none: 'No key has been made here.',
  unstored: (count) => `${count === 1 ? 'One more key is' : `${count} more keys are`} set in the environment of the server, and can be changed there only.`,
  facts: (made, sessions) => `Made ${made} · ${sessions === 1 ? '1 browser is' : `${sessions} browsers are`} signed in`,
  own: 'this browser',
  revoke: 'Revoke',
  question: (name, isOwn) => [`Revoke “${name}”?`, `Programs with this key are refused from now on, and its browsers are signed out${isOwn ? ', also this one' : ''}.`, 'Revoke', 'Keep it'],
};

export const WEBHOOKS = {
  title: 'Webhooks',
  lead: 'VidProd tells your own systems what happens to a video.',
  url: 'Address of your system',
  events: 'Events',
  all: 'all events',
  add: 'Add a webhook',
  secret: 'Its signing secret. Keep it where your system can read it:',
  verify: 'Each request has the header webhook-signature: v1, and the Base64 of HMAC-SHA256 over “webhook-id.webhook-timestamp.body”, with the bytes of the secret after “whsec_” as the key (Standard Webhooks).',
  showSecret: 'Show the secret',
  test: 'Send a test',
  tested: 'Sent. The outcome is in the list of deliveries.',
  deliveries: 'Deliveries',
  none: 'Nothing was sent yet.',
  again: 'Send again',
  enable: 'Enable and send what was missed',
  enableShort: 'Enable and send',
  remove: 'Remove',
  question: (host) => [`Remove the webhook of ${host}?`, 'It gets no more events, and the list of its deliveries is deleted.', 'Remove', 'Keep it'],
  off: (when, why) => `Off since ${when}: ${why}`,
  missed: (count) => (count === 1 ? '1 event was missed.' : `${count} events were missed.`),
  on: 'On',
  isOff: 'Off',
  status: { waiting: ['Waiting', 'wait'], delivered: ['Delivered', 'good'], failed: ['Failed', 'bad'], missed: ['Missed', 'warn'] },
  attempt: (when, outcome, ms) => `${when}: ${outcome}${ms === null ? '' : `, ${ms}\u00a0ms`}`,
};

export const SERVER = {
  title: 'Server',
  lead: 'These are set in the environment of the server.',
  rows: {
    version: 'Version', health: 'Health', public_url: 'Address', review: 'Before publishing', retention: 'Files of a video',
    pictures: 'Small pictures', size: 'Largest upload', part: 'Longest part', gaze: 'Eyes to the lens', backup: 'Backup',
  },
  healthy: 'Everything works',
  failing: (names) => `Needs attention: ${names.join(', ')}`,
  unknown: 'Not known right now',
  review: { true: 'You are asked first', false: 'Parts go out without asking, unless the upload says otherwise' },
  retention: (hours) => (hours ? `Deleted ${hours} hours after the last post` : 'Deleted when the last post is out'),
  pictures: (days) => `Kept for ${days} days`,
  backup: (hours) => (hours ? `Every ${hours} hours` : 'None'),
};
