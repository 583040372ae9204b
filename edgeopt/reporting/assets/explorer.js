"use strict";
/* The model as a graph on a canvas: only what is in sight is drawn, so that thousands of calls stay fluent. */

const Explorer = (() => {
  const { element, colour } = Report;
  const { WIDTH, HEIGHT } = Layout;
  const READABLE = 0.45; // below this zoom boxes carry no text
  const MODES = [
    ["kind", "precision"],
    ["error", "error (SNR)"],
    ["range", "range"],
    ["time", "time or work"],
  ];

  class View {
    constructor(place, layers) {
      this.layers = layers;
      this.members = Groups.modules(layers);
      this.open = Groups.opened(layers, this.members);
      this.readers = layers.map(() => []);
      layers.forEach((layer) => layer.inputs.forEach((input) => this.readers[input].push(layer.place)));
      this.zoom = 1;
      this.left = 0;
      this.top = 0;
      this.selected = null;
      this.mode = "kind";
      this.build(place);
      this.arrange();
      this.fit();
      Report.drawn(() => this.paint());
      new ResizeObserver(() => this.resize()).observe(this.canvas.parentElement);
    }

    build(place) {
      this.search = element("input", { type: "search", placeholder: "name, module, operator…" });
      this.results = element("div", { className: "results" });
      const mode = element("select", {}, ...MODES.map(([value, text]) => element("option", { value }, text)));
      const button = (text, act) => {
        const made = element("button", { type: "button" }, text);
        made.addEventListener("click", act);
        return made;
      };
      const bar = element(
        "div",
        { className: "filters" },
        element("label", {}, "Find ", this.search),
        element("label", {}, "Colour by ", mode),
        button("Open all", () => this.setOpen(new Set(this.members.keys()))),
        button("Close all", () => this.setOpen(new Set())),
        button("Fit", () => this.fit()),
      );
      this.canvas = element("canvas", {
        tabIndex: 0,
        role: "application",
        "aria-label": "The model as a graph; arrow keys go from box to box, Enter opens and closes a module",
      });
      this.legend = element("p", { className: "legend" });
      this.details = element(
        "div",
        { className: "details", "aria-live": "polite" },
        element("p", {}, "Choose a box to see what is known of it."),
      );
      const stage = element("div", { className: "stage" }, this.canvas);
      place.append(bar, this.results, this.legend, element("div", { className: "panes" }, stage, this.details));
      mode.addEventListener("change", () => {
        this.mode = mode.value;
        this.paint();
      });
      this.search.addEventListener("input", () => this.find());
      Pointer.listen(this);
      this.canvas.addEventListener("keydown", (event) => this.key(event));
    }

    /* Places the boxes anew. */
    arrange() {
      Object.assign(this, Groups.visible(this.layers, this.members, this.open));
      Layout.place(this.boxes, this.edges);
      this.rows = this.boxes.map((_, at) => at).sort((a, b) => this.boxes[a].y - this.boxes[b].y);
      this.amounts = this.boxes.map((box) => Boxes.amount(this.layers, box));
      this.most = Math.max(...this.amounts, 1e-12);
    }

    setOpen(open) {
      const member = this.selected === null ? null : this.boxes[this.selected].members[0];
      this.open = open;
      this.arrange();
      this.selected = member === null ? null : this.owner.get(member);
      if (this.selected === null) this.fit();
      else this.choose(this.selected);
    }

    /* Returns the name of the page's colour that a box has. */
    paintOf(box, at) {
      if (this.mode === "kind") return `kind-${Boxes.kind(this.layers, box)}`;
      if (this.mode === "error") {
        const snr = Boxes.snr(this.layers, box);
        return snr === null ? "kind-moves" : `scale-${Math.max(0, Math.min(4, Math.floor((50 - snr) / 10)))}`;
      }
      if (this.mode === "range") {
        const range = Boxes.range(this.layers, box);
        return range === null
          ? "kind-moves"
          : `scale-${Math.max(0, Math.min(4, Math.floor(Math.log2(Math.max(-range[0], range[1], 1e-9)) / 2) + 1))}`;
      }
      return `scale-${Math.min(4, Math.floor(5 * Math.sqrt(this.amounts[at] / this.most)))}`;
    }

    legendText() {
      return {
        kind: "Blue: integers. Orange: float. Purple: both inside. Grey: only moves.",
        error: "The darker, the more rounding changes the value: above 50 dB to below 20 dB.",
        range: "The darker, the larger the values: below 1 to above 64.",
        time: `The darker, the more ${this.layers.some((one) => one.time_ms) ? "time" : "work (no time was measured)"} it takes.`,
      }[this.mode];
    }

    resize() {
      this.paint();
    }

    /* Asks for a frame; many changes before it are one. */
    paint() {
      if (this.waiting) return;
      this.waiting = requestAnimationFrame(() => {
        this.waiting = null;
        this.frame();
      });
    }

    frame() {
      const { canvas } = this;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      const ratio = devicePixelRatio;
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      context.setTransform(
        ratio * this.zoom,
        0,
        0,
        ratio * this.zoom,
        -this.left * this.zoom * ratio,
        -this.top * this.zoom * ratio,
      );
      const sight = {
        left: this.left,
        top: this.top,
        right: this.left + width / this.zoom,
        bottom: this.top + height / this.zoom,
      };
      this.drawEdges(context, sight);
      this.drawBoxes(context, sight);
      const words = this.legendText();
      if (this.legend.textContent !== words) this.legend.textContent = words;
    }

    drawEdges(context, sight) {
      context.strokeStyle = colour("muted");
      context.lineWidth = Math.max(1.2, 0.6 / this.zoom);
      context.beginPath();
      for (const [from, to] of this.edges) {
        const [a, b] = [this.boxes[from], this.boxes[to]];
        const [y0, y1] = [a.y + HEIGHT, b.y];
        if (Math.max(y0, y1) < sight.top || Math.min(y0, y1) > sight.bottom) continue;
        const [x0, x1] = [a.x + WIDTH / 2, b.x + WIDTH / 2];
        const isFar = b.rank - a.rank > 1;
        const aside = isFar && Math.abs(x1 - x0) < WIDTH ? WIDTH * 0.75 : 0; // around the boxes in between
        const bend = Math.min(60, Math.max(20, (y1 - y0) / 2));
        const down = isFar && !aside ? (y1 - y0) * 0.9 : bend; // beside them first, then across
        context.moveTo(x0, y0);
        context.bezierCurveTo(x0 + aside, y0 + down, x1 + aside, y1 - bend, x1, y1);
      }
      context.stroke();
    }

    drawBoxes(context, sight) {
      const readable = this.zoom >= READABLE;
      const paints = new Map();
      const paint = (name) => {
        if (!paints.has(name)) paints.set(name, colour(name));
        return paints.get(name);
      };
      let at = this.firstBelow(sight.top - HEIGHT);
      for (; at < this.rows.length; at += 1) {
        const place = this.rows[at];
        const box = this.boxes[place];
        if (box.y > sight.bottom) break;
        if (box.x + WIDTH < sight.left || box.x > sight.right) continue;
        context.fillStyle = paint(this.paintOf(box, place));
        context.beginPath();
        context.roundRect(box.x, box.y, WIDTH, HEIGHT, box.path ? 3 : 12);
        context.fill();
        if (place === this.selected || box.path) {
          context.strokeStyle = paint(place === this.selected ? "text" : "muted");
          context.lineWidth = place === this.selected ? 4 : 1.5;
          context.stroke();
        }
        if (readable) this.write(context, box, paint("on-box"));
      }
    }

    /* Returns the first of `rows` that lies below `y`. */
    firstBelow(y) {
      let [low, high] = [0, this.rows.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.boxes[this.rows[middle]].y < y) low = middle + 1;
        else high = middle;
      }
      return low;
    }

    write(context, box, ink) {
      box.lines ??= Boxes.lines(this.layers, box);
      context.fillStyle = ink;
      context.textBaseline = "top";
      box.lines.forEach((line, at) => {
        context.font = at ? "11px system-ui, sans-serif" : "600 12px system-ui, sans-serif";
        context.fillText(line, box.x + 8, box.y + 7 + at * 16, WIDTH - 16);
      });
    }

    fit() {
      const xs = this.boxes.map((box) => box.x);
      const ys = this.boxes.map((box) => box.y);
      const [left, right, bottom] = [Math.min(...xs), Math.max(...xs) + WIDTH, Math.max(...ys) + HEIGHT];
      const [width, height] = [this.canvas.clientWidth || 600, this.canvas.clientHeight || 500];
      this.zoom = Math.max(0.8, Math.min(1, (width - 40) / (right - left), (height - 40) / bottom));
      this.left = (left + right) / 2 - width / 2 / this.zoom;
      this.top = -20 / this.zoom;
      this.paint();
    }

    zoomAt(x, y, factor) {
      const zoom = Math.max(0.02, Math.min(4, this.zoom * factor));
      this.left += x / this.zoom - x / zoom;
      this.top += y / this.zoom - y / zoom;
      this.zoom = zoom;
      this.paint();
    }

    move(x, y) {
      this.left -= x / this.zoom;
      this.top -= y / this.zoom;
      this.paint();
    }

    boxAt(x, y) {
      const [px, py] = [this.left + x / this.zoom, this.top + y / this.zoom];
      const found = this.boxes.findIndex(
        (box) => px >= box.x && px <= box.x + WIDTH && py >= box.y && py <= box.y + HEIGHT,
      );
      return found < 0 ? null : found;
    }

    /* Selects a box, brings it into sight, and says what is known of it. */
    choose(place) {
      this.selected = place;
      const box = this.boxes[place];
      const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
      this.zoom = Math.max(this.zoom, 0.6);
      this.left = box.x + WIDTH / 2 - width / 2 / this.zoom;
      this.top = box.y + HEIGHT / 2 - height / 2 / this.zoom;
      this.tell(box);
      this.paint();
    }

    tell(box) {
      const parts = box.layer ? this.tellLayer(box.layer) : this.tellModule(box);
      this.details.replaceChildren(...parts);
      if (box.layer) Charts.histogram(this.details, box.layer);
    }

    tellLayer(layer) {
      const go = (title, places) => {
        if (!places.length) return [];
        const buttons = places.slice(0, 12).map((at) => {
          const button = element("button", { type: "button", className: "link" }, this.layers[at].makes);
          button.addEventListener("click", () => this.reveal(at));
          return button;
        });
        return [element("p", {}, `${title} `, ...buttons)];
      };
      return [
        element("h3", {}, layer.makes),
        element("p", {}, [layer.operator, layer.module, layer.source].filter(Boolean).join(" · ")),
        element("p", {}, `Runs as ${layer.kind}${layer.storage ? `, stored in ${layer.storage}` : ""}.`),
        Layers.facts(layer),
        ...go("Reads", layer.inputs),
        ...go("Read by", this.readers[layer.place]),
      ];
    }

    tellModule(box) {
      const count = (kind) => box.members.filter((at) => this.layers[at].kind === kind).length;
      const kinds = ["integer", "float", "moves", "folded"].filter(count).map((kind) => `${count(kind)} ${kind}`);
      const open = element("button", { type: "button" }, "Open it");
      open.addEventListener("click", () => this.toggle(box));
      const snr = Boxes.snr(this.layers, box);
      return [
        element("h3", {}, box.path),
        element(
          "p",
          {},
          `${box.members.length} calls: ${kinds.join(", ")}. ${snr === null ? "" : `Its worst value beside float: ${Report.decibels(snr, "dB")}. `}${Boxes.amountText(this.layers, box)}`,
        ),
        open,
      ];
    }

    toggle(box) {
      const open = new Set(this.open);
      if (box.path) open.add(box.path);
      else
        open.delete(
          Groups.paths(box.layer)
            .filter((path) => this.members.has(path))
            .at(-1),
        );
      this.setOpen(open);
    }

    /* Opens what is around a call, and selects it. */
    reveal(place) {
      const open = new Set(this.open);
      Groups.paths(this.layers[place]).forEach((path) => open.add(path));
      this.open = open;
      this.arrange();
      this.choose(this.owner.get(place));
    }

    find() {
      const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = words.length
        ? this.layers.filter((one) =>
            words.every((word) =>
              `${one.makes} ${one.operator} ${one.module} ${one.source}`.toLowerCase().includes(word),
            ),
          )
        : [];
      const buttons = found.slice(0, 12).map((layer) => {
        const button = element("button", { type: "button", className: "link" }, `${layer.makes} ${layer.module}`);
        button.addEventListener("click", () => this.reveal(layer.place));
        return button;
      });
      const note = found.length > 12 ? [` and ${found.length - 12} more`] : [];
      this.results.replaceChildren(...(words.length && !found.length ? ["nothing is called so"] : buttons), ...note);
    }

    key(event) {
      const steps = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
      if (event.key === "Enter" && this.selected !== null) this.toggle(this.boxes[this.selected]);
      else if (event.key === "+" || event.key === "-")
        this.zoomAt(this.canvas.clientWidth / 2, this.canvas.clientHeight / 2, event.key === "+" ? 1.25 : 0.8);
      else if (event.key in steps) this.step(...steps[event.key]);
      else return;
      event.preventDefault();
    }

    /* Goes to the box that is next along an edge, or beside in its row. */
    step(aside, down) {
      if (this.selected === null) return this.choose(0);
      const at = this.selected;
      let next;
      if (down > 0) next = this.edges.find(([from]) => from === at)?.[1];
      else if (down < 0) next = this.edges.find(([, to]) => to === at)?.[0];
      else {
        const row = this.boxes
          .map((_, place) => place)
          .filter((place) => this.boxes[place].rank === this.boxes[at].rank);
        row.sort((a, b) => this.boxes[a].x - this.boxes[b].x);
        next = row[row.indexOf(at) + aside];
      }
      if (next !== undefined) this.choose(next);
    }
  }

  return { mount: (place, report, layers) => layers.length && new View(place, layers) };
})();
