// Fragments: what they ask for, and where the keyboard is afterwards.

// Empty filters stay out of the address, and so do the columns where they are the usual ones.
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") return;
  const { parameters } = event.detail;
  for (const name of Object.keys(parameters)) {
    if (parameters[name] === "") delete parameters[name];
  }
  const usual = document.querySelector("[data-usual]")?.dataset.usual;
  if (usual !== undefined && [parameters.columns ?? []].flat().join(" ") === usual) delete parameters.columns;
});

// A link opened into a tab or window of its own is the browser's business, not a fragment.
document.addEventListener(
  "click",
  (event) => {
    if ((event.ctrlKey || event.metaKey || event.shiftKey) && event.target.closest("a[hx-get]")) event.stopPropagation();
  },
  true,
);

// The keyboard's place outlives what was swapped: its own element where htmx finds it again by its
// id, else the live part, else the head of the new list.
let target = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  target = event.detail.target.contains(document.activeElement) ? event.detail.target : null;
});
document.addEventListener("htmx:afterSettle", () => {
  if (target && document.activeElement === document.body) {
    const live = target.id === "live" ? target : null;
    (live ?? document.querySelector("#results .total") ?? document.querySelector("#results"))?.focus({ preventScroll: true });
  }
  target = null;
});
