// node memlab_sizes.js FILE OUT: what memlab reads of a .heapsnapshot, a line [id, self size, retained size, dominator's id] a node.
const { getFullHeapFromFile } = require("@memlab/heap-analysis");
const { config } = require("@memlab/core");
const fs = require("fs");
config.muteConsole = true;
getFullHeapFromFile(process.argv[2]).then((heap) => {
  let lines = [];
  const flush = () => { fs.appendFileSync(process.argv[3], lines.join("")); lines = []; };
  heap.nodes.forEach((node) => {
    const above = node.dominatorNode;
    lines.push(`[${node.id},${node.self_size},${node.retainedSize},${above ? above.id : -1}]\n`);
    if (lines.length === 10000) flush();
  });
  flush();
});
