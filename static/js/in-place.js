// A way of swapping for live parts, `hx-swap="in-place"`: what is there is changed until it equals
// what came, so that focus, scroll, selection, open menus and half-typed fields stay as they are.
// Elements with `data-keep` stand for what another request looks after, and are left alone; so are
// pictures that somebody has revealed, as long as they are the same.  What comes with `data-changed`
// has only those of its children that have changed, known by their ids.

// What belongs to the reader, not to the server.
const isPersonal = (element, name) => element.nodeName === "DETAILS" && name === "open";

const isSame = (old, fresh) => old.nodeName === fresh.nodeName && (old.id ?? "") === (fresh.id ?? "");

const isKept = (old, fresh) =>
  fresh.dataset?.keep !== undefined ||
  (old.classList.contains("is-revealed") && old.dataset.hidden === fresh.dataset.hidden);

function patch(old, fresh) {
  if (fresh.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else if (!isKept(old, fresh)) {
    patchAttributes(old, fresh);
    if (fresh.dataset?.changed === undefined) patchChildren(old, fresh);
    else patchChanged(old, fresh);
  }
}

function patchAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isPersonal(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !isPersonal(old, name)) old.setAttribute(name, value);
  }
}

// Children with an id are found by it, the others by their place.
function patchChildren(old, fresh) {
  const there = new Map([...old.children].filter(({ id }) => id).map((child) => [child.id, child]));
  const coming = new Set([...fresh.children].map(({ id }) => id));
  let next = old.firstChild;
  const drop = () => {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  };
  for (const child of [...fresh.childNodes]) {
    const match = child.id ? there.get(child.id) : null;
    if (match) {
      // What stood before it goes, rather than it moves: moving would cost it the focus.
      while (next && next !== match && !(next.id && coming.has(next.id))) drop();
      if (next !== match) old.insertBefore(match, next);
      next = match.nextSibling;
      patch(match, child);
    } else if (next && isSame(next, child)) {
      const here = next;
      next = next.nextSibling;
      patch(here, child);
    } else {
      old.insertBefore(child, next);
    }
  }
  while (next) drop();
}

function patchChanged(old, fresh) {
  for (const child of [...fresh.children]) {
    const match = [...old.children].find(({ id }) => id === child.id);
    if (match) patch(match, child);
  }
}

window.htmx.defineExtension("in-place", {
  isInlineSwap: (style) => style === "in-place",
  handleSwap(style, target, fragment) {
    if (style !== "in-place") return false;
    const fresh = fragment.querySelector(`#${target.id}`);
    if (!fresh) return false;
    patch(target, fresh);
    return [target];
  },
});
