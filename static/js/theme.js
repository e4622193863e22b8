// Before the first paint: the remembered theme, else the system's. Loaded blocking on purpose.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is switched off
    }
  };
  const apply = () => {
    root.dataset.bsTheme = remembered() ?? (system.matches ? "dark" : "light");
  };
  system.addEventListener("change", apply);
  apply();
  root.classList.add("js");
})();
