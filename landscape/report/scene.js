// One rotating scene with its controls, or all methods side by side with one camera.
const CONFIG = JSON.parse(document.getElementById("plotly-config").textContent);

async function unpacked() { // plotly lies compressed in the page; its policy knows the text by its hash
  const bytes = Uint8Array.from(atob(document.getElementById("plotly").textContent), (letter) => letter.charCodeAt(0));
  const text = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(text).text();
  document.head.append(script);
}

function start(box) {
  const { data, layout } = JSON.parse(box.querySelector("script").textContent);
  const [plot, form, status] = [".scene", "form", "[role=status]"].map((s) => box.querySelector(s));
  const field = form.elements;
  const methods = [...new Set(data.map((trace) => trace.meta.method))];
  let steps = 1; // back from the scene: a narrow one would be cut at its sides
  const narrow = (map) => (z) => (z === null ? null : map(z));
  const scenes = () => Object.keys(plot.layout).filter((key) => /^scene\d*$/.test(key));

  function wanted({ meta }) {
    return meta.quantity === field.quantity.value && (!field.split || meta.split === field.split.value) &&
      (field.all?.checked || meta.method === (field.method?.value ?? methods[0]));
  }

  function height() { // the axis of the quantity; the range of a logarithmic one is in powers of ten
    const axis = layout.meta[field.quantity.value];
    field.log.disabled = axis.type !== "log";
    if (axis.type !== "log" || field.log.checked) return axis;
    const range = axis.range.map((power) => 10 ** power);
    const ticks = [0, 1, 2, 3, 4, 5].map((i) => range[0] + (i / 5) * (range[1] - range[0]));
    return { ...axis, type: "linear", range, tickvals: ticks, ticktext: ticks.map((v) => String(+v.toPrecision(2))) };
  }

  function coloured(trace, axis, id, first) {
    const copy = { ...trace, visible: true, scene: id };
    if (trace.type !== "surface") return copy;
    const log = axis.type === "log";
    const [cmin, cmax] = axis.range;
    const ticks = { tickvals: log ? axis.tickvals.map(Math.log10) : axis.tickvals, ticktext: axis.ticktext };
    const surfacecolor = trace.z.map((row) => row.map(narrow(log ? Math.log10 : Number)));
    return { ...copy, surfacecolor, cmin, cmax, showscale: first, colorbar: { ...trace.colorbar, ...ticks } };
  }

  function axes(height, small) {
    const scene = { ...layout.scene };
    for (const key of ["xaxis", "yaxis", "zaxis"]) {
      const axis = { ...scene[key], ...(key === "zaxis" ? height : {}) };
      scene[key] = small ? { ...axis, title: { ...axis.title, font: { size: 10 } }, tickfont: { size: 10 } } : axis;
    }
    return scene;
  }

  function draw() {
    const axis = height();
    const chosen = data.filter(wanted);
    const shown = [...new Set(chosen.map((trace) => trace.meta.method))];
    const columns = Math.min(shown.length, Math.max(1, Math.round(plot.clientWidth / 330)));
    const rows = Math.ceil(shown.length / columns);
    plot.style.height = shown.length > 1 ? `${rows * 19}rem` : "";
    steps = Math.max(1, (1.2 * plot.clientHeight * columns) / (rows * (plot.clientWidth - 80)));
    const page = { ...layout, annotations: [], uirevision: String(shown.length) };
    delete page.scene;
    shown.forEach((method, i) => {
      const [x, y] = [(i % columns) / columns, 1 - (Math.floor(i / columns) + 1) / rows];
      const domain = { x: [x, x + 1 / columns], y: [y, y + 1 / rows] };
      page[`scene${i ? i + 1 : ""}`] = { ...axes(axis, plot.clientWidth / columns < 500), domain, camera: camera() };
      const text = chosen.find((trace) => trace.meta.method === method).meta.label;
      page.annotations.push({ text, x: x + 0.02, y: y + 1 / rows, xref: "paper", yref: "paper", xanchor: "left", yanchor: "top", showarrow: false });
    });
    Plotly.react(plot, chosen.map((trace) => {
      const i = shown.indexOf(trace.meta.method);
      return coloured(trace, axis, `scene${i ? i + 1 : ""}`, i === 0);
    }), page, CONFIG).then(() => Plotly.Plots.resize(plot));
    tell(chosen, axis);
  }

  function tell(chosen, axis) {
    status.textContent = chosen.filter((trace) => trace.type === "surface").map((trace, i) => {
      const values = trace.z.flat().filter((z) => z !== null);
      const [low, high] = [Math.min(...values), Math.max(...values)].map((v) => +v.toPrecision(3));
      const at = chosen.filter((other) => other.type !== "surface")[i].z[0];
      const name = trace.meta.label.replace(/&(amp|lt|gt);/g, (_, key) => ({ amp: "&", lt: "<", gt: ">" })[key]);
      return `${name}, ${trace.meta.split}: ${axis.title.text} from ${low} to ${high}${at === null ? "" : `, ${at} at the trained weights`}`;
    }).join("; ") + ".";
  }

  function camera() {
    const [turn, tilt] = [field.turn.value, field.tilt.value].map((degrees) => (degrees * Math.PI) / 180);
    const [flat, up] = [2.3 * steps * Math.cos(tilt), 2.3 * steps * Math.sin(tilt)];
    return { ...layout.scene.camera, eye: { x: flat * Math.cos(turn), y: flat * Math.sin(turn), z: up } };
  }

  let [next, ours, busy] = [null, "", false];
  async function link(view, from) { // the camera of one scene to all others; the last one asked for wins
    next = [view, from];
    if (busy) return;
    busy = true;
    try {
      while (next) {
        await new Promise(requestAnimationFrame);
        [view, from, next] = [...next, null];
        const others = scenes().filter((key) => key !== from).map((key) => [`${key}.camera`, view]);
        ours = JSON.stringify(view); // the answer to it is not somebody's turning
        if (others.length) await Plotly.relayout(plot, Object.fromEntries(others));
      }
    } finally {
      busy = false;
    }
  }

  draw();
  for (const name of ["plotly_relayout", "plotly_relayouting"]) {
    plot.on(name, (change) => {
      const key = Object.keys(change).find((one) => /^scene\d*\.camera$/.test(one));
      if (key && JSON.stringify(change[key]) !== ours) link(change[key], key.split(".")[0]);
    });
  }
  form.addEventListener("change", (event) => { if (event.target.type !== "range") draw(); });
  form.addEventListener("input", (event) => { if (event.target.type === "range") link(camera(), ""); });
  form.addEventListener("reset", () => setTimeout(() => { draw(); link(camera(), ""); }));
}

new IntersectionObserver((seen, watch) => { // drawn when a reader comes near it
  if (!seen.some((entry) => entry.isIntersecting)) return;
  watch.disconnect();
  const box = document.getElementById("surfaces");
  unpacked().then(() => start(box), () => { box.querySelector("[role=status]").textContent = "This browser cannot unpack the 3-D scene."; });
}, { rootMargin: "600px" }).observe(document.getElementById("surfaces"));
