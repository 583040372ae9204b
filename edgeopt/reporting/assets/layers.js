"use strict";
/* The table of layers: sorted by a click on a head, filtered by a word and a kind, a histogram in each row. */

const Layers = (() => {
  const { element, number } = Report;
  const PAGE = 100;

  const percent = (share) => (share ? `${number(100 * share)} %` : "");
  const bare = (layer) => Report.bare(layer.operator);
  const ALL = [
    { title: "Value", text: (one) => one.makes, key: (one) => one.place },
    { title: "Operator", text: bare },
    {
      title: "Kind",
      text: (one) => `${one.kind}${one.storage ? ` ${one.storage}` : ""}`,
      className: (one) => one.kind,
    },
    { title: "SNR in dB", text: (one) => Report.decibels(one.snr_db), key: (one) => one.snr_db },
    { title: "Range", text: Report.range, key: (one) => (one.low === null ? null : Math.max(-one.low, one.high)) },
    { title: "Clipped", text: (one) => percent(one.clipped), key: (one) => one.clipped },
    {
      title: "Work or ms",
      text: (one) =>
        one.time_ms === null ? (one.macs ? `${Report.count(one.macs)} MAC` : "") : number(one.time_ms, "ms"),
      key: (one) => one.time_ms ?? one.macs,
    },
    { title: "Module", text: (one) => one.module },
    { title: "Source", text: (one) => one.source },
    { title: "Why float", text: (one) => one.reason },
  ];

  function compare(column, descending) {
    const key = column.key ?? column.text;
    return (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null); // what is not known comes last
      const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
      return descending ? -order : order;
    };
  }

  function matches(layer, words, kind) {
    if (kind && layer.kind !== kind) return false;
    const text =
      `${layer.value} ${layer.makes} ${layer.operator} ${layer.module} ${layer.source} ${layer.reason}`.toLowerCase();
    return words.every((word) => text.includes(word));
  }

  /* Returns what is known of a value, in lines. */
  function facts(layer) {
    const known = [
      ["Shape", layer.shape.join(" × ")],
      ["Range in float", Report.range(layer)],
      [
        "Grid",
        layer.grid_low === null
          ? ""
          : `${number(layer.grid_low)} to ${number(layer.grid_high)}, step ${number(layer.scale)}, zero point ${number(layer.zero_point)}`,
      ],
      ["Range found by", layer.method],
      ["Clipped", percent(layer.clipped)],
      ["SNR", Report.decibels(layer.snr_db, "dB")],
      ["Time", number(layer.time_ms, "ms")],
      ["Multiply-adds", layer.macs ? Report.count(layer.macs) : ""],
      ["Reads and writes", layer.bytes ? Report.bytes(layer.bytes) : ""],
      ["Why float", layer.reason],
    ];
    const list = element("dl");
    for (const [name, value] of known) {
      if (value) list.append(element("dt", {}, name), element("dd", {}, value));
    }
    return list;
  }

  function row(layer, columns) {
    const toggle = element("button", { type: "button", className: "open", "aria-expanded": "false" }, layer.makes);
    const cells = columns
      .slice(1)
      .map((column) =>
        element(
          "td",
          { className: column.className?.(layer) ?? column.title.split(" ")[0].toLowerCase() },
          column.text(layer),
        ),
      );
    const line = element("tr", {}, element("th", { scope: "row" }, toggle), ...cells);
    toggle.addEventListener("click", () => {
      const open = toggle.getAttribute("aria-expanded") === "true";
      toggle.setAttribute("aria-expanded", String(!open));
      if (open) {
        line.nextElementSibling.remove();
        return;
      }
      const cell = element("td", { colSpan: columns.length }, facts(layer));
      line.after(element("tr", { className: "detail" }, cell));
      Charts.histogram(cell, layer);
    });
    return line;
  }

  function mount(place, report, layers) {
    const state = { column: 0, descending: false, shown: PAGE };
    const search = element("input", { type: "search", placeholder: "name, module, file…" });
    const kinds = ["", ...new Set(layers.map((one) => one.kind))];
    const kind = element("select", {}, ...kinds.map((one) => element("option", { value: one }, one || "all kinds")));
    const count = element("output", { className: "count" });
    const shown = ALL.filter((column) => layers.some((one) => column.text(one)));
    const heads = shown.map((column) => element("button", { type: "button" }, column.title));
    const columns = heads.map((head) => element("th", { scope: "col" }, head));
    const body = element("tbody");
    const more = element("button", { type: "button", className: "more" });
    const table = element(
      "table",
      { className: "layers" },
      element("caption", {}, "Every call of the program"),
      element("thead", {}, element("tr", {}, ...columns)),
      body,
    );

    function draw() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = layers.filter((one) => matches(one, words, kind.value));
      found.sort(compare(shown[state.column], state.descending));
      body.replaceChildren(...found.slice(0, state.shown).map((one) => row(one, shown)));
      count.textContent = `${found.length} of ${layers.length}`;
      more.hidden = found.length <= state.shown;
      more.textContent = `Show all ${found.length}`;
      columns.forEach((head, at) =>
        head.setAttribute("aria-sort", at === state.column ? (state.descending ? "descending" : "ascending") : "none"),
      );
    }

    heads.forEach((head, at) =>
      head.addEventListener("click", () => {
        state.descending = at === state.column && !state.descending;
        state.column = at;
        draw();
      }),
    );
    search.addEventListener("input", draw);
    kind.addEventListener("change", draw);
    more.addEventListener("click", () => {
      state.shown = layers.length;
      draw();
    });
    const tools = element(
      "div",
      { className: "filters" },
      element("label", {}, "Find ", search),
      element("label", {}, "Kind ", kind),
      count,
    );
    const box = element(
      "div",
      { className: "scroll tall", tabIndex: 0, role: "region", "aria-label": "Table of layers" },
      table,
    );
    place.append(tools, box, more);
    draw();
  }

  return { mount, facts, bare };
})();
