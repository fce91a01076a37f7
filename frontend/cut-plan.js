/**
 * The cuts of a video while a person changes them: pure functions.
 *
 * Pieces cover the whole video without gaps: [{start, end, gaze, out, fixed}] in seconds; `out` is left out of every part,
 * `gaze` is the strength of the eye correction of a part, or null for that of the video, and a `fixed` part keeps its
 * bounds, since one of its posts has begun.
 */

/** Pieces keep this distance from each other; whether a part is long enough is judged, not forced. */
const SHORTEST_S = 0.1;
/** A cut that is nearer than this to a pause is in it: cuts are at frames. */
const SAME_S = 0.02;
const PRECISION = 1000;
const rounded = (time) => Math.round(time * PRECISION) / PRECISION;

/** The pieces of a plan of the API. */
export function piecesOf({ parts, duration_s: end }) {
  const pieces = [];
  let at = 0;
  for (const part of parts) {
    if (part.start_s - at > SHORTEST_S) pieces.push({ start: at, end: part.start_s, gaze: null, out: true });
    pieces.push({ start: part.start_s, end: part.end_s, gaze: part.gaze_intensity ?? null, out: false, fixed: Boolean(part.begun) });
    at = part.end_s;
  }
  if (end - at > SHORTEST_S) pieces.push({ start: at, end, gaze: null, out: true });
  return pieces;
}

/** The parts for the API. */
export function partsOf(pieces) {
  return pieces.filter(({ out }) => !out).map(({ start, end, gaze }) => ({ start_s: rounded(start), end_s: rounded(end), ...(gaze !== null && { gaze_intensity: gaze }) }));
}

/** The number of the part of a piece, or null. */
export const numberOf = (pieces, index) => (pieces[index].out ? null : pieces.slice(0, index + 1).filter(({ out }) => !out).length);

/** True for a cut beside a part that keeps its bounds. */
export const isFixedCut = (pieces, index) => Boolean(pieces[index]?.fixed || pieces[index + 1]?.fixed);

/** True if the number of parts stays as it is: it is in titles that are public, or about to be. */
export const isCounted = (pieces) => pieces.some(({ fixed }) => fixed);

/** Move the cut after a piece, between the cuts beside it. */
export function moveCut(pieces, index, time) {
  const [left, right] = [pieces[index], pieces[index + 1]];
  const at = rounded(Math.min(right.end - SHORTEST_S, Math.max(left.start + SHORTEST_S, time)));
  return replaced(pieces, index, 2, [{ ...left, end: at }, { ...right, start: at }]);
}

/** Remove the cut after a piece; what was left out on one side only is in the part then. */
export function merge(pieces, index) {
  const [left, right] = [pieces[index], pieces[index + 1]];
  const kept = left.out ? right : left;
  return replaced(pieces, index, 2, [{ ...kept, start: left.start, end: right.end }]);
}

/** Cut a piece in two; without a time at the pause that is nearest to its middle. */
export function split(pieces, index, pauses, time = null) {
  const { start, end } = pieces[index];
  const middle = (start + end) / 2;
  const inside = middles(pauses).filter((at) => at > start + SHORTEST_S && at < end - SHORTEST_S);
  const nearest = inside.reduce((best, at) => (Math.abs(at - middle) < Math.abs(best - middle) ? at : best), inside[0] ?? middle);
  const at = rounded(time ?? nearest);
  if (at < start + SHORTEST_S || at > end - SHORTEST_S) return pieces;
  return replaced(pieces, index, 1, [{ ...pieces[index], end: at }, { ...pieces[index], start: at }]);
}

export const toggleOut = (pieces, index) => replaced(pieces, index, 1, [{ ...pieces[index], out: !pieces[index].out }]);
export const setGaze = (pieces, index, gaze) => replaced(pieces, index, 1, [{ ...pieces[index], gaze }]);

const replaced = (pieces, index, count, others) => pieces.toSpliced(index, count, ...others);
const middles = (pauses) => pauses.map(({ start_s: start, end_s: end }) => (start + end) / 2);

/** The time of the pause within `within` seconds of a time, or the time itself. */
export function snapped(time, pauses, within) {
  const near = middles(pauses).filter((at) => Math.abs(at - time) <= within);
  return near.reduce((best, at) => (Math.abs(at - time) < Math.abs(best - time) ? at : best), near[0] ?? time);
}

/** The pause after a time, or before it; the time itself without one. */
export function nextPause(time, pauses, step) {
  const found = middles(pauses).filter((at) => (at - time) * step > SAME_S);
  return found.length ? (step > 0 ? Math.min(...found) : Math.max(...found)) : time;
}

/** 'short' or 'long' for a part that the server would refuse, else null; one that is unchanged may have any length. */
export function fault({ start, end, out }, { min_part_s: min, max_part_s: max, parts }) {
  const length = rounded(end - start);
  if (out || (length >= min && length <= max) || parts.some((part) => part.start_s === start && part.end_s === end)) return null;
  return length < min ? 'short' : 'long';
}

/** How many parts stay as they are, and how many have to be made again: {kept, made}. */
export function changes(pieces, plan) {
  const key = (part) => `${part.start_s} ${part.end_s} ${part.gaze_intensity ?? ''}`;
  const before = new Set(plan.parts.map((part) => key({ ...part, start_s: rounded(part.start_s), end_s: rounded(part.end_s) })));
  const parts = partsOf(pieces);
  const kept = parts.filter((part) => before.has(key(part))).length;
  return { kept, made: parts.length - kept };
}
