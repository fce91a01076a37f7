/** Reads the bytes of a chosen file, and recognises a file that is chosen again. */

const EDGE_BYTES = 1_000_000;

/** The browser cannot read the file any more: phones revoke access to picked photos, or change them. */
export class Unreadable extends Error {}

/**
 * Read a piece into memory; throws Unreadable.
 *
 * A request that is given the file itself is broken off by the browser if the file was touched meanwhile.
 */
export async function read(file, from, to) {
  try {
    return await file.slice(from, to).arrayBuffer();
  } catch (error) {
    throw new Unreadable('The file cannot be read', { cause: error });
  }
}

/** Return a text that tells files apart, from their size and their first and last megabyte; throws Unreadable. */
export async function fingerprint(file) {
  const first = new Uint8Array(await read(file, 0, EDGE_BYTES));
  const last = new Uint8Array(await read(file, Math.max(0, file.size - EDGE_BYTES), file.size));
  return `${file.size}-${hash(first)}-${hash(last)}`;
}

/** FNV-1a with two bases, 64 bits in all. Not for secrets: crypto.subtle does not exist on pages served over http. */
function hash(bytes) {
  let one = 0x811c9dc5;
  let other = 0x9747b28c;
  for (const byte of bytes) {
    one = Math.imul(one ^ byte, 0x01000193);
    other = Math.imul(other ^ byte, 0x85ebca6b);
  }
  return [one, other].map((half) => (half >>> 0).toString(16)).join('');
}
