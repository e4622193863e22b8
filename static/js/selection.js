// Selecting rows: one box for the page, shift for a span, the count beside the actions.
let lastTicked = null;

const boxes = () => [...document.querySelectorAll('input[name="selected"]')];

const everything = () => document.querySelectorAll("[data-select-everything]");

function showSelection() {
  const all = boxes();
  const ticked = all.filter((box) => box.checked).length;
  const count = document.querySelector("[data-selected-count]");
  const whole = [...everything()].some((box) => box.checked);
  if (count) count.textContent = whole ? "" : `${ticked} selected`;
  const master = document.querySelector("[data-select-all]");
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
  const box = event.target.closest('input[name="selected"]');
  if (box) {
    if (event.shiftKey) tickSpan(box);
    lastTicked = box;
    showSelection();
  }
  if (event.target.closest("[data-select-everything]")) showSelection();
  if (event.target.closest("[data-select-all]")) {
    for (const each of boxes()) each.checked = event.target.checked;
    showSelection();
  }
  if (event.target.closest("[data-clear-selection]")) {
    for (const each of [...boxes(), ...everything()]) each.checked = false;
    showSelection();
  }
});

document.addEventListener("htmx:afterSettle", showSelection);
document.addEventListener("htmx:historyRestore", showSelection);
showSelection();
