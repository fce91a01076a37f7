/** The texts of the page "Accounts", and of the editor of a schedule. */

export const TITLE = 'Accounts';
export const WAIT = 'One moment…';
export const NONE = 'Not connected';
export const NOT_SET_UP = 'Not set up on this server';
export const COPY = 'Copy';
export const COPIED = 'Copied.';
export const NOT_COPIED = 'This browser does not allow copying. Select the text instead.';
export const AFTER_FAILURE = 'Publish the next parts of a video although one was not published. Otherwise they wait until you retry or skip it.';
export const CONTINUE = 'Continue after a failure';
export const SCHEDULE = 'Times';
export const DISCONNECT = 'Disconnect';
export const REMOVED = (name) => `${name} is disconnected.`;
export const CONNECT = { again: 'Reconnect', more: 'Add another', first: 'Connect' };
export const BROKEN = (name) => `${name}: please connect it again`;
export const REFUSED = (name) => `${name}: may not post there`;
export const PAUSED = (when, reason) => `Posts wait until ${when}${reason ? ` (${reason})` : ''}.`;
export const EXPIRES = (when) => `Connect it again before ${when}.`;
export const SINCE = (when) => `Connected ${when}.`;
export const OUTAGE = (platform, reason, again) => `${platform} does not work at the moment (${reason}). Posts wait.${again ? ` Next try ${again}.` : ''}`;
export const STEPS = (platform, variables) => [
  `Register an app at ${platform} for developers.`,
  'Give it this redirect address:',
  `Set ${variables.join(' and ')} in the environment of the server, and restart it.`,
];
export const QUESTION = (name) => [`Disconnect ${name}?`, 'VidProd deletes its login here and at the platform. Posts that wait for this account are cancelled; what is published stays online.', 'Disconnect', 'Keep it'];

export const EDITOR = {
  title: 'When to post',
  inherited: 'This account follows the times of its platform. What you save here counts for this account only.',
  own: 'This account has times of its own.',
  zone: 'Time zone',
  useOwn: (zone) => `Use ${zone}, as on this device`,
  zones: (here, account) => `It is ${account} there now, and ${here} here.`,
  windows: 'Upload windows',
  always: 'Posts go out at any time of the day.',
  from: 'From',
  to: 'to',
  add: 'Add a window',
  remove: 'Remove',
  perDay: 'Posts a day at most',
  gap: 'Minutes between two posts',
  save: 'Save',
  reset: 'Use the times of the platform',
  saved: 'Saved.',
  limit: ({ posts, others, reason }) => (reason ? sentenceOf(reason) : `The platform itself allows ${posts} posts a day${others ? `; other apps have used ${others}` : ''}.`),
  grid: (windows) => (windows.length ? `Open ${windows.map(([from, to]) => `${from} to ${to}`).join(', ')}` : 'Open all day'),
  forecast: (count, last) => (count ? `${count} ${count === 1 ? 'post waits' : 'posts wait'}${last ? `: the last goes out ${last}` : ''}.` : 'No post has a date on this account.'),
};

const sentenceOf = (reason) => `The limit of the platform is not known: ${reason}.`;
