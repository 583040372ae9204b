"use strict";
/* What is told of a box: of one call, or of all that a module holds. */

const Boxes = (() => {
  const { number } = Report;

  function amount(layers, box) {
    return (
      box.members.reduce((sum, at) => sum + (layers[at].time_ms ?? 0), 0) ||
      1e-9 * box.members.reduce((sum, at) => sum + layers[at].macs, 0)
    );
  }

  function amountText(layers, box) {
    const ms = box.members.reduce((sum, at) => sum + (layers[at].time_ms ?? 0), 0);
    if (ms) return number(ms, "ms");
    const macs = box.members.reduce((sum, at) => sum + layers[at].macs, 0);
    return macs ? `${Report.count(macs)} MAC` : "";
  }

  function snr(layers, box) {
    const known = box.members.map((at) => layers[at].snr_db).filter((one) => one !== null);
    return known.length ? Math.min(...known) : null;
  }

  function kind(layers, box) {
    const kinds = new Set(
      box.members.map((at) => layers[at].kind).filter((one) => one === "integer" || one === "float"),
    );
    if (kinds.size === 2) return "mixed";
    return [...kinds][0] ?? layers[box.members[0]].kind;
  }

  function range(layers, box) {
    const known = box.members.map((at) => layers[at]).filter((one) => one.low !== null);
    return known.length ? [Math.min(...known.map((one) => one.low)), Math.max(...known.map((one) => one.high))] : null;
  }

  function lines(layers, box) {
    const ends = range(layers, box);
    const ratio = snr(layers, box);
    const stored = box.layer ? box.layer.storage || box.layer.kind : kind(layers, box);
    const title = box.layer ? Layers.bare(box.layer) : `▸ ${box.path}`;
    const name = title.length > 28 ? `${title.slice(0, 12)}…${title.slice(-14)}` : title;
    const second = [stored, ratio === null ? "" : Report.decibels(ratio, "dB"), amountText(layers, box)];
    const third =
      ends === null
        ? box.layer
          ? box.layer.makes
          : `${box.members.length} calls`
        : `${number(ends[0])} to ${number(ends[1])}`;
    return [name, second.filter(Boolean).join(" · "), third];
  }

  return { amount, amountText, snr, kind, range, lines };
})();
