"use strict";
/* Puts everything in its place; of several reports, one is shown at a time. */

(() => {
  const { data } = Report;

  const mounts = {
    layers: Layers.mount,
    flame: Flame.mount,
    memory: (place, report) => Charts.memory(place, Report.rows(report.memory.moments), report.memory.limit_bytes),
    explorer: Explorer.mount,
    search: (place, report) => Charts.search(place, report.search),
    history: (place, report) => Charts.history(place, report.history),
  };

  function mount(article) {
    if (article.dataset.mounted) return;
    article.dataset.mounted = "yes";
    const report = data.reports[Number(article.dataset.report)];
    const layers = Report.rows(report.layers);
    for (const place of article.querySelectorAll("[data-mount]")) mounts[place.dataset.mount](place, report, layers);
  }

  function show(number) {
    for (const article of document.querySelectorAll("article")) {
      article.hidden = Number(article.dataset.report) !== number;
      if (!article.hidden) mount(article);
    }
    for (const link of document.querySelectorAll("[data-goes]")) link.hash = `#${link.dataset.goes}-${number}`;
  }

  const theme = document.getElementById("theme");
  const name = () => (theme.textContent = Report.isDark() ? "Light" : "Dark");
  const changed = () => {
    name();
    document.dispatchEvent(new Event("themechange"));
  };
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = Report.isDark() ? "light" : "dark";
    changed();
  });
  for (const wish of ["(prefers-color-scheme: dark)", "print"]) matchMedia(wish).addEventListener("change", changed);
  name();
  document.getElementById("shown")?.addEventListener("change", (event) => show(Number(event.target.value)));
  show(0);
})();
