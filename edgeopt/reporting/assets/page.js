"use strict";
/* What the other scripts share: the data, elements, numbers for people, the theme.
   Names come from models and are never markup: text is set as text, nowhere as HTML. */

const Report = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  /* Returns a table's rows as objects: words are looked up, and what is left out at the end is the default. */
  function rows(table) {
    const isText = table.fields.map((_, at) => table.texts.includes(at));
    return table.rows.map((row, place) => {
      const made = { place };
      table.fields.forEach((name, at) => {
        if (at >= row.length) made[name] = table.defaults[at];
        else made[name] = isText[at] ? table.words[row[at]] : row[at];
      });
      return made;
    });
  }

  /* Returns an element; `options` are properties, or attributes where there is no such property. */
  function element(tag, options = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (name in made && name !== "list" && name !== "role") made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /* Returns a number in three digits, with a true minus. */
  function number(value, unit = "") {
    if (value === null || value === undefined) return "";
    const size = Math.abs(value);
    const text =
      size !== 0 && (size < 1e-3 || size >= 1e6)
        ? value.toExponential(2)
        : String(Number(value.toPrecision(size >= 1000 ? 4 : 3)));
    return text.replace("-", "−") + (unit ? ` ${unit}` : "");
  }

  /* Returns a large count in thousands, millions, milliards. */
  function count(value) {
    for (const [unit, factor] of [
      ["G", 1e9],
      ["M", 1e6],
      ["k", 1e3],
    ]) {
      if (value >= factor) return `${number(value / factor)} ${unit}`;
    }
    return number(value);
  }

  /* Returns a ratio in dB; where nothing differs, that. */
  function decibels(value, unit = "") {
    return value !== null && value >= 200 ? "exact" : number(value, unit);
  }

  /* Returns an ATen operator by its own name. */
  function bare(name) {
    return name.replace(/^aten\./, "").replace(/\.default$/, "");
  }

  function bytes(size) {
    for (const [unit, factor] of [
      ["GiB", 2 ** 30],
      ["MiB", 2 ** 20],
      ["KiB", 2 ** 10],
    ]) {
      if (size >= factor) return `${(size / factor).toFixed(1)} ${unit}`;
    }
    return `${size} B`;
  }

  function range(layer) {
    return layer.low === null ? "" : `${number(layer.low)} to ${number(layer.high)}`;
  }

  /* Returns a colour of the page's, as the theme has it now. */
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  function isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  /* Calls `draw` now, and again when colours change. */
  function drawn(draw) {
    draw();
    document.addEventListener("themechange", draw);
  }

  return { data, rows, element, number, count, decibels, bare, bytes, range, colour, isDark, drawn };
})();
