/** The texts of the page "Needs you". */

export const TITLE = 'Needs you';
export const NOTHING = 'Nothing needs you. Videos go on by themselves.';
export const WAIT = 'One moment…';
export const UNREACHABLE = 'The list cannot be loaded right now.';
export const COPIED = 'Copied.';
export const NOT_COPIED = 'This browser does not allow copying. Select the text instead.';
export const NO_HISTORY = 'Nothing was recorded.';

export const BUTTONS = {
  reconnect: 'Connect again',
  approve: 'Publish',
  open: 'Open the video',
  copy: 'Copy the caption',
  online: 'It is online',
  missing: 'It is not there',
  repost: 'Try again',
  skip: 'Skip it',
  retry: 'Try again',
  enable: 'Enable and send',
  letter: 'Try again',
  history: 'What VidProd knows',
};

/** kind: [heading, explanation]; the heading is told to screen readers with the video. */
export const KINDS = {
  disk: () => ['The disk of the server is full', 'No video can be uploaded until there is room. Delete the files of old videos.'],
  account: ({ platform, code }) => [
    code === 'account_refused' ? `${platform} does not let this account post` : `Connect ${platform} again`,
    'Its posts wait, and go out by themselves when it is connected.'],
  review: ({ code }) => REVIEWS[code] ?? ['Publish this video?', 'It waits for your approval.'],
  outcome_unknown: ({ platform }) => [`Is it on ${platform}?`, `${platform} gave no clear answer. Look there, and say what you see: until then the later parts wait.`],
  draft: ({ platform }) => [`Finish the draft in the ${platform} app`, `The video waits in the inbox of the ${platform} app. The app does not take the caption over: copy it here.`],
  post_failed: ({ platform, code }) => [`Not published on ${platform}`, code === 'expired' ? 'The time for publishing ran out.' : ''],
  video_failed: ({ part }) => [part ? `${part === 1 ? 'One part' : `${part} parts`} could not be made` : 'This video could not be prepared', ''],
  endpoint: () => ['A webhook is off', 'Your system misses events until you enable it.'],
  dead_letter: ({ code }) => [LETTERS[code] ?? 'A task of the server was given up', 'It failed several times. Try it again when the cause is gone.'],
};

const REVIEWS = {
  requested: ['Look at this video before it is published', 'You asked to look first. Nothing is published before you say so.'],
  sound_unreadable: ['Publish without sound?', 'The sound of this video cannot be read.'],
  options_lost: ['Publish this video now?', 'It was recovered, and its title, platforms and date were lost.'],
  restored: ['Is this video public already?', 'VidProd lost its newest records or was restored from a backup. Compare its parts with your accounts, and skip the posts that are there. Your last changes to it may be lost.'],
};

/** The tasks that have no video or post of their own in the list. */
const LETTERS = {
  dispatch_webhook: 'An event was not sent to your system',
  cleanup: 'Old files were not removed',
  send_notice: 'A notice was not sent',
  deliver_notice: 'A notice was not delivered',
};
