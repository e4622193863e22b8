// Fragments: what they ask for, and where the keyboard is afterwards.

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
  if (target && document.activeElement === document.body) {
    const live = target.id === "live" ? target : null;
    (live ?? document.querySelector("#results .total") ?? document.querySelector("#results"))?.focus({ preventScroll: true });
  }
  target = null;
});
