// node pprof_samples.js FILE: a profile as pprof-format decodes it, as JSON.
const { Profile } = require("pprof-format");
const fs = require("fs");
const profile = Profile.decode(require("zlib").gunzipSync(fs.readFileSync(process.argv[2])));
const text = (row) => profile.stringTable.strings[Number(row)];
const names = new Map(profile.function.map((found) => [Number(found.id), text(found.name)]));
const places = new Map(profile.location.map((found) => [Number(found.id), names.get(Number(found.line[0].functionId))]));
console.log(JSON.stringify({
  types: profile.sampleType.map((type) => [text(type.type), text(type.unit)]),
  default: text(profile.defaultSampleType),
  comments: profile.comment.map(text),
  samples: profile.sample.map((sample) => [
    sample.locationId.map((id) => places.get(Number(id))), sample.value.map(Number),
  ]),
}));
