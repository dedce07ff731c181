// The table of classes sorts, filters and grows by 200 rows; without this script its first rows stand as they are.
(() => {
  const tables = JSON.parse(document.getElementById("class-data").textContent);
  const table = document.getElementById("class-table");
  if (!table || !tables.length) return;
  const at = (id) => document.getElementById("class-" + id);
  const [tools, filter, select, said, more] = ["tools", "filter", "process", "said", "more"].map(at);
  const body = table.tBodies[0];
  // What each column sorts by, of a row [type, before, after, bytes before, bytes after, spark].
  const keys = [(r) => r[0], (r) => r[1], (r) => r[2], (r) => r[2] - r[1], (r) => r[4], (r) => r[4] - r[3], null];
  let column = 3, falling = true, shown = 200;

  const count = (n) => n.toLocaleString("en");
  const plus = (text) => (/^[-0]/.test(text) ? text : "+" + text);
  const size = (n) => {
    let step = 0;
    while (Math.abs(n) >= 999.5 && step < 5) { n /= 1000; step++; }
    return n.toLocaleString("en", { minimumFractionDigits: step && Math.abs(n) < 9.95 ? 1 : 0,
      maximumFractionDigits: step && Math.abs(n) < 9.95 ? 1 : 0 }) + " " + ["B", "kB", "MB", "GB", "TB", "PB"][step];
  };
  const spark = (digits) => {
    if (digits === null) return "not kept";
    if (!digits) return "unchanged";
    const points = [...digits].map((d, i) => (i * 96) / Math.max(1, digits.length - 1) + "," + (18 - parseInt(d, 36) * 0.457));
    const space = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(space, "svg");
    const line = document.createElementNS(space, "polyline");
    picture.setAttribute("viewBox", "0 0 96 20");
    picture.setAttribute("class", "spark");
    picture.setAttribute("aria-hidden", "true");
    line.setAttribute("points", points.join(" "));
    picture.append(line);
    return picture;
  };
  const cell = (kind, style, content) => {
    const made = document.createElement(kind);
    made.className = style;
    made.append(content);
    if (kind === "th") made.scope = "row";
    return made;
  };
  const lineOf = (r) => {
    const line = document.createElement("tr");
    line.append(cell("th", "mono", r[0]));
    for (const text of [count(r[1]), count(r[2]), plus(count(r[2] - r[1])), size(r[4]), plus(size(r[4] - r[3]))])
      line.append(cell("td", "number", text));
    line.append(cell("td", "", spark(r[5])));
    return line;
  };
  const show = () => {
    const { rows, left_out } = tables[select.selectedIndex];
    const wanted = filter.value.trim().toLowerCase();
    const found = rows.filter((r) => r[0].toLowerCase().includes(wanted));
    const key = keys[column];
    found.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (falling ? -1 : 1));
    body.replaceChildren(...found.slice(0, shown).map(lineOf));
    more.hidden = found.length <= shown;
    said.textContent = count(Math.min(shown, found.length)) + " of " + count(found.length) + " classes"
      + (left_out ? "; " + count(left_out) + " that moved least are left out" : "");
    heads.forEach((head, n) => head.setAttribute("aria-sort", n !== column ? "none" : falling ? "descending" : "ascending"));
    heads.forEach((head, n) => { head.querySelector("span").textContent = n !== column ? "" : falling ? " ▼" : " ▲"; });
  };

  const heads = [...table.tHead.rows[0].cells].slice(0, 6);
  heads.forEach((head, n) => {
    const button = document.createElement("button");
    const arrow = document.createElement("span");
    arrow.setAttribute("aria-hidden", "true");
    button.type = "button";
    button.append(head.textContent, arrow);
    button.addEventListener("click", () => {
      falling = n === column ? !falling : n !== 0;
      column = n;
      show();
    });
    head.replaceChildren(button);
  });
  for (const { pid, command } of tables) select.add(new Option(pid + "  " + command));
  select.parentElement.hidden = tables.length < 2;
  select.addEventListener("change", show);
  filter.addEventListener("input", () => { shown = 200; show(); });
  more.addEventListener("click", () => { shown += 200; show(); });
  table.querySelector(".no-script").hidden = true;
  tools.hidden = false;
  show();
})();
