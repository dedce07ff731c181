// Curves that are turned on and off. Names come from the target: they are set as text, never as markup.
const chart = document.getElementById("chart"), picks = document.getElementById("picks"), told = document.getElementById("told");
const LEFT = 70, RIGHT = 10, TOP = 8, BOTTOM = 24, FIRST = 6;
const several = new Set(data.curves.map(curve => curve.pid)).size > 1;
data.curves.forEach((curve, number) => Object.assign(curve, {
  on: number < FIRST, color: data.colors[number % data.colors.length], label: several ? `${curve.name} (${curve.pid})` : curve.name }));
const units = ["B", "kB", "MB", "GB", "TB"];
function words(value) {
  if (!data.bytes) return Math.round(value).toLocaleString("en");
  let step = 0;
  while (Math.abs(value) >= 1000 && step < units.length - 1) { value /= 1000; step++; }
  return `${value.toFixed(step ? 1 : 0)} ${units[step]}`;
}
function make(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
let moment = null;
function draw() {
  const wide = chart.clientWidth || 800, high = chart.clientHeight || 320, on = data.curves.filter(curve => curve.on);
  const all = on.length ? on : data.curves, xs = all.flatMap(c => [c.xs[0], c.xs[c.xs.length - 1]]), ys = all.flatMap(c => c.ys);
  const x0 = Math.min(...xs), x1 = Math.max(...xs), y0 = Math.min(0, ...ys), y1 = Math.max(1, ...ys);
  const x = value => LEFT + (value - x0) / (x1 - x0 || 1) * (wide - LEFT - RIGHT);
  const y = value => high - BOTTOM - (value - y0) / (y1 - y0 || 1) * (high - TOP - BOTTOM);
  const parts = [];
  for (let step = 0; step <= 4; step++) {
    const value = y0 + (y1 - y0) * step / 4, second = x0 + (x1 - x0) * step / 4;
    parts.push(make("line", { class: "axis", x1: LEFT, x2: wide - RIGHT, y1: y(value), y2: y(value) }));
    parts.push(make("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, words(value)));
    parts.push(make("text", { x: x(second), y: high - 6, "text-anchor": step === 4 ? "end" : "middle" }, `${second.toFixed(x1 - x0 < 20 ? 1 : 0)} s`));
  }
  for (const curve of on) parts.push(make("polyline", { fill: "none", stroke: curve.color, "stroke-width": 2, points: curve.xs.map((s, n) => `${x(s).toFixed(1)},${y(curve.ys[n]).toFixed(1)}`).join(" ") }));
  if (moment !== null) {
    parts.push(make("line", { stroke: "currentColor", x1: x(moment), x2: x(moment), y1: TOP, y2: high - BOTTOM }));
    told.textContent = `${moment.toFixed(1)} s: ` + on.map(curve => `${curve.label} ${words(curve.ys[near(curve)])}`).join(" · ");
  }
  chart.replaceChildren(...parts);
  chart.dataset.x0 = x0; chart.dataset.x1 = x1;
}
function near(curve) {
  let best = 0;
  curve.xs.forEach((s, n) => { if (Math.abs(s - moment) < Math.abs(curve.xs[best] - moment)) best = n; });
  return best;
}
chart.onpointermove = event => {
  const box = chart.getBoundingClientRect(), share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
  moment = +chart.dataset.x0 + Math.min(1, Math.max(0, share)) * (chart.dataset.x1 - chart.dataset.x0);
  draw();
};
chart.setAttribute("tabindex", "0");
chart.onkeydown = event => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const x0 = +chart.dataset.x0, x1 = +chart.dataset.x1;
  moment = Math.min(x1, Math.max(x0, (moment ?? x0) + step * (x1 - x0) / 40));
  draw(); event.preventDefault();
};
data.curves.forEach(curve => {
  const pick = document.createElement("button"), line = document.createElement("i");
  line.style.background = curve.color;
  pick.append(line, curve.label);
  pick.setAttribute("aria-pressed", curve.on);
  pick.onclick = () => { curve.on = !curve.on; pick.setAttribute("aria-pressed", curve.on); draw(); };
  picks.append(pick);
});
window.onresize = draw;
draw();
