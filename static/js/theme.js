// Before the first paint: the theme that was chosen, else the system's. Loaded blocking on purpose.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("theme") ?? "system";
    } catch {
      return "system"; // storage is switched off
    }
  };
  const apply = (theme = chosen()) => {
    const dark = theme === "dark" || (theme === "system" && system.matches);
    root.dataset.bsTheme = dark ? "dark" : "light";
    for (const button of document.querySelectorAll("[data-theme]")) {
      button.setAttribute("aria-pressed", button.dataset.theme === theme);
    }
  };
  system.addEventListener("change", () => apply());
  document.addEventListener("DOMContentLoaded", () => apply());
  document.addEventListener("click", (event) => {
    const theme = event.target.closest("[data-theme]")?.dataset.theme;
    if (!theme) return;
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // the choice lasts for this page
    }
    apply(theme);
  });
  apply();
  root.classList.add("js");
})();
