// Ages of each class, by tenths of the collector's list. Names come from the target: they are set as text, never as markup.
const ages = document.getElementById("ages"), order = document.querySelector("#order select");
const time = document.getElementById("time"), moment = time.querySelector("input"), told = time.querySelector("output");
const last = data.seconds.length - 1;
const sum = tenths => tenths.reduce((total, count) => total + count, 0);
const middle = tenths => sum(tenths.map((count, place) => count * place)) / sum(tenths);
const orders = {
  most: (a, b) => b.total - a.total,
  young: (a, b) => b.middle - a.middle || b.total - a.total,
  old: (a, b) => a.middle - b.middle || b.total - a.total,
};
function row({ name, tenths, total }) {
  const element = document.createElement("div"), label = document.createElement("span"), number = document.createElement("span"), bars = document.createElement("span");
  const most = Math.max(...tenths), counts = tenths.map(count => count.toLocaleString("en"));
  label.className = "name"; label.textContent = label.title = name;
  number.className = "count"; number.textContent = total.toLocaleString("en");
  bars.className = "bars"; bars.setAttribute("role", "img");
  bars.setAttribute("aria-label", `from the oldest tenth to the newest: ${counts.join(", ")}`);
  bars.append(...tenths.map((count, place) => {
    const slot = document.createElement("span"), bar = document.createElement("i");
    bar.style.height = `${100 * count / most}%`;
    slot.title = `tenth ${place + 1} of 10: ${counts[place]}`;
    slot.append(bar);
    return slot;
  }));
  element.append(bars, number, label);
  return element;
}
function draw() {
  const now = +moment.value;
  const rows = data.classes.map(({ name, tenths }) => ({ name, tenths: tenths[now], total: sum(tenths[now]) })).filter(one => one.total);
  rows.forEach(one => { one.middle = middle(one.tenths); });
  ages.replaceChildren(...rows.sort(orders[order.value]).map(row));
  told.textContent = `${data.seconds[now].toFixed(1)} s`;
}
time.hidden = last < 1;
moment.max = last;
moment.value = last;
moment.oninput = order.onchange = draw;
draw();
