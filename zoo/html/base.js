"use strict";
(() => {
  const root = document.documentElement;
  const remembered = () => { try { return localStorage.getItem("zoo-scheme"); } catch { return null; } };
  const system = matchMedia("(prefers-color-scheme: dark)");

  function scheme(dark) {
    root.dataset.scheme = dark ? "dark" : "light";
    const button = document.getElementById("scheme");
    button.setAttribute("aria-pressed", String(dark));
    document.dispatchEvent(new Event("scheme"));
  }
  const chosen = remembered();
  scheme(chosen ? chosen === "dark" : system.matches);
  system.addEventListener("change", (event) => { if (!remembered()) scheme(event.matches); });
  document.getElementById("scheme").addEventListener("click", () => {
    const dark = root.dataset.scheme !== "dark";
    try { localStorage.setItem("zoo-scheme", dark ? "dark" : "light"); } catch { /* no storage */ }
    scheme(dark);
  });

  const told = document.getElementById("told");
  async function copy(text) {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* older ways */ }
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const done = await copy(document.getElementById(button.dataset.copy).textContent);
    button.focus();
    button.textContent = told.textContent = done ? "Copied" : "Select the text to copy it";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
})();
