// Menus are <details class="menu">: they close by their own button, by Escape, and when something
// else is clicked.

const openMenus = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("click", (event) => {
  const done = event.target.closest("[data-close-menu]");
  for (const menu of openMenus()) {
    if (done || !menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of openMenus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
