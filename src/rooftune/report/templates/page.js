"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // ---- the chart: one figure, its colours resolved for light, dark or paper -------------------------------
  const holder = $("#chart");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 640px)");
  const coarse = matchMedia("(pointer: coarse)");

  function coloured(value, palette) {
    if (Array.isArray(value)) return value.map((item) => coloured(item, palette));
    if (value === null || typeof value !== "object") return value;
    const copy = {};
    for (const [key, item] of Object.entries(value)) {
      const named = typeof item === "string" && item[0] === "$" && key.endsWith("color");
      copy[key] = named ? palette[item.slice(1)] : coloured(item, palette);
    }
    return copy;
  }

  const off = new Set();

  // buttons for the series, so that the keyboard reaches them and they wrap on a phone
  function drawLegend(chart, redraw) {
    const groups = new Map();
    const series = new Map(); // a ceiling may be drawn in several pieces: the last one is the one that names it
    chart.figure.data.forEach((trace, index) => {
      const id = `${trace.meta.group} ${trace.meta.label}`;
      series.set(id, { meta: trace.meta, indices: [...(series.get(id)?.indices ?? []), index] });
    });
    for (const { meta, indices } of series.values()) {
      const { group, label, key, main, dash } = meta;
      if (!groups.has(group)) {
        const set = document.createElement("fieldset");
        set.append(Object.assign(document.createElement("legend"), { textContent: group }));
        groups.set(group, set);
      }
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const mark = document.createElement("i");
      mark.className = `key-${key}${main ? " main" : ""}${dash ? ` dash-${dash}` : ""}`;
      const name = document.createElement("span");
      name.textContent = label;
      button.append(mark, name);
      button.addEventListener("click", () => {
        const visible = off.has(indices[0]);
        indices.forEach((index) => (visible ? off.delete(index) : off.add(index)));
        button.setAttribute("aria-pressed", String(visible));
        redraw();
      });
      groups.get(group).append(button);
    }
    $("#roofline-legend").replaceChildren(...groups.values());
  }

  function drawChart(chart, paper) {
    const target = $("#roofline-chart");
    const figure = coloured(chart.figure, paper || !dark.matches ? chart.palettes.light : chart.palettes.dark);
    const layout = figure.layout;
    const small = narrow.matches && !paper;
    layout.height = paper ? 430 : small ? 400 : 540;
    // the width is ours to say: plotly's own resizing keeps the margins of a moment in which there was no room
    layout.width = paper ? 690 : Math.max(280, target.clientWidth);
    if (paper) {
      layout.font = { ...layout.font, size: 10 };
      for (const trace of figure.data) {
        if (trace.marker) trace.marker.sizeref *= 1.8;
        if (trace.textfont) trace.textfont.size = 9;
      }
    }
    if (small) {
      layout.margin = { ...layout.margin, l: 54, r: 6, t: 10, b: 44 };
      layout.font = { ...layout.font, size: 11 };
      for (const trace of figure.data) {
        if (trace.marker) trace.marker.sizeref *= 2;
        if (trace.textfont && !trace.meta.main) trace.mode = "lines"; // the buttons below name them
      }
    }
    layout.dragmode = coarse.matches ? false : "zoom";
    // what the reader has switched off or zoomed to stays when the colours change
    const drawn = target._fullLayout && target.layout;
    if (drawn && !paper) {
      for (const axis of ["xaxis", "yaxis"]) layout[axis].range = target.layout[axis].range;
    }
    figure.data.forEach((trace, index) => { trace.visible = !off.has(index); });
    return Plotly.react(target, figure.data, layout, {
      displaylogo: false,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      toImageButtonOptions: { filename: "roofline", scale: 2 },
    });
  }

  if (holder && window.Plotly) {
    const chart = JSON.parse(holder.textContent);
    let printing = false;
    let width = 0;
    const draw = () => {
      if (printing) return;
      width = $("#roofline-chart").clientWidth;
      drawChart(chart, false);
    };
    drawLegend(chart, draw);
    draw();
    dark.addEventListener("change", draw);
    new ResizeObserver(([entry]) => {
      if (entry.contentRect.width > 100 && Math.abs(entry.contentRect.width - width) > 1) draw();
    }).observe($("#roofline-chart"));
    addEventListener("beforeprint", () => { printing = true; drawChart(chart, true); });
    addEventListener("afterprint", () => { printing = false; draw(); });
  }

  const inOrder = new Intl.Collator("en", { numeric: true });

  // ---- tables: sort by a header, find, show all ----------------------------------------------------------
  function prepare(box) {
    const table = $("table", box);
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, index) => ({ row, index, text: null }));
    const limit = Number(box.dataset.page);
    const controls = $(".controls", box);
    const search = controls && $("input", controls);
    const selects = controls ? all("select", controls) : [];
    const status = controls && $(".shown", controls);
    const more = $(".more", box);
    let order = rows;
    let everything = false;

    const textOf = (item) =>
      (item.text ??= [...item.row.cells].map((cell) => `${cell.textContent} ${cell.title}`).join(" ").toLowerCase());
    const cellText = (row, column) => $("bdi", row.cells[column]).textContent;

    function show() {
      const sought = search ? search.value.trim().toLowerCase().split(/\s+/).filter(Boolean) : [];
      const chosen = selects.filter((select) => select.value);
      let found = 0;
      let shown = 0;
      for (const item of order) {
        const fits = sought.every((word) => textOf(item).includes(word)) &&
          chosen.every((select) => cellText(item.row, Number(select.dataset.column)) === select.value);
        if (fits) found += 1;
        const visible = fits && (everything || found <= limit);
        item.row.hidden = !visible;
        item.row.classList.remove("rest");
        if (visible) shown += 1;
      }
      if (status) {
        const count = (value) => value.toLocaleString("en");
        status.textContent = found === 0 ? "nothing found"
          : shown === rows.length ? `${count(shown)} rows` : `${count(shown)} of ${count(rows.length)} rows`;
      }
      more.hidden = shown === found;
      more.textContent = `Show all ${found.toLocaleString("en")} rows`;
    }

    function keyOf(cell, numeric) {
      if (numeric) return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
      const text = $("bdi", cell).textContent;
      return text === "–" || text === "" ? null : text;
    }

    function compare(a, b, direction) {
      const left = a.key;
      const right = b.key;
      // rows without a value stay at the end, whatever the direction
      if (left === null || right === null) return (left === null) - (right === null);
      return direction * (typeof left === "number" ? left - right : inOrder.compare(left, right));
    }

    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("n");
        const current = head.getAttribute("aria-sort");
        // the first click shows what matters most: large numbers, names from A
        const ascending = current ? current === "descending" : !numeric;
        all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        for (const item of rows) item.key = keyOf(item.row.cells[column], numeric);
        order = [...rows].sort((a, b) => compare(a, b, ascending ? 1 : -1) || a.index - b.index);
        body.append(...order.map((item) => item.row));
        show();
      });
    });

    search?.addEventListener("input", show);
    selects.forEach((select) => select.addEventListener("change", show));
    more.addEventListener("click", () => { everything = true; show(); });
    if (controls) controls.hidden = false;
    show();
  }
  all(".table").forEach(prepare);

  // what stands in for scripts has no use here
  all(".unscripted").forEach((element) => element.remove());

  // ---- the record as a file ------------------------------------------------------------------------------
  const link = $("#download");
  link.href = URL.createObjectURL(new Blob([$("#record").textContent], { type: "application/json" }));
  link.hidden = false;
})();
