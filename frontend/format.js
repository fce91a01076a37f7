/** Formats sizes, durations, percentages and times for people. */

const MB = 1_000_000;
/** The no-break space between a number and its unit. */
const NB = '\u00a0';
/** Made once: to make one takes longer than to format a hundred times with it. */
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const WEEKDAY = new Intl.DateTimeFormat('en-GB', { weekday: 'short' });
const DATE = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const DATE_OF_YEAR = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** 48 MB, 1.2 GB; decimal units, as phones show them. */
export function bytes(count) {
  if (count < MB) return `${Math.max(1, Math.round(count / 1000))}${NB}KB`;
  if (count < 1000 * MB) return `${Math.round(count / MB)}${NB}MB`;
  return `${(count / (1000 * MB)).toFixed(1)}${NB}GB`;
}

/** 57 s, 12 min 5 s, 1 h 3 min, 2 h. */
export function seconds(count) {
  const whole = Math.round(count);
  if (whole < 60) return `${whole}${NB}s`;
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)}${NB}min ${whole % 60}${NB}s` : `${whole / 60}${NB}min`;
  const minutes = Math.floor((whole % 3600) / 60);
  return `${Math.floor(whole / 3600)}${NB}h${minutes ? ` ${minutes}${NB}min` : ''}`;
}

/** A place in the video: 0:00, 12:05, 1:02:09. */
export function position(count) {
  const whole = Math.round(count);
  const minutes = Math.floor(whole / 60);
  const tail = String(whole % 60).padStart(2, '0');
  if (minutes < 60) return `${minutes}:${tail}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${tail}`;
}

/** Whole percent; 100 only at the end and 0 only at the start. */
export function percent(share) {
  if (share <= 0) return `0${NB}%`;
  if (share >= 1) return `100${NB}%`;
  return `${Math.min(99, Math.max(1, Math.round(share * 100)))}${NB}%`;
}

/** The remaining time, rounded coarsely so that it changes rarely: "about 2 min left". */
export function timeLeft(count) {
  if (!Number.isFinite(count)) return '';
  if (count < 10) return 'a few seconds left';
  if (count < 60) return `about ${Math.ceil(count / 10) * 10}${NB}s left`;
  if (count < 5400) return `about ${Math.round(count / 60)}${NB}min left`;
  return `about ${Math.round(count / 3600)}${NB}h left`;
}

/** An instant (ISO 8601) in the reader's time zone: "today at 18:00", "Thu at 20:30", "28 Nov at 18:00". */
export function moment(iso, now = new Date()) {
  const then = new Date(iso ?? NaN); // null would be 1970
  if (Number.isNaN(then.getTime())) return '';
  return `${day(then, now)} at ${clock(then)}`;
}

/** The same in fewer words: "today 18:00", "Thu 20:30", "28 Nov 18:00". */
export function when(iso, now = new Date()) {
  const then = new Date(iso ?? NaN); // null would be 1970
  if (Number.isNaN(then.getTime())) return '';
  return `${day(then, now)} ${clock(then)}`;
}

export const clock = (then) => CLOCK.format(then);

function daysApart(then, now) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  return Math.round((midnight(then) - midnight(now)) / 86_400_000);
}

/** The day of a Date: today, Thu, 28 Nov. */
export function day(then, now) {
  const apart = daysApart(then, now);
  if (apart === 0) return 'today';
  if (apart === 1) return 'tomorrow';
  if (apart === -1) return 'yesterday';
  if (apart > 1 && apart < 7) return WEEKDAY.format(then);
  return (then.getFullYear() === now.getFullYear() ? DATE : DATE_OF_YEAR).format(then);
}
