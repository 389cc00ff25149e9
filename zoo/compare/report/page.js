"use strict";
(() => {
  const { charts, arms } = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const off = new Set();
  const drawn = new Set();
  let measure = {};

  let mouse = matchMedia("(hover: hover) and (pointer: fine)").matches; // a finger scrolls the page
  const color = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  function painted(value) {
    if (value === "@diverging") return [[0, color("low")], [0.5, color("middle")], [1, color("high")]];
    if (value === "@rising") return [[0, color("middle")], [1, color("high")]];
    if (typeof value === "string" && /^@[a-z]+\d*$/.test(value)) return color(value.slice(1));
    if (Array.isArray(value)) return value.map(painted);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, painted(v)]));
    return value;
  }

  function shown(trace, id) {
    const meta = trace.meta || {};
    return !off.has(meta.arm) && (!meta.measure || meta.measure === measure[charts[id].group]);
  }

  function draw(id) {
    const chart = charts[id];
    const node = document.getElementById(id);
    const axis = { gridcolor: color("line"), linecolor: color("line"), zerolinecolor: color("line") };
    const layout = painted(chart.layout);
    const log = chart.logarithmic.includes(measure[chart.group]);
    const title = chart.group ? { title: { text: measure[chart.group] } } : {};
    layout.xaxis = { automargin: true, ...axis, ...layout.xaxis };
    layout.yaxis = { automargin: true, ...axis, ...title, ...(log ? { type: "log", dtick: 1 } : {}), ...layout.yaxis };
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("ink") },
      margin: { l: 56, r: 14, t: 10, b: 48 }, dragmode: mouse ? "zoom" : false, hovermode: "closest",
      uirevision: String(measure[chart.group]), // what the reader zoomed stays
      hoverlabel: { namelength: -1, bgcolor: color("card"), bordercolor: color("line"), font: { color: color("ink") } },
    };
    const data = chart.traces.map((trace) => ({ ...painted(trace), visible: shown(trace, id) }));
    const config = {
      responsive: true, displayModeBar: false, doubleClick: "reset", showTips: false,
    };
    drawn.add(id);
    return Plotly.react(node, data, { ...base, ...layout }, config);
  }
  const redraw = () => drawn.forEach(draw);

  for (const kind of ["pointermove", "pointerdown"])
    addEventListener(kind, (event) => {
      if ((event.pointerType === "mouse") === mouse) return;
      mouse = !mouse;
      redraw();
    }, true);

  document.addEventListener("scheme", redraw);

  const box = document.getElementById("arms");
  box.hidden = !arms;
  box.addEventListener("change", (event) => {
    const arm = Number(event.target.value);
    event.target.checked ? off.delete(arm) : off.add(arm);
    redraw();
  });

  for (const select of document.querySelectorAll("select[data-group]")) {
    const pick = () => { measure[select.dataset.group] = select.value; redraw(); };
    select.addEventListener("change", pick);
    pick();
  }

  document.getElementById("save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([document.getElementById("record").textContent], { type: "application/json" }));
    link.download = "compare.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      watcher.unobserve(entry.target);
      draw(entry.target.id);
    }
  }, { rootMargin: "400px" });
  for (const id of Object.keys(charts)) watcher.observe(document.getElementById(id));
  addEventListener("beforeprint", () => Object.keys(charts).forEach(draw));
})();
