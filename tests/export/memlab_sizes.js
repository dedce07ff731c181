// node memlab_sizes.js FILE: what memlab reads of a .heapsnapshot, as JSON lines [id, self size, retained size, dominator's id].
const { getFullHeapFromFile } = require("@memlab/heap-analysis");
const { config } = require("@memlab/core");
const fs = require("fs");
const say = process.stdout.write.bind(process.stdout);
process.stdout.write = () => true; // its progress
config.muteConsole = true;
getFullHeapFromFile(process.argv[2]).then((heap) => {
  let lines = [];
  const flush = () => { fs.writeSync(1, lines.join("")); lines = []; };
  heap.nodes.forEach((node) => {
    const above = node.dominatorNode;
    lines.push(`[${node.id},${node.self_size},${node.retainedSize},${above ? above.id : -1}]\n`);
    if (lines.length === 10000) flush();
  });
  flush();
  process.exit(0);
});
