"use strict";
/* Time by module as a flame (d3-hierarchy places it), and by operator as bars. */

const Flame = (() => {
  const { element, number, bare } = Report;
  const ROW = 30;
  const LEAST = 0.15; // percent of the width: what is narrower is not drawn

  /* Returns the modules as a tree; an operator hangs below its module. */
  function tree(operators, title) {
    const root = { name: title, path: "", children: new Map() };
    for (const one of operators) {
      let parent = root;
      for (const part of one.module ? one.module.split(".") : []) {
        const path = parent.path ? `${parent.path}.${part}` : part;
        if (!parent.children.has(part)) parent.children.set(part, { name: part, path, children: new Map() });
        parent = parent.children.get(part);
      }
      const key = `\u0000${parent.children.size}`;
      parent.children.set(key, {
        name: bare(one.name),
        path: one.source,
        amount: one.amount,
        kind: one.kind,
        children: new Map(),
      });
    }
    return root;
  }

  function hierarchy(operators, title) {
    const root = d3.hierarchy(tree(operators, title), (node) => [...node.children.values()]);
    root.sum((node) => node.amount ?? 0);
    return root.sort((a, b) => b.value - a.value);
  }

  function text(node, total, unit) {
    const at = node.data.path && node.data.path !== node.data.name ? ` (${node.data.path})` : "";
    return `${node.data.name}${at}: ${Report.count(node.value)} ${unit}, ${number((100 * node.value) / total)} %`;
  }

  /* Draws the part of the tree below `focus` into `box`. */
  function draw(box, line, root, focus, unit) {
    const shown = d3.partition()(focus.copy());
    const rows = shown.height + 1;
    box.replaceChildren();
    box.style.height = `${rows * ROW}px`;
    const originals = focus.descendants();
    shown.descendants().forEach((node, place) => {
      const width = 100 * (node.x1 - node.x0);
      if (width < LEAST) return;
      const label = text(node, root.value, unit);
      const cell = element(
        "button",
        { type: "button", className: `cell ${node.data.kind || "module"}`, title: label, "aria-label": label },
        node.data.name,
      );
      cell.style.left = `${100 * node.x0}%`;
      cell.style.width = `${width}%`;
      cell.style.top = `${node.depth * ROW}px`;
      const original = originals[place];
      const tell = () => (line.textContent = label);
      cell.addEventListener("mouseenter", tell);
      cell.addEventListener("focus", tell);
      cell.addEventListener("click", () => {
        const next =
          original === focus ? (focus.parent ?? focus) : original.children ? original : (original.parent ?? root);
        draw(box, line, root, next, unit);
        box.querySelector("button").focus();
      });
      box.append(cell);
    });
  }

  /* Returns the operators by name, the costliest first, as rows with a bar. */
  function byOperator(operators, unit) {
    const sums = new Map();
    for (const one of operators) {
      const sum = sums.get(bare(one.name)) ?? { amount: 0, count: 0, kinds: new Set() };
      sum.amount += one.amount;
      sum.count += 1;
      sum.kinds.add(one.kind);
      sums.set(bare(one.name), sum);
    }
    const total = operators.reduce((all, one) => all + one.amount, 0) || 1;
    const rows = [...sums]
      .sort((a, b) => b[1].amount - a[1].amount)
      .map(([name, sum]) => {
        const bar = element("div", { className: "bar" });
        bar.style.width = `${(100 * sum.amount) / total}%`;
        const cells = [
          String(sum.count),
          [...sum.kinds].join(", "),
          Report.count(sum.amount),
          `${number((100 * sum.amount) / total)} %`,
        ];
        return element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          ...cells.map((cell) => element("td", {}, cell)),
          element("td", { className: "bars" }, bar),
        );
      });
    const heads = ["Operator", "Calls", "Kind", unit, "Share", "Of all"].map((cell) =>
      element("th", { scope: "col" }, cell),
    );
    const table = element(
      "table",
      {},
      element("caption", {}, `By operator, in ${unit}`),
      element("thead", {}, element("tr", {}, ...heads)),
      element("tbody", {}, ...rows),
    );
    return element(
      "div",
      { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Time by operator" },
      table,
    );
  }

  function mount(place, report) {
    const box = element("div", { className: "flame", role: "group", "aria-label": "Time by module" });
    const line = element(
      "output",
      { className: "point" },
      "Choose a module to look into it; choose it again to go back.",
    );
    const operators = Report.rows(report.operators);
    place.append(box, line, byOperator(operators, report.unit));
    const root = hierarchy(operators, report.title);
    draw(box, line, root, root, report.unit);
  }

  return { mount };
})();
