// What the theme leaves out for who uses a keyboard or a screen reader.
document$.subscribe(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code").forEach((part) => {
    part.setAttribute("tabindex", "0"); // wide ones scroll
  });
  document.querySelectorAll(".md-code__nav").forEach((part, number) => {
    part.setAttribute("aria-label", `Code ${number + 1}`);
  });
  document.querySelectorAll("nav.md-nav[aria-labelledby]").forEach((part, number) => {
    const label = document.getElementById(part.getAttribute("aria-labelledby"));
    part.setAttribute("aria-label", `Menu ${number + 1}: ${label?.textContent.trim() ?? ""}`);
    part.removeAttribute("aria-labelledby");
  });
});
