// The command palette: what the page offers (elements marked data-command) and what the server
// finds. A combobox over a list box, as ARIA describes it: the focus stays in the field.
import { keyCaps, press, words } from "./keys.js";

const palette = document.getElementById("palette");
const field = palette.querySelector("input");
const commands = document.getElementById("palette-commands");
const nothing = document.getElementById("palette-nothing");
const NOTHING = nothing.textContent;
const NO_ANSWER = "The server did not answer: no video is found now. Try again in a moment.";
let made = 0;
let failed = false;

const options = () => [...palette.querySelectorAll('[role="option"]')].filter((option) => option.checkVisibility());

function choose(option) {
  palette.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
}

function step(by) {
  const all = options();
  const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  choose(all[(at + by + all.length) % all.length]);
}

function optionOf(element) {
  const option = document.createElement("div");
  option.id = `palette-option-${(made += 1)}`;
  option.setAttribute("role", "option");
  option.setAttribute("aria-selected", "false");
  const icon = element.querySelector(".icon")?.cloneNode(true);
  const name = document.createElement("span");
  name.textContent = element.dataset.command || words(element);
  option.append(...(icon ? [icon] : []), name, ...keyCaps(element.dataset.key ?? "").filter((cap) => cap.textContent));
  option.addEventListener("click", () => {
    palette.close();
    press(element);
  });
  return option;
}

// Every word typed is somewhere in the command's words.
function narrow() {
  const typed = field.value.toLowerCase().split(/\s+/);
  for (const option of commands.querySelectorAll('[role="option"]')) {
    option.hidden = !typed.every((word) => option.textContent.toLowerCase().includes(word));
  }
  commands.hidden = !commands.querySelector('[role="option"]:not([hidden])');
  show();
}

function show() {
  nothing.textContent = failed ? NO_ANSWER : NOTHING;
  nothing.hidden = !failed && options().some((option) => option !== nothing);
  choose(options().find((option) => option !== nothing));
}

// What comes later moves nothing under a finger that is on its way to Enter.
function join() {
  failed = false;
  const chosen = options().find((option) => option.getAttribute("aria-selected") === "true");
  show();
  if (chosen) choose(chosen);
}

function open() {
  const marked = [...document.querySelectorAll("[data-command]")].filter((each) => !each.disabled);
  commands.querySelectorAll('[role="option"]').forEach((option) => option.remove());
  commands.append(...marked.map(optionOf));
  document.getElementById("palette-found").replaceChildren();
  field.value = "";
  failed = false;
  palette.showModal();
  narrow();
}

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
    event.preventDefault();
    if (palette.open) palette.close();
    else if (!document.querySelector("dialog[open]")) open();
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-open-palette]")) open();
  // A click beside a dialog's content is on the dialog itself.
  if (event.target.matches("dialog[open]")) event.target.close();
});

field.addEventListener("input", narrow);
palette.addEventListener("htmx:afterSettle", join);
// What trouble.js says is behind the dialog.
for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  palette.addEventListener(failure, () => {
    failed = true;
    document.getElementById("palette-found").replaceChildren();
    show();
  });
}
field.addEventListener("keydown", (event) => {
  const keys = { ArrowDown: () => step(1), ArrowUp: () => step(-1) };
  keys.Enter = () => palette.querySelector('[aria-selected="true"]')?.click();
  if (!keys[event.key] || event.isComposing) return;
  event.preventDefault();
  keys[event.key]();
});
