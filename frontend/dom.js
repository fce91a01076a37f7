/**
 * Creates page elements, and updates a part of the page without replacing unchanged nodes.
 *
 * Replacing elements would lose focus, scroll position and loaded pictures at every poll. So a view is a pure function
 * from a document to elements, and `render` applies only the differences to the page. Text never passes through an HTML
 * parser, so an answer of the server cannot become markup.
 */

export const byId = (id) => document.getElementById(id);

/** Create an element; `true` sets an empty attribute, `false` and `null` omit it; children may be nested lists. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map(asNode));
  return node;
}

/** The state of something in a word, with the colour of its tone. */
export const pill = ([label, tone]) => el('span', { class: `pill pill-${tone}` }, label);

/** Update the children of `container` to equal the given ones; nodes that are already equal are kept. */
export function render(container, ...children) {
  patchChildren(container, el('div', {}, ...children));
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

function patchChildren(current, wanted) {
  const keyed = new Map([...current.children].filter(keyOf).map((child) => [keyOf(child), child]));
  const kept = new Set([...wanted.children].map(keyOf));
  let cursor = current.firstChild;
  for (const next of [...wanted.childNodes]) {
    // Keyed nodes that are no longer wanted go first: nodes after them then stay in place, with their focus.
    while (keyOf(next) && cursor && keyOf(cursor) && !kept.has(keyOf(cursor))) cursor = removed(cursor);
    const match = keyOf(next) ? keyed.get(keyOf(next)) : cursor;
    if (!match || !alike(match, next)) {
      current.insertBefore(next, cursor);
      continue;
    }
    // Moving a node removes its focus, so a node in its place is not moved.
    if (match === cursor) cursor = cursor.nextSibling;
    else current.insertBefore(match, cursor);
    patchNode(match, next);
  }
  while (cursor) cursor = removed(cursor);
}

/** Remove a node and return the one after it. */
function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function patchNode(current, wanted) {
  if (current.nodeType === Node.TEXT_NODE) {
    if (current.nodeValue !== wanted.nodeValue) current.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name } of [...current.attributes]) {
    if (!wanted.hasAttribute(name)) current.removeAttribute(name);
  }
  for (const { name, value } of [...wanted.attributes]) {
    if (current.getAttribute(name) !== value) current.setAttribute(name, value);
  }
  patchChildren(current, wanted);
}

function alike(current, wanted) {
  return current.nodeType === wanted.nodeType && current.nodeName === wanted.nodeName && keyOf(current) === keyOf(wanted);
}

function keyOf(node) {
  return node.dataset?.key ?? null;
}
