/** The cuts of a video: its parts along the sound, to be moved, joined, divided and left out. cuts-track.js draws them. */

import { announce } from './announce.js';
import * as api from './api.js';
import * as cuts from './cut-plan.js';
import { Track } from './cuts-track.js';
import { el, render } from './dom.js';
import { percent, position } from './format.js';
import { CUTS as C } from './video-words.js';
import { sentence } from './words.js';

export const title = C.tool;
const STRENGTHS = [0.25, 0.5, 0.75, 1];
const MOST_STEPS = 100; // that can be undone
const drafts = new Map(); // id of a job → its {etag, pieces} that are not saved

/** Show the editor; `params` is {job, part: number of a part or '', onSaved, close}. Returns a function that leaves it. */
export function show(root, params) {
  const panel = el('div', { class: 'tool tool-wide' });
  const editor = { ...params, root, panel, plan: null, etag: null, pieces: [], undo: [], chosen: 0, busy: false, trouble: '', isOutdated: false };
  editor.track = new Track({
    onMove: (index, time, isFirst) => change(editor, cuts.moveCut(editor.pieces, index, time), isFirst),
    onMerge: (index) => { if (!cuts.isCounted(editor.pieces)) change(editor, cuts.merge(editor.pieces, index), true); },
    onChoose: (index) => choose(editor, index),
  });
  root.append(editor.track.root, panel);
  panel.addEventListener('click', ({ target }) => press(editor, target.closest('button')?.dataset.do));
  panel.addEventListener('input', ({ target }) => {
    if (target.name === 'gaze') change(editor, cuts.setGaze(editor.pieces, editor.chosen, target.value === '' ? null : Number(target.value)), true);
    if (target.name === 'zoom') editor.track.zoom(Number(target.value));
  });
  draw(editor);
  loadPlan(editor);
  return () => {
    editor.track.stop();
    editor.root = null;
    keepDraft(editor);
  };
}

/** Keep what is not saved, until the page is loaded again; it counts only for the plan that it changes. */
function keepDraft({ job, etag, pieces, plan }) {
  if (plan?.editable && isChanged(pieces, plan)) drafts.set(job.job_id, { etag, pieces });
  else drafts.delete(job.job_id);
}

function isChanged(pieces, plan) {
  const { kept, made } = cuts.changes(pieces, plan);
  return made > 0 || kept !== plan.parts.length;
}

async function loadPlan(editor) {
  try {
    const { document: plan, etag } = await api.plan(editor.job.job_id);
    const pieces = cuts.piecesOf(plan);
    const chosen = Math.max(0, pieces.findIndex((_, index) => cuts.numberOf(pieces, index) === editor.part));
    if (!plan.parts.length) {
      editor.trouble = sentence(plan.reason_text ?? plan.reason, '.');
      draw(editor);
      return;
    }
    const draft = drafts.get(editor.job.job_id);
    const isDraft = draft?.etag === etag;
    Object.assign(editor, { plan, etag, pieces: isDraft ? draft.pieces : pieces, undo: isDraft ? [pieces] : [], chosen, isDraft, trouble: '', isOutdated: false });
    editor.track.load(plan);
  } catch (problem) {
    editor.trouble = words(problem);
  }
  draw(editor);
  editor.track.reveal(editor.chosen);
}

const words = (problem) => (problem instanceof api.NoAnswer ? C.lost : sentence(problem.message, '.'));

/** Take new pieces; `isStep`: the ones before can be returned to. */
function change(editor, pieces, isStep) {
  if (!editor.plan.editable || editor.busy) return;
  if (isStep) editor.undo = [...editor.undo, editor.pieces].slice(-MOST_STEPS);
  editor.pieces = pieces;
  editor.trouble = '';
  choose(editor, editor.chosen);
}

function choose(editor, index) {
  editor.chosen = Math.min(index, editor.pieces.length - 1);
  draw(editor);
}

const DO = {
  merge: (editor) => change(editor, cuts.merge(editor.pieces, editor.chosen), true),
  split: (editor) => change(editor, cuts.split(editor.pieces, editor.chosen, editor.plan.pauses), true),
  out: (editor) => change(editor, cuts.toggleOut(editor.pieces, editor.chosen), true),
  undo: (editor) => {
    editor.pieces = editor.undo.pop() ?? editor.pieces;
    choose(editor, editor.chosen);
  },
  previous: (editor) => step(editor, -1),
  next: (editor) => step(editor, 1),
  save,
  load: loadPlan,
};

function press(editor, name) {
  if (!name) return;
  DO[name](editor);
  if (name !== 'save' && document.activeElement?.disabled) editor.track.focus(editor.chosen); // else the keys go nowhere
}

function step(editor, by) {
  choose(editor, Math.max(0, editor.chosen + by));
  editor.track.reveal(editor.chosen);
}

async function save(editor) {
  editor.busy = true;
  draw(editor);
  try {
    await api.putPlan(editor.job.job_id, editor.etag, cuts.partsOf(editor.pieces));
    announce(C.saved);
    Object.assign(editor, { plan: null });
    editor.onSaved();
    editor.close();
  } catch (problem) {
    editor.isOutdated = problem.status === 412;
    editor.trouble = editor.isOutdated ? C.outdated : words(problem);
    showRefused(editor, problem.field);
    announce(editor.trouble);
  }
  editor.busy = false;
  draw(editor);
}

/** Choose the part that the server refused, by the name of its field: parts[2].end_s. */
function showRefused(editor, field) {
  const number = Number(/^parts\W(\d+)/.exec(field ?? '')?.[1] ?? NaN) + 1;
  const index = editor.pieces.findIndex((_, at) => cuts.numberOf(editor.pieces, at) === number);
  if (index >= 0) step(editor, index - editor.chosen);
}

function draw(editor) {
  if (!editor.root) return;
  const { plan, panel, pieces, trouble, isOutdated } = editor;
  if (plan) editor.track.draw(pieces, editor.chosen);
  render(panel,
    !plan && !trouble && el('p', { class: 'loading' }, C.loading),
    plan && !plan.editable && el('p', { class: 'notice notice-warn', 'data-key': 'fixed' }, sentence(plan.reason_text ?? plan.reason, '.')),
    plan && piecePanel(editor),
    plan?.editable && saving(editor),
    el('p', { class: 'field-error', role: 'alert', 'data-key': 'trouble' }, trouble),
    isOutdated && el('button', { type: 'button', class: 'button button-quiet', 'data-do': 'load', 'data-key': 'load' }, C.load));
}

const button = (name, label, isDisabled, look = 'button-small') => el('button', { type: 'button', class: `button ${look}`, 'data-do': name, 'data-key': name, disabled: isDisabled }, label);

function piecePanel(editor) {
  const { pieces, chosen, plan, busy } = editor;
  const piece = pieces[chosen];
  const number = cuts.numberOf(pieces, chosen);
  const isFixed = busy || !plan.editable || piece.fixed;
  const isCounted = isFixed || cuts.isCounted(pieces);
  return el('section', { class: 'piece-panel', 'data-key': 'piece', 'aria-label': C.chosen },
    el('div', { class: 'title-row' },
      el('h3', { 'aria-live': 'polite' }, number ? C.part(number) : C.out, ' · ', `${position(piece.start)}–${position(piece.end)}`),
      el('b', { class: cuts.fault(piece, plan) ? 'over' : null }, C.seconds(piece.end - piece.start))),
    cuts.isCounted(pieces) && el('p', { class: 'hint', 'data-key': 'begun' }, piece.fixed ? C.begun : C.counted),
    cuts.fault(piece, plan) && el('p', { class: 'field-error', 'data-key': 'fault' }, C.faults[cuts.fault(piece, plan)](plan)),
    el('div', { class: 'tool-row' },
      button('previous', C.previous, chosen === 0), button('next', C.next, chosen === pieces.length - 1),
      button('split', C.split, isCounted), button('merge', C.merge, isCounted || chosen === pieces.length - 1),
      button('out', number ? C.leaveOut : C.putBack, isCounted)),
    number && el('label', { class: 'tool-scope', 'data-key': `gaze ${chosen} ${piece.gaze}` }, C.eyes, strengths(editor.job, piece, isFixed)),
    el('p', { class: 'hint', 'data-key': 'hint' }, C.hint),
    el('label', { class: 'zoom', 'data-key': 'zoom' }, C.zoom, el('input', { type: 'range', name: 'zoom', min: 0, max: 1, step: 'any', value: editor.track.nearness })));
}

function strengths(job, { gaze }, isFixed) {
  const offered = gaze === null || gaze === 0 || STRENGTHS.includes(gaze) ? STRENGTHS : [...STRENGTHS, gaze].sort();
  const option = (value, label) => el('option', { value, selected: String(value) === String(gaze ?? '') }, label);
  return el('select', { name: 'gaze', disabled: isFixed },
    option('', C.asVideo(percent(job.gaze_intensity ?? 0))), option(0, C.asFilmed), offered.map((value) => option(value, percent(value))));
}

function saving({ pieces, plan, undo, busy, isDraft }) {
  const { kept, made } = cuts.changes(pieces, plan);
  const faults = pieces.filter((piece) => cuts.fault(piece, plan)).length;
  const isSame = !isChanged(pieces, plan);
  return el('div', { class: 'actions', 'data-key': 'save' },
    button('save', C.save, busy || isSame || faults > 0 || kept + made === 0, 'button-main'),
    button('undo', C.undo, busy || !undo.length, 'button-quiet'),
    isDraft && !isSame && el('p', { class: 'hint', 'data-key': 'drafted' }, C.drafted),
    el('p', { class: 'hint', role: 'status' }, faults > 0 ? C.wrong(faults) : !isSame && C.effect(made, kept)));
}
