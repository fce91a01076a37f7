/** The days of the calendar, as texts like 2026-11-23: arithmetic that no change of clocks disturbs; and times in a zone. */

const DAY_MS = 86_400_000;
const formats = new Map();

/** Made once each: to make one takes longer than to format a hundred times with it. */
function format(name, options) {
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat('en-GB', options));
  return formats.get(name);
}

const utc = (date) => new Date(`${date}T00:00Z`);
const text = (then) => then.toISOString().slice(0, 10);
const named = (date, name, options) => format(name, { ...options, timeZone: 'UTC' }).format(utc(date));

export const addDays = (date, count) => text(new Date(utc(date).getTime() + count * DAY_MS));

/** The zone of the reader; UTC where the browser knows none, or names one that it does not take: Etc/Unknown. */
export function ownZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone && timeIn(new Date(), zone) ? zone : 'UTC';
}

/** The day of an instant in a zone. */
export function dayOf(instant, zone) {
  const parts = Object.fromEntries(format(`day ${zone}`, { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' }).formatToParts(instant).map(({ type, value }) => [type, value]));
  return `${parts.year}-${parts.month}-${parts.day}`;
}

/** The clock of an instant in a zone, such as 18:00; null for a zone that the browser does not know. */
export function timeIn(instant, zone) {
  try {
    return format(`time ${zone}`, { timeZone: zone, hour: '2-digit', minute: '2-digit' }).format(instant);
  } catch {
    return null;
  }
}

const monday = (date) => addDays(date, -((utc(date).getUTCDay() + 6) % 7));
const monthOf = (date) => date.slice(0, 7);

/** The days that are shown around one: {first, last, days}, whole weeks from Monday. */
export function period(view, date) {
  const start = view === 'week' ? date : `${monthOf(date)}-01`;
  const end = view === 'week' ? date : addDays(next('month', date, 1), -1);
  const days = [];
  for (let day = monday(start); day <= addDays(monday(end), 6); day = addDays(day, 1)) days.push(day);
  return { first: days[0], last: days.at(-1), days };
}

/** The day from which the period before (-1) or after (1) is shown. */
export function next(view, date, step) {
  if (view === 'week') return addDays(date, 7 * step);
  const first = utc(`${monthOf(date)}-01`);
  return text(new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + step, 1)));
}

/** "November 2026", or "23 Nov – 29 Nov 2026". */
export function periodName(view, date) {
  if (view === 'month') return named(date, 'month', { month: 'long', year: 'numeric' });
  const { first, last } = period(view, date);
  return `${named(first, 'short', { day: 'numeric', month: 'short' })} – ${named(last, 'shortYear', { day: 'numeric', month: 'short', year: 'numeric' })}`;
}

/** "Monday 23 November"; "Mon 23" where there is little room. */
export const longName = (date) => named(date, 'long', { weekday: 'long', day: 'numeric', month: 'long' });
export const shortName = (date) => named(date, 'brief', { weekday: 'short', day: 'numeric' });
export const isInMonth = (date, other) => monthOf(date) === monthOf(other);
