// Charts of the figures, drawn at the page's width: the baseline and one method in colour, the others pale.
const SVG = "http://www.w3.org/2000/svg";
const ABOUT = JSON.parse(document.getElementById("charts").textContent);
const MARKS = { // around (0, 0), as far as 1
  o: "M-1 0A1 1 0 1 0 1 0A1 1 0 1 0-1 0Z", s: "M-.85-.85H.85V.85H-.85Z", "^": "M0-1.1L1 .8H-1Z", v: "M0 1.1L1-.8H-1Z",
  "<": "M-1.1 0L.8-1V1Z", ">": "M1.1 0L-.8-1V1Z", D: "M0-1.1L1.1 0L0 1.1L-1.1 0Z", d: "M0-1.2L.7 0L0 1.2L-.7 0Z",
  P: "M-.4-1H.4V-.4H1V.4H.4V1H-.4V.4H-1V-.4H-.4Z", X: "M-1-.5L-.5-1L0-.5L.5-1L1-.5L.5 0L1 .5L.5 1L0 .5L-.5 1L-1 .5L-.5 0Z",
  x: "M-1-1L1 1M-1 1L1-1", "+": "M-1 0H1M0-1V1", p: "M0-1L.95-.3L.6.8H-.6L-.95-.3Z", h: "M0-1L.87-.5V.5L0 1L-.87.5V-.5Z", H: "M-1 0L-.5-.87H.5L1 0L.5 .87H-.5Z", 8: "M-.4-1H.4L1-.4V.4L.4 1H-.4L-1 .4V-.4Z", "*": "M0-1.2L.3-.35H1.1L.45.15L.7 1L0 .5L-.7 1L-.45.15L-1.1-.35H-.3Z",
};
const charts = [];
const pen = document.createElement("canvas").getContext("2d");
let chosen = ABOUT.focus, pointed = null;

function add(parent, tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function wide(text) {
  pen.font = getComputedStyle(document.body).font.replace(/^[^/]*?[\d.]+px/, "12px");
  return pen.measureText(text).width;
}

// Ticks that have room: of numbers every second, third, ... one; names turn instead.
function across(ticks, width) {
  const spans = ticks.map(([at, text]) => [(at / 1000) * width, wide(text) / 2 + 4]).sort((a, b) => a[0] - b[0]);
  const touch = spans.some(([at, half], i) => i && spans[i - 1][0] + spans[i - 1][1] > at - half);
  if (!touch) return { ticks, turned: false };
  if (ticks.some(([, text]) => !/^[−\d.,⁰¹²³⁴⁵⁶⁷⁸⁹⁻×]+$/.test(text))) return { ticks, turned: true };
  const kept = [];
  for (const tick of [...ticks].sort((a, b) => b[0] - a[0])) {
    const at = (tick[0] / 1000) * width, half = wide(tick[1]) / 2 + 4;
    if (kept.every(([other, reach]) => Math.abs(other - at) > half + reach)) kept.push([at, half, tick]);
  }
  return { ticks: kept.map(([, , tick]) => tick), turned: false };
}

// The end of a name that is longer than its room, as that of a module on a narrow page.
function shortened(text, room) {
  if (wide(text) <= room) return text;
  let end = text;
  while (end.length > 4 && wide(`…${end}`) > room) end = end.slice(1);
  return `…${end}`;
}

function path(points, X, Y) {
  let text = "";
  for (let i = 0; i < points.length; i += 2) text += (i ? "L" : "M") + X(points[i]).toFixed(1) + " " + Y(points[i + 1]).toFixed(1);
  return text;
}

const colour = (hex) => `var(--c-${hex.slice(1)}, ${hex})`;

function mark(group, item, X, Y, inside) {
  const own = item.m ? {} : { style: `--c: ${colour(item.c ?? "#636c76")}` };
  if (item.k === "band") add(group, "path", { class: "band", d: path(item.p, X, Y) + "Z", "clip-path": inside, ...own });
  else if (item.k === "bars") for (const p of item.p) add(group, "path", { class: "stroke", d: path(p, X, Y), "stroke-width": Math.max(1, item.w), "clip-path": inside, ...own });
  else if (item.k === "line") for (const p of item.p) add(group, "path", { class: "stroke", d: path(p, X, Y), "stroke-dasharray": item.d, "data-w": item.w, "clip-path": inside, ...own });
  else if (item.s) {
    for (let i = 0; i < item.p.length; i += 2) {
      if (item.p[i] < -5 || item.p[i] > 1005 || item.p[i + 1] < -5 || item.p[i + 1] > 1005) continue;
      add(group, "path", { class: `mark${item.hollow || item.s === "x" || item.s === "+" ? " hollow" : ""}`, d: MARKS[item.s] ?? MARKS.o,
        transform: `translate(${X(item.p[i]).toFixed(1)} ${Y(item.p[i + 1]).toFixed(1)}) scale(4)`, ...own });
    }
  }
}

function draw(chart, box, panel, number) {
  const width = box.clientWidth;
  if (!width) return;
  const names = panel.yt.filter(([, text]) => /\p{L}/u.test(text)).length > 1;
  const left = Math.min(width * 0.4, Math.max(0, ...panel.yt.map(([, text]) => wide(text))) + 10), right = 14, top = 8;
  const { ticks, turned } = across(panel.xt, width - left - right);
  const bottom = turned ? Math.max(...ticks.map(([, text]) => wide(text))) + 14 : 22;
  const inner = names ? Math.max(120, 24 * panel.yt.length) : 220;
  const [X, Y] = [(v) => left + (v / 1000) * (width - left - right), (v) => top + (1 - v / 1000) * inner];
  box.replaceChildren();
  const svg = add(box, "svg", { width, height: top + inner + bottom, viewBox: `0 0 ${width} ${top + inner + bottom}`, role: "img", "aria-label": box.dataset.label });
  const id = `${chart.name}-${number}-in`;
  add(add(add(svg, "defs", {}), "clipPath", { id }), "rect", { x: left - 1, y: top - 1, width: width - left - right + 2, height: inner + 2 });
  let last = Infinity;
  for (const [at, text] of [...panel.yt].sort((a, b) => a[0] - b[0])) {
    add(svg, "path", { class: "grid", d: `M${left} ${Y(at)}H${width - right}` });
    if (!names && last - Y(at) < 14) continue;
    const fitted = shortened(text, left - 8);
    const label = add(svg, "text", { x: left - 6, y: Y(at) + 4, "text-anchor": "end" }, fitted);
    if (fitted !== text) add(label, "title", {}, text);
    last = Y(at);
  }
  for (const [at, text] of ticks) {
    add(svg, "path", { class: "grid", d: `M${X(at)} ${top}V${top + inner}` });
    const place = turned ? { transform: `translate(${X(at) + 4} ${top + inner + 8}) rotate(-90)`, "text-anchor": "end" } : { x: Math.min(X(at), width - wide(text) / 2), y: top + inner + 16, "text-anchor": "middle" };
    add(svg, "text", place, text);
  }
  const groups = new Map();
  for (const name of ["", ...ABOUT.methods.map((m) => m.name)]) {
    const items = panel.marks.filter((item) => item.m === name);
    if (!items.length) continue;
    const group = add(svg, "g", { "data-m": name });
    if (name && chart.coloured) group.style.setProperty("--own", ABOUT.methods.find((m) => m.name === name).colour);
    for (const item of items.filter((i) => i.k !== "points")) mark(group, item, X, Y, `url(#${id})`);
    for (const item of items.filter((i) => i.k === "points")) mark(group, item, X, Y, `url(#${id})`);
    groups.set(name, group);
  }
  for (const { t, p, a } of panel.words) add(svg, "text", { x: X(p[0]), y: Y(p[1]) - 4, "text-anchor": { center: "middle", right: "end" }[a] ?? "start" }, t);
  const points = panel.marks.filter((item) => item.k === "points" && item.m).flatMap((item) => item.v.map((value, i) => ({ m: item.m, x: X(item.p[2 * i]), y: Y(item.p[2 * i + 1]), value, note: item.n[i] })))
    .filter(({ x, y }) => x >= left - 2 && x <= width - right + 2 && y >= top - 2 && y <= top + inner + 2);
  Object.assign(box, { groups, points, panel, number });
  dress(chart, box);
}

// Which curves are in colour: the baseline, and the one that is chosen or pointed at.
function dress(chart, box) {
  const focus = pointed ?? chosen;
  const tones = box.number === 0 ? chart.tones : {};
  for (const [name, group] of box.groups ?? []) {
    if (!name) continue;
    const kind = name === ABOUT.baseline ? "base" : name === focus ? `on ${tones[name] ?? ""}` : "other";
    group.setAttribute("class", `${kind}${chart.coloured && !pointed ? " lit" : ""}`);
    group.style.display = kind === "other" && chart.alone ? "none" : "";
  }
  for (const name of [ABOUT.baseline, focus]) if (box.groups?.has(name)) box.groups.get(name).parentNode.append(box.groups.get(name));
}

function dressAll() {
  for (const chart of charts) for (const box of chart.boxes) dress(chart, box);
  for (const chip of document.querySelectorAll(".chips [data-m]")) chip.setAttribute("aria-pressed", String(chip.dataset.m === (pointed ?? chosen)));
}

function point(name) {
  if (pointed === name) return;
  pointed = name;
  dressAll();
}

const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);

function tell(chart, box, event) {
  const frame = box.getBoundingClientRect();
  const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
  let nearest = null, reach = 24 ** 2;
  for (const one of box.points ?? []) {
    if (chart.alone && one.m !== ABOUT.baseline && one.m !== chosen) continue;
    const away = (one.x - x) ** 2 + (one.y - y) ** 2;
    if (away < reach) [nearest, reach] = [one, away];
  }
  tip.hidden = !nearest;
  point(nearest && nearest.m !== ABOUT.baseline ? nearest.m : null);
  if (!nearest) return;
  const { value, note, m } = nearest;
  const name = ABOUT.methods.find((method) => method.name === m).label;
  const interval = value.length > 2 ? ` [${value[2]}, ${value[3]}]` : "";
  const [columns, rows] = [box.panel.xt, box.panel.yt].map((ticks) => ticks.some(([, text]) => /\p{L}/u.test(text)));
  const words = rows ? value[0] : `${value[1]}${interval}${columns ? "" : ` at ${value[0]}`}`;
  tip.textContent = `${name}${note ? `, ${note}` : ""}: ${words}`.replaceAll("-", "−");
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 12, document.documentElement.clientWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${event.clientY + 14}px`;
}

for (const live of document.querySelectorAll(".live")) {
  const panels = JSON.parse(live.querySelector("script").textContent);
  const name = live.dataset.figure;
  const chart = { name, boxes: [...live.querySelectorAll(".panel")], alone: false, coloured: "coloured" in live.dataset, tones: ABOUT.tones[name] ?? {} };
  charts.push(chart);
  chart.boxes.forEach((box, i) => {
    let before = 0;
    const fit = () => {
      if (box.clientWidth === before) return;
      before = box.clientWidth;
      draw(chart, box, panels[i], i);
    };
    fit();
    addEventListener("beforeprint", fit);
    new ResizeObserver(fit).observe(box); // a fold that opens, a window that changes
    box.addEventListener("pointermove", (event) => tell(chart, box, event));
    box.addEventListener("pointerleave", () => { tip.hidden = true; point(null); });
    box.addEventListener("click", () => { if (pointed) { chosen = pointed; dressAll(); } });
  });
  for (const chip of live.querySelectorAll(".chips [data-m]")) {
    chip.addEventListener("click", () => { chosen = chip.dataset.m; dressAll(); });
    chip.addEventListener("pointerenter", () => point(chip.dataset.m));
    chip.addEventListener("pointerleave", () => point(null));
  }
  live.querySelector(".chips input")?.addEventListener("change", (event) => {
    chart.alone = !event.target.checked;
    for (const box of chart.boxes) dress(chart, box);
  });
}
dressAll();
