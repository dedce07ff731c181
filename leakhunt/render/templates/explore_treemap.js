// Goes into the boxes of a treemap. Names come from the target: they are set as text, never as markup.
const map = document.getElementById("map"), path = document.getElementById("path");
const fills = ["#cfe8f7", "#fbe3b0", "#d6efe6", "#f4dcea", "#fbd3bd", "#e3e3e3"];

// Squarified (Bruls, Huizing and van Wijk 2000): rows along the shorter side, each closed when one more makes it worse.
function squarify(boxes, x, y, width, height) {
  const placed = [], total = boxes.reduce((sum, box) => sum + box.size, 0);
  if (!total) return placed;
  const scale = width * height / total;
  let rest = boxes.map(box => ({ box, area: box.size * scale })).filter(one => one.area > 0);
  const worst = (row, sum, side) => Math.max(...row.map(one => Math.max(side * side * one.area / (sum * sum), sum * sum / (side * side * one.area))));
  while (rest.length) {
    const side = Math.min(width, height);
    let row = [rest[0]], sum = rest[0].area;
    for (const one of rest.slice(1)) {
      if (worst([...row, one], sum + one.area, side) > worst(row, sum, side)) break;
      row.push(one); sum += one.area;
    }
    const thick = sum / side;
    let along = width >= height ? y : x;
    for (const one of row) {
      const long = one.area / thick;
      placed.push(width >= height ? { ...one, x, y: along, w: thick, h: long } : { ...one, x: along, y, w: long, h: thick });
      along += long;
    }
    if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
    rest = rest.slice(row.length);
  }
  return placed;
}

function show(trail) {
  const here = trail[trail.length - 1], wide = map.clientWidth || 800, high = map.clientHeight || 380;
  path.replaceChildren(...trail.map((box, depth) => {
    const step = document.createElement("button");
    step.textContent = `${box.told} · ${box.shown}`;
    step.onclick = () => show(trail.slice(0, depth + 1));
    return step;
  }));
  const own = here.size - here.inside.reduce((sum, box) => sum + box.size, 0);
  const boxes = [...here.inside].sort((a, b) => b.size - a.size);
  if (own > here.size / 1000) boxes.push({ told: here.inside.length ? "the objects themselves" : here.told, size: own, shown: `${(100 * own / here.size).toFixed(0)}%`, inside: [] });
  boxes.sort((a, b) => b.size - a.size);
  map.replaceChildren(...squarify(boxes, 0, 0, wide, high).map(({ box, x, y, w, h }, number) => {
    const tile = document.createElement("button"), name = document.createElement("span"), size = document.createElement("small");
    Object.assign(tile.style, { left: `${100 * x / wide}%`, top: `${100 * y / high}%`, width: `${100 * w / wide}%`, height: `${100 * h / high}%`, background: fills[number % fills.length] });
    name.textContent = box.told; size.textContent = box.shown;
    tile.append(name, size);
    tile.title = `${box.told}: ${box.shown}, ${(100 * box.size / whole.size).toFixed(1)}% of everything`;
    if (box.inside.length) { tile.className = "has"; tile.onclick = () => show([...trail, box]); }
    return tile;
  }));
  window.onresize = () => show(trail);
}
show([whole]);
