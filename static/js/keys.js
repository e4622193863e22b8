// Keys: pages only mark elements, and this module knows no page. What "?" shows is the server's list
// of all keys, moderation/shortcuts.py.
//
//   data-key="q"         the key presses it: a field gets the focus, a summary opens its details,
//                        anything else is clicked; "g v" is one key after the other
//   data-row             a row of a list, with an id; j and k go from row to row
//   data-row-open        in a row: its link, which has the focus there, so that Enter opens it
//   data-row-select      in a row: its check box, which x ticks
//
// What is in a row takes its key while that row is the current one. While a dialog is open, only
// what is in it takes keys. Of several that could, the first of the page does. No key is taken
// while somebody types, nor with Ctrl, Alt or ⌘, nor when something else took it already.

const SECOND_KEY_MS = 1500;
const TYPED_INTO =
  "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio], [type=button], [type=submit], [type=range])";

let first = ""; // of two keys
let timer = 0;
let current = { id: "", index: -1 };

export const words = (element) =>
  element.getAttribute("aria-label") || element.textContent.trim().replace(/\s+/g, " ");

const isUsable = (element) => element.checkVisibility() && !element.disabled;

const rows = () => [...document.querySelectorAll("[data-row]")].filter(isUsable);

// By its id; where it is gone (decided on, filtered away), what has come into its place.
function currentRow() {
  const all = rows();
  return all.find((row) => row.id === current.id) ?? all[Math.min(current.index, all.length - 1)] ?? null;
}

function setCurrent(row) {
  document.querySelector("[data-row].is-current")?.classList.remove("is-current");
  row?.classList.add("is-current");
  current = { id: row?.id ?? "", index: row ? rows().indexOf(row) : -1 };
}

function move(step) {
  const all = rows();
  const from = current.index < 0 ? -1 : all.indexOf(currentRow());
  const row = all[from < 0 ? 0 : Math.min(Math.max(from + step, 0), all.length - 1)];
  if (!row) return;
  setCurrent(row);
  (row.querySelector("[data-row-open]") ?? row.querySelector("a, summary, button"))?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function mayTake(element) {
  const dialog = document.querySelector("dialog[open]");
  if (dialog && !dialog.contains(element)) return false;
  const row = element.closest("[data-row]");
  return isUsable(element) && (!row || row === currentRow());
}

const taker = (keys) => [...document.querySelectorAll(`[data-key="${CSS.escape(keys)}"]`)].find(mayTake);

const beginsSomething = (key) => [...document.querySelectorAll(`[data-key^="${CSS.escape(key)} "]`)].some(mayTake);

// What leads away waits for a decision that is still being written; it is dropped where that was
// refused, so that nobody misses why.
const writes = new Set();
let leading = null;

document.addEventListener("htmx:beforeSend", ({ detail }) => {
  if (detail.requestConfig.verb !== "get") writes.add(detail.xhr);
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (!writes.delete(detail.xhr)) return;
  if (!detail.successful) leading = null;
  if (writes.size) return;
  if (leading?.isConnected) leading.click();
  leading = null;
});

export function press(element) {
  if (element.matches("a[href]") && writes.size) leading = element;
  else if (element.matches(TYPED_INTO)) {
    element.focus();
    element.select?.();
  } else if (element.matches("summary")) {
    element.parentElement.open = true;
    (element.parentElement.querySelector("input, select, textarea, a, button") ?? element).focus();
  } else {
    element.click();
  }
}

// What the keys do that belong to lists as such.
const OF_LISTS = {
  j: () => move(1),
  k: () => move(-1),
  x: () => currentRow()?.querySelector("[data-row-select]")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.(TYPED_INTO) || event.key === "Shift") return;
  const keys = first ? `${first} ${event.key}` : event.key;
  first = "";
  clearTimeout(timer);
  const element = taker(keys);
  const ofLists = document.querySelector("dialog[open]") ? undefined : OF_LISTS[keys];
  if (element) press(element);
  else if (ofLists && rows().length) ofLists();
  else if (beginsSomething(event.key)) {
    first = event.key;
    timer = setTimeout(() => (first = ""), SECOND_KEY_MS);
  } else return;
  event.preventDefault();
});

// Enter in a search field leaves it: what is typed next are keys.
document.addEventListener("keyup", ({ key, target, isComposing }) => {
  if (key === "Enter" && !isComposing && target.matches("input[type=search]")) target.blur();
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest("[data-row]");
  if (row) setCurrent(row);
});

document.addEventListener("htmx:afterSettle", () => {
  if (current.index >= 0) setCurrent(currentRow());
});

export const keyCaps = (keys) => keys.split(" ").map((key) => Object.assign(document.createElement("kbd"), { textContent: key }));

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-show-keys]")) document.getElementById("keys").showModal();
});
