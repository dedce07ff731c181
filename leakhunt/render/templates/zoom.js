// Each picture in a .zoom box gets buttons; the box scrolls, so keyboard, wheel and touch move it as they move any page.
for (const box of document.querySelectorAll(".zoom")) {
  const picture = box.querySelector("svg");
  const natural = Number(picture.getAttribute("width"));
  let scale = 0; // 0: as wide as the page
  const show = () => {
    box.classList.toggle("scaled", scale > 0);
    picture.style.width = scale ? natural * scale + "px" : "";
  };
  const step = (factor) => () => {
    scale = Math.min(6, Math.max(0.2, (scale || picture.clientWidth / natural) * factor));
    show();
  };
  const bar = document.createElement("div");
  bar.className = "zoom-bar";
  const buttons = [["Larger", step(1.4)], ["Smaller", step(1 / 1.4)], ["Whole picture", () => { scale = 0; show(); }]];
  for (const [word, act] of buttons) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word;
    button.addEventListener("click", act);
    bar.append(button);
  }
  box.before(bar);
}
// A folded box of a picture leads to the list of what is in it, and opens it.
for (const link of document.querySelectorAll(".zoom a")) {
  link.addEventListener("click", () => {
    let around = document.querySelector(link.getAttribute("href"));
    while ((around = around.parentElement.closest("details"))) around.open = true;
  });
}
