// What pages do beyond links and forms. Everything is delegated: fragments come and go.

const find = (selector) => document.querySelector(selector);

function toggleTheme() {
  const root = document.documentElement;
  root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.bsTheme);
  } catch {
    // storage is switched off: the choice lasts for this page
  }
}

// --- Selection: one box for the page, shift for a span, the count beside the actions ------------
let lastTicked = null;

const boxes = () => [...document.querySelectorAll('input[name="selected"]')];

function showSelection() {
  const all = boxes();
  const ticked = all.filter((box) => box.checked).length;
  const count = find("[data-selected-count]");
  if (count) count.textContent = `${ticked} selected`;
  const master = find("[data-select-all]");
  if (master) {
    master.hidden = false;
    master.checked = ticked > 0 && ticked === all.length;
    master.indeterminate = ticked > 0 && ticked < all.length;
  }
}

function tickSpan(box) {
  const all = boxes();
  const [from, to] = [all.indexOf(lastTicked), all.indexOf(box)].sort((a, b) => a - b);
  if (from >= 0) for (const each of all.slice(from, to + 1)) each.checked = box.checked;
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-toggle-theme]")) toggleTheme();
  const box = event.target.closest('input[name="selected"]');
  if (box) {
    if (event.shiftKey) tickSpan(box);
    lastTicked = box;
    showSelection();
  }
  if (event.target.closest("[data-select-all]")) {
    for (const each of boxes()) each.checked = event.target.checked;
    showSelection();
  }
  if (event.target.closest("[data-clear-selection]")) {
    for (const each of boxes()) each.checked = false;
    showSelection();
  }
  // A menu closes by its own button, and when something else is clicked.
  const done = event.target.closest("[data-close-menu]");
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (done || !menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    find("#search")?.focus();
  }
  if (event.key === "f" && find("details.filters")) {
    event.preventDefault();
    const filters = find("details.filters");
    filters.open = true;
    filters.querySelector("select, input")?.focus();
  }
});

// --- Fragments ----------------------------------------------------------------------------------
// Empty filters stay out of the address.
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") return;
  const { parameters } = event.detail;
  for (const name of Object.keys(parameters)) {
    if (parameters[name] === "") delete parameters[name];
  }
});

// The keyboard's place outlives what was swapped: its own element where htmx finds it again by its
// id, else the live part, else the head of the new list.
let target = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  target = event.detail.target.contains(document.activeElement) ? event.detail.target : null;
});
document.addEventListener("htmx:afterSettle", () => {
  showSelection();
  if (target && document.activeElement === document.body) {
    const live = target.id === "live" ? target : null;
    (live ?? find("#results .total") ?? find("#results"))?.focus({ preventScroll: true });
  }
  target = null;
});
document.addEventListener("htmx:historyRestore", showSelection);

for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(failure, (event) => {
    const status = event.detail.xhr?.status;
    if (status === 401 || status === 403) return location.reload();
    const alert = find("#connection");
    if (alert) alert.hidden = false;
  });
}
document.addEventListener("htmx:afterOnLoad", () => {
  const alert = find("#connection");
  if (alert) alert.hidden = true;
});

// --- Player -------------------------------------------------------------------------------------
// The browser's own word on whether it can play the file; errors do not bubble, so capture.
document.addEventListener(
  "error",
  (event) => {
    const player = event.target.closest?.("video, video source")?.closest("video");
    if (!player) return;
    const notice = document.getElementById(player.dataset.notice);
    if (notice) notice.hidden = false;
  },
  true,
);

showSelection();
