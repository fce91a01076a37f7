/**
 * The videos of this browser that are not uploaded yet: their records, which outlive the page, and the files that this
 * page can read. One is uploaded at a time, in their order. No page elements, no requests.
 *
 * A record is {id, address, name, size, fingerprint, confirmed, fields, starts, kept, trouble, isRefused}: `fields` are
 * those of the form, `starts` says that the person has asked to begin when all bytes are there, `kept` is the id of the
 * file in the file store or null, `trouble` is a sentence for the person or ''. A refused video is not tried again.
 */

import { readRecords, writeRecords } from './record.js';
import { dropKept } from './shared.js';

let records = [];
const files = new Map(); // id of the record → File
const complete = new Set(); // ids of the records whose bytes are all at the server

/** Read the records again; those of this page's own work are the same. */
export function load() {
  records = readRecords();
  return records;
}

export const all = () => records;
export const fileOf = ({ id }) => files.get(id) ?? null;
export const isComplete = ({ id }) => complete.has(id);
export const isWorkable = (record) => !record.isRefused && (files.has(record.id) || complete.has(record.id));
/** Whether the person still has to say how this video is made into parts. */
export const isOpen = (record) => !record.starts && isWorkable(record);
/** Whether the upload stopped in an earlier page, and this page cannot read the file. */
export const isStored = (record) => !record.isRefused && !isWorkable(record);

/** The next video with something to do: bytes to send, or a start that was asked for. */
export const next = () => records.find((record) => isWorkable(record) && (record.starts || !complete.has(record.id)));

/** Add a video at the end. */
export function add(file, { fingerprint, fields, kept }) {
  const id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  records.push({ id, address: null, name: file.name, size: file.size, fingerprint, confirmed: 0, fields, starts: false, kept, trouble: '', isRefused: false });
  files.set(id, file);
  writeRecords(records);
}

export function change(record, changes) {
  if (!records.includes(record)) return; // removed meanwhile
  Object.assign(record, changes);
  writeRecords(records);
}

export function setFile(record, file) {
  files.set(record.id, file);
}

export function setComplete(record) {
  complete.add(record.id);
  change(record, { confirmed: record.size });
}

/** Let the file go, which cannot be read or is not needed. */
export function dropFile(record) {
  files.delete(record.id);
  dropKept(record.kept);
  change(record, { kept: null });
}

export function remove(record) {
  dropFile(record);
  complete.delete(record.id);
  records = records.filter((other) => other !== record);
  writeRecords(records);
}

/** Give up what only this page has: the files. The records stay. */
export function leave() {
  files.clear();
  complete.clear();
}
